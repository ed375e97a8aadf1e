//! Append tables: numbered rows in compressed chunks on disk.
//!
//! A commit's rows are a chunk of their own (level 0). Small chunks are joined 64 at a time, so that a source which
//! trickles does not leave a chunk for each event: 64 chunks of a level make one of the next, and a row is written
//! again two or three times at most. What a log holds of chunks that were joined is left behind by moving the others.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, UInt64Array};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use arrow_select::concat::concat_batches;

use crate::ID_COLUMN;
use crate::catalog::RowsBody;
use crate::error::ReadError;
use crate::ipc::{self, Compression};
use crate::log::Place;
use crate::rope::Rope;
use crate::schemas::{Schemas, widened};

/// Rows of a chunk at most.
pub const ROWS_CHUNK: usize = 64 << 10;
/// Chunks that are joined at a time.
const JOIN_CHUNKS: usize = 64;
/// Bytes of chunks that are joined, at most; larger ones are good as they are.
const JOIN_BYTES: u64 = 4 << 20;

/// One version of an append table.
#[derive(Debug, Clone)]
pub struct RowTable {
    pub id: u32,
    pub schemas: Schemas,
    /// The oldest row that is kept, and the next one's id.
    pub ids: Range<u64>,
    /// The newest commit of which a row was dropped: changes since an earlier one are not whole.
    pub forgotten: u64,
    chunks: Rope<RowChunk>,
    /// Bytes of chunks by the file that they are in.
    files: BTreeMap<u64, u64>,
}

#[derive(Debug, Clone)]
pub struct RowChunk {
    pub place: Place,
    pub first: u64,
    pub rows: u32,
    /// That it is written with.
    schema: SchemaRef,
    /// How often its rows were joined.
    level: u8,
    commits: RowCommits,
}

/// Which commits wrote a chunk's rows.
#[derive(Debug, Clone)]
enum RowCommits {
    One(u64),
    /// The oldest, the newest, and where (commit, rows) of each stands, as pairs of u64.
    Runs(u64, u64, Place),
}

/// A chunk that is to be written in place of those whose rows it has.
#[derive(Debug)]
pub struct MovedRows {
    pub first: u64,
    pub rows: u32,
    pub level: u8,
    pub commits: (u64, u64),
    /// The rows; where there are several commits, also these with their number of rows.
    pub sections: Vec<Vec<u8>>,
}

impl RowTable {
    pub fn new(id: u32, schemas: Schemas) -> Self {
        Self { id, schemas, ids: 0..0, forgotten: 0, chunks: Rope::default(), files: BTreeMap::new() }
    }

    /// The table as its log says; an error says what is missing.
    pub fn load(id: u32, first: u64, forgotten: u64, log: RowLog) -> Result<Self, String> {
        let mut table = Self::new(id, log.schemas);
        table.ids = first..first;
        table.forgotten = forgotten;
        for chunk in log.chunks.into_values().filter(|chunk| chunk.end() > first) {
            if chunk.first > table.ids.end {
                return Err(format!("rows {} to {} are missing", table.ids.end, chunk.first));
            }
            table.ids.end = chunk.end();
            table.push(chunk);
        }
        Ok(table)
    }

    /// Takes a new chunk, or one in place of those whose rows it has: the newest ones, or a single one.
    pub fn put(&mut self, chunk: RowChunk) {
        let end = self.chunks.back().map_or(0, RowChunk::end);
        if end == chunk.end() {
            while self.chunks.back().is_some_and(|last| last.first >= chunk.first) {
                let last = self.chunks.pop_back().expect("there is a last one");
                self.release(&last);
            }
        } else if end > chunk.end() {
            self.count(&chunk);
            if let Some(replaced) = self.chunks.replace(|other| other.first < chunk.first, chunk.clone()) {
                self.release(&replaced);
            }
            return;
        }
        self.push(chunk);
    }

    /// Drops rows with an id below, of which there are some. `commit`: the present one, whose rows are in no chunk yet.
    pub fn expire(&mut self, before: u64, commit: u64) {
        let written = self.chunks.back().map_or(self.ids.start, RowChunk::end);
        self.ids.start = before;
        while self.chunks.front().is_some_and(|chunk| chunk.end() <= before) {
            let chunk = self.chunks.pop_front().expect("there is a first one");
            self.forgotten = chunk.newest_commit();
            self.release(&chunk);
        }
        if before > written {
            self.forgotten = commit;
        } else if let Some(chunk) = self.chunks.front().filter(|chunk| chunk.first < before) {
            self.forgotten = chunk.commit_of(before - 1);
        }
    }

    pub fn schema(&self) -> &SchemaRef {
        self.schemas.now()
    }

    /// Chunks with rows from `row` on.
    pub fn chunks_from(&self, row: u64) -> Vec<RowChunk> {
        self.chunks.iter_from(|chunk| chunk.end() <= row)
    }

    /// Chunks with rows of later commits.
    pub fn chunks_since(&self, commit: u64) -> Vec<RowChunk> {
        self.chunks.iter_from(|chunk| chunk.newest_commit() <= commit)
    }

    /// Of chunks in the log.
    pub fn bytes(&self) -> u64 {
        self.files.values().sum()
    }

    /// The oldest file of the log that holds a chunk.
    pub fn first_file(&self) -> Option<u64> {
        self.files.keys().next().copied()
    }

    /// The newest chunks as one, if they are small, many and of one level.
    pub fn join(&self) -> Result<Option<MovedRows>, ReadError> {
        let Some((level, chunks)) = self.joinable() else { return Ok(None) };
        let mut runs: Vec<(u64, u64)> = Vec::new();
        let mut batches = Vec::with_capacity(chunks.len());
        for chunk in &chunks {
            batches.push(chunk.decode(self.schema())?);
            for (commit, rows) in chunk.runs()? {
                match runs.last_mut().filter(|last| last.0 == commit) {
                    Some(last) => last.1 += rows,
                    None => runs.push((commit, rows)),
                }
            }
        }
        let mut sections = vec![ipc::encode(&concat_batches(self.schema(), &batches)?, Compression::Lz4)?];
        let commits = (runs[0].0, runs[runs.len() - 1].0);
        if commits.0 != commits.1 {
            sections.push(runs.iter().flat_map(|(commit, rows)| [*commit, *rows]).flat_map(u64::to_le_bytes).collect());
        }
        let (first, rows) = (chunks[0].first, batches.iter().map(RecordBatch::num_rows).sum::<usize>() as u32);
        Ok(Some(MovedRows { first, rows, level, commits, sections }))
    }

    /// What [`RowTable::join`] takes, and its level. Where it makes a level full, the whole of that is taken.
    fn joinable(&self) -> Option<(u8, Vec<RowChunk>)> {
        let small = |chunks: &[RowChunk]| {
            chunks.iter().map(|chunk| u64::from(chunk.rows)).sum::<u64>() <= ROWS_CHUNK as u64
                && chunks.iter().map(|chunk| chunk.place.stored()).sum::<u64>() <= JOIN_BYTES
        };
        let (mut found, mut count, mut level) = (None, JOIN_CHUNKS, self.chunks.back()?.level);
        loop {
            let chunks = self.chunks.tail(count);
            let full = chunks.len() == count && chunks.iter().take(JOIN_CHUNKS - 1).all(|chunk| chunk.level == level);
            if !full || chunks[JOIN_CHUNKS - 1].level > level || !small(&chunks) {
                return found;
            }
            level += 1;
            count += JOIN_CHUNKS - 1;
            found = Some((level, chunks));
        }
    }

    /// Chunks of a file, to be written elsewhere, as far as the budget in bytes allows.
    pub fn leave(&self, file: u64, budget: &mut u64) -> Result<Vec<MovedRows>, ReadError> {
        let mut moved = Vec::new();
        for chunk in self.chunks.iter().filter(|chunk| chunk.place.file.number == file) {
            if *budget == 0 {
                break;
            }
            *budget = budget.saturating_sub(chunk.place.stored());
            let rows = if &chunk.schema == self.schema() {
                chunk.place.read()?.to_vec()
            } else {
                ipc::encode(&chunk.decode(self.schema())?, Compression::Lz4)?
            };
            let mut sections = vec![rows];
            let commits = match &chunk.commits {
                RowCommits::One(commit) => (*commit, *commit),
                RowCommits::Runs(oldest, newest, place) => {
                    sections.push(place.read()?.to_vec());
                    (*oldest, *newest)
                }
            };
            moved.push(MovedRows { first: chunk.first, rows: chunk.rows, level: chunk.level, commits, sections });
        }
        Ok(moved)
    }

    fn push(&mut self, chunk: RowChunk) {
        self.count(&chunk);
        self.chunks.push(chunk);
    }

    fn count(&mut self, chunk: &RowChunk) {
        *self.files.entry(chunk.place.file.number).or_default() += chunk.place.stored();
    }

    fn release(&mut self, chunk: &RowChunk) {
        let file = chunk.place.file.number;
        if let Some(bytes) = self.files.get_mut(&file) {
            *bytes -= chunk.place.stored();
            if *bytes == 0 {
                self.files.remove(&file);
            }
        }
    }
}

/// Chunks by their first row, as the frames of a table's log tell them.
#[derive(Debug)]
pub struct RowLog {
    schemas: Schemas,
    chunks: BTreeMap<u64, RowChunk>,
}

impl RowLog {
    pub fn new(schemas: Schemas) -> Self {
        Self { schemas, chunks: BTreeMap::new() }
    }

    /// `None`: a section is missing.
    pub fn frame(&mut self, body: &RowsBody, places: &[Place]) -> Option<()> {
        for chunk in RowChunk::of_frame(body, places, self.schemas.at(body.commit))? {
            let replaced: Vec<u64> = self.chunks.range(chunk.first..chunk.end()).map(|(first, _)| *first).collect();
            for first in replaced {
                self.chunks.remove(&first);
            }
            self.chunks.insert(chunk.first, chunk);
        }
        Some(())
    }
}

impl RowChunk {
    /// The chunks of a frame, those that stand for others first.
    pub fn of_frame(body: &RowsBody, places: &[Place], schema: &SchemaRef) -> Option<Vec<Self>> {
        let mut chunks = Vec::with_capacity(places.len());
        let mut places = places.iter().cloned();
        for moved in &body.moved {
            let place = places.next()?;
            let commits = match moved.commits {
                (oldest, newest) if oldest == newest => RowCommits::One(newest),
                (oldest, newest) => RowCommits::Runs(oldest, newest, places.next()?),
            };
            let (schema, level) = (Arc::clone(schema), moved.level);
            chunks.push(Self { place, first: moved.first, rows: moved.rows, schema, level, commits });
        }
        let mut first = body.first;
        for rows in &body.rows {
            let (place, commits) = (places.next()?, RowCommits::One(body.commit));
            chunks.push(Self { place, first, rows: *rows, schema: Arc::clone(schema), level: 0, commits });
            first += u64::from(*rows);
        }
        Some(chunks)
    }

    /// Its rows from row `from` on, and their ids as last column.
    pub fn read(&self, schema: &SchemaRef, from: u64) -> Result<RecordBatch, ReadError> {
        let batch = self.decode(schema)?;
        let skip = from.saturating_sub(self.first).min(u64::from(self.rows)) as usize;
        let ids: UInt64Array = (self.first..self.first + batch.num_rows() as u64).collect();
        let mut columns = batch.columns().to_vec();
        columns.push(Arc::new(ids) as ArrayRef);
        let batch = RecordBatch::try_new(with_id(schema), columns)?;
        Ok(batch.slice(skip, batch.num_rows() - skip))
    }

    /// Its rows from row `from` on that commits after `since` wrote, by commit.
    pub fn read_since(&self, schema: &SchemaRef, from: u64, since: u64) -> Result<Vec<(u64, RecordBatch)>, ReadError> {
        let rows = self.read(schema, from)?;
        let shown = self.end() - rows.num_rows() as u64;
        let mut parts = Vec::new();
        let mut first = self.first;
        for (commit, count) in self.runs()? {
            let (start, end) = (first.max(shown), first + count);
            if commit > since && start < end {
                parts.push((commit, rows.slice((start - shown) as usize, (end - start) as usize)));
            }
            first = end;
        }
        Ok(parts)
    }

    fn decode(&self, schema: &SchemaRef) -> Result<RecordBatch, ReadError> {
        Ok(widened(ipc::decode(&self.place.read()?, &self.schema)?, schema)?)
    }

    fn end(&self) -> u64 {
        self.first + u64::from(self.rows)
    }

    /// The commit that wrote one of its rows, or a later one where that cannot be read.
    fn commit_of(&self, row: u64) -> u64 {
        let mut end = self.first;
        let mut runs = self.runs().unwrap_or_default().into_iter();
        let found = runs.find(|(_, rows)| {
            end += rows;
            row < end
        });
        found.map_or(self.newest_commit(), |(commit, _)| commit)
    }

    fn newest_commit(&self) -> u64 {
        match &self.commits {
            RowCommits::One(commit) | RowCommits::Runs(_, commit, _) => *commit,
        }
    }

    /// Commits and how many of the rows each wrote, in order.
    fn runs(&self) -> Result<Vec<(u64, u64)>, ReadError> {
        let place = match &self.commits {
            RowCommits::One(commit) => return Ok(vec![(*commit, u64::from(self.rows))]),
            RowCommits::Runs(_, _, place) => place,
        };
        let bytes = place.read()?;
        let number = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("eight bytes"));
        let runs: Vec<(u64, u64)> =
            bytes.chunks_exact(16).map(|pair| (number(&pair[..8]), number(&pair[8..]))).collect();
        if runs.iter().map(|run| run.1).sum::<u64>() != u64::from(self.rows) {
            let what = "the commits of a chunk do not have its number of rows".to_owned();
            return Err(ReadError::Damaged { path: place.file.path.clone(), offset: place.offset, what });
        }
        Ok(runs)
    }
}

fn with_id(schema: &SchemaRef) -> SchemaRef {
    let id = Arc::new(Field::new(ID_COLUMN, DataType::UInt64, false));
    let fields: Vec<_> = schema.fields().iter().cloned().chain([id]).collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}
