use proptest::prelude::*;

use super::*;

fn check(ddl: &str, expect: &str) {
    match parse_type(ddl) {
        Ok(found) => assert_eq!(found.to_string(), expect, "{ddl}"),
        Err(error) => panic!("{ddl}: {error:?}"),
    }
}

/// The column, and a part of message and hint.
fn check_error<T: fmt::Debug>(parsed: Result<T, TypeError>, column: usize, part: &str) {
    let error = parsed.unwrap_err();
    let shown = format!("{} / {}", error.message, error.hint.unwrap_or_default());
    assert!(shown.contains(part), "{shown}");
    assert_eq!(error.column, column, "{shown}");
}

/// Names and aliases: <https://spark.apache.org/docs/latest/sql-ref-datatypes.html>, tab SQL.
#[test]
fn spark_names() {
    for (ddl, expect) in [
        ("boolean", "boolean"),
        ("BYTE", "tinyint"),
        ("tinyint", "tinyint"),
        ("short", "smallint"),
        ("SmallInt", "smallint"),
        ("int", "int"),
        ("INTEGER", "int"),
        ("long", "bigint"),
        ("bigint", "bigint"),
        ("float", "float"),
        ("real", "float"),
        ("double", "double"),
        ("date", "date"),
        ("timestamp", "timestamp"),
        ("timestamp_ltz", "timestamp"),
        ("timestamp_ntz", "timestamp_ntz"),
        ("string", "string"),
        ("varchar(300)", "string"),
        ("char( 3 )", "string"),
        ("binary", "binary"),
        ("decimal", "decimal(10,0)"),
        ("dec(5)", "decimal(5,0)"),
        ("numeric( 38 , 38 )", "decimal(38,38)"),
        ("array<int>", "array<int>"),
        ("map<string, array<long>>", "map<string,array<bigint>>"),
        ("struct<a:int,b:array<string>>", "struct<a:int,b:array<string>>"),
        ("struct<a int NOT NULL COMMENT 'x, y', `x y`: struct<z: date>>", "struct<a:int,x y:struct<z:date>>"),
        (" array < struct < Größe : double > > ", "array<struct<Größe:double>>"),
    ] {
        check(ddl, expect);
    }
    check(r"struct<a int NOT NULL COMMENT 'it\'s', `x ``y`: date>", "struct<a:int,x `y:date>");
}

#[test]
fn columns() {
    let fields = parse_fields("a INT, b STRING NOT NULL, c: array<int> COMMENT \"x, y\"").unwrap();
    let shown: Vec<String> = fields.iter().map(|field| format!("{} {}", field.name, field.data_type)).collect();
    assert_eq!(shown, ["a int", "b string", "c array<int>"]);
    check_error(parse_fields("a int, A string"), 8, "`A` stands twice");
    check_error(parse_fields("a int b string"), 7, "expected `,` or the end");
    check_error(parse_fields(""), 1, "expected a field's name, found the end");
    check_error(parse_fields("a int,"), 7, "expected a field's name");
}

#[test]
fn wrong_types() {
    for (ddl, column, part) in [
        ("", 1, "expected a type, found the end"),
        ("strin", 1, "did you mean `string`?"),
        ("text", 1, "did you mean `string`?"),
        ("datetime", 1, "did you mean `timestamp`?"),
        ("int64", 1, "did you mean `bigint`?"),
        ("zebra", 1, "the types are boolean, "),
        ("array", 6, "needs its element types"),
        ("array<>", 7, "expected a type, found `>`"),
        ("array<int", 10, "expected `>`, found the end"),
        ("array<int>>", 11, "unexpected `>`"),
        ("map<string>", 11, "expected `,`, found `>`"),
        ("struct<ä:int,b:flaot>", 16, "did you mean `float`?"),
        ("struct<a:int,A:int>", 14, "stands twice"),
        ("struct<`a:int>", 8, "backtick is not closed"),
        ("decimal(39)", 9, "not between 1 and 38"),
        ("decimal(0)", 9, "not between 1 and 38"),
        ("decimal(4,5)", 11, "above the precision"),
        ("decimal(999999,2)", 9, "not between 1 and 38"),
        ("decimal(x)", 9, "expected a number, found `x`"),
        ("varchar", 1, "write `string`"),
        ("int not", 5, "unexpected `n`"),
    ] {
        check_error(parse_type(ddl), column, part);
    }
}

#[test]
fn nesting_is_bounded() {
    let deep = |levels: usize| format!("{}int{}", "array<".repeat(levels), ">".repeat(levels));
    check(&deep(60), &deep(60));
    check_error(parse_type(&deep(100_000)), 64 * 6 + 1, "nested more than 64");
}

fn any_type() -> impl Strategy<Value = SparkType> {
    let leaf = prop_oneof![
        Just(SparkType::Boolean),
        Just(SparkType::Long),
        Just(SparkType::String),
        Just(SparkType::TimestampNtz(TimeFormat::Iso)),
        (1..=38_u8, 0..=38_u8).prop_map(|(p, s)| SparkType::Decimal { precision: p, scale: s.min(p) }),
    ];
    leaf.prop_recursive(4, 20, 4, |inner| {
        prop_oneof![
            inner.clone().prop_map(|t| SparkType::Array(Box::new(t))),
            (inner.clone(), inner.clone()).prop_map(|(k, v)| SparkType::Map(Box::new(k), Box::new(v))),
            proptest::collection::vec(inner, 1..4).prop_map(|types| {
                let fields = types.into_iter().enumerate();
                SparkType::Struct(fields.map(|(i, data_type)| Field { name: format!("f{i}"), data_type }).collect())
            }),
        ]
    })
}

proptest! {
    #[test]
    fn shown_types_are_read_back(data_type in any_type()) {
        prop_assert_eq!(parse_type(&data_type.to_string()), Ok(data_type));
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[a-z<>:,(0-9) `']{0,30}|\\PC{0,30}") {
        let length = text.chars().count();
        for error in [parse_type(&text).err(), parse_fields(&text).err()].into_iter().flatten() {
            prop_assert!(error.column <= length + 1);
        }
    }
}
