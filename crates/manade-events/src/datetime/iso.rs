//! Dates and timestamps without a pattern: what Spark casts from strings (`DateTimeUtils.stringToTimestamp`,
//! `stringToDate` of Spark 4, <https://spark.apache.org/docs/latest/sql-ref-literals.html#datetime-literal>).

use super::calendar::{MICROS_PER_DAY, MICROS_PER_SECOND, days};
use super::zone::Zone;

/// `[+-]y{4,6}[-[M]M[-[d]d[(T| )[h]h[:[m]m[:[s]s[.f*]]]]]][zone]`; a zone needs the seconds before it. Microseconds,
/// digits behind them cut off. White space around it is nothing. A time alone is not taken: the day that Spark would
/// add, today, makes the same event mean something else tomorrow.
pub(crate) fn timestamp(text: &str) -> Option<i64> {
    if let Some(micros) = usual(text.as_bytes()) {
        return Some(micros);
    }
    let (local, zone) = parse(trim(text))?;
    zone.unwrap_or(Zone::UTC).to_utc(local)
}

/// The same, without a zone.
pub(crate) fn local_timestamp(text: &str) -> Option<i64> {
    let (local, zone) = parse(trim(text))?;
    zone.is_none().then_some(local)
}

/// `[+-]y{4,7}[-[M]M[-[d]d[(T| )anything]]]`; days since the epoch.
pub(crate) fn date(text: &str) -> Option<i32> {
    let (day, rest) = parse_date(trim(text), 7)?;
    let ended = rest.text.is_empty() || (rest.complete && rest.text.starts_with([' ', 'T']));
    if ended { i32::try_from(day).ok() } else { None }
}

/// `yyyy-MM-dd(T| )hh:mm:ss[.f{1,6}][Z]`, which nearly all are.
#[inline]
fn usual(b: &[u8]) -> Option<i64> {
    let b = b.strip_suffix(b"Z").unwrap_or(b);
    let (head, fraction) = b.split_at_checked(19)?;
    let shape = head[4] == b'-' && head[7] == b'-' && head[13] == b':' && head[16] == b':';
    if !shape || (head[10] != b'T' && head[10] != b' ') {
        return None;
    }
    let two = |i: usize| digits(&head[i..i + 2]).map(|value| value as u32);
    let day = days(digits(&head[..4])?, two(5)?, two(8)?)?;
    let micros = match fraction {
        [] => 0,
        [b'.', digits_behind @ ..] if (1..=6).contains(&digits_behind.len()) => {
            digits(digits_behind)? * 10_i64.pow(6 - digits_behind.len() as u32)
        }
        _ => return None,
    };
    time_of_day(two(11)?, two(14)?, two(17)?, micros).map(|time| day * MICROS_PER_DAY + time)
}

#[inline]
fn digits(b: &[u8]) -> Option<i64> {
    b.iter().try_fold(0, |value, byte| byte.is_ascii_digit().then(|| value * 10 + i64::from(byte - b'0')))
}

fn time_of_day(hour: u32, minute: u32, second: u32, micros: i64) -> Option<i64> {
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    Some(i64::from(hour * 3600 + minute * 60 + second) * MICROS_PER_SECOND + micros)
}

/// Spark trims what Java calls white space and control characters.
fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| c <= ' ' || c == '\u{7f}')
}

struct Rest<'a> {
    text: &'a str,
    /// Whether year, month and day were there.
    complete: bool,
}

fn parse_date(text: &str, most: usize) -> Option<(i64, Rest<'_>)> {
    let (sign, text) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let (year, text) = number(text, 4, most)?;
    let year = sign * year;
    let Some(rest) = text.strip_prefix('-') else {
        return Some((days(year, 1, 1)?, Rest { text, complete: false }));
    };
    let (month, text) = number(rest, 1, 2)?;
    let Some(rest) = text.strip_prefix('-') else {
        return Some((days(year, month as u32, 1)?, Rest { text, complete: false }));
    };
    let (day, text) = number(rest, 1, 2)?;
    Some((days(year, month as u32, day as u32)?, Rest { text, complete: true }))
}

/// The wall-clock time in microseconds, and the zone.
fn parse(text: &str) -> Option<(i64, Option<Zone>)> {
    let (day, rest) = parse_date(text, 6)?;
    let start = day.checked_mul(MICROS_PER_DAY)?;
    if rest.text.is_empty() {
        return Some((start, None));
    }
    if !rest.complete {
        return None;
    }
    let (hour, text) = number(rest.text.strip_prefix(['T', ' '])?, 1, 2)?;
    let (mut minute, mut second, mut micros, mut zone) = (0, 0, 0, None);
    let mut text = text;
    if let Some(rest) = text.strip_prefix(':') {
        (minute, text) = number(rest, 1, 2)?;
        if let Some(rest) = text.strip_prefix(':') {
            (second, text) = number(rest, 1, 2)?;
            if let Some(rest) = text.strip_prefix('.') {
                (micros, text) = fraction(rest);
            }
            if !text.is_empty() {
                zone = Some(Zone::named(text.trim_start_matches(' '))?);
                text = "";
            }
        }
    }
    let time = time_of_day(hour as u32, minute as u32, second as u32, micros)?;
    text.is_empty().then_some((start.checked_add(time)?, zone))
}

/// A number of `least` to `most` digits, and what is behind it.
fn number(text: &str, least: usize, most: usize) -> Option<(i64, &str)> {
    let end = text.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    if end < least || end > most {
        return None;
    }
    Some((digits(&text.as_bytes()[..end])?, &text[end..]))
}

/// Digits behind the point as microseconds, cut off after six, and what is behind them.
fn fraction(text: &str) -> (i64, &str) {
    let end = text.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let kept = end.min(6);
    let value = digits(&text.as_bytes()[..kept]).unwrap_or(0) * 10_i64.pow(6 - kept as u32);
    (value, &text[end..])
}
