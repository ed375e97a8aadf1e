use std::path::PathBuf;

use manade_model::{EventSchema, Field, PlatformFile, SparkType, TimeFormat, parse};

use super::schema_yaml;

fn field(name: &str, data_type: SparkType) -> Field {
    Field { name: name.to_owned(), data_type }
}

fn pattern(text: &str) -> TimeFormat {
    TimeFormat::Pattern(text.to_owned())
}

/// What is written is read back as the same schema, whatever names and types it has.
#[test]
fn a_schema_is_read_back_as_it_was() {
    let inner =
        SparkType::Struct(vec![field("a", SparkType::Int), field("b", SparkType::Array(Box::new(SparkType::String)))]);
    let odd = SparkType::Struct(vec![
        field("at: #", SparkType::Timestamp(TimeFormat::EpochMillis)),
        field("x,y", SparkType::Map(Box::new(SparkType::String), Box::new(inner.clone()))),
    ]);
    let schema = EventSchema {
        fields: vec![
            field("id", SparkType::Long),
            field("no", SparkType::Boolean),
            field("12", SparkType::Double),
            field("two words", SparkType::Decimal { precision: 10, scale: 2 }),
            field("a \"quoted\" näme", SparkType::Binary),
            field("date", SparkType::Timestamp(pattern("yyyy/MM/dd HH:mm"))),
            field("day", SparkType::Date(pattern("dd.MM.yyyy"))),
            field("strange", SparkType::TimestampNtz(pattern("'T'HH:mm: yyyy"))),
            field("iso", SparkType::Timestamp(TimeFormat::Iso)),
            field("inner", inner),
            field("odd", SparkType::Array(Box::new(odd))),
        ],
    };
    let head =
        "apiVersion: manade.dev/v1alpha1\nkind: Pipeline\nmetadata:\n  name: p\nspec:\n  source:\n    http: {}\n";
    let tail = "  results:\n    - name: r\n      sql: SELECT id FROM events\n";
    let text = format!("{head}  events:\n    schema:\n{}{tail}", schema_yaml(&schema, 6));
    let parsed = parse(&[PlatformFile { path: PathBuf::from("p.yaml"), text: text.clone() }]);
    assert!(parsed.findings.is_empty(), "{text}\n{:?}", parsed.findings);
    assert_eq!(parsed.platform.pipelines[0].events.schema, Some(schema), "{text}");
}
