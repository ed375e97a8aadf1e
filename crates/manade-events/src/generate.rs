//! Plausible events of a schema, to try a pipeline with. The same seed gives the same values.
//!
//! Texts and whole numbers are skewed as keys are: the n-th value comes about 1/n times as often as the first (Zipf's
//! law). Event times follow the clock that the caller gives, a little behind it and out of order.

use std::fmt::Write;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use manade_model::{CsvOptions, EventSchema, SparkType, TimeFormat};

use crate::datetime::Pattern;
use crate::json::write_string;

#[cfg(test)]
mod tests;

const SECOND: i64 = 1_000_000;
/// Behind the clock at most, where events need not be in order.
const DISORDER: i64 = 2 * SECOND;

pub struct Generator {
    columns: Vec<Column>,
    style: Style,
    options: GeneratorOptions,
    random: fastrand::Rng,
    /// Events so far.
    count: u64,
}

#[derive(Debug, Clone)]
pub struct GeneratorOptions {
    pub seed: u64,
    /// Different texts and whole numbers a column; more than 0.
    pub keys: u64,
    /// The field with the event time.
    pub time: Option<Vec<String>>,
    /// A field whose value no other event has.
    pub unique: Option<Vec<String>>,
    /// Microseconds: how far behind the clock an event may be and not be late.
    pub lateness: i64,
    /// The share of events that are further behind, 0 to 1.
    pub late: f64,
    /// The share of events with a field that is missing, null, of another type or not in the schema, 0 to 1.
    pub ragged: f64,
}

/// How events are written, one a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Style {
    Json,
    Csv(CsvOptions),
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GenerateError {
    #[error("column `{column}` is nested, which CSV cannot write")]
    Nested { column: String },
    #[error("column `{column}`: {reason}")]
    Pattern { column: String, reason: String },
}

struct Column {
    name: String,
    shape: Shape,
}

enum Shape {
    Boolean,
    /// To this at most.
    Whole(u64),
    Number,
    Decimal {
        digits: u8,
        scale: u8,
    },
    Text,
    /// Unlike in every event.
    Id {
        text: bool,
    },
    Binary,
    /// `true`: the event time.
    Time(Stamp, bool),
    Array(Box<Shape>),
    /// Of its values.
    Map(Box<Shape>),
    Struct(Vec<Column>),
}

/// How a moment is written.
enum Stamp {
    Pattern(Pattern),
    /// Microseconds a unit.
    Epoch(i64),
}

/// A value that is no list or object.
enum Cell {
    Null,
    /// As JSON writes it.
    Plain(String),
    Text(String),
}

impl Generator {
    pub fn new(schema: &EventSchema, style: Style, options: GeneratorOptions) -> Result<Self, GenerateError> {
        let columns = columns(&schema.fields, &options, &[])?;
        if let (Style::Csv(_), Some(column)) = (&style, columns.iter().find(|column| column.shape.is_nested())) {
            return Err(GenerateError::Nested { column: column.name.clone() });
        }
        let random = fastrand::Rng::with_seed(options.seed);
        Ok(Self { columns, style, options, random, count: 0 })
    }

    /// The line that stands before all events, where there is one.
    pub fn header(&self) -> Option<String> {
        let Style::Csv(csv) = &self.style else { return None };
        let names: Vec<String> = self.columns.iter().map(|column| csv_cell(&column.name, csv)).collect();
        csv.header.then(|| names.join(&char::from(csv.delimiter).to_string()) + "\n")
    }

    /// Appends the next event and a line end. `clock`: microseconds since the epoch.
    pub fn append(&mut self, clock: i64, out: &mut String) {
        let columns = std::mem::take(&mut self.columns);
        let time = self.time(clock);
        let ragged = (self.random.f64() < self.options.ragged).then(|| self.random.usize(0..=columns.len()));
        match self.style.clone() {
            Style::Json => {
                self.object(&columns, time, ragged, out);
            }
            Style::Csv(csv) => self.record(&columns, time, ragged, &csv, out),
        }
        out.push('\n');
        self.count += 1;
        self.columns = columns;
    }

    /// An event time: mostly a little behind the clock, sometimes late.
    fn time(&mut self, clock: i64) -> i64 {
        let lateness = self.options.lateness;
        if self.random.f64() < self.options.late {
            // Far enough to be behind the watermark, whatever was newest before.
            let most = (lateness + DISORDER) * 5;
            return clock - lateness - DISORDER - (self.random.f64() * most as f64) as i64;
        }
        // Most are near the clock.
        let far = self.random.f64().powi(3);
        clock - (far * lateness.min(DISORDER) as f64) as i64
    }

    /// `ragged`: which column is wrong; behind the last, one that is not in the schema.
    fn object(&mut self, columns: &[Column], time: i64, ragged: Option<usize>, out: &mut String) {
        out.push('{');
        let mut first = true;
        for (at, column) in columns.iter().enumerate() {
            let wrong = (ragged == Some(at)).then(|| self.random.u8(0..3));
            if wrong == Some(0) {
                continue;
            }
            separate(&mut first, out);
            write_string(&column.name, out);
            out.push(':');
            match wrong {
                Some(1) => out.push_str("null"),
                Some(_) => out.push_str(column.shape.other_type()),
                None => self.value(&column.name, &column.shape, time, out),
            }
        }
        if ragged == Some(columns.len()) {
            separate(&mut first, out);
            out.push_str(r#""extra":true"#);
        }
        out.push('}');
    }

    /// A CSV record has every column, so one that is wrong is empty, or its own name.
    fn record(&mut self, columns: &[Column], time: i64, ragged: Option<usize>, csv: &CsvOptions, out: &mut String) {
        for (at, column) in columns.iter().enumerate() {
            if at > 0 {
                out.push(char::from(csv.delimiter));
            }
            match self.cell(&column.name, &column.shape, time) {
                _ if ragged == Some(at) => out.push_str(if self.random.bool() { "" } else { "wrong" }),
                Cell::Null => {}
                Cell::Plain(text) | Cell::Text(text) => out.push_str(&csv_cell(&text, csv)),
            }
        }
    }

    fn value(&mut self, name: &str, shape: &Shape, time: i64, out: &mut String) {
        match shape {
            Shape::Array(item) => {
                out.push('[');
                let mut first = true;
                for _ in 0..self.random.u8(0..4) {
                    separate(&mut first, out);
                    self.value(name, item, time, out);
                }
                out.push(']');
            }
            Shape::Map(value) => {
                out.push('{');
                let mut first = true;
                for number in 0..self.random.u8(0..3) {
                    separate(&mut first, out);
                    let _ = write!(out, "\"key-{number}\":");
                    self.value(name, value, time, out);
                }
                out.push('}');
            }
            Shape::Struct(columns) => self.object(columns, time, None, out),
            _ => match self.cell(name, shape, time) {
                Cell::Null => out.push_str("null"),
                Cell::Plain(text) => out.push_str(&text),
                Cell::Text(text) => write_string(&text, out),
            },
        }
    }

    fn cell(&mut self, name: &str, shape: &Shape, time: i64) -> Cell {
        match shape {
            Shape::Boolean => Cell::Plain((self.random.u8(0..5) > 0).to_string()),
            Shape::Whole(most) => Cell::Plain(self.skewed(self.options.keys.min(*most)).to_string()),
            // Near 100, rarely far from it.
            Shape::Number => Cell::Plain(format!("{:.2}", 200.0 * self.random.f64() * self.random.f64() + 50.0)),
            Shape::Decimal { digits, scale } => {
                let whole = 10_u64.pow(u32::from((digits - scale).min(4)));
                let mut text = (self.random.u64(0..whole)).to_string();
                if *scale > 0 {
                    let places = usize::from((*scale).min(9));
                    let part = self.random.u64(0..10_u64.pow(places as u32));
                    let _ = write!(text, ".{part:0places$}");
                }
                Cell::Plain(text)
            }
            Shape::Text => Cell::Text(format!("{name}-{}", self.skewed(self.options.keys))),
            Shape::Id { text: false } => Cell::Plain(self.count.to_string()),
            Shape::Id { text: true } => Cell::Text(format!("{:08x}-{:012x}", self.options.seed as u32, self.count)),
            Shape::Binary => {
                let bytes: [u8; 6] = self.random.u64(..).to_le_bytes()[..6].try_into().unwrap_or_default();
                Cell::Text(BASE64_STANDARD.encode(bytes))
            }
            Shape::Time(stamp, is_event_time) => {
                // Other times are of the hour before.
                let back = if *is_event_time { 0 } else { self.random.i64(0..3_600 * SECOND) };
                stamp.cell(time - back)
            }
            Shape::Array(_) | Shape::Map(_) | Shape::Struct(_) => Cell::Null,
        }
    }

    /// 0 to `keys`, small ones more often: log-uniform, which is Zipf's law with exponent 1.
    fn skewed(&mut self, keys: u64) -> u64 {
        let drawn = ((keys as f64 + 1.0).ln() * self.random.f64()).exp() - 1.0;
        (drawn as u64).min(keys.saturating_sub(1))
    }
}

impl Shape {
    fn is_nested(&self) -> bool {
        matches!(self, Self::Array(_) | Self::Map(_) | Self::Struct(_))
    }

    /// JSON that this cannot be read from.
    fn other_type(&self) -> &'static str {
        match self {
            Self::Text | Self::Id { text: true } => "[1]",
            Self::Boolean => "3",
            _ => "\"wrong\"",
        }
    }
}

impl Stamp {
    fn cell(&self, micros: i64) -> Cell {
        match self {
            Self::Pattern(pattern) => {
                let mut text = String::new();
                pattern.format(micros, &mut text);
                Cell::Text(text)
            }
            Self::Epoch(unit) => Cell::Plain(micros.div_euclid(*unit).to_string()),
        }
    }
}

fn columns(
    fields: &[manade_model::Field],
    options: &GeneratorOptions,
    above: &[String],
) -> Result<Vec<Column>, GenerateError> {
    let column = |field: &manade_model::Field| {
        let path = [above, std::slice::from_ref(&field.name)].concat();
        Ok(Column { name: field.name.clone(), shape: shape(&field.data_type, options, &path)? })
    };
    fields.iter().map(column).collect()
}

fn shape(data_type: &SparkType, options: &GeneratorOptions, path: &[String]) -> Result<Shape, GenerateError> {
    let is_at = |named: &Option<Vec<String>>| {
        named.as_ref().is_some_and(|named| {
            named.len() == path.len() && named.iter().zip(path).all(|(a, b)| a.eq_ignore_ascii_case(b))
        })
    };
    let (is_id, is_time) = (is_at(&options.unique), is_at(&options.time));
    let stamp = |format: &TimeFormat, iso: &str| match format {
        TimeFormat::Iso => compiled(iso, path),
        TimeFormat::Pattern(pattern) => compiled(pattern, path),
        TimeFormat::EpochSeconds => Ok(Stamp::Epoch(SECOND)),
        TimeFormat::EpochMillis => Ok(Stamp::Epoch(1_000)),
        TimeFormat::EpochMicros => Ok(Stamp::Epoch(1)),
    };
    let inner = |data_type: &SparkType| shape(data_type, options, path).map(Box::new);
    Ok(match data_type {
        SparkType::Int | SparkType::Long if is_id => Shape::Id { text: false },
        SparkType::String if is_id => Shape::Id { text: true },
        SparkType::Boolean => Shape::Boolean,
        SparkType::Byte => Shape::Whole(i8::MAX as u64),
        SparkType::Short => Shape::Whole(i16::MAX as u64),
        SparkType::Int => Shape::Whole(i32::MAX as u64),
        SparkType::Long => Shape::Whole(i64::MAX as u64),
        SparkType::Float | SparkType::Double => Shape::Number,
        SparkType::Decimal { precision, scale } => Shape::Decimal { digits: *precision, scale: *scale },
        SparkType::String => Shape::Text,
        SparkType::Binary => Shape::Binary,
        SparkType::Date(format) => Shape::Time(stamp(format, "yyyy-MM-dd")?, is_time),
        SparkType::Timestamp(format) => Shape::Time(stamp(format, "yyyy-MM-dd'T'HH:mm:ss.SSSXXX")?, is_time),
        SparkType::TimestampNtz(format) => Shape::Time(stamp(format, "yyyy-MM-dd'T'HH:mm:ss.SSS")?, is_time),
        SparkType::Array(item) => Shape::Array(inner(item)?),
        SparkType::Map(_, value) => Shape::Map(inner(value)?),
        SparkType::Struct(fields) => Shape::Struct(columns(fields, options, path)?),
    })
}

fn compiled(pattern: &str, path: &[String]) -> Result<Stamp, GenerateError> {
    let failed = |reason| GenerateError::Pattern { column: path.join("."), reason };
    Pattern::compile(pattern).map(Stamp::Pattern).map_err(|error| failed(error.to_string()))
}

fn separate(first: &mut bool, out: &mut String) {
    if !std::mem::replace(first, false) {
        out.push(',');
    }
}

/// In quotes where it must be (RFC 4180).
fn csv_cell(text: &str, csv: &CsvOptions) -> String {
    let (delimiter, quote) = (char::from(csv.delimiter), char::from(csv.quote));
    if !text.contains([delimiter, quote, '\n', '\r']) {
        return text.to_owned();
    }
    format!("{quote}{}{quote}", text.replace(quote, &format!("{quote}{quote}")))
}
