use std::fs;
use std::path::Path;

use insta::assert_snapshot;

use crate::{PIPELINE, Place, post, shown, squeezed};

fn check_parquet(place: &Place) {
    let output = place.output(&["data", "by_kind", "-o", "parquet"]);
    assert!(output.stdout.starts_with(b"PAR1") && output.stdout.ends_with(b"PAR1"), "{}", shown(&output));
}

#[test]
fn the_collections_are_listed() {
    let place = Place::with_data();
    assert_snapshot!("data_list", place.run(&["data"]));
    let list: Vec<serde_json::Value> =
        serde_json::from_slice(&place.output(&["data", "-o", "json"]).stdout).expect("a list");
    assert_eq!(list.len(), 3);
}

#[test]
fn rows_come_in_every_format() {
    let place = Place::with_data();
    let rows = |format: &str| place.run(&["data", "by_kind", "--order", "kind", "-o", format]);
    assert_snapshot!("data_table", rows("table"));
    assert_snapshot!("data_json", rows("json"));
    assert_snapshot!("data_ndjson", rows("ndjson"));
    assert_snapshot!("data_csv", rows("csv"));
    check_parquet(&place);
}

#[test]
fn rows_are_filtered_ordered_and_picked() {
    let place = Place::with_data();
    let args = ["data", "by_kind", "--where", "events=gte.1", "--where", "kind=neq.view", "--select", "kind,n:events"];
    assert_snapshot!("data_where", place.run(&args));
    assert_snapshot!(
        "data_or",
        place.run(&["data", "large", "--where", "or=(value.gt.3,kind.eq.view)", "--order", "value.desc"])
    );
    assert_snapshot!("data_limit", place.run(&["data", "large", "--order", "value.desc", "--limit", "1"]));
}

#[test]
fn no_rows_are_said_to_be_none() {
    assert_snapshot!(Place::with_data().run(&["data", "by_kind", "--where", "kind=eq.nothing"]));
}

#[test]
fn what_is_misspelt_has_a_hint() {
    let place = Place::with_data();
    assert_snapshot!("data_unknown_collection", place.run(&["data", "by_knid"]));
    assert_snapshot!("data_far_collection", place.run(&["data", "weather"]));
    assert_snapshot!("data_unknown_column", place.run(&["data", "by_kind", "--where", "knid=eq.x"]));
    assert_snapshot!("data_unknown_operator", place.run(&["data", "by_kind", "--where", "kind=equals.x"]));
    assert_snapshot!("data_no_filter", place.run(&["data", "by_kind", "--where", "kind"]));
}

#[test]
fn a_stopped_platform_has_nothing_to_watch() {
    assert_snapshot!(Place::with_data().run(&["data", "by_kind", "--watch"]));
}

#[test]
fn a_folder_that_is_not_there_is_an_error() {
    assert_snapshot!(Place::empty().run(&["data", "--data", "nowhere"]));
}

#[test]
fn a_server_that_is_not_there_is_an_error() {
    // Nothing listens on port 1.
    assert_snapshot!("no_server", squeezed(&Place::empty().run(&["data", "--url", "http://127.0.0.1:1"])));
    assert_snapshot!("no_address", Place::empty().run(&["data", "--url", "localhost"]));
}

#[test]
fn status_shows_counters_that_add_up() {
    let place = Place::with_data();
    assert_snapshot!("status", place.run(&["status"]));
    let status: serde_json::Value =
        serde_json::from_slice(&place.output(&["status", "-o", "json"]).stdout).expect("JSON");
    assert_eq!((&status[0]["read"], &status[0]["processed"], &status[0]["dead"]), (&5.into(), &3.into(), &2.into()));
}

#[test]
fn status_of_nothing_is_an_error() {
    assert_snapshot!(Place::empty().run(&["status", "--data", "nowhere"]));
}

#[test]
fn a_collection_is_dropped_once_it_is_meant() {
    let place = Place::with_data();
    assert_snapshot!("drop_unconfirmed", place.run(&["data", "drop", "large"]));
    assert_snapshot!("drop", place.run(&["data", "drop", "large", "--yes"]));
    assert_snapshot!("drop_unknown", place.run(&["data", "drop", "large", "--yes"]));
    assert!(!place.run(&["data"]).contains("large"));
}

#[test]
fn a_backup_is_a_data_folder() {
    let place = Place::with_data();
    assert_snapshot!("backup", place.run(&["data", "backup", "copy"]));
    assert_snapshot!("backup_again", place.run(&["data", "backup", "copy"]));
    let rows = ["data", "by_kind", "--order", "kind", "-o", "ndjson"];
    let copied = [&rows[..], &["--data", "copy"]].concat();
    assert_eq!(place.run(&copied), place.run(&rows));
}

#[test]
fn a_reset_pipeline_starts_anew() {
    let place = Place::with_data();
    assert_snapshot!("reset_unconfirmed", place.run(&["reset", "clicks"]));
    assert_snapshot!("reset_unknown_pipeline", place.run(&["reset", "clcks", "--yes"]));
    assert_snapshot!("reset_unknown_result", place.run(&["reset", "clicks", "by_knd", "--yes"]));
    assert_snapshot!("reset_result", place.run(&["reset", "clicks", "by_kind", "--yes"]));
    assert_snapshot!("reset", place.run(&["reset", "clicks", "--yes"]));
    let again = place.run(&["up", "--once"]);
    assert!(again.contains("5 events read, 2 dead letters"), "{again}");
}

/// The first file of its log, in the middle.
fn damage(log: &Path) {
    let entries = fs::read_dir(log).expect("a folder").map(|entry| entry.expect("an entry").path());
    let path = entries.min().expect("a file");
    let mut bytes = fs::read(&path).expect("it can be read");
    let middle = bytes.len() / 2;
    for byte in &mut bytes[middle - 64..middle + 64] {
        *byte ^= 0xff;
    }
    fs::write(&path, bytes).expect("it can be written");
}

#[test]
fn a_damaged_store_is_shown_and_reset() {
    let place = Place::with_data();
    place.write(
        "other/clicks.yaml",
        &PIPELINE
            .replace("name: clicks", "name: other")
            .replace("path: events", "path: ../events")
            .replace("by_kind", "kinds")
            .replace("name: hourly", "name: hours")
            .replace("large", "big"),
    );
    assert!(place.run(&["up", "--once"]).starts_with("exit: 0"));
    damage(&place.path(".manade/pipelines/clicks/store/log"));
    let refused = place.run(&["up", "--once"]);
    assert!(
        refused.starts_with("exit: 1") && refused.contains("damaged") && refused.contains("manade reset"),
        "{refused}"
    );
    let status = place.run(&["status"]);
    assert!(status.contains("clicks is failed") && status.contains("damaged"), "{status}");
    let rows = place.run(&["data", "large"]);
    assert!(rows.contains("clicks") && rows.contains("damaged") && !rows.contains("no collection is called"), "{rows}");
    // The others are not.
    assert!(place.run(&["data", "kinds"]).contains("click"));
    let one = place.run(&["reset", "clicks", "by_kind", "--yes"]);
    assert!(one.starts_with("exit: 1") && one.contains("hint: reset all of it: manade reset clicks"), "{one}");
    assert_snapshot!("reset_damaged", place.run(&["reset", "clicks", "--yes"]));
    let again = place.run(&["up", "--once"]);
    assert!(again.contains("clicks: 5 events read"), "{again}");
}

const PUSHED: &str = "apiVersion: manade.dev/v1alpha1
kind: Pipeline
metadata: { name: pushed }
spec:
  source: { http: {} }
  events: { schema: { a: int } }
  results: [{ name: all_pushed, sql: SELECT a FROM events }]
";

/// A backup on a read-only disk is read.
#[test]
fn a_folder_that_cannot_be_written_is_read() {
    let place = Place::with_data();
    let expected = ["data by_kind --order kind", "status", "dead-letters list clicks"]
        .map(|command| (command, place.run(&command.split(' ').collect::<Vec<_>>())));
    let mount = "mount --bind .manade .manade && mount -o remount,ro,bind .manade";
    let read_only = |command: &str| {
        let mut shell = place.command(&[]);
        let script = format!("{mount} && exec \"$0\" {command}");
        let program = shell.get_program().to_owned();
        shell = std::process::Command::new("unshare");
        shell.args(["--mount", "--map-root-user", "sh", "-c", &script]).arg(program).current_dir(place.path(""));
        shell.env_remove("MANADE_URL").env("COLUMNS", "100").env("NO_COLOR", "1");
        shell.output().expect("util-linux has unshare")
    };
    if !read_only("--version").status.success() {
        eprintln!("not tested: this machine lets nobody mount folders");
        return;
    }
    for (command, expected) in expected {
        assert_eq!(place.normal(&shown(&read_only(command))), expected, "{command}");
    }
    let refused = shown(&read_only("dead-letters drop clicks --yes"));
    assert!(refused.contains("cannot be written"), "{refused}");
}

/// Nothing is reset in a folder whose format is not known, so that is not what is advised.
#[test]
fn a_damaged_format_is_mended_by_that_of_a_backup() {
    let place = Place::with_data();
    assert!(place.run(&["data", "backup", "copy"]).starts_with("exit: 0"));
    place.write(".manade/FORMAT", "{\"form");
    for command in [&["status"][..], &["data", "large"], &["up", "--once"], &["reset", "clicks", "--yes"]] {
        let refused = place.run(command);
        assert!(refused.starts_with("exit: 1") && refused.contains("the one of a backup"), "{refused}");
        assert!(!refused.contains("manade reset"), "{refused}");
    }
    fs::copy(place.path("copy/FORMAT"), place.path(".manade/FORMAT")).expect("copied");
    assert!(place.run(&["data", "large"]).starts_with("exit: 0"));
}

#[test]
fn a_damaged_event_log_is_shown_and_reset() {
    let place = Place::empty();
    place.write("pushed.yaml", PUSHED);
    let up = place.up(&[]);
    assert_eq!(post(&up.address, "/ingest/pushed", r#"[{"a": 1}, {"a": 2}]"#).0, 202);
    place.wait_for(&["data", "all_pushed"], "2");
    assert_eq!(up.stop().0, Some(0));
    damage(&place.path(".manade/pipelines/pushed/log"));
    let refused = place.run(&["up", "--once"]);
    assert!(refused.starts_with("exit: 1") && refused.contains("damaged"), "{refused}");
    assert!(refused.contains("manade reset pushed --events"), "{refused}");
    // Without its events nothing could be computed anew.
    assert!(place.run(&["reset", "pushed", "--yes"]).starts_with("exit: 0"));
    assert!(place.run(&["up", "--once"]).contains("damaged"));
    assert_snapshot!("reset_events", place.run(&["reset", "pushed", "--events", "--yes"]));
    let up = place.up(&[]);
    assert_eq!(post(&up.address, "/ingest/pushed", r#"{"a": 3}"#).0, 202);
    let rows = place.wait_for(&["data", "all_pushed", "-o", "ndjson"], "3");
    assert!(!rows.contains("{\"a\":1}"), "{rows}");
    assert_eq!(up.stop().0, Some(0));
}

#[test]
fn parquet_is_not_watched() {
    assert_snapshot!(Place::with_data().run(&["data", "large", "--watch", "-o", "parquet"]));
}

#[test]
fn a_data_folder_that_cannot_be_read_says_what_to_do() {
    let place = Place::with_data();
    place.write("afile", "");
    let file = place.run(&["status", "--data", "afile"]);
    place.write(".manade/FORMAT", "{\"format\": 99, \"program\": \"9.0.0\"}");
    assert_snapshot!([file, place.run(&["status"]), place.run(&["up", "--once"])].join("\n"));
}
