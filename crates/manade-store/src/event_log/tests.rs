use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};

use futures::executor::block_on;

use super::*;

fn bounds() -> EventBounds {
    EventBounds { file_bytes: 2 << 10, clock: || 1_000_000, ..EventBounds::default() }
}

fn entry(number: u64, count: u32) -> Entry {
    Entry {
        events: format!("{{\"n\":{number}}}\n").repeat(count as usize).into_bytes(),
        format: 1,
        count,
        meta: number.is_multiple_of(3).then(|| b"[null]".to_vec()),
        key: None,
        mark: None,
        accepted_at: 1000 + number as i64,
    }
}

fn keyed(number: u64, key: &str, body_hash: u128) -> Entry {
    Entry { key: Some(IdempotencyKey { key: key.into(), body_hash }), ..entry(number, 2) }
}

fn put(log: &EventLog, entry: Entry) -> Appended {
    block_on(log.append(vec![entry]).unwrap()).unwrap()
}

fn all(log: &EventLog, from: u64) -> Vec<LoggedEntry> {
    log.read(from).map(Result::unwrap).collect()
}

fn check_equal(read: &LoggedEntry, written: &Entry, first_event: u64) {
    assert_eq!((read.first_event, read.count, read.format), (first_event, written.count, written.format));
    assert_eq!((read.accepted_at, &read.events[..]), (written.accepted_at, &written.events[..]));
    assert_eq!(read.meta.as_deref(), written.meta.as_deref());
}

#[test]
fn what_is_written_is_read_also_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let mut written = Vec::new();
    for round in 0..4 {
        let log = EventLog::open(dir.path(), bounds()).unwrap();
        for number in 0..25 {
            let entry = entry(round * 100 + number, number as u32 % 4 + 1);
            let first = put(&log, entry.clone()).first_event;
            written.push((first, entry));
        }
        let read = all(&log, 0);
        assert_eq!(read.len(), written.len());
        for (read, (first, entry)) in read.iter().zip(&written) {
            check_equal(read, entry, *first);
        }
        let (first, _) = &written[written.len() / 2];
        assert_eq!(all(&log, *first), read[written.len() / 2..], "from an entry's first event");
        assert_eq!(log.events(), 0..read.last().map_or(0, |last| last.first_event + u64::from(last.count)));
    }
}

#[test]
fn a_reader_goes_on_as_entries_come() {
    let dir = tempfile::tempdir().unwrap();
    let log = EventLog::open(dir.path(), bounds()).unwrap();
    let mut reader = log.read(0);
    for number in 0..100 {
        assert!(reader.next().is_none());
        let written = entry(number, 1);
        put(&log, written.clone());
        check_equal(&reader.next().unwrap().unwrap(), &written, number);
        assert_eq!(reader.position(), number + 1);
    }
}

#[test]
fn many_writers_share_the_disk_and_keep_their_order() {
    let dir = tempfile::tempdir().unwrap();
    let log = EventLog::open(dir.path(), EventBounds { file_bytes: 64 << 10, ..bounds() }).unwrap();
    let firsts: Vec<Vec<u64>> = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..16)
            .map(|_| scope.spawn(|| (0..100).map(|number| put(&log, entry(number, 3)).first_event).collect::<Vec<_>>()))
            .collect();
        writers.into_iter().map(|writer| writer.join().unwrap()).collect()
    });
    assert!(firsts.iter().all(|firsts| firsts.is_sorted()));
    let mut sorted: Vec<u64> = firsts.into_iter().flatten().collect();
    sorted.sort_unstable();
    assert_eq!(sorted, (0..1600).map(|number| number * 3).collect::<Vec<_>>());
    assert_eq!(all(&log, 0).len(), 1600);
    assert_eq!(log.wait_for(4799, Duration::from_mins(1)), 4800);
}

#[test]
fn a_key_is_accepted_once() {
    let dir = tempfile::tempdir().unwrap();
    let log = EventLog::open(dir.path(), bounds()).unwrap();
    let first = put(&log, keyed(1, "a", 7));
    assert!(!first.replayed);
    let again = Appended { replayed: true, ..first };
    assert_eq!(put(&log, keyed(1, "a", 7)), again);
    assert!(matches!(log.append(vec![keyed(1, "a", 8)]), Err(AppendError::KeyReused { entry: 0 })));
    drop(log);
    let log = EventLog::open(dir.path(), bounds()).unwrap();
    assert_eq!(put(&log, keyed(1, "a", 7)), again, "known after reopening");
    assert!(matches!(log.append(vec![keyed(1, "a", 8)]), Err(AppendError::KeyReused { entry: 0 })));
    assert_eq!(all(&log, 0).len(), 1);
}

#[test]
fn entries_of_a_request_are_known_one_by_one() {
    let dir = tempfile::tempdir().unwrap();
    let log = EventLog::open(dir.path(), bounds()).unwrap();
    let of = |keys: &[&str]| keys.iter().map(|key| keyed(1, key, 7)).collect::<Vec<_>>();
    let put = |entries: Vec<Entry>| {
        let appended = block_on(log.append(entries).unwrap()).unwrap();
        (appended.count, appended.replayed)
    };
    assert_eq!(put(of(&["a"])), (2, false));
    assert_eq!(put(of(&["b", "a", "c", "b"])), (4, false), "two are new");
    assert_eq!(put(of(&["c", "a", "a"])), (4, true), "none is new");
    assert_eq!(all(&log, 0).len(), 3);
    let reused = [of(&["d"]), vec![keyed(1, "a", 8)]].concat();
    assert!(matches!(log.append(reused), Err(AppendError::KeyReused { entry: 1 })));
    let twice = [of(&["d"]), vec![keyed(1, "d", 8)]].concat();
    assert!(matches!(log.append(twice), Err(AppendError::KeyReused { entry: 1 })));
    assert_eq!(all(&log, 0).len(), 3, "all or none");
}

#[test]
fn a_key_in_flight_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let log = EventLog::open(dir.path(), bounds()).unwrap();
    let writing = log.owner.inner.log.lock();
    let ticket = log.append(vec![keyed(1, "a", 7)]).unwrap();
    assert!(matches!(log.append(vec![keyed(1, "a", 7)]), Err(AppendError::InFlight { entry: 0 })));
    assert!(matches!(log.append(vec![keyed(1, "a", 8)]), Err(AppendError::KeyReused { entry: 0 })));
    drop(writing);
    assert!(!block_on(ticket).unwrap().replayed);
}

#[test]
fn keys_are_bounded_by_number_and_age() {
    let dir = tempfile::tempdir().unwrap();
    let few = EventBounds { keys: 2, key_age: Duration::from_micros(50), ..bounds() };
    let log = EventLog::open(dir.path(), few).unwrap();
    for (number, key) in ["a", "b", "c"].into_iter().enumerate() {
        put(&log, keyed(number as u64, key, 0));
    }
    assert!(put(&log, keyed(3, "c", 0)).replayed);
    assert!(!put(&log, keyed(3, "a", 0)).replayed, "two are known, this was the third");
    put(&log, keyed(100, "late", 0));
    assert!(!put(&log, keyed(100, "c", 0)).replayed, "too old");
    put(&log, keyed(5, "the clock was set back", 0));
    assert!(put(&log, keyed(5, "the clock was set back", 0)).replayed);
}

#[test]
fn old_files_go_once_they_are_not_needed_but_their_keys_stay() {
    let dir = tempfile::tempdir().unwrap();
    // The keys alone are 11 KB at the end.
    let small = EventBounds { bytes: 24 << 10, ..bounds() };
    let log = EventLog::open(dir.path(), small.clone()).unwrap();
    let (mut refused, mut needed) = (false, 0);
    for number in 0..200 {
        match log.append(vec![keyed(number, &format!("key {number}"), 0)]) {
            Ok(ticket) => assert!(block_on(ticket).is_ok()),
            Err(AppendError::Full) => {
                refused = true;
                assert!(log.events().start <= needed, "nothing is dropped that is needed");
                needed = log.events().end;
                log.keep_from(needed);
                log.expire().unwrap();
                assert!(log.bytes() <= 40 << 10, "{}", log.bytes());
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert!(refused && log.events().start > 0);
    let oldest = all(&log, 0).first().unwrap().first_event;
    assert!(oldest >= log.events().start, "a reader begins with what is kept");
    let events = log.events();
    drop(log);
    let log = EventLog::open(dir.path(), small).unwrap();
    assert_eq!(log.events(), events);
    assert!(put(&log, keyed(0, "key 0", 0)).replayed, "its events are gone, the key is known");
}

#[test]
fn marks_are_as_durable_as_their_entries_and_outlive_them() {
    let dir = tempfile::tempdir().unwrap();
    let small = EventBounds { bytes: 8 << 10, ..bounds() };
    let marked = |number: u64, of: &str, at: u64| Entry { mark: Some(Mark { of: of.into(), at }), ..entry(number, 1) };
    let log = EventLog::open(dir.path(), small.clone()).unwrap();
    assert_eq!(log.mark("a"), None);
    put(&log, marked(0, "a", 7));
    put(&log, marked(1, "b", 3));
    let writing = log.owner.inner.log.lock();
    let ticket = log.append(vec![marked(2, "b", 4), marked(3, "b", 5)]).unwrap();
    assert_eq!((log.mark("a"), log.mark("b")), (Some(7), Some(3)), "what waits for the disk does not count");
    drop(writing);
    block_on(ticket).unwrap();
    assert_eq!((log.mark("a"), log.mark("b")), (Some(7), Some(5)));
    for number in 4..400 {
        put(&log, marked(number, "b", number + 2));
        log.keep_from(log.events().end);
        log.expire().unwrap();
    }
    assert!(log.events().start > 300, "the entry that said it is gone");
    drop(log);
    let log = EventLog::open(dir.path(), small).unwrap();
    assert_eq!((log.mark("a"), log.mark("b")), (Some(7), Some(401)));
}

/// Age holds for few events too, to an eighth of it, whether more come or not.
#[test]
fn few_events_go_by_age() {
    const MINUTE: i64 = 60_000_000;
    static NOW: AtomicI64 = AtomicI64::new(0);
    let clock = || NOW.load(Ordering::Relaxed);
    let dir = tempfile::tempdir().unwrap();
    let bounds = EventBounds { age: Duration::from_mins(80), clock, ..EventBounds::default() };
    let open = || EventLog::open(dir.path(), bounds.clone()).unwrap();
    let mut log = open();
    let mut kept_longest = 0;
    let mut at = |log: &EventLog, minute: i64, comes: bool| {
        NOW.store(minute * MINUTE, Ordering::Relaxed);
        if comes {
            put(log, Entry { accepted_at: minute * MINUTE, ..keyed(1, &format!("key {minute}"), 0) });
        }
        log.keep_from(log.events().end);
        log.expire().unwrap();
        let oldest = all(log, 0).first().map(|entry| entry.accepted_at / MINUTE);
        assert!(oldest.is_none_or(|oldest| minute - oldest <= 91), "{oldest:?} at {minute}");
        kept_longest = kept_longest.max(oldest.map_or(0, |oldest| minute - oldest));
    };
    for minute in 0..300 {
        at(&log, minute, minute % 7 == 0);
        if minute % 50 == 0 {
            drop(log);
            log = open();
        }
    }
    for minute in 300..400 {
        at(&log, minute, false);
    }
    assert!(all(&log, 0).is_empty(), "nothing comes, and yet they go");
    // 43 requests of two.
    assert_eq!(log.events(), 86..86);
    let files = std::fs::read_dir(dir.path()).unwrap().count();
    assert!(files <= 3, "{files}");
    assert!(put(&log, keyed(0, "key 294", 0)).replayed, "the keys are known for longer");
    at(&log, 400, true);
    assert_eq!(all(&log, 0).len(), 1);
    assert!(kept_longest > 80, "{kept_longest}");
    drop(log);
    assert_eq!(open().events(), 86..88);
}

/// What is still to be processed is kept however old it is.
#[test]
fn old_events_that_are_needed_stay() {
    static NOW: AtomicI64 = AtomicI64::new(0);
    let dir = tempfile::tempdir().unwrap();
    let clock = || NOW.load(Ordering::Relaxed);
    let log = EventLog::open(dir.path(), EventBounds { clock, ..EventBounds::default() }).unwrap();
    put(&log, entry(0, 1));
    put(&log, entry(1, 1));
    log.keep_from(1);
    NOW.store(micros(Duration::from_hours(100)), Ordering::Relaxed);
    log.expire().unwrap();
    assert_eq!(log.events(), 0..2);
    log.keep_from(2);
    log.expire().unwrap();
    assert_eq!(log.events(), 2..2);
}

#[test]
fn a_full_queue_refuses() {
    let dir = tempfile::tempdir().unwrap();
    let log = EventLog::open(dir.path(), EventBounds { queue_bytes: 30, ..bounds() }).unwrap();
    let writing = log.owner.inner.log.lock();
    let tickets: Vec<_> = (0..9).filter_map(|number| log.append(vec![entry(number, 1)]).ok()).collect();
    assert!((1..9).contains(&tickets.len()), "{}", tickets.len());
    assert!(matches!(log.append(vec![entry(1, 1)]), Err(AppendError::Full)));
    drop(writing);
    assert!(tickets.into_iter().all(|ticket| block_on(ticket).is_ok()));
}

#[test]
fn closing_writes_what_is_queued() {
    let dir = tempfile::tempdir().unwrap();
    let log = EventLog::open(dir.path(), bounds()).unwrap();
    let tickets: Vec<_> = (0..50).map(|number| log.append(vec![entry(number, 1)]).unwrap()).collect();
    log.close();
    assert!(matches!(log.append(vec![entry(1, 1)]), Err(AppendError::Stopped)));
    assert!(tickets.into_iter().all(|ticket| block_on(ticket).is_ok()));
    drop(log);
    let log = EventLog::open(dir.path(), bounds()).unwrap();
    assert_eq!(all(&log, 0).len(), 50);
}

/// What a power cut leaves where the witness was never synced.
#[test]
fn frames_ahead_of_the_witness_count_and_damage_to_them_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let small = EventBounds { file_bytes: 500, ..bounds() };
    let log = EventLog::open(dir.path(), small.clone()).unwrap();
    let witness = std::fs::read(dir.path().join("WITNESS")).unwrap();
    for number in 0..5 {
        put(&log, entry(number, 1));
    }
    drop(log);
    std::fs::write(dir.path().join("WITNESS"), &witness).unwrap();
    let files: Vec<(PathBuf, Vec<u8>)> = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|file| file.unwrap().path())
        .map(|path| (path.clone(), std::fs::read(path).unwrap()))
        .collect();
    let logs: Vec<_> = files.iter().filter(|(path, _)| path.extension().is_some()).collect();
    assert!(logs.len() > 2, "there are several files");
    let (last, tail) = logs.iter().max().unwrap();
    let opened = || {
        let log = EventLog::open(dir.path(), small.clone())?;
        Ok::<_, OpenError>(all(&log, 0).len())
    };
    let restore = || {
        for file in std::fs::read_dir(dir.path()).unwrap() {
            std::fs::remove_file(file.unwrap().path()).unwrap();
        }
        for (path, bytes) in &files {
            std::fs::write(path, bytes).unwrap();
        }
    };
    assert_eq!(opened().unwrap(), 5);
    for (path, bytes) in &logs {
        for at in 0..bytes.len() {
            restore();
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            std::fs::write(path, damaged).unwrap();
            match opened() {
                Err(OpenError::Damaged { .. } | OpenError::Newer { .. }) => {}
                Ok(4) if path == last => {}
                other => panic!("byte {at} of {}: {other:?}", path.display()),
            }
        }
    }
    for length in 0..tail.len() {
        restore();
        std::fs::write(last, &tail[..length]).unwrap();
        assert_eq!(opened().unwrap(), 4, "its last file cut at {length}");
    }
}

#[test]
fn a_backup_opens() {
    let dir = tempfile::tempdir().unwrap();
    let log = EventLog::open(&dir.path().join("a"), bounds()).unwrap();
    for number in 0..60 {
        put(&log, entry(number, 1));
    }
    log.backup_to(&dir.path().join("b")).unwrap();
    let copied = all(&log, 0);
    for number in 0..60 {
        put(&log, entry(number, 1));
    }
    let copy = EventLog::open(&dir.path().join("b"), bounds()).unwrap();
    assert_eq!(all(&copy, 0), copied);
}
