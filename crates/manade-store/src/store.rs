//! Tables that change by atomic, durable commits.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_schema::SchemaRef;

use crate::Clock;
use crate::catalog::{Body, MovedRecord, RowsBody};
use crate::edit::{Edit, catalog};
use crate::error::{CommitError, OpenError, ReadError};
use crate::keyed::Keyed;
use crate::log::{Authority, Depth, Log, LogOptions, create_dirs, sync_dir};
use crate::memory::{Memory, Share};
use crate::reader::{Reader, Shared};
use crate::replay;
use crate::rows::{MovedRows, RowChunk, RowTable};

#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// For keyed rows that are kept on the heap; what is beyond is mapped from its file.
    pub memory: Memory,
    /// A log file is ended once it has this many bytes.
    pub file_bytes: u64,
    /// Nothing is written; commits are refused.
    pub read_only: bool,
    pub clock: Clock,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self { memory: Memory::unbounded(), file_bytes: 64 << 20, read_only: false, clock: crate::system_clock }
    }
}

/// Where a keyed table's row stands; valid until the next call of [`Store::commit`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RowRef {
    pub chunk: u32,
    pub row: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableKind {
    /// Rows are found by a hash of their key and replaced.
    Keyed,
    /// Rows are numbered from 0 and only added; the oldest are dropped.
    Append,
}

/// How many deleted keys a keyed table remembers for [`crate::Snapshot::changes`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct History {
    pub rows: u64,
    pub age: Duration,
}

/// Applied whole or not at all.
#[derive(Debug, Clone)]
pub struct Commit {
    /// Opaque; [`Store::meta`] gives the last one back.
    pub meta: Vec<u8>,
    /// Table and change, applied in order. Row refs mean rows as they were before the commit.
    pub changes: Vec<(String, Change)>,
}

#[derive(Debug, Clone)]
pub enum Change {
    /// A table of a new name; changes of it may follow in the same commit.
    Create {
        kind: TableKind,
        schema: SchemaRef,
        history: History,
    },
    Drop,
    /// Columns get wider types, in the commit before any of its rows are written. Those of a key cannot: rows are found
    /// by its hash.
    Widen {
        schema: SchemaRef,
    },
    /// Keyed: new rows with their hashes, and the rows that they supersede.
    Upsert {
        rows: RecordBatch,
        hashes: Vec<u64>,
        replaced: Vec<RowRef>,
    },
    /// Keyed: `tombstones` are the keys (any schema, the same for a table) that readers must see deleted.
    Delete {
        rows: Vec<RowRef>,
        tombstones: Option<RecordBatch>,
    },
    Append {
        rows: RecordBatch,
    },
    /// Append: drops the rows with an id below.
    Expire {
        before_row: u64,
    },
}

/// A store in a folder of its own. One thread commits; any number read through [`Reader`]s.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    options: StoreOptions,
    log: Log,
    /// The logs of append tables by table id.
    row_logs: HashMap<u32, Log>,
    next_table: u32,
    current: Arc<Version>,
    shared: Arc<Shared>,
    memory: Share,
}

/// The state after a commit.
#[derive(Debug, Default)]
pub(crate) struct Version {
    pub commit: u64,
    /// When it was made, microseconds since the epoch; never falls.
    pub time: i64,
    pub meta: Option<Vec<u8>>,
    pub tables: BTreeMap<String, Table>,
}

impl Store {
    /// Opens or creates the store, replays its log and verifies it.
    pub fn open(dir: &Path, options: StoreOptions) -> Result<Self, OpenError> {
        let replay::Opened { log, row_logs, next_table, version } = replay::open(dir, &options)?;
        let current = Arc::new(version);
        let shared = Arc::new(Shared::new(Arc::clone(&current)));
        let memory = Share::of(&options.memory);
        let mut store = Self { dir: dir.to_owned(), options, log, row_logs, next_table, current, shared, memory };
        store.spill();
        Ok(store)
    }

    /// What the last commit said; `None` before the first.
    pub fn meta(&self) -> Option<&[u8]> {
        self.current.meta.as_deref()
    }

    /// The last commit's number; 0 before the first.
    pub fn last_commit(&self) -> u64 {
        self.current.commit
    }

    /// Writes durably, then shows to readers. Returns the commit's number.
    pub fn commit(&mut self, commit: Commit) -> Result<u64, CommitError> {
        if self.options.read_only {
            return Err(CommitError::ReadOnly { path: self.dir.clone() });
        }
        self.settle()?;
        let number = self.log.tip().frame + 1;
        let time = (self.options.clock)().max(self.current.time);
        let mut edit = Edit::new(self.current.tables.clone(), self.next_table, number, time, commit.meta.clone());
        for (table, change) in commit.changes {
            edit.apply(&table, change)?;
        }
        let first_file = edit.maintain(&self.log, &self.row_logs)?;
        if let Err(error) = self.write(&mut edit, first_file) {
            self.abandon(&edit);
            return Err(error);
        }
        self.finish(&edit);
        self.next_table = edit.next_table;
        self.show(edit, commit.meta);
        Ok(number)
    }

    pub fn table(&self, name: &str) -> Option<&Table> {
        self.current.tables.get(name)
    }

    /// Names, sorted.
    pub fn tables(&self) -> Vec<&str> {
        self.current.tables.keys().map(String::as_str).collect()
    }

    pub fn reader(&self) -> Reader {
        Reader::new(Arc::clone(&self.shared))
    }

    /// Bytes on disk.
    pub fn bytes(&self) -> u64 {
        self.log.bytes() + self.row_logs.values().map(Log::bytes).sum::<u64>()
    }

    /// Copies the last commit's state into `target`, an empty or new folder, so that it opens there.
    pub fn backup_to(&self, target: &Path) -> Result<(), CommitError> {
        let io = |source| CommitError::io("write", target, source);
        create_dirs(target).map_err(io)?;
        if std::fs::read_dir(target).map_err(io)?.next().is_some() {
            return Err(io(std::io::ErrorKind::DirectoryNotEmpty.into()));
        }
        for (id, log) in &self.row_logs {
            log.copy_to(&rows_dir(target, *id))?;
        }
        self.log.copy_to(&log_dir(target))?;
        sync_dir(target).map_err(io)
    }

    /// Ends waiting readers. Everything is durable already.
    pub fn close(self) {}

    /// Everything up to and with the durable frame.
    fn write(&mut self, edit: &mut Edit, first_file: Option<u64>) -> Result<(), CommitError> {
        let mut body = Body { time: edit.time, ops: std::mem::take(&mut edit.ops), ..Body::default() };
        if self.log.will_rotate() {
            body.catalog = Some(catalog(&self.current.tables, self.next_table, &self.row_logs));
        }
        self.write_rows(edit, &mut body)?;
        let (_, places) = self.log.append(&body, edit.payload.iter().map(Buffer::as_slice).collect())?;
        if let Some(first) = first_file {
            self.log.begin_with(first);
        }
        self.log.confirm()?;
        edit.place(&places);
        Ok(())
    }

    /// Writes new rows of append tables into their logs and lets these begin after what has expired.
    fn write_rows(&mut self, edit: &mut Edit, body: &mut Body) -> Result<(), CommitError> {
        for (id, kind) in &edit.created {
            let live = edit.tables.values().any(|table| table.id() == *id);
            if *kind == TableKind::Append && live {
                let log = open_rows(&self.dir, *id, Authority::Told(None), &self.options, |_| Ok(()));
                self.row_logs.insert(*id, log.map_err(CommitError::Damaged)?);
            }
        }
        let names: Vec<String> = edit.tables.keys().cloned().collect();
        let mut appends = std::mem::take(&mut edit.appends);
        for name in names {
            let Some(Contents::Append(table)) = edit.tables.get(&name).map(|table| &table.contents) else { continue };
            let Some(log) = self.row_logs.get_mut(&table.id) else { continue };
            if let Some(chunks) = appends.remove(&table.id) {
                let rows: Vec<u32> = chunks.iter().map(|(_, rows)| *rows).collect();
                let first = table.ids.end - rows.iter().map(|rows| u64::from(*rows)).sum::<u64>();
                let moved = edit.moved.remove(&table.id).unwrap_or_default();
                let record = |moved: &MovedRows| {
                    let MovedRows { first, rows, level, commits, .. } = *moved;
                    MovedRecord { first, rows, level, commits }
                };
                let body = RowsBody { commit: edit.number, first, rows, moved: moved.iter().map(record).collect() };
                let sections = moved.iter().flat_map(|moved| &moved.sections).map(Vec::as_slice);
                let sections = sections.chain(chunks.iter().map(|(bytes, _)| bytes.as_slice())).collect();
                let (_, places) = log.append(&body, sections)?;
                let table = edit.append_table(&name)?;
                let chunks = RowChunk::of_frame(&body, &places, table.schemas.now());
                for chunk in chunks.expect("a section is written for each") {
                    table.put(chunk);
                }
            }
            let table = edit.append_table(&name)?;
            let first = table.first_file().unwrap_or(log.pending().file);
            if first > log.pending().first_file {
                log.begin_with(first);
            }
            if log.pending() != log.tip() {
                body.tips.push((table.id, log.pending()));
            }
        }
        Ok(())
    }

    /// After a commit that failed: leaves no trace of it, as far as that can be done now.
    fn abandon(&mut self, edit: &Edit) {
        if let Err(error) = self.settle() {
            let path = self.dir.display();
            tracing::warn!(%path, %error, commit = edit.number, "cannot take a failed commit back yet");
        }
    }

    /// Takes a failed commit back. The logs of append tables come last: while the frame that speaks of their rows may
    /// still be found, so must these.
    fn settle(&mut self) -> Result<(), CommitError> {
        self.log.recover()?;
        for log in self.row_logs.values_mut().filter(|log| log.pending() != log.tip()) {
            log.abandon();
        }
        let tables = &self.current.tables;
        self.row_logs.retain(|id, _| tables.values().any(|table| table.id() == *id));
        Ok(())
    }

    /// The frame is durable: what it says of other files holds.
    fn finish(&mut self, edit: &Edit) {
        for (id, kind) in &edit.dropped {
            if let (TableKind::Append, Some(log)) = (kind, self.row_logs.remove(id)) {
                log.doom();
            }
        }
        for log in self.row_logs.values_mut() {
            // Such a log has no witness of its own: nothing is written.
            if let Err(error) = log.confirm() {
                tracing::error!(%error, "cannot confirm the rows of an append table");
            }
        }
    }

    fn show(&mut self, mut edit: Edit, meta: Vec<u8>) {
        for table in edit.tables.values_mut() {
            let Contents::Keyed(table) = &mut table.contents else { continue };
            if let Some(change) = edit.index.remove(&table.id) {
                let step = table.index.advance(&table.step, change);
                Arc::make_mut(table).step = step;
            }
        }
        let version = Version { commit: edit.number, time: edit.time, meta: Some(meta), tables: edit.tables };
        self.current = Arc::new(version);
        self.shared.show(Arc::clone(&self.current));
        self.spill();
    }

    /// Keeps the rows on the heap within their bound: the oldest chunks are taken from their files instead.
    fn spill(&mut self) {
        if !self.options.memory.is_bounded() {
            return;
        }
        let tables = self.current.tables.values().filter_map(|table| match &table.contents {
            Contents::Keyed(table) => Some(table),
            Contents::Append(_) => None,
        });
        let mut chunks: Vec<_> = tables.flat_map(|table| table.parts.iter().map(|part| &part.chunk)).collect();
        let mut resident: u64 = chunks.iter().map(|chunk| chunk.resident()).sum();
        if self.memory.set(resident) == 0 {
            return;
        }
        chunks.sort_by_key(|chunk| (chunk.file(), chunk.id));
        for chunk in chunks.into_iter().filter(|chunk| chunk.resident() > 0) {
            let before = chunk.resident();
            if let Err(error) = chunk.spill() {
                // The rows stay where they are.
                tracing::warn!(%error, "cannot map rows that do not fit into memory");
                return;
            }
            resident -= before - chunk.resident();
            if self.memory.set(resident) == 0 {
                return;
            }
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.shared.close();
    }
}

/// A table as a commit left it, for the thread that commits.
#[derive(Debug, Clone)]
pub struct Table {
    pub(crate) contents: Contents,
}

#[derive(Debug, Clone)]
pub(crate) enum Contents {
    Keyed(Arc<Keyed>),
    Append(Arc<RowTable>),
}

impl Table {
    pub fn kind(&self) -> TableKind {
        match &self.contents {
            Contents::Keyed(_) => TableKind::Keyed,
            Contents::Append(_) => TableKind::Append,
        }
    }

    pub fn schema(&self) -> &SchemaRef {
        match &self.contents {
            Contents::Keyed(table) => &table.schema,
            Contents::Append(table) => table.schema(),
        }
    }

    pub fn live_rows(&self) -> u64 {
        match &self.contents {
            Contents::Keyed(table) => table.live,
            Contents::Append(table) => table.ids.end - table.ids.start,
        }
    }

    /// Keyed: live rows by hash, as (index of the hash, row), ordered by index; several rows may share a hash.
    pub fn lookup(&self, hashes: &[u64]) -> Vec<(u32, RowRef)> {
        match &self.contents {
            Contents::Keyed(table) => table.index.lookup(hashes),
            Contents::Append(_) => Vec::new(),
        }
    }

    /// Keyed: these rows in this order.
    pub fn gather(&self, rows: &[RowRef]) -> Result<RecordBatch, ReadError> {
        match &self.contents {
            Contents::Keyed(table) => table.gather(rows),
            Contents::Append(table) => Ok(RecordBatch::new_empty(Arc::clone(table.schema()))),
        }
    }

    /// Keyed: all live rows and where they stand.
    pub fn scan(&self) -> Scan {
        let parts = match &self.contents {
            Contents::Keyed(table) => table.parts.clone(),
            Contents::Append(_) => Vec::new(),
        };
        Box::new(parts.into_iter().map(|part| {
            let chunk = part.chunk.id;
            let rows = part.live_rows().into_iter().map(|row| RowRef { chunk, row }).collect();
            Ok((part.live_batch()?, rows))
        }))
    }

    /// Keyed: the commit that wrote each of these rows.
    pub fn commits(&self, rows: &[RowRef]) -> Vec<u64> {
        let Contents::Keyed(table) = &self.contents else { return Vec::new() };
        let commit = |row: &RowRef| {
            let part = table.part(row.chunk).expect("row refs of the last commit");
            table.parts[part].chunk.commits.of(row.row as usize)
        };
        rows.iter().map(commit).collect()
    }

    /// Bytes of the kept rows in the log.
    pub fn bytes(&self) -> u64 {
        match &self.contents {
            Contents::Keyed(table) => table.parts.iter().map(crate::keyed::Part::live_bytes).sum(),
            Contents::Append(table) => table.bytes(),
        }
    }

    /// Append: oldest and next row id.
    pub fn row_ids(&self) -> Range<u64> {
        match &self.contents {
            Contents::Keyed(_) => 0..0,
            Contents::Append(table) => table.ids.clone(),
        }
    }

    pub(crate) fn id(&self) -> u32 {
        match &self.contents {
            Contents::Keyed(table) => table.id,
            Contents::Append(table) => table.id,
        }
    }
}

pub type Scan = Box<dyn Iterator<Item = Result<(RecordBatch, Vec<RowRef>), ReadError>> + Send>;

/// The log of an append table; `visit` gets its frames.
pub(crate) fn open_rows(
    dir: &Path,
    table: u32,
    authority: Authority,
    options: &StoreOptions,
    visit: impl FnMut(crate::log::Frame<RowsBody>) -> Result<(), OpenError>,
) -> Result<Log, OpenError> {
    let options =
        LogOptions { authority, depth: Depth::Headers, file_bytes: options.file_bytes, read_only: options.read_only };
    Log::open(&rows_dir(dir, table), options, visit)
}

pub(crate) fn log_dir(dir: &Path) -> PathBuf {
    dir.join("log")
}

pub(crate) fn rows_dir(dir: &Path, table: u32) -> PathBuf {
    dir.join(format!("{ROWS_PREFIX}{table}"))
}

/// Folders of append tables are named so, with the table's id.
pub(crate) const ROWS_PREFIX: &str = "rows-";

#[cfg(test)]
mod tests;
