use super::*;

#[test]
fn scripts_say_their_counts_last() {
    let outcome = counted(true, "FAILED a\n    why\n12 passed, 0 failed\n\n".to_owned());
    assert_eq!((outcome.passed, outcome.failed), (12, 0));
    let outcome = counted(false, "12 passed, 3 failed\n".to_owned());
    assert_eq!((outcome.passed, outcome.failed), (12, 3));
}

#[test]
fn a_script_that_dies_has_failed() {
    assert_eq!(counted(false, "Traceback (most recent call last)".to_owned()).failed, 1);
    assert_eq!(counted(false, String::new()).failed, 1);
}
