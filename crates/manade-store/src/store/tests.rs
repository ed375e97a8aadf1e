use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, UInt64Type};
use arrow_array::{ArrayRef, Int64Array, StringViewArray};
use arrow_schema::{DataType, Field, Schema};
use proptest::prelude::*;

use super::*;
use crate::{Changed, ChangedKind, Snapshot, SnapshotError, hash_columns};

/// Key and value of every live row.
type Keyed = BTreeMap<i64, String>;
/// Id and value of every kept row.
type Rows = BTreeMap<u64, i64>;

#[derive(Debug, Clone, Default, PartialEq)]
struct Model {
    keyed: Keyed,
    rows: Rows,
    next_row: u64,
}

#[derive(Debug, Clone)]
enum Step {
    Upsert(Vec<i64>),
    Delete(Vec<i64>),
    Append(u8),
    /// So many commits of one row each.
    Trickle(u8),
    Expire(u8),
    Reopen,
    Hold,
}

fn step() -> impl Strategy<Value = Step> {
    let keys = || prop::collection::vec(0..40_i64, 0..12);
    prop_oneof![
        6 => keys().prop_map(Step::Upsert),
        3 => keys().prop_map(Step::Delete),
        3 => (0..20_u8).prop_map(Step::Append),
        1 => (0..100_u8).prop_map(Step::Trickle),
        1 => (0..30_u8).prop_map(Step::Expire),
        1 => Just(Step::Reopen),
        2 => Just(Step::Hold),
    ]
}

fn options() -> StoreOptions {
    StoreOptions { file_bytes: 6 << 10, ..StoreOptions::default() }
}

const HISTORY: History = History { rows: 30, age: Duration::from_hours(1) };

fn keyed_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("key", DataType::Int64, true), Field::new("value", DataType::Utf8View, true)]))
}

fn keyed_batch(rows: &[(i64, String)]) -> RecordBatch {
    let keys: Int64Array = rows.iter().map(|row| row.0).collect();
    let values: StringViewArray = rows.iter().map(|row| Some(row.1.as_str())).collect();
    RecordBatch::try_new(keyed_schema(), vec![Arc::new(keys), Arc::new(values)]).unwrap()
}

fn numbers_batch(name: &str, numbers: &[i64]) -> RecordBatch {
    let numbers: ArrayRef = Arc::new(Int64Array::from(numbers.to_vec()));
    RecordBatch::try_from_iter([(name, numbers)]).unwrap()
}

fn key_hashes(keys: &[i64]) -> Vec<u64> {
    hash_columns(&[Arc::new(Int64Array::from(keys.to_vec()))], keys.len())
}

fn create() -> Vec<(String, Change)> {
    let rows = numbers_batch("number", &[]).schema();
    let change = |kind, schema| Change::Create { kind, schema, history: HISTORY };
    vec![("keyed".into(), change(TableKind::Keyed, keyed_schema())), ("rows".into(), change(TableKind::Append, rows))]
}

fn unique(keys: &[i64]) -> Vec<i64> {
    keys.iter().copied().collect::<std::collections::BTreeSet<_>>().into_iter().collect()
}

/// The live rows of these keys.
fn found(store: &Store, keys: &[i64]) -> Vec<RowRef> {
    let table = store.table("keyed").unwrap();
    let rows: Vec<RowRef> = table.lookup(&key_hashes(keys)).into_iter().map(|found| found.1).collect();
    let batch = table.gather(&rows).unwrap();
    for key in batch.column(0).as_primitive::<Int64Type>().values() {
        assert!(keys.contains(key), "no two of these keys share a hash");
    }
    rows
}

fn commit(store: &mut Store, changes: Vec<(&str, Change)>) -> u64 {
    let meta = format!("{{\"after\":{}}}", store.last_commit()).into_bytes();
    let changes = changes.into_iter().map(|(table, change)| (table.to_owned(), change)).collect();
    store.commit(Commit { meta, changes }).unwrap()
}

fn upsert(store: &Store, model: &mut Model, keys: &[i64], value: &str) -> Change {
    let keys = unique(keys);
    let rows: Vec<_> =
        keys.iter().map(|key| (*key, format!("{value} of {key}, long enough not to be inlined"))).collect();
    model.keyed.extend(rows.iter().cloned());
    Change::Upsert { rows: keyed_batch(&rows), hashes: key_hashes(&keys), replaced: found(store, &keys) }
}

fn delete(store: &Store, model: &mut Model, keys: &[i64]) -> Change {
    let keys: Vec<i64> = unique(keys).into_iter().filter(|key| model.keyed.remove(key).is_some()).collect();
    Change::Delete { rows: found(store, &keys), tombstones: Some(numbers_batch("key", &keys)) }
}

fn append(model: &mut Model, count: u64) -> Change {
    let numbers: Vec<i64> = (model.next_row..model.next_row + count).map(|id| id as i64 * 7).collect();
    for number in &numbers {
        model.rows.insert(model.next_row, *number);
        model.next_row += 1;
    }
    Change::Append { rows: numbers_batch("number", &numbers) }
}

fn add_rows(rows: &mut Keyed, batch: &RecordBatch) {
    let keys = batch.column(0).as_primitive::<Int64Type>();
    let values = batch.column(1).as_string_view();
    for row in 0..batch.num_rows() {
        rows.insert(keys.value(row), values.value(row).to_owned());
    }
}

fn read_keyed(snapshot: &Snapshot) -> Result<Keyed, ReadError> {
    let mut rows = Keyed::new();
    for batch in snapshot.scan() {
        add_rows(&mut rows, &batch?);
    }
    Ok(rows)
}

fn read_rows(snapshot: &Snapshot) -> Result<Rows, ReadError> {
    let mut rows = Rows::new();
    for batch in snapshot.scan() {
        let batch = batch?;
        let numbers = batch.column(0).as_primitive::<Int64Type>().values().iter().copied();
        rows.extend(batch.column(1).as_primitive::<UInt64Type>().values().iter().copied().zip(numbers));
    }
    Ok(rows)
}

fn read(reader: &Reader) -> Result<Model, ReadError> {
    let view = reader.view();
    let (Some(keyed), Some(rows)) = (view.snapshot("keyed"), view.snapshot("rows")) else {
        return Ok(Model::default());
    };
    Ok(Model { keyed: read_keyed(&keyed)?, rows: read_rows(&rows)?, next_row: rows.row_ids().end })
}

/// Applying the changes since a commit to the rows of that commit gives the present rows.
fn check_changes(snapshot: &Snapshot, since: u64, before: &Keyed, now: &Keyed) {
    let changes = match snapshot.changes(since) {
        Ok(changes) => changes,
        Err(SnapshotError::TooOld { oldest }) => return assert!(oldest > since),
        Err(error) => panic!("{error}"),
    };
    let mut rows = before.clone();
    let mut last = since;
    for change in changes {
        let change = change.unwrap();
        assert!(change.commit > since && change.commit >= last);
        last = change.commit;
        match change.kind {
            ChangedKind::Upsert => add_rows(&mut rows, &change.rows),
            ChangedKind::Delete => {
                for key in change.rows.column(0).as_primitive::<Int64Type>().values() {
                    rows.remove(key);
                }
            }
            ChangedKind::Append => panic!("a keyed table has no appended rows"),
        }
    }
    assert_eq!(&rows, now, "changes since {since}");
}

/// `appended`: the commit of each row that is kept; `dropped`: the newest commit that wrote one which is not.
fn check_appended(snapshot: &Snapshot, appended: &BTreeMap<u64, u64>, dropped: u64) {
    for since in (0..=snapshot.commit()).step_by(1 + snapshot.commit() as usize / 50).chain([dropped]) {
        let mut found = Vec::new();
        let changes = match snapshot.changes(since) {
            Err(SnapshotError::TooOld { oldest }) => {
                assert!(since < dropped && oldest == dropped, "since {since} of {oldest}, {dropped}");
                continue;
            }
            changes => changes.unwrap(),
        };
        assert!(since >= dropped, "{since} is before {dropped}");
        for changed in changes {
            let Changed { commit, kind, rows } = changed.unwrap();
            assert_eq!(kind, ChangedKind::Append);
            found.extend(rows.column(1).as_primitive::<UInt64Type>().values().iter().map(|id| (*id, commit)));
        }
        let expected: Vec<_> = appended.iter().map(|(id, commit)| (*id, *commit)).filter(|row| row.1 > since).collect();
        assert_eq!(found, expected, "changes since {since}");
    }
}

/// Leaves the rows that are kept; the newest commit of the others.
fn forget(appended: &mut BTreeMap<u64, u64>, model: &Model) -> u64 {
    let dropped = appended.iter().filter(|(id, _)| !model.rows.contains_key(id)).map(|(_, commit)| *commit).max();
    appended.retain(|id, _| model.rows.contains_key(id));
    dropped.unwrap_or_default()
}

fn check_lookups(snapshot: &Snapshot, rows: &Keyed) {
    for key in 0..40 {
        let mut found = Keyed::new();
        add_rows(&mut found, &snapshot.lookup(key_hashes(&[key])[0]).unwrap());
        let expected: Keyed = rows.get(&key).map(|value| (key, value.clone())).into_iter().collect();
        assert_eq!(found, expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn equals_a_map(steps in prop::collection::vec(step(), 1..160)) {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path(), options()).unwrap();
        store.commit(Commit { meta: vec![], changes: create() }).unwrap();
        let mut model = Model::default();
        let mut states = vec![Keyed::new(), Keyed::new()];
        let mut held = Vec::new();
        // The commit of each row that was appended.
        let mut appended = BTreeMap::new();
        for (at, step) in steps.iter().enumerate() {
            let change = match step {
                Step::Upsert(keys) => ("keyed", upsert(&store, &mut model, keys, &format!("value {at}"))),
                Step::Delete(keys) => ("keyed", delete(&store, &mut model, keys)),
                Step::Append(count) => {
                    let first = model.next_row;
                    let change = append(&mut model, u64::from(*count));
                    appended.extend((first..model.next_row).map(|id| (id, store.last_commit() + 1)));
                    ("rows", change)
                }
                Step::Trickle(count) => {
                    for _ in 0..*count {
                        appended.insert(model.next_row, store.last_commit() + 1);
                        let change = append(&mut model, 1);
                        commit(&mut store, vec![("rows", change)]);
                        states.push(model.keyed.clone());
                    }
                    continue;
                }
                Step::Expire(count) => {
                    let before = model.rows.keys().next().map_or(model.next_row, |first| first + u64::from(*count));
                    model.rows.retain(|id, _| *id >= before);
                    ("rows", Change::Expire { before_row: before })
                }
                Step::Reopen => {
                    let meta = store.meta().map(<[u8]>::to_vec);
                    drop(store);
                    store = Store::open(dir.path(), options()).unwrap();
                    prop_assert_eq!(store.meta().map(<[u8]>::to_vec), meta);
                    prop_assert_eq!(&read(&store.reader()).unwrap(), &model);
                    continue;
                }
                Step::Hold => {
                    held.push((store.reader().snapshot("keyed").unwrap(), model.keyed.clone()));
                    continue;
                }
            };
            let number = commit(&mut store, vec![change]);
            states.push(model.keyed.clone());
            prop_assert_eq!(number as usize, states.len() - 1);
            prop_assert_eq!(store.table("keyed").unwrap().live_rows(), model.keyed.len() as u64);
        }
        let reader = store.reader();
        prop_assert_eq!(&read(&reader).unwrap(), &model);
        let snapshot = reader.snapshot("keyed").unwrap();
        for (since, before) in states.iter().enumerate().skip(1) {
            check_changes(&snapshot, since as u64, before, &model.keyed);
        }
        check_lookups(&snapshot, &model.keyed);
        let dropped = forget(&mut appended, &model);
        check_appended(&reader.snapshot("rows").unwrap(), &appended, dropped);
        for (snapshot, rows) in held {
            prop_assert_eq!(&read_keyed(&snapshot).unwrap(), &rows);
            check_lookups(&snapshot, &rows);
        }
    }
}

/// A store with some commits and the states after each.
fn small(dir: &Path, commits: usize) -> (Store, Vec<Model>) {
    small_with(dir, commits, options())
}

fn small_with(dir: &Path, commits: usize, options: StoreOptions) -> (Store, Vec<Model>) {
    let mut store = Store::open(dir, options).unwrap();
    store.commit(Commit { meta: vec![], changes: create() }).unwrap();
    let mut model = Model::default();
    let mut states = vec![Model::default(), Model::default()];
    for at in 0..commits as i64 {
        let keys: Vec<i64> = (at % 5..at % 5 + 4).collect();
        let change = upsert(&store, &mut model, &keys, &format!("value {at}"));
        let gone = [(at + 2) % 5];
        commit(&mut store, vec![("keyed", change), ("rows", append(&mut model, 2))]);
        states.push(model.clone());
        let change = delete(&store, &mut model, &gone);
        commit(&mut store, vec![("keyed", change)]);
        states.push(model.clone());
    }
    (store, states)
}

type Files = BTreeMap<PathBuf, Vec<u8>>;

fn files(dir: &Path) -> Files {
    let mut files = Files::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
            } else {
                files.insert(path.clone(), std::fs::read(&path).unwrap());
            }
        }
    }
    files
}

/// Puts files back, in a folder that may have others.
fn restore(dir: &Path, files: &Files) {
    for (path, bytes) in self::files(dir) {
        if !files.contains_key(&path) {
            std::fs::remove_file(&path).unwrap();
        } else if files[&path] != bytes {
            std::fs::write(&path, &files[&path]).unwrap();
        }
    }
    for (path, bytes) in files {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        if !path.exists() {
            std::fs::write(path, bytes).unwrap();
        }
    }
}

/// What a reader of the folder gets: the state, or damage that names a file.
fn outcome(dir: &Path) -> Option<(u64, Model)> {
    let store = match Store::open(dir, options()) {
        Ok(store) => store,
        Err(OpenError::Damaged { path, .. } | OpenError::Newer { path, .. }) => {
            assert!(path.starts_with(dir), "{path:?}");
            return None;
        }
        Err(error) => panic!("{error:?}"),
    };
    match read(&store.reader()) {
        Ok(model) => Some((store.last_commit(), model)),
        Err(ReadError::Damaged { path, .. }) => {
            assert!(path.starts_with(dir), "{path:?}");
            None
        }
        Err(error) => panic!("{error:?}"),
    }
}

#[test]
fn a_flipped_byte_is_found_or_harmless() {
    let dir = tempfile::tempdir().unwrap();
    let (store, states) = small(dir.path(), 4);
    let right = (store.last_commit(), states.last().unwrap().clone());
    drop(store);
    let files = files(dir.path());
    let mut harmless = 0;
    for (path, bytes) in &files {
        // Every seventh byte, in other places of other files; of the witness, what is used and a little of the rest.
        let witness = path.ends_with("WITNESS");
        let places = (path.as_os_str().len() % 7..bytes.len()).step_by(7).filter(|at| !witness || at % 4096 < 256);
        for at in places {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << (at % 8);
            std::fs::write(path, &damaged).unwrap();
            match outcome(dir.path()) {
                None => {}
                Some(state) => {
                    assert!(state == right, "byte {at} of {}", path.display());
                    harmless += 1;
                }
            }
            restore(dir.path(), &files);
        }
    }
    assert!(harmless <= 2 * 256 / 7 + 2, "only the witness has bytes that do not matter: {harmless}");
}

/// What a process that was killed leaves behind the last frame.
#[test]
fn room_behind_the_last_frame_is_no_damage() {
    let dir = tempfile::tempdir().unwrap();
    let (store, states) = small(dir.path(), 4);
    let live = files(dir.path());
    let right = Some((store.last_commit(), states.last().unwrap().clone()));
    drop(store);
    let ended = files(dir.path());
    let with_room: Vec<&PathBuf> = live.keys().filter(|path| live[*path].len() > ended[*path].len()).collect();
    assert!(!with_room.is_empty(), "frames are written over zeros");
    for path in with_room {
        let end = ended[path].len();
        assert!(live[path][end..].iter().all(|byte| *byte == 0));
        for at in [end, end + 1, end.midpoint(live[path].len()), live[path].len() - 1] {
            restore(dir.path(), &live);
            let mut touched = live[path].clone();
            touched[at] ^= 1 << (at % 8);
            std::fs::write(path, &touched).unwrap();
            assert_eq!(outcome(dir.path()), right, "byte {at} of {}", path.display());
        }
    }
}

#[test]
fn a_missing_or_shortened_file_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let (store, states) = small(dir.path(), 60);
    let right = (store.last_commit(), states.last().unwrap().clone());
    drop(store);
    let files = files(dir.path());
    assert!(files.len() > 4, "several files of each log: {:?}", files.keys());
    for (path, bytes) in &files {
        std::fs::remove_file(path).unwrap();
        assert_eq!(outcome(dir.path()), None, "{}", path.display());
        restore(dir.path(), &files);
        for len in (0..bytes.len()).step_by(61) {
            std::fs::write(path, &bytes[..len]).unwrap();
            assert_eq!(outcome(dir.path()), None, "{} cut to {len}", path.display());
            restore(dir.path(), &files);
        }
    }
    assert_eq!(outcome(dir.path()), Some(right));
}

/// Whether the last frame is in the file of those before, or in a new one.
#[test]
fn a_crash_between_frame_and_witness() {
    for file_bytes in [1 << 20, 1] {
        check_crash(StoreOptions { file_bytes, ..options() });
    }
}

fn check_crash(options: StoreOptions) {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, mut states) = small_with(dir.path(), 3, options);
    let witness = dir.path().join("log/WITNESS");
    let before = files(dir.path());
    let mut model = states.last().unwrap().clone();
    let change = upsert(&store, &mut model, &[1, 2, 3], "the last");
    let last = commit(&mut store, vec![("keyed", change), ("rows", append(&mut model, 3))]);
    states.push(model);
    drop(store);
    let after = files(dir.path());
    let mut torn = after.clone();
    torn.insert(witness.clone(), before[&witness].clone());

    let state = |commit: u64| Some((commit, states[commit as usize].clone()));
    restore(dir.path(), &torn);
    assert_eq!(outcome(dir.path()), state(last), "the whole frame counts");

    let log = dir.path().join("log");
    let changed = |(path, bytes): &(&PathBuf, &Vec<u8>)| {
        path.starts_with(&log) && **path != witness && before.get(*path) != Some(*bytes)
    };
    let (path, whole) = after.iter().find(changed).unwrap();
    let start = before.get(path).map_or(0, Vec::len);
    for len in (start..whole.len()).step_by(11) {
        torn.insert(path.clone(), whole[..len].to_vec());
        restore(dir.path(), &torn);
        assert_eq!(outcome(dir.path()), state(last - 1), "cut to {len} bytes");
        let mut garbled = whole.clone();
        garbled[len] ^= 1;
        torn.insert(path.clone(), garbled);
        restore(dir.path(), &torn);
        assert_eq!(outcome(dir.path()), state(last - 1), "byte {len} garbled");
    }
    for len in (start..whole.len()).step_by(11) {
        let mut cut = after.clone();
        cut.insert(path.clone(), whole[..len].to_vec());
        restore(dir.path(), &cut);
        assert_eq!(outcome(dir.path()), None, "an acknowledged frame is cut to {len} bytes");
    }
}

#[test]
fn a_stale_witness_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, states) = small(dir.path(), 3);
    let old = std::fs::read(dir.path().join("log/WITNESS")).unwrap();
    let mut model = states.last().unwrap().clone();
    for _ in 0..2 {
        let change = upsert(&store, &mut model, &[1], "later");
        commit(&mut store, vec![("keyed", change)]);
    }
    drop(store);
    std::fs::write(dir.path().join("log/WITNESS"), old).unwrap();
    assert_eq!(outcome(dir.path()), None);
}

#[test]
fn readers_see_whole_commits() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path(), StoreOptions { file_bytes: 256 << 10, ..options() }).unwrap();
    store.commit(Commit { meta: vec![], changes: create() }).unwrap();
    let keys: Vec<i64> = (0..1000).collect();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for seed in 0..3_i64 {
            let (reader, done) = (store.reader(), &done);
            scope.spawn(move || {
                let mut seen = 0;
                while !done.load(Ordering::Relaxed) {
                    let view = reader.view();
                    assert!(view.commit() >= seen);
                    seen = view.commit();
                    let Some(snapshot) = view.snapshot("keyed").filter(|rows| rows.rows() > 0) else { continue };
                    let value =
                        |rows: &Keyed| rows.values().next().map(|value| value.split(' ').next().unwrap().to_owned());
                    let rows = read_keyed(&snapshot).unwrap();
                    let first = value(&rows);
                    assert_eq!(rows.len(), 1000);
                    assert!(rows.values().all(|value| value.split(' ').next().map(str::to_owned) == first));
                    let mut one = Keyed::new();
                    add_rows(&mut one, &snapshot.lookup(key_hashes(&[(seen as i64 * 7 + seed) % 1000])[0]).unwrap());
                    assert_eq!((one.len(), value(&one)), (1, first));
                }
            });
        }
        let mut model = Model::default();
        for at in 0..400 {
            let change = upsert(&store, &mut model, &keys, &format!("v{at}"));
            commit(&mut store, vec![("keyed", change)]);
        }
        done.store(true, Ordering::Relaxed);
    });
    assert!(store.bytes() < 4 << 20, "space is bounded: {}", store.bytes());
}

#[test]
fn space_is_bounded_while_cold_rows_stay() {
    let dir = tempfile::tempdir().unwrap();
    let options = StoreOptions { file_bytes: 64 << 10, ..options() };
    let mut store = Store::open(dir.path(), options.clone()).unwrap();
    store.commit(Commit { meta: vec![], changes: create() }).unwrap();
    let mut model = Model::default();
    let cold: Vec<i64> = (1000..3000).collect();
    let change = upsert(&store, &mut model, &cold, "cold");
    commit(&mut store, vec![("keyed", change)]);
    for at in 0..2000 {
        let change = upsert(&store, &mut model, &[at % 100, 200], &format!("hot {at}"));
        commit(&mut store, vec![("keyed", change)]);
    }
    assert!(store.bytes() < 1 << 20, "{} bytes for {} rows", store.bytes(), model.keyed.len());
    assert!(store.table("keyed").unwrap().scan().count() < 100, "small chunks are joined");
    drop(store);
    let store = Store::open(dir.path(), options).unwrap();
    assert_eq!(read(&store.reader()).unwrap(), model);
}

#[test]
fn rows_beyond_the_bound_are_mapped() {
    let dir = tempfile::tempdir().unwrap();
    let options = StoreOptions { file_bytes: 1 << 20, memory: Memory::new(100 << 10), ..options() };
    let mut store = Store::open(dir.path(), options.clone()).unwrap();
    store.commit(Commit { meta: vec![], changes: create() }).unwrap();
    let mut model = Model::default();
    for round in 0..6 {
        for part in 0..4 {
            let keys: Vec<i64> = (0..2000).map(|key| key * 7 % 8000 + part).collect();
            let change = upsert(&store, &mut model, &keys, &format!("round {round}"));
            commit(&mut store, vec![("keyed", change)]);
        }
    }
    let resident = |store: &Store| -> u64 {
        let Contents::Keyed(table) = &store.table("keyed").unwrap().contents else { panic!("it is keyed") };
        table.parts.iter().map(|part| part.chunk.resident()).sum()
    };
    assert!(resident(&store) <= 100 << 10);
    assert_eq!(read(&store.reader()).unwrap(), model);
    drop(store);
    let store = Store::open(dir.path(), options).unwrap();
    assert!(resident(&store) <= 100 << 10);
    assert_eq!(read(&store.reader()).unwrap(), model);
    check_lookups(
        &store.reader().snapshot("keyed").unwrap(),
        &model.keyed.range(..40).map(|(k, v)| (*k, v.clone())).collect(),
    );
}

/// Of two stores with one bound: the second maps its rows while the first takes all of it, and no longer once that is gone.
#[test]
fn the_bound_is_shared() {
    let dir = tempfile::tempdir().unwrap();
    let options = StoreOptions { memory: Memory::new(300 << 10), ..StoreOptions::default() };
    let resident = |store: &Store| -> u64 {
        let Contents::Keyed(table) = &store.table("keyed").unwrap().contents else { panic!("it is keyed") };
        table.parts.iter().map(|part| part.chunk.resident()).sum()
    };
    let filled = |name: &str| {
        let mut store = Store::open(&dir.path().join(name), options.clone()).unwrap();
        store.commit(Commit { meta: vec![], changes: create() }).unwrap();
        let mut model = Model::default();
        for part in 0..3 {
            let keys: Vec<i64> = (part * 1000..(part + 1) * 1000).collect();
            let change = upsert(&store, &mut model, &keys, "a value");
            commit(&mut store, vec![("keyed", change)]);
        }
        assert_eq!(read(&store.reader()).unwrap(), model);
        store
    };
    let first = filled("first");
    assert!(resident(&first) > 200 << 10, "one fits: {}", resident(&first));
    let second = filled("second");
    assert!(resident(&first) + resident(&second) <= 300 << 10, "{} + {}", resident(&first), resident(&second));
    drop(first);
    let third = filled("third");
    assert!(resident(&third) > 100 << 10, "room was given back: {}", resident(&third));
}

#[test]
fn a_refused_commit_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, states) = small(dir.path(), 3);
    let last = store.last_commit();
    let row = RowRef { chunk: 9999, row: 0 };
    let batch = keyed_batch(&[(1, "x".into())]);
    let wrong: Vec<(&str, Change)> = vec![
        ("keyed", Change::Upsert { rows: batch.clone(), hashes: vec![], replaced: vec![] }),
        ("keyed", Change::Upsert { rows: batch.clone(), hashes: vec![1], replaced: vec![row] }),
        ("keyed", Change::Upsert { rows: numbers_batch("key", &[1]), hashes: vec![1], replaced: vec![] }),
        ("keyed", Change::Append { rows: batch.clone() }),
        ("rows", Change::Append { rows: batch.clone() }),
        ("rows", Change::Delete { rows: vec![], tombstones: None }),
        ("none", Change::Drop),
        ("keyed", create().remove(0).1),
    ];
    for (table, change) in wrong {
        let changes = vec![("rows".to_owned(), append(&mut Model::default(), 2)), (table.to_owned(), change)];
        let error = store.commit(Commit { meta: vec![], changes }).unwrap_err();
        assert!(matches!(&error, CommitError::Invalid { table: named, .. } if named == table), "{error}");
    }
    assert_eq!((store.last_commit(), &read(&store.reader()).unwrap()), (last, states.last().unwrap()));
    drop(store);
    assert_eq!(outcome(dir.path()), Some((last, states.last().unwrap().clone())));
}

#[test]
fn tables_come_and_go() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, _) = small(dir.path(), 3);
    let old = store.reader().view();
    let before = read_rows(&old.snapshot("rows").unwrap()).unwrap();
    let mut changes = vec![("rows".to_owned(), Change::Drop), ("keyed".to_owned(), Change::Drop)];
    changes.extend(create());
    let mut model = Model::default();
    changes.push(("rows".to_owned(), append(&mut model, 5)));
    store.commit(Commit { meta: vec![], changes }).unwrap();
    assert_eq!(read(&store.reader()).unwrap(), model);
    assert_eq!(read_rows(&old.snapshot("rows").unwrap()).unwrap(), before, "a reader keeps what it reads");
    drop((store, old));
    let store = Store::open(dir.path(), options()).unwrap();
    assert_eq!(read(&store.reader()).unwrap(), model);
    let folders = std::fs::read_dir(dir.path()).unwrap().count();
    assert_eq!(folders, 2, "the dropped table's folder is gone");
}

#[test]
fn a_backup_opens() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, states) = small(&dir.path().join("a"), 40);
    let mut model = states.last().unwrap().clone();
    store.backup_to(&dir.path().join("b")).unwrap();
    let right = (store.last_commit(), model.clone());
    assert!(store.backup_to(&dir.path().join("b")).is_err(), "the target is not empty");
    for _ in 0..50 {
        let change = upsert(&store, &mut model, &[1, 2], "later");
        commit(&mut store, vec![("keyed", change), ("rows", append(&mut model, 9))]);
    }
    assert_eq!(outcome(&dir.path().join("b")), Some(right));
}

/// Commits of ten rows, as a quiet source makes them.
#[test]
fn many_small_commits_open_fast() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path(), StoreOptions::default()).unwrap();
    store.commit(Commit { meta: vec![], changes: create() }).unwrap();
    let mut model = Model::default();
    for at in 0..3000 {
        let keys: Vec<i64> = (0..10).map(|key| (at * 7919 + key * 31) % 5000).collect();
        let change = upsert(&store, &mut model, &keys, "a value");
        commit(&mut store, vec![("keyed", change)]);
    }
    drop(store);
    let store = Store::open(dir.path(), StoreOptions::default()).unwrap();
    assert_eq!(read(&store.reader()).unwrap(), model);
    assert!(store.table("keyed").unwrap().scan().count() <= 66, "small chunks were joined");
}

/// Commits of one row, as a result without an aggregate gets them from a quiet source.
#[test]
fn a_trickle_of_appended_rows_is_joined() {
    let dir = tempfile::tempdir().unwrap();
    let options = StoreOptions { file_bytes: 64 << 10, ..StoreOptions::default() };
    let mut store = Store::open(dir.path(), options.clone()).unwrap();
    store.commit(Commit { meta: vec![], changes: create() }).unwrap();
    let mut model = Model::default();
    let mut appended = BTreeMap::new();
    for row in 0..5000 {
        let change = append(&mut model, 1);
        appended.insert(row, commit(&mut store, vec![("rows", change)]));
    }
    let held = store.reader().snapshot("rows").unwrap();
    // 5000 is 1, 14 and 8 in base 64.
    assert_eq!(held.scan().count(), 1 + 14 + 8);
    assert!(store.bytes() < 512 << 10, "what was joined is left behind: {} bytes", store.bytes());
    check_appended(&held, &appended, 0);
    drop(store);
    let mut store = Store::open(dir.path(), options.clone()).unwrap();
    assert_eq!(read(&store.reader()).unwrap(), model);
    check_appended(&store.reader().snapshot("rows").unwrap(), &appended, 0);
    // Expired rows go from the middle of a chunk as well.
    model.rows.retain(|id, _| *id >= 4000);
    commit(&mut store, vec![("rows", Change::Expire { before_row: 4000 })]);
    let dropped = forget(&mut appended, &model);
    check_appended(&store.reader().snapshot("rows").unwrap(), &appended, dropped);
    drop(store);
    let store = Store::open(dir.path(), options).unwrap();
    check_appended(&store.reader().snapshot("rows").unwrap(), &appended, dropped);
    assert_eq!(read_rows(&held).unwrap().len(), 5000, "a snapshot never changes");
}

#[test]
fn a_store_can_go_to_another_thread_and_readers_to_all() {
    fn check<T: Send>(_: &T) {}
    fn check_shared<T: Send + Sync + Clone>(_: &T) {}
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = small(dir.path(), 1);
    check(&store);
    check_shared(&store.reader());
    check_shared(&store.reader().view());
    check_shared(&store.reader().snapshot("keyed").unwrap());
}

#[test]
fn waiting_ends_with_the_commit_or_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, _) = small(dir.path(), 1);
    let last = store.last_commit();
    let reader = store.reader();
    assert_eq!(reader.wait_beyond(last, Duration::from_millis(1)), last);
    let waiting = std::thread::spawn({
        let reader = reader.clone();
        move || reader.wait_beyond(last, Duration::from_mins(1))
    });
    commit(&mut store, vec![]);
    assert_eq!(waiting.join().unwrap(), last + 1);
    let waiting = std::thread::spawn(move || reader.wait_beyond(last + 1, Duration::from_mins(1)));
    store.close();
    assert_eq!(waiting.join().unwrap(), last + 1);
}
