use super::*;

#[test]
fn only_what_is_between_the_marks_changes() {
    let page = format!("before\n{BEGIN}old\n{END}\nafter\n");
    assert_eq!(replace_between(&page, BEGIN, END, "new\n").unwrap(), format!("before\n{BEGIN}new\n{END}\nafter\n"));
    assert!(replace_between("no marks", BEGIN, END, "new").is_err());
}

#[test]
fn differences_name_their_line() {
    assert_eq!(first_difference("a\nb\n", "a\nb\n"), None);
    assert_eq!(first_difference("a\nb\n", "a\nc\n"), Some(2));
    assert_eq!(first_difference("a\n", "a\nc\n"), Some(2));
    assert_eq!(first_difference("", "a\n"), Some(1));
}
