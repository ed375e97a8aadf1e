use std::io::BufRead;
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
        log.append(vec![Entry { events, format: LINES, count, meta: None, key: None, mark: None, accepted_at: 1 }])
            .unwrap()
    });
    assert_eq!(log.wait_for(5, Duration::from_mins(1)), 6);
    drop(tickets);
    let mut reader = LogReader::new(log, Position(0), 1 << 20);
    let Next::Chunk(chunk) = reader.next(1 << 20).unwrap() else { panic!("events are there") };
    let records = chunk.chunk.data.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
    let expected: Vec<String> = (1..=6).map(|n| format!("{{\"n\":{n}}}")).collect();
    assert_eq!(records.map(String::from_utf8_lossy).collect::<Vec<_>>(), expected);
    assert_eq!(reader.position(), Position(6));
}

/// Requests of one event each are joined, also for a result that reads them again, which gets no more than were read.
#[test]
fn requests_are_joined() {
    let folder = tempfile::tempdir().unwrap();
    let log = EventLog::open(folder.path(), EventBounds::default()).unwrap();
    let put = |numbers: std::ops::Range<i64>| {
        let entry = |n: i64| Entry {
            events: format!("{{\"n\":{n}}}\n").into_bytes(),
            format: LINES,
            count: 1,
            meta: None,
            key: None,
            mark: None,
            accepted_at: 1000 + n,
        };
        let end = numbers.end as u64;
        let tickets: Vec<_> = numbers.map(|n| log.append(vec![entry(n)]).unwrap()).collect();
        assert_eq!(log.wait_for(end - 1, Duration::from_mins(1)), end);
        drop(tickets);
    };
    put(0..100);
    let mut reader = LogReader::new(log.clone(), Position(0), 1 << 20);
    let Next::Chunk(chunk) = reader.next(1 << 20).unwrap() else { panic!("events are there") };
    assert_eq!((chunk.after, chunk.chunk.arrival), (Some(Position(100)), 1099));
    put(100..200);
    let again = reader.again(Position(40), 1 << 20).unwrap().unwrap();
    let lines = again.chunk.data.as_slice().lines().map(Result::unwrap).collect::<Vec<_>>();
    assert_eq!((lines.len(), lines[0].as_str(), again.after), (60, "{\"n\":40}", Some(Position(100))));
    assert!(reader.again(Position(100), 1 << 20).unwrap().is_none(), "it has caught up");
    assert!(matches!(reader.next(1 << 20).unwrap(), Next::Chunk(chunk) if chunk.after == Some(Position(200))));
    let again = reader.again(Position(100), 1 << 20).unwrap().unwrap();
    assert_eq!((again.after, again.chunk.arrival), (Some(Position(200)), 1199));
}

/// What stands before an entry that cannot be read is read, and nothing goes on behind it.
#[test]
fn an_entry_that_cannot_be_read_is_not_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let log = EventLog::open(folder.path(), EventBounds::default()).unwrap();
    for n in 0..6 {
        let events = format!("{{\"n\":\"e{n}\"}}\n").into_bytes();
        drop(
            log.append(vec![Entry {
                events,
                format: LINES,
                count: 1,
                meta: None,
                key: None,
                mark: None,
                accepted_at: manade_store::system_clock(),
            }])
            .unwrap(),
        );
        log.wait_for(n, Duration::from_mins(1));
    }
    let path = folder.path().join("00000001.log");
    let flip = || {
        let mut bytes = std::fs::read(&path).unwrap();
        let at = bytes.windows(2).position(|pair| pair == b"e3" || pair == b"d3").unwrap();
        bytes[at] ^= 1;
        std::fs::write(&path, bytes).unwrap();
    };
    flip();
    let mut reader = LogReader::new(log, Position(0), 1 << 20);
    assert!(matches!(reader.next(1 << 20).unwrap(), Next::Chunk(chunk) if chunk.after == Some(Position(3))));
    for _ in 0..3 {
        let Err(ReadSourceError::Log(error)) = reader.next(1 << 20) else { panic!("it cannot be read") };
        assert!(error.to_string().contains("is damaged"), "{error}");
        assert_eq!(reader.position(), Position(3));
    }
    flip();
    assert!(matches!(reader.next(1 << 20).unwrap(), Next::Chunk(chunk) if chunk.after == Some(Position(6))));
}

/// What is known of an event beside its text stays with it, whatever it is joined to.
#[test]
fn events_that_are_joined_keep_their_meta() {
    let folder = tempfile::tempdir().unwrap();
    let log = EventLog::open(folder.path(), EventBounds::default()).unwrap();
    let bodies: [(&str, u32, Option<&str>); 5] = [
        ("{\"n\":0}\n", 1, None),
        ("{\"n\":1}\n{\"n\":2}", 2, Some("{\"m\":1}\n")),
        ("\n\n{\"n\":3}\n", 1, None),
        ("{\"n\":4}\n", 1, Some("{\"m\":4}")),
        ("{\"n\":5}\n{\"n\":6}\n", 2, Some("\n{\"m\":6}")),
    ];
    let entries = bodies.map(|(events, count, meta)| Entry {
        events: events.as_bytes().to_vec(),
        format: LINES,
        count,
        meta: meta.map(|meta| meta.as_bytes().to_vec()),
        key: None,
        mark: None,
        accepted_at: 1,
    });
    drop(log.append(entries.to_vec()).unwrap());
    assert_eq!(log.wait_for(6, Duration::from_mins(1)), 7);
    let mut reader = LogReader::new(log, Position(0), 1 << 20);
    let Next::Chunk(chunk) = reader.next(1 << 20).unwrap() else { panic!("events are there") };
    assert_eq!(chunk.after, Some(Position(7)));
    let meta = chunk.chunk.meta.unwrap();
    let known: Vec<&str> = meta.iter().map(|meta| meta.as_deref().unwrap_or("-")).collect();
    assert_eq!(known, ["-", "{\"m\":1}", "-", "-", "{\"m\":4}", "-", "{\"m\":6}"]);
}
