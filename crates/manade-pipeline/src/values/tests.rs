use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, Float32Array, Float64Array, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, TimeUnit};
use datafusion::scalar::ScalarValue;

use super::{LiteralError, parse, write_json, write_string, write_text};

fn json_of(array: ArrayRef) -> String {
    let mut out = Vec::new();
    write_json(&array, 0, &mut out);
    String::from_utf8(out).unwrap()
}

/// Expected text by Python's datetime, and by hand outside its years.
#[test]
fn times_are_iso_8601() {
    let check = |micros: i64, expected: &str| {
        let array = TimestampMicrosecondArray::from(vec![micros]).with_timezone("UTC");
        assert_eq!(json_of(Arc::new(array)), format!("\"{expected}\""));
    };
    check(0, "1970-01-01T00:00:00Z");
    check(-1, "1969-12-31T23:59:59.999999Z");
    check(951_782_400_000_000, "2000-02-29T00:00:00Z");
    check(1_709_251_199_100_000, "2024-02-29T23:59:59.1Z");
    check(4_107_542_400_000_000, "2100-03-01T00:00:00Z");
    check(253_402_300_799_999_999, "9999-12-31T23:59:59.999999Z");
    check(253_402_300_800_000_000, "+010000-01-01T00:00:00Z");
    check(-62_135_596_800_000_000, "0001-01-01T00:00:00Z");
    let day = |days: i32, expected: &str| assert_eq!(json_of(Arc::new(Date32Array::from(vec![days]))), expected);
    day(11_323, "\"2001-01-01\"");
    day(-719_529, "\"-000001-12-31\"");
}

#[test]
fn floats_are_the_shortest_that_read_back() {
    let check = |value: f64, text: &str, json: &str| {
        let array: ArrayRef = Arc::new(Float64Array::from(vec![value]));
        let mut out = Vec::new();
        write_text(&array, 0, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), text);
        assert_eq!(json_of(array), json);
    };
    check(0.1, "0.1", "0.1");
    check(2.0, "2.0", "2.0");
    check(-0.0, "-0.0", "-0.0");
    check(1e300, "1e300", "1e300");
    check(5e-324, "5e-324", "5e-324");
    check(f64::NAN, "NaN", "null");
    check(f64::INFINITY, "Infinity", "null");
    check(f64::NEG_INFINITY, "-Infinity", "null");
    assert_eq!(json_of(Arc::new(Float32Array::from(vec![0.1f32]))), "0.1");
}

#[test]
fn strings_read_back() {
    for text in ["", "plain", "a\"b\\c", "\u{0}\u{1f}\n\r\t", "été 🐎", "\u{7f}\u{2028}"] {
        let mut out = Vec::new();
        write_string(text, &mut out);
        assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
    }
}

#[test]
fn literals_are_read_by_type() {
    let check = |text: &str, data_type: DataType, expected: Option<ScalarValue>| {
        assert_eq!(parse(text, &data_type).ok(), expected, "{text} as {data_type}");
    };
    let zoned = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let moment = |micros| Some(ScalarValue::TimestampMicrosecond(Some(micros), Some("UTC".into())));
    check("127", DataType::Int8, Some(ScalarValue::Int8(Some(127))));
    check("128", DataType::Int8, None);
    check("1.5", DataType::Int32, None);
    check("", DataType::Int64, None);
    check("1e3", DataType::Float64, Some(ScalarValue::Float64(Some(1000.0))));
    check("-Infinity", DataType::Float64, Some(ScalarValue::Float64(Some(f64::NEG_INFINITY))));
    check("12.340", DataType::Decimal128(10, 2), Some(ScalarValue::Decimal128(Some(12_340), 5, 3)));
    check("1e3", DataType::Decimal128(10, 2), Some(ScalarValue::Decimal128(Some(1_000), 4, 0)));
    check("-1.25E-1", DataType::Decimal128(10, 2), Some(ScalarValue::Decimal128(Some(-125), 4, 3)));
    check("+12.5e1", DataType::Decimal128(10, 2), Some(ScalarValue::Decimal128(Some(125), 3, 0)));
    for none in ["1e", "e3", "1e3e3", "1e99", "1e3.5", "1e-99", "1e99999999999"] {
        check(none, DataType::Decimal128(10, 2), None);
    }
    check(".", DataType::Decimal128(10, 2), None);
    check("T", DataType::Boolean, Some(ScalarValue::Boolean(Some(true))));
    check("2", DataType::Boolean, None);
    check("2001-01-01", DataType::Date32, Some(ScalarValue::Date32(Some(11_323))));
    check("2001-13-01", DataType::Date32, None);
    check("2001-01-01T00:00:00.5+01:00", zoned.clone(), moment(978_303_600_500_000));
    check("2001-01-01 00:00:00", zoned.clone(), moment(978_307_200_000_000));
    check("now", zoned.clone(), None);
    // As they are written, far years too.
    for micros in [-62_167_219_200_000_001, 253_402_300_800_000_000, 1_767_225_600_000_000_000, -99_999_999_999_999_999]
    {
        let array: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![micros]).with_timezone("UTC"));
        let mut text = Vec::new();
        write_text(&array, 0, &mut text);
        check(std::str::from_utf8(&text).unwrap(), zoned.clone(), moment(micros));
    }
    check("+999999-01-01", zoned, None);
    check("AP8=", DataType::BinaryView, Some(ScalarValue::BinaryView(Some(vec![0, 255]))));
    check("%%%", DataType::BinaryView, None);
    let list = DataType::new_list(DataType::Int32, true);
    assert_eq!(parse("1", &list), Err(LiteralError::Nested));
}
