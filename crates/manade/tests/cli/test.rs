use insta::assert_snapshot;

use crate::{PIPELINE, Place};

#[test]
fn tests_pass() {
    assert_snapshot!(Place::with_platform().run(&["test"]));
}

#[test]
fn a_failed_test_shows_what_came_instead() {
    let place = Place::with_platform();
    place.write("clicks.yaml", &PIPELINE.replace("events: 2, total: 3.0", "events: 3, total: 3.0"));
    assert_snapshot!(place.run(&["test"]));
}

#[test]
fn a_wrong_order_is_called_that() {
    let place = Place::with_platform();
    let top =
        "    - name: top\n      sql: SELECT kind, count(*) AS n FROM events GROUP BY kind ORDER BY n DESC LIMIT 3\n";
    let given = ["a", "b", "b", "c", "c", "c"].map(|kind| format!("{{ at: \"2026-01-01T10:00:00Z\", kind: {kind} }}"));
    let expect = "expect: { top: [{ kind: c }, { kind: a }, { kind: b }] }";
    let test = format!("    - name: order\n      given: [{}]\n      {expect}\n", given.join(", "));
    place.write("clicks.yaml", &PIPELINE.replace("  tests:\n", &format!("{top}  tests:\n{test}")));
    assert_snapshot!(place.run(&["test", ".", "order"]));
}

#[test]
fn tests_are_chosen_by_name() {
    assert_snapshot!(Place::with_platform().run(&["test", ".", "small"]));
}

#[test]
fn an_unknown_test_is_an_error() {
    assert_snapshot!(Place::with_platform().run(&["test", ".", "clicks are cuonted"]));
}

#[test]
fn a_platform_without_tests_says_so() {
    let place = Place::with_platform();
    let end = PIPELINE.find("  tests:").expect("tests");
    place.write("clicks.yaml", &PIPELINE[..end]);
    assert_snapshot!(place.run(&["test"]));
}

#[test]
fn a_platform_with_errors_is_not_tested() {
    let place = Place::with_platform();
    place.write("clicks.yaml", &PIPELINE.replace("kind: string", "kind: strnig"));
    assert_snapshot!(place.run(&["test"]));
}

/// A row that lists few columns fits many: it does not take what another one needs, and what is missing is told truly.
#[test]
fn rows_are_matched_in_the_best_way() {
    let place = Place::with_platform();
    let check = |expect: &str, failures: &[&str]| {
        let given = [1, 2, 3].map(|n| format!("{{ at: \"2026-01-01T10:00:00Z\", kind: a, value: {n}{n} }}"));
        let test =
            format!("    - name: rows\n      given: [{}]\n      expect: {{ large: [{expect}] }}\n", given.join(", "));
        place.write("clicks.yaml", &PIPELINE.replace("  tests:\n", &format!("  tests:\n{test}")));
        let shown = place.run(&["test", ".", "rows"]);
        let told: Vec<&str> = shown.lines().filter(|line| line.contains("result large")).map(str::trim).collect();
        assert_eq!(told, failures, "{shown}");
        assert_eq!(shown.starts_with("exit: 0"), failures.is_empty(), "{shown}");
    };
    check("{ kind: a }, { value: 11 }, { kind: a, value: 22 }", &[]);
    check("{ value: 11 }, { kind: a }, { value: 22 }", &[]);
    check("{ kind: a }, { kind: a }, { value: 33 }", &[]);
    check(
        "{ kind: a }, { value: 11 }, { kind: a, value: 11 }",
        &[
            "result large: expected {\"kind\":\"a\",\"value\":11}",
            "result large: did not expect {\"kind\":\"a\",\"value\":33.0}",
        ],
    );
    check("{ kind: a }, { kind: a }, { kind: b }, { value: 22 }", &["result large: expected {\"kind\":\"b\"}"]);
}

/// A date is its midnight, to every kind of window and to what closes them.
#[test]
fn windows_go_by_dates_too() {
    let place = Place::empty();
    let window = |name: &str, call: &str| {
        format!(
            "    - {{ name: {name}, emit: final, sql: \"SELECT {call} AS w, count(*) AS n FROM events GROUP BY 1\" }}\n"
        )
    };
    let row = |start: &str, end: &str| {
        format!("{{ w: {{ start: \"2024-01-{start}T00:00:00Z\", end: \"2024-01-{end}T00:00:00Z\" }}, n: 2 }}")
    };
    place.write("e.ndjson", "");
    place.write(
        "p.yaml",
        &format!(
            "apiVersion: manade.dev/v1alpha1\nkind: Pipeline\nmetadata: {{ name: p }}\nspec:\n  source: {{ file: {{ path: e.ndjson }} }}\n  \
             events: {{ schema: {{ day: date }}, time: day }}\n  results:\n{}{}{}  tests:\n    - name: days\n      \
             given: [{{ day: 2024-01-05 }}, {{ day: 2024-01-05 }}]\n      expect:\n        daily: [{}]\n        sliding: [{}, {}]\n        \
             sessions: [{}]\n",
            window("daily", "window(day, '1 day')"),
            window("sliding", "window(day, '2 days', '1 day')"),
            window("sessions", "session_window(`day`, '3 days')"),
            row("05", "06"),
            row("04", "06"),
            row("05", "07"),
            row("05", "08"),
        ),
    );
    let shown = place.run(&["test"]);
    assert!(shown.starts_with("exit: 0\n") && shown.contains("days"), "{shown}");
}
