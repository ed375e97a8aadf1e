//! Keyed tables: chunks of rows, of which the superseded ones are marked dead.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::{BooleanArray, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow_buffer::{BooleanBuffer, Buffer, ScalarBuffer};
use arrow_schema::{ArrowError, SchemaRef};
use arrow_select::filter::filter_record_batch;
use arrow_select::interleave::interleave;
use arrow_select::take::take_record_batch;
use parking_lot::RwLock;

use crate::error::{ReadError, SnapshotError};
use crate::index::{Index, Step};
use crate::ipc;
use crate::log::Place;
use crate::mapping;
use crate::reader::{Changed, ChangedKind, Changes};
use crate::rope::Rope;
use crate::schemas::widened;
use crate::store::{History, RowRef};

/// Rows of at least so many bytes can be mapped.
const MAPPED: u64 = 64 << 10;

/// One version of a keyed table.
#[derive(Debug, Clone)]
pub struct Keyed {
    pub id: u32,
    pub schema: SchemaRef,
    pub history: History,
    /// Ordered by chunk id; none is wholly dead.
    pub parts: Vec<Part>,
    pub live: u64,
    /// The next chunk's or tombstones' id.
    pub next_chunk: u32,
    /// Ordered by commit.
    pub tombs: Rope<Tomb>,
    pub tomb_rows: u64,
    /// Tombstones up to this commit are gone.
    pub forgotten: u64,
    pub index: Arc<Index>,
    pub step: Arc<Step>,
}

/// A chunk and which of its rows are dead.
#[derive(Debug, Clone)]
pub struct Part {
    pub chunk: Arc<Chunk>,
    /// A bit a row; absent while all live.
    dead: Option<Arc<Vec<u64>>>,
    pub live: u32,
}

/// Rows that were written together; never changed.
#[derive(Debug)]
pub struct Chunk {
    pub id: u32,
    pub rows: u32,
    /// That it is written with; the table's may be wider.
    written: SchemaRef,
    data: RwLock<ChunkData>,
    pub hashes: ScalarBuffer<u64>,
    pub commits: Commits,
    /// Where it stands in the log; not yet known while it is being written.
    pub places: Option<ChunkPlaces>,
}

/// Which commit wrote the rows.
#[derive(Debug, Clone)]
pub enum Commits {
    One(u64),
    Each(ScalarBuffer<u64>),
}

#[derive(Debug)]
struct ChunkData {
    batch: RecordBatch,
    /// Its bytes are the file's, not the heap's.
    mapped: bool,
}

/// Deleted keys of one commit.
#[derive(Debug, Clone)]
pub struct Tomb {
    pub id: u32,
    pub commit: u64,
    /// When, microseconds since the epoch.
    pub time: i64,
    pub rows: RecordBatch,
    pub bytes: u64,
    pub file: u64,
}

impl Commits {
    pub fn of(&self, row: usize) -> u64 {
        match self {
            Self::One(commit) => *commit,
            Self::Each(commits) => commits[row],
        }
    }

    fn newest(&self) -> u64 {
        match self {
            Self::One(commit) => *commit,
            Self::Each(commits) => commits.iter().copied().max().unwrap_or(0),
        }
    }
}

impl Chunk {
    pub fn new(id: u32, batch: RecordBatch, hashes: ScalarBuffer<u64>, commits: Commits) -> Self {
        let rows = batch.num_rows() as u32;
        let written = batch.schema();
        let data = RwLock::new(ChunkData { batch, mapped: false });
        Self { id, rows, written, data, hashes, commits, places: None }
    }

    /// The same rows with wider columns.
    pub fn widen(&self, to: &SchemaRef) -> Result<Self, ArrowError> {
        let ChunkData { batch, mapped } = &*self.data.read();
        let data = RwLock::new(ChunkData { batch: widened(batch.clone(), to)?, mapped: *mapped });
        let (written, hashes) = (Arc::clone(&self.written), self.hashes.clone());
        let (commits, places) = (self.commits.clone(), self.places.clone());
        Ok(Self { id: self.id, rows: self.rows, written, data, hashes, commits, places })
    }

    /// The rows; cheap.
    pub fn batch(&self) -> RecordBatch {
        self.data.read().batch.clone()
    }

    /// Bytes in the log.
    pub fn bytes(&self) -> u64 {
        self.places.as_ref().map_or(0, ChunkPlaces::bytes)
    }

    /// The number of its log file.
    pub fn file(&self) -> u64 {
        self.places.as_ref().map_or(u64::MAX, |places| places.rows.file.number)
    }

    /// Bytes of rows on the heap.
    pub fn resident(&self) -> u64 {
        let mapped = self.data.read().mapped;
        self.places.as_ref().filter(|_| !mapped).map_or(0, |places| places.rows.len)
    }

    /// Takes the rows from the file instead of the heap. Small chunks stay: mappings are few and whole pages.
    pub fn spill(&self) -> Result<(), ReadError> {
        let Some(places) = self.places.as_ref().filter(|places| places.rows.len >= MAPPED) else { return Ok(()) };
        let batch = ipc::decode(&mapping::map(&places.rows)?, &self.written)?;
        let batch = widened(batch, self.batch().schema_ref())?;
        *self.data.write() = ChunkData { batch, mapped: true };
        Ok(())
    }
}

impl Part {
    pub fn new(chunk: Arc<Chunk>, dead: Option<Vec<u64>>, live: u32) -> Self {
        Self { chunk, dead: dead.map(Arc::new), live }
    }

    pub fn is_live(&self, row: u32) -> bool {
        row < self.chunk.rows && self.dead.as_ref().is_none_or(|dead| dead[row as usize / 64] & (1 << (row % 64)) == 0)
    }

    /// `false` where it was not alive.
    pub fn kill(&mut self, row: u32) -> bool {
        if !self.is_live(row) {
            return false;
        }
        let words = (self.chunk.rows as usize).div_ceil(64);
        let dead = self.dead.get_or_insert_with(|| Arc::new(vec![0; words]));
        Arc::make_mut(dead)[row as usize / 64] |= 1 << (row % 64);
        self.live -= 1;
        true
    }

    pub fn live_rows(&self) -> Vec<u32> {
        match &self.dead {
            None => (0..self.chunk.rows).collect(),
            Some(_) => (0..self.chunk.rows).filter(|row| self.is_live(*row)).collect(),
        }
    }

    pub fn live_batch(&self) -> Result<RecordBatch, ArrowError> {
        let batch = self.chunk.batch();
        let Some(dead) = &self.dead else { return Ok(batch) };
        let rows = self.chunk.rows as usize;
        let live = !&BooleanBuffer::new(Buffer::from_slice_ref(dead.as_slice()), 0, rows);
        filter_record_batch(&batch, &BooleanArray::new(live, None))
    }

    /// Bytes in the log that live rows account for.
    pub fn live_bytes(&self) -> u64 {
        self.chunk.bytes() * u64::from(self.live) / u64::from(self.chunk.rows.max(1))
    }
}

impl Keyed {
    pub fn new(id: u32, schema: SchemaRef, history: History) -> Self {
        Self {
            id,
            schema,
            history,
            parts: Vec::new(),
            live: 0,
            next_chunk: 0,
            tombs: Rope::default(),
            tomb_rows: 0,
            forgotten: 0,
            index: Arc::default(),
            step: Arc::default(),
        }
    }

    /// Columns that are no part of the key get wider types.
    pub fn widen(&mut self, schema: SchemaRef) -> Result<(), ArrowError> {
        for part in &mut self.parts {
            part.chunk = Arc::new(part.chunk.widen(&schema)?);
        }
        self.schema = schema;
        Ok(())
    }

    /// Where the part of a chunk stands in `parts`.
    pub fn part(&self, chunk: u32) -> Option<usize> {
        self.parts.binary_search_by_key(&chunk, |part| part.chunk.id).ok()
    }

    pub fn gather(&self, rows: &[RowRef]) -> Result<RecordBatch, ReadError> {
        let gone = |row: &RowRef| ArrowError::InvalidArgumentError(format!("row {row:?} is not in the table any more"));
        let mut used: Vec<RecordBatch> = Vec::new();
        let mut slots = vec![usize::MAX; self.parts.len()];
        let mut places = Vec::with_capacity(rows.len());
        for row in rows {
            let at = self.part(row.chunk).ok_or_else(|| gone(row))?;
            let part = &self.parts[at];
            if row.row >= part.chunk.rows {
                return Err(gone(row).into());
            }
            if slots[at] == usize::MAX {
                slots[at] = used.len();
                used.push(part.chunk.batch());
            }
            places.push((slots[at], row.row as usize));
        }
        if rows.is_empty() {
            return Ok(RecordBatch::new_empty(Arc::clone(&self.schema)));
        }
        if let [batch] = used.as_slice() {
            return Ok(take_record_batch(batch, &rows.iter().map(|row| row.row).collect::<UInt32Array>())?);
        }
        let columns = (0..self.schema.fields().len())
            .map(|column| {
                let arrays: Vec<_> = used.iter().map(|batch| batch.column(column).as_ref()).collect();
                interleave(&arrays, &places)
            })
            .collect::<Result<_, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?)
    }

    /// This version's rows with a hash, also after later commits.
    pub fn rows_of(&self, hash: u64) -> Vec<RowRef> {
        let mut rows = self.index.candidates(hash, &self.step);
        rows.retain(|row| self.part(row.chunk).is_some_and(|at| self.parts[at].is_live(row.row)));
        rows
    }

    /// Rows and deleted keys of later commits, as far as they still show.
    pub fn count_since(&self, since: u64) -> u64 {
        let parts = self.parts.iter().filter(|part| part.chunk.commits.newest() > since);
        let rows = parts.map(|part| match &part.chunk.commits {
            Commits::One(_) => u64::from(part.live),
            Commits::Each(commits) => {
                part.live_rows().into_iter().filter(|row| commits[*row as usize] > since).count() as u64
            }
        });
        let tombs = self.tombs.iter_from(|tomb| tomb.commit <= since);
        rows.sum::<u64>() + tombs.iter().map(|tomb| tomb.rows.num_rows() as u64).sum::<u64>()
    }

    pub fn changes(&self, since: u64) -> Result<Changes, SnapshotError> {
        if since < self.forgotten {
            return Err(SnapshotError::TooOld { oldest: self.forgotten });
        }
        let tombs = self.tombs.iter_from(|tomb| tomb.commit <= since);
        let mut found: Vec<(u64, ChangedKind, Source)> =
            tombs.into_iter().map(|tomb| (tomb.commit, ChangedKind::Delete, Source::Batch(tomb.rows))).collect();
        for part in self.parts.iter().filter(|part| part.chunk.commits.newest() > since) {
            match &part.chunk.commits {
                Commits::One(commit) => found.push((*commit, ChangedKind::Upsert, Source::Part(part.clone()))),
                Commits::Each(commits) => {
                    let mut by_commit: BTreeMap<u64, Vec<u32>> = BTreeMap::new();
                    for row in part.live_rows().into_iter().filter(|row| commits[*row as usize] > since) {
                        by_commit.entry(commits[row as usize]).or_default().push(row);
                    }
                    found.extend(by_commit.into_iter().map(|(commit, rows)| {
                        (commit, ChangedKind::Upsert, Source::Rows(Arc::clone(&part.chunk), rows))
                    }));
                }
            }
        }
        // Deletions of a commit come before its rows.
        found.sort_by_key(|(commit, kind, _)| (*commit, *kind != ChangedKind::Delete));
        Ok(Box::new(found.into_iter().map(|(commit, kind, source)| Ok(Changed { commit, kind, rows: source.rows()? }))))
    }
}

enum Source {
    Batch(RecordBatch),
    Part(Part),
    Rows(Arc<Chunk>, Vec<u32>),
}

impl Source {
    fn rows(self) -> Result<RecordBatch, ReadError> {
        Ok(match self {
            Self::Batch(batch) => batch,
            Self::Part(part) => part.live_batch()?,
            Self::Rows(chunk, rows) => take_record_batch(&chunk.batch(), &UInt32Array::from(rows))?,
        })
    }
}

/// A chunk's three sections: rows, hashes (u64 a row) and, if it was relocated, commits (u64 a row).
#[derive(Debug, Clone)]
pub struct ChunkPlaces {
    pub rows: Place,
    pub hashes: Place,
    pub commits: Option<Place>,
}

impl ChunkPlaces {
    /// Reads the chunk, its rows onto the heap or mapped.
    pub fn read(&self, id: u32, rows: u32, commit: u64, schema: &SchemaRef, heap: bool) -> Result<Chunk, ReadError> {
        let mapped = !heap && self.rows.len >= MAPPED;
        let bytes = if mapped { mapping::map(&self.rows)? } else { self.rows.read()? };
        let batch = ipc::decode(&bytes, schema)?;
        let commits = match &self.commits {
            Some(place) => Commits::Each(numbers(place.read()?, rows)?),
            None => Commits::One(commit),
        };
        let hashes = numbers(self.hashes.read()?, rows)?;
        if batch.num_rows() != rows as usize {
            return Err(ArrowError::IpcError(format!("a chunk has {} rows instead of {rows}", batch.num_rows())).into());
        }
        let mut chunk = Chunk::new(id, batch, hashes, commits);
        chunk.data.get_mut().mapped = mapped;
        chunk.places = Some(self.clone());
        Ok(chunk)
    }

    pub fn bytes(&self) -> u64 {
        self.rows.stored() + self.hashes.stored() + self.commits.as_ref().map_or(0, Place::stored)
    }
}

fn numbers(bytes: Buffer, rows: u32) -> Result<ScalarBuffer<u64>, ReadError> {
    if bytes.len() != rows as usize * 8 {
        return Err(ArrowError::IpcError(format!("a chunk has {} numbers instead of {rows}", bytes.len() / 8)).into());
    }
    Ok(ScalarBuffer::new(bytes, 0, rows as usize))
}
