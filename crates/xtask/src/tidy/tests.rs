use super::layers::{Dependency, Manifest};
use super::*;

fn file(path: &str, text: impl Into<String>) -> SourceFile {
    SourceFile { path: path.to_owned(), text: text.into() }
}

/// The problems of one file: `line: start of the message`.
fn check_one(path: &str, text: impl Into<String>, expect: &[&str]) {
    let found: Vec<String> = check(&[file(path, text)]).iter().map(|p| format!("{}: {}", p.line, p.message)).collect();
    assert_eq!(found.len(), expect.len(), "{found:?}");
    for (found, expect) in found.iter().zip(expect) {
        assert!(found.starts_with(expect), "{found} does not start with {expect}");
    }
}

fn manifest(name: &str, dependencies: &[(&str, bool)]) -> Manifest {
    let dependency = |(name, dev): &(&str, bool)| Dependency { name: (*name).to_owned(), dev: *dev };
    Manifest { name: name.to_owned(), dependencies: dependencies.iter().map(dependency).collect() }
}

fn check_layers(manifests: &[Manifest], expect: &[&str]) {
    let found: Vec<String> = layers::check(manifests).into_iter().map(|problem| problem.message).collect();
    assert_eq!(found.len(), expect.len(), "{found:?}");
    for (found, expect) in found.iter().zip(expect) {
        assert!(found.contains(expect), "{found} does not contain {expect}");
    }
}

#[test]
fn dependencies_go_down_only() {
    let (model, events) = (manifest("manade-model", &[]), manifest("manade-events", &[("manade-model", false)]));
    check_layers(&[model.clone(), events.clone()], &[]);
    let up = manifest("manade-model", &[("manade-events", false)]);
    check_layers(&[up, events.clone()], &["manade-model must not depend on manade-events"]);
    let up_in_tests = manifest("manade-model", &[("manade-events", true)]);
    check_layers(&[up_in_tests, events], &["manade-model must not depend on manade-events"]);
    check_layers(&[manifest("manade-new", &[])], &["no place"]);
}

#[test]
fn pure_crates_stay_pure() {
    check_layers(&[manifest("manade-model", &[("serde", false), ("tokio", false)])], &["do without tokio"]);
    check_layers(&[manifest("manade-events", &[("datafusion", false), ("axum", false)])], &["datafusion", "axum"]);
    check_layers(&[manifest("manade-store", &[("tokio", true)])], &[]);
    check_layers(&[manifest("manade-sql", &[("datafusion", false)])], &[]);
    check_layers(&[manifest("manade-sql", &[("anyhow", false)])], &["anyhow"]);
}

#[test]
fn long_files() {
    check_one("crates/a/src/lib.rs", "\n".repeat(799), &[]);
    check_one("crates/a/src/lib.rs", "\n".repeat(800), &["1: 800 lines"]);
    check_one("crates/a/src/lib/tests.rs", "\n".repeat(2000), &[]);
}

#[test]
fn long_functions() {
    let function = |lines: usize| {
        format!("// start\nfn long(a: &'static str) -> [u8; 2] {{\n{}}}\n", "    a();\n".repeat(lines - 2))
    };
    check_one("crates/a/src/lib.rs", function(69), &[]);
    check_one("crates/a/src/lib.rs", function(70), &["2: fn long has 70 lines"]);
    check_one("crates/a/tests/it.rs", function(90), &[]);
    check_one("crates/a/src/lib.rs", format!("#[cfg(test)]\nmod inner {{\n{}}}\n", function(90)), &[]);
    check_one("crates/a/src/lib.rs", format!("#[cfg(test)]\nmod tests;\n{}", function(70)), &["4: fn long"]);
}

#[test]
fn braces_in_literals_are_not_braces() {
    let text = "fn short() {\n    let a = \"{\"; let b = '{'; let c = r#\"{ \" {\"#; let d = '\\''; let e = b\"{\\\"\"; // {\n    /* { /* { */ */\n}\n";
    let after = format!("{text}{}fn next() {{}}\n", "\n".repeat(100));
    check_one("crates/a/src/lib.rs", after, &[]);
    check_one(
        "crates/a/src/lib.rs",
        "trait A {\n    fn declared(&self);\n}\n".to_owned() + &"\n".repeat(100) + "fn f() {}\n",
        &[],
    );
    check_one("crates/a/src/lib.rs", "type F = fn(u8) -> u8;\n".to_owned() + &"\n".repeat(100) + "fn f() {}\n", &[]);
}

#[test]
fn names_that_say_nothing() {
    check_one("crates/a/src/utils.rs", "", &["1: a module called utils"]);
    check_one("crates/a/src/core/row.rs", "", &["1: a module called core"]);
    check_one("crates/a/src/lib.rs", "mod row;\nmod common {}\n", &["2: a module called common"]);
    check_one("crates/a/src/lib.rs", "use core::fmt;\n", &[]);
}

#[test]
fn attributes_have_reasons() {
    check_one("crates/a/src/lib.rs", "#[allow(dead_code)]\nfn a() {}\n", &["1: allow"]);
    check_one("crates/a/src/lib.rs", "#[expect(dead_code)]\nfn a() {}\n", &["1: expect without"]);
    check_one("crates/a/src/lib.rs", "#[expect(dead_code, reason = \"x\")]\nfn a() {}\n", &[]);
    check_one("crates/a/src/tests.rs", "#[test]\n#[ignore]\nfn a() {}\n", &["2: ignore without"]);
    check_one("crates/a/src/tests.rs", "#[test]\n#[ignore = \"an hour\"]\nfn a() {}\n", &[]);
    check_one("crates/a/src/lib.rs", "// #[allow(dead_code)]\nconst A: &str = \"#[allow(x)]\";\n", &[]);
}

#[test]
fn only_two_crates_speak() {
    check_one("crates/a/src/lib.rs", "fn a() {\n    println!(\"x\");\n}\n", &["2: println!"]);
    check_one("crates/a/src/lib.rs", "fn a() {\n    std::process::exit(1);\n}\n", &["2: process::exit"]);
    check_one("crates/manade/src/lib.rs", "fn a() {\n    println!(\"x\");\n}\n", &[]);
    check_one("crates/a/src/lib.rs", "fn a() {\n    my_println!(\"x\");\n    // print!\n}\n", &[]);
}

#[test]
fn forbidden_words() {
    check_one("docs/a.md", format!("fine\n{}: later", concat!("TO", "DO")), &["2: "]);
    check_one("docs/a.md", format!("see {}x/y", concat!("/ro", "ot/")), &["1: "]);
    check_one("docs/a.md", format!("see ../{}a", concat!("sha", "red/")), &["1: "]);
    check_one("docs/a.md", "yyyy-MM-dd'T'HH:mm:ssXXX and TODOS", &[]);
    check_one("LICENSE", concat!("TO", "DO"), &[]);
}

#[test]
fn lints_and_test_programs() {
    check_one("crates/a/Cargo.toml", "[package]\nname = \"a\"\n", &["1: the workspace's lints"]);
    check_one("crates/a/Cargo.toml", "[package]\n[lints]\nworkspace = true\n", &[]);
    let two = [
        file("crates/a/tests/one.rs", ""),
        file("crates/a/tests/two/main.rs", ""),
        file("crates/a/tests/two/row.rs", ""),
    ];
    assert_eq!(check(&two).len(), 1);
    assert_eq!(check(&two[..1]).len(), 0);
}
