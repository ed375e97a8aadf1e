use std::fmt::Write;

use super::*;

/// Line and column of each problem, with a part of its message or hint.
fn check_problems(text: &str, expect: &[(usize, usize, &str)]) {
    let (documents, errors) = read(text);
    let problems = documents.into_iter().flat_map(|document| document.problems).chain(errors);
    let shown: Vec<String> = problems
        .map(|p| {
            format!("{}:{}: {} / {}", p.mark.line, p.mark.column, p.message, p.hint.as_deref().unwrap_or_default())
        })
        .collect();
    assert_eq!(shown.len(), expect.len(), "{text:?}: {shown:#?}");
    for (found, (line, column, part)) in shown.iter().zip(expect) {
        assert!(
            found.starts_with(&format!("{line}:{column}: ")) && found.contains(part),
            "{text:?}: {found}, expected {line}:{column} {part}"
        );
    }
}

/// A tree as text: `key@line:column=value`.
fn show(node: &Node) -> String {
    match &node.value {
        Value::Scalar(scalar) => format!("{:?}@{}:{}", scalar.text, node.mark.line, node.mark.column),
        Value::List(items) => format!("[{}]", items.iter().map(show).collect::<Vec<_>>().join(" ")),
        Value::Map(entries) => {
            let entries =
                entries.iter().map(|e| format!("{}@{}:{}={}", e.key, e.mark.line, e.mark.column, show(&e.node)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(" "))
        }
    }
}

fn check(text: &str, expect: &[&str]) {
    let (documents, problems) = read(text);
    assert_eq!(problems, [], "{text:?}");
    assert!(documents.iter().all(|document| document.problems.is_empty()), "{documents:?}");
    assert_eq!(documents.iter().map(|document| show(&document.root)).collect::<Vec<_>>(), expect, "{text:?}");
}

#[test]
fn places_count_characters() {
    check("a: 1\nb:\n  - x\n  - 'y'\n", &[r#"{a@1:1="1"@1:4 b@2:1=["x"@3:5 "y"@4:5]}"#]);
    check("{größe: 1, 你好: x, z: 2}", &[r#"{größe@1:2="1"@1:9 你好@1:12="x"@1:16 z@1:19="2"@1:22}"#]);
    check("\u{feff}a: 1\r\nb: 2\r\n", &[r#"{a@1:1="1"@1:4 b@2:1="2"@2:4}"#]);
    check("on: yes\n1: x\nnull: y\n", &[r#"{on@1:1="yes"@1:5 1@2:1="x"@2:4 null@3:1="y"@3:7}"#]);
}

#[test]
fn documents() {
    for empty in ["", "\n\n", "# only a comment\n", "---\n", "---\n---\n# c\n---\n", "~\n", "\u{feff}"] {
        check(empty, &[]);
    }
    check("a: 1\n---\nb: 2\n---\n---\n- c\n", &[r#"{a@1:1="1"@1:4}"#, r#"{b@3:1="2"@3:4}"#, r#"["c"@6:3]"#]);
    check("%YAML 1.2\n---\na: 1\n...\n", &[r#"{a@3:1="1"@3:4}"#]);
}

#[test]
fn aliases_are_copies() {
    check("a: &x {b: 1}\nc: *x\n", &[r#"{a@1:1={b@1:8="1"@1:11} c@2:1={b@1:8="1"@1:11}}"#]);
    check_problems("a: &x [*x]\n", &[(1, 8, "inside the value that it refers to")]);
    check_problems("a: *nobody\n", &[(1, 4, "define the anchor")]);
    check_problems("a: &x {b: 1}\nc:\n  <<: *x\n  d: 1\n", &[(3, 3, "merge keys (`<<`) are not supported")]);
}

#[test]
fn a_billion_laughs() {
    let mut text = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
    for level in 1..30 {
        let parts = vec![format!("*a{}", level - 1); 9].join(", ");
        writeln!(text, "a{level}: &a{level} [{parts}]").unwrap();
    }
    let (documents, problems) = read(&text);
    assert!(documents.is_empty());
    assert!(problems[0].message.contains("make it too large"), "{problems:?}");

    let mut text = format!("a: &a {}\nb:\n", "x".repeat(1 << 20));
    text.push_str(&"  - *a\n".repeat(100_000));
    let (documents, problems) = read(&text);
    assert!(documents.is_empty());
    assert!(problems[0].message.contains("make it too large"), "{problems:?}");
}

#[test]
fn extreme_nesting() {
    for text in [
        "[".repeat(100_000),
        "{a: ".repeat(100_000),
        "- ".repeat(100_000),
        (0..2_000).flat_map(|level| [" ".repeat(level), "a:\n".to_owned()]).collect(),
        format!("[{}]", "[".repeat(100) + &"]".repeat(100)),
    ] {
        let (documents, problems) = read(&text);
        assert!(documents.is_empty());
        assert_eq!(problems.len(), 1);
        assert!(
            problems[0].message.contains("nested") || problems[0].message.contains("not valid YAML"),
            "{problems:?}"
        );
    }
    // Each level refers to the one before it: deep without being large.
    let mut text = "a0: &a0 [[[[[[[[[[x]]]]]]]]]]\n".to_owned();
    for level in 1..10 {
        writeln!(text, "a{level}: &a{level} [[[[[[[[[[*a{}]]]]]]]]]]", level - 1).unwrap();
    }
    let (_, problems) = read(&text);
    assert!(problems[0].message.contains("nested more than 64"), "{problems:?}");
}

#[test]
fn what_is_wrong() {
    check_problems("a: 1\nb: 2\na: 3\n", &[(3, 1, "`a` stands here twice, first in line 1")]);
    check_problems("a:\n\tb: 1\n", &[(2, 1, "indent with spaces")]);
    check_problems("a: b: c\n", &[(1, 5, "`sql: |`")]);
    check_problems("? [a]\n: 1\n", &[(1, 3, "cannot be a key")]);
    check_problems("a: !!binary aGk=\nb: !x y\n", &[(1, 4, "the YAML tag `!!binary`"), (2, 4, "`!x`")]);
    check_problems("a\nb: 1\n", &[(2, 2, "mapping values")]);
    check_problems("a: @x\n", &[(1, 4, "quote text that starts")]);
    check_problems(": 1\n", &[(1, 1, "a key is empty")]);
    check_problems("a: 1\nb: x\0y\n", &[(2, 5, "U+0000")]);
}

#[test]
fn reading_goes_on_at_the_next_document() {
    let text = "a: 1\n---\nb: [1\n---\nc: 3\n---\nd: ]\n---\ne: 5\n";
    let (documents, problems) = read(text);
    let shown: Vec<String> = documents.iter().map(|document| show(&document.root)).collect();
    assert_eq!(shown, [r#"{a@1:1="1"@1:4}"#, r#"{c@5:1="3"@5:4}"#, r#"{e@9:1="5"@9:4}"#]);
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert_eq!(problems[1].mark, Mark { line: 7, column: 4 });
}

/// Tag resolution of YAML 1.2's core schema: <https://yaml.org/spec/1.2.2/#1032-tag-resolution>.
#[test]
fn plain_scalars() {
    let scalar = |text: &str, style| Scalar { text: text.to_owned(), style, end: Mark { line: 1, column: 1 } };
    for number in
        ["0", "-12", "+12", "1.10", ".5", "5.", "1e3", "1.5E-3", "0x1F", "0o17", ".inf", "-.INF", ".nan", "007"]
    {
        assert!(scalar(number, Style::Plain).is_number(), "{number}");
        assert!(!scalar(number, Style::Quoted).is_number(), "{number}");
    }
    for text in ["", "1_000", "12:30", "2001-01-01", "1.2.3", "e3", ".", "-", "0xZ", "0x", "1e", "yes", "-0x1"] {
        assert!(!scalar(text, Style::Plain).is_number(), "{text}");
    }
    assert_eq!(scalar("True", Style::Plain).boolean(), Some(true));
    for text in ["yes", "on", "off", "NO", "tRUE"] {
        assert_eq!(scalar(text, Style::Plain).boolean(), None, "{text}");
    }
    assert!(scalar("~", Style::Plain).is_null() && !scalar("null", Style::Quoted).is_null());
}
