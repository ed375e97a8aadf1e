//! A message's body as events of the log.
//!
//! A body is one JSON object, an array of objects, or an object a line. What is none of these goes into the log as it is:
//! it becomes dead letters when it is decoded, where everyone looks for what could not be read.

use manade_events::ingest::{Accepted, BodyKind, Packing, split, unpack};

/// Bytes of an unpacked body; a larger one is taken for what it is, packed bytes.
const LARGEST: u64 = 256 << 20;

/// What a message says of its body.
#[derive(Debug, Clone, Copy, Default)]
pub struct Said<'a> {
    pub content_type: Option<&'a str>,
    pub content_encoding: Option<&'a str>,
}

/// The events of a body, one at least: a message that came is counted.
pub fn events(body: Vec<u8>, said: Said<'_>) -> Accepted {
    let body = match said.content_encoding.map(Packing::named) {
        // Some clients write a charset where the encoding belongs.
        None | Some(None) => body,
        Some(Some(packing)) => unpack(&body, packing, LARGEST).unwrap_or(body),
    };
    let events = kinds(&body, said.content_type).iter().find_map(|kind| split(&body, kind).ok());
    match events {
        Some(events) if events.count > 0 => events,
        _ => as_it_is(&body),
    }
}

/// What the body may be, the likely first.
fn kinds(body: &[u8], content_type: Option<&str>) -> &'static [BodyKind] {
    let media_type = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    match media_type {
        "application/x-ndjson" | "application/ndjson" | "application/jsonl" => &[BodyKind::Ndjson],
        _ if body.trim_ascii_start().starts_with(b"[") => &[BodyKind::Json],
        // A document of several lines, or a document a line.
        _ if body.trim_ascii_end().contains(&b'\n') => &[BodyKind::Json, BodyKind::Ndjson],
        _ => &[BodyKind::Ndjson],
    }
}

/// Where the lines begin like events each line is one, good or bad; otherwise the whole body is one.
fn as_it_is(body: &[u8]) -> Accepted {
    let lines: Vec<&[u8]> =
        body.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty()).collect();
    let (data, count) = if lines.is_empty() {
        // Nothing at all: an event all the same, and no object.
        (b"null\n".to_vec(), 1)
    } else if lines.len() > 1
        && lines.iter().filter(|line| line.starts_with(b"{") && line.ends_with(b"}")).count() * 2 > lines.len()
    {
        ([lines.join(&b'\n'), b"\n".to_vec()].concat(), lines.len())
    } else {
        let whole = body.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte });
        (whole.chain([b'\n']).collect(), 1)
    };
    Accepted::lines(data, count)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines that a body becomes.
    fn check(body: impl AsRef<[u8]>, content_type: Option<&str>, content_encoding: Option<&str>, expect: &[&[u8]]) {
        let body = body.as_ref();
        let events = events(body.to_vec(), Said { content_type, content_encoding });
        let lines: Vec<&[u8]> =
            events.data.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty()).collect();
        assert_eq!(lines, expect, "{}", String::from_utf8_lossy(body));
        assert_eq!(events.count as usize, expect.len());
    }

    #[test]
    fn bodies() {
        let gzip = [
            0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0xab, 0x56, 0x4a, 0x54, 0xb2, 0x32, 0xac, 5, 0, 0xaf, 0xac, 0x1b, 0x56,
            7, 0, 0, 0,
        ];
        check(r#"{"a":1}"#, None, None, &[br#"{"a":1}"#]);
        check("{\n  \"a\": 1\n}\n", None, Some("utf-8"), &[br#"{   "a": 1 }"#]);
        check(r#" [{"a":1}, {"a":2}]"#, Some("application/json"), None, &[br#"{"a":1}"#, br#"{"a":2}"#]);
        check("{\"a\":1}\n{\"a\":2}\n", None, None, &[br#"{"a":1}"#, br#"{"a":2}"#]);
        check(
            "{\"a\":1}\n\n{\"a\":2}",
            Some("application/x-ndjson; charset=utf-8"),
            None,
            &[br#"{"a":1}"#, br#"{"a":2}"#],
        );
        check(gzip, None, Some("gzip"), &[br#"{"a":1}"#]);
        // Not events: they are kept as they are.
        check("", None, None, &[b"null"]);
        check(" \r\n", None, None, &[b"null"]);
        check("[]", None, None, &[b"[]"]);
        check("not json", None, None, &[b"not json"]);
        check("not\njson\r\n", None, None, &[b"not json"]);
        check(r#"[{"a":1}, 2]"#, None, None, &[br#"[{"a":1}, 2]"#]);
        check(b"\xff\xfe", None, None, &[b"\xff\xfe"]);
        check("{\"a\":1}\n{\"a\":2\n{\"a\":3}", None, None, &[br#"{"a":1}"#, br#"{"a":2"#, br#"{"a":3}"#]);
        check("{\"a\":1", None, Some("gzip"), &[br#"{"a":1"#]);
    }
}
