//! A filter's literal, read by the type of the column that it is compared with.

use arrow::array::timezone::Tz;
use arrow::array::types::Decimal128Type;
use arrow::compute::kernels::cast_utils::{parse_decimal, string_to_datetime};
use arrow::datatypes::{DataType, TimeUnit};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use datafusion::scalar::ScalarValue;

use super::MICROS_A_DAY;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LiteralError {
    #[error("invalid input for type {type_name}: \"{text}\"")]
    Invalid { text: String, type_name: &'static str },
    #[error("\"{text}\" is out of range for type {type_name}")]
    OutOfRange { text: String, type_name: &'static str },
    /// Arrays, maps, structs.
    #[error("a nested value cannot be compared")]
    Nested,
}

/// `text` as a value that compares exactly with values of `data_type`.
pub fn parse(text: &str, data_type: &DataType) -> Result<ScalarValue, LiteralError> {
    let invalid = |type_name| LiteralError::Invalid { text: text.to_owned(), type_name };
    Ok(match data_type {
        DataType::Boolean => ScalarValue::Boolean(Some(boolean(text).ok_or_else(|| invalid("boolean"))?)),
        DataType::Int8 => ScalarValue::Int8(Some(integer(text, "tinyint")?)),
        DataType::Int16 => ScalarValue::Int16(Some(integer(text, "smallint")?)),
        DataType::Int32 => ScalarValue::Int32(Some(integer(text, "int")?)),
        DataType::Int64 => ScalarValue::Int64(Some(integer(text, "bigint")?)),
        DataType::UInt8 => ScalarValue::UInt8(Some(integer(text, "unsigned tinyint")?)),
        DataType::UInt16 => ScalarValue::UInt16(Some(integer(text, "unsigned smallint")?)),
        DataType::UInt32 => ScalarValue::UInt32(Some(integer(text, "unsigned int")?)),
        DataType::UInt64 => ScalarValue::UInt64(Some(integer(text, "unsigned bigint")?)),
        DataType::Float32 => ScalarValue::Float32(Some(text.trim().parse().map_err(|_| invalid("float"))?)),
        DataType::Float64 => ScalarValue::Float64(Some(text.trim().parse().map_err(|_| invalid("double"))?)),
        DataType::Decimal128(..) => decimal(text.trim()).ok_or_else(|| invalid("decimal"))?,
        DataType::Utf8View => ScalarValue::Utf8View(Some(text.to_owned())),
        DataType::Utf8 => ScalarValue::Utf8(Some(text.to_owned())),
        DataType::LargeUtf8 => ScalarValue::LargeUtf8(Some(text.to_owned())),
        DataType::BinaryView => ScalarValue::BinaryView(Some(STANDARD.decode(text).map_err(|_| invalid("binary"))?)),
        DataType::Binary => ScalarValue::Binary(Some(STANDARD.decode(text).map_err(|_| invalid("binary"))?)),
        DataType::Date32 => {
            let days = moment(text).ok_or_else(|| invalid("date"))?.div_euclid(MICROS_A_DAY);
            ScalarValue::Date32(Some(i32::try_from(days).map_err(|_| invalid("date"))?))
        }
        DataType::Timestamp(unit, zone) => {
            let micros = moment(text).ok_or_else(|| invalid("timestamp"))?;
            let zone = zone.clone();
            match unit {
                TimeUnit::Second => ScalarValue::TimestampSecond(Some(micros.div_euclid(1_000_000)), zone),
                TimeUnit::Millisecond => ScalarValue::TimestampMillisecond(Some(micros.div_euclid(1_000)), zone),
                TimeUnit::Microsecond => ScalarValue::TimestampMicrosecond(Some(micros), zone),
                TimeUnit::Nanosecond => ScalarValue::TimestampNanosecond(
                    Some(micros.checked_mul(1_000).ok_or_else(|| invalid("timestamp"))?),
                    zone,
                ),
            }
        }
        _ => return Err(LiteralError::Nested),
    })
}

fn integer<T: TryFrom<i128>>(text: &str, type_name: &'static str) -> Result<T, LiteralError> {
    let text = text.trim();
    let value: i128 = text.parse().map_err(|_| LiteralError::Invalid { text: text.to_owned(), type_name })?;
    T::try_from(value).map_err(|_| LiteralError::OutOfRange { text: text.to_owned(), type_name })
}

/// PostgreSQL's spellings (<https://www.postgresql.org/docs/current/datatype-boolean.html>).
fn boolean(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "t" | "yes" | "y" | "on" | "1" => Some(true),
        "false" | "f" | "no" | "n" | "off" | "0" => Some(false),
        _ => None,
    }
}

/// With as many places as the text has, so that `1.005` is not rounded to a column's two.
fn decimal(text: &str) -> Option<ScalarValue> {
    if let Some((number, exponent)) = text.split_once(['e', 'E']) {
        let number = Some(number).filter(|number| number.contains(|c: char| c.is_ascii_digit()))?;
        return decimal(&shifted(number, exponent.parse().ok()?)?);
    }
    let scale = i8::try_from(text.split_once('.').map_or(0, |(_, fraction)| fraction.len())).ok()?;
    if scale > 38 || !text.contains(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let value = parse_decimal::<Decimal128Type>(text, 38, scale).ok()?;
    let digits = text.bytes().filter(u8::is_ascii_digit).count().clamp(1, 38);
    Some(ScalarValue::Decimal128(Some(value), digits as u8, scale))
}

/// The number with its point moved to the right.
fn shifted(number: &str, by: i32) -> Option<String> {
    let (sign, number) = number.split_at(usize::from(number.starts_with(['+', '-'])));
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let mut digits = format!("{whole}{fraction}");
    let mut point = i32::try_from(whole.len()).ok()?.checked_add(by).filter(|point| point.abs() <= 76)?;
    while point < 1 {
        digits.insert(0, '0');
        point += 1;
    }
    while digits.len() < point as usize {
        digits.push('0');
    }
    let (whole, fraction) = digits.split_at_checked(point as usize)?;
    Some(if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") })
}

/// Microseconds since the epoch of an ISO 8601 date or time; UTC where no zone is written.
fn moment(text: &str) -> Option<i64> {
    let utc: Tz = "+00:00".parse().ok()?;
    let text = text.trim();
    let of = |text: &str| string_to_datetime(&utc, text).ok().map(|moment| moment.timestamp_micros());
    let Some((year, rest)) = expanded_year(text) else { return of(text) };
    // The calendar repeats itself after 400 years: read with a year from 2000 to 2399, then moved.
    let micros = of(&format!("{}{rest}", 2000 + year.rem_euclid(400)))?;
    let cycles = (year.div_euclid(400) - 5).checked_mul(DAYS_IN_400_YEARS * MICROS_A_DAY)?;
    micros.checked_add(cycles)
}

const DAYS_IN_400_YEARS: i64 = 146_097;

/// ISO 8601's expanded years, as values are written: a sign and 6 digits; and what follows.
fn expanded_year(text: &str) -> Option<(i64, &str)> {
    let (year, rest) = text.split_at_checked(7)?;
    let is_expanded = year.starts_with(['+', '-']) && rest.starts_with('-');
    year.parse().ok().filter(|_| is_expanded).map(|year| (year, rest))
}
