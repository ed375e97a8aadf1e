//! `GET /data/{collection}/changes`.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array};
use manade_pipeline::collection::{ChangeKind, CollectionKind};

use super::Server;
use super::client::{Events, get, send};
use super::memory::{Memory, Platform};

fn start(kind: CollectionKind) -> (Server, Arc<Memory>) {
    let collection = Memory::new("numbers", kind, vec![("n", numbers(&[0, 1, 2]))]);
    let server = Server::start(Platform { collections: vec![Arc::clone(&collection)], ..Platform::default() });
    (server, collection)
}

fn numbers(of: &[i32]) -> ArrayRef {
    Arc::new(Int32Array::from(of.to_vec()))
}

fn commit(collection: &Memory, kind: ChangeKind, rows: &[(u64, i32)]) {
    let (keys, values): (Vec<u64>, Vec<i32>) = rows.iter().copied().unzip();
    collection.commit(kind, vec![numbers(&values)], &keys);
}

/// The next `count` events as `event data`, and the last one's id.
fn take(events: &mut Events, count: usize) -> (Vec<String>, String) {
    let mut taken = Vec::new();
    let mut last = String::new();
    while taken.len() < count {
        let (event, id, data) = events.next().expect("the feed goes on");
        if !event.is_empty() {
            taken.push(format!("{event} {data}"));
        }
        last = id;
    }
    (taken, last)
}

#[test]
fn changes_come_from_now_on() {
    let (server, collection) = start(CollectionKind::Keyed);
    let mut events = Events::open(server.address, "/data/numbers/changes", &[]);
    assert_eq!(events.next().unwrap(), (String::new(), "1@0".to_owned(), String::new()));
    commit(&collection, ChangeKind::Upsert, &[(1, 10), (7, 70)]);
    let (rows, id) = take(&mut events, 2);
    assert_eq!(rows, [r#"upsert {"n":10}"#, r#"upsert {"n":70}"#]);
    assert_eq!(id, "2@0");
    commit(&collection, ChangeKind::Delete, &[(1, 10)]);
    assert_eq!(take(&mut events, 1).0, [r#"delete {"n":10}"#]);
}

#[test]
fn a_snapshot_comes_first_where_it_is_asked_for() {
    let (server, collection) = start(CollectionKind::Append);
    let mut events = Events::open(server.address, "/data/numbers/changes?snapshot=true", &[]);
    let (rows, _) = take(&mut events, 3);
    assert_eq!(rows, [r#"append {"n":0}"#, r#"append {"n":1}"#, r#"append {"n":2}"#]);
    commit(&collection, ChangeKind::Append, &[(3, 3)]);
    assert_eq!(take(&mut events, 1), (vec![r#"append {"n":3}"#.to_owned()], "2@0".to_owned()));
}

#[test]
fn a_feed_resumes_behind_any_event() {
    let (server, collection) = start(CollectionKind::Append);
    commit(&collection, ChangeKind::Append, &[(3, 3), (4, 4), (5, 5)]);
    commit(&collection, ChangeKind::Append, &[(6, 6), (7, 7)]);
    // From the snapshot on: the ids of all events, then a feed from each of them has exactly the rest.
    let path = "/data/numbers/changes?snapshot=true";
    let ids = |headers: &[(&str, &str)], count: usize| {
        let mut events = Events::open(server.address, path, headers);
        (0..count).map(|_| take(&mut events, 1)).collect::<Vec<_>>()
    };
    let all = ids(&[], 8);
    for (at, (_, id)) in all.iter().enumerate().take(7) {
        let rest = ids(&[("last-event-id", id)], 7 - at);
        let (rest, expected): (Vec<_>, Vec<_>) = rest.iter().zip(&all[at + 1..]).map(|(a, b)| (&a.0, &b.0)).unzip();
        assert_eq!(rest, expected, "after {id}");
    }
    // The same for the changes since the first commit.
    let path = "/data/numbers/changes";
    let mut events = Events::open(server.address, path, &[("last-event-id", "1@0")]);
    events.next();
    let all: Vec<_> = (0..5).map(|_| take(&mut events, 1)).collect();
    assert_eq!(all[4].0, [r#"append {"n":7}"#]);
    for (at, (_, id)) in all.iter().enumerate().take(4) {
        let mut events = Events::open(server.address, path, &[("last-event-id", id)]);
        events.next();
        for expected in &all[at + 1..] {
            assert_eq!(take(&mut events, 1).0, expected.0, "after {id}");
        }
    }
}

#[test]
fn a_row_that_changed_after_it_was_sent_comes_again() {
    let (server, collection) = start(CollectionKind::Keyed);
    commit(&collection, ChangeKind::Upsert, &[(0, 10), (1, 11), (2, 12)]);
    let path = "/data/numbers/changes";
    let mut events = Events::open(server.address, path, &[("last-event-id", "1@0")]);
    events.next();
    let (_, id) = take(&mut events, 2);
    commit(&collection, ChangeKind::Upsert, &[(0, 20), (1, 21)]);
    let mut events = Events::open(server.address, path, &[("last-event-id", &id)]);
    events.next();
    let (mut rows, _) = take(&mut events, 3);
    rows.sort();
    assert_eq!(rows, [r#"upsert {"n":12}"#, r#"upsert {"n":20}"#, r#"upsert {"n":21}"#]);
}

#[test]
fn a_position_that_is_too_old_is_gone() {
    let (server, collection) = start(CollectionKind::Keyed);
    commit(&collection, ChangeKind::Upsert, &[(0, 10)]);
    collection.forget(2);
    for id in ["1@0", "nonsense", "99@0", "2", "2@1"] {
        let answer = send(server.address, "GET", "/data/numbers/changes", &[("last-event-id", id)], b"");
        assert_eq!(answer.status, 410, "{id}");
        assert!(answer.json()["hint"].as_str().unwrap().contains("snapshot=true"));
    }
    assert_eq!(get(server.address, "/data/numbers/changes?n=eq.1").status, 400);
    assert_eq!(get(server.address, "/data/none/changes").status, 404);
}

/// Commits are counted anew, so that the same number means others.
#[test]
fn a_position_in_what_was_there_before_is_gone() {
    let (server, collection) = start(CollectionKind::Keyed);
    let path = "/data/numbers/changes";
    let id = Events::open(server.address, path, &[]).next().unwrap().1;
    assert!(Events::open(server.address, path, &[("last-event-id", &id)]).next().is_some());
    collection.renew();
    assert_eq!(send(server.address, "GET", path, &[("last-event-id", &id)], b"").status, 410);
}

/// It cannot be told in the middle of a stream; the client learns it when it comes back.
#[test]
fn a_reader_that_fell_behind_is_cut_off_and_gone() {
    for kind in [CollectionKind::Keyed, CollectionKind::Append] {
        let (server, collection) = start(kind);
        let mut events = Events::open(server.address, "/data/numbers/changes", &[]);
        let (_, id, _) = events.next().unwrap();
        collection.forget(2);
        commit(&collection, ChangeKind::Append, &[(3, 3)]);
        assert_eq!(events.next(), None);
        let answer = send(server.address, "GET", "/data/numbers/changes", &[("last-event-id", &id)], b"");
        assert_eq!(answer.status, 410, "{kind:?}");
    }
}

#[test]
fn a_feed_ends_when_the_server_stops() {
    let (mut server, _) = start(CollectionKind::Keyed);
    let mut events = Events::open(server.address, "/data/numbers/changes", &[]);
    events.next();
    server.shut_down();
    assert_eq!(events.next(), None);
}
