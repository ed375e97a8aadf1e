use std::net::TcpListener;

use super::*;

/// Answers each connection's requests, which have no body, with the answers in turn.
fn serve(answers: &'static [&'static str], pause: Duration) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = listener.local_addr().expect("an address").port();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(std::result::Result::ok) {
            let mut reader = BufReader::new(stream);
            let mut answers = answers.iter().cycle();
            let mut line = String::new();
            while reader.read_line(&mut line).is_ok_and(|length| length > 0) {
                if line == "\r\n" {
                    thread::sleep(pause);
                    let answer = answers.next().expect("it goes on for ever");
                    if reader.get_mut().write_all(answer.as_bytes()).is_err() {
                        break;
                    }
                }
                line.clear();
            }
        }
    });
    port
}

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";

#[test]
fn answers_with_a_length_and_in_chunks_follow_each_other() {
    let port = serve(
        &[
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
            "HTTP/1.1 404 Not Found\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\nA\r\n two three\r\n0\r\n\r\n",
            "HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n",
        ],
        Duration::ZERO,
    );
    let mut connection = Connection::open(port).expect("a connection");
    for (status, body) in [(200, "hello"), (404, "one two three"), (202, ""), (200, "hello")] {
        assert_eq!(connection.send(REQUEST).expect("an answer"), status);
        assert_eq!(String::from_utf8_lossy(&connection.body), body);
    }
}

#[test]
fn a_request_that_waits_for_its_turn_is_late() {
    let port = serve(&["HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"], Duration::from_millis(20));
    let request = |_: u64, out: &mut Vec<u8>| out.extend_from_slice(REQUEST);
    let plan = Plan { port, connections: 1, time: Duration::from_secs(1), status: 200, request: &request };
    // One connection answers 50 a second at most, so of 100 a second each waits longer than the one before.
    let load = plan.at_rate(100.0).expect("a load");
    assert!(load.at(0.99) > 500.0, "{}", load.at(0.99));
    assert!(load.rate < 60.0, "{}", load.rate);
}

#[test]
fn another_status_is_an_error() {
    let port = serve(&["HTTP/1.1 503 Busy\r\ncontent-length: 4\r\n\r\nbusy"], Duration::ZERO);
    let request = |_: u64, out: &mut Vec<u8>| out.extend_from_slice(REQUEST);
    let plan = Plan { port, connections: 2, time: Duration::from_secs(1), status: 200, request: &request };
    let error = plan.saturate().err().expect("it is not 200").to_string();
    assert_eq!(error, "answered with 503: busy");
}
