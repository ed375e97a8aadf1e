use std::fs;

use insta::assert_snapshot;

use crate::{PIPELINE, Place};

const PUSHED: &str = "apiVersion: manade.dev/v1alpha1
kind: Pipeline
metadata: { name: pushed }
spec:
  source: { http: {} }
  events: { schema: 'id bigint, at timestamp, kind string', time: at, lateness: 1 second }
  results: [{ name: counted, sql: 'SELECT count(*) AS n, count(DISTINCT id) AS ids FROM events' }]
";

/// The platform whose events are in files that come and grow.
fn growing(path: &str) -> String {
    PIPELINE.replace("events.ndjson, follow: false", &format!("{path}, follow: true"))
}

#[test]
fn events_go_to_a_running_platform_over_http() {
    let place = Place::empty();
    place.write("pushed.yaml", PUSHED);
    let up = place.up(&[]);
    let sent = place.run(&["generate", "pushed", "--count", "20000", "--rate", "max"]);
    assert!(sent.contains("20,000 events sent in [T] s"), "{sent}");
    let rows = place.wait_for(&["data", "counted", "-o", "ndjson"], "20000");
    assert!(rows.contains(r#"{"n":20000,"ids":20000}"#), "{rows}");
    assert!(place.run(&["dead-letters", "list"]).contains("no dead letters"));
    assert_eq!(up.stop().0, Some(0));
}

/// At a rate, it takes as long as that takes.
#[test]
fn events_go_into_files_at_a_rate() {
    let place = Place::empty();
    place.write("clicks.yaml", &PIPELINE.replace("events.ndjson", "'in/*.csv'"));
    place.write("in/first.csv", "at,kind,value\n2026-01-01T10:00:00Z,a,1\n");
    let begun = std::time::Instant::now();
    let sent = place.run(&["generate", "clicks", "--count", "500", "--rate", "1000", "--seed", "7"]);
    assert!(begun.elapsed().as_millis() >= 400, "{sent}");
    assert!(sent.contains("in/generated-7.csv; clicks reads it when it starts"), "{sent}");
    let text = fs::read_to_string(place.path("in/generated-7.csv")).expect("it is there");
    assert_eq!((text.lines().count(), text.lines().next()), (501, Some("at,kind,value")));
    let output = place.output(&["up", "--once", "--strict"]);
    assert!(output.status.success(), "{}", crate::shown(&output));
}

#[test]
fn ragged_events_become_dead_letters() {
    let place = Place::empty();
    place.write("clicks.yaml", &growing("in"));
    fs::create_dir(place.path("in")).expect("made");
    let args = ["generate", "clicks", "--count", "5000", "--rate", "max", "--ragged", "0.2"];
    assert!(place.output(&args).status.success());
    assert!(place.output(&["up", "--once"]).status.success());
    let status: serde_json::Value =
        serde_json::from_slice(&place.output(&["status", "-o", "json"]).stdout).expect("JSON");
    let (read, dead) = (status[0]["read"].as_u64(), status[0]["dead"].as_u64().unwrap_or(0));
    assert_eq!(read, Some(5000));
    // A fifth is ragged; of the kinds of wrong, those of another type and without a time are dead.
    assert!((200..900).contains(&dead), "{status}");
}

#[test]
fn a_file_is_replayed() {
    let place = Place::empty();
    place.write("clicks.yaml", &growing("in"));
    fs::create_dir(place.path("in")).expect("made");
    place.write(
        "old.ndjson",
        "{\"at\":\"2026-01-01T10:00:00Z\",\"kind\":\"a\",\"value\":1}\n\n{\"at\":\"2026-01-01T10:00:10Z\",\"kind\":\"b\",\"value\":2}\n",
    );
    let begun = std::time::Instant::now();
    // Ten seconds of event time, twenty times as fast.
    let sent = place.run(&["generate", "clicks", "--from", "old.ndjson", "--speed", "20"]);
    assert!(begun.elapsed().as_millis() >= 500, "{sent}");
    assert!(sent.contains("2 events sent"), "{sent}");
    assert!(place.output(&["up", "--once", "--strict"]).status.success());
    let rows = place.run(&["data", "by_kind", "--order", "kind", "-o", "ndjson"]);
    assert!(
        rows.contains(r#"{"kind":"a","events":1,"total":1"#) && rows.contains(r#"{"kind":"b","events":1"#),
        "{rows}"
    );
}

#[test]
fn what_cannot_be_generated_is_told() {
    let place = Place::with_platform();
    place.write("pushed.yaml", PUSHED);
    place.write("a.csv", "at\n");
    let cases: [&[&str]; 7] = [
        &["generate", "click"],
        &["generate", "pushed"],
        &["generate", "pushed", "--rate", "0"],
        &["generate", "pushed", "--late", "2"],
        &["generate", "clicks", "--from", "a.csv"],
        &["generate", "clicks", "--from", "missing.ndjson"],
        &["generate", "clicks", "nowhere"],
    ];
    let told: Vec<String> = cases.iter().map(|args| format!("$ {}\n{}", args.join(" "), place.run(args))).collect();
    assert_snapshot!("generate_refused", told.join("\n"));
}
