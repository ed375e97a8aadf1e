use std::process::Stdio;

use insta::assert_snapshot;

use crate::{Place, exists};

const COMMANDS: [&[&str]; 17] = [
    &["up"],
    &["check"],
    &["test"],
    &["init"],
    &["status"],
    &["data"],
    &["data", "drop"],
    &["data", "backup"],
    &["reset"],
    &["dead-letters", "list"],
    &["dead-letters", "show"],
    &["dead-letters", "replay"],
    &["dead-letters", "drop"],
    &["schema"],
    &["functions"],
    &["openapi"],
    &["completions"],
];

#[test]
fn the_help_lists_the_commands() {
    assert_snapshot!(Place::empty().run(&["--help"]));
}

#[test]
fn every_command_has_help_with_an_example() {
    let place = Place::empty();
    for command in COMMANDS {
        let mut args = command.to_vec();
        args.push("--help");
        let shown = place.run(&args);
        assert!(shown.starts_with("exit: 0\n"), "{shown}");
        assert!(shown.contains("Example"), "{command:?}: {shown}");
        assert!(shown.contains(&format!("manade {}", command.join(" "))), "{command:?}: {shown}");
    }
}

#[test]
fn the_help_of_up_names_every_setting_and_its_default() {
    assert_snapshot!(Place::empty().run(&["up", "--help"]));
}

#[test]
fn the_version_is_printed() {
    let version = format!("exit: 0\n--- stdout\nmanade {}\n--- stderr\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(Place::empty().run(&["--version"]), version);
}

#[test]
fn a_misspelt_command_is_wrong_use() {
    assert_snapshot!(Place::empty().run(&["chekc"]));
}

#[test]
fn the_schema_is_the_one_that_files_are_read_by() {
    let output = Place::empty().output(&["schema"]);
    let schema: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(schema, manade_model::json_schema());
}

#[test]
fn functions_are_listed_for_people_and_for_programs() {
    let place = Place::empty();
    let text = place.run(&["functions"]);
    assert!(text.contains("| function | kind | what it gives |"), "{text}");
    let output = place.output(&["functions", "-o", "json"]);
    let list: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).expect("a list");
    let is_there = |name: &str| list.iter().any(|function| function["name"] == name);
    assert!(is_there("percentile_approx") && is_there("date_format"), "{} functions", list.len());
}

#[test]
fn openapi_has_a_path_for_each_collection() {
    let place = Place::with_platform();
    let output = place.output(&["openapi"]);
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    for path in ["/data/by_kind", "/data/hourly", "/data/large"] {
        assert!(document["paths"][path].is_object(), "{path}");
    }
    assert!(!exists(&place.path(".manade")), "nothing is run");
}

#[test]
fn shells_complete_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let shown = Place::empty().run(&["completions", shell]);
        assert!(shown.starts_with("exit: 0\n") && shown.contains("dead-letters"), "{shell}");
    }
}

/// As with `manade functions | head`.
#[test]
fn a_reader_that_goes_away_is_no_error() {
    let place = Place::empty();
    let mut command = place.command(&["functions", "-o", "json"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), [].as_slice()));
}
