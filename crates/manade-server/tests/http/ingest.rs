//! `POST /ingest/{pipeline}`.

use std::io::Write;
use std::time::Duration;

use manade_server::{IngestError, ServerOptions};
use serde_json::{Value, json};

use super::Server;
use super::client::{Answer, send};
use super::samples::platform;

const JSON: (&str, &str) = ("content-type", "application/json");
const NDJSON: (&str, &str) = ("content-type", "application/x-ndjson");

fn post(server: &Server, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    send(server.address, "POST", "/ingest/readings", headers, body)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn bodies_of_each_kind_are_accepted() {
    let server = Server::start(platform());
    let event = br#"{"sensor":"a","value":1.5}"#;
    let check = |headers: &[(&str, &str)], body: &[u8], count: u64| {
        let answer = post(&server, headers, body);
        assert_eq!((answer.status, answer.json()), (202, json!({ "accepted": count })), "{headers:?}");
    };
    check(&[JSON], event, 1);
    check(&[("content-type", "application/json; charset=UTF-8")], br#"[{"value":1},{"value":2}]"#, 2);
    check(&[NDJSON], b"{\"value\":1}\n\n{\"value\":2}\n{\"value\":3}", 3);
    check(&[("content-type", "text/csv")], b"sensor,value\na,1\nb,2\n", 2);
    check(&[JSON, ("content-encoding", "gzip")], &gzip(event), 1);
    check(&[JSON, ("content-encoding", "zstd")], &zstd::encode_all(event.as_slice(), 1).unwrap(), 1);
    let large = "{\"sensor\":\"a\",\"value\":1}\n".repeat(100_000);
    check(&[NDJSON], large.as_bytes(), 100_000);
    check(&[NDJSON, ("content-encoding", "gzip")], &gzip(large.as_bytes()), 100_000);
}

#[test]
fn cloud_events_are_events_and_their_retries_are_harmless() {
    let server = Server::start(platform());
    let structured = br#"{"specversion":"1.0","id":"1","source":"/s","type":"t","data":{"value":1}}"#;
    let kind = ("content-type", "application/cloudevents+json");
    let answers = [post(&server, &[kind], structured), post(&server, &[kind], structured)];
    assert_eq!(answers.each_ref().map(|answer| answer.status), [202, 202]);
    assert_eq!(answers.each_ref().map(|answer| answer.header("idempotency-replayed")), [None, Some("true")]);
    let ce = [("ce-specversion", "1.0"), ("ce-id", "2"), ("ce-source", "/s"), ("ce-type", "a%20type"), JSON];
    for replayed in [None, Some("true")] {
        let answer = post(&server, &ce, br#"{"value":2}"#);
        assert_eq!((answer.status, answer.header("idempotency-replayed")), (202, replayed), "{}", answer.text());
    }
    let batch = br#"[{"specversion":"1.0","id":"3","source":"/s","type":"t","data":{"value":1}},
        {"specversion":"1.0","id":"4","source":"/s","type":"t","data":{"value":2}}]"#;
    let kind = ("content-type", "application/cloudevents-batch+json");
    for replayed in [None, Some("true")] {
        let answer = post(&server, &[kind], batch);
        assert_eq!((answer.json(), answer.header("idempotency-replayed")), (json!({"accepted": 2}), replayed));
    }
    let answer = post(&server, &[kind], String::from_utf8_lossy(batch).replace("\"4\"", "\"5\"").as_bytes());
    assert_eq!((answer.json(), answer.header("idempotency-replayed")), (json!({"accepted": 1}), None), "one is new");
    let other = String::from_utf8_lossy(batch).replace("\"value\":2", "\"value\":3");
    let answer = post(&server, &[kind], other.as_bytes());
    assert_eq!(answer.status, 422);
    let problem = answer.json();
    let message = "the CloudEvent with source \"/s\" and id \"4\" was sent before with other data";
    assert_eq!((&problem["message"], &problem["details"]), (&json!(message), &json!("element 2")));
    assert_eq!(server.platform.ingested.lock().unwrap().len(), 4);
}

#[test]
fn each_line_that_is_no_event_is_named_and_nothing_is_accepted() {
    let server = Server::start(platform());
    let answer = post(&server, &[NDJSON], b"{\"value\":1}\n[1]\n{\"value\":2}\n{'a':1}\n");
    assert_eq!(answer.status, 400);
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    let lines: Vec<Value> = answer.json()["errors"].as_array().unwrap().iter().map(|e| e["line"].clone()).collect();
    assert_eq!(lines, [json!(2), json!(4)]);
    assert!(server.platform.ingested.lock().unwrap().is_empty());
    // Of a document it is an element, and where it stands.
    let answer = post(&server, &[JSON], b"[\n  {\"value\": 1},\n  {\n    \"value\":}\n]");
    let problem = answer.json();
    assert_eq!(problem["errors"], json!([{ "element": 2, "reason": "not a JSON value (line 4, column 13)" }]));
    assert_eq!(problem["details"], "element 2: not a JSON value (line 4, column 13)");
}

#[test]
fn refusals_have_their_status() {
    let options = ServerOptions { max_body: 1_000, max_unpacked: 2_000, ..ServerOptions::default() };
    let server = Server::with(platform(), options);
    let event = br#"{"value":1}"#;
    assert_eq!(send(server.address, "POST", "/ingest/reading", &[JSON], event).status, 404);
    assert_eq!(send(server.address, "POST", "/ingest/flights", &[JSON], event).status, 404);
    assert_eq!(send(server.address, "GET", "/ingest/readings", &[], b"").header("allow"), Some("POST"));
    assert_eq!(post(&server, &[], event).status, 415);
    assert_eq!(post(&server, &[("content-type", "text/plain")], event).status, 415);
    assert_eq!(post(&server, &[("content-type", "application/json; charset=latin1")], event).status, 415);
    assert_eq!(post(&server, &[("content-type", "text/csv; header=absent")], b"1,2\n").status, 415);
    assert_eq!(post(&server, &[JSON, ("content-encoding", "br")], event).status, 415);
    assert_eq!(post(&server, &[JSON, ("content-encoding", "gzip")], event).status, 400);
    assert_eq!(post(&server, &[JSON], &[b' '; 1_001]).status, 413);
    assert_eq!(post(&server, &[JSON, ("content-encoding", "gzip")], &gzip(&[b' '; 2_001])).status, 413);
    let key = ("idempotency-key", "k");
    assert_eq!(post(&server, &[JSON, key], event).status, 202);
    assert_eq!(post(&server, &[JSON, key], event).header("idempotency-replayed"), Some("true"));
    assert_eq!(post(&server, &[JSON, key], br#"{"value":2}"#).status, 422);
    let long = "k".repeat(255);
    let quoted = format!("\"{long}\"");
    for (value, status) in [("", 400), ("\"\"", 400), ("k\u{e9}", 400), ("a b~!", 202), (&quoted, 400), (&long, 202)] {
        assert_eq!(post(&server, &[JSON, ("idempotency-key", value)], event).status, status, "{value}");
    }
    assert_eq!(post(&server, &[JSON, key, key], event).status, 400);
    // One header of a CloudEvent makes the request one.
    for name in ["ce-id", "ce-source", "ce-type"] {
        let answer = post(&server, &[JSON, (name, "x")], event);
        assert_eq!(answer.status, 400);
        assert!(answer.text().contains("no header ce-specversion"), "{}", answer.text());
    }
    let failures = [
        (IngestError::InFlight { event: 0 }, 409, None),
        (IngestError::NotCsv { column: "tags".to_owned() }, 415, None),
        (IngestError::DiskFull { retry_after: Duration::from_secs(9) }, 503, Some("9")),
        (IngestError::Full { retry_after: Duration::from_secs(7) }, 503, Some("7")),
        (IngestError::Stopped, 503, Some("5")),
        (IngestError::Failed("disk /dev/secret is full".to_owned()), 503, Some("5")),
    ];
    for (failure, status, retry_after) in failures {
        *server.platform.failure.lock().unwrap() = Some(failure);
        let answer = post(&server, &[JSON], event);
        assert_eq!((answer.status, answer.header("retry-after")), (status, retry_after));
        assert!(!answer.text().contains("secret"));
        let word = if retry_after == Some("9") { "disk is full" } else { "" };
        assert!(answer.json()["detail"].as_str().unwrap().contains(word), "{}", answer.text());
    }
}
