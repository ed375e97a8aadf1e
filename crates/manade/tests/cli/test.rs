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
