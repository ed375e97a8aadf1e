use std::collections::{BTreeMap, BTreeSet};

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_buffer::Buffer;
use manade_model::{CsvOptions, EventSchema, parse_fields};

use super::{GenerateError, Generator, GeneratorOptions, Style};
use crate::{Chunk, Decoded, Decoder, DecoderOptions, Format};

const NESTED: &str = "id string, at timestamp, k string, n bigint, b tinyint, x double, d decimal(7,2), yes boolean, \
                      raw binary, day date, local timestamp_ntz, l array<int>, m map<string,double>, \
                      s struct<a: string, t: timestamp>";
const FLAT: &str = "id string, at timestamp, k string, n bigint, x double, d decimal(7,2), yes boolean, day date";
const CSV: CsvOptions = CsvOptions { delimiter: b';', quote: b'"', header: false };
/// 2026-01-02T03:04:05Z, whose microseconds were counted elsewhere.
const CLOCK: i64 = 1_767_323_045_000_000;
const SECOND: i64 = 1_000_000;
const EVENTS: u64 = 20_000;

fn schema(ddl: &str) -> EventSchema {
    EventSchema { fields: parse_fields(ddl).unwrap() }
}

fn options() -> GeneratorOptions {
    GeneratorOptions {
        seed: 7,
        keys: 1000,
        time: Some(vec!["at".to_owned()]),
        unique: Some(vec!["ID".to_owned()]),
        lateness: 10 * SECOND,
        late: 0.0,
        ragged: 0.0,
    }
}

/// One event a millisecond.
fn generated(ddl: &str, style: Style, options: GeneratorOptions) -> String {
    let mut generator = Generator::new(&schema(ddl), style, options).unwrap();
    let mut out = String::new();
    for event in 0..EVENTS as i64 {
        generator.append(CLOCK + event * 1_000, &mut out);
    }
    assert_eq!(out.lines().count() as u64, EVENTS);
    out
}

fn read(ddl: &str, format: Format, text: &str) -> Decoded {
    let time = Some(vec!["at".to_owned()]);
    let options = DecoderOptions { format, time, coerce: false, max_event: 1 << 20, meta: false };
    let decoder = Decoder::new(&schema(ddl), None, options).unwrap();
    decoder.decode(&Chunk { data: Buffer::from(text.as_bytes()), ..Chunk::default() })
}

#[test]
fn events_are_of_the_schema() {
    for (ddl, style, format) in [
        (NESTED, Style::Json, Format::Lines),
        (FLAT, Style::Json, Format::Lines),
        (FLAT, Style::Csv(CSV), Format::Csv(CSV)),
    ] {
        let decoded = read(ddl, format, &generated(ddl, style, options()));
        assert_eq!(decoded.dead, []);
        assert_eq!(decoded.batch.num_rows() as u64, EVENTS);
        for column in decoded.batch.columns() {
            assert_eq!(column.null_count(), 0);
        }
        let ids = decoded.batch.column_by_name("id").unwrap().as_string_view();
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len() as u64, EVENTS);
    }
}

#[test]
fn keys_follow_zipfs_law() {
    let decoded = read(FLAT, Format::Lines, &generated(FLAT, Style::Json, options()));
    let mut counts: BTreeMap<i64, u64> = BTreeMap::new();
    for number in decoded.batch.column_by_name("n").unwrap().as_primitive::<Int64Type>().values() {
        *counts.entry(*number).or_default() += 1;
    }
    assert!(counts.keys().all(|key| (0..1000).contains(key)), "{counts:?}");
    // ln 2 / ln 1001 and ln 1.1 / ln 1001 of all.
    let share = |keys: std::ops::Range<i64>| keys.map(|key| counts.get(&key).copied().unwrap_or(0)).sum::<u64>();
    assert!((1_800..2_200).contains(&share(0..1)), "{counts:?}");
    assert!((200..360).contains(&share(10..11)), "{counts:?}");
    assert!(counts.len() > 900, "{}", counts.len());
}

#[test]
fn a_share_of_them_is_late() {
    for (late, least, most) in [(0.0, 0, 0), (0.1, 1_800, 2_200)] {
        let text = generated(FLAT, Style::Json, GeneratorOptions { late, ..options() });
        let decoded = read(FLAT, Format::Lines, &text);
        let mut newest = i64::MIN;
        let mut found = 0;
        for time in &decoded.times {
            found += u64::from(*time < newest.saturating_sub(10 * SECOND));
            newest = newest.max(*time);
        }
        assert!((least..=most).contains(&found), "{found} of {late}");
        assert!(newest <= CLOCK + EVENTS as i64 * 1_000 && newest > CLOCK);
    }
}

#[test]
fn a_share_of_them_is_ragged() {
    for (ddl, style, format) in [(NESTED, Style::Json, Format::Lines), (FLAT, Style::Csv(CSV), Format::Csv(CSV))] {
        let text = generated(ddl, style, GeneratorOptions { ragged: 0.2, ..options() });
        let decoded = read(ddl, format, &text);
        let nulls: usize = decoded.batch.columns().iter().map(Array::null_count).sum();
        // What is missing or null is a null, or no time; what is of another type is dead.
        let wrong = decoded.dead.len() + nulls;
        assert!((2_000..4_200).contains(&wrong) && decoded.dead.len() > 500 && nulls > 500, "{wrong}");
        assert_eq!(decoded.read, EVENTS);
    }
}

#[test]
fn the_same_seed_gives_the_same_events() {
    let text = generated(NESTED, Style::Json, options());
    assert!(text == generated(NESTED, Style::Json, options()));
    assert!(text != generated(NESTED, Style::Json, GeneratorOptions { seed: 8, ..options() }));
}

#[test]
fn csv_has_a_header_and_no_nested_columns() {
    let csv = CsvOptions { header: true, ..CSV };
    let generator = Generator::new(&schema(FLAT), Style::Csv(csv.clone()), options()).unwrap();
    assert_eq!(generator.header().as_deref(), Some("id;at;k;n;x;d;yes;day\n"));
    assert_eq!(Generator::new(&schema(FLAT), Style::Json, options()).unwrap().header(), None);
    let error = Generator::new(&schema("a int, l array<int>"), Style::Csv(csv), options()).err();
    assert_eq!(error, Some(GenerateError::Nested { column: "l".to_owned() }));
}
