use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types;
use arrow_array::{Array, RecordBatch};
use arrow_buffer::Buffer;
use arrow_schema::{DataType, TimeUnit};
use base64::Engine as _;
use manade_model::{CsvOptions, EventSchema, Field, SparkType, TimeFormat};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Decoder, DecoderError, DecoderOptions, Format, rows};
use crate::chunk::{Chunk, DecodeStage, Decoded};

const CSV: CsvOptions = CsvOptions { delimiter: b',', quote: b'"', header: false };

fn options(format: Format) -> DecoderOptions {
    DecoderOptions { format, time: None, coerce: false, max_event: 1 << 20, meta: false }
}

fn field(name: &str, data_type: SparkType) -> Field {
    Field { name: name.to_owned(), data_type }
}

fn schema(fields: &[(&str, SparkType)]) -> EventSchema {
    EventSchema { fields: fields.iter().map(|(name, data_type)| field(name, data_type.clone())).collect() }
}

fn chunk(data: impl AsRef<[u8]>) -> Chunk {
    Chunk { data: Buffer::from(data.as_ref()), arrival: 7, ..Chunk::default() }
}

/// A type by its DDL, as far as these tests need it.
fn parse(ddl: &str, pattern: Option<&str>) -> SparkType {
    let time = || pattern.map_or(TimeFormat::Iso, |pattern| TimeFormat::Pattern(pattern.to_owned()));
    if let Some(inner) = ddl.strip_prefix("array<") {
        return SparkType::Array(Box::new(parse(&inner[..inner.len() - 1], None)));
    }
    if let Some(inner) = ddl.strip_prefix("map<string,") {
        return SparkType::Map(Box::new(SparkType::String), Box::new(parse(&inner[..inner.len() - 1], None)));
    }
    if let Some(inner) = ddl.strip_prefix("struct<") {
        let fields = inner[..inner.len() - 1].split(',').map(|part| {
            let (name, ddl) = part.split_once(':').unwrap();
            field(name, parse(ddl, None))
        });
        return SparkType::Struct(fields.collect());
    }
    if let Some(inner) = ddl.strip_prefix("decimal(") {
        let (precision, scale) = inner[..inner.len() - 1].split_once(',').unwrap();
        return SparkType::Decimal { precision: precision.parse().unwrap(), scale: scale.parse().unwrap() };
    }
    match ddl {
        "tinyint" => SparkType::Byte,
        "smallint" => SparkType::Short,
        "int" => SparkType::Int,
        "bigint" => SparkType::Long,
        "float" => SparkType::Float,
        "double" => SparkType::Double,
        "boolean" => SparkType::Boolean,
        "string" => SparkType::String,
        "binary" => SparkType::Binary,
        "date" => SparkType::Date(time()),
        "timestamp" => SparkType::Timestamp(time()),
        "timestamp_ntz" => SparkType::TimestampNtz(time()),
        other => panic!("{other}"),
    }
}

fn number(value: f64) -> Value {
    if value.is_finite() {
        json!(value)
    } else if value.is_nan() {
        json!("NaN")
    } else {
        json!(if value > 0.0 { "Infinity" } else { "-Infinity" })
    }
}

/// A value as the data files write it.
fn plain(array: &dyn Array, row: usize) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    match array.data_type() {
        DataType::Boolean => json!(array.as_boolean().value(row)),
        DataType::Int8 => json!(array.as_primitive::<types::Int8Type>().value(row)),
        DataType::Int16 => json!(array.as_primitive::<types::Int16Type>().value(row)),
        DataType::Int32 => json!(array.as_primitive::<types::Int32Type>().value(row)),
        DataType::Int64 => json!(array.as_primitive::<types::Int64Type>().value(row)),
        DataType::Date32 => json!(array.as_primitive::<types::Date32Type>().value(row)),
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            json!(array.as_primitive::<types::TimestampMicrosecondType>().value(row))
        }
        DataType::Float32 => number(f64::from(array.as_primitive::<types::Float32Type>().value(row))),
        DataType::Float64 => number(array.as_primitive::<types::Float64Type>().value(row)),
        DataType::Decimal128(..) => json!(array.as_primitive::<types::Decimal128Type>().value_as_string(row)),
        DataType::Utf8View => json!(array.as_string_view().value(row)),
        DataType::BinaryView => {
            json!(base64::engine::general_purpose::STANDARD.encode(array.as_binary_view().value(row)))
        }
        DataType::List(_) => {
            let list = array.as_list::<i32>().value(row);
            (0..list.len()).map(|row| plain(&list, row)).collect()
        }
        DataType::Map(..) => {
            let entries = array.as_map().value(row);
            let (keys, values) = (entries.column(0).as_string_view(), entries.column(1));
            Value::Object((0..keys.len()).map(|row| (keys.value(row).to_owned(), plain(values, row))).collect())
        }
        DataType::Struct(fields) => {
            let columns = array.as_struct().columns();
            let members = fields.iter().zip(columns).map(|(field, column)| (field.name().clone(), plain(column, row)));
            Value::Object(members.collect())
        }
        other => panic!("{other}"),
    }
}

fn column(batch: &RecordBatch, column: usize) -> Vec<Value> {
    (0..batch.num_rows()).map(|row| plain(batch.column(column), row)).collect()
}

/// The rows of all columns, and stage and reason of the dead.
fn all(decoded: &Decoded) -> (Vec<Vec<Value>>, Vec<String>) {
    let columns = (0..decoded.batch.num_columns()).map(|index| column(&decoded.batch, index)).collect();
    (columns, decoded.dead.iter().map(|dead| format!("{:?}: {}", dead.stage, dead.reason)).collect())
}

fn decode_one(decoder: &Decoder, event: &str) -> Result<Value, String> {
    let mut one = chunk(event);
    // Of CSV a line may be blank.
    if matches!(decoder.options.format, Format::Csv(_)) {
        one.ends = vec![event.len() as u32];
    }
    let fast = decoder.decode(&one);
    let slow = rows::decode(decoder, &one, false);
    assert_eq!(all(&fast), all(&slow), "{event}");
    assert_eq!(fast.read, 1, "{event}");
    assert_eq!(fast.read as usize, fast.rows.len() + fast.dead.len());
    match fast.dead.first() {
        Some(dead) => Err(dead.reason.clone()),
        None => Ok(plain(fast.batch.column(0), 0)),
    }
}

/// Numbers that are equal as floats, whatever their width; keys of structs in lower case.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) if one.is_f64() || other.is_f64() => one.as_f64() == other.as_f64(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .zip(other)
                    .all(|((a, one), (b, other))| a.to_lowercase() == b.to_lowercase() && same(one, other))
        }
        _ => one == other,
    }
}

fn check_spark(data: &str, format: &Format) {
    let mut wrong = Vec::new();
    for line in data.lines() {
        let (ddl, pattern, events, answers): (String, Option<String>, Vec<String>, Vec<Value>) =
            serde_json::from_str(line).unwrap();
        let spark_type = parse(&ddl, pattern.as_deref());
        let decoder = Decoder::new(&schema(&[("v", spark_type)]), None, options(format.clone())).unwrap();
        for (event, answer) in events.iter().zip(&answers) {
            let ours = decode_one(&decoder, event);
            let right = match &ours {
                Ok(value) => same(value, answer),
                Err(_) => answer == "corrupt",
            };
            if !right {
                wrong.push(format!("{ddl} {pattern:?} {event}: Spark {answer}, we {ours:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn json_is_read_as_spark_reads_it() {
    check_spark(include_str!("../../tests/data/spark_json.jsonl"), &Format::Lines);
}

#[test]
fn csv_is_read_as_spark_reads_it() {
    check_spark(include_str!("../../tests/data/spark_csv.jsonl"), &Format::Csv(CSV));
}

fn check(ddl: &str, event: &str, expect: Result<Value, &str>) {
    let decoder = Decoder::new(&schema(&[("v", parse(ddl, None))]), None, options(Format::Lines)).unwrap();
    assert_eq!(decode_one(&decoder, event), expect.map_err(str::to_owned), "{event}");
}

#[test]
fn a_reason_names_the_field_and_the_value() {
    check("int", r#"{"v":"abc"}"#, Err("field v: \"abc\" is not an int"));
    check("int", r#"{"v":3000000000}"#, Err("field v: 3000000000 is out of range for an int"));
    check("tinyint", r#"{"v":128}"#, Err("field v: 128 is out of range for a tinyint"));
    check("struct<a:int>", r#"{"v":{"a":[1]}}"#, Err("field v.a: [1] is not an int"));
    check("array<int>", r#"{"v":[1,true]}"#, Err("field v[1]: true is not an int"));
    check("map<string,int>", r#"{"v":{"x y":1.5}}"#, Err("field v[\"x y\"]: 1.5 is not an int"));
    check("decimal(3,1)", r#"{"v":100}"#, Err("field v: 100 is out of range for a decimal(3,1)"));
    // 2^128 + 1: what is left of it in 128 bits is a number that fits.
    let large = "340282366920938463463374607431768211457";
    let reason = format!("field v: {large} is out of range for a decimal(38,0)");
    check("decimal(38,0)", &format!(r#"{{"v":{large}}}"#), Err(&reason));
    let epoch = "field v: 1577934245 is a number: a timestamp needs the format epoch_seconds, epoch_millis or epoch_micros for that";
    check("timestamp", r#"{"v":1577934245}"#, Err(epoch));
    let long = format!(r#"{{"v":"{}"}}"#, "x".repeat(100));
    check("int", &long, Err(&format!("field v: \"{}… is not an int", "x".repeat(59))));
}

#[test]
fn only_strict_json_is_an_event() {
    let cases = [
        (r#"{"v":1} {"v":2}"#, "text behind the event (column 9)"),
        (r#"{"v":1}x"#, "text behind the event (column 8)"),
        (r#"[{"v":1}]"#, "an array where an object should be (column 1)"),
        ("1", "not a JSON object (column 1)"),
        ("null", "not a JSON object (column 1)"),
        (r#"{"v":NaN}"#, "not a JSON value (column 6)"),
        (r#"{"x":NaN}"#, "not a JSON value (column 6)"),
        (r"{'v':1}", "a key in double quotes is missing (column 2)"),
        (r#"{"x":'a'}"#, "not a JSON value (column 6)"),
        (r#"{"v":1,}"#, "a key in double quotes is missing (column 8)"),
        (r#"{"v":01}"#, "a comma or the object's end is missing (column 7)"),
        (r#"{"v":1.}"#, "a number needs a digit here (column 8)"),
        (r#"{"v":+1}"#, "not a JSON value (column 6)"),
        (r#"{"v":1 /* no */}"#, "a comma or the object's end is missing (column 8)"),
        (r#"{"v" 1}"#, "a colon is missing behind a key (column 6)"),
        (r#"{"v":"#, "a value is missing at the end (column 6)"),
        (r#"{"x":"\ud800"}"#, "a lone surrogate in a string (column 7)"),
        (r#"{"x":"\udc00\ud800"}"#, "a lone surrogate in a string (column 7)"),
        (r#"{"x":"\ud800\u0041"}"#, "a lone surrogate in a string (column 7)"),
        (r#"{"x":"\x"}"#, "an unknown escape sequence in a string (column 7)"),
        (r#"{"x":"\u12g4"}"#, "four hexadecimal digits must follow \\u (column 11)"),
        ("{\"x\":\"a\tb\"}", "a control character in a string must be escaped (column 8)"),
        (r#"{"x":"abc"#, "the string does not end (column 10)"),
        ("{\"é\":tru}", "not a JSON value (column 6)"),
        (r#"{"x":[1,2}"#, "a comma or the array's end is missing (column 10)"),
    ];
    for (event, reason) in cases {
        check("int", event, Err(reason));
    }
}

#[test]
fn unusual_events_are_fine() {
    check("int", "\u{feff}{\"v\":1}\r", Ok(json!(1)));
    check("int", " \t{ \"v\" : 1 } ", Ok(json!(1)));
    check("int", r#"{"\u0076":1}"#, Ok(json!(1)));
    check("int", r#"{"v":"x","v":2}"#, Ok(json!(2)));
    check("int", r#"{"ключ":{"v":2},"v":3}"#, Ok(json!(3)));
    check("string", r#"{"v":"\ud83d\ude00 \u00e9\n\/\\"}"#, Ok(json!("😀 é\n/\\")));
    check(
        "string",
        r#"{"v":"a much longer \"text\" than twelve bytes"}"#,
        Ok(json!("a much longer \"text\" than twelve bytes")),
    );
    check("map<string,int>", r#"{"v":{"a":1,"b":2,"a":3}}"#, Ok(json!({"b": 2, "a": 3})));
    let long = "é".repeat(100_000);
    check("string", &format!(r#"{{"v":"{long}"}}"#), Ok(json!(long)));
}

#[test]
fn nesting_is_limited() {
    let nested = |depth: usize| format!(r#"{{"x":{}1{},"v":1}}"#, "[".repeat(depth), "]".repeat(depth));
    check("int", &nested(499), Ok(json!(1)));
    check("int", &nested(500), Err("nested deeper than 500 levels (column 505)"));
    check(
        "string",
        &nested(499).replace('x', "v").replace(",\"v\":1", ""),
        Ok(json!(format!("{}1{}", "[".repeat(499), "]".repeat(499)))),
    );
    let deep = decode_one(
        &Decoder::new(&schema(&[("v", SparkType::Int)]), None, options(Format::Lines)).unwrap(),
        &nested(100_000),
    );
    assert!(deep.unwrap_err().starts_with("nested deeper"));
}

fn check_coerced(spark_type: SparkType, event: &str, expect: Option<Value>) {
    let coerce = DecoderOptions { coerce: true, ..options(Format::Lines) };
    let decoder = Decoder::new(&schema(&[("v", spark_type)]), None, coerce).unwrap();
    assert_eq!(decode_one(&decoder, event).ok(), expect, "{event}");
}

#[test]
fn coerce_takes_values_in_strings() {
    check_coerced(SparkType::Int, r#"{"v":"12"}"#, Some(json!(12)));
    check_coerced(SparkType::Int, r#"{"v":" -12 "}"#, Some(json!(-12)));
    check_coerced(SparkType::Int, r#"{"v":"1.5"}"#, None);
    check_coerced(SparkType::Int, r#"{"v":"3000000000"}"#, None);
    check_coerced(SparkType::Int, r#"{"v":true}"#, None);
    check_coerced(SparkType::Double, r#"{"v":"1.5e3"}"#, Some(json!(1500.0)));
    check_coerced(SparkType::Double, r#"{"v":"x"}"#, None);
    check_coerced(SparkType::Float, r#"{"v":"0.1"}"#, Some(json!(f64::from(0.1_f32))));
    check_coerced(SparkType::Boolean, r#"{"v":"True"}"#, Some(json!(true)));
    check_coerced(SparkType::Boolean, r#"{"v":"0"}"#, Some(json!(false)));
    check_coerced(SparkType::Boolean, r#"{"v":"maybe"}"#, None);
    check_coerced(
        SparkType::Timestamp(TimeFormat::EpochMillis),
        r#"{"v":"1577934245123"}"#,
        Some(json!(1_577_934_245_123_000_i64)),
    );
    check_coerced(SparkType::Timestamp(TimeFormat::Iso), r#"{"v":"1577934245"}"#, None);
}

#[test]
fn epochs_are_numbers() {
    let check = |format: TimeFormat, event: &str, expect: Option<i64>| {
        let decoder =
            Decoder::new(&schema(&[("v", SparkType::Timestamp(format))]), None, options(Format::Lines)).unwrap();
        assert_eq!(decode_one(&decoder, event).ok(), expect.map(|micros| json!(micros)), "{event}");
    };
    check(TimeFormat::EpochSeconds, r#"{"v":1577934245}"#, Some(1_577_934_245_000_000));
    check(TimeFormat::EpochSeconds, r#"{"v":1577934245.123456789}"#, Some(1_577_934_245_123_456));
    check(TimeFormat::EpochSeconds, r#"{"v":-0.0000001}"#, Some(-1));
    check(TimeFormat::EpochMillis, r#"{"v":1577934245123}"#, Some(1_577_934_245_123_000));
    check(TimeFormat::EpochMicros, r#"{"v":1.5e3}"#, Some(1500));
    check(TimeFormat::EpochSeconds, r#"{"v":9223372036855}"#, None);
    check(TimeFormat::EpochSeconds, r#"{"v":"1577934245"}"#, None);
}

#[test]
fn only_what_is_read_is_built() {
    let bid = SparkType::Struct(vec![
        field("Price", SparkType::Long),
        field("at", SparkType::Timestamp(TimeFormat::EpochMicros)),
        field("extra", SparkType::String),
    ]);
    let schema = schema(&[("Kind", SparkType::Int), ("Bid", bid)]);
    let time = Some(vec!["bid".to_owned(), "at".to_owned()]);
    let reads = [vec!["bid".to_owned(), "price".to_owned()]];
    let decoder = Decoder::new(&schema, Some(&reads), DecoderOptions { time, ..options(Format::Lines) }).unwrap();
    let decoded = decoder.decode(&chunk(concat!(
        r#"{"Kind":"not looked at","Bid":{"Price":5,"at":11,"extra":1}}"#,
        "\n\r\n",
        r#"{"Bid":{"Price":6,"at":null}}"#,
        "\n",
        r#"{"Kind":1}"#,
        "\n",
        r#"{"Bid":{"at":12}}"#,
    )));
    assert_eq!(all(&decoded).0, vec![vec![json!({"Price": 5}), json!({"Price": null})]]);
    assert_eq!(decoded.times, vec![11, 12]);
    assert_eq!(decoded.batch.schema(), *decoder.schema());
    let dead: Vec<_> = decoded.dead.iter().map(|dead| (dead.stage, dead.reason.as_str())).collect();
    let missing = "the event time bid.at is missing or null";
    assert_eq!(dead, vec![(DecodeStage::Time, missing), (DecodeStage::Time, missing)]);
    assert_eq!(decoded.read, 4);
    let none = Decoder::new(&schema, Some(&[]), options(Format::Lines)).unwrap();
    let decoded = none.decode(&chunk("{}\n{\"Kind\":5}\n"));
    assert_eq!((decoded.batch.num_rows(), decoded.batch.num_columns(), decoded.times), (2, 0, vec![7, 7]));
}

#[test]
fn wrong_decoders_are_refused() {
    let all = schema(&[("a", SparkType::Int), ("l", SparkType::Array(Box::new(SparkType::Int)))]);
    let new = |reads: &[&str], time: Option<&str>, format: Format| {
        let reads: Vec<Vec<String>> = reads.iter().map(|path| vec![(*path).to_owned()]).collect();
        let time = time.map(|path| vec![path.to_owned()]);
        Decoder::new(&all, Some(&reads), DecoderOptions { time, ..options(format) }).unwrap_err()
    };
    assert_eq!(new(&["b"], None, Format::Lines), DecoderError::UnknownColumn { path: "b".to_owned() });
    assert_eq!(new(&[], Some("a"), Format::Lines), DecoderError::NotATime { path: "a".to_owned() });
    assert_eq!(new(&[], None, Format::Csv(CSV)).to_string(), "column `l`: CSV cannot hold the type array");
}

#[test]
fn too_long_and_not_utf8() {
    let decoder = Decoder::new(
        &schema(&[("v", SparkType::String)]),
        None,
        DecoderOptions { max_event: 12, ..options(Format::Lines) },
    );
    let decoded = decoder.unwrap().decode(&chunk(b"{\"v\":\"\xff\"}\n{\"v\":\"abcdefgh\"}\n{\"v\":\"x\"}\n"));
    let (columns, dead) = all(&decoded);
    assert_eq!(columns, vec![vec![json!("x")]]);
    assert_eq!(dead, vec!["Decode: not valid UTF-8", "Decode: 16 bytes are more than the limit of 12"]);
}

#[test]
fn elements_and_meta() {
    let meta = DecoderOptions { meta: true, ..options(Format::Elements) };
    let decoder = Decoder::new(&schema(&[("v", SparkType::Int)]), None, meta).unwrap();
    let mut elements = chunk("{\"v\":1} ,\n{\"v\":\n2},5");
    elements.ends = vec![7, 18, 20];
    elements.meta = Some(vec![None, Some(r#"{"id":"7","n":1}"#.to_owned()), None]);
    let decoded = decoder.decode(&elements);
    let (columns, dead) = all(&decoded);
    assert_eq!(columns, vec![vec![json!(1), json!(2)], vec![Value::Null, json!({"id": "7", "n": "1"})]]);
    assert_eq!(dead, vec!["Decode: not a JSON object (column 1)"]);
}

#[test]
fn csv_goes_by_header() {
    let schema = schema(&[("A", SparkType::Int), ("b", SparkType::String), ("c", SparkType::Boolean)]);
    let decoder = Decoder::new(&schema, None, options(Format::Csv(CSV))).unwrap();
    let mut records = chunk("x,1,\"a\nb \"\"q\"\"\"\r\n,,\n1,2\n1,2,3,4\n1,z,x\n\n1,\"2\",\"\"\n\"1,2,3");
    let ends = [17, 20, 24, 32, 38, 39, 48, 54];
    records.ends = ends.to_vec();
    records.header = Some(Arc::from(vec!["zz".to_owned(), "a".to_owned(), "B".to_owned()]));
    let (columns, dead) = all(&decoder.decode(&records));
    assert_eq!(columns[0], vec![json!(1), Value::Null, json!(2)]);
    assert_eq!(columns[1], vec![json!("a\nb \"q\""), Value::Null, Value::Null]);
    assert_eq!(columns[2], vec![Value::Null; 3]);
    let expected = [
        "Decode: 2 cells where 3 are expected",
        "Decode: 4 cells where 3 are expected",
        "Decode: field A: \"z\" is not an int",
        "Decode: a quoted cell does not end",
    ];
    assert_eq!(dead, expected);
}

/// Where two columns of a header may be meant, no value is taken silently.
#[test]
fn csv_headers_with_a_name_twice() {
    let check = |header: &[&str], reads: Option<&str>, expect: Result<Vec<Value>, &str>| {
        let schema = schema(&[("a", SparkType::Int), ("_c1", SparkType::Int)]);
        let reads: Option<Vec<Vec<String>>> = reads.map(|column| vec![vec![column.to_owned()]]);
        let decoder = Decoder::new(&schema, reads.as_deref(), options(Format::Csv(CSV))).unwrap();
        let mut records = chunk("1,2\n3,4\n");
        records.ends = vec![4, 8];
        records.header = Some(header.iter().map(|name| (*name).to_owned()).collect());
        let (columns, dead) = all(&decoder.decode(&records));
        match expect {
            Ok(values) => assert_eq!((&columns[0], dead.len()), (&values, 0), "{header:?}"),
            Err(reason) => assert_eq!(dead, [format!("Decode: {reason}"), format!("Decode: {reason}")], "{header:?}"),
        }
    };
    check(&["a", "a"], None, Err("the header has the column `a` twice"));
    check(&["A", " A "], None, Err("the header has the column `A` twice"));
    check(&["a", "A"], None, Ok(vec![json!(1), json!(3)]));
    check(&["A", "a"], None, Ok(vec![json!(2), json!(4)]));
    check(&["a", "a"], Some("_c1"), Ok(vec![Value::Null, Value::Null]));
    check(&["a", ""], Some("_c1"), Ok(vec![json!(2), json!(4)]));
    let foreign = "the header has none of the schema's columns, but `a;_c1`, `x`; is `delimiter` right?";
    check(&["a;_c1", "x"], Some("_c1"), Err(foreign));
    check(&["a", "x"], Some("_c1"), Ok(vec![Value::Null, Value::Null]));
}

fn wide_schema() -> EventSchema {
    let inner =
        SparkType::Struct(vec![field("x", SparkType::Int), field("y", SparkType::Array(Box::new(SparkType::String)))]);
    schema(&[
        ("a", SparkType::Long),
        ("b", SparkType::String),
        ("c", SparkType::Double),
        ("d", inner),
        ("e", SparkType::Map(Box::new(SparkType::String), Box::new(SparkType::Float))),
        ("f", SparkType::Boolean),
        ("g", SparkType::Decimal { precision: 9, scale: 2 }),
        ("t", SparkType::Timestamp(TimeFormat::Iso)),
    ])
}

fn scalar() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<i64>().prop_map(|value| value.to_string()),
        (-1000_i32..1000).prop_map(|value| value.to_string()),
        any::<f64>().prop_filter("finite", |value| value.is_finite()).prop_map(|value| format!("{value:?}")),
        (-100_000_i32..100_000, 0_u32..4).prop_map(|(value, behind)| format!("{value}.{behind}")),
        Just("true".to_owned()),
        Just("null".to_owned()),
        "[a-zé😀 \"\\\\\n]{0,20}".prop_map(|text| serde_json::to_string(&text).unwrap()),
        Just("\"2020-01-02T03:04:05.5Z\"".to_owned()),
        Just("\"\\u0041\\ud83d\\ude00\"".to_owned()),
    ]
}

fn json_value() -> impl Strategy<Value = String> {
    scalar().prop_recursive(3, 20, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|list| format!("[{}]", list.join(","))),
            prop::collection::vec(("[a-y]", inner), 0..4).prop_map(|list| object(&list)),
        ]
    })
}

fn object(list: &[(String, String)]) -> String {
    let members: Vec<String> = list.iter().map(|(key, value)| format!("\"{key}\": {value}")).collect();
    format!("{{{}}}", members.join(" ,"))
}

/// Mostly of the types of `wide_schema`.
fn event() -> impl Strategy<Value = String> {
    let typed = (any::<i32>(), "[ -~]{0,20}", any::<i16>(), -99_i32..99, any::<bool>()).prop_map(|(a, b, c, x, f)| {
        let b = serde_json::to_string(&b).unwrap();
        format!(
            r#"{{"a":{a},"b":{b},"z":[{a},{b},{{}}],"c":{c}.25,"d":{{"x":{x},"y":[{b},null]}},"e":{{"k":{c},"l":null}},"f":{f},"g":{x}.5,"t":"2020-01-02"}}"#
        )
    });
    let loose = prop::collection::vec(("[a-ht]", json_value()), 0..8).prop_map(|list| object(&list));
    prop_oneof![typed, loose]
}

fn same_both_ways(data: &[u8], coerce: bool) {
    let decoder = Decoder::new(&wide_schema(), None, DecoderOptions { coerce, ..options(Format::Lines) }).unwrap();
    let fast = decoder.decode(&chunk(data));
    let slow = rows::decode(&decoder, &chunk(data), false);
    // Equality of NaN is not wanted.
    assert_eq!(format!("{:?}", all(&fast)), format!("{:?}", all(&slow)));
    assert_eq!((&fast.rows, &fast.times, &fast.dead, fast.read), (&slow.rows, &slow.times, &slow.dead, slow.read));
    assert_eq!(fast.read as usize, fast.rows.len() + fast.dead.len());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn fast_is_slow(events in prop::collection::vec(event(), 1..12), coerce: bool) {
        same_both_ways(events.join("\n").as_bytes(), coerce);
    }

    #[test]
    fn fast_is_slow_on_damaged_events(
        events in prop::collection::vec(event(), 1..6),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = events.join("\n").into_bytes();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        same_both_ways(&bytes, false);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes: Vec<u8>, ends in prop::collection::vec(any::<prop::sample::Index>(), 0..4)) {
        same_both_ways(&bytes, false);
        let mut csv = chunk(&bytes);
        csv.ends = ends.iter().map(|end| end.index(bytes.len() + 1) as u32).collect();
        csv.ends.sort_unstable();
        let columns = [("a", SparkType::Int), ("b", SparkType::String)];
        let decoder = Decoder::new(&schema(&columns), None, options(Format::Csv(CSV))).unwrap();
        let decoded = decoder.decode(&csv);
        prop_assert_eq!(decoded.read as usize, decoded.rows.len() + decoded.dead.len());
    }

    #[test]
    fn json_that_serde_takes_is_taken(text in json_value(), damage: (prop::sample::Index, u8)) {
        let mut bytes = format!("{{\"q\":{text}}}").into_bytes();
        let at = damage.0.index(bytes.len());
        bytes[at] = damage.1 % 128;
        prop_assume!(std::str::from_utf8(&bytes).is_ok());
        let theirs = serde_json::from_slice::<serde_json::Map<String, Value>>(&bytes);
        let ours = crate::scan::check_event(&bytes);
        // serde_json refuses numbers that are too large for a double.
        let range = theirs.as_ref().is_err_and(|error| error.to_string().contains("out of range"));
        prop_assert!(range || theirs.is_ok() == ours.is_ok(), "{} {:?} {:?}", String::from_utf8_lossy(&bytes), theirs, ours);
    }
}
