//! Rows do not depend on how the source was cut, on the number of workers, or on restarts.

use std::fmt::Write;

use crate::rig::{Random, Rig};

/// Every kind of result.
const SPEC: &str = "
source: { file: { path: in/events.ndjson, format: ndjson, follow: true } }
events:
  schema: 't timestamp, k string, v bigint, x double, tags array<string>'
  time: t
  lateness: 3 seconds
results:
  - name: copy
    sql: SELECT k, v, t FROM events WHERE v % 3 = 0
  - name: totals
    sql: SELECT k, count(*) AS n, sum(v) AS s, min(x), max_by(v, t), avg(v) FROM events GROUP BY k
  - name: having
    sql: SELECT k, v, count(*) AS n FROM events GROUP BY k, v HAVING count(*) % 2 = 1
  - name: tumbling
    sql: SELECT window(t, '10 seconds') AS w, k, count(*) AS n, sum(v) AS s FROM events GROUP BY 1, 2
  - name: closed
    sql: SELECT window(t, '10 seconds') AS w, k, count(*) AS n, sum(v) AS s FROM events GROUP BY 1, 2
    emit: final
  - name: sliding
    sql: SELECT window(t, '10 seconds', '4 seconds') AS w, count(*) AS n, sum(v) AS s FROM events GROUP BY 1
  - name: sliding_closed
    sql: SELECT window(t, '10 seconds', '4 seconds') AS w, k, count(*) AS n FROM events GROUP BY 1, 2
    emit: final
  - name: sessions
    sql: SELECT session_window(t, '4 seconds') AS w, k, count(*) AS n, sum(v) AS s FROM events GROUP BY 1, 2
  - name: sessions_closed
    sql: SELECT session_window(t, '4 seconds') AS w, k, count(*) AS n, sum(v) AS s FROM events GROUP BY 1, 2
    emit: final
  - name: first
    sql: SELECT k, v, count(*) AS n FROM events GROUP BY k, v ORDER BY n DESC, k, v LIMIT 7
  - name: rolled
    sql: SELECT k, v % 5 AS m, count(*) AS n, sum(v) AS s FROM events GROUP BY ROLLUP (k, v % 5)
  - name: values
    sql: |
      SELECT window(t, '20 seconds') AS w, count(DISTINCT v) AS d, collect_list(v) AS l, collect_set(k) AS c,
        median(v) AS m FROM events GROUP BY 1
  - name: values_closed
    sql: SELECT window(t, '20 seconds') AS w, count(DISTINCT v) AS d, collect_list(v) AS l FROM events GROUP BY 1
    emit: final
  - name: lists
    sql: SELECT k, collect_list(v) AS l, collect_set(v % 4) AS c FROM events GROUP BY k
    limit: 5
  - name: session_lists
    sql: SELECT session_window(t, '4 seconds') AS w, k, collect_list(v) AS l, count(DISTINCT v) AS d FROM events GROUP BY 1, 2
  - name: unnested
    sql: SELECT tag, count(*) AS n FROM events LATERAL VIEW explode(tags) AS tag GROUP BY tag
  - name: seen
    sql: SELECT DISTINCT k, v % 10 AS m FROM events
  - name: of_closed
    sql: SELECT window(w.end, '1 minute') AS minute, max(n) AS most, sum(s) AS s FROM closed GROUP BY 1
  - name: of_closed_closed
    sql: SELECT window(w.end, '1 minute') AS minute, max(n) AS most, sum(s) AS s FROM closed GROUP BY 1
    emit: final
  - name: of_copy
    sql: SELECT window(t, '30 seconds') AS w, k, count(*) AS n FROM copy GROUP BY 1, 2
  - name: of_copy_sessions
    sql: SELECT session_window(t, '9 seconds') AS w, k, count(*) AS n FROM copy GROUP BY 1, 2
    emit: final
";

const EVENTS: u64 = 2_000;

/// Mostly in order, some behind the watermark, some that are no events.
fn events(random: &mut Random) -> Vec<u8> {
    let mut text = String::new();
    let mut now = 1_700_000_000_000_u64;
    for n in 0..EVENTS {
        now += random.below(250);
        if random.below(150) == 0 {
            now += 15_000;
        }
        let behind = if random.below(8) == 0 { random.below(14_000) } else { random.below(2_500) };
        let t = now - behind;
        let (key, v) = (random.below(4), random.below(30));
        let (seconds, millis) = (t / 1000 % 86_400, t % 1000);
        let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        let tags: Vec<String> = (0..random.below(3)).map(|_| format!("\"g{}\"", random.below(5))).collect();
        let tags = tags.join(",");
        match random.below(60) {
            0 => writeln!(text, "no event {n}"),
            1 => writeln!(text, "{{\"k\":\"{key}\",\"v\":{v}}}"),
            _ => writeln!(
                text,
                "{{\"t\":\"2023-11-14T{hour:02}:{minute:02}:{second:02}.{millis:03}Z\",\"k\":\"k{key}\",\"v\":{v},\
                 \"x\":{v}.5,\"tags\":[{tags}]}}"
            ),
        }
        .unwrap();
    }
    text.into_bytes()
}

fn lines(bytes: &[u8]) -> u64 {
    bytes.split(|byte| *byte == b'\n').count() as u64 - 1
}

fn results() -> Vec<String> {
    let names = SPEC.lines().filter_map(|line| line.trim().strip_prefix("- name: "));
    names.map(str::to_owned).collect()
}

/// Counters per pipeline and result; rows per result.
fn outcome(rig: &Rig) -> (String, Vec<(String, Vec<String>)>) {
    let status = rig.status();
    let mut counters = format!("{:?}\n", status.counters);
    for result in &status.results {
        // How often a group is written depends on the commits.
        let late = (result.counters.selected, result.counters.late, result.counters.failed);
        writeln!(counters, "{} {late:?} {} {:?}", result.name, result.rows, result.watermark).unwrap();
    }
    (counters, results().into_iter().map(|name| (name.clone(), rig.rows(&name))).collect())
}

fn whole(events: &[u8]) -> (String, Vec<(String, Vec<String>)>) {
    let mut rig = Rig::new(SPEC);
    rig.options.workers = 1;
    rig.append("in/events.ndjson", events);
    rig.finish();
    outcome(&rig)
}

/// Cut at any byte; the pipeline goes on, is stopped, or loses what it had not committed.
fn pieces(events: &[u8], random: &mut Random) -> (String, Vec<(String, Vec<String>)>) {
    let mut rig = Rig::new(SPEC);
    let mut at = 0;
    while at < events.len() {
        rig.options.workers = 1 + random.below(3) as usize;
        rig.start();
        for _ in 0..=random.below(6) {
            let piece = 1 + random.below(events.len() as u64 / 8) as usize;
            let to = events.len().min(at + piece);
            rig.append("in/events.ndjson", &events[at..to]);
            at = to;
            if random.below(3) > 0 {
                // A line is an event once its end is there.
                let ends = lines(&events[..at]);
                rig.until_read(ends - random.below(ends / 8 + 1));
            }
        }
        match random.below(2) {
            0 => rig.stop(),
            _ => rig.crash(),
        }
    }
    rig.finish();
    outcome(&rig)
}

#[test]
fn rows_do_not_depend_on_cuts_workers_and_restarts() {
    let mut random = Random::seeded();
    let events = events(&mut random);
    let expected = whole(&events);
    let rounds = if std::env::var_os("MANADE_TEST_FAST").is_some() { 2 } else { 6 };
    for round in 0..rounds {
        let found = pieces(&events, &mut random);
        for (expected, found) in expected.1.iter().zip(&found.1) {
            assert!(!expected.1.is_empty(), "{} has no rows to compare", expected.0);
            assert_eq!(expected, found, "round {round}");
        }
        assert_eq!(expected.0, found.0, "round {round}");
    }
}

/// A result that is added later, and one that reads it, have the rows of one that was there from the beginning.
#[test]
fn a_result_that_is_added_later_catches_up() {
    let mut random = Random::seeded();
    let events = events(&mut random);
    let expected = whole(&events);
    let (head, _) = SPEC.split_once("  - name: totals").unwrap();
    let mut rig = Rig::new(head);
    let half = events.len() / 2;
    rig.append("in/events.ndjson", &events[..half]);
    rig.start();
    rig.until_read(lines(&events[..half]));
    let undecoded = rig.status().counters.dead;
    rig.stop();
    SPEC.clone_into(&mut rig.spec);
    rig.start();
    rig.append("in/events.ndjson", &events[half..]);
    rig.crash();
    rig.finish();
    let found = outcome(&rig);
    for (expected, found) in expected.1.iter().zip(&found.1) {
        assert_eq!(expected, found);
    }
    // What the pipeline could not decode before the result had come as far, it counts for itself.
    let dead = undecoded..=rig.status().counters.dead;
    let counted = dead.fold(found.0, |counted, failed| counted.replace(&format!(", {failed}) "), ", 0) "));
    assert_eq!(expected.0, counted);
}

/// So does one whose source is a JSON document of several chunks, read up to its middle before a restart.
#[test]
fn a_result_that_is_added_later_reads_a_document_again() {
    let spec = "
source: { file: { path: in/events.json, follow: true } }
events: { schema: 'n bigint, pad string' }
results:
  - { name: one, sql: 'SELECT count(*) AS n, sum(n) AS s FROM events' }
";
    let mut rig = Rig::new(spec);
    let numbers = 0..30_000_u64;
    let element = |n| format!("{{\"n\": {n}, \"pad\": \"{}\"}}", "[x,".repeat(200));
    let text = numbers.clone().map(element).collect::<Vec<_>>().join(",");
    rig.append("in/events.json", format!("[{text}]"));
    rig.start();
    rig.until_read(30_000);
    rig.stop();
    rig.spec += "  - { name: two, sql: 'SELECT count(*) AS n, sum(n) AS s FROM events' }\n";
    for _ in 0..20 {
        rig.start();
        let rows = rig.rows("two");
        rig.crash();
        if !rows.is_empty() {
            break;
        }
    }
    rig.finish();
    let expected = format!("{} {}", numbers.end, numbers.clone().sum::<u64>());
    assert_eq!((rig.rows("one"), rig.rows("two")), (vec![expected.clone()], vec![expected]));
}
