//! What readers get: rows by an index, changes of a top-N, and what `retain` leaves.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use datafusion::scalar::ScalarValue;
use manade_pipeline::collection::{ChangeKind, ReadError, ScanRequest};
use manade_pipeline::values;

use crate::rig::{Random, Rig};

const INDEXED: &str = "
source: { file: { path: in, follow: true } }
events: { schema: 'k bigint, g string, v bigint' }
results:
  - { name: copy, sql: 'SELECT k, g, v FROM events', index: [g, v] }
  - { name: last, sql: 'SELECT k, max(v) AS v, max_by(g, v) AS g FROM events GROUP BY k', index: [g] }
  - { name: seen, sql: 'SELECT k, count(DISTINCT g) AS n FROM events GROUP BY k HAVING count(*) > 1', index: [n] }
";

fn events(random: &mut Random, count: u64, from: u64) -> String {
    let line = |n| {
        let (k, g) = (random.below(3_000), random.below(2_000));
        format!("{{\"k\": {k}, \"g\": \"g{g}\", \"v\": {n}}}\n")
    };
    (from..from + count).map(line).collect()
}

fn texts(batches: &[RecordBatch], columns: usize, keep: impl Fn(&[String]) -> bool) -> Vec<String> {
    let mut rows = Vec::new();
    for batch in batches {
        for row in 0..batch.num_rows() {
            let cells: Vec<String> = (0..columns).map(|i| values::json(batch.column(i), row).to_string()).collect();
            if keep(&cells) {
                rows.push(cells.join(" "));
            }
        }
    }
    rows.sort();
    rows
}

fn scan(rig: &Rig, result: &str, request: &ScanRequest) -> Vec<RecordBatch> {
    let all = rig.pipeline().collections();
    let collection = all.iter().find(|c| c.info().name == result).unwrap();
    collection.snapshot().unwrap().scan(request).map(Result::unwrap).collect()
}

/// Rows that an index finds are those that a scan finds, and few others.
fn check_index(rig: &Rig, result: &str, column: usize, columns: usize, value: &ScalarValue) {
    let wanted = values::json(&value.to_array().unwrap(), 0).to_string();
    let all = scan(rig, result, &ScanRequest::default());
    let found = scan(rig, result, &ScanRequest { equals: vec![(column, value.clone())] });
    let is_wanted = |cells: &[String]| cells[column] == wanted;
    assert_eq!(texts(&found, columns, is_wanted), texts(&all, columns, is_wanted), "{result}.{column} = {wanted}");
    let rows = |batches: &[RecordBatch]| batches.iter().map(RecordBatch::num_rows).sum::<usize>();
    if result == "last" {
        assert!(rows(&found) * 4 < rows(&all), "{result}: {} of {}", rows(&found), rows(&all));
    }
}

#[test]
fn an_index_finds_what_a_scan_finds() {
    let mut random = Random::seeded();
    let mut rig = Rig::new(INDEXED);
    rig.start();
    let mut count = 0;
    for round in 0..12 {
        let more = 1 + random.below(6_000);
        rig.append("in/a.ndjson", events(&mut random, more, count));
        count += more;
        rig.until_read(count);
        for _ in 0..4 {
            let text = ScalarValue::Utf8View(Some(format!("g{}", random.below(2_001))));
            check_index(&rig, "copy", 1, 3, &text);
            check_index(&rig, "last", 2, 3, &text);
            check_index(&rig, "copy", 2, 3, &ScalarValue::Int64(Some(random.below(count) as i64)));
            check_index(&rig, "seen", 1, 2, &ScalarValue::Int64(Some(random.below(9) as i64)));
        }
        if round % 5 == 4 {
            rig.stop();
            rig.start();
        }
    }
}

/// A keyed result is held to its size by dropping the groups that changed longest ago, each with its values.
#[test]
fn a_size_drops_the_groups_that_changed_longest_ago() {
    let spec = "
source: { file: { path: in, follow: true } }
events: { schema: 'k bigint, v bigint' }
results:
  - name: few
    sql: SELECT k, count(*) AS n, count(DISTINCT v) AS d FROM events GROUP BY k
    retain: 100 KiB
";
    let mut rig = Rig::new(spec);
    rig.start();
    let lines = |from: u64, to: u64| (from..to).map(|k| format!("{{\"k\": {k}, \"v\": 1}}\n")).collect::<String>();
    rig.append("in/a.ndjson", lines(0, 20_000));
    rig.until_read(20_000);
    rig.append("in/a.ndjson", lines(0, 10));
    rig.until_read(20_010);
    let status = rig.until("groups are dropped", |status| status.results[0].counters.expired > 10_000);
    let result = &status.results[0];
    assert_eq!(result.rows + result.counters.expired, 20_000);
    assert!(result.rows > 100, "{} rows are left", result.rows);
    for k in 0..10 {
        assert!(rig.rows("few").contains(&format!("{k} 2 1")), "{k} changed last");
    }
    // A group that was dropped begins anew, also its distinct values.
    rig.append("in/a.ndjson", "{\"k\": 11, \"v\": 1}\n");
    rig.until_read(20_011);
    assert!(rig.rows("few").contains(&"11 1 1".to_owned()));
}

/// Rows that `retain` dropped before a reader saw them are missing from its changes, which it is told, also after a restart.
#[test]
fn who_has_not_seen_all_that_was_dropped_is_told() {
    let mut rig = Rig::new(
        "
source: { file: { path: in, follow: true } }
events: { schema: 'k bigint' }
results:
  - { name: log, sql: 'SELECT k, sha2(string(k), 256) AS s FROM events', retain: 20 KiB }
",
    );
    rig.start();
    let changes = |rig: &Rig, since| {
        let changes = rig.pipeline().collections()[0].changes(since);
        changes.map(|changes| changes.batches.iter().map(|batch| batch.rows.num_rows() as u64).sum::<u64>())
    };
    let mut read = 0;
    let mut append = |rig: &Rig, count: u64| {
        let lines: String = (read..read + count).map(|k| format!("{{\"k\": {k}}}\n")).collect();
        rig.append("in/a.ndjson", lines);
        read += count;
        rig.until_read(read);
        rig.pipeline().collections()[0].freshness().commit
    };
    let first = append(&rig, 10);
    let second = append(&rig, 10);
    assert_eq!(changes(&rig, first).unwrap(), 10);
    append(&rig, 2_000);
    let status = rig.until("the first rows are dropped", |status| status.results[0].counters.expired > 20);
    rig.stop();
    rig.start();
    for since in [0, first, second] {
        let Err(ReadError::Gone { oldest }) = changes(&rig, since) else { panic!("since {since}") };
        assert!(oldest > second);
        assert!(changes(&rig, oldest).unwrap() <= status.results[0].rows, "what is kept can be told");
    }
    let last = rig.pipeline().collections()[0].freshness().commit;
    assert_eq!(changes(&rig, last).unwrap(), 0);
}

/// A group that still changes keeps all its values, however old they are.
#[test]
fn an_age_leaves_the_old_values_of_a_group_that_changes() {
    let spec = "
source: { file: { path: in, follow: true } }
events: { schema: 'k string, v bigint' }
results:
  - name: ages
    sql: SELECT k, count(DISTINCT v) AS d FROM events GROUP BY k
    retain: 4 seconds
";
    let mut rig = Rig::new(spec);
    rig.start();
    rig.append("in/a.ndjson", "{\"k\": \"a\", \"v\": 1}\n{\"k\": \"b\", \"v\": 1}\n");
    rig.until_read(2);
    let mut read = 2;
    while rig.rows("ages").iter().any(|row| row.starts_with("\"b\"")) {
        read += 1;
        rig.append("in/a.ndjson", "{\"k\": \"a\", \"v\": 2}\n");
        rig.until_read(read);
        assert!(read < 60_000, "b was not dropped");
    }
    assert_eq!(rig.rows("ages"), ["\"a\" 2"]);
}

/// A reader who applies the feed has the rows that are served, however seldom it reads, and over restarts. Sums rise and
/// fall, so rows from behind move up.
#[test]
fn the_feed_of_a_top_n_leads_to_what_is_served() {
    let mut rig = Rig::new(
        "
source: { file: { path: in, follow: true } }
events: { schema: 'k string, v int' }
results:
  - name: top
    sql: SELECT k, sum(v) AS s FROM events GROUP BY k HAVING sum(v) > -20 ORDER BY s DESC, k LIMIT 3 OFFSET 1
",
    );
    let mut random = Random::seeded();
    let mut sums: BTreeMap<String, i64> = BTreeMap::new();
    let mut known: BTreeMap<Vec<u8>, String> = BTreeMap::new();
    rig.start();
    let (mut seen, mut read) = (rig.pipeline().collections()[0].freshness().commit, 0);
    for _ in 0..60 {
        let mut lines = String::new();
        for _ in 0..=random.below(5) {
            let (key, value) = (format!("k{}", random.below(12)), random.below(19) as i64 - 9);
            writeln!(lines, "{{\"k\": \"{key}\", \"v\": {value}}}").unwrap();
            *sums.entry(key).or_default() += value;
            read += 1;
        }
        rig.append("in/a.ndjson", lines);
        rig.until_read(read);
        match random.below(8) {
            0 => {
                rig.stop();
                rig.start();
            }
            1 => {
                rig.crash();
                rig.start();
            }
            _ => {}
        }
        let mut expected: Vec<_> = sums.iter().filter(|(_, sum)| **sum > -20).collect();
        expected.sort_by_key(|(key, sum)| (-**sum, (*key).clone()));
        let expected: Vec<_> = expected.iter().skip(1).take(3).map(|(key, sum)| format!("\"{key}\" {sum}")).collect();
        assert_eq!(rig.rows("top"), expected);
        if random.below(3) > 0 {
            let changes = rig.pipeline().collections()[0].changes(seen).unwrap();
            seen = changes.commit;
            for batch in &changes.batches {
                let keys = batch.rows.column(2).as_binary::<i32>();
                for (row, key) in keys.iter().flatten().enumerate() {
                    if batch.kind == ChangeKind::Delete {
                        known.remove(key);
                    } else {
                        known.insert(key.to_vec(), texts(&[batch.rows.slice(row, 1)], 2, |_| true).remove(0));
                    }
                }
            }
            let (mut known, mut expected) = (known.values().cloned().collect::<Vec<_>>(), expected);
            known.sort();
            expected.sort();
            assert_eq!(known, expected, "what the reader has");
        }
    }
}

/// A row's key may be of windows, of sessions, and in any order: it is found by each of its columns, and a deletion tells
/// all of them.
#[test]
fn a_key_is_what_is_seen_of_it() {
    let spec = "
source: { file: { path: in, follow: true } }
events: { schema: 'at timestamp, a int, b int', time: at, lateness: 1 hour }
results:
  - name: sessions
    sql: SELECT b, session_window(at, '10 seconds') AS w, a, count(*) AS n FROM events GROUP BY w, a, b HAVING count(*) < 3
  - name: starts
    sql: SELECT session_window.start AS s, a AS k, count(*) AS n FROM events GROUP BY session_window(at, '10 seconds'), a
  - name: windows
    sql: SELECT a, window(at, '1 minute') AS w, b, count(*) AS n FROM events GROUP BY 1, 2, 3 HAVING count(*) < 3
  - name: ends
    sql: SELECT a, window(at, '1 minute').end AS e, count(*) AS n FROM events GROUP BY 1, 2 HAVING count(*) < 3
";
    let mut rig = Rig::new(spec);
    rig.start();
    let event = |second: u64, a: u64, b: u64| {
        format!("{{\"at\": \"2026-01-01T00:00:{second:02}Z\", \"a\": {a}, \"b\": {b}}}\n")
    };
    rig.append("in/a.ndjson", event(0, 1, 2) + &event(15, 1, 2) + &event(0, 2, 1) + &event(30, 2, 1));
    rig.until_read(4);
    let all = rig.pipeline().collections();
    let of = |name: &str| Arc::clone(all.iter().find(|c| c.info().name == name).unwrap());
    let key = |name: &str| of(name).info().key.clone();
    assert_eq!(
        (key("sessions"), key("starts")),
        (vec!["w".into(), "a".into(), "b".into()], vec!["s".into(), "k".into()])
    );
    assert_eq!((key("windows"), key("ends")), (vec!["a".into(), "w".into(), "b".into()], vec!["a".into(), "e".into()]));
    let four = [("sessions", 2, 2), ("starts", 1, 2), ("windows", 0, 1), ("ends", 0, 1)];
    for (name, column, rows) in four {
        let wanted = ScanRequest { equals: vec![(column, ScalarValue::Int32(Some(1)))] };
        let found: usize = scan(&rig, name, &wanted).iter().map(RecordBatch::num_rows).sum();
        assert_eq!(found, rows, "{name}");
    }
    let since = of("sessions").freshness().commit;
    // Between the two sessions: they become one, of three events.
    rig.append("in/a.ndjson", event(8, 1, 2) + &event(8, 2, 1));
    rig.until_read(6);
    let deleted = |name: &str, columns: usize| {
        let changes = of(name).changes(since).unwrap().batches;
        let gone: Vec<RecordBatch> =
            changes.into_iter().filter(|c| c.kind == ChangeKind::Delete).map(|c| c.rows).collect();
        texts(&gone, columns, |_| true)
    };
    let time = |second: u64| format!("\"2026-01-01T00:00:{second:02}Z\"");
    let window = |start: u64, end: u64| format!("{{\"start\":{},\"end\":{}}}", time(start), time(end));
    let sessions = [window(0, 10), window(15, 25), window(0, 25)].map(|w| format!("2 {w} 1 null"));
    let mut gone: Vec<String> = deleted("sessions", 4);
    gone.retain(|row| row.starts_with('2'));
    let mut expected: Vec<String> = sessions.into();
    expected.sort();
    assert_eq!(gone, expected);
    assert!(deleted("starts", 3).contains(&format!("{} 1 null", time(15))), "{:?}", deleted("starts", 3));
    let minute = "{\"start\":\"2026-01-01T00:00:00Z\",\"end\":\"2026-01-01T00:01:00Z\"}";
    assert_eq!(deleted("windows", 4), [format!("1 {minute} 2 null"), format!("2 {minute} 1 null")]);
    let end = "\"2026-01-01T00:01:00Z\"";
    assert_eq!(deleted("ends", 3), [format!("1 {end} null"), format!("2 {end} null")]);
}

/// Who comes back and nothing has changed is told nothing.
#[test]
fn a_top_n_without_news_is_quiet_after_a_restart() {
    let mut rig = Rig::new(
        "
source: { file: { path: in, follow: true } }
events: { schema: 'k string' }
results:
  - { name: top, sql: 'SELECT k, count(*) AS n FROM events GROUP BY k ORDER BY n DESC, k LIMIT 2' }
",
    );
    rig.start();
    rig.append("in/a.ndjson", "{\"k\": \"a\"}\n{\"k\": \"b\"}\n{\"k\": \"b\"}\n");
    rig.until_read(3);
    let seen = rig.pipeline().collections()[0].freshness().commit;
    rig.stop();
    rig.start();
    assert!(rig.pipeline().collections()[0].changes(seen).unwrap().batches.is_empty());
}
