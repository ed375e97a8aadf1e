//! How fast state is looked up, read, replaced and committed: `state_speed FOLDER [GROUPS] [KEYS A BATCH] [BATCHES]`.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a developer's measurement")]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringViewArray};
use manade_store::{Change, Commit, History, RowRef, Store, StoreOptions, TableKind, hash_columns};

/// About 130 bytes a group: key, text, four integers, four floats.
fn rows(keys: &[i64], count: i64) -> RecordBatch {
    let mut columns: Vec<(String, ArrayRef)> = vec![
        ("key".into(), Arc::new(Int64Array::from(keys.to_vec()))),
        (
            "text".into(),
            Arc::new(keys.iter().map(|key| Some(format!("group number {key:>12}"))).collect::<StringViewArray>()),
        ),
    ];
    for column in 0..4 {
        let numbers = keys.iter().map(|key| key * column + count);
        columns.push((format!("n{column}"), Arc::new(numbers.clone().collect::<Int64Array>())));
        columns.push((format!("f{column}"), Arc::new(numbers.map(|number| number as f64).collect::<Float64Array>())));
    }
    RecordBatch::try_from_iter(columns).unwrap()
}

fn hashes(batch: &RecordBatch) -> Vec<u64> {
    hash_columns(&batch.columns()[..1], batch.num_rows())
}

/// xorshift64.
fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

fn main() {
    let mut args = std::env::args().skip(1);
    let dir = PathBuf::from(args.next().unwrap());
    let mut number = |default: usize| args.next().map_or(default, |arg| arg.parse().unwrap());
    let (groups, size, batches) = (number(1_000_000), number(100_000), number(40));
    let mut store = Store::open(&dir, StoreOptions::default()).unwrap();
    let history = History { rows: 1000, age: Duration::from_hours(1) };
    let schema = rows(&[], 0).schema();
    let create = Change::Create { kind: TableKind::Keyed, schema, history };
    store.commit(Commit { meta: Vec::new(), changes: vec![("state".into(), create)] }).unwrap();

    let began = Instant::now();
    let all: Vec<i64> = (0..groups as i64).collect();
    for keys in all.chunks(100_000) {
        let rows = rows(keys, 0);
        let hashes = hashes(&rows);
        let change = Change::Upsert { rows, hashes, replaced: Vec::new() };
        store.commit(Commit { meta: Vec::new(), changes: vec![("state".into(), change)] }).unwrap();
    }
    println!("{groups} groups loaded in {:.2} s", began.elapsed().as_secs_f64());

    let mut seed = 0x9e37_79b9_7f4a_7c15;
    let mut spent = [Duration::ZERO; 3];
    let mut commits = Vec::new();
    let mut touched = 0;
    for _ in 0..batches {
        let mut keys: Vec<i64> = (0..size).map(|_| (random(&mut seed) % groups as u64) as i64).collect();
        keys.sort_unstable();
        keys.dedup();
        touched += keys.len();
        let probes = hash_columns(&[Arc::new(Int64Array::from(keys.clone())) as ArrayRef], keys.len());
        let began = Instant::now();
        let found = store.table("state").unwrap().lookup(&probes);
        spent[0] += began.elapsed();
        let began = Instant::now();
        let replaced: Vec<RowRef> = found.iter().map(|found| found.1).collect();
        let rows = store.table("state").unwrap().gather(&replaced).unwrap();
        spent[1] += began.elapsed();
        assert_eq!(rows.column(0).as_primitive::<Int64Type>().values()[..], keys[..]);
        let began = Instant::now();
        let change = Change::Upsert { rows, hashes: probes, replaced };
        store.commit(Commit { meta: Vec::new(), changes: vec![("state".into(), change)] }).unwrap();
        commits.push(began.elapsed());
        spent[2] += began.elapsed();
    }
    let total: Duration = spent.iter().sum();
    let each = |spent: Duration| spent.as_nanos() as f64 / touched as f64;
    commits.sort_unstable();
    println!(
        "{touched} keys in batches of {size}: {:.0} K keys/s; ns a key: lookup {:.0}, gather {:.0}, commit {:.0}; \
         commit p50 {:.1} ms, max {:.1} ms; {} MB on disk",
        touched as f64 / total.as_secs_f64() / 1e3,
        each(spent[0]),
        each(spent[1]),
        each(spent[2]),
        commits[commits.len() / 2].as_secs_f64() * 1e3,
        commits[commits.len() - 1].as_secs_f64() * 1e3,
        store.bytes() >> 20,
    );
    drop(store);
    let began = Instant::now();
    let store = Store::open(&dir, StoreOptions::default()).unwrap();
    println!("reopened in {:.2} s, {} rows", began.elapsed().as_secs_f64(), store.table("state").unwrap().live_rows());
}
