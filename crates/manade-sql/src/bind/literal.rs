//! Literals, intervals and type names.

use arrow::datatypes::{DataType, IntervalMonthDayNano, TimeUnit};
use datafusion::logical_expr::lit;
use datafusion::logical_expr::sqlparser::ast::{
    DataType as SqlType, DateTimeField, ExactNumberInfo, Expr as Sql, Interval, TypedString, Value, ValueWithSpan,
};
use datafusion::logical_expr::sqlparser::tokenizer::Location;
use datafusion::scalar::ScalarValue;

use super::expr::start;
use super::scope::Typed;
use super::{Bind, Binder};
use crate::types::timestamp;

const MICROS: i64 = 1_000_000;

impl Binder<'_> {
    pub fn value(&mut self, value: &ValueWithSpan) -> Bind<Typed> {
        match &value.value {
            Value::Number(digits, long) => self.number(&suffixed(digits, *long), value.span.start),
            Value::Boolean(value) => Ok(Typed::new(lit(*value), DataType::Boolean)),
            Value::Null => Ok(Typed::refused()),
            Value::HexStringLiteral(hex) => {
                let bytes: Option<Vec<u8>> = hex
                    .len()
                    .is_multiple_of(2)
                    .then(|| {
                        (0..hex.len())
                            .step_by(2)
                            .map(|i| hex.get(i..i + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok()))
                            .collect()
                    })
                    .flatten();
                match bytes {
                    Some(bytes) => Ok(literal(ScalarValue::BinaryView(Some(bytes)))),
                    None => Err(self.refuse_plain(value.span.start, "a hexadecimal literal has pairs of digits")),
                }
            }
            other => match other.clone().into_string() {
                Some(text) => Ok(string(text)),
                None => Err(self.refuse(value.span.start, format!("`{other}` is not a literal"), "write the value")),
            },
        }
    }

    /// `-128Y` and `-9223372036854775808` are one literal each.
    pub fn negative_number(&mut self, value: &ValueWithSpan) -> Bind<Option<Typed>> {
        match &value.value {
            Value::Number(digits, long) => {
                self.number(&format!("-{}", suffixed(digits, *long)), value.span.start).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Spark: `1` int or bigint by size, `1.0` decimal, `1e0` double, and by suffix.
    fn number(&mut self, text: &str, at: Location) -> Bind<Typed> {
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        // `1e5` ends in a digit; `1e` would have been a word.
        let suffix = &text[digits.len()..];
        let value = match suffix {
            "D" => digits.parse().ok().map(|v| ScalarValue::Float64(Some(v))),
            "F" => digits.parse().ok().map(|v| ScalarValue::Float32(Some(v))),
            "L" => digits.parse().ok().map(|v| ScalarValue::Int64(Some(v))),
            "S" => digits.parse().ok().map(|v| ScalarValue::Int16(Some(v))),
            "Y" => digits.parse().ok().map(|v| ScalarValue::Int8(Some(v))),
            "BD" => decimal(digits),
            _ if digits.contains(['e', 'E']) => digits.parse().ok().map(|v| ScalarValue::Float64(Some(v))),
            _ if digits.contains('.') => decimal(digits),
            _ => (digits.parse().ok().map(|v| ScalarValue::Int32(Some(v))))
                .or_else(|| digits.parse().ok().map(|v| ScalarValue::Int64(Some(v))))
                .or_else(|| decimal(digits)),
        };
        match value {
            Some(value) => Ok(literal(value)),
            None => Err(self.refuse_plain(at, format!("`{text}` does not fit its type"))),
        }
    }

    pub fn typed_string(&mut self, typed: &TypedString) -> Bind<Typed> {
        let at = typed.value.span.start;
        let Some(text) = typed.value.clone().into_string() else {
            return Err(self.refuse_plain(at, "expected a string"));
        };
        let target = self.data_type(&typed.data_type, at)?;
        self.cast(string(text), &target, at)
    }

    /// `INTERVAL '4' SECOND`, `INTERVAL 4 SECONDS`, `INTERVAL '1 day 2 hours'`, `INTERVAL '1:30' MINUTE TO SECOND`.
    pub fn interval(&mut self, interval: &Interval) -> Bind<Typed> {
        let at = start(&interval.value);
        let text = match interval.value.as_ref() {
            Sql::Value(value) => value.value.to_string().trim_matches('\'').to_owned(),
            Sql::UnaryOp { expr, .. } => format!("-{expr}"),
            other => other.to_string(),
        };
        let parsed = match (&interval.leading_field, &interval.last_field) {
            (None, _) => interval_of(&text),
            (Some(field), None) => interval_of(&format!("{text} {field}")),
            (Some(first), Some(last)) => interval_from_to(&text, first, last),
        };
        match parsed {
            Some(value) => Ok(literal(ScalarValue::IntervalMonthDayNano(Some(value)))),
            None => Err(self.refuse(
                at,
                format!("`{text}` is not an interval"),
                "write INTERVAL '10 minutes' or INTERVAL '10' MINUTE",
            )),
        }
    }

    fn decimal(&mut self, info: ExactNumberInfo, at: Location) -> Bind<DataType> {
        let (digits, scale) = match info {
            ExactNumberInfo::None => (10, 0),
            ExactNumberInfo::Precision(digits) => (digits, 0),
            ExactNumberInfo::PrecisionAndScale(digits, scale) => (digits, scale),
        };
        match (u8::try_from(digits), i8::try_from(scale)) {
            (Ok(digits @ 1..=38), Ok(scale @ 0..)) if scale as u8 <= digits => Ok(DataType::Decimal128(digits, scale)),
            _ => Err(self.refuse(
                at,
                format!("there is no decimal({digits},{scale})"),
                "a decimal has 1 to 38 digits, of which 0 to all stand behind the point, such as decimal(38,2)",
            )),
        }
    }

    pub fn data_type(&mut self, sql: &SqlType, at: Location) -> Bind<DataType> {
        Ok(match sql {
            SqlType::Boolean | SqlType::Bool => DataType::Boolean,
            SqlType::TinyInt(_) => DataType::Int8,
            SqlType::SmallInt(_) => DataType::Int16,
            SqlType::Int(_) | SqlType::Integer(_) => DataType::Int32,
            SqlType::BigInt(_) => DataType::Int64,
            SqlType::Float(_) | SqlType::Real => DataType::Float32,
            SqlType::Double(_) | SqlType::DoublePrecision => DataType::Float64,
            SqlType::Decimal(info) | SqlType::Dec(info) | SqlType::Numeric(info) => self.decimal(*info, at)?,
            SqlType::String(_) | SqlType::Varchar(_) | SqlType::Char(_) | SqlType::Text => DataType::Utf8View,
            SqlType::Binary(_) => DataType::BinaryView,
            SqlType::Date => DataType::Date32,
            SqlType::Timestamp(..) => timestamp(),
            SqlType::TimestampNtz(_) => DataType::Timestamp(TimeUnit::Microsecond, None),
            nested if nested.to_string().contains('<') => match manade_model::parse_type(&nested.to_string()) {
                Ok(spark) => manade_events::arrow_type(&spark),
                Err(error) => return Err(self.refuse_plain(at, error.to_string())),
            },
            SqlType::Custom(name, _) => match name.to_string().to_lowercase().as_str() {
                "byte" => DataType::Int8,
                "short" => DataType::Int16,
                "long" => DataType::Int64,
                "timestamp_ltz" => timestamp(),
                "timestamp_ntz" => DataType::Timestamp(TimeUnit::Microsecond, None),
                other => {
                    const TYPES: [&str; 14] = [
                        "boolean",
                        "tinyint",
                        "smallint",
                        "int",
                        "bigint",
                        "float",
                        "double",
                        "decimal",
                        "string",
                        "binary",
                        "date",
                        "timestamp",
                        "timestamp_ntz",
                        "array",
                    ];
                    let hint = match manade_model::closest(other, TYPES.into_iter()) {
                        Some(near) => format!("did you mean `{near}`?"),
                        None => format!("the types are {}, map and struct", TYPES.join(", ")),
                    };
                    return Err(self.refuse(at, format!("unknown type `{other}`"), hint));
                }
            },
            other => return Err(self.refuse_plain(at, format!("`{other}` is not a type of Spark SQL"))),
        })
    }
}

pub fn literal(value: ScalarValue) -> Typed {
    let data_type = value.data_type();
    Typed::new(lit(value), data_type)
}

pub fn string(text: impl Into<String>) -> Typed {
    literal(ScalarValue::Utf8View(Some(text.into())))
}

/// `1 hour 30 minutes`, as Spark's `window` and intervals are written; months are kept apart.
pub fn interval_of(text: &str) -> Option<IntervalMonthDayNano> {
    let text = text.trim().to_lowercase();
    let text = text.strip_prefix("interval ").unwrap_or(&text);
    let words: Vec<&str> = text.split_whitespace().collect();
    if words.is_empty() || !words.len().is_multiple_of(2) {
        return None;
    }
    let (mut months, mut days, mut micros) = (0_i32, 0_i32, 0_i64);
    for pair in words.chunks(2) {
        let unit = pair[1].trim_end_matches('s');
        if unit == "second" {
            let seconds = decimal_micros(pair[0])?;
            micros = micros.checked_add(seconds)?;
            continue;
        }
        let count: i64 = pair[0].parse().ok()?;
        let small = i32::try_from(count).ok();
        match unit {
            "year" => months = months.checked_add(small?.checked_mul(12)?)?,
            "quarter" => months = months.checked_add(small?.checked_mul(3)?)?,
            "month" => months = months.checked_add(small?)?,
            "week" => days = days.checked_add(small?.checked_mul(7)?)?,
            "day" => days = days.checked_add(small?)?,
            "hour" => micros = micros.checked_add(count.checked_mul(3600 * MICROS)?)?,
            "minute" => micros = micros.checked_add(count.checked_mul(60 * MICROS)?)?,
            "millisecond" => micros = micros.checked_add(count.checked_mul(1000)?)?,
            "microsecond" => micros = micros.checked_add(count)?,
            _ => return None,
        }
    }
    Some(IntervalMonthDayNano::new(months, days, micros.checked_mul(1000)?))
}

/// Microseconds of an interval without months.
pub fn micros_of(interval: IntervalMonthDayNano) -> Option<i64> {
    (interval.months == 0).then_some(())?;
    i64::from(interval.days).checked_mul(86_400 * MICROS)?.checked_add(interval.nanoseconds / 1000)
}

/// sqlparser takes the L of a bigint off and remembers it.
fn suffixed(digits: &str, long: bool) -> String {
    if long { format!("{digits}L") } else { digits.to_owned() }
}

fn decimal_micros(text: &str) -> Option<i64> {
    let negative = text.starts_with('-');
    let (whole, fraction) =
        text.trim_start_matches(['-', '+']).split_once('.').unwrap_or((text.trim_start_matches(['-', '+']), ""));
    let fraction = format!("{fraction:0<6}");
    let micros = whole.parse::<i64>().ok()?.checked_mul(MICROS)? + fraction.get(..6)?.parse::<i64>().ok()?;
    Some(if negative { -micros } else { micros })
}

/// `'1-2' YEAR TO MONTH`, `'1 02:03:04' DAY TO SECOND` and what lies between.
fn interval_from_to(text: &str, first: &DateTimeField, last: &DateTimeField) -> Option<IntervalMonthDayNano> {
    let units = ["year", "month", "day", "hour", "minute", "second"];
    let at = |field: &DateTimeField| {
        let name = field.to_string().to_lowercase();
        units.iter().position(|unit| name.trim_end_matches('s') == *unit)
    };
    let (first, last) = (at(first)?, at(last)?);
    let negative = text.starts_with('-');
    let parts: Vec<&str> = text.trim_start_matches('-').split(['-', ' ', ':']).collect();
    if first >= last || parts.len() != last - first + 1 {
        return None;
    }
    let sign = if negative { "-" } else { "" };
    let words: Vec<String> =
        parts.iter().zip(&units[first..=last]).map(|(part, unit)| format!("{sign}{part} {unit}")).collect();
    interval_of(&words.join(" "))
}

/// As many digits as are written: `0.908` is decimal(3,3), `1.0` decimal(2,1).
fn decimal(text: &str) -> Option<ScalarValue> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let value: i128 = format!("{whole}{fraction}").parse().ok()?;
    let digits = value.unsigned_abs().checked_ilog10().map_or(1, |log| log + 1) as usize;
    let precision = digits.max(fraction.len());
    (precision <= 38).then(|| ScalarValue::Decimal128(Some(value), precision as u8, fraction.len() as i8))
}
