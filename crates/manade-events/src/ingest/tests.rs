use manade_model::CsvOptions;
use proptest::prelude::*;

use super::{BodyKind, split};

const CSV: CsvOptions = CsvOptions { delimiter: b',', quote: b'"', header: true };

fn check(body: impl AsRef<[u8]>, kind: &BodyKind, expect: Result<&str, &[(usize, &str)]>) {
    let body = body.as_ref();
    let shown = String::from_utf8_lossy(body).into_owned();
    match (split(body, kind), expect) {
        (Ok(accepted), Ok(data)) => {
            assert_eq!(String::from_utf8(accepted.data).unwrap(), data, "{shown}");
            assert_eq!(accepted.count as usize, data.lines().filter(|line| !line.trim().is_empty()).count(), "{shown}");
        }
        (Err(errors), Err(reasons)) => {
            let errors: Vec<_> = errors.iter().map(|error| (error.line, error.reason.as_str())).collect();
            assert_eq!(errors, reasons, "{shown}");
        }
        (ours, _) => panic!("{shown}: {ours:?}"),
    }
}

#[test]
fn lines() {
    let kind = BodyKind::Ndjson;
    check("{\"a\":1}\r\n\n {} ", &kind, Ok("{\"a\":1}\r\n\n {} "));
    check("", &kind, Ok(""));
    check(
        "{}\n[1]\n\nx\n{\"a\":\"\\ud800\"}\n{} {}\n",
        &kind,
        Err(&[
            (2, "an array where an object should be (column 1)"),
            (4, "not a JSON object (column 1)"),
            (5, "a lone surrogate in a string (column 7)"),
            (6, "text behind the event (column 4)"),
        ]),
    );
    check(b"{}\n{\"a\":\"\xff\"}\n", &kind, Err(&[(2, "not valid UTF-8")]));
    let deep = format!("{{\"a\":{}{}}}\n", "[".repeat(600), "]".repeat(600));
    check(&deep, &kind, Ok(&deep));
    check(&deep, &BodyKind::Json, Ok(&deep));
}

#[test]
fn objects_and_arrays() {
    let kind = BodyKind::Json;
    check("\u{feff} {\n \"a\" : 1\r\n}\n", &kind, Ok("{  \"a\" : 1  }\n"));
    check("[]", &kind, Ok(""));
    check(" [{\"a\":\"]\"} ,\n{\"b\":[1,\n2]}]", &kind, Ok("{\"a\":\"]\"}\n{\"b\":[1, 2]}\n"));
    check(
        "[{},1,\"x\",{},[]]",
        &kind,
        Err(&[(2, "not a JSON object"), (3, "not a JSON object"), (5, "not a JSON object")]),
    );
    check("[{},{\"a\":}]", &kind, Err(&[(2, "not a JSON value (column 10)")]));
    check("[\n  {},\n  {\n    \"a\":}]", &kind, Err(&[(2, "not a JSON value (line 4, column 9)")]));
    check("[{},]", &kind, Err(&[(2, "not a JSON object")]));
    check("[{}", &kind, Err(&[(1, "a comma or the array's end is missing (column 4)")]));
    check("[{}] []", &kind, Err(&[(1, "text behind the array")]));
    check("1", &kind, Err(&[(1, "not a JSON object")]));
    let behind = "text behind the event: several events are an array, or lines of application/x-ndjson";
    check("{}\n{}", &kind, Err(&[(1, behind)]));
    check(b"{\n\"a\":\"\xff\"}", &kind, Err(&[(2, "not valid UTF-8")]));
}

#[test]
fn csv() {
    let kind = BodyKind::Csv(CSV);
    let accepted = split(b"a,b\r\n1,\"x\ny\"\r\n\r\n2\n", &kind).unwrap();
    assert_eq!(accepted.data, b"1,\"x\ny\"\r\n\r\n2\n");
    assert_eq!((accepted.count, accepted.ends), (2, vec![9, 11, 13]));
    assert_eq!(accepted.header.unwrap().to_vec(), vec!["a".to_owned(), "b".to_owned()]);
    check(
        b"a,b\n\"1\n\",2\n\"x\"y,2\n\xff,1\n\"open",
        &kind,
        Err(&[
            (4, "text behind the closing quote of a cell"),
            (5, "not valid UTF-8"),
            (6, "a quoted cell does not end"),
        ]),
    );
}

#[test]
fn cloud_events() {
    let one = r#"{"specversion":"1.0","id":"7","source":"/s","type":"t","n":5,"data":{"a":
1}}"#;
    let accepted = split(one.as_bytes(), &BodyKind::CloudEvent).unwrap();
    assert_eq!(accepted.data, b"{\"a\": 1}\n");
    let meta = r#"{"specversion":"1.0","id":"7","source":"/s","type":"t","n":5}"#;
    assert_eq!(accepted.meta, Some(vec![Some(meta.to_owned())]));
    let identity = |id: &str| ("/s".to_owned(), id.to_owned());
    assert_eq!(accepted.identities, [identity("7")]);
    let two = format!("[{one},{}]", one.replace("\"id\":\"7\",", ""));
    check(&two, &BodyKind::CloudEvents, Err(&[(2, "the CloudEvent has no attribute id")]));
    let two = format!("[{one},{}]", one.replace("\"7\"", "\"8\""));
    let accepted = split(two.as_bytes(), &BodyKind::CloudEvents).unwrap();
    assert_eq!((accepted.count, accepted.meta.unwrap().len()), (2, 2));
    assert_eq!(accepted.identities, [identity("7"), identity("8")]);
    let base64 = one.replace("\"data\":{\"a\":\n1}", "\"data_base64\":\"eyJhIjoxfQ==\"");
    check(&base64, &BodyKind::CloudEvent, Ok("{\"a\":1}\n"));
    let deep_data = format!("{{\"a\":{}{}}}", "[".repeat(600), "]".repeat(600));
    let deep = one.replace("{\"a\":\n1}", &deep_data);
    check(&deep, &BodyKind::CloudEvent, Ok(&format!("{deep_data}\n")));
    check(format!("[{deep}]"), &BodyKind::CloudEvents, Ok(&format!("{deep_data}\n")));
    let scalar = one.replace("{\"a\":\n1}", "5");
    check(&scalar, &BodyKind::CloudEvent, Err(&[(1, "the data of the CloudEvent is not a JSON object")]));
    let both = one.replace("\"data\"", "\"data_base64\":\"eyJhIjoxfQ==\",\"data\"");
    check(&both, &BodyKind::CloudEvent, Err(&[(1, "the CloudEvent has data and data_base64")]));
    let no_time = "the CloudEvent's time is not an RFC 3339 timestamp";
    for (time, taken) in [
        ("\"2026-01-31T23:59:59Z\"", true),
        ("\"2026-01-31t23:59:59.123456789z\"", true),
        ("\"2026-01-31T23:59:60-23:59\"", true),
        ("\"2026-01-31T23:59:59-24:00\"", false),
        ("\"2026-01-31T23:59:59+08:60\"", false),
        ("\"2026-12-31T23:59:60+00:00\"", true),
        ("\"2026-01-31T23:59:59-08:00\"", true),
        ("null", true),
        ("\"2026-02-30T00:00:00Z\"", false),
        ("\"2026-01-31T24:00:00Z\"", false),
        ("\"2026-01-31T23:59:59\"", false),
        ("\"2026-01-31 23:59:59Z\"", false),
        ("\"2026-01-31T23:59:59.Z\"", false),
        ("\"2026-1-31T23:59:59Z\"", false),
        ("\"2026-01-31T23:59Z\"", false),
        ("\"2026-01-31\"", false),
        ("\"2026-01-31T23:59:59é+00:00\"", false),
        ("\"yesterday\"", false),
        ("\"\"", false),
        ("1769903999", false),
    ] {
        let timed = one.replace("\"n\"", &format!("\"time\":{time},\"n\""));
        let expected = if taken { Ok("{\"a\": 1}\n") } else { Err(&[(1, no_time)][..]) };
        check(&timed, &BodyKind::CloudEvent, expected);
    }
    let old = one.replace("1.0", "0.3");
    check(&old, &BodyKind::CloudEvent, Err(&[(1, "the CloudEvent's specversion is not 1.0")]));
}

#[test]
fn a_cloud_event_in_headers() {
    let attribute = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let attributes = vec![
        attribute("specversion", "1.0"),
        attribute("id", "7"),
        attribute("source", "/s"),
        attribute("type", "a \"t\""),
    ];
    let kind = BodyKind::CloudEventBinary { attributes };
    let accepted = split(b"{\"a\":1}", &kind).unwrap();
    assert_eq!(accepted.data, b"{\"a\":1}\n");
    let meta = r#"{"specversion":"1.0","id":"7","source":"/s","type":"a \"t\""}"#;
    assert_eq!(accepted.meta, Some(vec![Some(meta.to_owned())]));
    let BodyKind::CloudEventBinary { attributes } = &kind else { unreachable!() };
    let with = |more: (String, String)| [attributes.as_slice(), &[more]].concat();
    let late = BodyKind::CloudEventBinary { attributes: with(attribute("time", "late")) };
    check("{}", &late, Err(&[(1, "the CloudEvent's time is not an RFC 3339 timestamp")]));
    let bare = BodyKind::CloudEventBinary { attributes: attributes[1..].to_vec() };
    check("{}", &bare, Err(&[(1, "the CloudEvent has no header ce-specversion")]));
    check("[{}]", &kind, Err(&[(1, "the data of the CloudEvent is not a JSON object")]));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_panics(body in "[a1,\"{}\\[\\]:\n \\\\]{0,40}", which in 0..5) {
        let kinds = [BodyKind::Json, BodyKind::Ndjson, BodyKind::Csv(CSV), BodyKind::CloudEvent, BodyKind::CloudEvents];
        if let Err(errors) = split(body.as_bytes(), &kinds[which as usize]) {
            prop_assert!(!errors.is_empty());
        }
    }
}
