//! What the values of a column have in common (Spark's `JsonInferSchema` and `CSVInferSchema`).

use std::sync::LazyLock;

use manade_model::{Field, SparkType, TimeFormat};

use crate::datetime::{Pattern, iso};
use crate::json::{Kind, Value};

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) enum Guess {
    /// Nothing but nulls so far.
    #[default]
    Null,
    Boolean,
    Int,
    Long,
    /// Whole numbers of 19 to 38 digits.
    Decimal,
    Double,
    /// Strings that can be read in these ways, a bit each, by [`Way`].
    Time(u32),
    String,
    Array(Box<Guess>),
    Struct(Vec<(String, Guess)>),
}

/// A way to read a string as a time.
enum Way {
    Date,
    Timestamp,
    Pattern { text: &'static str, compiled: Pattern, time: bool },
}

/// In the order of preference. Day and month that could be each other are told apart only by a day over 12.
static WAYS: LazyLock<Vec<Way>> = LazyLock::new(|| {
    let mut ways = vec![Way::Date, Way::Timestamp];
    for text in PATTERNS {
        if let Ok(compiled) = Pattern::compile(text) {
            ways.push(Way::Pattern { text, compiled, time: text.contains('H') || text.contains('h') });
        }
    }
    ways
});

const PATTERNS: [&str; 14] = [
    "yyyy/MM/dd HH:mm:ss",
    "yyyy/MM/dd HH:mm",
    "yyyy/MM/dd",
    "dd/MMM/yyyy:HH:mm:ss Z",
    "yyyy-MM-dd'T'HH:mm:ssX",
    "dd.MM.yyyy HH:mm:ss",
    "dd.MM.yyyy HH:mm",
    "dd.MM.yyyy",
    "MM/dd/yyyy HH:mm:ss",
    "dd/MM/yyyy HH:mm:ss",
    "MM/dd/yyyy HH:mm",
    "dd/MM/yyyy HH:mm",
    "MM/dd/yyyy",
    "dd/MM/yyyy",
];

impl Way {
    fn reads(&self, text: &str) -> bool {
        match self {
            Way::Date => text.len() == 10 && iso::date(text).is_some(),
            Way::Timestamp => text.len() >= 10 && text.as_bytes()[4] == b'-' && iso::timestamp(text).is_some(),
            Way::Pattern { compiled, .. } => compiled.parse(text).is_some(),
        }
    }

    fn spark_type(&self) -> SparkType {
        match self {
            Way::Date => SparkType::Date(TimeFormat::Iso),
            Way::Timestamp => SparkType::Timestamp(TimeFormat::Iso),
            Way::Pattern { text, time: true, .. } => SparkType::Timestamp(TimeFormat::Pattern((*text).to_owned())),
            Way::Pattern { text, .. } => SparkType::Date(TimeFormat::Pattern((*text).to_owned())),
        }
    }
}

impl Guess {
    pub fn of(value: &Value<'_>) -> Guess {
        match &value.kind {
            Kind::Null => Guess::Null,
            Kind::Bool(_) => Guess::Boolean,
            Kind::Number(raw) => Guess::of_number(raw),
            Kind::String(text) => Guess::of_text(text),
            Kind::Array(elements) => {
                Guess::Array(Box::new(elements.iter().map(Guess::of).fold(Guess::Null, Guess::or)))
            }
            Kind::Object(members) => {
                let members = members.iter().map(|(key, value)| (key.to_string(), Guess::of(value)));
                Guess::Struct(merge(Vec::new(), members))
            }
        }
    }

    pub fn of_cell(cell: &str) -> Guess {
        if cell.is_empty() {
            return Guess::Null;
        }
        if cell.eq_ignore_ascii_case("true") || cell.eq_ignore_ascii_case("false") {
            return Guess::Boolean;
        }
        if cell.parse::<i32>().is_ok() {
            return Guess::Int;
        }
        match crate::scan::number_end(cell.as_bytes(), usize::from(cell.starts_with('+'))) {
            Ok((end, _)) if end == cell.len() => Guess::of_number(cell.trim_start_matches('+')),
            _ => Guess::of_text(cell),
        }
    }

    fn of_number(raw: &str) -> Guess {
        let digits = raw.trim_start_matches('-');
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            Guess::Double
        } else if raw.parse::<i64>().is_ok() {
            Guess::Long
        } else if digits.len() <= 38 {
            Guess::Decimal
        } else {
            Guess::Double
        }
    }

    fn of_text(text: &str) -> Guess {
        // All ways begin with digits.
        if !text.as_bytes().first().is_some_and(u8::is_ascii_digit) || text.len() > 40 || !text.is_ascii() {
            return Guess::String;
        }
        let ways = WAYS.iter().enumerate().filter(|(_, way)| way.reads(text)).fold(0, |ways, (bit, _)| ways | 1 << bit);
        if ways == 0 { Guess::String } else { Guess::Time(ways) }
    }

    /// The narrowest that holds both.
    pub fn or(self, other: Guess) -> Guess {
        match (self, other) {
            (Guess::Null, guess) | (guess, Guess::Null) => guess,
            (one, other) if one == other => one,
            (Guess::Int | Guess::Long, Guess::Int | Guess::Long) => Guess::Long,
            (Guess::Int | Guess::Long | Guess::Decimal, Guess::Int | Guess::Long | Guess::Decimal) => Guess::Decimal,
            (
                Guess::Int | Guess::Long | Guess::Decimal | Guess::Double,
                Guess::Int | Guess::Long | Guess::Decimal | Guess::Double,
            ) => Guess::Double,
            (Guess::Time(one), Guess::Time(other)) if one & other != 0 => Guess::Time(one & other),
            (Guess::Array(one), Guess::Array(other)) => Guess::Array(Box::new(one.or(*other))),
            (Guess::Struct(one), Guess::Struct(other)) => Guess::Struct(merge(one, other.into_iter())),
            _ => Guess::String,
        }
    }

    /// `None`: a struct without members, which Spark leaves out.
    pub fn spark_type(self) -> Option<SparkType> {
        Some(match self {
            Guess::Null | Guess::String => SparkType::String,
            Guess::Boolean => SparkType::Boolean,
            Guess::Int => SparkType::Int,
            Guess::Long => SparkType::Long,
            Guess::Decimal => SparkType::Decimal { precision: 38, scale: 0 },
            Guess::Double => SparkType::Double,
            Guess::Time(ways) => time_type(ways),
            Guess::Array(element) => SparkType::Array(Box::new(element.spark_type()?)),
            Guess::Struct(_) => {
                let fields = self.fields();
                if fields.is_empty() {
                    return None;
                }
                SparkType::Struct(fields)
            }
        })
    }

    /// Of a struct.
    pub fn fields(self) -> Vec<Field> {
        let Guess::Struct(members) = self else { return Vec::new() };
        let typed =
            members.into_iter().filter_map(|(name, guess)| Some(Field { name, data_type: guess.spark_type()? }));
        typed.collect()
    }
}

/// Members by name.
fn merge(mut list: Vec<(String, Guess)>, more: impl Iterator<Item = (String, Guess)>) -> Vec<(String, Guess)> {
    for (name, guess) in more {
        match list.iter_mut().find(|(known, _)| *known == name) {
            Some((_, before)) => *before = std::mem::take(before).or(guess),
            None => list.push((name, guess)),
        }
    }
    list
}

/// Where only the order of day and month is open, the text stays a string.
fn time_type(ways: u32) -> SparkType {
    let mut reading = WAYS.iter().enumerate().filter(|(bit, _)| ways & (1 << bit) != 0).map(|(_, way)| way);
    let Some(first) = reading.next() else { return SparkType::String };
    let month_first = |way: &Way| matches!(way, Way::Pattern { text, .. } if text.starts_with("MM/"));
    if month_first(first) && reading.next().is_some() { SparkType::String } else { first.spark_type() }
}
