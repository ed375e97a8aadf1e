//! A client of a few lines over a plain socket, so that tests see exactly what a server sends.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&self.body)))
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }
}

/// Sends one request on a connection of its own.
pub fn send(address: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let mut stream = BufReader::new(open(address, method, path, headers, body));
    let (status, headers) = head(&mut stream);
    let mut answer = Answer { status, headers, body: Vec::new() };
    if method == "HEAD" || status == 304 || status == 204 {
        return answer;
    }
    if answer.header("transfer-encoding") == Some("chunked") {
        while let Some(chunk) = chunk(&mut stream) {
            answer.body.extend(chunk);
        }
    } else {
        let length = answer.header("content-length").map_or(0, |length| length.parse().unwrap());
        answer.body.resize(length, 0);
        stream.read_exact(&mut answer.body).unwrap();
    }
    answer
}

pub fn get(address: SocketAddr, path: &str) -> Answer {
    send(address, "GET", path, &[], b"")
}

/// The stream after its request was written.
pub fn open(address: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut request = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\n");
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        request.extend(["host: ", &address.to_string(), "\r\n"]);
    }
    for (name, value) in headers {
        request.extend([name, ": ", value, "\r\n"]);
    }
    if !body.is_empty() {
        request.extend(["content-length: ", &body.len().to_string(), "\r\n"]);
    }
    request += "\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    // A server that refuses early may close before it has read all.
    let _ = stream.write_all(body);
    stream
}

pub fn head(stream: &mut impl BufRead) -> (u16, Vec<(String, String)>) {
    let mut line = String::new();
    stream.read_line(&mut line).unwrap();
    let status = line.split(' ').nth(1).unwrap_or_else(|| panic!("no status: {line:?}")).parse().unwrap();
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).unwrap();
        let Some((name, value)) = line.trim_end().split_once(": ") else { return (status, headers) };
        headers.push((name.to_ascii_lowercase(), value.to_owned()));
    }
}

/// `None` at the end of the body.
pub fn chunk(stream: &mut impl BufRead) -> Option<Vec<u8>> {
    let mut line = String::new();
    stream.read_line(&mut line).unwrap();
    let length = usize::from_str_radix(line.trim(), 16).unwrap_or_else(|_| panic!("not a chunk: {line:?}"));
    let mut bytes = vec![0; length + 2];
    stream.read_exact(&mut bytes).unwrap();
    bytes.truncate(length);
    (length > 0).then_some(bytes)
}

/// Text of a server-sent-events answer, event by event.
pub struct Events {
    stream: BufReader<TcpStream>,
    buffer: String,
}

impl Events {
    pub fn open(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Self {
        let mut stream = BufReader::new(open(address, "GET", path, headers, b""));
        let (status, headers) = head(&mut stream);
        assert_eq!(status, 200, "{headers:?}");
        Self { stream, buffer: String::new() }
    }

    /// The next block that is not only a comment: (event, id, data); empty where it has none. `None` at the end.
    pub fn next(&mut self) -> Option<(String, String, String)> {
        loop {
            while let Some((block, rest)) = self.buffer.split_once("\n\n") {
                let field = |name: &str| {
                    let found = block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
                    found.unwrap_or_default().to_owned()
                };
                let event = (field("event"), field("id"), field("data"));
                self.buffer = rest.to_owned();
                if event != Default::default() {
                    return Some(event);
                }
            }
            self.buffer += &String::from_utf8(chunk(&mut self.stream)?).unwrap();
        }
    }
}
