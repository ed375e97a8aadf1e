use std::collections::BTreeMap;
use std::time::Duration;

use arrow_array::{ArrayRef, Int64Array};
use arrow_cast::cast;
use arrow_schema::{DataType, Field};

use super::*;
use crate::{Change, Commit, CommitError, History, Memory, Snapshot, Store, StoreOptions, TableKind, hash_columns};

const TYPES: [DataType; 4] = [DataType::Int16, DataType::Int32, DataType::Int64, DataType::Decimal128(20, 0)];

/// Values by key, and those of the appended rows by id.
type State = (BTreeMap<i64, i64>, BTreeMap<i64, i64>);

fn schema(value: &DataType) -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("key", DataType::Int64, true), Field::new("value", value.clone(), true)]))
}

fn rows(value_type: &DataType, rows: &[(i64, i64)]) -> RecordBatch {
    let column = |of: fn(&(i64, i64)) -> i64| Arc::new(rows.iter().map(of).collect::<Int64Array>()) as ArrayRef;
    let values = cast(&column(|row| row.1), value_type).unwrap();
    RecordBatch::try_new(schema(value_type), vec![column(|row| row.0), values]).unwrap()
}

fn commit(store: &mut Store, changes: Vec<(&str, Change)>) -> Result<u64, CommitError> {
    let changes = changes.into_iter().map(|(table, change)| (table.to_owned(), change)).collect();
    store.commit(Commit { meta: Vec::new(), changes })
}

/// Gives keys the value in one table, and appends them to the other.
fn write(store: &mut Store, state: &mut State, value_type: &DataType, keys: &[i64], value: i64) {
    let batch = rows(value_type, &keys.iter().map(|key| (*key, value)).collect::<Vec<_>>());
    let hashes = hash_columns(&batch.columns()[..1], keys.len());
    let replaced = store.table("keyed").unwrap().lookup(&hashes).into_iter().map(|found| found.1).collect();
    let upsert = Change::Upsert { rows: batch.clone(), hashes, replaced };
    commit(store, vec![("keyed", upsert), ("rows", Change::Append { rows: batch })]).unwrap();
    let next = state.1.last_key_value().map_or(0, |(id, _)| id + 1);
    state.0.extend(keys.iter().map(|key| (*key, value)));
    state.1.extend((next..).zip(keys.iter().map(|_| value)));
}

/// Pairs of two columns, whatever their types; those of the value must be one.
fn pairs(snapshot: &Snapshot, first: usize, value_type: &DataType) -> BTreeMap<i64, i64> {
    let mut pairs = BTreeMap::new();
    for batch in snapshot.scan() {
        let batch = batch.unwrap();
        assert_eq!(batch.column(1).data_type(), value_type);
        let column = |at: usize| cast(batch.column(at), &DataType::Int64).unwrap();
        let (keys, values) = (column(first), column(1));
        let numbers = |column: &ArrayRef| {
            arrow_array::cast::AsArray::as_primitive::<arrow_array::types::Int64Type>(column).values().to_vec()
        };
        pairs.extend(numbers(&keys).into_iter().zip(numbers(&values)));
    }
    pairs
}

fn check(store: &Store, state: &State, value_type: &DataType) {
    let view = store.reader().view();
    assert_eq!(pairs(&view.snapshot("keyed").unwrap(), 0, value_type), state.0);
    assert_eq!(pairs(&view.snapshot("rows").unwrap(), 2, value_type), state.1);
}

#[test]
fn rows_of_every_width_are_read_with_the_widest() {
    // Files end often, so that chunks of each width are joined, moved and left behind.
    for memory in [Memory::unbounded(), Memory::new(0)] {
        let dir = tempfile::tempdir().unwrap();
        let options = StoreOptions { file_bytes: 256 << 10, memory, ..StoreOptions::default() };
        let mut store = Store::open(dir.path(), options.clone()).unwrap();
        let history = History { rows: 10, age: Duration::from_hours(1) };
        let create = |kind| Change::Create { kind, schema: schema(&TYPES[0]), history };
        commit(&mut store, vec![("keyed", create(TableKind::Keyed)), ("rows", create(TableKind::Append))]).unwrap();
        let mut state = State::default();
        let mut held = Vec::new();
        for (at, value_type) in TYPES.iter().enumerate() {
            if at > 0 {
                let widen = || Change::Widen { schema: schema(value_type) };
                commit(&mut store, vec![("keyed", widen()), ("rows", widen())]).unwrap();
                check(&store, &state, value_type);
            }
            let greatest = [i64::from(i16::MAX), i64::from(i32::MAX), i64::MAX, 7][at];
            write(&mut store, &mut state, value_type, &(0..10_000).collect::<Vec<_>>(), greatest);
            for key in 0..100 {
                write(&mut store, &mut state, value_type, &[key * 100 + at as i64], key);
            }
            check(&store, &state, value_type);
            held.push((store.reader().view(), state.clone(), value_type));
            drop(store);
            store = Store::open(dir.path(), options.clone()).unwrap();
            check(&store, &state, value_type);
        }
        for (view, state, value_type) in &held {
            assert_eq!(pairs(&view.snapshot("keyed").unwrap(), 0, value_type), state.0, "a view never changes");
        }
        let first: i64 = 15_000;
        state.1.retain(|id, _| *id >= first);
        commit(&mut store, vec![("rows", Change::Expire { before_row: first as u64 })]).unwrap();
        check(&store, &state, &TYPES[3]);
    }
}

#[test]
fn what_cannot_be_read_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path(), StoreOptions::default()).unwrap();
    let history = History { rows: 10, age: Duration::from_hours(1) };
    let create = Change::Create { kind: TableKind::Append, schema: schema(&DataType::Int32), history };
    commit(&mut store, vec![("rows", create)]).unwrap();
    let widen = |schema| ("rows", Change::Widen { schema });
    let list = DataType::List(Arc::new(Field::new_list_field(DataType::Int32, true)));
    let append = ("rows", Change::Append { rows: rows(&DataType::Int32, &[(1, 1)]) });
    let cases = [
        vec![widen(schema(&DataType::Struct([Arc::new(Field::new("a", list, true))].into())))],
        vec![widen(Arc::new(Schema::new(vec![Field::new("key", DataType::Int64, true)])))],
        vec![append, widen(schema(&DataType::Int64))],
        vec![("others", Change::Widen { schema: schema(&DataType::Int64) })],
    ];
    for changes in cases {
        let what = format!("{changes:?}");
        let error = commit(&mut store, changes).unwrap_err();
        assert!(matches!(error, CommitError::Invalid { .. }), "{what}: {error}");
    }
}
