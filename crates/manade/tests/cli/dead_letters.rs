use insta::assert_snapshot;

use crate::{Place, squeezed};

#[test]
fn dead_letters_are_listed_with_their_reasons() {
    let place = Place::with_data();
    assert_snapshot!("list", squeezed(&place.run(&["dead-letters", "list"])));
    let by = |args: &[&str]| {
        let args = [&["dead-letters", "list", "clicks", "-o", "json"], args].concat();
        let output = place.output(&args);
        let letters: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).expect("a list");
        letters.iter().filter_map(|letter| letter["preview"].as_str().map(str::to_owned)).collect::<Vec<_>>()
    };
    assert_eq!(by(&["--reason", "value"]).len(), 1);
    assert_eq!(by(&["--stage", "decode"]).len(), 2);
    assert_eq!(by(&["--stage", "sql"]), [""; 0]);
    assert_eq!(by(&["--limit", "1"]).len(), 1);
}

#[test]
fn one_is_shown_with_its_event() {
    let place = Place::with_data();
    let output = place.output(&["dead-letters", "list", "-o", "json"]);
    let letters: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).expect("a list");
    let id = letters.last().expect("two")["id"].to_string();
    assert_snapshot!("show", place.run(&["dead-letters", "show", &id]));
    assert_snapshot!("show_unknown", place.run(&["dead-letters", "show", "4711"]));
    assert_snapshot!("unknown_pipeline", place.run(&["dead-letters", "list", "clcks"]));
}

#[test]
fn a_stopped_platform_replays_nothing() {
    assert_snapshot!(Place::with_data().run(&["dead-letters", "replay"]));
}

#[test]
fn they_are_dropped_by_filter_or_all_once_it_is_meant() {
    let place = Place::with_data();
    assert_snapshot!("drop_unknown_ids", place.run(&["dead-letters", "drop", "--id", "99", "--id", "98"]));
    assert_snapshot!("drop_some", place.run(&["dead-letters", "drop", "--reason", "value"]));
    assert_snapshot!("drop_all_unconfirmed", place.run(&["dead-letters", "drop"]));
    assert_snapshot!("drop_all", place.run(&["dead-letters", "drop", "--yes"]));
    assert_snapshot!("list_none", place.run(&["dead-letters", "list"]));
}
