//! JSON as a tree: the complete way, for records that are not plain.

use std::borrow::Cow;
use std::ops::Range;

use crate::scan::{
    Fault, byte, check_behind, check_depth, check_start, escape, key_start, next_element, next_member, number_end,
    plain_end, skip_space, string_end, value_start, word_end,
};

/// Arrays and objects may nest this deep; a deeper event is refused.
pub const MAX_DEPTH: usize = 500;

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Value<'a> {
    pub kind: Kind<'a>,
    pub span: Range<usize>,
}

#[derive(Debug, Clone)]
pub(crate) enum Kind<'a> {
    Null,
    Bool(bool),
    /// As written.
    Number(&'a str),
    String(Cow<'a, str>),
    Array(Vec<Value<'a>>),
    /// In the order of the text, duplicates included.
    Object(Vec<(Cow<'a, str>, Value<'a>)>),
}

/// One object and nothing else.
pub(crate) fn parse_event(text: &str) -> Result<Value<'_>, Fault> {
    let start = skip_space(text.as_bytes(), 0);
    check_start(text.as_bytes(), start)?;
    parse(text)
}

/// One value and nothing else.
pub(crate) fn parse(text: &str) -> Result<Value<'_>, Fault> {
    let value = parse_value(text, skip_space(text.as_bytes(), 0), 0)?;
    check_behind(text.as_bytes(), value.span.end)?;
    Ok(value)
}

impl<'a> Value<'a> {
    /// The last member of that name.
    pub fn member(&self, name: &str) -> Option<&Value<'a>> {
        let Kind::Object(members) = &self.kind else { return None };
        members.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value)
    }
}

/// A JSON string literal.
pub(crate) fn write_string(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if c < ' ' => {
                let code = u32::from(c);
                out.push_str("\\u00");
                out.push(char::from_digit(code >> 4, 16).unwrap_or('0'));
                out.push(char::from_digit(code & 15, 16).unwrap_or('0').to_ascii_uppercase());
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

fn parse_value(text: &str, start: usize, depth: usize) -> Result<Value<'_>, Fault> {
    let b = text.as_bytes();
    let (kind, end) = match byte(b, start) {
        b'"' => {
            let (string, end) = parse_string(text, start + 1)?;
            (Kind::String(string), end)
        }
        b'-' | b'0'..=b'9' => {
            let (end, _) = number_end(b, start)?;
            (Kind::Number(&text[start..end]), end)
        }
        b'{' => parse_object(text, start, depth + 1)?,
        b'[' => parse_array(text, start, depth + 1)?,
        first => {
            let end = word_end(b, start)?;
            (if first == b'n' { Kind::Null } else { Kind::Bool(first == b't') }, end)
        }
    };
    Ok(Value { kind, span: start..end })
}

fn parse_object(text: &str, start: usize, depth: usize) -> Result<(Kind<'_>, usize), Fault> {
    let b = text.as_bytes();
    check_depth(start, depth)?;
    let mut members = Vec::new();
    let mut i = skip_space(b, start + 1);
    if byte(b, i) == b'}' {
        return Ok((Kind::Object(members), i + 1));
    }
    loop {
        let (key, end) = parse_string(text, key_start(b, i)?)?;
        let value = parse_value(text, value_start(b, end)?, depth)?;
        i = value.span.end;
        members.push((key, value));
        match next_member(b, i)? {
            (end, true) => return Ok((Kind::Object(members), end)),
            (next, false) => i = next,
        }
    }
}

fn parse_array(text: &str, start: usize, depth: usize) -> Result<(Kind<'_>, usize), Fault> {
    let b = text.as_bytes();
    check_depth(start, depth)?;
    let mut elements = Vec::new();
    let mut i = skip_space(b, start + 1);
    if byte(b, i) == b']' {
        return Ok((Kind::Array(elements), i + 1));
    }
    loop {
        let element = parse_value(text, i, depth)?;
        i = element.span.end;
        elements.push(element);
        match next_element(b, i)? {
            (end, true) => return Ok((Kind::Array(elements), end)),
            (next, false) => i = next,
        }
    }
}

/// From behind the opening quote; the string and the place behind its closing quote.
fn parse_string(text: &str, start: usize) -> Result<(Cow<'_, str>, usize), Fault> {
    let b = text.as_bytes();
    let (end, escaped) = string_end(b, start)?;
    if !escaped {
        return Ok((Cow::Borrowed(&text[start..end]), end + 1));
    }
    let mut string = String::with_capacity(end - start);
    let mut i = start;
    while i < end {
        let plain = plain_end(b, i).min(end);
        string.push_str(&text[i..plain]);
        i = plain;
        if i < end {
            let (c, next) = escape(b, i)?;
            string.push(c);
            i = next;
        }
    }
    Ok((Cow::Owned(string), end + 1))
}
