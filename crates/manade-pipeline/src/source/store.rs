//! The file source's progress in the store: which files were read, and the steps in which they were.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, UInt64Type};
use manade_store::{Change, ReadError, Store, TableKind};

use super::Mark;
use super::file::{FileProgress, KnownFile, Step};
use crate::groups::{HISTORY, hash_of};
use crate::progress::Position;

const FILES: &str = "files";
const STEPS: &str = "steps";

/// Steps beyond which the oldest are forgotten; events before them cannot be read again for an added result.
const MOST_STEPS: u64 = 10_000_000;

/// Tables that the store does not have yet.
pub fn missing(store: &Store) -> Vec<(String, Change)> {
    let mut missing = Vec::new();
    let mut create = |name: &str, kind, schema| {
        if store.table(name).is_none() {
            missing.push((name.to_owned(), Change::Create { kind, schema, history: HISTORY }));
        }
    };
    create(FILES, TableKind::Keyed, files_schema());
    create(STEPS, TableKind::Append, steps_schema());
    missing
}

/// Records what was read.
pub fn changes(store: &Store, marks: &[Mark]) -> Result<Vec<(String, Change)>, ReadError> {
    let mut files: BTreeMap<u64, &KnownFile> = BTreeMap::new();
    let mut steps = Vec::new();
    for mark in marks {
        let Mark::File(mark) = mark else { continue };
        files.insert(mark.step.file, &mark.known);
        steps.push(mark.step);
    }
    let rows = file_rows(&files)?;
    let hashes = hash_of(&rows, &[0]);
    let found = store.table(FILES).map(|table| table.lookup(&hashes)).unwrap_or_default();
    let replaced = found.into_iter().map(|(_, row)| row).collect();
    let mut changes = vec![
        (FILES.to_owned(), Change::Upsert { rows, hashes, replaced }),
        (STEPS.to_owned(), Change::Append { rows: step_rows(&steps)? }),
    ];
    let kept = store.table(STEPS).map(manade_store::Table::row_ids).unwrap_or_default();
    if kept.end - kept.start > MOST_STEPS {
        changes.push((STEPS.to_owned(), Change::Expire { before_row: kept.end - MOST_STEPS }));
    }
    Ok(changes)
}

/// What was read up to the last commit; the steps only where a lane will need them.
pub fn load(store: &Store, with_steps: bool) -> Result<FileProgress, ReadError> {
    let mut progress = FileProgress::default();
    let view = store.reader().view();
    if let Some(files) = view.snapshot(FILES) {
        for batch in files.scan() {
            let batch = batch?;
            let numbers = batch.column(0).as_primitive::<UInt64Type>();
            let files = batch.column(1).as_string::<i32>();
            for row in 0..batch.num_rows() {
                if let Ok(known) = serde_json::from_str(files.value(row)) {
                    progress.files.insert(numbers.value(row), known);
                }
            }
        }
    }
    let Some(steps) = view.snapshot(STEPS) else {
        progress.steps = with_steps.then(Vec::new);
        return Ok(progress);
    };
    progress.position = Position(steps.row_ids().end);
    if with_steps {
        let mut all = vec![Step { file: u64::MAX, from: 0, to: 0 }; steps.row_ids().start as usize];
        for batch in steps.scan() {
            let batch = batch?;
            let column = |i: usize| batch.column(i).as_primitive::<UInt64Type>().values().to_vec();
            let (files, from, to) = (column(0), column(1), column(2));
            all.extend((0..batch.num_rows()).map(|i| Step { file: files[i], from: from[i], to: to[i] }));
        }
        progress.steps = Some(all);
    }
    Ok(progress)
}

fn files_schema() -> SchemaRef {
    let number = Field::new("number", DataType::UInt64, false);
    Arc::new(Schema::new(vec![number, Field::new("file", DataType::Utf8, false)]))
}

fn steps_schema() -> SchemaRef {
    let column = |name: &str| Field::new(name, DataType::UInt64, false);
    Arc::new(Schema::new(vec![column("file"), column("from"), column("to")]))
}

fn file_rows(files: &BTreeMap<u64, &KnownFile>) -> Result<RecordBatch, ReadError> {
    let numbers: ArrayRef = Arc::new(UInt64Array::from_iter_values(files.keys().copied()));
    let json = files.values().map(|known| serde_json::to_string(known).expect("a known file is plain data"));
    let json: ArrayRef = Arc::new(StringArray::from_iter_values(json));
    debug_assert_eq!(json.len(), numbers.len());
    Ok(RecordBatch::try_new(files_schema(), vec![numbers, json])?)
}

fn step_rows(steps: &[Step]) -> Result<RecordBatch, ReadError> {
    let column = |value: fn(&Step) -> u64| Arc::new(UInt64Array::from_iter_values(steps.iter().map(value))) as ArrayRef;
    let columns = vec![column(|s| s.file), column(|s| s.from), column(|s| s.to)];
    Ok(RecordBatch::try_new(steps_schema(), columns)?)
}
