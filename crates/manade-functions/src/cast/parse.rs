//! Text to values, with the rules of Spark's `UTF8String`, `Cast` and `SparkDateTimeUtils`. All forms may stand between
//! white space and control characters.

use arrow::array::timezone::Tz;
use chrono::{NaiveDate, Offset, TimeZone};
use manade_events::datetime::long_zone;

use super::rescale;

/// 1970-01-01 as chrono counts days.
const EPOCH_DAYS: i32 = 719_163;
const MICROS: i64 = 1_000_000;

fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| c <= ' ' || c.is_whitespace())
}

/// An integer; digits behind a point are dropped, but must be digits.
pub(crate) fn parse_integer(text: &str) -> Option<i64> {
    let text = trim(text);
    let (whole, fraction) = text.split_once('.').map_or((text, None), |(w, f)| (w, Some(f)));
    if fraction.is_some_and(|f| !f.bytes().all(|b| b.is_ascii_digit())) {
        return None;
    }
    let digits = whole.strip_prefix(['+', '-']).unwrap_or(whole);
    if digits.is_empty() {
        // Spark reads ".5" and "." as 0, a sign alone as no number.
        return fraction.is_some().then_some(0);
    }
    whole.parse().ok()
}

/// A double as Java writes or reads it, infinities and NaN by name without case.
pub(crate) fn parse_double(text: &str) -> Option<f64> {
    let text = trim(text);
    let first = text.trim_start_matches(['+', '-']).bytes().next()?;
    if first.is_ascii_digit() || first == b'.' {
        return text.parse().ok().or_else(|| {
            let digits = text.strip_suffix(['d', 'D', 'f', 'F'])?;
            digits.ends_with(|c: char| c.is_ascii_digit() || c == '.').then(|| digits.parse().ok())?
        });
    }
    match text.to_ascii_lowercase().as_str() {
        "nan" => Some(f64::NAN),
        "inf" | "+inf" | "infinity" | "+infinity" => Some(f64::INFINITY),
        "-inf" | "-infinity" => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

/// A decimal, rounded half up to `scale`; none if it does not fit `precision`.
pub(crate) fn parse_decimal(text: &str, precision: u8, scale: i8) -> Option<i128> {
    let text = trim(text);
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(at) => (&text[..at], text[at + 1..].parse::<i32>().ok()?),
        None => (text, 0),
    };
    let negative = mantissa.starts_with('-');
    let mantissa = mantissa.strip_prefix(['+', '-']).unwrap_or(mantissa);
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut value: i128 = 0;
    let mut from = exponent.checked_neg()?;
    let mut full = false;
    for (i, digit) in whole.bytes().chain(fraction.bytes()).enumerate() {
        if !digit.is_ascii_digit() {
            return None;
        }
        let behind = i >= whole.len();
        if !full && value.checked_mul(10).is_some_and(|v| v.checked_add(i128::from(digit - b'0')).is_some()) {
            value = value * 10 + i128::from(digit - b'0');
            from += i32::from(behind);
        } else {
            full = true;
            from -= i32::from(!behind);
        }
    }
    let value = if negative { -value } else { value };
    if value == 0 {
        return Some(0);
    }
    if from.saturating_sub(scale.into()) > 38 {
        return Some(0);
    }
    rescale(value, i8::try_from(from).ok()?, precision, scale)
}

pub(crate) fn parse_boolean(text: &str) -> Option<bool> {
    match trim(text).to_ascii_lowercase().as_str() {
        "t" | "true" | "y" | "yes" | "1" => Some(true),
        "f" | "false" | "n" | "no" | "0" => Some(false),
        _ => None,
    }
}

/// Days since 1970 of `[+-]y[-m[-d]]`, of which a full date may be followed by a space or `T` and anything.
pub(crate) fn parse_date(text: &str) -> Option<i32> {
    let (days, rest) = date_prefix(trim(text))?;
    (rest.is_empty() || rest.starts_with([' ', 'T'])).then_some(days)
}

/// Microseconds since 1970 of a date, a time of day, or both, with an optional zone (without `zoned`, it is ignored).
pub(crate) fn parse_timestamp(text: &str, zoned: bool) -> Option<i64> {
    let text = trim(text);
    let (days, rest) = date_prefix(text)?;
    if rest.is_empty() {
        return Some(i64::from(days) * 86_400 * MICROS);
    }
    let (micros, zone) = time_of_day(rest.strip_prefix([' ', 'T'])?)?;
    let local = i64::from(days).checked_mul(86_400 * MICROS)?.checked_add(micros)?;
    let zone = zone.trim_start();
    if zone.is_empty() || !zoned {
        return (zone.is_empty() || zone_offset(zone, local).is_some()).then_some(local);
    }
    local.checked_sub(zone_offset(zone, local)? * MICROS)
}

/// Days since 1970 and what follows the date. A partial date must be all there is.
fn date_prefix(text: &str) -> Option<(i32, &str)> {
    let (sign, unsigned) = match text.as_bytes().first()? {
        b'-' => (-1, &text[1..]),
        b'+' => (1, &text[1..]),
        _ => (1, text),
    };
    let (year, rest) = digits(unsigned, 4, 7)?;
    let (month, day, rest) = match rest.strip_prefix('-') {
        None if rest.is_empty() => (1, 1, rest),
        None => return None,
        Some(rest) => {
            let (month, rest) = digits(rest, 1, 2)?;
            match rest.strip_prefix('-') {
                None if rest.is_empty() => (month, 1, rest),
                None => return None,
                Some(rest) => {
                    let (day, rest) = digits(rest, 1, 2)?;
                    (month, day, rest)
                }
            }
        }
    };
    let date = NaiveDate::from_ymd_opt(sign * i32::try_from(year).ok()?, month.try_into().ok()?, day.try_into().ok()?)?;
    Some((days_of(date), rest))
}

/// Days since 1970.
pub(crate) fn days_of(date: NaiveDate) -> i32 {
    chrono::Datelike::num_days_from_ce(&date) - EPOCH_DAYS
}

fn digits(text: &str, least: usize, most: usize) -> Option<(i64, &str)> {
    let len = text.bytes().take_while(u8::is_ascii_digit).count();
    (least..=most).contains(&len).then(|| Some((text[..len].parse().ok()?, &text[len..])))?
}

/// Microseconds of `h:m[:s[.fraction]]` and what follows.
fn time_of_day(text: &str) -> Option<(i64, &str)> {
    let (hour, rest) = digits(text, 1, 2)?;
    let (minute, mut rest) = match rest.strip_prefix(':') {
        Some(rest) => digits(rest, 1, 2)?,
        None => return None,
    };
    let (mut second, mut micros) = (0, 0);
    if let Some(after) = rest.strip_prefix(':') {
        (second, rest) = digits(after, 1, 2)?;
        if let Some(after) = rest.strip_prefix('.') {
            let len = after.bytes().take_while(u8::is_ascii_digit).count();
            let kept = &after[..len.min(6)];
            micros = if kept.is_empty() { 0 } else { kept.parse::<i64>().ok()? * 10_i64.pow(6 - kept.len() as u32) };
            rest = &after[len..];
        }
    }
    (hour < 24 && minute < 60 && second < 60).then_some((((hour * 60 + minute) * 60 + second) * MICROS + micros, rest))
}

/// Seconds that the wall clock of `zone` (an offset, `UTC`, `GMT+1`, a region) is ahead of UTC at `local` (µs).
pub(crate) fn zone_offset(zone: &str, local: i64) -> Option<i64> {
    let zone = long_zone(zone);
    let bare = ["UTC", "GMT", "UT"].iter().find_map(|p| zone.strip_prefix(p)).unwrap_or(zone);
    if bare.is_empty() || bare == "Z" || bare == "z" {
        return Some(0);
    }
    if let Some(unsigned) = bare.strip_prefix(['+', '-']) {
        let sign = if bare.starts_with('-') { -1 } else { 1 };
        // hhmm and hhmmss have no colon.
        let at = if unsigned.len() > 2 && unsigned.bytes().all(|b| b.is_ascii_digit()) { 2 } else { unsigned.len() };
        let (hours, rest) = match unsigned.split_once(':') {
            Some((hours, rest)) => (digits(hours, 1, 2)?.0, rest),
            None => (digits(unsigned.get(..at)?, 1, 2)?.0, &unsigned[at..]),
        };
        let (minutes, seconds) = match rest.split_once(':') {
            Some(parts) => parts,
            None if rest.is_ascii() && rest.len() == 4 => rest.split_at(2),
            None => (rest, ""),
        };
        let number = |text: &str, least: usize| match text {
            "" => Some(0),
            text => digits(text, least, 2).filter(|(_, rest)| rest.is_empty()).map(|(number, _)| number),
        };
        let (minutes, seconds) = (number(minutes, 1)?, number(seconds, 2)?);
        let fits = hours <= 18 && minutes < 60 && seconds < 60;
        return fits.then_some(sign * (hours * 3600 + minutes * 60 + seconds));
    }
    let zone: Tz = zone.parse().ok()?;
    let local = chrono::DateTime::from_timestamp_micros(local)?.naive_utc();
    // In the hour that daylight saving skips, the clock is an hour further: the offset before it holds.
    let offset = zone
        .offset_from_local_datetime(&local)
        .earliest()
        .or_else(|| zone.offset_from_local_datetime(&(local - chrono::Duration::hours(1))).latest())?;
    Some(offset.fix().local_minus_utc().into())
}
