//! Functions of regular expressions. Java's patterns are made patterns of the `regex` crate: linear time, no look-around and
//! no back references, which are errors that say so.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayBuilder, ArrayRef, StringViewBuilder};
use arrow::datatypes::{DataType, Int32Type};
use datafusion::common::{DataFusionError, Result, exec_err};
use memchr::memmem::Finder;
use regex::{Captures, Match, Regex};

use crate::columns::{At, Lists, booleans, ints, numbers, strings, text_lists, texts};
use crate::function::Arg::{Int, Text};
use crate::function::{Function, Returns};
use crate::types::list_of;

const DIFFERENCE: &str =
    "no look-around, back references or \\Z; $ matches at the very end only; (?i) knows all alphabets";
const TEXT: Returns = Returns::Is(|| DataType::Utf8View);
const INT: Returns = Returns::Is(|| DataType::Int32);

pub(crate) static FUNCTIONS: &[Function] = &[
    Function::new("regexp_like", &[Text, Text], Returns::Is(|| DataType::Boolean), |args, _| {
        let mut patterns = Patterns::new(&args[1])?;
        let text = strings(&args[0]);
        booleans(text.len(), |i| Some(patterns.at(i)?.is_match(text.at(i)?)))
    })
    .aliases(&["rlike", "regexp"])
    .doc("regexp_like(text, pattern)", "Whether a pattern occurs in a text; also text RLIKE pattern.")
    .differs(DIFFERENCE)
    .tried(),
    Function::new("regexp_extract", &[Text, Text, Int], TEXT, regexp_extract)
        .optional(1)
        .doc("regexp_extract(text, pattern[, group])", "A group (1) of the first match; empty if there is none.")
        .differs(DIFFERENCE)
        .tried(),
    Function::new("regexp_extract_all", &[Text, Text, Int], Returns::Is(|| list_of(DataType::Utf8View)), |args, _| {
        let mut patterns = Patterns::new(&args[1])?;
        patterns.check_groups(args)?;
        let text = strings(&args[0]);
        text_lists(text.len(), |i, out| {
            let (pattern, text, group) = (patterns.at(i)?, text.at(i)?, group_at(args, i)?);
            for found in all_captures(pattern, text) {
                out.append_value(found.get(group).map_or("", |m| m.as_str()));
            }
            Some(())
        })
    })
    .optional(1)
    .doc("regexp_extract_all(text, pattern[, group])", "A group (1) of every match.")
    .differs(DIFFERENCE)
    .tried(),
    Function::new("regexp_replace", &[Text, Text, Text, Int], TEXT, regexp_replace)
        .optional(1)
        .doc("regexp_replace(text, pattern, with[, from])", "text with every match replaced; $1 is the first group.")
        .differs(DIFFERENCE)
        .tried(),
    Function::new("regexp_count", &[Text, Text], INT, |args, t| {
        let mut patterns = Patterns::new(&args[1])?;
        let text = strings(&args[0]);
        numbers::<Int32Type>(text.len(), t, |i| Some(all_matches(patterns.at(i)?, text.at(i)?).count() as i32))
    })
    .doc("regexp_count(text, pattern)", "Number of matches.")
    .differs(DIFFERENCE)
    .tried(),
    Function::new("regexp_substr", &[Text, Text], TEXT, |args, _| {
        let mut patterns = Patterns::new(&args[1])?;
        let text = strings(&args[0]);
        texts(text.len(), |i| patterns.at(i)?.find(text.at(i)?).map(|m| m.as_str()))
    })
    .doc("regexp_substr(text, pattern)", "The first match, null if there is none.")
    .differs(DIFFERENCE)
    .tried(),
    Function::new("regexp_instr", &[Text, Text, Int], INT, |args, t| {
        let mut patterns = Patterns::new(&args[1])?;
        let text = strings(&args[0]);
        numbers::<Int32Type>(text.len(), t, |i| {
            let text = text.at(i)?;
            let found = patterns.at(i)?.find(text);
            Some(found.map_or(0, |m| text[..m.start()].chars().count() as i32 + 1))
        })
    })
    .optional(1)
    .doc("regexp_instr(text, pattern)", "Position of the first match, 0 if there is none.")
    .differs(DIFFERENCE)
    .tried(),
    Function::new("split", &[Text, Text, Int], Returns::Is(|| list_of(DataType::Utf8View)), split)
        .optional(1)
        .doc("split(text, pattern[, limit])", "Parts between the matches, at most limit of them.")
        .differs(DIFFERENCE)
        .tried(),
];

/// The compiled patterns of a column: compiled anew only where the text changes.
struct Patterns<'a> {
    column: &'a ArrayRef,
    compiled: Vec<Regex>,
    of_row: Option<Vec<u32>>,
}

impl<'a> Patterns<'a> {
    fn new(column: &'a ArrayRef) -> Result<Self> {
        let texts = strings(column);
        let mut patterns = Self { column, compiled: Vec::new(), of_row: None };
        let mut of_row = Vec::with_capacity(texts.len());
        let mut known: Vec<&str> = Vec::new();
        for row in 0..texts.len() {
            let text = texts.at(row).unwrap_or("");
            // Nearly always one pattern: the last one is looked at first.
            let index = if let Some(index) = known.iter().rposition(|k| *k == text) {
                index
            } else {
                known.push(text);
                patterns.compiled.push(compile(text)?);
                known.len() - 1
            };
            of_row.push(index as u32);
        }
        if known.len() > 1 {
            patterns.of_row = Some(of_row);
        }
        Ok(patterns)
    }

    fn at(&mut self, row: usize) -> Option<&Regex> {
        self.column.is_valid(row).then_some(())?;
        let index = self.of_row.as_ref().map_or(0, |rows| rows[row] as usize);
        self.compiled.get(index)
    }

    fn check_groups(&mut self, args: &[ArrayRef]) -> Result<()> {
        for row in 0..args[0].len() {
            if let (Some(pattern), Some(group)) = (self.at(row), group_at(args, row))
                && group >= pattern.captures_len()
            {
                return exec_err!("pattern {pattern} has {} groups, not {group}", pattern.captures_len() - 1);
            }
        }
        Ok(())
    }
}

/// Java's pattern as a Rust regular expression.
fn compile(pattern: &str) -> Result<Regex> {
    Regex::new(&translated(pattern)).map_err(|error| {
        // A syntax error is drawn over several lines, of which the last says what is wrong.
        let drawn = error.to_string();
        let reason = drawn.lines().last().unwrap_or_default().trim_start_matches("error: ");
        DataFusionError::Execution(format!("pattern '{pattern}': {reason}"))
    })
}

/// Every match as Java's `Matcher.find` finds them: an empty one may begin where the last one ended.
fn all_matches<'t>(pattern: &Regex, text: &'t str) -> impl Iterator<Item = Match<'t>> {
    let mut from = Some(0);
    std::iter::from_fn(move || {
        let found = pattern.find_at(text, from?)?;
        from = behind(text, &found);
        Some(found)
    })
}

fn all_captures<'t>(pattern: &Regex, text: &'t str) -> impl Iterator<Item = Captures<'t>> {
    let mut from = Some(0);
    std::iter::from_fn(move || {
        let found = pattern.captures_at(text, from?)?;
        from = behind(text, &found.get(0)?);
        Some(found)
    })
}

/// Where the search goes on; nowhere behind an empty match at the end.
fn behind(text: &str, found: &Match<'_>) -> Option<usize> {
    if !found.is_empty() {
        return Some(found.end());
    }
    text[found.end()..].chars().next().map(|c| found.end() + c.len_utf8())
}

/// What Java's classes are, to stand within brackets.
const CLASSES: &[(&str, &str)] = &[
    ("d", "0-9"),
    ("w", "a-zA-Z0-9_"),
    ("s", r" \t\n\x0B\f\r"),
    ("h", r" \t\xA0\u{1680}\u{180E}\u{2000}-\u{200A}\u{202F}\u{205F}\u{3000}"),
    ("v", r"\n\x0B\f\r\x85\u{2028}\u{2029}"),
    ("p{Lower}", "a-z"),
    ("p{Upper}", "A-Z"),
    ("p{ASCII}", r"\x00-\x7F"),
    ("p{Alpha}", "a-zA-Z"),
    ("p{Digit}", "0-9"),
    ("p{Alnum}", "a-zA-Z0-9"),
    ("p{Punct}", r"!-/:-@\[-`{-~"),
    ("p{Graph}", "!-~"),
    ("p{Print}", " -~"),
    ("p{Blank}", r" \t"),
    ("p{Cntrl}", r"\x00-\x1F\x7F"),
    ("p{XDigit}", "0-9a-fA-F"),
    ("p{Space}", r" \t\n\x0B\f\r"),
];

/// Java's pattern in the `regex` crate's syntax, where they write the same otherwise.
fn translated(pattern: &str) -> String {
    let (mut out, mut rest, mut depth) = (String::with_capacity(pattern.len()), pattern, 0_usize);
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        rest = after;
        match c {
            '\\' => rest = escape(after, depth, &mut out),
            '[' => {
                depth += 1;
                out.push(c);
                // Java has no [:alpha:]: these are characters.
                if depth > 1 && after.starts_with(':') {
                    out.push('\\');
                }
                // A bracket that comes first is a character.
                for first in ["^]", "]"] {
                    if let Some(after) = rest.strip_prefix(first) {
                        out.push_str(first);
                        rest = after;
                        break;
                    }
                }
            }
            ']' if depth > 0 => {
                depth -= 1;
                out.push(c);
            }
            _ => out.push(c),
        }
    }
    out
}

/// Writes what a backslash and `text` begin with mean, and returns what follows.
fn escape<'p>(text: &'p str, depth: usize, out: &mut String) -> &'p str {
    if let Some(quoted) = text.strip_prefix('Q') {
        let (quoted, after) = quoted.split_once("\\E").unwrap_or((quoted, ""));
        out.push_str(&regex::escape(quoted));
        return after;
    }
    if let Some(after) = text.strip_prefix('e') {
        out.push_str(r"\x1B");
        return after;
    }
    if let (0, Some(after)) = (depth, text.strip_prefix('R')) {
        out.push_str(r"(?:\r\n|[\n\x0B\f\r\x85\u{2028}\u{2029}])");
        return after;
    }
    for (name, class) in CLASSES {
        let (first, rest) = name.split_at(1);
        for (negated, letter) in [("", first.to_owned()), ("^", first.to_uppercase())] {
            if let Some(after) = text.strip_prefix(letter.as_str()).and_then(|text| text.strip_prefix(rest)) {
                out.extend(["[", negated, class, "]"]);
                return after;
            }
        }
    }
    let escaped = text.chars().next();
    out.push('\\');
    out.extend(escaped);
    &text[escaped.map_or(0, char::len_utf8)..]
}

fn group_at(args: &[ArrayRef], row: usize) -> Option<usize> {
    match args.get(2) {
        Some(groups) => usize::try_from(ints(groups).at(row)?).ok(),
        None => Some(1),
    }
}

fn regexp_extract(args: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    let mut patterns = Patterns::new(&args[1])?;
    patterns.check_groups(args)?;
    let text = strings(&args[0]);
    let mut found = patterns.compiled.first().map(Regex::capture_locations);
    let single = patterns.of_row.is_none();
    texts(text.len(), |i| {
        let (pattern, text, group) = (patterns.at(i)?, text.at(i)?, group_at(args, i)?);
        if group == 0 {
            return Some(pattern.find(text).map_or("", |m| m.as_str()));
        }
        // One pattern: its match positions are written into the same memory for every row.
        if let (true, Some(found)) = (single, &mut found) {
            let matched = pattern.captures_read(found, text).is_some();
            return Some(if matched { found.get(group).map_or("", |(a, b)| &text[a..b]) } else { "" });
        }
        Some(pattern.captures(text).and_then(|c| c.get(group)).map_or("", |m| m.as_str()))
    })
}

/// A piece of a Java replacement text.
enum Piece {
    Text(String),
    Group(usize),
    Named(String),
}

/// Reads `$1`, `${name}` and `\x`; a group number takes as many digits as the pattern has groups for.
fn pieces(with: &str, groups: usize) -> Vec<Piece> {
    let mut out = Vec::new();
    let mut text = String::new();
    let mut rest = with.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\\' => text.extend(rest.next()),
            '$' if rest.peek() == Some(&'{') => {
                rest.next();
                out.push(Piece::Text(std::mem::take(&mut text)));
                out.push(Piece::Named(rest.by_ref().take_while(|&c| c != '}').collect()));
            }
            '$' if rest.peek().is_some_and(char::is_ascii_digit) => {
                let mut group = 0;
                while let Some(digit) = rest.peek().and_then(|c| c.to_digit(10)) {
                    let longer = group * 10 + digit as usize;
                    if group > 0 && longer >= groups {
                        break;
                    }
                    group = longer;
                    rest.next();
                }
                out.push(Piece::Text(std::mem::take(&mut text)));
                out.push(Piece::Group(group));
            }
            c => text.push(c),
        }
    }
    out.push(Piece::Text(text));
    out
}

fn regexp_replace(args: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    let mut patterns = Patterns::new(&args[1])?;
    let (text, with) = (strings(&args[0]), strings(&args[2]));
    let mut cached: Option<(String, usize, Vec<Piece>)> = None;
    crate::columns::written(text.len(), |i, out| {
        let (text, with, pattern) = (text.at(i)?, with.at(i)?, patterns.at(i)?);
        let from = match args.get(3) {
            Some(from) => ints(from).at(i)?,
            None => 1,
        };
        let groups = pattern.captures_len();
        if cached.as_ref().is_none_or(|(text, n, _)| text != with || *n != groups) {
            cached = Some((with.to_owned(), groups, pieces(with, groups)));
        }
        let (_, _, pieces) = cached.as_ref()?;
        let start = text.char_indices().nth(from.max(1) as usize - 1).map_or(text.len(), |(at, _)| at);
        let mut last = start;
        out.push_str(&text[..start]);
        for found in all_captures(pattern, &text[start..]) {
            let whole = found.get(0)?;
            out.push_str(&text[last..start + whole.start()]);
            for piece in pieces {
                match piece {
                    Piece::Text(text) => out.push_str(text),
                    Piece::Group(group) => out.push_str(found.get(*group).map_or("", |m| m.as_str())),
                    Piece::Named(name) => out.push_str(found.name(name).map_or("", |m| m.as_str())),
                }
            }
            last = start + whole.end();
        }
        out.push_str(&text[last..]);
        Some(())
    })
}

/// Lists of the parts of texts between the matches of patterns, perhaps with a limit.
pub(crate) fn split(args: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    let mut patterns = Patterns::new(&args[1])?;
    let (text, by) = (strings(&args[0]), strings(&args[1]));
    // Searching for a plain text is several times as fast as for a pattern.
    let plain = |pattern: &Regex| regex::escape(pattern.as_str()) == pattern.as_str();
    let finder = |pattern: &Regex| plain(pattern).then(|| Finder::new(pattern.as_str()).into_owned());
    let finders: Vec<Option<Finder>> = patterns.compiled.iter().map(finder).collect();
    let mut values = StringViewBuilder::new();
    let mut lists = Lists::with_capacity(text.len());
    for i in 0..text.len() {
        let limit = match args.get(2) {
            Some(limits) => ints(limits).at(i),
            None => Some(-1),
        };
        let index = patterns.of_row.as_ref().map_or(0, |rows| rows[i] as usize);
        let (Some(text), Some(by), Some(limit)) = (text.at(i), by.at(i), limit) else {
            lists.push(values.len(), false);
            continue;
        };
        let limit = if limit <= 0 { usize::MAX } else { limit as usize };
        if by.is_empty() {
            split_characters(text, limit, &mut values);
        } else if let Some(finder) = finders.get(index).and_then(Option::as_ref) {
            let found = finder.find_iter(text.as_bytes()).map(|at| at..at + finder.needle().len());
            split_at(text, found, limit, &mut values);
        } else if let Some(pattern) = patterns.at(i) {
            // As Java's `String.split`: an empty match at the start gives no empty first part.
            let found = all_matches(pattern, text).map(|found| found.range()).filter(|found| found.end > 0);
            split_at(text, found, limit, &mut values);
        }
        lists.push(values.len(), true);
    }
    lists.finish(Arc::new(values.finish()))
}

fn split_characters(text: &str, limit: usize, out: &mut StringViewBuilder) {
    if text.is_empty() {
        out.append_value("");
    }
    let mut ends = text.char_indices().map(|(at, c)| (at, at + c.len_utf8()));
    for _ in 1..limit {
        match ends.next() {
            Some((start, end)) => out.append_value(&text[start..end]),
            None => return,
        }
    }
    if let Some((start, _)) = ends.next() {
        out.append_value(&text[start..]);
    }
}

/// The parts between the matches, `limit` at most.
fn split_at(text: &str, found: impl Iterator<Item = Range<usize>>, limit: usize, out: &mut StringViewBuilder) {
    let mut last = 0;
    for found in found.take(limit - 1) {
        out.append_value(&text[last..found.start]);
        last = found.end;
    }
    out.append_value(&text[last..]);
}
