use manade_model::{CsvOptions, FileFormat};
use proptest::prelude::*;

use super::{Cut, Framer, FramerState};

const CSV: CsvOptions = CsvOptions { delimiter: b',', quote: b'"', header: true };

/// What a framer finds in a stream, whatever its cuts.
#[derive(Debug, Default, PartialEq)]
struct Found {
    records: Vec<(usize, String)>,
    oversize: Vec<(i64, u64, Vec<u8>)>,
    errors: Vec<(i64, String)>,
    header: Option<Vec<String>>,
}

/// Reads `text` in steps, as a reader of a growing file does. `stored`: with a restart after each step.
fn read(text: &[u8], format: &FileFormat, max_event: u64, steps: &[usize], stored: bool) -> Found {
    let mut framer = Framer::new(format, max_event);
    let mut found = Found::default();
    let (mut start, mut end) = (0, 0);
    let mut steps = steps.iter().copied();
    loop {
        let step = steps.next();
        end = step.map_or(text.len(), |step| (end + step).min(text.len()));
        let bytes = &text[start..end];
        let Cut { consumed, records, ends, oversize, errors } = framer.cut(bytes, step.is_none());
        let data = &bytes[records.clone()];
        let mut from = 0;
        let lines: Vec<u32> =
            memchr::memchr_iter(b'\n', data).map(|at| at as u32 + 1).chain([data.len() as u32]).collect();
        for end in if *format == FileFormat::Ndjson { &lines } else { &ends } {
            let record = String::from_utf8_lossy(&data[from..*end as usize]).into_owned();
            // White space around a record is nobody's.
            let trimmed = record.trim_matches([' ', '\r', '\n']);
            let space = record.len() - record.trim_start_matches([' ', '\r', '\n']).len();
            if !trimmed.is_empty() {
                found.records.push((start + records.start + from + space, trimmed.to_owned()));
            }
            from = *end as usize;
        }
        let place = |at: i64| start as i64 + at;
        found.oversize.extend(oversize.into_iter().map(|one| (place(one.start), one.length, one.head)));
        found.errors.extend(errors.into_iter().map(|one| (place(one.start), one.reason)));
        start += consumed;
        if step.is_none() {
            break;
        }
        if stored {
            let state = serde_json::to_string(framer.state()).unwrap();
            framer = Framer::resume(format, max_event, serde_json::from_str::<FramerState>(&state).unwrap());
        }
    }
    assert_eq!(start, text.len());
    found.header = framer.header().map(|header| header.to_vec());
    found
}

fn check(text: &str, format: &FileFormat, records: &[&str], errors: &[&str]) {
    for steps in [vec![], vec![1; text.len()], vec![3; text.len() / 3]] {
        for stored in [false, true] {
            let found = read(text.as_bytes(), format, 1000, &steps, stored);
            let texts: Vec<&str> = found.records.iter().map(|(_, record)| record.as_str()).collect();
            assert_eq!(texts, records, "{text:?}");
            let reasons: Vec<&str> = found.errors.iter().map(|(_, reason)| reason.as_str()).collect();
            assert_eq!(reasons, errors, "{text:?}");
            for (start, record) in &found.records {
                assert!(text[*start..].starts_with(record.as_str()));
            }
        }
    }
}

#[test]
fn lines() {
    check("{\"a\":1}\n\r\n{}\r\nlast", &FileFormat::Ndjson, &["{\"a\":1}", "{}", "last"], &[]);
    check("\u{feff}a\nb\n", &FileFormat::Ndjson, &["a", "b"], &[]);
    check("", &FileFormat::Ndjson, &[], &[]);
}

#[test]
fn a_half_written_line_stays() {
    let mut framer = Framer::new(&FileFormat::Ndjson, 1000);
    let cut = framer.cut(b"one\ntw", false);
    assert_eq!((cut.consumed, cut.records), (4, 0..4));
    let cut = framer.cut(b"two\nthree", false);
    assert_eq!((cut.consumed, cut.records), (4, 0..4));
    let cut = framer.cut(b"three", true);
    assert_eq!((cut.consumed, cut.records), (5, 0..5));
}

#[test]
fn documents() {
    let json = FileFormat::Json;
    check("[]", &json, &[], &[]);
    check(
        " [ {\"a\":\"],\\\"[\"} ,{\"b\":[1,{}]}, 5 ] \n",
        &json,
        &["{\"a\":\"],\\\"[\"}", ",{\"b\":[1,{}]}", ", 5"],
        &[],
    );
    check("{\"a\":{\"b\":1}}", &json, &["{\"a\":{\"b\":1}}"], &[]);
    check("[{}] x", &json, &["{}"], &["text behind the document; one object a line is the format ndjson"]);
    check("{}{}", &json, &["{}"], &["text behind the document; one object a line is the format ndjson"]);
    check("[{},]", &json, &["{}"], &["an element of the array is missing"]);
    check("[{},{\"a\":", &json, &["{}"], &["the document ends within an element"]);
    check("[{}", &json, &[], &["the document ends within an element"]);
    check("[{},", &json, &["{}"], &["the document ends before its closing bracket"]);
    check("true", &json, &[], &["a JSON document is an array of objects, or an object"]);
}

#[test]
fn cells() {
    let csv = FileFormat::Csv(CSV);
    check(
        "a,b\r\n1,\"x\ny\"\n\n\"\"\"\n\",2\n3,4\"\n5,\"6",
        &csv,
        &["1,\"x\ny\"", "\"\"\"\n\",2", "3,4\"", "5,\"6"],
        &[],
    );
    check("a,\"b\"\"c\"\n1,2\n", &csv, &["1,2"], &[]);
    let found = read(b"\xef\xbb\xbf\na, \"b\"\"c\"\n1,2\n", &csv, 100, &[4, 2, 9], true);
    assert_eq!(found.header, Some(vec!["a".to_owned(), " \"b\"\"c\"".to_owned()]));
    let without = FileFormat::Csv(CsvOptions { header: false, ..CSV });
    check("1,2\n3,4", &without, &["1,2", "3,4"], &[]);
}

#[test]
fn what_is_too_long_is_not_kept() {
    let long = "x".repeat(200_000);
    let text = format!("a\n{long}\nb\n");
    let found = read(text.as_bytes(), &FileFormat::Ndjson, 1000, &[1001; 300], true);
    assert_eq!(found.records, vec![(0, "a".to_owned()), (200_003, "b".to_owned())]);
    assert_eq!(found.oversize, vec![(2, 200_000, vec![b'x'; 65_536])]);
    let text = format!("[{{}},{{\"a\":\"{long}\"}},{{\"b\":1}}]");
    let found = read(text.as_bytes(), &FileFormat::Json, 1000, &[1500; 200], true);
    assert_eq!(found.records.len(), 2);
    assert_eq!(found.oversize.len(), 1);
    assert_eq!((found.oversize[0].0, found.oversize[0].1), (3, 200_009));
    let found = read(format!("a\n\"{long}\n\"\nb\n").as_bytes(), &FileFormat::Csv(CSV), 1000, &[1500; 200], true);
    assert_eq!(found.records, vec![(200_006, "b".to_owned())]);
    assert_eq!(found.oversize.len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn cuts_do_not_matter(
        text in "[a,\"{}\\[\\]\n\r \\\\]{0,60}",
        steps in prop::collection::vec(0_usize..9, 0..30),
        which in 0..3,
        stored: bool,
    ) {
        let format = [FileFormat::Ndjson, FileFormat::Json, FileFormat::Csv(CSV)][which as usize].clone();
        let whole = read(text.as_bytes(), &format, 1000, &[], false);
        let cut = read(text.as_bytes(), &format, 1000, &steps, stored);
        let place = |found: &Found| found.errors.iter().map(|(_, reason)| reason.clone()).collect::<Vec<_>>();
        prop_assert_eq!(place(&whole), place(&cut));
        prop_assert_eq!(whole.records, cut.records);
        prop_assert_eq!(whole.header, cut.header);
    }

    #[test]
    fn bytes_never_panic(bytes: Vec<u8>, steps in prop::collection::vec(0_usize..9, 0..30), which in 0..3, max in 0_u64..40) {
        let format = [FileFormat::Ndjson, FileFormat::Json, FileFormat::Csv(CSV)][which as usize].clone();
        read(&bytes, &format, max, &steps, true);
    }
}
