//! Durations and sizes as users write them.
//!
//! A duration is one or more whole numbers with units, largest first or not: `10 minutes`, `1h`, `1 hour 30 minutes`,
//! `1h30m`, `500 ms`; `0` needs no unit. A size is one whole number: `16 MiB` (2^20), `2 GB` (10^9), `1024` (bytes).

use std::fmt;
use std::time::Duration;

/// Why a text is not a duration or a size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct UnitError {
    pub message: String,
    pub hint: Option<String>,
}

/// Shown as [`parse_duration`] reads it: `1 hour 30 minutes`. Exact to the millisecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShowDuration(pub Duration);

/// Shown as [`parse_size`] reads it, exactly: `16 MiB`, `2 GB`, `1500 bytes`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShowSize(pub u64);

/// Milliseconds a unit, its name, and what else is taken for it.
const DURATIONS: [(u64, &str, &[&str]); 6] = [
    (7 * 86_400_000, "week", &["w", "weeks"]),
    (86_400_000, "day", &["d", "days"]),
    (3_600_000, "hour", &["h", "hr", "hrs", "hours"]),
    (60_000, "minute", &["m", "min", "mins", "minutes"]),
    (1_000, "second", &["s", "sec", "secs", "seconds"]),
    (1, "millisecond", &["ms", "milliseconds"]),
];

/// Bytes a unit, its name, and what else is taken for it.
const SIZES: [(u64, &str, &[&str]); 9] = [
    (1 << 40, "TiB", &["ti"]),
    (1_000_000_000_000, "TB", &[]),
    (1 << 30, "GiB", &["gi"]),
    (1_000_000_000, "GB", &[]),
    (1 << 20, "MiB", &["mi"]),
    (1_000_000, "MB", &[]),
    (1 << 10, "KiB", &["ki"]),
    (1_000, "KB", &[]),
    (1, "bytes", &["byte", "b"]),
];

/// Times are microseconds in 64 bits with a sign; a duration has to leave room to be added to one.
const LONGEST_MS: u64 = 36_500 * 86_400_000;

/// Whole milliseconds, at most 36,500 days.
pub fn parse_duration(text: &str) -> Result<Duration, UnitError> {
    const HINT: &str = "write it like `10 minutes`, `1h`, `30 days` or `1 hour 30 minutes`";
    let text = text.trim();
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let wrong = |why: String| error(why, HINT);
    if text.is_empty() {
        return Err(wrong("a duration is missing".to_owned()));
    }
    if text.starts_with('-') {
        return Err(wrong(format!("the duration `{text}` is negative")));
    }
    let mut rest = text;
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let (number, unit, after) = number_and_unit(rest);
        let Some(number) = number else {
            return Err(wrong(format!("`{text}` is not a duration")));
        };
        if unit.is_empty() {
            return Err(wrong(format!("the duration `{text}` has no unit")));
        }
        let Some(size) = duration_unit(unit) else {
            return Err(unknown_duration_unit(text, unit, HINT));
        };
        total = number
            .checked_mul(size)
            .and_then(|part| total.checked_add(part))
            .filter(|total| *total <= LONGEST_MS)
            .ok_or_else(|| error(format!("the duration `{text}` is too long"), "the longest is 36500 days"))?;
        rest = after;
    }
    Ok(Duration::from_millis(total))
}

/// Bytes.
pub fn parse_size(text: &str) -> Result<u64, UnitError> {
    const HINT: &str = "write it like `16 MiB`, `2 GB` or a number of bytes";
    let text = text.trim();
    if text.starts_with('-') {
        return Err(error(format!("the size `{text}` is negative"), HINT));
    }
    let (number, unit, after) = number_and_unit(text);
    if number.is_some() && unit.starts_with(['.', ',']) {
        return Err(error(format!("the size `{text}` is not a whole number"), "write a smaller unit, like `1536 MiB`"));
    }
    let (Some(number), "") = (number, after) else {
        return Err(error(format!("`{text}` is not a size"), HINT));
    };
    let size = if unit.is_empty() {
        1
    } else {
        let known = SIZES.iter().find(|(_, name, others)| {
            name.eq_ignore_ascii_case(unit) || others.iter().any(|other| other.eq_ignore_ascii_case(unit))
        });
        known.ok_or_else(|| error(format!("unknown unit `{unit}` in the size `{text}`"), HINT))?.0
    };
    number
        .checked_mul(size)
        .filter(|bytes| i64::try_from(*bytes).is_ok())
        .ok_or_else(|| error(format!("the size `{text}` is too large"), HINT))
}

/// Whether the text's first unit is one of a size: tells apart what `retain: 30 days` and `retain: 10 GiB` mean.
pub fn is_size_like(text: &str) -> bool {
    let (_, unit, _) = number_and_unit(text.trim());
    !unit.is_empty() && duration_unit(unit).is_none() && parse_size(&format!("1 {unit}")).is_ok()
}

impl fmt::Display for ShowDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        if rest == 0 {
            return f.write_str("0 seconds");
        }
        let mut gap = "";
        // Weeks are read, but `30 days` is not shown as `4 weeks 2 days`.
        for (size, name, _) in &DURATIONS[1..] {
            let count = rest / size;
            rest %= size;
            if count > 0 {
                write!(f, "{gap}{count} {name}{}", if count == 1 { "" } else { "s" })?;
                gap = " ";
            }
        }
        Ok(())
    }
}

impl fmt::Display for ShowSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = SIZES.iter().filter(|(size, ..)| self.0 >= *size && self.0.is_multiple_of(*size));
        // The fewest digits: 2 GB rather than 1953125 KiB.
        match exact.min_by_key(|(size, ..)| self.0 / size) {
            Some((size, name, _)) => write!(f, "{} {name}", self.0 / size),
            None => f.write_str("0 bytes"),
        }
    }
}

fn error(message: String, hint: &str) -> UnitError {
    UnitError { message, hint: Some(hint.to_owned()) }
}

/// A whole number, the letters behind it, and what follows; `None` where no number that fits stands first.
fn number_and_unit(text: &str) -> (Option<u64>, &str, &str) {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, rest) = text.split_at(digits);
    let rest = rest.trim_start();
    let letters = rest.find(|c: char| c.is_ascii_digit() || c.is_whitespace()).unwrap_or(rest.len());
    let (unit, after) = rest.split_at(letters);
    (number.parse().ok(), unit, after.trim_start())
}

/// Milliseconds. Words in any case; single letters in lower case, for `M` is as often months as minutes.
fn duration_unit(unit: &str) -> Option<u64> {
    let lower = unit.to_ascii_lowercase();
    let known = DURATIONS.iter().find(|(_, name, others)| *name == lower || others.contains(&lower.as_str()))?;
    (unit.len() > 1 || unit == lower).then_some(known.0)
}

fn unknown_duration_unit(text: &str, unit: &str, hint: &str) -> UnitError {
    let message = format!("unknown unit `{unit}` in the duration `{text}`");
    let lower = unit.to_ascii_lowercase();
    if ["mo", "month", "months", "y", "year", "years"].contains(&lower.as_str()) {
        return error(message, "months and years differ in length: write days, like `30 days`");
    }
    if unit.starts_with(['.', ',']) {
        return error(
            format!("the duration `{text}` is not a whole number"),
            "write a smaller unit, like `90 minutes`",
        );
    }
    let names = DURATIONS.iter().flat_map(|(_, name, others)| others.iter().copied().chain([*name]));
    match crate::closest(unit, names.filter(|name| name.len() > 2)) {
        Some(near) => error(message, &format!("did you mean `{near}`?")),
        None => error(message, hint),
    }
}

#[cfg(test)]
mod tests;
