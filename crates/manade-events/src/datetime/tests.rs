use proptest::prelude::*;

use super::Pattern;

/// 2020-03-05 17:04:09.012345 UTC, a Thursday.
const MOMENT: i64 = 1_583_427_849_012_345;

fn check_format(pattern: &str, expect: &str) {
    let mut out = String::new();
    Pattern::compile(pattern).unwrap().format(MOMENT, &mut out);
    assert_eq!(out, expect, "{pattern}");
}

#[test]
fn moments_are_written() {
    check_format("yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX", "2020-03-05T17:04:09.012345Z");
    check_format("y-M-d H:m:s", "2020-3-5 17:4:9");
    check_format("yy MMM d, EEEE MMMM LLL E", "20 Mar 5, Thursday March Mar Thu");
    check_format("hh:mm a h K kk", "05:04 PM 5 5 17");
    check_format("D DD DDD", "65 65 065");
    check_format("Q QQ QQQ QQQQ", "1 01 Q1 1st quarter");
    check_format("G GGGG F", "AD Anno Domini 5");
    check_format("S SS SSS SSSSSSSSS", "0 01 012 012345000");
    check_format("z zzzz VV O OOOO", "UTC Coordinated Universal Time UTC GMT GMT");
    check_format("X x xx xxx Z ZZZZ ZZZZZ", "Z +00 +0000 +00:00 +0000 GMT Z");
    check_format("yyyy['o''clock']''", "2020o'clock'");
}

fn check_error(pattern: &str, column: usize, reason: &str) {
    let error = Pattern::compile(pattern).unwrap_err();
    assert_eq!((error.column, error.reason.as_str()), (column, reason), "{pattern}");
}

#[test]
fn a_wrong_pattern_names_letter_and_column() {
    check_error("YYYY-MM-dd", 1, "`Y` is not a pattern letter of Spark's");
    check_error("yyyy-MM-dd u", 12, "`u` is not a pattern letter of Spark's");
    check_error("é yyyyyyy", 3, "too many letters `y`");
    check_error("MMMMM", 1, "too many letters `M`");
    check_error("aa", 1, "too many letters `a`");
    check_error("HHH", 1, "too many letters `H`");
    check_error("yyyy'T", 5, "the quoted text does not end");
    check_error("yyyy]", 5, "`]` without `[`");
    check_error("yyyy{", 5, "`{` is reserved: write '{' in single quotes");
    check_error("V", 1, "a zone id is `VV`");
    let formats = Pattern::compile("EEE yyyy").unwrap().check_parsing().unwrap_err();
    assert_eq!(formats.to_string(), "`E` can only format, not parse (column 1 of the datetime pattern)");
}

fn check_parse(pattern: &str, text: &str, expect: Option<i64>) {
    assert_eq!(Pattern::compile(pattern).unwrap().parse(text), expect, "{pattern} {text}");
}

#[test]
fn optional_sections_and_zones() {
    check_parse("yyyy[-MM[-dd]]", "2020", Some(1_577_836_800_000_000));
    check_parse("yyyy[-MM[-dd]]", "2020-03", Some(1_583_020_800_000_000));
    check_parse("yyyy[-MM[-dd]]", "2020-03-05", Some(1_583_366_400_000_000));
    check_parse("yyyy[-MM[-dd]]", "2020-03-", None);
    check_parse("yyyy-MM-dd HH:mm VV", "2020-07-01 12:00 America/New_York", Some(1_593_619_200_000_000));
    check_parse("yyyy-MM-dd HH:mm z", "2020-01-01 12:00 CET", Some(1_577_876_400_000_000));
    // In the gap of 2020-03-29 clocks went from 02:00 to 03:00; in the overlap of 2020-10-25 the earlier offset counts.
    check_parse("yyyy-MM-dd HH:mm VV", "2020-03-29 02:30 Europe/Paris", Some(1_585_445_400_000_000));
    check_parse("yyyy-MM-dd HH:mm VV", "2020-10-25 02:30 Europe/Paris", Some(1_603_585_800_000_000));
    check_parse("HH HH", "05 06", None);
    check_parse("yyyy yyyy", "2020 2020", Some(1_577_836_800_000_000));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// From the year 1 to 9999.
    #[test]
    fn what_is_written_is_read(us in -62_135_596_800_000_000_i64..253_402_300_800_000_000) {
        let by_chrono = chrono::DateTime::from_timestamp_micros(us).unwrap();
        for (pattern, chrono) in [
            ("yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX", "%Y-%m-%dT%H:%M:%S%.6fZ"),
            ("dd/MMM/yyyy hh.mm.ss a SSSSSS", "%d/%b/%Y %I.%M.%S %p %6f"),
            ("yyyy DDD kk mm ss SSSSSS Z", "%Y %j %H %M %S %6f %z"),
        ] {
            let compiled = Pattern::compile(pattern).unwrap();
            let mut text = String::new();
            compiled.format(us, &mut text);
            if !pattern.contains("kk") {
                prop_assert_eq!(&text, &by_chrono.format(chrono).to_string());
            }
            prop_assert_eq!(compiled.parse(&text), Some(us), "{}", text);
        }
    }

    #[test]
    fn nothing_panics(pattern in "[yMdHhmsSaEDzZXxOVGQ'\\[\\] :/.é-]{0,20}", text in "\\PC{0,30}", us: i64) {
        if let Ok(compiled) = Pattern::compile(&pattern) {
            compiled.parse(&text);
            let mut out = String::new();
            compiled.format(us, &mut out);
            compiled.parse(&out);
        }
        super::iso::timestamp(&text);
        super::iso::date(&text);
    }
}
