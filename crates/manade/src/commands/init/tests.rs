use std::fs;
use std::path::{Path, PathBuf};

use super::{fitting_name, relative, run};
use crate::args::Init;
use crate::failure::Outcome;

/// What `init` writes for these events passes `check`: `init` itself fails where it does not.
fn check(file: &str, events: &str) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let from = folder.path().join(file);
    fs::write(&from, events).expect("written");
    let dir = folder.path().join("platform");
    let args = Init { dir: dir.clone(), from: Some(from), name: Some("p".to_owned()) };
    assert_eq!(run(&args).expect("written"), Outcome::Done, "{events}");
    fs::read_to_string(dir.join("p.yaml")).expect("a pipeline")
}

#[test]
fn odd_names_and_types_make_a_pipeline_that_passes_check() {
    check("a.ndjson", "{\"a b\":\"x\",\"c`d\":1}\n{\"a b\":\"y\"}\n{\"a b\":\"x\"}\n{\"a b\":\"y\"}\n");
    check("a.ndjson", "{\"order\":\"x\",\"no\":true}\n{\"order\":\"y\"}\n{\"order\":\"x\"}\n{\"order\":\"y\"}\n");
    check("a.ndjson", "{\"events\":\"x\"}\n{\"events\":\"y\"}\n{\"events\":\"x\"}\n{\"events\":\"y\"}\n");
    check("a.ndjson", "{\"a\":{\"b c\":[{\"d.e\":1}]},\"#\":\"2026-01-01 10:00:00\"}\n");
    check("a.json", "[{\"ts\":1767261600,\"x\":null}]");
    check("my file.csv", "a;b c;at\n1;x;2026-01-01T00:00:00Z\n2;y;2026-01-01T00:00:00Z\n");
    check("a.ndjson", "{\"a:b\":\"x\",\"\u{fc}\":1.5}\n");
}

#[test]
fn names_are_made_to_fit() {
    let check = |text: &str, expect: Option<&str>| assert_eq!(fitting_name(text).as_deref(), expect, "{text}");
    check("flights", Some("flights"));
    check("My Flights 2024", Some("my_flights_2024"));
    check("2024-flights", Some("flights"));
    check("a__b!!c-", Some("a__b_c"));
    check("\u{6771}", None);
    check(&"x".repeat(100), Some(&"x".repeat(63)));
}

#[test]
fn a_path_is_written_from_the_pipelines_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("data").join("a.csv");
    fs::create_dir_all(file.parent().expect("a parent")).expect("made");
    fs::write(&file, "").expect("written");
    let check =
        |dir: &Path, expect: &str| assert_eq!(relative(dir, &file).expect("both are there"), PathBuf::from(expect));
    check(folder.path(), "data/a.csv");
    let deep = folder.path().join("x/y");
    fs::create_dir_all(&deep).expect("made");
    check(&deep, "../../data/a.csv");
}
