use super::*;

#[test]
fn what_was_meant() {
    const KEYS: [&str; 6] = ["maxEvent", "lateness", "late", "time", "schema", "coerce"];
    for (written, meant) in [
        ("max_event", Some("maxEvent")),
        ("MAXEVENT", Some("maxEvent")),
        ("latenes", Some("lateness")),
        ("lat", Some("late")),
        ("tiem", Some("time")),
        ("shcema", Some("schema")),
        ("co-erce", Some("coerce")),
        ("window", None),
        ("x", None),
        ("", None),
    ] {
        assert_eq!(closest(written, KEYS.into_iter()), meant, "{written}");
    }
    assert_eq!(closest("b", ["a"].into_iter()), None);
}
