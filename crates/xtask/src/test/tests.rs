use super::*;

const TWO_PROGRAMS: &str = "
   Compiling manade-model v0.1.0
     Running unittests src/lib.rs (target/release/deps/manade_model-1)

running 2 tests
test a ... ok
test b ... ignored, slow

test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.10s

     Running tests/it.rs (target/release/deps/it-1)
test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.10s
   Doc-tests manade_model
test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
";

#[test]
fn test_programs_are_added_up() {
    let outcome = counted(false, TWO_PROGRAMS.to_owned());
    assert_eq!((outcome.passed, outcome.failed, outcome.skipped), (15, 2, 1));
    assert_eq!(outcome.notes.len(), 2);
    assert!(outcome.notes[0].starts_with("Running unittests src/lib.rs: test result: ok. 12 passed"));
}

#[test]
fn tests_that_do_not_compile_are_a_failure() {
    assert_eq!(counted(false, "error[E0308]: mismatched types".to_owned()).failed, 1);
    assert_eq!(counted(true, String::new()).failed, 0);
}

#[test]
fn numbers_before_words() {
    assert_eq!(number_before("12 passed, 3 failed", " failed"), 3);
    assert_eq!(number_before("12 passed", " passed"), 12);
    assert_eq!(number_before("nothing", " passed"), 0);
    assert_eq!(number_before("none passed", " passed"), 0);
}
