use super::*;

const COLUMNS: Columns =
    &[("id", Kind::Plain), ("price", Kind::Plain), ("at", Kind::Time), ("mean", Kind::Mean), ("start", Kind::Window)];

fn row(price: &str, at: &str, mean: &str) -> String {
    format!(r#"{{"id":"a","price":{price},"at":"{at}","mean":{mean},"start":"2026-01-01T00:00:10Z"}}"#)
}

fn hashed(line: &str, means: Means) -> (u64, u64) {
    canonical(line, COLUMNS, means).expect("a row")
}

#[test]
fn values_are_equal_however_they_are_written() {
    let expected = hashed(&row("2041565.36", "2026-01-01T00:00:01.25Z", "12813073.5"), Means::Exact);
    assert_eq!(expected.0, 20_260_101_000_010);
    for (price, at, mean) in [
        ("2041565.360", "2026-01-01T00:00:01.250Z", "12813073.5"),
        ("2.04156536E6", "2026-01-01 00:00:01.250", "1.28130735E7"),
        ("2041565.36", "2026-01-01 00:00:01.250000Z", "12813073.50"),
    ] {
        assert_eq!(hashed(&row(price, at, mean), Means::Exact), expected, "{price} {at} {mean}");
    }
}

#[test]
fn other_values_are_different() {
    let expected = hashed(&row("1", "2026-01-01T00:00:01Z", "1.5"), Means::Exact);
    for (price, at, mean) in [
        ("1.001", "2026-01-01T00:00:01Z", "1.5"),
        ("1", "2026-01-01T00:00:01.001Z", "1.5"),
        ("1", "2026-01-01T00:00:01Z", "1.25"),
        ("null", "2026-01-01T00:00:01Z", "1.5"),
        ("\"1\"", "2026-01-01T00:00:01Z", "1.5"),
    ] {
        assert_ne!(hashed(&row(price, at, mean), Means::Exact), expected, "{price} {at} {mean}");
    }
}

#[test]
fn whole_means_are_cut() {
    let cut = |mean| hashed(&row("1", "2026-01-01T00:00:01Z", mean), Means::Whole);
    assert_eq!(cut("7.9"), cut("7"));
    assert_ne!(cut("7.9"), cut("8"));
}

#[test]
fn sums_do_not_depend_on_the_order() {
    assert_eq!(sum(&[(0, 1), (0, u64::MAX), (0, 7)]), sum(&[(0, 7), (0, 1), (0, u64::MAX)]));
}
