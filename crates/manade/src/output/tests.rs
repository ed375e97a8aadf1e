use super::{counted, grouped, moment};

#[test]
fn numbers_are_grouped_by_thousands() {
    let check = |number, expect: &str| assert_eq!(grouped(number), expect);
    check(0, "0");
    check(999, "999");
    check(1_000, "1,000");
    check(12_345_678, "12,345,678");
    assert_eq!(counted(1, "event"), "1 event");
    assert_eq!(counted(2_000, "event"), "2,000 events");
}

/// Expected values: `date -u -d @SECONDS`.
#[test]
fn moments_are_utc() {
    let check = |micros, expect: &str| assert_eq!(moment(micros), expect);
    check(0, "1970-01-01T00:00:00Z");
    check(978_310_020_000_000, "2001-01-01T00:47:00Z");
    check(951_782_400_000_000, "2000-02-29T00:00:00Z");
    check(951_868_799_500_000, "2000-02-29T23:59:59.5Z");
    check(-1, "1969-12-31T23:59:59.999999Z");
    check(4_102_444_800_000_001, "2100-01-01T00:00:00.000001Z");
}
