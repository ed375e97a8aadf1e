//! Limits, slow clients, hosts, origins, request ids, draining.

use std::io::{BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use manade_server::ServerOptions;

use super::Server;
use super::client::{get, head, open, send};
use super::samples::platform;

#[test]
fn request_ids_are_kept_or_given() {
    let server = Server::start(platform());
    let answer = send(server.address, "GET", "/health", &[("x-request-id", "abc-1")], b"");
    assert_eq!(answer.header("x-request-id"), Some("abc-1"));
    let ids = [get(server.address, "/health"), get(server.address, "/nowhere")];
    let [first, second] = ids.each_ref().map(|answer| answer.header("x-request-id").unwrap());
    assert_ne!(first, second);
    let long = "x".repeat(200);
    assert_ne!(
        send(server.address, "GET", "/health", &[("x-request-id", &long)], b"").header("x-request-id"),
        Some(long.as_str())
    );
}

#[test]
fn only_loopback_names_are_answered() {
    let server =
        Server::with(platform(), ServerOptions { hosts: vec!["box.lan".to_owned()], ..ServerOptions::default() });
    let check = |host: &str, status: u16| {
        assert_eq!(send(server.address, "GET", "/health", &[("host", host)], b"").status, status, "{host}");
    };
    check("127.0.0.1:8080", 200);
    check("127.8.8.8", 200);
    check("localhost", 200);
    check("LOCALHOST:80", 200);
    check("a.localhost:80", 200);
    check("[::1]:8080", 200);
    check("box.lan:8080", 200);
    check("evil.example", 403);
    check("localhost.evil.example", 403);
    check("127.0.0.1.evil.example", 403);
    check("10.0.0.1", 403);
}

#[test]
fn other_origins_may_not_write_and_read_only_where_they_are_set() {
    let ask = |server: &Server, method: &str, origin: &str, extra: &[(&str, &str)]| {
        let own = [("origin", origin), ("content-type", "application/json")];
        let headers: Vec<_> = own.into_iter().chain(extra.iter().copied()).collect();
        send(server.address, method, "/api/v1/pipelines/flights/dead-letters/replay", &headers, b"{}")
    };
    let server = Server::start(platform());
    assert_eq!(ask(&server, "POST", "http://evil.example", &[]).status, 403);
    assert_eq!(ask(&server, "POST", &format!("http://{}", server.address), &[]).status, 200);
    let read = send(server.address, "GET", "/health", &[("origin", "http://evil.example")], b"");
    assert_eq!((read.status, read.header("access-control-allow-origin")), (200, None));
    let preflight = [("access-control-request-method", "POST")];
    assert_eq!(ask(&server, "OPTIONS", "http://evil.example", &preflight).status, 405);
    let server = Server::with(
        platform(),
        ServerOptions { cors: vec!["http://app.example".to_owned()], ..ServerOptions::default() },
    );
    assert_eq!(
        ask(&server, "POST", "http://app.example", &[]).header("access-control-allow-origin"),
        Some("http://app.example")
    );
    let exposed = ask(&server, "POST", "http://app.example", &[]);
    assert!(exposed.header("access-control-expose-headers").unwrap().contains("idempotency-replayed"));
    assert_eq!(ask(&server, "OPTIONS", "http://app.example", &preflight).status, 204);
    assert_eq!(ask(&server, "POST", "http://evil.example", &[]).status, 403);
}

#[test]
fn large_headers_are_refused() {
    let server = Server::start(platform());
    let answer = send(server.address, "GET", "/health", &[("x-large", &"x".repeat(20_000))], b"");
    assert_eq!(answer.status, 200);
    let answer = send(server.address, "GET", "/health", &[("x-large", &"x".repeat(40_000))], b"");
    assert_eq!(answer.status, 431);
    // The client sends two of its own.
    for (count, status) in [(98, 200), (99, 431)] {
        let names: Vec<String> = (0..count).map(|n| format!("x-{n}")).collect();
        let many: Vec<_> = names.iter().map(|name| (name.as_str(), "v")).collect();
        assert_eq!(send(server.address, "GET", "/health", &many, b"").status, status, "{count}");
    }
}

#[test]
fn what_servers_may_understand_otherwise_is_refused() {
    let server = Server::start(platform());
    let check = |request: &str, status: u16| {
        let mut stream = TcpStream::connect(server.address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        assert_eq!(head(&mut BufReader::new(stream)).0, status, "{request}");
    };
    check("GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n", 200);
    check("GET /health HTTP/1.0\r\n\r\n", 200);
    check("GET /health HTTP/1.1\r\n\r\n", 400);
    check("GET /health HTTP/1.1\r\nhost: localhost\r\nhost: evil.example\r\n\r\n", 400);
    check("GET /health HTTP/1.1\r\nhost: localhost\r\nhost: localhost\r\n\r\n", 400);
    check("GET http://localhost/health HTTP/1.1\r\nhost: localhost\r\n\r\n", 200);
    check("GET http://evil.example/health HTTP/1.1\r\nhost: localhost\r\n\r\n", 400);
    let post = |encoding: &str| {
        format!(
            "POST /ingest/readings HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
             transfer-encoding: {encoding}\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n"
        )
    };
    check(&post("chunked"), 202);
    check(&post("Chunked"), 202);
    check(&post("gzip, chunked"), 501);
}

/// curl neither encodes `->` nor closes the connection between two requests.
#[test]
fn request_lines_may_have_what_a_uri_may_not() {
    let server = Server::start(platform());
    let mut stream = TcpStream::connect(server.address).unwrap();
    let asked = "GET /data/samples?select=hour->start&limit=1 HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let last = asked.replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n");
    stream.write_all(format!("{asked}{asked}{last}").as_bytes()).unwrap();
    let mut answers = String::new();
    stream.read_to_string(&mut answers).unwrap();
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 3, "{answers}");
    // In headers and bodies such characters stay what they are.
    let headers = [("content-type", "application/json"), ("idempotency-key", "a->\"b\"")];
    let body = br#"{"sensor":"<a>"}"#;
    assert_eq!(send(server.address, "POST", "/ingest/readings", &headers, body).status, 202);
    assert!(server.platform.ingested.lock().unwrap()[0].contains(r#"{"sensor":"<a>"}"#));
}

#[test]
fn slow_clients_are_given_up() {
    let options = ServerOptions { stall: Duration::from_millis(300), ..ServerOptions::default() };
    let server = Server::with(platform(), options);
    // Headers that do not end.
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.write_all(b"GET /health HTTP/1.1\r\nhost: local").unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    assert!(!String::from_utf8_lossy(&rest).contains("200 OK"));
    // A body that does not come.
    let headers = [("content-type", "application/json"), ("content-length", "10")];
    let mut stream = BufReader::new(open(server.address, "POST", "/ingest/readings", &headers, b""));
    assert_eq!(head(&mut stream).0, 408);
}

#[test]
fn a_reader_that_stands_still_is_cut_off() {
    let mut platform = platform();
    let text = arrow::array::StringViewArray::from_iter_values((0..40_000).map(|n| format!("{n:0>1000}")));
    let kind = manade_pipeline::collection::CollectionKind::Append;
    platform.collections.push(super::memory::Memory::new("long", kind, vec![("text", std::sync::Arc::new(text))]));
    let options = ServerOptions { stall: Duration::from_millis(300), max_queries: 1, ..ServerOptions::default() };
    let server = Server::with(platform, options);
    let _unread = open(server.address, "GET", "/data/long?format=ndjson", &[], b"");
    // The only query slot is free again once the reader is cut off.
    assert_eq!(get(server.address, "/data/samples").status, 200);
}

#[test]
fn open_requests_end_before_the_server_does() {
    let mut server = Server::start(platform());
    let mut idle = TcpStream::connect(server.address).unwrap();
    idle.write_all(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    let mut stream = BufReader::new(idle.try_clone().unwrap());
    assert_eq!(head(&mut stream).0, 200);
    server.shut_down();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    assert!(TcpStream::connect(server.address).is_err());
}
