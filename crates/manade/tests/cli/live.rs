use std::io::{BufRead, BufReader};
use std::process::Stdio;

use insta::assert_snapshot;

use crate::{PIPELINE, Place, exists};

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
    assert!(place.run(&["status"]).contains("stopped"));
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
