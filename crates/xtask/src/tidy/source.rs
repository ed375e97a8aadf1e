//! Rules for Rust files and manifests.

use std::collections::BTreeMap;

use super::rust::{blank, functions, line_of, without_tests, words};
use super::{Problem, SourceFile};

/// Lines; tests may be longer.
const FILE: usize = 800;
const FUNCTION: usize = 70;
/// A thing lives with the concept that it belongs to.
const NAMES: [&str; 7] = ["common", "utils", "util", "helpers", "helper", "core", "misc"];
const PRINTS: [&str; 4] = ["println!", "eprintln!", "print!", "eprint!"];
/// These may print and exit.
const SPEAKERS: [&str; 2] = ["crates/manade/", "crates/xtask/"];

pub fn check(file: &SourceFile) -> Vec<Problem> {
    let mut found = Vec::new();
    let mut report = |line, message| found.push(Problem { path: file.path.clone(), line, message });
    for part in file.path.trim_end_matches(".rs").split('/').skip(1) {
        if NAMES.contains(&part) {
            report(1, format!("a module called {part} says nothing: name what it is about"));
        }
    }
    let code = blank(&file.text);
    check_attributes(&code, &mut report);
    if is_test(&file.path) {
        return found;
    }
    let lines = file.text.lines().count();
    if lines >= FILE {
        report(1, format!("{lines} lines: a file has fewer than {FILE}"));
    }
    let code = without_tests(&code);
    for (name, line, length) in functions(&code) {
        if length >= FUNCTION {
            report(line, format!("fn {name} has {length} lines: a function has fewer than {FUNCTION}"));
        }
    }
    if !SPEAKERS.iter().any(|speaker| file.path.starts_with(speaker)) {
        for word in PRINTS {
            for place in words(&code, word.trim_end_matches('!')).filter(|at| code[*at..].starts_with(word)) {
                report(line_of(&code, place), format!("{word}: only manade and xtask print"));
            }
        }
        for (place, word) in code.match_indices("process::exit") {
            report(line_of(&code, place), format!("{word}: only manade and xtask exit"));
        }
    }
    found
}

fn check_attributes(code: &str, report: &mut impl FnMut(usize, String)) {
    for start in ["#[allow(", "#![allow("] {
        for (place, _) in code.match_indices(start) {
            report(line_of(code, place), "allow: use #[expect(LINT, reason = \"...\")]".to_owned());
        }
    }
    for start in ["#[expect(", "#![expect("] {
        for (place, _) in code.match_indices(start) {
            let end = code[place..].find(")]").map_or(code.len(), |found| place + found);
            if words(&code[place..end], "reason").next().is_none() {
                report(line_of(code, place), "expect without its reason".to_owned());
            }
        }
    }
    for (place, _) in code.match_indices("#[ignore]") {
        report(line_of(code, place), "ignore without its reason: #[ignore = \"...\"]".to_owned());
    }
    for name in NAMES {
        let pattern = format!("mod {name}");
        for place in words(code, &pattern) {
            report(line_of(code, place), format!("a module called {name} says nothing: name what it is about"));
        }
    }
}

/// Every crate takes the workspace's lints.
pub fn check_manifest(file: &SourceFile) -> Option<Problem> {
    let squeezed: String = file.text.chars().filter(|c| *c != ' ').collect();
    let taken = squeezed.contains("[lints]\nworkspace=true") || squeezed.contains("lints.workspace=true");
    let message = "the workspace's lints are not taken: [lints] workspace = true".to_owned();
    (!taken).then(|| Problem { path: file.path.clone(), line: 1, message })
}

/// Linking is slow: a crate's integration tests are one program.
pub fn check_test_programs(files: &[SourceFile]) -> Vec<Problem> {
    let mut programs: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for file in files.iter().filter(|file| file.is_rust()) {
        let parts: Vec<&str> = file.path.split('/').collect();
        if let ["crates", name, "tests", program] | ["crates", name, "tests", program, "main.rs"] = parts.as_slice() {
            programs.entry(name).or_default().push(program);
        }
    }
    let many = programs.into_iter().filter(|(_, programs)| programs.len() > 1);
    many.map(|(name, programs)| Problem {
        path: format!("crates/{name}/tests"),
        line: 1,
        message: format!("{} test programs ({}): a crate has one", programs.len(), programs.join(", ")),
    })
    .collect()
}

fn is_test(path: &str) -> bool {
    path.ends_with("/tests.rs") || ["/tests/", "/benches/", "/examples/"].iter().any(|folder| path.contains(folder))
}
