//! One grouped result's stored state: merging what workers made of new events, and closing windows.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, filter_record_batch};
use arrow::datatypes::{DataType, Int64Type};
use arrow_row::{RowConverter, SortField};
use manade_sql::{Groups, Merger, Query, RowReader, SqlError, Stage, StateTable};
use manade_store::{Change, History, ReadError, RowRef, Store, TableKind, hash_columns};

/// Deleted keys that a change feed can still tell of.
pub const HISTORY: History = History { rows: 1_000_000, age: std::time::Duration::from_hours(24) };

pub struct GroupState {
    tables: Vec<StateOf>,
    merger: Merger,
    reader: RowReader,
    /// No stored window ends before this; `None` where it is not known.
    next_end: Option<i64>,
    /// Closed windows' rows leave the state and are appended elsewhere.
    emit_final: bool,
}

/// A state table and the name that it is stored under.
struct StateOf {
    name: String,
    table: StateTable,
}

/// New partial states of one table set, and the watermark before their first event.
pub struct Partial {
    pub watermark: Option<i64>,
    /// Main table first, then entry tables.
    pub groups: Vec<RecordBatch>,
}

/// What merging does to the store.
#[derive(Default)]
pub struct Merged {
    pub changes: Vec<(String, Change)>,
    /// Visible rows of windows that were closed, for `emit: final`.
    pub closed: Option<RecordBatch>,
    /// Groups that changed and stay.
    pub updated: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum GroupError {
    #[error(transparent)]
    Sql(#[from] SqlError),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Arrow(#[from] arrow::error::ArrowError),
}

/// What groups are kept.
#[derive(Debug, Clone, Copy, Default)]
pub struct GroupBounds {
    /// Of windows: those that end later.
    pub end: Option<i64>,
    /// Of groups without a window: those that changed after this commit.
    pub commit: Option<u64>,
    /// Bytes of state, about: those that changed last.
    pub size: Option<u64>,
}

/// What bounds let go.
#[derive(Default)]
pub struct Expired {
    pub changes: Vec<(String, Change)>,
    /// Rows of the collection.
    pub rows: u64,
    /// Bytes of rows that would have gone but for a sink that does not have them yet, about.
    pub held: u64,
}

/// Rows of a table that are to be written, beside the stored rows that they take the place of.
#[derive(Default)]
struct Working {
    rows: Vec<RecordBatch>,
    replaced: Vec<RowRef>,
    /// Stored sessions that were given another start or end, and so another key.
    gone: Option<RecordBatch>,
}

impl GroupState {
    pub fn new(result: &str, query: &Query, emit_final: bool) -> Result<Option<Self>, SqlError> {
        let Stage::Groups(Groups { main, entries, .. }) = &query.stage else { return Ok(None) };
        let tables = std::iter::once(main).chain(entries).enumerate();
        let tables = tables.map(|(i, table)| StateOf { name: state_name(result, i), table: table.clone() }).collect();
        let (merger, reader) = (query.merger()?, query.row_reader()?);
        Ok(Some(Self { tables, merger, reader, next_end: None, emit_final }))
    }

    /// Tables that the store does not have yet.
    pub fn missing(&self, store: &Store) -> Vec<(String, Change)> {
        let missing = self.tables.iter().filter(|of| store.table(&of.name).is_none());
        let create = |of: &StateOf| {
            let schema = Arc::clone(&of.table.schema);
            (of.name.clone(), Change::Create { kind: TableKind::Keyed, schema, history: HISTORY })
        };
        missing.map(create).collect()
    }

    /// Merges new partial states, in source order, with what is stored of the same groups, and closes the windows that
    /// end at or before `watermark`.
    pub fn merge(&mut self, store: &Store, partials: &[Partial], watermark: Option<i64>) -> Result<Merged, GroupError> {
        let mut working = self.working(store, partials)?;
        let mut merged = Merged::default();
        if let Some(watermark) = watermark
            && self.has_closing()
        {
            self.close(store, &mut working, watermark, &mut merged)?;
        }
        for (index, (of, working)) in self.tables.iter().zip(working).enumerate() {
            let written: u64 = working.rows.iter().map(|rows| rows.num_rows() as u64).sum();
            if index == 0 {
                merged.updated = written;
            }
            if written == 0 {
                if !working.replaced.is_empty() {
                    merged.changes.push((of.name.clone(), Change::Delete { rows: working.replaced, tombstones: None }));
                }
                continue;
            }
            let rows = concat_batches(&of.table.schema, &working.rows)?;
            let hashes = hash_of(&rows, &of.table.lookup_columns());
            if let Some(gone) = working.gone.filter(|gone| index == 0 && gone.num_rows() > 0) {
                let change = Change::Delete { rows: Vec::new(), tombstones: Some(gone) };
                merged.changes.push((of.name.clone(), change));
            }
            let change = Change::Upsert { rows, hashes, replaced: working.replaced };
            merged.changes.push((of.name.clone(), change));
        }
        Ok(merged)
    }

    /// The end of the last window that is open; where a source ends, the watermark moves there.
    pub fn last_end(&self, store: &Store) -> Result<Option<i64>, GroupError> {
        let of = &self.tables[0];
        let mut last = None;
        let Some(table) = store.table(&of.name) else { return Ok(None) };
        for batch in table.scan() {
            let (rows, _) = batch?;
            if let Some(ends) = window_ends(&rows, &of.table) {
                last = last.max(ends.values().iter().max().copied());
            }
        }
        Ok(last)
    }

    /// Drops groups beyond the bounds, each with its entries.
    pub fn expire(&self, store: &Store, bounds: &GroupBounds) -> Result<Expired, GroupError> {
        let main = &self.tables[0];
        let mut expired = Expired::default();
        let Some(table) = store.table(&main.name) else { return Ok(expired) };
        let oversized = self.oversized(store, bounds.size);
        let oldest = if oversized > 0 { oldest_rows(table, oversized)? } else { HashSet::new() };
        let windowed = main.table.window_start.is_some() || main.table.session.is_some();
        let key_columns: Vec<usize> = (0..main.table.key_columns).collect();
        let (mut rows, mut keys) = (Vec::new(), Vec::new());
        for batch in table.scan() {
            let (batch, refs) = batch?;
            let mut gone: Vec<bool> = refs.iter().map(|row| oldest.contains(row)).collect();
            if let (true, Some(end), Some(ends)) = (windowed, bounds.end, window_ends(&batch, &main.table)) {
                gone.iter_mut().zip(ends.values()).for_each(|(gone, e)| *gone |= *e <= end);
            }
            if let (false, Some(commit)) = (windowed, bounds.commit) {
                gone.iter_mut().zip(table.commits(&refs)).for_each(|(gone, c)| *gone |= c <= commit);
            }
            rows.extend(refs.iter().zip(&gone).filter(|(_, gone)| **gone).map(|(row, _)| *row));
            keys.push(filter_record_batch(&batch.project(&key_columns)?, &BooleanArray::from(gone))?);
        }
        if rows.is_empty() {
            return Ok(expired);
        }
        expired.rows = rows.len() as u64;
        let keys = concat_batches(&keys[0].schema(), &keys)?;
        for of in &self.tables[1..] {
            let rows = entries_of(store, of, &keys)?;
            if !rows.is_empty() {
                expired.changes.push((of.name.clone(), Change::Delete { rows, tombstones: None }));
            }
        }
        expired.changes.push((main.name.clone(), Change::Delete { rows, tombstones: Some(keys) }));
        Ok(expired)
    }

    /// How many groups are beyond a size in bytes, groups taken as equally large.
    fn oversized(&self, store: &Store, size: Option<u64>) -> u64 {
        let Some(size) = size else { return 0 };
        let tables = self.tables.iter().filter_map(|of| store.table(&of.name));
        let bytes: u64 = tables.map(manade_store::Table::bytes).sum();
        let groups = store.table(&self.tables[0].name).map_or(0, manade_store::Table::live_rows);
        if bytes <= size {
            return 0;
        }
        ((bytes - size) as f64 / bytes as f64 * groups as f64).ceil() as u64
    }

    fn working(&mut self, store: &Store, partials: &[Partial]) -> Result<Vec<Working>, GroupError> {
        let tables = self.tables.len();
        let mut all = Vec::with_capacity(tables);
        for index in 0..tables {
            let of = |partial: &Partial| partial.groups.get(index).filter(|rows| rows.num_rows() > 0).cloned();
            let rows: Vec<RecordBatch> = partials.iter().filter_map(of).collect();
            let working = if rows.is_empty() {
                Working::default()
            } else if self.tables[index].table.session.is_some() {
                self.merge_sessions(store, index, partials)?
            } else {
                self.merge_groups(store, index, rows)?
            };
            all.push(working);
        }
        Ok(all)
    }

    fn merge_groups(&mut self, store: &Store, index: usize, rows: Vec<RecordBatch>) -> Result<Working, GroupError> {
        let of = &self.tables[index];
        let (stored, replaced) = stored_rows(store, of, &rows)?;
        let inputs: Vec<RecordBatch> = stored.into_iter().chain(rows).collect();
        let merged = self.merger.merge(index, &inputs)?;
        Ok(Working { rows: vec![merged], replaced, gone: None })
    }

    /// Sessions are merged part by part: one that the watermark had closed before a part began takes no more events.
    fn merge_sessions(&mut self, store: &Store, index: usize, partials: &[Partial]) -> Result<Working, GroupError> {
        let of = &self.tables[index];
        let rows: Vec<RecordBatch> = partials.iter().filter_map(|p| p.groups.get(index).cloned()).collect();
        let (stored, replaced) = stored_rows(store, of, &rows)?;
        let mut closed = Vec::new();
        let mut open: Vec<RecordBatch> = stored.iter().cloned().collect();
        for partial in partials {
            let Some(new) = partial.groups.get(index).filter(|rows| rows.num_rows() > 0) else { continue };
            let mut inputs = Vec::new();
            for rows in open.drain(..) {
                let (past, present) = split(&rows, &self.tables[index].table, partial.watermark)?;
                closed.extend(past);
                inputs.extend(present);
            }
            inputs.push(new.clone());
            open.push(self.merger.merge(index, &inputs)?);
        }
        closed.extend(open);
        let gone =
            stored.map(|stored| other_keys(&stored, &closed, self.tables[index].table.key_columns)).transpose()?;
        Ok(Working { rows: closed, replaced, gone })
    }

    fn has_closing(&self) -> bool {
        self.emit_final
    }

    /// Takes closed windows out of the working rows and out of the store, and makes visible rows of them.
    fn close(
        &mut self,
        store: &Store,
        working: &mut [Working],
        watermark: i64,
        merged: &mut Merged,
    ) -> Result<(), GroupError> {
        let mut closed: Vec<Vec<RecordBatch>> = vec![Vec::new(); self.tables.len()];
        for ((of, working), closed) in self.tables.iter().zip(working.iter_mut()).zip(&mut closed) {
            for rows in std::mem::take(&mut working.rows) {
                let (past, present) = split(&rows, &of.table, Some(watermark))?;
                closed.extend(past);
                working.rows.extend(present);
            }
        }
        let new_end = working[0].rows.iter().filter_map(|rows| first_end(rows, &self.tables[0].table)).min();
        if self.next_end.is_none_or(|next| next <= watermark) {
            let mut rest = None;
            for (index, of) in self.tables.iter().enumerate() {
                let first = closed_in_store(store, of, watermark, &mut working[index], &mut closed[index])?;
                if index == 0 {
                    rest = first;
                }
            }
            self.next_end = Some(rest.unwrap_or(i64::MAX));
        }
        self.next_end = self.next_end.min(new_end.or(Some(i64::MAX)));
        if closed[0].iter().all(|rows| rows.num_rows() == 0) {
            return Ok(());
        }
        let whole = |(of, rows): (&StateOf, &Vec<RecordBatch>)| concat_batches(&of.table.schema, rows);
        let mut batches = self.tables.iter().zip(&closed).map(whole).collect::<Result<Vec<_>, _>>()?;
        let main = sorted_by_key(&batches.remove(0), &self.tables[0].table)?;
        merged.closed = Some(self.reader.rows(&main, &batches)?);
        Ok(())
    }
}

/// The rows that changed longest ago.
fn oldest_rows(table: &manade_store::Table, count: u64) -> Result<HashSet<RowRef>, ReadError> {
    let mut rows = Vec::new();
    for batch in table.scan() {
        let (_, refs) = batch?;
        rows.extend(table.commits(&refs).into_iter().zip(refs));
    }
    rows.sort_unstable();
    rows.truncate(count as usize);
    Ok(rows.into_iter().map(|(_, row)| row).collect())
}

/// Rows of an entry table that belong to groups with these keys.
fn entries_of(store: &Store, of: &StateOf, keys: &RecordBatch) -> Result<Vec<RowRef>, GroupError> {
    let Some(table) = store.table(&of.name) else { return Ok(Vec::new()) };
    let columns = of.table.group_columns;
    let fields = (0..columns).map(|column| SortField::new(keys.column(column).data_type().clone()));
    let converter = RowConverter::new(fields.collect())?;
    let gone: HashSet<Vec<u8>> =
        converter.convert_columns(&keys.columns()[..columns])?.iter().map(|key| key.data().to_vec()).collect();
    let mut rows = Vec::new();
    for batch in table.scan() {
        let (batch, refs) = batch?;
        let groups = converter.convert_columns(&batch.columns()[..columns])?;
        rows.extend(groups.iter().zip(refs).filter(|(group, _)| gone.contains(group.data())).map(|(_, row)| row));
    }
    Ok(rows)
}

/// The keys of `stored` that none of `rows` has.
fn other_keys(stored: &RecordBatch, rows: &[RecordBatch], key_columns: usize) -> Result<RecordBatch, GroupError> {
    let fields = (0..key_columns).map(|key| SortField::new(stored.column(key).data_type().clone()));
    let converter = RowConverter::new(fields.collect())?;
    let mut kept = HashSet::new();
    for batch in rows {
        let keys = converter.convert_columns(&batch.columns()[..key_columns])?;
        kept.extend(keys.iter().map(|key| key.data().to_vec()));
    }
    let keys = converter.convert_columns(&stored.columns()[..key_columns])?;
    let gone: BooleanArray = keys.iter().map(|key| Some(!kept.contains(key.data()))).collect();
    let columns: Vec<usize> = (0..key_columns).collect();
    Ok(filter_record_batch(&stored.project(&columns)?, &gone)?)
}

/// The name that a result's state is stored under; 0 is the main table.
pub fn state_name(result: &str, index: usize) -> String {
    if index == 0 { format!("state:{result}") } else { format!("state:{result}:{index}") }
}

/// The name that a result's appended rows are stored under.
pub fn rows_name(result: &str) -> String {
    format!("rows:{result}")
}

/// Drops all tables of a result.
pub fn drop_tables(store: &Store, result: &str) -> Vec<(String, Change)> {
    let own = |name: &&str| {
        **name == rows_name(result) || **name == state_name(result, 0) || name.starts_with(&format!("state:{result}:"))
    };
    store.tables().into_iter().filter(own).map(|name| (name.to_owned(), Change::Drop)).collect()
}

pub fn hash_of(rows: &RecordBatch, columns: &[usize]) -> Vec<u64> {
    let columns: Vec<ArrayRef> = columns.iter().map(|c| Arc::clone(rows.column(*c))).collect();
    hash_columns(&columns, rows.num_rows())
}

/// Stored rows that may be of the same groups as `rows`.
fn stored_rows(
    store: &Store,
    of: &StateOf,
    rows: &[RecordBatch],
) -> Result<(Option<RecordBatch>, Vec<RowRef>), GroupError> {
    let Some(table) = store.table(&of.name) else { return Ok((None, Vec::new())) };
    let columns = of.table.lookup_columns();
    let mut hashes: Vec<u64> = rows.iter().flat_map(|rows| hash_of(rows, &columns)).collect();
    hashes.sort_unstable();
    hashes.dedup();
    let found: Vec<RowRef> = table.lookup(&hashes).into_iter().map(|(_, row)| row).collect();
    if found.is_empty() {
        return Ok((None, found));
    }
    Ok((Some(table.gather(&found)?), found))
}

/// Stored rows of closed windows are moved to `closed`. Returns the first end of a window that stays.
fn closed_in_store(
    store: &Store,
    of: &StateOf,
    watermark: i64,
    working: &mut Working,
    closed: &mut Vec<RecordBatch>,
) -> Result<Option<i64>, GroupError> {
    let Some(table) = store.table(&of.name) else { return Ok(None) };
    let replaced: HashSet<RowRef> = working.replaced.iter().copied().collect();
    let mut rest: Option<i64> = None;
    for batch in table.scan() {
        let (rows, refs) = batch?;
        let Some(ends) = window_ends(&rows, &of.table) else { continue };
        let mut past = Vec::with_capacity(refs.len());
        for (end, row) in ends.values().iter().zip(&refs) {
            let stays = *end > watermark;
            let goes = !stays && !replaced.contains(row);
            if stays {
                rest = Some(rest.map_or(*end, |r| r.min(*end)));
            }
            if goes {
                working.replaced.push(*row);
            }
            past.push(goes);
        }
        closed.push(filter_record_batch(&rows, &BooleanArray::from(past))?);
    }
    Ok(rest)
}

/// Rows of windows that end at or before the watermark, and the others.
fn split(
    rows: &RecordBatch,
    table: &StateTable,
    watermark: Option<i64>,
) -> Result<(Option<RecordBatch>, Option<RecordBatch>), GroupError> {
    let (Some(watermark), Some(ends)) = (watermark, window_ends(rows, table)) else {
        return Ok((None, Some(rows.clone())));
    };
    let past: BooleanArray = ends.values().iter().map(|end| Some(*end <= watermark)).collect();
    match past.true_count() {
        0 => Ok((None, Some(rows.clone()))),
        all if all == rows.num_rows() => Ok((Some(rows.clone()), None)),
        _ => {
            let present = filter_record_batch(rows, &arrow::compute::not(&past)?)?;
            Ok((Some(filter_record_batch(rows, &past)?), Some(present)))
        }
    }
}

/// The ends of the rows' windows, microseconds since the epoch.
pub fn window_ends(rows: &RecordBatch, table: &StateTable) -> Option<arrow::array::Int64Array> {
    let micros = |column: usize| {
        let column = arrow::compute::cast(rows.column(column), &DataType::Int64).ok()?;
        Some(column.as_primitive::<Int64Type>().clone())
    };
    if let Some(session) = table.session {
        return micros(session.end);
    }
    let starts = micros(table.window_start?)?;
    Some(starts.unary(|start: i64| start.saturating_add(table.window_length)))
}

fn first_end(rows: &RecordBatch, table: &StateTable) -> Option<i64> {
    window_ends(rows, table)?.values().iter().min().copied()
}

/// Rows that are appended together stand in the order of their keys, whatever the batch that closed them.
fn sorted_by_key(rows: &RecordBatch, table: &StateTable) -> Result<RecordBatch, GroupError> {
    let fields = (0..table.key_columns).map(|key| SortField::new(rows.column(key).data_type().clone()));
    let converter = RowConverter::new(fields.collect())?;
    let keys = converter.convert_columns(&rows.columns()[..table.key_columns])?;
    let ends = window_ends(rows, table);
    let mut order: Vec<u32> = (0..rows.num_rows() as u32).collect();
    order.sort_by_key(|row| (ends.as_ref().map(|e| e.value(*row as usize)), keys.row(*row as usize)));
    Ok(arrow::compute::take_record_batch(rows, &UInt32Array::from(order))?)
}
