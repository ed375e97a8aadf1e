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
