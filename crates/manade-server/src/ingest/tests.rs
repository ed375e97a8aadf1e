use axum::http::{HeaderMap, HeaderName};
use manade_events::ingest::BodyKind;

use super::{body_kind, idempotency_key};

fn headers(of: &[(&str, &str)]) -> HeaderMap {
    of.iter().map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap())).collect()
}

#[test]
fn attributes_of_a_binary_cloud_event_are_decoded() {
    let kind = body_kind(&headers(&[
        ("content-type", "application/json"),
        ("ce-specversion", "1.0"),
        ("ce-subject", "Euro%20%E2%82%AC%20100%25"),
    ]));
    let Ok(BodyKind::CloudEventBinary { attributes }) = kind else { panic!("{kind:?}") };
    assert!(attributes.contains(&("subject".to_owned(), "Euro € 100%".to_owned())), "{attributes:?}");
    let broken = headers(&[("content-type", "application/json"), ("ce-specversion", "1.0"), ("ce-id", "%E2")]);
    assert_eq!(body_kind(&broken).unwrap_err().status.as_u16(), 400);
}

#[test]
fn keys_are_taken_with_and_without_quotes() {
    let check = |value: &str, expected: Result<&str, u16>| {
        let key = idempotency_key(&headers(&[("idempotency-key", value)]));
        let key = key.map(Option::unwrap).map_err(|problem| problem.status.as_u16());
        assert_eq!(key.as_deref().map_err(|status| *status), expected, "{value}");
    };
    check("abc", Ok("key:abc"));
    check("\"abc\"", Ok("key:abc"));
    check("\"\"", Err(400));
    check(&"x".repeat(256), Err(400));
}
