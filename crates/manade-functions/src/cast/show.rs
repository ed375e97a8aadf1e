//! Values to text as Spark's CAST AS STRING writes them.

use std::fmt::Write as _;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, DurationMicrosecondType, DurationSecondType, Float32Type, Float64Type,
    Int8Type, Int16Type, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType,
};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use chrono::{DateTime, Datelike, NaiveDate, Timelike};

/// Appends formatted text.
pub(crate) fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("writing to a String cannot fail");
}

/// Appends the value at `row`, `null` if it is one.
pub(crate) fn show_value(column: &ArrayRef, row: usize, out: &mut String) {
    if column.is_null(row) || column.data_type() == &DataType::Null {
        out.push_str("null");
        return;
    }
    match column.data_type() {
        DataType::Boolean => out.push_str(if column.as_boolean().value(row) { "true" } else { "false" }),
        DataType::Int8 => put(out, format_args!("{}", column.as_primitive::<Int8Type>().value(row))),
        DataType::Int16 => put(out, format_args!("{}", column.as_primitive::<Int16Type>().value(row))),
        DataType::Int32 => put(out, format_args!("{}", column.as_primitive::<Int32Type>().value(row))),
        DataType::Int64 => put(out, format_args!("{}", column.as_primitive::<Int64Type>().value(row))),
        DataType::Float32 => show_float(column.as_primitive::<Float32Type>().value(row), out),
        DataType::Float64 => show_double(column.as_primitive::<Float64Type>().value(row), out),
        DataType::Decimal128(_, s) => show_decimal(column.as_primitive::<Decimal128Type>().value(row), *s, out),
        DataType::Utf8 => out.push_str(column.as_string::<i32>().value(row)),
        DataType::Utf8View => out.push_str(column.as_string_view().value(row)),
        DataType::BinaryView => out.push_str(&String::from_utf8_lossy(column.as_binary_view().value(row))),
        DataType::Date32 => show_date(column.as_primitive::<Date32Type>().value(row), out),
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            show_timestamp(column.as_primitive::<TimestampMicrosecondType>().value(row), out);
        }
        DataType::Duration(TimeUnit::Second) => {
            let days = column.as_primitive::<DurationSecondType>().value(row) / 86_400;
            put(out, format_args!("INTERVAL '{days}' DAY"));
        }
        DataType::Duration(TimeUnit::Microsecond) => {
            show_duration(column.as_primitive::<DurationMicrosecondType>().value(row), out);
        }
        DataType::List(_) => {
            let values = column.as_list::<i32>().value(row);
            separated(out, "[", "]", values.len(), |i, out| show_value(&values, i, out));
        }
        DataType::Struct(_) => {
            let columns = column.as_struct().columns();
            separated(out, "{", "}", columns.len(), |i, out| show_value(&columns[i], row, out));
        }
        DataType::Map(..) => {
            let entries = column.as_map().value(row);
            separated(out, "{", "}", entries.len(), |i, out| {
                show_value(entries.column(0), i, out);
                out.push_str(" -> ");
                show_value(entries.column(1), i, out);
            });
        }
        _ => {
            if let Ok(formatter) = ArrayFormatter::try_new(column, &FormatOptions::new()) {
                put(out, format_args!("{}", formatter.value(row)));
            }
        }
    }
}

/// `INTERVAL '1 02:03:04.5' DAY TO SECOND` of microseconds.
fn show_duration(micros: i64, out: &mut String) {
    let (sign, micros) = (if micros < 0 { "-" } else { "" }, micros.unsigned_abs());
    let seconds = micros / 1_000_000;
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    put(out, format_args!("INTERVAL '{sign}{days} {hours:02}:{minutes:02}:{:02}", seconds % 60));
    if !micros.is_multiple_of(1_000_000) {
        put(out, format_args!(".{}", format!("{:06}", micros % 1_000_000).trim_end_matches('0')));
    }
    out.push_str("' DAY TO SECOND");
}

fn separated(out: &mut String, open: &str, close: &str, len: usize, mut each: impl FnMut(usize, &mut String)) {
    out.push_str(open);
    for i in 0..len {
        if i > 0 {
            out.push_str(", ");
        }
        each(i, out);
    }
    out.push_str(close);
}

/// As Java's `Double.toString`: 1.0, 1.0E7, 1.0E-4.
pub(crate) fn show_double(value: f64, out: &mut String) {
    let plain = value == 0.0 || (1e-3..1e7).contains(&value.abs());
    java(value, plain, &scientific(value), &format!("{value:?}"), out);
}

/// The shortest digits that mean the value, such as `1.5e-7`. Java has two of the least double where one would do.
pub(crate) fn scientific(value: f64) -> String {
    let shortest = format!("{value:e}");
    if value.abs().to_bits() == 1 { shortest.replacen('5', "4.9", 1) } else { shortest }
}

/// As Java's `Float.toString`.
pub(crate) fn show_float(value: f32, out: &mut String) {
    let plain = value == 0.0 || (1e-3..1e7).contains(&value.abs());
    // Java has two digits of the least floats, too.
    let (shortest, two) = (format!("{value:e}"), format!("{value:.1e}"));
    let scientific = if shortest.contains('.') || two.parse() != Ok(value) { shortest } else { two };
    java(f64::from(value), plain, &scientific, &format!("{value:?}"), out);
}

fn java(value: f64, plain: bool, scientific: &str, shortest: &str, out: &mut String) {
    if value.is_nan() {
        out.push_str("NaN");
    } else if value.is_infinite() {
        out.push_str(if value > 0.0 { "Infinity" } else { "-Infinity" });
    } else if plain {
        out.push_str(shortest);
    } else {
        let (mantissa, exponent) = scientific.split_once('e').unwrap_or((scientific, "0"));
        out.push_str(mantissa);
        out.push_str(if mantissa.contains('.') { "E" } else { ".0E" });
        out.push_str(exponent);
    }
}

/// As Java's `BigDecimal.toString`: scientific where the exponent is below -6.
pub(crate) fn show_decimal(value: i128, scale: i8, out: &mut String) {
    if value < 0 {
        out.push('-');
    }
    let digits = value.unsigned_abs().to_string();
    let exponent = digits.len() as i32 - 1 - i32::from(scale);
    if scale > 0 && exponent < -6 {
        out.push_str(&digits[..1]);
        if digits.len() > 1 {
            out.push('.');
            out.push_str(&digits[1..]);
        }
        put(out, format_args!("E{exponent}"));
        return;
    }
    plain_decimal(&digits, scale, out);
}

/// Digits with a point before the last `scale` of them.
fn plain_decimal(digits: &str, scale: i8, out: &mut String) {
    let scale = scale.max(0) as usize;
    if scale == 0 {
        out.push_str(digits);
        return;
    }
    let padded = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = padded.split_at(padded.len() - scale);
    out.push_str(whole);
    out.push('.');
    out.push_str(fraction);
}

/// `yyyy-MM-dd` of days since 1970.
pub(crate) fn show_date(days: i32, out: &mut String) {
    if let Some(date) = NaiveDate::from_num_days_from_ce_opt(days.saturating_add(719_163)) {
        show_day(date, out);
    }
}

fn show_day(date: NaiveDate, out: &mut String) {
    let year = date.year();
    match year {
        0..=9999 => put(out, format_args!("{year:04}")),
        10_000.. => put(out, format_args!("+{year}")),
        _ => put(out, format_args!("-{:04}", -year)),
    }
    put(out, format_args!("-{:02}-{:02}", date.month(), date.day()));
}

/// `yyyy-MM-dd HH:mm:ss` of microseconds since 1970, with a fraction only if there is one.
pub(crate) fn show_timestamp(micros: i64, out: &mut String) {
    let Some(time) = DateTime::from_timestamp_micros(micros) else { return };
    show_day(time.date_naive(), out);
    put(out, format_args!(" {:02}:{:02}:{:02}", time.hour(), time.minute(), time.second()));
    let fraction = micros.rem_euclid(1_000_000);
    if fraction != 0 {
        let digits = format!("{fraction:06}");
        put(out, format_args!(".{}", digits.trim_end_matches('0')));
    }
}
