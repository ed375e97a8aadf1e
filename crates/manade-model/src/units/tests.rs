use std::time::Duration;

use proptest::prelude::*;

use super::*;

/// Milliseconds, or a part of the message.
fn check_duration(text: &str, expect: Result<u64, &str>) {
    match (parse_duration(text), expect) {
        (Ok(found), Ok(expect)) => assert_eq!(found, Duration::from_millis(expect), "{text}"),
        (Err(found), Err(expect)) => {
            let shown = format!("{} / {}", found.message, found.hint.unwrap_or_default());
            assert!(shown.contains(expect), "{text}: {shown}");
        }
        (found, expect) => panic!("{text}: {found:?}, expected {expect:?}"),
    }
}

fn check_size(text: &str, expect: Result<u64, &str>) {
    match (parse_size(text), expect) {
        (Ok(found), Ok(expect)) => assert_eq!(found, expect, "{text}"),
        (Err(found), Err(expect)) => {
            let shown = format!("{} / {}", found.message, found.hint.unwrap_or_default());
            assert!(shown.contains(expect), "{text}: {shown}");
        }
        (found, expect) => panic!("{text}: {found:?}, expected {expect:?}"),
    }
}

#[test]
fn durations() {
    for (text, ms) in [
        ("10 minutes", 600_000),
        ("1h", 3_600_000),
        ("30 days", 2_592_000_000),
        ("1 hour 30 minutes", 5_400_000),
        ("1h30m", 5_400_000),
        ("1 Day", 86_400_000),
        ("2 weeks", 1_209_600_000),
        ("500 ms", 500),
        ("90s", 90_000),
        ("0", 0),
        ("0 seconds", 0),
        (" 5 min ", 300_000),
        ("36500 days", 3_153_600_000_000),
    ] {
        check_duration(text, Ok(ms));
    }
}

#[test]
fn wrong_durations() {
    for (text, part) in [
        ("", "is missing"),
        ("10", "has no unit"),
        ("-5 minutes", "negative"),
        ("PT10M", "not a duration"),
        ("ten minutes", "not a duration"),
        ("10 M", "unknown unit `M`"),
        ("10 minuts", "did you mean `minutes`?"),
        ("2 months", "months and years differ in length"),
        ("1.5 hours", "not a whole number"),
        ("36501 days", "too long"),
        ("99999999999999999999 days", "not a duration"),
        ("18446744073709551615 days", "too long"),
        ("5 minutes later", "not a duration"),
    ] {
        check_duration(text, Err(part));
    }
}

#[test]
fn sizes() {
    for (text, bytes) in [
        ("16 MiB", 16_777_216),
        ("2GB", 2_000_000_000),
        ("1024", 1_024),
        ("10 kb", 10_000),
        ("10 KiB", 10_240),
        ("1 Gi", 1_073_741_824),
        ("1 TiB", 1_099_511_627_776),
        ("7 bytes", 7),
        ("0", 0),
    ] {
        check_size(text, Ok(bytes));
    }
    for (text, part) in [
        ("", "not a size"),
        ("MiB", "not a size"),
        ("1.5 GiB", "not a whole number"),
        ("5 minutes", "unknown unit"),
        ("5 M", "unknown unit"),
        ("-1 MiB", "negative"),
        ("5 MiB 3 KiB", "not a size"),
        ("9000000000 TiB", "too large"),
    ] {
        check_size(text, Err(part));
    }
}

#[test]
fn what_a_bound_is() {
    for (text, is_size) in
        [("30 days", false), ("10 GiB", true), ("10 MB", true), ("10m", false), ("10", false), ("x", false)]
    {
        assert_eq!(is_size_like(text), is_size, "{text}");
    }
}

#[test]
fn shown_as_written() {
    for (text, shown) in [
        ("90 minutes", "1 hour 30 minutes"),
        ("24h", "1 day"),
        ("2 weeks", "14 days"),
        ("1500 ms", "1 second 500 milliseconds"),
        ("0", "0 seconds"),
    ] {
        assert_eq!(ShowDuration(parse_duration(text).unwrap()).to_string(), shown);
    }
    for (text, shown) in
        [("16384 KiB", "16 MiB"), ("2000 MB", "2 GB"), ("1500", "1500 bytes"), ("0", "0 bytes"), ("1025", "1025 bytes")]
    {
        assert_eq!(ShowSize(parse_size(text).unwrap()).to_string(), shown);
    }
}

proptest! {
    #[test]
    fn durations_come_back(ms in 0..LONGEST_MS) {
        let duration = Duration::from_millis(ms);
        prop_assert_eq!(parse_duration(&ShowDuration(duration).to_string()), Ok(duration));
    }

    #[test]
    fn sizes_come_back(bytes in 0..i64::MAX as u64, shift in 0_u32..60) {
        let bytes = bytes >> shift;
        prop_assert_eq!(parse_size(&ShowSize(bytes).to_string()), Ok(bytes));
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,20}") {
        let _ = (parse_duration(&text), parse_size(&text), is_size_like(&text));
    }
}
