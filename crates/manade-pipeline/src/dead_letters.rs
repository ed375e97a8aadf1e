//! Dead letters in the store: kept, listed, tried again, dropped, and bounded by age and size.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, Int64Array, RecordBatch, StringArray, UInt64Array};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef, UInt64Type};
use manade_store::{Change, ReadError, Reader, RowRef, Store, TableKind};

use crate::dead_letter::{DeadLetter, DeadLetterFilter, Stage};
use crate::groups::{HISTORY, hash_of};
use crate::job::{Dead, RawFormat};
use crate::progress::Progress;

const TABLE: &str = "dead";

/// Bounds of what is kept.
#[derive(Debug, Clone, Copy)]
pub struct DeadLetterBounds {
    pub age: Duration,
    /// Bytes of raw events.
    pub size: u64,
}

impl Default for DeadLetterBounds {
    fn default() -> Self {
        Self { age: Duration::from_hours(168), size: 1 << 30 }
    }
}

/// What is kept, as far as commits need to know it.
pub struct DeadLetters {
    bounds: DeadLetterBounds,
    /// When each was found (microseconds since the epoch) and how many bytes it has, by id.
    kept: BTreeMap<u64, (i64, u64)>,
    bytes: u64,
    /// Tried again in the commit that is being built.
    tried: Vec<u64>,
    /// To be dropped in the commit that is being built.
    dropped: Vec<u64>,
}

/// A dead letter with what it takes to decode it again.
pub struct Stored {
    pub letter: DeadLetter,
    pub source: RawFormat,
}

impl DeadLetters {
    pub fn load(store: &Store, bounds: DeadLetterBounds) -> Result<Self, ReadError> {
        let mut letters = Self { bounds, kept: BTreeMap::new(), bytes: 0, tried: Vec::new(), dropped: Vec::new() };
        for stored in stored(&store.reader()) {
            let letter = stored?.letter;
            letters.bytes += letter.raw.len() as u64;
            letters.kept.insert(letter.id, (letter.time, letter.raw.len() as u64));
        }
        Ok(letters)
    }

    pub fn len(&self) -> u64 {
        self.kept.len() as u64
    }

    pub fn contains(&self, id: u64) -> bool {
        self.kept.contains_key(&id)
    }

    pub fn missing(store: &Store) -> Option<(String, Change)> {
        let create = || Change::Create { kind: TableKind::Keyed, schema: schema(), history: HISTORY };
        store.table(TABLE).is_none().then(|| (TABLE.to_owned(), create()))
    }

    /// These are tried again with the commit that is being built: those that fail again stay.
    pub fn tried(&mut self, ids: &[u64]) {
        self.tried.extend_from_slice(ids);
    }

    pub fn dropped(&mut self, ids: Vec<u64>) {
        self.dropped.extend(ids);
    }

    /// New dead letters, each with the result that it belongs to.
    pub fn changes(
        &mut self,
        store: &Store,
        dead: Vec<(Option<String>, Dead)>,
        progress: &mut Progress,
        now: i64,
    ) -> Result<Vec<(String, Change)>, ReadError> {
        let mut gone: HashSet<u64> = self.tried.drain(..).chain(self.dropped.drain(..)).collect();
        let mut rows = Vec::new();
        for (result, letter) in dead {
            if let Some(id) = letter.again {
                gone.remove(&id);
            } else {
                rows.push((progress.next_dead_letter, result, letter));
                progress.next_dead_letter += 1;
            }
        }
        for id in &gone {
            if let Some((_, bytes)) = self.kept.remove(id) {
                self.bytes -= bytes;
            }
        }
        for (id, _, letter) in &rows {
            self.kept.insert(*id, (now, letter.raw.len() as u64));
            self.bytes += letter.raw.len() as u64;
        }
        let expired = self.expire(now);
        progress.counters.expired += expired.len() as u64;
        rows.retain(|(id, ..)| !expired.contains(id));
        gone.extend(expired);
        let mut changes = Vec::new();
        let refs = refs_of(store, &gone);
        if !refs.is_empty() {
            changes.push((TABLE.to_owned(), Change::Delete { rows: refs, tombstones: None }));
        }
        if !rows.is_empty() {
            let rows = batch(rows, now)?;
            let hashes = hash_of(&rows, &[0]);
            changes.push((TABLE.to_owned(), Change::Upsert { rows, hashes, replaced: Vec::new() }));
        }
        Ok(changes)
    }

    /// The oldest beyond the bounds, which are no longer kept.
    fn expire(&mut self, now: i64) -> HashSet<u64> {
        let age = i64::try_from(self.bounds.age.as_micros()).unwrap_or(i64::MAX);
        let mut expired = HashSet::new();
        while let Some((id, (time, bytes))) = self.kept.first_key_value().map(|(id, of)| (*id, *of)) {
            if self.bytes <= self.bounds.size && time >= now.saturating_sub(age) {
                break;
            }
            self.kept.remove(&id);
            self.bytes -= bytes;
            expired.insert(id);
        }
        expired
    }
}

/// All that are kept, in no order.
pub fn stored(reader: &Reader) -> Box<dyn Iterator<Item = Result<Stored, ReadError>>> {
    let Some(snapshot) = reader.snapshot(TABLE) else { return Box::new(std::iter::empty()) };
    let letters = |batch: Result<RecordBatch, ReadError>| match batch {
        Ok(batch) => (0..batch.num_rows()).map(|row| Ok(letter(&batch, row))).collect::<Vec<_>>(),
        Err(e) => vec![Err(e)],
    };
    Box::new(snapshot.scan().flat_map(letters))
}

/// Those that a filter means, by id.
pub fn select(reader: &Reader, filter: &DeadLetterFilter) -> Result<Vec<Stored>, ReadError> {
    let mut selected = Vec::new();
    for stored in stored(reader) {
        let stored = stored?;
        if matches(filter, &stored.letter) {
            selected.push(stored);
        }
    }
    selected.sort_by_key(|stored| stored.letter.id);
    Ok(selected)
}

/// The letters with these ids that are still there, in order.
pub fn load(store: &Store, ids: &[u64]) -> Result<Vec<Stored>, ReadError> {
    let Some(table) = store.table(TABLE) else { return Ok(Vec::new()) };
    let rows = table.gather(&refs_of(store, &ids.iter().copied().collect()))?;
    let mut letters: Vec<Stored> = (0..rows.num_rows()).map(|row| letter(&rows, row)).collect();
    letters.sort_by_key(|stored| stored.letter.id);
    Ok(letters)
}

fn matches(filter: &DeadLetterFilter, letter: &DeadLetter) -> bool {
    filter.ids.as_ref().is_none_or(|ids| ids.contains(&letter.id))
        && filter.stage.is_none_or(|stage| stage == letter.stage)
        && filter.reason.as_ref().is_none_or(|reason| letter.reason.contains(reason.as_str()))
        && filter.result.as_ref().is_none_or(|result| letter.result.as_ref() == Some(result))
}

fn refs_of(store: &Store, ids: &HashSet<u64>) -> Vec<RowRef> {
    let Some(table) = store.table(TABLE) else { return Vec::new() };
    let ids: ArrayRef = Arc::new(UInt64Array::from_iter_values(ids.iter().copied()));
    let hashes = manade_store::hash_columns(&[Arc::clone(&ids)], ids.len());
    table.lookup(&hashes).into_iter().map(|(_, row)| row).collect()
}

fn schema() -> SchemaRef {
    let column = |name: &str, data_type: DataType| Field::new(name, data_type, true);
    Arc::new(Schema::new(vec![
        column("id", DataType::UInt64),
        column("stage", DataType::Utf8),
        column("result", DataType::Utf8),
        column("reason", DataType::Utf8),
        column("position", DataType::Utf8),
        column("time", DataType::Int64),
        column("length", DataType::UInt64),
        column("raw", DataType::Binary),
        column("source", DataType::Utf8),
    ]))
}

fn batch(rows: Vec<(u64, Option<String>, Dead)>, now: i64) -> Result<RecordBatch, ReadError> {
    let stage = |dead: &Dead| serde_json::to_string(&dead.stage).expect("a stage is a word").replace('"', "");
    let source = |dead: &Dead| serde_json::to_string(&dead.source).expect("a raw format is plain data");
    let columns: Vec<ArrayRef> = vec![
        Arc::new(UInt64Array::from_iter_values(rows.iter().map(|r| r.0))),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|r| stage(&r.2)))),
        Arc::new(rows.iter().map(|r| r.1.as_deref()).collect::<StringArray>()),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|r| &r.2.reason))),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|r| &r.2.position))),
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|_| now))),
        Arc::new(UInt64Array::from_iter_values(rows.iter().map(|r| r.2.length))),
        Arc::new(BinaryArray::from_iter_values(rows.iter().map(|r| &r.2.raw))),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|r| source(&r.2)))),
    ];
    Ok(RecordBatch::try_new(schema(), columns)?)
}

fn letter(batch: &RecordBatch, row: usize) -> Stored {
    let text = |column: usize| batch.column(column).as_string::<i32>().value(row);
    let number = |column: usize| batch.column(column).as_primitive::<UInt64Type>().value(row);
    let letter = DeadLetter {
        id: number(0),
        stage: serde_json::from_value(serde_json::Value::from(text(1))).unwrap_or(Stage::Decode),
        result: batch.column(2).is_valid(row).then(|| text(2).to_owned()),
        reason: text(3).to_owned(),
        position: text(4).to_owned(),
        time: batch.column(5).as_primitive::<Int64Type>().value(row),
        length: number(6),
        raw: batch.column(7).as_binary::<i32>().value(row).to_vec(),
    };
    let source = serde_json::from_str(text(8)).unwrap_or_default();
    Stored { letter, source }
}
