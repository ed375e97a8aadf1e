use std::io;

use super::{Context, Failure, nearest};

fn missing() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "no such file")
}

#[test]
fn causes_and_hint_stand_on_lines_of_their_own() {
    let failure =
        Err::<(), _>(missing()).context("cannot read `a.yaml`").expect_err("an error").with_hint("name a file");
    assert_eq!(failure.to_string(), "error: cannot read `a.yaml`\n  because: no such file\nhint: name a file\n");
    assert_eq!(Failure::from(missing()).to_string(), "error: no such file\n");
}

#[test]
fn a_reader_that_went_away_is_seen_below_its_context() {
    let broken = || io::Error::from(io::ErrorKind::BrokenPipe);
    assert!(Failure::from(broken()).is_broken_pipe());
    assert!(Err::<(), _>(broken()).context("cannot write rows").expect_err("an error").is_broken_pipe());
    assert!(!Failure::from(missing()).is_broken_pipe());
}

#[test]
fn a_near_name_is_offered_and_else_the_way_to_the_names() {
    let known = ["hourly", "daily"];
    let hint = |name: &str| nearest(Failure::new("no"), name, known.into_iter(), "list them").to_string();
    assert_eq!(hint("hourl"), "error: no\nhint: did you mean `hourly`?\n");
    assert_eq!(hint("weather"), "error: no\nhint: list them\n");
}
