//! Arrow values as JSON and as text, and text as values: the one place that decides how a type looks to clients.
//!
//! Timestamps are ISO 8601 in UTC (`Z`; none for `timestamp_ntz`), with a fraction only where there is one; NaN and
//! infinities are null in JSON; decimals and bigints are JSON numbers with all their digits; binary is base64.

use std::io::Write;

use arrow::array::{
    Array, AsArray, BinaryViewArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array,
    StringViewArray,
};
use arrow::datatypes::{
    DataType, Int8Type, Int16Type, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

pub use literal::{LiteralError, parse};

mod literal;
#[cfg(test)]
mod tests;

const MICROS_A_DAY: i64 = 86_400_000_000;

/// The value as JSON; `null` where it is null.
pub fn write_json(array: &dyn Array, row: usize, out: &mut Vec<u8>) {
    if array.is_null(row) {
        out.extend_from_slice(b"null");
        return;
    }
    match array.data_type() {
        DataType::Null => out.extend_from_slice(b"null"),
        DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::UInt8
        | DataType::UInt16
        | DataType::UInt32
        | DataType::UInt64
        | DataType::Decimal128(..) => write_text(array, row, out),
        DataType::Float32 => write_finite(downcast::<Float32Array>(array).value(row).is_finite(), array, row, out),
        DataType::Float64 => write_finite(downcast::<Float64Array>(array).value(row).is_finite(), array, row, out),
        DataType::Utf8View => write_string(downcast::<StringViewArray>(array).value(row), out),
        DataType::Utf8 => write_string(array.as_string::<i32>().value(row), out),
        DataType::LargeUtf8 => write_string(array.as_string::<i64>().value(row), out),
        DataType::Struct(_) | DataType::Map(..) | DataType::List(_) | DataType::LargeList(_) => {
            write_nested(array, row, out);
        }
        DataType::Date32 | DataType::Timestamp(..) | DataType::BinaryView | DataType::Binary => {
            out.push(b'"');
            write_text(array, row, out);
            out.push(b'"');
        }
        _ => {
            let mut text = Vec::new();
            write_text(array, row, &mut text);
            write_string(&String::from_utf8_lossy(&text), out);
        }
    }
}

/// The value as a JSON value.
pub fn json(array: &dyn Array, row: usize) -> serde_json::Value {
    let mut text = Vec::new();
    write_json(array, row, &mut text);
    serde_json::from_slice(&text).unwrap_or_default()
}

/// The value as bare text: what CSV cells, `::text` and `->>` show. Nested values are JSON; null writes nothing.
pub fn write_text(array: &dyn Array, row: usize, out: &mut Vec<u8>) {
    if array.is_null(row) {
        return;
    }
    match array.data_type() {
        DataType::Null => {}
        DataType::Boolean => {
            out.extend_from_slice(if downcast::<BooleanArray>(array).value(row) { b"true" } else { b"false" });
        }
        DataType::Int8 => put(out, array.as_primitive::<Int8Type>().value(row)),
        DataType::Int16 => put(out, array.as_primitive::<Int16Type>().value(row)),
        DataType::Int32 => put(out, array.as_primitive::<Int32Type>().value(row)),
        DataType::Int64 => put(out, array.as_primitive::<Int64Type>().value(row)),
        DataType::UInt8 => put(out, array.as_primitive::<UInt8Type>().value(row)),
        DataType::UInt16 => put(out, array.as_primitive::<UInt16Type>().value(row)),
        DataType::UInt32 => put(out, array.as_primitive::<UInt32Type>().value(row)),
        DataType::UInt64 => put(out, array.as_primitive::<UInt64Type>().value(row)),
        DataType::Float32 => write_float(f64::from(downcast::<Float32Array>(array).value(row)), out, || {
            downcast::<Float32Array>(array).value(row).to_string()
        }),
        DataType::Float64 => {
            let value = downcast::<Float64Array>(array).value(row);
            write_float(value, out, || format!("{value:?}"));
        }
        DataType::Decimal128(..) => {
            out.extend_from_slice(downcast::<Decimal128Array>(array).value_as_string(row).as_bytes());
        }
        DataType::Utf8View => out.extend_from_slice(downcast::<StringViewArray>(array).value(row).as_bytes()),
        DataType::Utf8 => out.extend_from_slice(array.as_string::<i32>().value(row).as_bytes()),
        DataType::LargeUtf8 => out.extend_from_slice(array.as_string::<i64>().value(row).as_bytes()),
        DataType::BinaryView => {
            out.extend_from_slice(STANDARD.encode(downcast::<BinaryViewArray>(array).value(row)).as_bytes());
        }
        DataType::Binary => out.extend_from_slice(STANDARD.encode(array.as_binary::<i32>().value(row)).as_bytes()),
        DataType::Date32 => write_date(i64::from(downcast::<Date32Array>(array).value(row)), out),
        DataType::Timestamp(unit, zone) => {
            write_timestamp(micros(array, *unit, row), out);
            if zone.is_some() {
                out.push(b'Z');
            }
        }
        DataType::Struct(_) | DataType::Map(..) | DataType::List(_) | DataType::LargeList(_) => {
            write_nested(array, row, out);
        }
        _ => {
            if let Ok(formatter) = ArrayFormatter::try_new(array, &FormatOptions::default()) {
                put(out, formatter.value(row));
            }
        }
    }
}

/// A JSON string with its quotes.
pub fn write_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let mut start = 0;
    for (at, byte) in text.bytes().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.extend_from_slice(&text.as_bytes()[start..at]);
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            _ => put(out, format_args!("\\u{byte:04x}")),
        }
        start = at + 1;
    }
    out.extend_from_slice(&text.as_bytes()[start..]);
    out.push(b'"');
}

/// Microseconds since the epoch as `2001-01-01T00:10:00.5`, without a zone.
pub fn write_timestamp(micros: i64, out: &mut Vec<u8>) {
    let (day, rest) = (micros.div_euclid(MICROS_A_DAY), micros.rem_euclid(MICROS_A_DAY));
    write_date(day, out);
    let (seconds, fraction) = (rest / 1_000_000, rest % 1_000_000);
    put(out, format_args!("T{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60));
    if fraction != 0 {
        put(out, format_args!(".{fraction:06}"));
        while out.last() == Some(&b'0') {
            out.pop();
        }
    }
}

/// Microseconds since the epoch as `2001-01-01T00:10:00Z`.
pub fn timestamp(micros: i64) -> String {
    let mut out = Vec::with_capacity(27);
    write_timestamp(micros, &mut out);
    out.push(b'Z');
    String::from_utf8_lossy(&out).into_owned()
}

/// Days since the epoch in the proleptic Gregorian calendar
/// (<https://howardhinnant.github.io/date_algorithms.html#civil_from_days>).
fn write_date(days: i64, out: &mut Vec<u8>) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    match year {
        0..=9999 => put(out, format_args!("{year:04}-{month:02}-{day:02}")),
        // ISO 8601's expanded years carry a sign.
        _ => put(out, format_args!("{year:+07}-{month:02}-{day:02}")),
    }
}

fn write_nested(array: &dyn Array, row: usize, out: &mut Vec<u8>) {
    match array.data_type() {
        DataType::Struct(fields) => {
            let columns = array.as_struct().columns();
            out.push(b'{');
            for (i, (field, column)) in fields.iter().zip(columns).enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                write_string(field.name(), out);
                out.push(b':');
                write_json(column, row, out);
            }
            out.push(b'}');
        }
        DataType::Map(..) => {
            let entries = array.as_map().value(row);
            out.push(b'{');
            for i in 0..entries.len() {
                if i > 0 {
                    out.push(b',');
                }
                let mut key = Vec::new();
                write_text(entries.column(0), i, &mut key);
                write_string(&String::from_utf8_lossy(&key), out);
                out.push(b':');
                write_json(entries.column(1), i, out);
            }
            out.push(b'}');
        }
        DataType::LargeList(_) => write_elements(&array.as_list::<i64>().value(row), out),
        _ => write_elements(&array.as_list::<i32>().value(row), out),
    }
}

fn write_elements(elements: &dyn Array, out: &mut Vec<u8>) {
    out.push(b'[');
    for i in 0..elements.len() {
        if i > 0 {
            out.push(b',');
        }
        write_json(elements, i, out);
    }
    out.push(b']');
}

fn write_finite(finite: bool, array: &dyn Array, row: usize, out: &mut Vec<u8>) {
    if finite {
        write_text(array, row, out);
    } else {
        out.extend_from_slice(b"null");
    }
}

fn write_float(value: f64, out: &mut Vec<u8>, digits: impl Fn() -> String) {
    if value.is_nan() {
        out.extend_from_slice(b"NaN");
    } else if value.is_infinite() {
        out.extend_from_slice(if value > 0.0 { b"Infinity" } else { b"-Infinity" });
    } else {
        let digits = digits();
        out.extend_from_slice(digits.as_bytes());
        if !digits.contains(['.', 'e', 'E']) {
            out.extend_from_slice(b".0");
        }
    }
}

fn micros(array: &dyn Array, unit: TimeUnit, row: usize) -> i64 {
    match unit {
        TimeUnit::Second => array.as_primitive::<TimestampSecondType>().value(row).saturating_mul(1_000_000),
        TimeUnit::Millisecond => array.as_primitive::<TimestampMillisecondType>().value(row).saturating_mul(1_000),
        TimeUnit::Microsecond => array.as_primitive::<TimestampMicrosecondType>().value(row),
        TimeUnit::Nanosecond => array.as_primitive::<TimestampNanosecondType>().value(row).div_euclid(1_000),
    }
}

fn put(out: &mut Vec<u8>, value: impl std::fmt::Display) {
    write!(out, "{value}").expect("a vector takes every byte");
}

fn downcast<T: 'static>(array: &dyn Array) -> &T {
    array.as_any().downcast_ref().expect("the array is of its data type")
}
