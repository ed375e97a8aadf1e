use std::fs;

use insta::assert_snapshot;

use crate::{Place, exists};

#[test]
fn a_pipeline_is_made_for_a_files_events() {
    let place = Place::empty();
    let lines = ["click", "view", "click", "view"]
        .map(|kind| format!("{{\"at\":\"2026-01-01T10:00:00Z\",\"kind\":\"{kind}\"}}\n"));
    place.write("my clicks.ndjson", &lines.concat());
    assert_snapshot!("init_file", place.run(&["init", "shop", "--from", "my clicks.ndjson"]));
    assert_snapshot!("init_file_yaml", fs::read_to_string(place.path("shop/my_clicks.yaml")).expect("written"));
    assert!(place.run(&["check", "shop"]).starts_with("exit: 0\n"));
    let up = place.run(&["up", "shop", "--once"]);
    assert!(up.starts_with("exit: 0\n") && up.contains("4 events read, 0 dead letters"), "{up}");
}

#[test]
fn a_pipeline_is_made_for_events_over_http() {
    let place = Place::empty();
    assert_snapshot!("init_http", place.run(&["init"]));
    assert_snapshot!("init_http_yaml", fs::read_to_string(place.path("events.yaml")).expect("written"));
    assert!(place.run(&["check"]).starts_with("exit: 0\n"));
    let test = place.run(&["test"]);
    assert!(test.starts_with("exit: 0\n"), "{test}");
}

#[test]
fn nothing_is_overwritten() {
    let place = Place::empty();
    place.write("events.yaml", "mine\n");
    assert_snapshot!(place.run(&["init"]));
    assert_eq!(fs::read_to_string(place.path("events.yaml")).expect("still there"), "mine\n");
}

#[test]
fn what_is_no_name_is_wrong_use() {
    assert_snapshot!(Place::empty().run(&["init", "--name", "My Events"]));
}

#[test]
fn a_file_that_is_not_there_is_an_error() {
    assert_snapshot!(Place::empty().run(&["init", "--from", "nowhere.ndjson"]));
}

#[test]
fn a_folder_that_is_a_file_is_wrong_use() {
    let place = Place::empty();
    place.write("e.ndjson", "{\"a\":1}\n");
    assert_snapshot!(place.run(&["init", "e.ndjson"]));
}

/// What a schema cannot have is left out, and what is written is sound.
#[test]
fn odd_columns_do_not_make_a_broken_file() {
    let check = |file: &str, text: &str, notes: &[&str]| {
        let place = Place::empty();
        place.write(file, text);
        let made = place.run(&["init", "p", "--from", file]);
        assert!(made.starts_with("exit: 0\n"), "{made}");
        for note in notes {
            assert!(made.contains(&format!("note: {note}\n")), "{note} is not in {made}");
        }
        assert_eq!(made.matches("note: ").count(), notes.len(), "{made}");
        let up = place.run(&["up", "p", "--once"]);
        assert!(up.starts_with("exit: 0\n") && up.contains("1 event read, 0 dead letters"), "{up}");
    };
    check("day.ndjson", "{\"day\":\"2024-01-01\"}\n", &[]);
    check("date.ndjson", "{\"date\":\"2024-01-01\"}\n", &[]);
    check("e.ndjson", "{\"\":1,\"a\":2}\n", &["a field without a name is left out"]);
    check(
        "e.ndjson",
        "{\"a\":{\"\":1,\"b\":2},\"A\":3,\"__x\":4}\n",
        &[
            "a field of `a` without a name is left out",
            "`A` is left out: only its case differs from `a`",
            "`__x` is left out: `__` in front is Manade's own",
        ],
    );
    check("c.csv", "id,Name,NAME,\n1,x,y,z\n", &["`NAME` is left out: only its case differs from `Name`"]);
}

#[test]
fn a_header_with_a_name_twice_is_an_error() {
    let place = Place::empty();
    place.write("twice.csv", "id,name,id\n1,a,2\n");
    assert_snapshot!(place.run(&["init", "--from", "twice.csv"]));
}

#[test]
fn a_file_without_events_is_an_error() {
    let place = Place::empty();
    place.write("empty.ndjson", "");
    assert_snapshot!(place.run(&["init", "--from", "empty.ndjson"]));
    assert!(!exists(&place.path("empty.yaml")));
}
