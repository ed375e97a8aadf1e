//! Writes and syncs that fail at named places. Failpoints are global: each test sets up a scenario, which waits for the
//! one before.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, Int64Array, RecordBatch};
use fail::FailScenario;
use manade_store::{
    AppendError, Change, Commit, CommitError, Entry, EventBounds, EventLog, History, Store, StoreOptions, TableKind,
    hash_columns,
};

const PLACES: [&str; 4] = ["store::append", "store::sync", "store::witness", "store::rotate"];

fn options(file_bytes: u64) -> StoreOptions {
    StoreOptions { file_bytes, ..StoreOptions::default() }
}

fn batch(keys: &[i64], value: i64) -> RecordBatch {
    let column = |numbers: Vec<i64>| Arc::new(Int64Array::from(numbers)) as ArrayRef;
    RecordBatch::try_from_iter([("key", column(keys.to_vec())), ("value", column(vec![value; keys.len()]))]).unwrap()
}

/// Keys get a value, and a row is appended.
fn change(store: &Store, keys: &[i64], value: i64) -> Commit {
    let rows = batch(keys, value);
    let hashes = hash_columns(&rows.columns()[..1], keys.len());
    let replaced = store.table("keyed").unwrap().lookup(&hashes).into_iter().map(|found| found.1).collect();
    let changes = vec![
        ("keyed".to_owned(), Change::Upsert { rows: rows.clone(), hashes, replaced }),
        ("rows".to_owned(), Change::Append { rows }),
    ];
    Commit { meta: value.to_string().into_bytes(), changes }
}

fn create(dir: &Path, file_bytes: u64) -> Store {
    let mut store = Store::open(dir, options(file_bytes)).unwrap();
    let history = History { rows: 10, age: std::time::Duration::from_hours(1) };
    let table = |kind| Change::Create { kind, schema: batch(&[], 0).schema(), history };
    let changes = vec![("keyed".to_owned(), table(TableKind::Keyed)), ("rows".to_owned(), table(TableKind::Append))];
    store.commit(Commit { meta: Vec::new(), changes }).unwrap();
    store
}

type State = (BTreeMap<i64, i64>, Vec<i64>);

fn state(store: &Store) -> State {
    let view = store.reader().view();
    let pairs = |table: &str| -> Vec<(i64, i64)> {
        let batches = view.snapshot(table).unwrap().scan().map(Result::unwrap);
        let pairs = batches.flat_map(|batch| {
            let column = |at: usize| batch.column(at).as_primitive::<Int64Type>().values().to_vec();
            column(0).into_iter().zip(column(1))
        });
        pairs.collect()
    };
    (pairs("keyed").into_iter().collect(), pairs("rows").into_iter().map(|pair| pair.1).collect())
}

fn expected(values: &[i64]) -> State {
    let keyed = values.iter().flat_map(|value| [(1, *value), (100 + value, *value)]);
    (keyed.collect(), values.iter().flat_map(|value| [*value; 2]).collect())
}

#[test]
fn a_failed_commit_leaves_no_trace() {
    for place in PLACES {
        for (kind, times) in [("full", 1), ("other", 1), ("full", 3)] {
            for file_bytes in [1, 64 << 20] {
                if place == "store::rotate" && file_bytes > 1 {
                    continue;
                }
                check_failure(place, kind, times, file_bytes);
            }
        }
    }
}

fn check_failure(place: &str, kind: &str, times: i64, file_bytes: u64) {
    let case = format!("{place} {kind} {times}x, files of {file_bytes}");
    let scenario = FailScenario::setup();
    let dir = tempfile::tempdir().unwrap();
    let mut store = create(dir.path(), file_bytes);
    let commit = change(&store, &[1, 101], 1);
    store.commit(commit).unwrap();
    fail::cfg(place, &format!("{times}*return({kind})")).unwrap();
    for _ in 0..times {
        let commit = change(&store, &[1, 102], 2);
        let error = store.commit(commit).unwrap_err();
        match kind {
            "full" => assert!(matches!(error, CommitError::DiskFull { .. }), "{case}: {error}"),
            _ => assert!(matches!(error, CommitError::Io { .. }), "{case}: {error}"),
        }
        assert_eq!(state(&store), expected(&[1]), "{case}");
    }
    drop(store);
    let mut store = Store::open(dir.path(), options(file_bytes)).unwrap_or_else(|error| panic!("{case}: {error}"));
    assert_eq!(state(&store), expected(&[1]), "{case}");
    fail::cfg(place, &format!("{times}*return({kind})")).unwrap();
    for _ in 0..times {
        let commit = change(&store, &[1, 102], 2);
        store.commit(commit).unwrap_err();
    }
    let commit = change(&store, &[1, 103], 3);
    store.commit(commit).unwrap_or_else(|error| panic!("{case}: {error}"));
    assert_eq!(state(&store), expected(&[1, 3]), "{case}");
    drop(store);
    let store = Store::open(dir.path(), options(file_bytes)).unwrap_or_else(|error| panic!("{case}: {error}"));
    assert_eq!(state(&store), expected(&[1, 3]), "{case}");
    scenario.teardown();
}

#[test]
fn events_that_failed_are_refused_and_later_ones_accepted() {
    for place in PLACES {
        let scenario = FailScenario::setup();
        let dir = tempfile::tempdir().unwrap();
        let bounds = EventBounds { file_bytes: 1, ..EventBounds::default() };
        let log = EventLog::open(dir.path(), bounds.clone()).unwrap();
        let put = |text: &str| {
            let events = text.as_bytes().to_vec();
            let entry = Entry {
                events,
                format: 0,
                count: 1,
                meta: None,
                key: None,
                mark: None,
                accepted_at: manade_store::system_clock(),
            };
            futures::executor::block_on(log.append(vec![entry]).unwrap())
        };
        // The file that the log begins with has no events, and is dropped behind the first one's back.
        put("before").unwrap();
        put("first").unwrap();
        fail::cfg(place, "1*return(full)").unwrap();
        assert_eq!(put("second"), Err(AppendError::DiskFull), "{place}");
        assert_eq!(put("third").unwrap().first_event, 2, "{place}");
        let texts = |log: &EventLog| log.read(0).map(|entry| entry.unwrap().events).collect::<Vec<_>>();
        assert_eq!(texts(&log), ["before", "first", "third"], "{place}");
        log.close();
        let log = EventLog::open(dir.path(), bounds).unwrap();
        assert_eq!(texts(&log), ["before", "first", "third"], "{place}");
        scenario.teardown();
    }
}

/// The disk's trouble is shown until it takes events again, also where nobody sends any meanwhile.
#[test]
fn a_disk_that_takes_no_events_is_told_of() {
    let scenario = FailScenario::setup();
    let dir = tempfile::tempdir().unwrap();
    let log = EventLog::open(dir.path(), EventBounds::default()).unwrap();
    let put = || {
        let entry = Entry {
            events: vec![b' '; 1 << 20],
            format: 0,
            count: 1,
            meta: None,
            key: None,
            mark: None,
            accepted_at: manade_store::system_clock(),
        };
        futures::executor::block_on(log.append(vec![entry]).unwrap())
    };
    let files =
        || std::fs::read_dir(dir.path()).unwrap().map(|file| file.unwrap().metadata().unwrap().len()).sum::<u64>();
    put().unwrap();
    assert_eq!(log.trouble(), None);
    for place in PLACES.into_iter().filter(|place| *place != "store::rotate") {
        fail::cfg(place, "1*return(full)").unwrap();
        assert_eq!(put(), Err(AppendError::DiskFull), "{place}");
        assert!(log.trouble().unwrap().contains("is full"), "{place}");
        put().unwrap();
        assert_eq!(log.trouble(), None, "{place}");
    }
    let before = files();
    fail::cfg("store::append", "2*return(full)").unwrap();
    put().unwrap_err();
    assert!(log.trouble().unwrap().contains(".log is full"));
    let until = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while log.trouble().is_some() {
        assert!(std::time::Instant::now() < until, "the disk has room again");
        std::thread::yield_now();
    }
    assert_eq!(files(), before, "nothing is left of the trial");
    put().unwrap();
    scenario.teardown();
}
