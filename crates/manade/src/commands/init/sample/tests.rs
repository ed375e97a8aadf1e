use manade_model::{CsvOptions, FileFormat};

use super::{Sample, delimited};

fn check(events: &str, time: Option<&str>, group: Option<&str>) -> Sample {
    let sample = Sample::of(events.as_bytes(), &FileFormat::Ndjson, true).expect("events");
    assert_eq!(sample.time.as_deref(), time, "{events}");
    assert_eq!(sample.group.as_deref(), group, "{events}");
    sample
}

#[test]
fn the_text_with_fewest_values_is_grouped_by() {
    let events = "{\"city\":\"A\",\"id\":\"x1\",\"kind\":\"k\"}\n{\"city\":\"B\",\"id\":\"x2\",\"kind\":\"k\"}\n\
                  {\"city\":\"A\",\"id\":\"x3\",\"kind\":\"k\"}\n{\"city\":\"B\",\"id\":\"x4\",\"kind\":\"k\"}\n";
    let sample = check(events, None, Some("city"));
    assert_eq!(sample.events, 4);
    check("{\"a\":\"x\"}\n{\"a\":\"y\"}\n", None, None);
    check("{\"a\":1}\n", None, None);
}

#[test]
fn the_first_timestamp_is_the_event_time() {
    check("{\"n\":1,\"at\":\"2026-01-01T10:00:00Z\",\"b\":\"2026-01-01T10:00:00Z\"}\n", Some("at"), None);
    check("{\"sent_at\":1767261600000}\n", Some("sent_at"), None);
    check("{\"ts\":1767261600}\n", Some("ts"), None);
    // Not called like a time, and not in this century.
    check("{\"weight\":1767261600}\n{\"ts\":12}\n", None, None);
}

#[test]
fn the_delimiter_of_csv_is_found() {
    let comma = FileFormat::Csv(CsvOptions { delimiter: b',', quote: b'"', header: true });
    let check = |text: &str, expect: u8| {
        let FileFormat::Csv(options) = delimited(&comma, text.as_bytes()) else { panic!("csv stays csv") };
        assert_eq!(options.delimiter, expect, "{text}");
    };
    check("a,b\n1;2;3,4\n", b',');
    check("a;b;c\n", b';');
    check("a\tb\n", b'\t');
    check("a\n", b',');
}
