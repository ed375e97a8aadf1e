use super::*;

#[test]
fn integers_keep_the_whole_part() {
    let check = |text: &str, expect: Option<i64>| assert_eq!(parse_integer(text), expect, "{text:?}");
    check(" 12 ", Some(12));
    check("+5", Some(5));
    check("-1.9", Some(-1));
    check(".5", Some(0));
    check("5.", Some(5));
    check("9223372036854775808", None);
    check("1e3", None);
    check("1.x", None);
    check(".", Some(0));
    check("-", None);
    check("", None);
}

#[test]
fn decimals_round_half_up() {
    let check = |text: &str, expect: Option<i128>| assert_eq!(parse_decimal(text, 5, 2), expect, "{text:?}");
    check("1.235", Some(124));
    check("-1.235", Some(-124));
    check("1e2", Some(10_000));
    check("12345", None);
    check("0.0000000000000000000000000000000000000000000001", Some(0));
    check("99999999999999999999999999999999999999999999", None);
    check("1.00000000000000000000000000000000000000000000", Some(100));
    check("e2", None);
}

#[test]
fn zones_shift_timestamps() {
    const NOON: i64 = 43_200 * 1_000_000;
    let check = |text: &str, expect: Option<i64>| assert_eq!(parse_timestamp(text, true), expect, "{text:?}");
    check("1970-01-01 12:00:00", Some(NOON));
    check("1970-01-01T12:00:00Z", Some(NOON));
    check("1970-01-01 14:00:00+02:00", Some(NOON));
    check("1970-01-01 14:00:00+0200", Some(NOON));
    check("1970-01-01 14:00:00+2", Some(NOON));
    check("1970-01-01 14:00 UTC+2", Some(NOON));
    check("1970-01-01 13:00:00 Europe/Paris", Some(NOON));
    check("1970-01-01 12:00:00 Nowhere", None);
    check("1970-01-01 12:60:00", None);
    check("1970-01-01x", None);
}

#[test]
fn doubles_read_as_java_writes_them() {
    let check = |value: f64, expect: &str| {
        let mut out = String::new();
        show_double(value, &mut out);
        assert_eq!(out, expect);
    };
    check(1.0, "1.0");
    check(1e7, "1.0E7");
    check(9_999_999.0, "9999999.0");
    check(1.234e-5, "1.234E-5");
    check(0.001, "0.001");
    check(-0.0, "-0.0");
    check(f64::NEG_INFINITY, "-Infinity");
}
