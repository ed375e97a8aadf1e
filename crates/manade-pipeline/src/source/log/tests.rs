use std::time::Duration;

use manade_store::{Entry, EventBounds};

use super::*;

#[test]
fn the_last_line_of_a_request_is_not_glued_to_the_next_one() {
    let folder = tempfile::tempdir().unwrap();
    let log = EventLog::open(folder.path(), EventBounds::default()).unwrap();
    let bodies = ["{\"n\":1}\n{\"n\":2}", "", "{\"n\":3}", "{\"n\":4}\n", "\n{\"n\":5}\r\n\n{\"n\":6}"];
    let tickets = bodies.map(|body| {
        let count = body.matches('n').count() as u32;
        let events = body.as_bytes().to_vec();
        log.append(vec![Entry { events, format: LINES, count, meta: None, key: None, accepted_at: 1 }]).unwrap()
    });
    assert_eq!(log.wait_for(5, Duration::from_mins(1)), 6);
    drop(tickets);
    let mut reader = LogReader::new(log, Position(0), true, 1 << 20);
    let Next::Chunk(chunk) = reader.next().unwrap() else { panic!("events are there") };
    let records = chunk.chunk.data.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
    let expected: Vec<String> = (1..=6).map(|n| format!("{{\"n\":{n}}}")).collect();
    assert_eq!(records.map(String::from_utf8_lossy).collect::<Vec<_>>(), expected);
    assert_eq!(reader.position(), Position(6));
}
