//! Functions of text. Positions and lengths count characters, positions from 1.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray};
use arrow::compute::concat as concat_arrays;
use arrow::datatypes::{DataType, Int32Type};
use datafusion::common::{Result, ScalarValue, plan_err};

use crate::cast::cast_column;
use crate::columns::{At, binaries, booleans, bytes, ints, longs, numbers, strings, text_fits, texts, written};
use crate::function::Arg::{Any, Int, Long, Text, TextOrBytes};
use crate::function::{Args, Function, Returns};
use crate::types::{is_binary, list_of};

const BOOLEAN: Returns = Returns::Is(|| DataType::Boolean);
const INT: Returns = Returns::Is(|| DataType::Int32);
const TEXT: Returns = Returns::Is(|| DataType::Utf8View);
const BYTES: Returns = Returns::Is(|| DataType::BinaryView);

pub(crate) const SUBSTRING: Function =
    Function::new("substring", &[TextOrBytes, Int, Int], Returns::Like(0), substring)
        .optional(1)
        .aliases(&["substr"])
        .doc(
            "substring(text, position[, length])",
            "Part of a text or binary; a negative position counts from the end.",
        );

pub(crate) const LOCATE: Function = Function::new("locate", &[Text, Text, Int], INT, |args, t| {
    let (part, text) = (strings(&args[0]), strings(&args[1]));
    numbers::<Int32Type>(text.len(), t, |i| {
        let from = if args.len() > 2 { ints(&args[2]).at(i).unwrap_or(0) } else { 1 };
        let (part, text) = (part.at(i)?, text.at(i)?);
        Some(find_from(text, part, from))
    })
})
.optional(1)
.aliases(&["position"])
.doc("locate(part, text[, from])", "Position of the first occurrence of a part, 0 if there is none.");

pub(crate) const OVERLAY: Function = Function::by("overlay", overlay_args, Returns::Like(0), overlay)
    .doc("overlay(text, with, position[, length])", "text or binary with a part from a position on replaced.");

macro_rules! of_text {
    ($name:literal, $line:literal, $f:expr) => {
        Function::new($name, &[Text], TEXT, |args, _| {
            let text = strings(&args[0]);
            texts(text.len(), |i| {
                let f: fn(&str) -> String = $f;
                Some(f(text.at(i)?))
            })
        })
        .doc(concat!($name, "(text)"), $line)
    };
}

macro_rules! search {
    ($name:literal, $line:literal, $f:expr) => {
        Function::new($name, &[TextOrBytes, TextOrBytes], BOOLEAN, |args, _| {
            let args = args.iter().map(|a| cast_column(a, &DataType::Utf8View)).collect::<Result<Vec<_>>>()?;
            let (text, part) = (strings(&args[0]), strings(&args[1]));
            booleans(text.len(), |i| {
                let f: fn(&str, &str) -> bool = $f;
                Some(f(text.at(i)?, part.at(i)?))
            })
        })
        .doc(concat!($name, "(text, part)"), $line)
    };
}

pub(crate) static FUNCTIONS: &[Function] = &[
    SUBSTRING,
    LOCATE,
    OVERLAY,
    of_text!("lower", "Text in lower case.", |s| s.to_lowercase()).aliases(&["lcase"]),
    of_text!("upper", "Text in upper case.", |s| s.to_uppercase()).aliases(&["ucase"]),
    of_text!("initcap", "Each word with a capital and the rest in lower case; words end at white space.", initcap),
    search!("startswith", "Whether a text begins with a part.", |s, p| s.starts_with(p)),
    search!("endswith", "Whether a text ends with a part.", |s, p| s.ends_with(p)),
    search!("contains", "Whether a text contains a part.", |s, p| s.contains(p)),
    Function::by("concat", concat_args, Returns::By(concat_type), concat)
        .doc("concat(a, b, ...)", "Texts, binaries or arrays joined; null if one of them is."),
    Function { args: Args::By(concat_ws_args), ..Function::many("concat_ws", &[Text], Any, TEXT, concat_ws) }
        .doc("concat_ws(separator, a, ...)", "Texts and arrays of texts joined with a separator, without nulls."),
    Function::new("substring_index", &[Text, Text, Int], TEXT, |args, _| {
        let (text, by, count) = (strings(&args[0]), strings(&args[1]), ints(&args[2]));
        texts(text.len(), |i| Some(substring_index(text.at(i)?, by.at(i)?, count.at(i)?).to_owned()))
    })
    .doc(
        "substring_index(text, delimiter, count)",
        "What stands before the count-th delimiter (from the end: behind it).",
    ),
    Function::new("instr", &[Text, Text], INT, |args, t| {
        let (text, part) = (strings(&args[0]), strings(&args[1]));
        numbers::<Int32Type>(text.len(), t, |i| Some(find_from(text.at(i)?, part.at(i)?, 1)))
    })
    .doc("instr(text, part)", "Position of the first occurrence of a part, 0 if there is none."),
    Function::new("trim", &[Text, Text], TEXT, |args, _| trim(args, 0, 1, true, true))
        .optional(1)
        .aliases(&["btrim"])
        .doc("trim(text[, characters])", "text without spaces, or those characters, at both ends.")
        .differs("trim(characters, text) does not exist: write TRIM(characters FROM text)"),
    Function::new("ltrim", &[Text, Text], TEXT, |args, _| trim(args, args.len() - 1, 0, true, false))
        .optional(1)
        .doc("ltrim([characters,] text)", "text without spaces, or those characters, at its start."),
    Function::new("rtrim", &[Text, Text], TEXT, |args, _| trim(args, args.len() - 1, 0, false, true))
        .optional(1)
        .doc("rtrim([characters,] text)", "text without spaces, or those characters, at its end."),
    Function::by("lpad", pad_args, Returns::Like(0), |args, t| pad(args, t, true))
        .doc("lpad(text, length[, with])", "text or binary filled up at its start, or cut, to a length."),
    Function::by("rpad", pad_args, Returns::Like(0), |args, t| pad(args, t, false))
        .doc("rpad(text, length[, with])", "text or binary filled up at its end, or cut, to a length."),
    Function::new("repeat", &[Text, Int], TEXT, |args, _| {
        let (text, times) = (strings(&args[0]), ints(&args[1]));
        let times = |i: usize| times.at(i).map(|n| n.max(0) as usize);
        text_fits("repeat", (0..text.len()).map(|i| Some(text.at(i)?.len().saturating_mul(times(i)?))))?;
        texts(text.len(), |i| Some(text.at(i)?.repeat(times(i)?)))
    })
    .doc("repeat(text, n)", "text n times."),
    Function::new("replace", &[Text, Text, Text], TEXT, |args, _| {
        let (text, part) = (strings(&args[0]), strings(&args[1]));
        let with = |i: usize| if args.len() > 2 { strings(&args[2]).at(i) } else { Some("") };
        let made = |i: usize| {
            let (text, part, with) = (text.at(i)?, part.at(i)?, with(i)?);
            let grows = with.len() > part.len() && !part.is_empty();
            Some(if grows { text.matches(part).count().saturating_mul(with.len()) } else { 0 })
        };
        text_fits("replace", (0..text.len()).map(made))?;
        texts(text.len(), |i| {
            let (text, part, with) = (text.at(i)?, part.at(i)?, with(i)?);
            Some(if part.is_empty() { text.to_owned() } else { text.replace(part, with) })
        })
    })
    .optional(1)
    .doc("replace(text, part[, with])", "text with every occurrence of a part replaced."),
    Function::new("translate", &[Text, Text, Text], TEXT, |args, _| {
        let (text, from, to) = (strings(&args[0]), strings(&args[1]), strings(&args[2]));
        written(text.len(), |i, out| {
            let (text, from, to) = (text.at(i)?, from.at(i)?, to.at(i)?);
            out.extend(text.chars().filter_map(|c| match from.chars().position(|f| f == c) {
                Some(at) => to.chars().nth(at),
                None => Some(c),
            }));
            Some(())
        })
    })
    .doc("translate(text, from, to)", "text with each character of from replaced by that of to, or dropped."),
    Function::new("space", &[Int], TEXT, |args, _| {
        let n = ints(&args[0]);
        let n = |i: usize| n.at(i).map(|n| n.max(0) as usize);
        text_fits("space", (0..args[0].len()).map(n))?;
        texts(args[0].len(), |i| Some(" ".repeat(n(i)?)))
    })
    .doc("space(n)", "n spaces."),
    Function::new("like", &[Text, Text, Text], BOOLEAN, |args, _| like(args, false)).optional(1).doc(
        "like(text, pattern[, escape])",
        "Whether a whole text matches a pattern in which _ is a character and % any text.",
    ),
    Function::new("ilike", &[Text, Text, Text], BOOLEAN, |args, _| like(args, true))
        .optional(1)
        .doc("ilike(text, pattern[, escape])", "As like, without case."),
    Function::new("left", &[TextOrBytes, Int], Returns::Like(0), |args, t| {
        if *t == DataType::BinaryView {
            let (data, n) = (binaries(&args[0]), ints(&args[1]));
            return bytes(data.len(), |i| {
                let data = data.at(i)?;
                Some(&data[..data.len().min(n.at(i)?.max(0) as usize)])
            });
        }
        let (text, n) = (strings(&args[0]), ints(&args[1]));
        texts(text.len(), |i| Some(part(text.at(i)?, 1, n.at(i)?)))
    })
    .doc("left(text, n)", "The first n characters, of a binary bytes."),
    Function::new("right", &[Text, Int], TEXT, |args, _| {
        let (text, n) = (strings(&args[0]), ints(&args[1]));
        texts(text.len(), |i| {
            let (text, n) = (text.at(i)?, n.at(i)?);
            Some(if n <= 0 { "" } else { part(text, -n.min(text.chars().count() as i32), i32::MAX) })
        })
    })
    .doc("right(text, n)", "The last n characters."),
    Function::new("split_part", &[Text, Text, Int], TEXT, |args, _| {
        let (text, by, number) = (strings(&args[0]), strings(&args[1]), ints(&args[2]));
        texts(text.len(), |i| Some(split_part(text.at(i)?, by.at(i)?, number.at(i)?)))
    })
    .doc("split_part(text, delimiter, n)", "The n-th part between delimiters, from the end if n is negative.")
    .differs("n = 0 gives an empty text, not an error"),
    Function::new("char_length", &[TextOrBytes], INT, |args, t| {
        if args[0].data_type() == &DataType::BinaryView {
            return numbers::<Int32Type>(args[0].len(), t, |i| Some(binaries(&args[0]).at(i)?.len() as i32));
        }
        let text = strings(&args[0]);
        numbers::<Int32Type>(text.len(), t, |i| text.at(i).map(|s| s.chars().count() as i32))
    })
    .aliases(&["character_length", "length", "len"])
    .doc("char_length(text)", "Number of characters, of a binary bytes."),
    Function::new("octet_length", &[TextOrBytes], INT, |args, t| byte_length(&args[0], t, 1))
        .doc("octet_length(text)", "Number of bytes."),
    Function::new("bit_length", &[TextOrBytes], INT, |args, t| byte_length(&args[0], t, 8))
        .doc("bit_length(text)", "Number of bits."),
    Function::new("ascii", &[Text], INT, |args, t| {
        let text = strings(&args[0]);
        numbers::<Int32Type>(text.len(), t, |i| text.at(i).map(|s| s.chars().next().map_or(0, |c| c as i32)))
    })
    .doc("ascii(text)", "Code point of the first character."),
    Function::new("chr", &[Long], TEXT, |args, _| {
        let code = longs(&args[0]);
        texts(code.len(), |i| {
            let code = code.at(i)?;
            Some(if code < 0 { String::new() } else { char::from((code % 256) as u8).to_string() })
        })
    })
    .aliases(&["char"])
    .doc("chr(n)", "The character of code n modulo 256."),
    Function::new("base64", &[TextOrBytes], TEXT, |args, _| {
        let data = cast_column(&args[0], &DataType::BinaryView)?;
        let data = binaries(&data);
        written(data.len(), |i, out| {
            let text = base64(data.at(i)?);
            for (line, digits) in text.as_bytes().chunks(76).enumerate() {
                out.push_str(if line > 0 { "\r\n" } else { "" });
                out.extend(digits.iter().copied().map(char::from));
            }
            Some(())
        })
    })
    .doc("base64(bytes)", "Bytes in base 64, in lines of 76 characters."),
    Function::new("unbase64", &[Text], BYTES, |args, _| {
        let text = strings(&args[0]);
        bytes(text.len(), |i| unbase64(text.at(i)?))
    })
    .doc("unbase64(text)", "Bytes from base 64; null if it is none."),
    Function::new("to_binary", &[Text, Text], BYTES, |args, _| {
        let text = strings(&args[0]);
        bytes(text.len(), |i| {
            let text = text.at(i)?;
            let format = args.get(1).map_or(Some("hex"), |formats| strings(formats).at(i))?;
            match format.to_lowercase().as_str() {
                "hex" => crate::numbers::unhex(text),
                "base64" => unbase64(text),
                "utf8" | "utf-8" => Some(text.as_bytes().to_vec()),
                _ => None,
            }
        })
    })
    .optional(1)
    .aliases(&["try_to_binary"])
    .doc("to_binary(text[, format])", "Bytes that a text stands for: hex, base64 or utf-8.")
    .differs("what cannot be read is null, not an error"),
    Function::new("levenshtein", &[Text, Text, Int], INT, |args, t| {
        let (a, b) = (strings(&args[0]), strings(&args[1]));
        numbers::<Int32Type>(a.len(), t, |i| {
            let distance = levenshtein(a.at(i)?, b.at(i)?);
            let most = if args.len() > 2 { ints(&args[2]).at(i)? } else { i32::MAX };
            Some(if distance > most { -1 } else { distance })
        })
    })
    .optional(1)
    .doc("levenshtein(a, b[, most])", "Number of edits between two texts; -1 if more than most."),
    Function::new("format_number", &[Any, Any], TEXT, format_number)
        .doc("format_number(x, digits)", "x with commas, rounded half to even at that many digits.")
        .differs("a pattern may hold #, 0, one point and commas"),
    Function::new("mask", &[Text, Text, Text, Text, Text], TEXT, mask)
        .optional(4)
        .doc("mask(text[, upper, lower, digit, other])", "text with letters and digits replaced, by X, x and n."),
    Function::new("find_in_set", &[Text, Text], INT, |args, t| {
        let (word, list) = (strings(&args[0]), strings(&args[1]));
        numbers::<Int32Type>(word.len(), t, |i| {
            let (word, list) = (word.at(i)?, list.at(i)?);
            let found = list.split(',').position(|w| w == word).filter(|_| !word.contains(','));
            Some(found.map_or(0, |at| at as i32 + 1))
        })
    })
    .doc("find_in_set(word, list)", "Position of a word in a comma-separated list, 0 if it is not there."),
];

/// LIKE, of patterns whose escape character, if it is not the backslash, is made one.
fn like(args: &[ArrayRef], insensitive: bool) -> Result<ArrayRef> {
    let patterns = strings(&args[1]);
    let patterns = match args.get(2).map(strings) {
        None => Arc::clone(&args[1]),
        Some(escapes) => written(patterns.len(), |i, out| {
            let (mut rest, escape) = (patterns.at(i)?.chars(), escapes.at(i)?.chars().next());
            while let Some(c) = rest.next() {
                match c {
                    c if Some(c) == escape => {
                        out.push('\\');
                        out.extend(rest.next());
                    }
                    '\\' => out.push_str("\\\\"),
                    c => out.push(c),
                }
            }
            Some(())
        })?,
    };
    let kernel = if insensitive { arrow::compute::ilike } else { arrow::compute::like };
    Ok(Arc::new(kernel(&args[0], &patterns)?))
}

/// Byte index of the character at `index`, the end if there are fewer.
fn byte_at(text: &str, index: usize) -> usize {
    if text.is_ascii() {
        return index.min(text.len());
    }
    text.char_indices().nth(index).map_or(text.len(), |(at, _)| at)
}

/// `length` characters from a position (1-based, 0 counts as 1, negative from the end), as Spark's `substringSQL`.
pub(crate) fn part(text: &str, position: i32, length: i32) -> &str {
    let count = if position < 0 { text.chars().count() as i64 } else { 0 };
    let start = match position {
        0 => 0,
        1.. => i64::from(position) - 1,
        _ => count + i64::from(position),
    };
    let end = start.saturating_add(length.into());
    if end <= start.max(0) {
        return "";
    }
    let from = byte_at(text, start.max(0) as usize);
    let rest = &text[from..];
    &rest[..byte_at(rest, (end - start.max(0)) as usize)]
}

fn substring(args: &[ArrayRef], t: &DataType) -> Result<ArrayRef> {
    let position = ints(&args[1]);
    let length = |i: usize| if args.len() > 2 { ints(&args[2]).at(i) } else { Some(i32::MAX) };
    if *t == DataType::BinaryView {
        let data = binaries(&args[0]);
        return bytes(data.len(), |i| Some(piece(data.at(i)?, position.at(i)?, length(i)?)));
    }
    let text = strings(&args[0]);
    texts(text.len(), |i| Some(part(text.at(i)?, position.at(i)?, length(i)?)))
}

/// As [`part`], of bytes.
fn piece(data: &[u8], position: i32, length: i32) -> &[u8] {
    let len = data.len() as i64;
    let start = match position {
        0 => 0,
        1.. => i64::from(position) - 1,
        _ => len + i64::from(position),
    };
    let end = start.saturating_add(length.into()).clamp(0, len);
    &data[start.clamp(0, end) as usize..end as usize]
}

/// Position of the first occurrence at or behind position `from`, 0 if there is none.
fn find_from(text: &str, part: &str, from: i32) -> i32 {
    if from < 1 {
        return 0;
    }
    if part.is_empty() {
        return 1;
    }
    let start = byte_at(text, from as usize - 1);
    text[start..].find(part).map_or(0, |at| text[..start + at].chars().count() as i32 + 1)
}

fn initcap(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut first = true;
    for c in text.chars() {
        if first {
            out.extend(c.to_uppercase());
        } else {
            out.extend(c.to_lowercase());
        }
        first = c == ' ';
    }
    out
}

fn concat_args(given: &[DataType]) -> Result<Vec<DataType>> {
    if given.iter().any(|t| matches!(t, DataType::List(_))) {
        return crate::function::same(given);
    }
    let all_binary = !given.is_empty() && given.iter().all(is_binary);
    let each = if all_binary { DataType::BinaryView } else { DataType::Utf8View };
    if let Some(nested) = given.iter().find(|t| t.is_nested()) {
        return plan_err!("concat() cannot join {nested}");
    }
    Ok(vec![each; given.len()])
}

#[expect(clippy::unnecessary_wraps, reason = "the type of every type function")]
fn concat_type(given: &[DataType]) -> Result<DataType> {
    Ok(given.first().cloned().unwrap_or(DataType::Utf8View))
}

fn concat(args: &[ArrayRef], t: &DataType) -> Result<ArrayRef> {
    match t {
        DataType::List(_) => concat_lists(args),
        DataType::BinaryView => bytes(args[0].len(), |i| {
            let mut all = Vec::new();
            for arg in args {
                all.extend_from_slice(binaries(arg).at(i)?);
            }
            Some(all)
        }),
        _ => {
            let columns: Vec<_> = args.iter().map(strings).collect();
            written(args.first().map_or(1, Array::len), |i, out| {
                for column in &columns {
                    out.push_str(column.at(i)?);
                }
                Some(())
            })
        }
    }
}

fn concat_lists(args: &[ArrayRef]) -> Result<ArrayRef> {
    let lists: Vec<&ListArray> = args.iter().map(AsArray::as_list::<i32>).collect();
    let values: Vec<&dyn Array> = lists.iter().map(|l| l.values().as_ref()).collect();
    let all = concat_arrays(&values)?;
    let starts: Vec<u32> = lists
        .iter()
        .scan(0, |next, l| {
            let start = *next;
            *next += l.values().len() as u32;
            Some(start)
        })
        .collect();
    crate::columns::picked_lists(&all, args[0].len(), |i, picked| {
        for (list, start) in lists.iter().zip(&starts) {
            picked.extend(crate::columns::span(list, i)?.map(|at| Some(start + at)));
        }
        Some(())
    })
}

fn concat_ws_args(given: &[DataType]) -> Result<Vec<DataType>> {
    if given.is_empty() {
        return plan_err!("concat_ws() needs a separator");
    }
    let each = |t: &DataType| match t {
        DataType::List(_) => list_of(DataType::Utf8View),
        _ => DataType::Utf8View,
    };
    Ok(given.iter().map(each).collect())
}

fn concat_ws(args: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    let separator = strings(&args[0]);
    written(separator.len(), |i, out| {
        let separator = separator.at(i)?;
        let mut first = true;
        let mut push = |text: &str, out: &mut String| {
            if !std::mem::take(&mut first) {
                out.push_str(separator);
            }
            out.push_str(text);
        };
        for arg in &args[1..] {
            if let Some(list) = arg.as_list_opt::<i32>() {
                let values = strings(list.values());
                for at in crate::columns::span(list, i).into_iter().flatten() {
                    if let Some(text) = values.at(at as usize) {
                        push(text, out);
                    }
                }
            } else if let Some(text) = strings(arg).at(i) {
                push(text, out);
            }
        }
        Some(())
    })
}

fn substring_index<'a>(text: &'a str, by: &str, count: i32) -> &'a str {
    if by.is_empty() || count == 0 {
        return "";
    }
    let nth = count.unsigned_abs() as usize - 1;
    if count > 0 {
        text.match_indices(by).nth(nth).map_or(text, |(at, _)| &text[..at])
    } else {
        text.rmatch_indices(by).nth(nth).map_or(text, |(at, _)| &text[at + by.len()..])
    }
}

fn trim(args: &[ArrayRef], text: usize, set: usize, start: bool, end: bool) -> Result<ArrayRef> {
    let texts_in = strings(&args[text]);
    texts(texts_in.len(), |i| {
        let mut text = texts_in.at(i)?;
        let set = if args.len() > 1 { strings(&args[set]).at(i)? } else { " " };
        if start {
            text = text.trim_start_matches(|c| set.contains(c));
        }
        if end {
            text = text.trim_end_matches(|c| set.contains(c));
        }
        Some(text)
    })
}

/// Binary only if all of `parts` are.
fn alike(given: &[DataType], parts: &[usize], name: &str) -> Result<DataType> {
    let parts = || parts.iter().filter_map(|&i| given.get(i));
    if let Some(nested) = parts().find(|t| t.is_nested()) {
        return plan_err!("{name}() needs a string or binary, not {}", crate::types::spark_name(nested));
    }
    Ok(if parts().all(is_binary) { DataType::BinaryView } else { DataType::Utf8View })
}

fn pad_args(given: &[DataType]) -> Result<Vec<DataType>> {
    if !(2..=3).contains(&given.len()) {
        return plan_err!("a text, a length and perhaps a filling are needed, not {} arguments", given.len());
    }
    let each = alike(given, &[0, 2], "lpad")?;
    Ok([each.clone(), DataType::Int32, each].into_iter().take(given.len()).collect())
}

fn pad(args: &[ArrayRef], t: &DataType, start: bool) -> Result<ArrayRef> {
    let length = ints(&args[1]);
    let name = if start { "lpad" } else { "rpad" };
    text_fits(name, (0..length.len()).map(|i| length.at(i).map(|n| n.max(0) as usize)))?;
    if *t == DataType::BinaryView {
        return pad_bytes(args, start);
    }
    let (text, length) = (strings(&args[0]), ints(&args[1]));
    written(text.len(), |i, out| {
        let (text, length) = (text.at(i)?, length.at(i)?.max(0) as usize);
        let with = if args.len() > 2 { strings(&args[2]).at(i)? } else { " " };
        let missing = length.saturating_sub(text.chars().count());
        let cut = &text[..byte_at(text, length)];
        if !start {
            out.push_str(cut);
        }
        out.extend(with.chars().cycle().take(missing));
        if start {
            out.push_str(cut);
        }
        Some(())
    })
}

fn pad_bytes(args: &[ArrayRef], start: bool) -> Result<ArrayRef> {
    let (data, length) = (binaries(&args[0]), ints(&args[1]));
    bytes(data.len(), |i| {
        let (data, length) = (data.at(i)?, length.at(i)?.max(0) as usize);
        let with = if args.len() > 2 { binaries(&args[2]).at(i)? } else { &[0] };
        let cut = &data[..data.len().min(length)];
        let filling = with.iter().copied().cycle().take(length.saturating_sub(data.len()));
        Some(if start {
            filling.chain(cut.iter().copied()).collect()
        } else {
            [cut, &filling.collect::<Vec<_>>()].concat()
        })
    })
}

fn overlay_args(given: &[DataType]) -> Result<Vec<DataType>> {
    if !(3..=4).contains(&given.len()) {
        return plan_err!("overlay() takes 3 to 4 arguments, not {}", given.len());
    }
    let each = alike(given, &[0, 1], "overlay")?;
    if given[..2].iter().any(is_binary) && each != DataType::BinaryView {
        return plan_err!("overlay() needs two strings or two binaries");
    }
    Ok([each.clone(), each, DataType::Int32, DataType::Int32].into_iter().take(given.len()).collect())
}

fn overlay(args: &[ArrayRef], t: &DataType) -> Result<ArrayRef> {
    let (at, length) = (ints(&args[2]), args.get(3).map(ints));
    // Negative: as long as what is put there.
    let length = |i: usize| length.map_or(Some(-1), |length| length.at(i));
    if *t == DataType::BinaryView {
        let (data, with) = (binaries(&args[0]), binaries(&args[1]));
        return bytes(data.len(), |i| {
            let (data, with, at) = (data.at(i)?, with.at(i)?, at.at(i)?);
            let length = length(i).map(|length| if length < 0 { with.len() as i32 } else { length })?;
            let rest = piece(data, at.saturating_add(length), i32::MAX);
            Some([piece(data, 1, at.saturating_sub(1)), with, rest].concat())
        });
    }
    let (text, with) = (strings(&args[0]), strings(&args[1]));
    written(text.len(), |i, out| {
        let (text, with, at) = (text.at(i)?, with.at(i)?, at.at(i)?);
        let length = length(i).map(|length| if length < 0 { with.chars().count() as i32 } else { length })?;
        out.push_str(part(text, 1, at.saturating_sub(1)));
        out.push_str(with);
        out.push_str(part(text, at.saturating_add(length), i32::MAX));
        Some(())
    })
}

fn split_part<'a>(text: &'a str, by: &str, number: i32) -> &'a str {
    let nth = number.unsigned_abs() as usize;
    if nth == 0 {
        return "";
    }
    if by.is_empty() {
        return if nth == 1 { text } else { "" };
    }
    let found = if number > 0 { text.split(by).nth(nth - 1) } else { text.rsplit(by).nth(nth - 1) };
    found.unwrap_or("")
}

fn byte_length(column: &ArrayRef, t: &DataType, factor: i32) -> Result<ArrayRef> {
    let data = cast_column(column, &DataType::BinaryView)?;
    let data = binaries(&data);
    numbers::<Int32Type>(data.len(), t, |i| data.at(i).map(|d| d.len() as i32 * factor))
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

pub(crate) fn base64(data: &[u8]) -> String {
    let mut out = String::with_capacity(data.len().div_ceil(3) * 4);
    for chunk in data.chunks(3) {
        let bits = chunk.iter().enumerate().fold(0_u32, |bits, (i, &b)| bits | u32::from(b) << (16 - 8 * i));
        for place in 0..4 {
            let digit = BASE64[(bits >> (18 - 6 * place)) as usize & 63];
            out.push(if place <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    out
}

/// Bytes of base 64, in which other characters than its digits are skipped (MIME).
pub(crate) fn unbase64(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=').bytes().filter_map(|b| BASE64.iter().position(|&d| d == b));
    let (mut out, mut bits, mut count) = (Vec::with_capacity(text.len() / 4 * 3), 0_u32, 0);
    for digit in digits {
        bits = bits << 6 | digit as u32;
        count += 1;
        if count % 4 == 0 {
            out.extend_from_slice(&bits.to_be_bytes()[1..]);
            bits = 0;
        }
    }
    match count % 4 {
        0 => {}
        1 => return None,
        2 => out.push((bits >> 4) as u8),
        _ => out.extend_from_slice(&((bits >> 2) as u16).to_be_bytes()),
    }
    Some(out)
}

fn levenshtein(a: &str, b: &str) -> i32 {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<i32> = (0..=b.len() as i32).collect();
    for (i, a) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i as i32 + 1;
        for (j, &b) in b.iter().enumerate() {
            let replaced = diagonal + i32::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

fn format_number(args: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    let pattern = crate::types::is_text(args[1].data_type()).then(|| cast_column(&args[1], &DataType::Utf8View));
    let pattern = pattern.transpose()?;
    let digits = if pattern.is_some() { None } else { Some(cast_column(&args[1], &DataType::Int32)?) };
    written(args[0].len(), |i, out| {
        let value = ScalarValue::try_from_array(&args[0], i).ok().filter(|v| !v.is_null())?;
        let (least, most, grouped, whole) = match (&pattern, &digits) {
            (Some(pattern), _) => pattern_digits(strings(pattern).at(i)?),
            (None, Some(digits)) => {
                let digits = ints(digits).at(i).filter(|&d| d >= 0)?;
                (digits, digits, true, 1)
            }
            (None, None) => return None,
        };
        grouped_digits(&value, least, most, grouped, whole, out)
    })
}

/// Least and most digits behind the point, whether thousands are grouped, least digits before the point.
fn pattern_digits(pattern: &str) -> (i32, i32, bool, usize) {
    if pattern.is_empty() {
        return (0, 0, true, 1);
    }
    let (whole, fraction) = pattern.split_once('.').unwrap_or((pattern, ""));
    let zeros = |s: &str| s.chars().filter(|&c| c == '0').count();
    let places = fraction.chars().filter(|c| matches!(c, '0' | '#')).count() as i32;
    (zeros(fraction) as i32, places, whole.contains(','), zeros(whole))
}

fn grouped_digits(
    value: &ScalarValue,
    least: i32,
    most: i32,
    grouped: bool,
    whole: usize,
    out: &mut String,
) -> Option<()> {
    let text = match value.cast_to(&DataType::Float64).ok()? {
        ScalarValue::Float64(Some(v)) if !v.is_finite() => {
            out.push_str(if v.is_nan() {
                "NaN"
            } else if v > 0.0 {
                "∞"
            } else {
                "-∞"
            });
            return Some(());
        }
        // Exact decimals of a double: Java's DecimalFormat rounds the value itself, half to even.
        ScalarValue::Float64(Some(v)) if matches!(value, ScalarValue::Float64(_) | ScalarValue::Float32(_)) => {
            if v.abs() < 9_007_199_254_740_992.0 {
                format!("{v:.*}", most as usize)
            } else {
                // Beyond the exact integers, zeros follow the shortest digits.
                format!("{v}.{}", "0".repeat(most as usize))
            }
        }
        _ => {
            let column = value.to_array().ok()?;
            let exact = cast_column(&column, &DataType::Decimal128(38, 18)).ok()?;
            let exact = exact.as_primitive::<arrow::datatypes::Decimal128Type>().at(0)?;
            let mut text = String::new();
            let unit = 10_i128.pow((18 - most.min(18)) as u32);
            let (q, rest) = (exact.div_euclid(unit), exact.rem_euclid(unit));
            let up = rest > unit - rest || rest == unit - rest && rest != 0 && q % 2 != 0;
            let scaled = (q + i128::from(up)) * 10_i128.pow((most - most.min(18)) as u32);
            let digits = format!("{:0>width$}", scaled.unsigned_abs(), width = most as usize + 1);
            text.push_str(if exact < 0 { "-" } else { "" });
            text.push_str(&digits[..digits.len() - most as usize]);
            text.push('.');
            text.push_str(&digits[digits.len() - most as usize..]);
            text
        }
    };
    let (sign, digits) = text.strip_prefix('-').map_or(("", text.as_str()), |rest| ("-", rest));
    let (units, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let keep = fraction.len() - fraction[least as usize..].chars().rev().take_while(|&c| c == '0').count();
    // Java keeps the sign of what is rounded to nothing.
    out.push_str(sign);
    let padded = format!("{units:0>whole$}");
    for (i, c) in padded.chars().enumerate() {
        if grouped && i > 0 && (padded.len() - i) % 3 == 0 {
            out.push(',');
        }
        out.push(c);
    }
    if keep > 0 {
        out.push('.');
        out.push_str(&fraction[..keep]);
    }
    Some(())
}

fn mask(args: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    let text = strings(&args[0]);
    let with = |index: usize, default: Option<char>, i: usize| match args.get(index) {
        Some(column) => strings(column).at(i).and_then(|s| s.chars().next()),
        None => default,
    };
    written(text.len(), |i, out| {
        let with = [with(1, Some('X'), i), with(2, Some('x'), i), with(3, Some('n'), i), with(4, None, i)];
        out.extend(text.at(i)?.chars().map(|c| {
            let class = if c.is_uppercase() {
                0
            } else if c.is_lowercase() {
                1
            } else if c.is_ascii_digit() {
                2
            } else {
                3
            };
            with[class].unwrap_or(c)
        }));
        Some(())
    })
}
