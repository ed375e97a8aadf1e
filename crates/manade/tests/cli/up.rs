use std::net::TcpListener;

use insta::assert_snapshot;

use crate::{EVENTS, PIPELINE, Place, exists};

#[test]
fn once_reads_what_is_there() {
    let place = Place::with_platform();
    assert_snapshot!("up_once", place.run(&["up", "--once"]));
    // Nothing is read twice.
    assert_snapshot!("up_once_again", place.run(&["up", "--once"]));
}

#[test]
fn data_is_kept_beside_the_platform() {
    let place = Place::empty();
    place.write("deep/clicks.yaml", PIPELINE);
    place.write("deep/events.ndjson", EVENTS);
    assert!(place.run(&["up", "deep/clicks.yaml", "--once"]).starts_with("exit: 0\n"));
    assert!(exists(&place.path("deep/.manade")) && !exists(&place.path(".manade")));
    assert!(place.run(&["up", "deep", "--once", "--data", "elsewhere"]).starts_with("exit: 0\n"));
    assert!(exists(&place.path("elsewhere")));
}

#[test]
fn strict_fails_where_there_are_dead_letters() {
    assert_snapshot!(Place::with_platform().run(&["up", "--once", "--strict"]));
}

#[test]
fn strict_needs_once() {
    assert_snapshot!(Place::with_platform().run(&["up", "--strict"]));
}

#[test]
fn a_platform_with_errors_is_not_started() {
    let place = Place::with_platform();
    place.write("clicks.yaml", &PIPELINE.replace("FROM events GROUP BY kind", "FROM evnets GROUP BY kind"));
    assert_snapshot!(place.run(&["up"]));
    assert!(!exists(&place.path(".manade")));
}

#[test]
fn a_platform_without_a_pipeline_is_not_started() {
    let place = Place::empty();
    place.write("hostname", "box\n");
    place.write("other/config.yaml", "apiVersion: v1\nkind: ConfigMap\n");
    let runs = [["up", "hostname"], ["up", "other"], ["check", "other"]].map(|[command, path]| {
        let listen: &[&str] = if command == "up" { &["--listen", "127.0.0.1:0"] } else { &[] };
        place.run(&[&[command, path], listen].concat())
    });
    assert_snapshot!(runs.join("\n"));
    assert!(!exists(&place.path(".manade")) && !exists(&place.path("other/.manade")));
}

#[test]
fn an_address_that_others_reach_must_be_meant() {
    assert_snapshot!(Place::with_platform().run(&["up", "--listen", "0.0.0.0:8099"]));
}

#[test]
fn a_busy_port_is_an_error_with_another_one() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("bound").to_string();
    assert_snapshot!(Place::with_platform().run(&["up", "--listen", &address]));
}

#[test]
fn a_size_that_is_none_is_wrong_use() {
    assert_snapshot!(Place::with_platform().run(&["up", "--memory", "lots"]));
}

#[test]
fn a_foreign_folder_is_not_taken_for_data() {
    let place = Place::with_platform();
    place.write("mine/notes.txt", "keep");
    assert_snapshot!(place.run(&["up", "--once", "--data", "mine"]));
}
