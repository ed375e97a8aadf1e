use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use insta::assert_snapshot;

use crate::{PATIENCE, PIPELINE, Place, Up, answer, exists, get, request, send};

const FOLLOWED: (&str, &str) = ("follow: false", "follow: true");

fn followed() -> Place {
    let place = Place::with_platform();
    place.write("clicks.yaml", &PIPELINE.replace(FOLLOWED.0, FOLLOWED.1));
    place
}

/// Everything that talks to a running platform finds it by its data folder.
#[test]
fn commands_talk_to_a_running_platform() {
    let place = followed();
    let up = place.up(&[]);
    place.wait_for(&["dead-letters", "list"], "not json");
    assert_snapshot!("live_status", place.run(&["status"]));
    assert_snapshot!("live_data", place.run(&["data", "by_kind", "--order", "kind"]));
    assert_snapshot!("live_second_up", place.run(&["up", "--once"]));
    assert_snapshot!("live_reset", place.run(&["reset", "clicks", "--yes"]));
    assert_snapshot!("live_drop", place.run(&["data", "drop", "large", "--yes"]));
    assert_snapshot!("live_backup", place.run(&["data", "backup", "copy"]));
    let copied = place.run(&["data", "by_kind", "--order", "kind", "--data", "copy"]);
    assert_eq!(copied, place.run(&["data", "by_kind", "--order", "kind"]));
    let (code, _) = up.stop();
    assert_eq!(code, Some(0));
    assert!(!exists(&place.path(".manade/address")));
    assert_snapshot!("stopped_status", place.run(&["status"]));
}

/// What is wrong with the argument is told, by a running and by a stopped platform.
#[test]
fn a_backup_that_cannot_be_written_says_why() {
    let place = followed();
    let up = place.up(&[]);
    place.write("taken", "a file");
    let targets = ["taken/copy", ".manade/copy"];
    let live = targets.map(|to| place.run(&["data", "backup", to]));
    assert_snapshot!("live_backup_refused", live.join("\n"));
    assert_eq!(up.stop().0, Some(0));
    assert_eq!(targets.map(|to| place.run(&["data", "backup", to])), live);
    assert!(!exists(&place.path(".manade/copy")));
}

/// A reload tells every error, once each, and that they are gone.
#[test]
fn all_errors_of_a_reload_are_logged() {
    let place = followed();
    let up = place.up(&[]);
    place.wait_for(&["data", "large"], "view");
    let sound = PIPELINE.replace(FOLLOWED.0, FOLLOWED.1);
    let wrong = (0..25).map(|n| format!("    - name: w{n}\n      sql: SELECT no{n} FROM events\n"));
    let wrong = wrong.collect::<Vec<_>>().concat();
    place.write("clicks.yaml", &sound.replace("  tests:", &format!("{wrong}  tests:")));
    place.wait_for_log("it runs on as it was");
    let log = std::fs::read_to_string(place.path("up.log")).expect("it is there");
    for n in 0..25 {
        assert_eq!(log.matches(&format!("`no{n}`")).count(), 1, "{n}: {log}");
    }
    assert!(log.contains(" ERROR ") && !log.contains("error:"), "{log}");
    place.write("clicks.yaml", &sound);
    place.wait_for_log("the platform's files have no errors any more");
    assert_eq!(up.stop().0, Some(0));
}

#[test]
fn a_cloud_event_counts_once_in_whatever_batch_it_comes() {
    let place = Place::empty();
    place.write(
        "pushed.yaml",
        "apiVersion: manade.dev/v1alpha1\nkind: Pipeline\nmetadata: { name: pushed }\nspec:\n  source: { http: {} }\n  \
         events: { schema: { a: int } }\n  results: [{ name: pushed_by_id, sql: \"SELECT _meta['id'] AS id, a FROM events\" }]\n",
    );
    let up = place.up(&[]);
    let event =
        |id: u32| format!(r#"{{"specversion":"1.0","id":"{id}","source":"/s","type":"t","data":{{"a":{id}}}}}"#);
    let post = |kind: &str, body: &str| {
        let (head, length) = (format!("POST /ingest/pushed HTTP/1.0\r\nHost: {}\r\n", up.address), body.len());
        let kind = format!("Content-Type: application/cloudevents{kind}+json\r\nContent-Length: {length}");
        answer(send(&up.address, &format!("{head}{kind}\r\n\r\n{body}"))).1
    };
    assert_eq!(post("", &event(2)), r#"{"accepted":1}"#);
    assert_eq!(post("-batch", &format!("[{},{}]", event(2), event(9))), r#"{"accepted":1}"#);
    assert_eq!(post("-batch", &format!("[{},{},{}]", event(4), event(4), event(9))), r#"{"accepted":1}"#);
    assert_eq!(post("-batch", &format!("[{},{}]", event(9), event(2))), r#"{"accepted":2}"#);
    assert_eq!(post("", &event(7)), r#"{"accepted":1}"#);
    let rows = place.wait_for(&["data", "pushed_by_id", "-o", "csv"], "7,7");
    assert_eq!(rows, "exit: 0\n--- stdout\nid,a\n2,2\n9,9\n4,4\n7,7\n--- stderr\n");
    assert_eq!(up.stop().0, Some(0));
}

#[test]
fn dead_letters_are_replayed_after_a_fix() {
    let place = followed();
    let up = place.up(&[]);
    place.wait_for(&["dead-letters", "list"], "not json");
    let again = place.run(&["dead-letters", "replay", "--reason", "value"]);
    assert_snapshot!("replay_in_vain", again);
    let fixed = PIPELINE.replace(FOLLOWED.0, FOLLOWED.1).replace("    time: at", "    coerce: true\n    time: at");
    place.write("clicks.yaml", &fixed);
    // The edited file is taken up after a moment; until then the letter fails again.
    let replay = place.wait_for(
        &["dead-letters", "replay", "--reason", "value"],
        "1 dead letter of clicks replayed, 0 dead letters again",
    );
    assert_snapshot!("replay", replay);
    // 1 + 4 of the clicks that were read before, and 7.
    place.wait_for(&["data", "by_kind", "--where", "kind=eq.click"], "12.0");
    assert_eq!(up.stop().0, Some(0));
}

/// A table's new rows meet the events that come after them; what is no table leaves the rows as they were.
#[test]
fn a_table_is_read_again_when_its_file_changes() {
    let place = Place::empty();
    place.write(
        "kinds.yaml",
        "\
apiVersion: manade.dev/v1alpha1
kind: Pipeline
metadata: { name: kinds }
spec:
  source: { file: { path: events.ndjson } }
  events: { schema: { kind: string } }
  tables: [ { name: names, file: { path: names.csv } } ]
  results:
    - name: named
      sql: SELECT e.kind AS kind, n.name AS name FROM events e LEFT JOIN names n ON e.kind = n.kind
",
    );
    place.write("names.csv", "kind,name\na,first\n");
    place.write("events.ndjson", "{\"kind\":\"a\"}\n");
    let up = place.up(&[]);
    let mut rows = "kind,name\na,first\n".to_owned();
    place.wait_for(&["data", "named", "-o", "csv"], &rows);
    for (table, log, name) in [
        ("kind,name\na,second\n", "rows=1", "second"),
        ("no table\u{0}\"", "its header has no column `kind`", "second"),
        ("kind,name\na,\"x\"y\n", "text behind the closing quote", "second"),
        ("kind,name\na,third\nb,fourth\n", "rows=2", "third"),
    ] {
        // As programs replace files: at once.
        place.write("names.csv.new", table);
        std::fs::rename(place.path("names.csv.new"), place.path("names.csv")).expect("renamed");
        place.wait_for_log(log);
        place.append("events.ndjson", "{\"kind\":\"a\"}\n");
        rows.extend(["a,", name, "\n"]);
        place.wait_for(&["data", "named", "-o", "csv"], &rows);
    }
    place.append("events.ndjson", "{\"kind\":\"b\"}\n");
    place.wait_for(&["data", "named", "-o", "csv"], &(rows + "b,fourth\n"));
    assert_eq!(up.stop().0, Some(0));
}

#[test]
fn rows_are_watched() {
    let place = followed();
    let up = place.up(&[]);
    place.wait_for(&["data", "large"], "view");
    let mut command = place.command(&["data", "large", "--watch", "--order", "value", "-o", "ndjson"]);
    let mut watch = command.stdout(Stdio::piped()).spawn().expect("it starts");
    let mut lines = BufReader::new(watch.stdout.take().expect("piped")).lines();
    let mut next = || lines.next().expect("a line").expect("text");
    assert!(next().contains("2.5"));
    assert!(next().contains('4'));
    let more = "{\"at\":\"2026-01-01T11:20:00Z\",\"kind\":\"view\",\"value\":7}\n";
    place.append("events.ndjson", more);
    let values = [next(), next(), next()];
    assert!(values[0].contains("2.5") && values[2].contains('7'), "{values:?}");
    watch.kill().expect("it runs");
    watch.wait().expect("it ends");
    assert_eq!(up.stop().0, Some(0));
}

#[test]
fn plain_lines_tell_what_happens() {
    let place = Place::with_platform();
    let mut up = place.up(&[]);
    let mut lines = String::new();
    while !lines.contains("finished") {
        lines.push_str(&up.line());
    }
    // It goes on serving when its sources are finished.
    place.wait_for(&["data", "by_kind"], "click");
    let last = lines.lines().last().expect("a line");
    assert_eq!(last, "clicks: finished: 5 events read, 2 dead letters");
    assert_eq!(up.stop().0, Some(0));
}

#[test]
fn a_process_that_was_killed_loses_nothing() {
    let place = followed();
    let mut up = place.up(&[]);
    place.wait_for(&["dead-letters", "list"], "not json");
    up.child.kill().expect("it runs");
    up.child.wait().expect("it ends");
    // Its address is still in the folder, but nobody has the folder open.
    let status = place.run(&["status"]);
    assert!(status.starts_with("exit: 0\n") && status.contains("stopped"), "{status}");
}

/// Waits until the platform has a collection, or has it no longer.
fn wait_for_collection(up: &Up, name: &str, is_there: bool) {
    let start = Instant::now();
    let quoted = format!("\"name\":\"{name}\"");
    while get(&up.address, "/data").1.contains(&quoted) != is_there {
        assert!(start.elapsed() < PATIENCE, "{name}");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

/// An edit starts the pipeline again, and nobody who only reads notices.
#[test]
fn rows_are_served_and_followed_while_a_pipeline_is_edited() {
    let place = followed();
    let up = place.up(&[]);
    place.wait_for(&["data", "large"], "view");
    let mut feed = BufReader::new(request(&up.address, "/data/large/changes")).lines();
    // From now on it tells what is added.
    while !feed.next().expect("a line").expect("text").starts_with("id:") {}
    let edited = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reading = scope.spawn(|| {
            let mut asked = 0;
            while !edited.load(Ordering::Relaxed) {
                let answers =
                    ["/data/by_kind", "/data/large", "/api/v1/pipelines/clicks"].map(|of| get(&up.address, of));
                assert!(answers.iter().all(|(status, _)| *status == 200), "{answers:?}");
                asked += 1;
            }
            asked
        });
        for round in 0..3 {
            let name = format!("again_{round}");
            let more = format!("    - name: {name}\n      sql: SELECT kind FROM events\n  tests:");
            place.write("clicks.yaml", &PIPELINE.replace(FOLLOWED.0, FOLLOWED.1).replace("  tests:", &more));
            wait_for_collection(&up, &name, true);
        }
        edited.store(true, Ordering::Relaxed);
        assert!(reading.join().expect("every answer was 200") > 0);
    });
    place.append("events.ndjson", "{\"at\":\"2026-01-01T11:20:00Z\",\"kind\":\"view\",\"value\":7}\n");
    let line = feed.by_ref().map(|line| line.expect("text")).find(|line| line.starts_with("data:")).expect("the feed");
    assert!(line.contains("\"value\":7"), "{line}");
    assert_eq!(up.stop().0, Some(0));
}

/// What a row shows has changed though the events have not: who follows hears that it must begin anew.
#[test]
fn a_feed_ends_where_an_edit_changes_what_rows_show() {
    let place = followed();
    let up = place.up(&[]);
    place.wait_for(&["data", "by_kind"], "view");
    let path = "/data/by_kind/changes";
    let mut feed = BufReader::new(request(&up.address, path)).lines();
    let mut id = String::new();
    while !id.starts_with("id:") {
        id = feed.next().expect("a line").expect("text");
    }
    let before = PIPELINE.replace(FOLLOWED.0, FOLLOWED.1);
    let edited = before.replace("count(*) AS events", "count(*) * 100 AS events");
    assert_ne!(before, edited);
    place.write("clicks.yaml", &edited);
    // It ends, and the last id means nothing any more.
    feed.map(|line| line.expect("text")).for_each(drop);
    let id = id.trim_start_matches("id:").trim();
    let head = format!("GET {path} HTTP/1.0\r\nHost: {}\r\nLast-Event-ID: {id}\r\n\r\n", up.address);
    let (status, body) = answer(send(&up.address, &head));
    assert_eq!(status, 410, "{body}");
    assert!(body.contains("snapshot=true"), "{body}");
    assert_eq!(up.stop().0, Some(0));
}

#[test]
fn a_pipeline_that_cannot_be_started_leaves_the_others_alone() {
    let place = followed();
    let up = place.up(&[]);
    place.wait_for(&["data", "large"], "view");
    // Where its events would be kept there is something else.
    place.write(".manade/pipelines/pushed/log", "");
    place.write(
        "pushed.yaml",
        "apiVersion: manade.dev/v1alpha1\nkind: Pipeline\nmetadata: { name: pushed }\nspec:\n  source: { http: {} }\n  \
         events: { schema: { a: int } }\n  results: [{ name: all_pushed, sql: SELECT a FROM events }]\n",
    );
    let status = place.wait_for(&["status"], "pushed is failed");
    assert!(status.contains("log"), "{status}");
    assert_eq!(get(&up.address, "/health/ready").0, 503);
    assert_eq!(get(&up.address, "/data/by_kind").0, 200);
    std::fs::remove_file(place.path("pushed.yaml")).expect("it is there");
    let start = Instant::now();
    while get(&up.address, "/health/ready").0 != 200 {
        assert!(start.elapsed() < PATIENCE);
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert_eq!(up.stop().0, Some(0));
}

#[test]
fn a_removed_collection_is_dropped_while_the_platform_runs() {
    let place = followed();
    let up = place.up(&[]);
    place.wait_for(&["data", "large"], "view");
    let removed = PIPELINE
        .replace(FOLLOWED.0, FOLLOWED.1)
        .replace("name: large", "name: great")
        .replace("large: []", "great: []");
    place.write("clicks.yaml", &removed);
    wait_for_collection(&up, "great", true);
    // Its rows have stayed until now.
    assert!(place.run(&["data", "large"]).contains("view"));
    assert_snapshot!("live_drop_removed", place.run(&["data", "drop", "large", "--yes"]));
    wait_for_collection(&up, "large", false);
    // The pipeline goes on.
    place.append("events.ndjson", "{\"at\":\"2026-01-01T11:20:00Z\",\"kind\":\"view\",\"value\":7}\n");
    place.wait_for(&["data", "great"], "7.0");
    // So does dropping what a whole pipeline has left.
    place.write("clicks.yaml", "apiVersion: v1\nkind: ConfigMap\n");
    let dropped = place.wait_for(&["data", "drop", "great", "--yes"], "great dropped");
    assert!(dropped.starts_with("exit: 0"), "{dropped}");
    wait_for_collection(&up, "great", false);
    wait_for_collection(&up, "by_kind", true);
    assert_eq!(up.stop().0, Some(0));
}

/// What the files define is served under its name, whatever another pipeline has left under it.
#[test]
fn a_renamed_pipeline_leaves_rows_that_are_told_apart() {
    let place = Place::with_data();
    let renamed = PIPELINE.replace(FOLLOWED.0, FOLLOWED.1).replace("name: clicks", "name: aclicks");
    place.write("clicks.yaml", &renamed.replace("WHERE value > 2", "WHERE value > 3"));
    let listed = |place: &Place| {
        let output = place.output(&["data", "-o", "json"]);
        let all: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).expect("a list");
        let large = all.iter().filter(|one| one["name"] == "large");
        large.map(|one| format!("{} {} {}", one["pipeline"], one["rows"], one["path"])).collect::<Vec<_>>()
    };
    let both = ["\"aclicks\" 1 \"/data/large\"", "\"clicks\" 2 null"];
    let mine = "value\n4.0\n";
    let up = place.up(&[]);
    place.wait_for(&["data", "large", "--select", "value", "-o", "csv"], mine);
    assert_eq!(listed(&place), both);
    let whose = place.run(&["data", "drop", "large", "--yes"]);
    assert_eq!(up.stop().0, Some(0));

    assert!(place.run(&["data", "large", "--select", "value", "-o", "csv"]).contains(mine));
    assert_eq!(listed(&place), both);
    assert_snapshot!("left_over_list", place.run(&["data"]));
    assert_snapshot!("left_over_drop", place.run(&["data", "drop", "large", "--yes"]));
    assert_eq!(place.run(&["data", "drop", "large", "--yes"]), whose, "running and stopped alike");
    assert_snapshot!("left_over_drop_other", place.run(&["data", "drop", "large", "--yes", "--pipeline", "cliks"]));
    assert_snapshot!("left_over_dropped", place.run(&["data", "drop", "large", "--yes", "--pipeline", "clicks"]));
    assert_eq!(listed(&place), both[..1]);

    let up = place.up(&[]);
    let dropped = place.run(&["data", "drop", "by_kind", "--yes", "--pipeline", "clicks"]);
    assert!(dropped.contains("by_kind of clicks dropped"), "{dropped}");
    let refused = place.run(&["data", "drop", "hourly", "--yes", "--pipeline", "aclicks"]);
    assert!(refused.contains("the result hourly is in the platform"), "{refused}");
    assert_eq!(up.stop().0, Some(0));
    assert!(place.run(&["data", "by_kind"]).contains("click"));
}

#[test]
fn check_shows_the_schema_of_a_running_pipeline() {
    let place = Place::empty();
    let untyped = PIPELINE.replace(FOLLOWED.0, FOLLOWED.1);
    let (head, rest) = untyped.split_once("    schema:").expect("a schema");
    let (_, tail) = rest.split_once("    time: at").expect("a time");
    place.write("clicks.yaml", &format!("{head}    time: at{tail}"));
    place.write("events.ndjson", crate::EVENTS);
    let up = place.up(&[]);
    place.wait_for(&["data", "large"], "click");
    let first = place.run(&["check"]);
    assert!(first.contains("kind: string"), "{first}");
    // Other events would have another schema; the pipeline's is the one that it began with.
    std::fs::remove_file(place.path("events.ndjson")).expect("it is there");
    place.write("events.ndjson", "{\"at\":\"2026-01-01T11:20:00Z\",\"kind\":1,\"value\":true,\"other\":1}\n");
    assert_eq!(place.run(&["check"]), first);
    assert_eq!(up.stop().0, Some(0));
}
