//! Strict JSON (RFC 8259), checked and skipped without building anything. Input is valid UTF-8; positions are bytes.

use crate::json::MAX_DEPTH;

/// Why bytes are not JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fault {
    pub at: usize,
    pub what: &'static str,
}

/// The fault of an event that is JSON, as far as it was read.
pub(crate) const TOO_DEEP: &str = "nested deeper than 500 levels";

type Scan = Result<usize, Fault>;

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

pub(crate) fn fault<T>(at: usize, what: &'static str) -> Result<T, Fault> {
    Err(Fault { at, what })
}

#[inline]
pub(crate) fn byte(b: &[u8], i: usize) -> u8 {
    // A NUL is valid nowhere outside of strings, so it can stand for the end.
    b.get(i).copied().unwrap_or(0)
}

#[inline]
pub(crate) fn skip_space(b: &[u8], mut i: usize) -> usize {
    while matches!(byte(b, i), b' ' | b'\t' | b'\n' | b'\r') {
        i += 1;
    }
    i
}

/// The first of `"`, `\` and control characters at or after `i`, or the end. Eight bytes a step (the "has a byte less
/// than n" words of <https://graphics.stanford.edu/~seander/bithacks.html>); the lowest flag is exact.
#[inline]
pub(crate) fn plain_end(b: &[u8], mut i: usize) -> usize {
    while let Some(word) = b.get(i..).and_then(<[u8]>::first_chunk::<8>) {
        let x = u64::from_le_bytes(*word);
        let quote = (x ^ (ONES * 0x22)).wrapping_sub(ONES);
        let slash = (x ^ (ONES * 0x5c)).wrapping_sub(ONES);
        let flags = (x.wrapping_sub(ONES * 0x20) | quote | slash) & !x & HIGHS;
        if flags != 0 {
            return i + (flags.trailing_zeros() / 8) as usize;
        }
        i += 8;
    }
    while i < b.len() && b[i] >= 0x20 && b[i] != b'"' && b[i] != b'\\' {
        i += 1;
    }
    i
}

/// From behind the opening quote to the closing one; whether there are escapes between them.
#[inline]
pub(crate) fn string_end(b: &[u8], i: usize) -> Result<(usize, bool), Fault> {
    let end = plain_end(b, i);
    if byte(b, end) == b'"' { Ok((end, false)) } else { escaped_end(b, end).map(|end| (end, true)) }
}

#[cold]
fn escaped_end(b: &[u8], mut i: usize) -> Scan {
    loop {
        match b.get(i) {
            None => return fault(i, "the string does not end"),
            Some(b'"') => return Ok(i),
            Some(b'\\') => i = escape(b, i)?.1,
            Some(_) => return fault(i, "a control character in a string must be escaped"),
        }
        i = plain_end(b, i);
    }
}

/// The character that the escape sequence at `i` stands for, and where it ends.
pub(crate) fn escape(b: &[u8], i: usize) -> Result<(char, usize), Fault> {
    let plain = match byte(b, i + 1) {
        c @ (b'"' | b'\\' | b'/') => c as char,
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => return unicode(b, i),
        _ => return fault(i, "an unknown escape sequence in a string"),
    };
    Ok((plain, i + 2))
}

fn unicode(b: &[u8], i: usize) -> Result<(char, usize), Fault> {
    let first = hex4(b, i + 2)?;
    if !(0xd800..0xe000).contains(&first) {
        return Ok((char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER), i + 6));
    }
    let lone = "a lone surrogate in a string";
    if first >= 0xdc00 || byte(b, i + 6) != b'\\' || byte(b, i + 7) != b'u' {
        return fault(i, lone);
    }
    let second = hex4(b, i + 8)?;
    if !(0xdc00..0xe000).contains(&second) {
        return fault(i, lone);
    }
    let code = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
    char::from_u32(code).map_or_else(|| fault(i, lone), |c| Ok((c, i + 12)))
}

fn hex4(b: &[u8], i: usize) -> Result<u32, Fault> {
    let mut code = 0;
    for at in i..i + 4 {
        let Some(digit) = (byte(b, at) as char).to_digit(16) else {
            return fault(at, "four hexadecimal digits must follow \\u");
        };
        code = code * 16 + digit;
    }
    Ok(code)
}

/// From a number's first byte to behind its last; whether it has a fraction or an exponent.
#[inline]
pub(crate) fn number_end(b: &[u8], start: usize) -> Result<(usize, bool), Fault> {
    let mut i = start + usize::from(byte(b, start) == b'-');
    match byte(b, i) {
        b'0' => i += 1,
        b'1'..=b'9' => i = digits_end(b, i),
        _ => return fault(i, "a number needs a digit here"),
    }
    let mut real = false;
    if byte(b, i) == b'.' {
        real = true;
        i = some_digits(b, i + 1)?;
    }
    if matches!(byte(b, i), b'e' | b'E') {
        real = true;
        i += 1 + usize::from(matches!(byte(b, i + 1), b'+' | b'-'));
        i = some_digits(b, i)?;
    }
    Ok((i, real))
}

#[inline]
pub(crate) fn digits_end(b: &[u8], mut i: usize) -> usize {
    while byte(b, i).is_ascii_digit() {
        i += 1;
    }
    i
}

fn some_digits(b: &[u8], i: usize) -> Scan {
    let end = digits_end(b, i);
    if end == i { fault(i, "a number needs a digit here") } else { Ok(end) }
}

/// `true`, `false` or `null` at `i`.
#[inline]
pub(crate) fn word_end(b: &[u8], i: usize) -> Scan {
    let rest = b.get(i..).unwrap_or_default();
    for word in [&b"true"[..], b"false", b"null"] {
        if rest.starts_with(word) {
            return Ok(i + word.len());
        }
    }
    if rest.is_empty() { fault(i, "a value is missing at the end") } else { fault(i, "not a JSON value") }
}

/// From a value's first byte to behind its last. `depth`: arrays and objects around it.
pub(crate) fn value_end(b: &[u8], i: usize, depth: usize) -> Scan {
    match byte(b, i) {
        b'"' => string_end(b, i + 1).map(|(end, _)| end + 1),
        b'-' | b'0'..=b'9' => number_end(b, i).map(|(end, _)| end),
        b'{' => object_end(b, i, depth + 1),
        b'[' => array_end(b, i, depth + 1),
        _ => word_end(b, i),
    }
}

fn object_end(b: &[u8], i: usize, depth: usize) -> Scan {
    check_depth(i, depth)?;
    let mut i = skip_space(b, i + 1);
    if byte(b, i) == b'}' {
        return Ok(i + 1);
    }
    loop {
        i = key_start(b, i)?;
        let (end, _) = string_end(b, i)?;
        i = value_start(b, end + 1)?;
        i = value_end(b, i, depth)?;
        match next_member(b, i)? {
            (end, true) => return Ok(end),
            (next, false) => i = next,
        }
    }
}

fn array_end(b: &[u8], i: usize, depth: usize) -> Scan {
    check_depth(i, depth)?;
    let mut i = skip_space(b, i + 1);
    if byte(b, i) == b']' {
        return Ok(i + 1);
    }
    loop {
        i = value_end(b, i, depth)?;
        match next_element(b, i)? {
            (end, true) => return Ok(end),
            (next, false) => i = next,
        }
    }
}

pub(crate) fn check_depth(i: usize, depth: usize) -> Result<(), Fault> {
    if depth > MAX_DEPTH { fault(i, TOO_DEEP) } else { Ok(()) }
}

/// From a key's opening quote to behind it.
#[inline]
pub(crate) fn key_start(b: &[u8], i: usize) -> Scan {
    if byte(b, i) == b'"' { Ok(i + 1) } else { fault(i, "a key in double quotes is missing") }
}

/// From behind a key's closing quote to its value's first byte.
#[inline]
pub(crate) fn value_start(b: &[u8], i: usize) -> Scan {
    let i = if byte(b, i) == b':' { i } else { skip_space(b, i) };
    if byte(b, i) != b':' {
        return fault(i, "a colon is missing behind a key");
    }
    Ok(if byte(b, i + 1) > b' ' { i + 1 } else { skip_space(b, i + 1) })
}

/// From behind a member's value to the next key's quote, or (`true`) to behind the object.
#[inline]
pub(crate) fn next_member(b: &[u8], i: usize) -> Result<(usize, bool), Fault> {
    let i = if byte(b, i) > b' ' { i } else { skip_space(b, i) };
    match byte(b, i) {
        b',' => Ok((if byte(b, i + 1) > b' ' { i + 1 } else { skip_space(b, i + 1) }, false)),
        b'}' => Ok((i + 1, true)),
        _ => fault(i, "a comma or the object's end is missing"),
    }
}

/// From behind an element to the next one, or (`true`) to behind the array.
#[inline]
pub(crate) fn next_element(b: &[u8], i: usize) -> Result<(usize, bool), Fault> {
    let i = if byte(b, i) > b' ' { i } else { skip_space(b, i) };
    match byte(b, i) {
        b',' => Ok((if byte(b, i + 1) > b' ' { i + 1 } else { skip_space(b, i + 1) }, false)),
        b']' => Ok((i + 1, true)),
        _ => fault(i, "a comma or the array's end is missing"),
    }
}

/// That `b` is one JSON object and nothing else.
pub(crate) fn check_event(b: &[u8]) -> Result<(), Fault> {
    let start = skip_space(b, 0);
    check_start(b, start)?;
    let end = object_end(b, start, 1)?;
    check_behind(b, end)
}

/// That an object begins at `i`.
pub(crate) fn check_start(b: &[u8], i: usize) -> Result<(), Fault> {
    match b.get(i) {
        Some(b'{') => Ok(()),
        Some(b'[') => fault(i, "an array where an object should be"),
        _ => fault(i, "not a JSON object"),
    }
}

/// That nothing but white space stands behind the event.
#[inline]
pub(crate) fn check_behind(b: &[u8], i: usize) -> Result<(), Fault> {
    let end = skip_space(b, i);
    if end == b.len() { Ok(()) } else { fault(end, "text behind the event") }
}

/// Where the object or array at `i` ends, by its brackets alone.
pub(crate) fn loose_end(b: &[u8], mut i: usize) -> Option<usize> {
    let mut depth = 0_usize;
    loop {
        match b.get(i)? {
            b'"' => i = string_end(b, i + 1).ok()?.0,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.checked_sub(1)?,
            _ => {}
        }
        i += 1;
        if depth == 0 {
            return Some(i);
        }
    }
}
