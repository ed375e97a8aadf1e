//! Literals and type names.

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::logical_expr::lit;
use datafusion::logical_expr::sqlparser::ast::{
    DataType as SqlType, ExactNumberInfo, TypedString, Value, ValueWithSpan,
};
use datafusion::logical_expr::sqlparser::tokenizer::Location;
use datafusion::scalar::ScalarValue;

use super::aggregate::constant;
use super::scope::Typed;
use super::{Bind, Binder};
use crate::types::timestamp;

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
        let (kind, form) = match target {
            DataType::Date32 => ("date", "yyyy-MM-dd"),
            DataType::Timestamp(..) => ("timestamp", "yyyy-MM-dd HH:mm:ss"),
            _ => return self.cast(string(text), &target, at),
        };
        let value = manade_functions::cast(string(text.clone()).expr, target.clone());
        if constant(&value).is_some_and(|value| value.is_null()) {
            return Err(self.refuse(at, format!("`{text}` is not a {kind}"), format!("write it as {form}")));
        }
        self.cast(string(text), &target, at)
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

/// sqlparser takes the L of a bigint off and remembers it.
fn suffixed(digits: &str, long: bool) -> String {
    if long { format!("{digits}L") } else { digits.to_owned() }
}

/// As many digits as are written: `0.908` is decimal(3,3), `1.0` decimal(2,1).
fn decimal(text: &str) -> Option<ScalarValue> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let value: i128 = format!("{whole}{fraction}").parse().ok()?;
    let digits = value.unsigned_abs().checked_ilog10().map_or(1, |log| log + 1) as usize;
    let precision = digits.max(fraction.len());
    (precision <= 38).then(|| ScalarValue::Decimal128(Some(value), precision as u8, fraction.len() as i8))
}
