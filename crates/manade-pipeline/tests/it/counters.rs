//! Counters add up at each commit and never fall.

use std::sync::atomic::{AtomicBool, Ordering};

use manade_pipeline::Pipeline;
use manade_pipeline::dead_letter::{DeadLetter, DeadLetterFilter, Stage};
use manade_pipeline::status::PipelineStatus;

use crate::rig::{Random, Rig};

const SPEC: &str = "
source: { file: { path: in, follow: true } }
events:
  schema: 't timestamp, v bigint'
  time: t
  late: keep
results:
  - { name: all, sql: SELECT v FROM events }
  - { name: some, sql: 'SELECT v FROM events WHERE v >= 50' }
  - { name: total, sql: 'SELECT count(*) AS n FROM events' }
  - { name: windows, sql: \"SELECT window(t, '10 seconds') AS w, count(*) AS n FROM events GROUP BY 1\" }
  - { name: closed, sql: \"SELECT window(t, '10 seconds') AS w, count(*) AS n FROM events GROUP BY 1\", emit: final }
";

fn line(random: &mut Random, n: u64) -> String {
    let second = n / 4 - random.below(15).min(n / 4);
    let t = format!("2024-01-01T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60);
    match random.below(20) {
        0 => "{\"v\": \n".to_owned(),
        1 => "{\"v\": 1}\n".to_owned(),
        2 => format!("{{\"t\": \"{t}\", \"v\": \"x\"}}\n"),
        _ => format!("{{\"t\": \"{t}\", \"v\": {}}}\n", random.below(100)),
    }
}

/// What holds at every commit.
fn adds_up(status: &PipelineStatus) {
    let of = status.counters;
    assert_eq!(of.read, of.processed + of.dead, "{status:#?}");
    for result in &status.results {
        let c = result.counters;
        let reached = c.selected + c.late + c.failed;
        match result.name.as_str() {
            "some" => assert!(reached <= of.processed, "{status:#?}"),
            _ => assert_eq!(reached, of.processed, "{status:#?}"),
        }
        if matches!(result.name.as_str(), "all" | "some" | "closed") {
            assert_eq!(c.written, result.rows, "{status:#?}");
        }
    }
}

fn never_falls(before: &PipelineStatus, after: &PipelineStatus) {
    let numbers = |status: &PipelineStatus| {
        let c = status.counters;
        let mut all = vec![c.read, c.processed, c.dead, c.expired];
        for result in &status.results {
            let c = result.counters;
            all.extend([c.selected, c.late, c.failed, c.written]);
        }
        all
    };
    // Before the first commit there are no results to speak of.
    if before.results.len() == after.results.len() {
        assert!(numbers(before).iter().zip(numbers(after)).all(|(a, b)| *a <= b), "{before:#?} then {after:#?}");
    }
    assert!(before.watermark <= after.watermark, "{before:#?} then {after:#?}");
}

/// Looks at every state that can be seen while `run` runs.
fn watched(pipeline: &Pipeline, last: &mut Option<PipelineStatus>, run: impl FnOnce() + Send) {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let runner = scope.spawn(|| {
            run();
            done.store(true, Ordering::Relaxed);
        });
        while !done.load(Ordering::Relaxed) && !runner.is_finished() {
            let status = pipeline.status();
            adds_up(&status);
            if let Some(last) = last.replace(status.clone()) {
                never_falls(&last, &status);
            }
            std::thread::yield_now();
        }
        runner.join().unwrap();
    });
}

#[test]
fn counters_add_up_at_every_commit() {
    let mut random = Random::seeded();
    let mut rig = Rig::new(SPEC);
    let mut last = None;
    let mut n = 0;
    for round in 0..8 {
        rig.start();
        let piece: String = (0..200 + random.below(3_000)).map(|_| (n += 1, line(&mut random, n)).1).collect();
        let path = rig.path("in/a.ndjson");
        let status = || rig.status();
        watched(rig.pipeline(), &mut last, || {
            for part in piece.as_bytes().chunks(4_001) {
                crate::rig::append(&path, part);
            }
            let end = std::time::Instant::now() + std::time::Duration::from_mins(1);
            while status().counters.read < n && std::time::Instant::now() < end {
                std::thread::yield_now();
            }
        });
        assert_eq!(rig.status().counters.read, n);
        let letters = rig.pipeline().dead_letters(&DeadLetterFilter::default()).unwrap();
        let undecoded = letters.iter().filter(|l| matches!(l.stage, Stage::Decode | Stage::Time)).count() as u64;
        assert_eq!(undecoded, rig.status().counters.dead);
        let late = |name: &str| letters.iter().filter(|l| l.result.as_deref() == Some(name)).count() as u64;
        for result in rig.status().results {
            assert_eq!(late(&result.name), result.counters.late, "{}", result.name);
        }
        if round % 2 == 0 { rig.stop() } else { rig.crash() }
    }
}

/// A replay counts as read again; what fails again stays a dead letter.
#[test]
fn a_replay_counts_as_read_again() {
    let mut rig = Rig::new(SPEC);
    let good = "{\"t\": \"2024-01-01T00:00:01Z\", \"v\": 1}\n";
    let texts = "{\"t\": \"2024-01-01T00:00:02Z\", \"v\": \"60\"}\n".repeat(5);
    let broken = "{\"v\": \n".repeat(3);
    rig.append("in/a.ndjson", format!("{good}{texts}{broken}"));
    rig.start();
    rig.until_read(9);
    let before = rig.status();
    assert_eq!((before.counters.processed, before.counters.dead, before.dead_letters), (1, 8, 8));
    rig.stop();
    // The schema is mended: numbers may be written as strings.
    rig.spec = SPEC.replace("  time: t\n", "  time: t\n  coerce: true\n");
    rig.start();
    let mut last = Some(before);
    watched(rig.pipeline(), &mut last, || {
        let answer = rig.pipeline().replay(DeadLetterFilter::default()).unwrap();
        assert_eq!((answer.replayed, answer.failed), (8, 3));
    });
    let after = rig.status();
    assert_eq!((after.counters.read, after.counters.processed, after.counters.dead), (17, 6, 11));
    assert_eq!(after.dead_letters, 3);
    assert_eq!(rig.rows("some"), ["60", "60", "60", "60", "60"]);
    assert_eq!(rig.rows("total"), ["6"]);
    rig.crash();
    rig.start();
    assert_eq!(rig.status().counters, after.counters);
    assert_eq!(rig.pipeline().drop_dead_letters(DeadLetterFilter::default()), Ok(3));
    let dropped = rig.status();
    never_falls(&after, &dropped);
    assert_eq!((dropped.counters, dropped.dead_letters), (after.counters, 0));
}

/// A result that is added after its events were mended reads them itself: a replay must not bring them twice.
#[test]
fn a_replay_does_not_double_events_of_a_later_result() {
    let mut rig = Rig::new(SPEC);
    rig.append("in/a.ndjson", "{\"t\": \"2024-01-01T00:00:02Z\", \"v\": \"60\"}\n");
    rig.start();
    rig.until_read(1);
    rig.stop();
    rig.spec = SPEC.replace("  time: t\n", "  time: t\n  coerce: true\n");
    rig.spec += "  - { name: later, sql: 'SELECT count(*) AS n FROM events' }\n";
    rig.start();
    rig.until("the later result has caught up", |_| rig.rows("later") == ["1"]);
    let answer = rig.pipeline().replay(DeadLetterFilter::default()).unwrap();
    assert_eq!((answer.replayed, answer.failed), (1, 0));
    assert_eq!((rig.rows("later"), rig.rows("total")), (vec!["1".to_owned()], vec!["1".to_owned()]));
}

/// What is a dead letter of the pipeline while an added result catches up, this one reads itself later, and has a letter of
/// its own.
#[test]
fn letters_that_come_while_a_result_catches_up_are_replayed_into_it_once() {
    let mut rig = Rig::new(SPEC);
    let good = format!("{{\"t\": \"2024-01-01T00:00:01Z\", \"v\": 1, \"pad\": \"{}\"}}\n", "x".repeat(1000));
    // Several chunks, of which it reads one for each new one.
    rig.append("in/a.ndjson", good.repeat(20_000));
    rig.start();
    rig.until_read(20_000);
    rig.stop();
    rig.spec += "  - { name: later, sql: 'SELECT sum(v) AS n FROM events' }\n";
    rig.append("in/b.ndjson", "{\"t\": \"2024-01-01T00:00:02Z\", \"v\": \"60\"}\n");
    rig.start();
    let failed = |status: &PipelineStatus| status.results.iter().any(|r| r.name == "later" && r.counters.failed == 1);
    rig.until("the later result has caught up", failed);
    assert_eq!(rig.rows("later"), ["20000"]);
    rig.stop();
    rig.spec = rig.spec.replace("  time: t\n", "  time: t\n  coerce: true\n");
    rig.start();
    rig.pipeline().replay(DeadLetterFilter::default()).unwrap();
    assert_eq!((rig.rows("later"), rig.status().dead_letters), (vec!["20060".to_owned()], 0));
}

/// A result that is added later may read columns that no other result does: what cannot be decoded in them is its own
/// dead letter, kept until it can be read, and not one event is missing then or there twice.
#[test]
fn what_a_later_result_cannot_decode_is_its_own_dead_letter() {
    let (first, added) = SPEC.split_at(SPEC.find("  - {").unwrap());
    let mut rig = Rig::new(&format!("{first}  - {{ name: times, sql: SELECT t FROM events }}\n"));
    let line = |second: u64, v: &str| format!("{{\"t\": \"2024-01-01T00:00:{second:02}Z\", \"v\": {v}}}\n");
    rig.append("in/a.ndjson", line(1, "60") + &line(2, "\"61\"") + "{\"v\"\n" + &line(3, "62"));
    rig.start();
    rig.until_read(4);
    assert_eq!((rig.rows("times").len(), rig.status().counters.dead), (3, 1));
    rig.stop();
    rig.spec += added;
    rig.start();
    rig.until("the added result has caught up", |status| status.results.iter().all(|r| r.counters.selected > 0));
    let counted = |rig: &Rig, name: &str| {
        let status = rig.status();
        let failed = status.results.iter().find(|r| r.name == name).map(|r| r.counters.failed);
        let filter = DeadLetterFilter { result: Some(name.to_owned()), ..Default::default() };
        let letters = rig.pipeline().dead_letters(&filter).unwrap();
        (failed.unwrap(), letters.iter().filter(|letter| letter.stage == Stage::Decode).count())
    };
    // The broken line, and the text that is no number.
    assert_eq!((rig.rows("some"), counted(&rig, "some")), (vec!["60".to_owned(), "62".to_owned()], (2, 2)));
    assert_eq!((rig.status().counters.read, rig.status().counters.dead), (4, 1));
    // Nothing was mended: they stay, and are the same ones.
    rig.pipeline().replay(DeadLetterFilter::default()).unwrap();
    assert_eq!(counted(&rig, "some").1, 2);
    rig.stop();
    rig.spec = rig.spec.replace("  time: t\n", "  time: t\n  coerce: true\n");
    rig.start();
    rig.pipeline().replay(DeadLetterFilter::default()).unwrap();
    assert_eq!((rig.rows("some"), counted(&rig, "some").1), (["60", "61", "62"].map(str::to_owned).to_vec(), 1));
    assert_eq!((rig.rows("total"), rig.rows("times").len()), (vec!["3".to_owned()], 3));
}

const CHAIN: &str = "
source: { file: { path: in, follow: true } }
events:
  schema: 't timestamp, v bigint'
  time: t
results:
  - { name: seconds, sql: \"SELECT window(t, '1 second') AS w, v, count(*) AS n FROM events GROUP BY 1, 2\", emit: final }
  - { name: checked, sql: \"SELECT v, assert_true(v <> 3, concat('no ', v)) IS NULL AS ok FROM seconds\" }
  - { name: copied, sql: SELECT v * 2 AS w FROM checked WHERE ok }
";

fn at(second: u64, v: u64) -> String {
    format!("{{\"t\": \"2024-01-01T00:00:{second:02}Z\", \"v\": {v}}}\n")
}

/// A row of one result that fails in another is that one's dead letter, tried again from where it is kept.
#[test]
fn a_row_that_fails_in_a_later_result_is_a_dead_letter() {
    let mut rig = Rig::new(CHAIN);
    rig.append("in/a.ndjson", (1..=5).map(|v| at(v, v)).collect::<String>());
    rig.start();
    rig.until_read(5);
    rig.append("in/a.ndjson", at(30, 3) + &at(40, 7));
    rig.until_read(7);
    assert_eq!(rig.rows("checked"), ["1 true", "2 true", "4 true", "5 true"]);
    assert_eq!(rig.rows("copied"), ["10", "2", "4", "8"]);
    let letters = rig.pipeline().dead_letters(&DeadLetterFilter::default()).unwrap();
    let raw = |letter: &DeadLetter| String::from_utf8_lossy(&letter.raw).into_owned();
    let told = letters
        .iter()
        .map(|letter| (letter.stage, letter.result.as_deref().unwrap(), letter.position.as_str(), raw(letter)));
    let row = |second: u64| {
        let (start, end) = (format!("2024-01-01T00:00:{second:02}Z"), format!("2024-01-01T00:00:{:02}Z", second + 1));
        format!("{{\"w\":{{\"start\":\"{start}\",\"end\":\"{end}\"}},\"v\":3,\"n\":1}}")
    };
    // `copied` reads through `checked`, so the row fails in it as well.
    let expected = [(2, "checked", 3), (2, "copied", 3), (5, "checked", 30), (5, "copied", 30)];
    let expected =
        expected.map(|(id, result, second)| (Stage::Sql, result, format!("row {id} of seconds"), row(second)));
    let mut told: Vec<_> =
        told.map(|(stage, result, position, raw)| (stage, result, position.to_owned(), raw)).collect();
    told.sort_by(|a, b| (&a.2, a.1).cmp(&(&b.2, b.1)));
    assert_eq!(told, expected);
    assert!(letters[0].reason.contains("no 3"), "{}", letters[0].reason);
    let checked = |status: &PipelineStatus| status.results.iter().find(|r| r.name == "checked").unwrap().counters;
    assert_eq!(checked(&rig.status()).failed, 2);
    // Tried again as it is, it fails again; after a restart with another check, it does not.
    let answer = rig.pipeline().replay(DeadLetterFilter::default()).unwrap();
    assert_eq!((answer.replayed, answer.failed), (4, 4));
    rig.stop();
    rig.spec = CHAIN.replace("v <> 3", "v < 100");
    rig.start();
    let answer = rig.pipeline().replay(DeadLetterFilter { stage: Some(Stage::Sql), ..Default::default() }).unwrap();
    assert_eq!((answer.replayed, answer.failed), (4, 0));
    assert_eq!(rig.rows("checked"), ["1 true", "2 true", "3 true", "3 true", "4 true", "5 true"]);
    assert_eq!(rig.rows("copied"), ["10", "2", "4", "6", "6", "8"]);
    assert_eq!((rig.status().counters.read, rig.status().dead_letters), (7, 0));
}

/// What is not kept cannot be tried again, and stays a dead letter.
#[test]
fn a_row_that_is_not_kept_stays_a_dead_letter() {
    let mut rig = Rig::new(&CHAIN.replace("emit: final }", "emit: final, sinks: [discard] }"));
    rig.append("in/a.ndjson", at(3, 3) + &at(9, 9));
    rig.start();
    rig.until_read(2);
    let letters = rig.pipeline().dead_letters(&DeadLetterFilter::default()).unwrap();
    assert_eq!(letters[0].position, "a row of seconds");
    let answer = rig.pipeline().replay(DeadLetterFilter::default()).unwrap();
    assert_eq!((answer.replayed, answer.failed), (2, 2));
}
