//! Spark's datetime patterns, and its dates and timestamps without one.

mod calendar;
mod compile;
mod format;
pub(crate) mod iso;
mod names;
mod parse;
#[cfg(test)]
mod tests;
mod zone;

use std::fmt;

use thiserror::Error;

pub use zone::long_zone;

/// A compiled pattern (<https://spark.apache.org/docs/latest/sql-ref-datetime-pattern.html>): letters, `[optional]`
/// sections, `'text'`. It means what `java.time.format.DateTimeFormatter` makes of it in the locale en_US, without
/// regard to the case of text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    items: Vec<Item>,
    /// A letter that only formats, and where it stands.
    format_only: Option<(char, usize)>,
}

#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{reason} (column {column} of the datetime pattern)")]
pub struct PatternError {
    /// 1-based, in characters.
    pub column: usize,
    pub reason: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Item {
    Literal(String),
    Number {
        field: Field,
        min: usize,
        max: usize,
        sign: Sign,
        /// Digits of the fixed numbers right behind this one, which it must leave over.
        reserved: usize,
    },
    /// Two digits of a year of this century.
    ShortYear,
    /// Digits behind the second's point: 1 to this many are read, all are written.
    Fraction(usize),
    Text {
        field: Field,
        full: bool,
    },
    Offset {
        style: OffsetStyle,
        zero: &'static str,
    },
    /// `GMT+1`, or in full `GMT+01:00`.
    LocalizedOffset {
        full: bool,
    },
    /// `full` is about writing; any name is read.
    Zone {
        full: bool,
    },
    Optional(Vec<Item>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Era,
    YearOfEra,
    Month,
    Day,
    DayOfYear,
    Quarter,
    Weekday,
    AlignedWeekday,
    AmPm,
    /// `h`: 1 to 12.
    ClockHourOfAmPm,
    /// `K`: 0 to 11.
    HourOfAmPm,
    /// `k`: 1 to 24.
    ClockHour,
    /// `H`: 0 to 23.
    Hour,
    Minute,
    Second,
}

/// `java.time.format.SignStyle`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    /// A minus sign.
    Normal,
    Never,
    /// A plus sign where there are more digits than the least, and only there.
    ExceedsPad,
}

/// What follows the hours of an offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct OffsetStyle {
    colon: bool,
    /// Whether the minutes may be left out.
    short: bool,
    /// Whether seconds may follow.
    seconds: bool,
}

/// An ISO 8601 timestamp as Spark's JSON reader takes it, in microseconds since the epoch; UTC where no zone is named.
pub fn parse_iso(text: &str) -> Option<i64> {
    iso::timestamp(text)
}

impl Pattern {
    /// What cannot be compiled would be an error in Spark too.
    pub fn compile(pattern: &str) -> Result<Self, PatternError> {
        compile::compile(pattern)
    }

    /// That all of the pattern can be parsed: the letters E, F, Q and q only format.
    pub fn check_parsing(&self) -> Result<(), PatternError> {
        match self.format_only {
            None => Ok(()),
            Some((letter, column)) => {
                Err(PatternError { column, reason: format!("`{letter}` can only format, not parse") })
            }
        }
    }

    /// Microseconds since the epoch, in UTC where the text names no zone; parts that the pattern lacks are those of
    /// 1970-01-01 00:00:00. `None` where the text does not follow the pattern.
    pub fn parse(&self, text: &str) -> Option<i64> {
        parse::parse(&self.items, text)
    }

    /// The same for a time without a zone: `None` too where the text names one.
    pub fn parse_local(&self, text: &str) -> Option<i64> {
        parse::parse_local(&self.items, text)
    }

    /// Appends the moment as the pattern writes it, in UTC.
    pub fn format(&self, us: i64, out: &mut String) {
        format::format(&self.items, us, out);
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
