//! Reading while commits go on: immutable views of one commit.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::UInt64Type;
use arrow_schema::SchemaRef;
use parking_lot::{Condvar, Mutex, RwLock};

use crate::error::{ReadError, SnapshotError};
use crate::store::{Contents, Table, TableKind, Version};

/// What a store and its readers share.
#[derive(Debug)]
pub(crate) struct Shared {
    version: RwLock<Arc<Version>>,
    closed: Mutex<bool>,
    changed: Condvar,
}

impl Shared {
    pub fn new(version: Arc<Version>) -> Self {
        Self { version: RwLock::new(version), closed: Mutex::new(false), changed: Condvar::new() }
    }

    pub fn show(&self, version: Arc<Version>) {
        let old = std::mem::replace(&mut *self.version.write(), version);
        drop(self.closed.lock());
        self.changed.notify_all();
        drop(old);
    }

    pub fn close(&self) {
        *self.closed.lock() = true;
        self.changed.notify_all();
    }
}

/// A handle on a store for any thread.
#[derive(Debug, Clone)]
pub struct Reader {
    shared: Arc<Shared>,
}

impl Reader {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// The newest commit; 0 before the first.
    pub fn commit(&self) -> u64 {
        self.shared.version.read().commit
    }

    /// All tables as they are at the newest commit.
    pub fn view(&self) -> View {
        View { version: Arc::clone(&self.shared.version.read()) }
    }

    /// One table as it is at the newest commit. Tables that belong together are taken from one [`View`].
    pub fn snapshot(&self, table: &str) -> Option<Snapshot> {
        self.view().snapshot(table)
    }

    /// Blocks until a commit after `commit` is visible, the store is closed, or `timeout` has passed; returns the
    /// newest commit.
    pub fn wait_beyond(&self, commit: u64, timeout: Duration) -> u64 {
        let until = Instant::now() + timeout;
        let mut closed = self.shared.closed.lock();
        loop {
            let newest = self.commit();
            if newest > commit || *closed || self.shared.changed.wait_until(&mut closed, until).timed_out() {
                return self.commit();
            }
        }
    }
}

/// All tables of one commit.
#[derive(Debug, Clone)]
pub struct View {
    version: Arc<Version>,
}

impl View {
    pub fn commit(&self) -> u64 {
        self.version.commit
    }

    /// What that commit said about itself.
    pub fn meta(&self) -> Option<&[u8]> {
        self.version.meta.as_deref()
    }

    /// Names, sorted.
    pub fn tables(&self) -> Vec<&str> {
        self.version.tables.keys().map(String::as_str).collect()
    }

    pub fn snapshot(&self, table: &str) -> Option<Snapshot> {
        let table = self.version.tables.get(table)?.clone();
        Some(Snapshot { commit: self.version.commit, table })
    }
}

/// A table's rows at one commit; cheap to clone, never changes.
#[derive(Debug, Clone)]
pub struct Snapshot {
    commit: u64,
    table: Table,
}

/// Batches of live rows.
pub type Rows = Box<dyn Iterator<Item = Result<RecordBatch, ReadError>> + Send>;

/// Changes in commit order; within a commit deletions come first.
pub type Changes = Box<dyn Iterator<Item = Result<Changed, ReadError>> + Send>;

impl Snapshot {
    pub fn commit(&self) -> u64 {
        self.commit
    }

    pub fn kind(&self) -> TableKind {
        self.table.kind()
    }

    /// The table's schema, without [`crate::ID_COLUMN`].
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(self.table.schema())
    }

    /// Live rows.
    pub fn rows(&self) -> u64 {
        self.table.live_rows()
    }

    /// Live rows of a keyed table whose hash this is; others may share a hash, so compare the key.
    pub fn lookup(&self, hash: u64) -> Result<RecordBatch, ReadError> {
        match &self.table.contents {
            Contents::Keyed(table) => table.gather(&table.rows_of(hash)),
            Contents::Append(table) => Ok(RecordBatch::new_empty(Arc::clone(table.schema()))),
        }
    }

    /// Live rows of a keyed table that have one of these hashes.
    pub fn lookup_all(&self, hashes: &[u64]) -> Result<RecordBatch, ReadError> {
        match &self.table.contents {
            Contents::Keyed(table) => {
                let rows: Vec<_> = hashes.iter().flat_map(|hash| table.rows_of(*hash)).collect();
                table.gather(&rows)
            }
            Contents::Append(table) => Ok(RecordBatch::new_empty(Arc::clone(table.schema()))),
        }
    }

    /// Live rows. Append tables: oldest first, with [`crate::ID_COLUMN`] as last column.
    pub fn scan(&self) -> Rows {
        match &self.table.contents {
            Contents::Keyed(table) => {
                let parts = table.parts.clone();
                Box::new(parts.into_iter().map(|part| Ok(part.live_batch()?)))
            }
            Contents::Append(_) => self.scan_from(0),
        }
    }

    /// Rows of an append table from a row id on.
    pub fn scan_from(&self, row: u64) -> Rows {
        let Contents::Append(table) = &self.table.contents else { return Box::new(std::iter::empty()) };
        let from = row.max(table.ids.start);
        let schema = Arc::clone(table.schema());
        Box::new(table.chunks_from(from).into_iter().map(move |chunk| chunk.read(&schema, from)))
    }

    /// Rows of an append table with these ids, as far as they are kept.
    pub fn scan_ids(&self, ids: Range<u64>) -> Rows {
        let batches = self.scan_from(ids.start);
        let end = ids.end;
        let first_id = |batch: &RecordBatch| {
            let ids = batch.column(batch.num_columns() - 1).as_primitive_opt::<UInt64Type>();
            ids.and_then(|ids| ids.values().first().copied()).unwrap_or(u64::MAX)
        };
        let until =
            move |batch: &Result<RecordBatch, ReadError>| batch.as_ref().map_or(true, |batch| first_id(batch) < end);
        let cut = move |batch: RecordBatch| {
            let rows = end.saturating_sub(first_id(&batch)).min(batch.num_rows() as u64);
            batch.slice(0, rows as usize)
        };
        Box::new(batches.take_while(until).map(move |batch| batch.map(cut)))
    }

    /// Oldest and next row id of an append table.
    pub fn row_ids(&self) -> Range<u64> {
        self.table.row_ids()
    }

    /// How many rows of a keyed table, deleted ones too, [`Snapshot::changes`] tells of.
    pub fn count_since(&self, since: u64) -> u64 {
        match &self.table.contents {
            Contents::Keyed(table) => table.count_since(since),
            Contents::Append(_) => 0,
        }
    }

    /// What changed after commit `since`, up to this snapshot's; [`SnapshotError::TooOld`] where that is no longer known:
    /// keys were forgotten, or rows dropped, which the caller may not have seen.
    pub fn changes(&self, since: u64) -> Result<Changes, SnapshotError> {
        match &self.table.contents {
            Contents::Keyed(table) => table.changes(since),
            Contents::Append(table) => {
                if since < table.forgotten {
                    return Err(SnapshotError::TooOld { oldest: table.forgotten });
                }
                let from = table.ids.start;
                let schema = Arc::clone(table.schema());
                let chunks = table.chunks_since(since).into_iter();
                Ok(Box::new(chunks.flat_map(move |chunk| {
                    let changed = |(commit, rows)| Changed { commit, kind: ChangedKind::Append, rows };
                    match chunk.read_since(&schema, from, since) {
                        Ok(parts) => parts.into_iter().map(|part| Ok(changed(part))).collect(),
                        Err(error) => vec![Err(error)],
                    }
                })))
            }
        }
    }
}

/// What a commit did to a table, as far as it still shows.
#[derive(Debug, Clone)]
pub struct Changed {
    pub commit: u64,
    pub kind: ChangedKind,
    /// Upsert: the table's columns. Append: these and [`crate::ID_COLUMN`]. Delete: the tombstones' columns.
    pub rows: RecordBatch,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangedKind {
    Upsert,
    Append,
    Delete,
}
