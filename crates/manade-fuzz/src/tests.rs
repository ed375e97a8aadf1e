use std::fs;
use std::path::Path;

/// Runs a target over its seeds: inputs that say what is usual, and those that once broke something.
fn run(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target);
    let mut seeds = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        check(&fs::read(entry.unwrap().path()).unwrap());
        seeds += 1;
    }
    assert!(seeds > 0, "no seeds in {}", folder.display());
}

#[test]
fn events_hold() {
    run("events", super::events);
}

#[test]
fn platform_files_hold() {
    run("platform", super::platform);
}

#[test]
fn query_strings_hold() {
    run("query", super::query);
}
