use super::{Cell, Members, Table, cut};

fn check(rows: &str, width: Option<usize>, expect: &[&str]) {
    let rows: Vec<Members> = serde_json::from_str(rows).expect("rows");
    let table = Table::of_rows(&rows).expect("a row");
    assert_eq!(table.render(width).lines().collect::<Vec<_>>(), expect);
}

#[test]
fn numbers_stand_on_the_right_and_nulls_are_blank() {
    let rows = r#"[{"city":"Boston","flights":7,"mean":null},{"city":null,"flights":1234,"mean":-0.5}]"#;
    check(rows, None, &["city    flights  mean", "Boston        7", "           1234  -0.5"]);
}

#[test]
fn digits_stay_as_they_were_served() {
    let rows = r#"[{"a":12345678901234567890.12345678900,"b":{"start": 1}}]"#;
    check(rows, None, &["                               a  b", "12345678901234567890.12345678900  {\"start\": 1}"]);
}

#[test]
fn a_table_fits_its_terminal() {
    let rows = r#"[{"name":"a long text that does not fit","n":1}]"#;
    check(rows, Some(20), &["name               n", "a long text that…  1"]);
    let rows = r#"[{"one":"12345678x","two":"12345678x","three":"12345678x"}]"#;
    check(rows, Some(16), &["one       two  …", "1234567…  12345…"]);
}

#[test]
fn a_row_cannot_write_to_the_terminal() {
    check("[{\"a\":\"x\\u001b[2J\\ny\"}]", None, &["a", "x\\u{1b}[2J\\ny"]);
}

#[test]
fn wide_characters_count_for_two() {
    assert_eq!(cut("東京都", 5), "東京…");
    assert_eq!(cut("abc", 3), "abc");
    assert_eq!(cut("abcd", 3), "ab…");
    let mut table = Table::new(&["a", "b"]);
    table.push(vec![Cell::text("東京"), Cell::number(1)]);
    table.push(vec![Cell::text("x"), Cell::number(2)]);
    assert_eq!(table.render(None), "a     b\n東京  1\nx     2\n");
}
