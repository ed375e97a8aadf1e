use manade_model::{CsvOptions, EventSchema, Field, FileFormat, SparkType, TimeFormat};

use super::{InferError, Inferred, infer};

fn check(sample: &str, format: &FileFormat, expect: &[(&str, SparkType)]) {
    let fields =
        expect.iter().map(|(name, data_type)| Field { name: (*name).to_owned(), data_type: data_type.clone() });
    let inferred = Inferred { schema: EventSchema { fields: fields.collect() }, left_out: Vec::new() };
    assert_eq!(infer(sample.as_bytes(), format), Ok(inferred), "{sample}");
}

fn pattern(text: &str) -> TimeFormat {
    TimeFormat::Pattern(text.to_owned())
}

/// What `spark.read.json` infers, but for times and the order of fields.
#[test]
fn types_of_json() {
    use SparkType::{Boolean, Double, Long, String};
    let json = |sample: &str, expect: &[(&str, SparkType)]| check(sample, &FileFormat::Ndjson, expect);
    json("{\"b\":1,\"a\":2.0}\n{\"a\":1,\"c\":null}\n", &[("b", Long), ("a", Double), ("c", String)]);
    json("{\"a\":true}\n{\"a\":1}\n", &[("a", String)]);
    json("{\"a\":true}\n{\"a\":null}\n", &[("a", Boolean)]);
    json("{\"a\":\"x\"}\n{\"a\":{\"b\":1}}\n", &[("a", String)]);
    json("{\"a\":12345678901234567890}\n", &[("a", SparkType::Decimal { precision: 38, scale: 0 })]);
    json("{\"a\":[1,2.5,null]}\n{\"a\":[]}\n", &[("a", SparkType::Array(Box::new(Double)))]);
    json("{\"a\":[]}", &[("a", SparkType::Array(Box::new(String)))]);
    let inner = SparkType::Struct(vec![
        Field { name: "y".to_owned(), data_type: Long },
        Field { name: "x".to_owned(), data_type: String },
    ]);
    json("{\"a\":{\"y\":1},\"e\":{}}\n{\"a\":{\"x\":\"1\"}}\nbroken\n", &[("a", inner)]);
    json("{\"a\":1}\n{\"b\":", &[("a", Long)]);
}

#[test]
fn times_in_strings() {
    let json = |values: &[&str], expect: SparkType| {
        let lines: Vec<String> = values.iter().map(|value| format!("{{\"t\":\"{value}\"}}\n")).collect();
        check(&lines.concat(), &FileFormat::Ndjson, &[("t", expect)]);
    };
    json(&["2020-01-02"], SparkType::Date(TimeFormat::Iso));
    json(&["2020-01-02", "2020-01-02T03:04:05Z"], SparkType::Timestamp(TimeFormat::Iso));
    json(&["2020-01-02 03:04:05.123"], SparkType::Timestamp(TimeFormat::Iso));
    json(&["2001/01/01 00:10"], SparkType::Timestamp(pattern("yyyy/MM/dd HH:mm")));
    json(&["10/Oct/2000:13:55:36 -0700"], SparkType::Timestamp(pattern("dd/MMM/yyyy:HH:mm:ss Z")));
    json(&["01/02/2020", "13/02/2020"], SparkType::Date(pattern("dd/MM/yyyy")));
    json(&["01/02/2020"], SparkType::String);
    json(&["2020-01-02", "soon"], SparkType::String);
    json(&["12345"], SparkType::String);
}

#[test]
fn csv_and_documents() {
    let csv = |header| FileFormat::Csv(CsvOptions { delimiter: b',', quote: b'"', header });
    let expect = [
        ("Id", SparkType::Int),
        ("big", SparkType::Long),
        ("x", SparkType::Double),
        ("ok", SparkType::Boolean),
        ("at", SparkType::Timestamp(TimeFormat::Iso)),
        ("s", SparkType::String),
        ("none", SparkType::String),
    ];
    let sample = "Id,big,x,ok,at,s,none\n1,3000000000,1,TRUE,2020-01-02 03:04:05,\"a\nb\",\n,1,2.5,false,,1,\n7,bad\n";
    check(sample, &csv(true), &expect);
    check("1,x\n", &csv(false), &[("_c0", SparkType::Int), ("_c1", SparkType::String)]);
    check("[{\"a\":1},\n{\"a\":2}]", &FileFormat::Json, &[("a", SparkType::Long)]);
    check("{\"a\":1}", &FileFormat::Json, &[("a", SparkType::Long)]);
}

/// Names are compared without case, and there must be one.
#[test]
fn columns_that_a_schema_cannot_have() {
    let csv = FileFormat::Csv(CsvOptions { delimiter: b',', quote: b'"', header: true });
    let check = |sample: &str, format: &FileFormat, names: &str, left_out: &[&str]| {
        let inferred = infer(sample.as_bytes(), format).unwrap();
        let found: Vec<String> =
            inferred.schema.fields.iter().map(|field| format!("{} {}", field.name, field.data_type)).collect();
        assert_eq!(
            (found.join(", ").as_str(), inferred.left_out),
            (names, left_out.iter().map(|s| (*s).to_owned()).collect())
        );
    };
    check(
        "{\"a\":1,\"A\":\"x\"}\n{\"A\":2}\n",
        &FileFormat::Ndjson,
        "a bigint",
        &["`A` is left out: only its case differs from `a`"],
    );
    check(
        "{\"a\":1,\"__row\":2,\"s\":{\"__x\":1}}\n",
        &FileFormat::Ndjson,
        "a bigint, s struct<__x:bigint>",
        &["`__row` is left out: `__` in front is Manade's own"],
    );
    check(
        "{\"s\":[{\"x\":1,\"X\":2,\" \":3}],\"\":4,\"e\":{\"\":5}}\n",
        &FileFormat::Ndjson,
        "s array<struct<x:bigint>>",
        &[
            "`s.X` is left out: only its case differs from `s.x`",
            "a field of `s` without a name is left out",
            "a field without a name is left out",
            "a field of `e` without a name is left out",
        ],
    );
    check("id,Id,\n1,2,3\n", &csv, "id int, _c2 int", &["`Id` is left out: only its case differs from `id`"]);
    assert_eq!(infer(b"id,a,id\n1,2,3\n", &csv), Err(InferError::Twice { name: "id".to_owned() }));
}

#[test]
fn nothing_to_infer_from() {
    assert_eq!(infer(b" \n", &FileFormat::Ndjson), Err(InferError::Empty));
    assert_eq!(infer(b"{}\n", &FileFormat::Ndjson), Err(InferError::Empty));
    assert_eq!(infer(b"[]", &FileFormat::Json), Err(InferError::Empty));
    let reason = "not a JSON object (column 1)".to_owned();
    assert_eq!(infer(b"hello\n", &FileFormat::Ndjson), Err(InferError::Unreadable { reason }));
}
