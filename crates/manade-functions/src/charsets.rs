//! Texts as bytes of a charset.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::DataType;
use datafusion::common::{Result, exec_err, plan_err};

use crate::columns::{At, binaries, bytes, strings, texts};
use crate::function::Arg::Text;
use crate::function::{Function, Returns, common};

const DIFFERENCE: &str =
    "what a charset cannot hold becomes ?, and bytes that are none of its text the replacement character: not errors";

pub(crate) static FUNCTIONS: &[Function] = &[
    Function::by("decode", decode_args, Returns::By(decode_type), decode)
        .doc(
            "decode(bytes, charset) or decode(x, a, result, ..., [default])",
            "Text of bytes; or the result beside the value that x is equal to.",
        )
        .differs(DIFFERENCE)
        .tried(),
    Function::new("encode", &[Text, Text], Returns::Is(|| DataType::BinaryView), |args, _| {
        let (text, charset) = (strings(&args[0]), strings(&args[1]));
        check_charsets(&args[1])?;
        bytes(text.len(), |i| Some(charset_of(charset.at(i)?)?.encode(text.at(i)?)))
    })
    .doc("encode(text, charset)", "Bytes of a text.")
    .differs(DIFFERENCE)
    .tried(),
];

#[derive(Clone, Copy)]
enum Charset {
    Utf8,
    /// Code points below this, each a byte.
    Bytes(u32),
    Utf16 {
        little: bool,
        /// Begins with its byte order.
        marked: bool,
    },
    Utf32,
}

fn charset_of(name: &str) -> Option<Charset> {
    Some(match name.to_ascii_lowercase().as_str() {
        "utf-8" | "utf8" => Charset::Utf8,
        "us-ascii" => Charset::Bytes(128),
        "iso-8859-1" => Charset::Bytes(256),
        "utf-16" => Charset::Utf16 { little: false, marked: true },
        "utf-16be" => Charset::Utf16 { little: false, marked: false },
        "utf-16le" => Charset::Utf16 { little: true, marked: false },
        "utf-32" => Charset::Utf32,
        _ => return None,
    })
}

fn check_charsets(names: &ArrayRef) -> Result<()> {
    let names = strings(names);
    match (0..names.len()).filter_map(|i| names.at(i)).find(|n| charset_of(n).is_none()) {
        Some(name) => {
            exec_err!("no charset {name}: UTF-8, UTF-16, UTF-16BE, UTF-16LE, UTF-32, US-ASCII and ISO-8859-1 are known")
        }
        None => Ok(()),
    }
}

impl Charset {
    fn encode(self, text: &str) -> Vec<u8> {
        match self {
            Self::Utf8 => text.as_bytes().to_vec(),
            Self::Bytes(end) => {
                let byte = |c: char| if u32::from(c) < end { u32::from(c) as u8 } else { b'?' };
                text.chars().map(byte).collect()
            }
            // Nothing needs no mark.
            Self::Utf16 { .. } if text.is_empty() => Vec::new(),
            Self::Utf16 { little, marked } => {
                let units = marked.then_some(0xFEFF).into_iter().chain(text.encode_utf16());
                units.flat_map(|unit| if little { unit.to_le_bytes() } else { unit.to_be_bytes() }).collect()
            }
            Self::Utf32 => text.chars().flat_map(|c| u32::from(c).to_be_bytes()).collect(),
        }
    }

    fn decode(self, data: &[u8]) -> String {
        match self {
            Self::Utf8 => String::from_utf8_lossy(data).into_owned(),
            Self::Bytes(end) => {
                let char = |b: &u8| if u32::from(*b) < end { char::from(*b) } else { char::REPLACEMENT_CHARACTER };
                data.iter().map(char).collect()
            }
            Self::Utf16 { little, marked } => {
                let (data, little) = match data {
                    [0xFF, 0xFE, rest @ ..] if marked => (rest, true),
                    [0xFE, 0xFF, rest @ ..] if marked => (rest, false),
                    _ => (data, little),
                };
                let (units, rest) = data.as_chunks::<2>();
                let unit = |two: &[u8; 2]| if little { u16::from_le_bytes(*two) } else { u16::from_be_bytes(*two) };
                let text = String::from_utf16_lossy(&units.iter().map(unit).collect::<Vec<_>>());
                if rest.is_empty() { text } else { text + "\u{FFFD}" }
            }
            Self::Utf32 => {
                let char = |four: &[u8; 4]| char::from_u32(u32::from_be_bytes(*four));
                let chars = data.as_chunks::<4>().0.iter().map(char);
                chars.map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
            }
        }
    }
}

fn decode_args(given: &[DataType]) -> Result<Vec<DataType>> {
    match given {
        [] | [_] => plan_err!("decode() takes bytes and a charset, or a value and pairs of value and result"),
        [_, _] => Ok(vec![DataType::BinaryView, DataType::Utf8View]),
        _ => {
            let result = decode_type(given)?;
            let values: Vec<_> =
                given.iter().enumerate().filter(|&(i, _)| decoded(i, given.len())).map(|(_, t)| t.clone()).collect();
            let value = common(&values)?;
            let each = |i| if decoded(i, given.len()) { value.clone() } else { result.clone() };
            Ok((0..given.len()).map(each).collect())
        }
    }
}

/// Whether argument `i` of `decode(x, a, result, ...)` is compared; the others are results.
fn decoded(i: usize, len: usize) -> bool {
    i == 0 || i % 2 == 1 && i + 1 < len
}

fn decode_type(given: &[DataType]) -> Result<DataType> {
    if given.len() == 2 {
        return Ok(DataType::Utf8View);
    }
    let len = given.len();
    common(&given.iter().enumerate().filter(|&(i, _)| !decoded(i, len)).map(|(_, t)| t.clone()).collect::<Vec<_>>())
}

fn decode(args: &[ArrayRef], t: &DataType) -> Result<ArrayRef> {
    if args.len() == 2 {
        let (data, charset) = (binaries(&args[0]), strings(&args[1]));
        check_charsets(&args[1])?;
        return texts(data.len(), |i| Some(charset_of(charset.at(i)?)?.decode(data.at(i)?)));
    }
    let rows = args[0].len();
    let mut result = match args.len() % 2 {
        0 => Arc::clone(&args[args.len() - 1]),
        _ => arrow::array::new_null_array(t, rows),
    };
    for pair in (1..args.len() - 1).step_by(2).rev() {
        let equal = arrow::compute::kernels::cmp::not_distinct(&args[0], &args[pair])?;
        result = arrow::compute::kernels::zip::zip(&equal, &args[pair + 1], &result)?;
    }
    Ok(result)
}
