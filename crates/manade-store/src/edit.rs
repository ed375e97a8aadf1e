//! A commit in the making: the next version of the tables and the frame that says how it differs.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_buffer::{Buffer, ScalarBuffer};
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{ArrowError, SchemaRef};

use crate::catalog::{Catalog, Op, Shape, TableRecord};
use crate::error::CommitError;
use crate::index::IndexEdit;
use crate::ipc::{self, Compression};
use crate::keyed::{Chunk, ChunkPlaces, Commits, Keyed, Part, Tomb};
use crate::log::{Log, Place};
use crate::rows::{MovedRows, ROWS_CHUNK, RowTable};
use crate::schemas::{Schemas, can_widen};
use crate::store::{Change, Contents, History, RowRef, Table, TableKind};

/// Rows of a chunk at most: bounds what is moved or shown at once.
pub const CHUNK_ROWS: usize = 32 << 10;

pub struct Edit {
    pub tables: BTreeMap<String, Table>,
    pub next_table: u32,
    /// This commit's number and time.
    pub number: u64,
    pub time: i64,
    pub ops: Vec<Op>,
    pub payload: Vec<Buffer>,
    pub index: HashMap<u32, IndexEdit>,
    /// Compressed chunks for append tables, with their rows.
    pub appends: BTreeMap<u32, Vec<(Buffer, u32)>>,
    /// Chunks of append tables that are written again.
    pub moved: BTreeMap<u32, Vec<MovedRows>>,
    pub created: Vec<(u32, TableKind)>,
    pub dropped: Vec<(u32, TableKind)>,
    chunks: Vec<NewChunk>,
    tombs: Vec<NewTomb>,
}

struct NewChunk {
    table: String,
    chunk: Chunk,
    section: usize,
    moved: bool,
}

struct NewTomb {
    table: String,
    tomb: Tomb,
    section: usize,
}

impl Edit {
    pub fn new(tables: BTreeMap<String, Table>, next_table: u32, number: u64, time: i64, meta: Vec<u8>) -> Self {
        Self {
            tables,
            next_table,
            number,
            time,
            ops: Vec::new(),
            payload: vec![Buffer::from_vec(meta)],
            index: HashMap::new(),
            appends: BTreeMap::new(),
            moved: BTreeMap::new(),
            created: Vec::new(),
            dropped: Vec::new(),
            chunks: Vec::new(),
            tombs: Vec::new(),
        }
    }

    pub fn apply(&mut self, name: &str, change: Change) -> Result<(), CommitError> {
        match change {
            Change::Create { kind, schema, history } => {
                if self.tables.contains_key(name) {
                    return Err(invalid(name, "it exists already"));
                }
                let id = self.next_table;
                self.next_table += 1;
                let contents = match kind {
                    TableKind::Keyed => Contents::Keyed(Arc::new(Keyed::new(id, schema, history))),
                    TableKind::Append => Contents::Append(Arc::new(RowTable::new(id, Schemas::new(schema)))),
                };
                let table = Table { contents };
                self.ops.push(Op::Create(record(name, &table, None)));
                self.created.push((id, kind));
                self.tables.insert(name.to_owned(), table);
            }
            Change::Drop => {
                let table = self.tables.remove(name).ok_or_else(|| invalid(name, "it does not exist"))?;
                self.ops.push(Op::Drop { table: table.id() });
                self.dropped.push((table.id(), table.kind()));
                self.chunks.retain(|new| new.table != name);
                self.tombs.retain(|new| new.table != name);
                self.appends.remove(&table.id());
                self.index.remove(&table.id());
            }
            Change::Widen { schema } => self.widen(name, schema)?,
            Change::Upsert { rows, hashes, replaced } => {
                self.kill(name, &replaced)?;
                self.insert(name, &rows, &hashes)?;
            }
            Change::Delete { rows, tombstones } => {
                self.kill(name, &rows)?;
                if let Some(rows) = tombstones.filter(|rows| rows.num_rows() > 0) {
                    self.bury(name, rows)?;
                }
            }
            Change::Append { rows } => self.append(name, &rows)?,
            Change::Expire { before_row } => {
                let number = self.number;
                let table = self.append_table(name)?;
                let before = before_row.min(table.ids.end);
                if before <= table.ids.start {
                    return Ok(());
                }
                table.expire(before, number);
                let (table, forgotten) = (table.id, table.forgotten);
                self.ops.push(Op::Expire { table, before, forgotten });
            }
        }
        Ok(())
    }

    pub fn keyed(&mut self, name: &str) -> Result<&mut Keyed, CommitError> {
        match self.tables.get_mut(name).map(|table| &mut table.contents) {
            Some(Contents::Keyed(table)) => Ok(Arc::make_mut(table)),
            Some(Contents::Append(_)) => Err(invalid(name, "its rows have no keys")),
            None => Err(invalid(name, "it does not exist")),
        }
    }

    pub fn append_table(&mut self, name: &str) -> Result<&mut RowTable, CommitError> {
        match self.tables.get_mut(name).map(|table| &mut table.contents) {
            Some(Contents::Append(table)) => Ok(Arc::make_mut(table)),
            Some(Contents::Keyed(_)) => Err(invalid(name, "its rows have keys")),
            None => Err(invalid(name, "it does not exist")),
        }
    }

    fn kill(&mut self, name: &str, rows: &[RowRef]) -> Result<(), CommitError> {
        let table = self.keyed(name)?;
        let mut removed = Vec::with_capacity(rows.len());
        let mut bytes = Vec::with_capacity(rows.len() * 8);
        for row in rows {
            let part = table.part(row.chunk).map(|at| &mut table.parts[at]);
            let Some(part) = part.and_then(|part| part.kill(row.row).then_some(part)) else {
                return Err(invalid(name, &format!("{row:?} is not a live row")));
            };
            removed.push((part.chunk.hashes[row.row as usize], *row));
            bytes.extend_from_slice(&row.chunk.to_le_bytes());
            bytes.extend_from_slice(&row.row.to_le_bytes());
        }
        if rows.is_empty() {
            return Ok(());
        }
        table.live -= rows.len() as u64;
        table.parts.retain(|part| part.live > 0);
        let table = table.id;
        self.index.entry(table).or_default().removed.append(&mut removed);
        let section = self.section(Buffer::from_vec(bytes));
        self.ops.push(Op::Kill { table, section });
        Ok(())
    }

    fn insert(&mut self, name: &str, rows: &RecordBatch, hashes: &[u64]) -> Result<(), CommitError> {
        let table = self.keyed(name)?;
        if hashes.len() != rows.num_rows() {
            return Err(invalid(name, "there must be a hash a row"));
        }
        check_schema(name, &table.schema, rows)?;
        for start in (0..rows.num_rows()).step_by(CHUNK_ROWS) {
            let len = CHUNK_ROWS.min(rows.num_rows() - start);
            self.write_chunk(name, &rows.slice(start, len), hashes[start..start + len].to_vec(), None)?;
        }
        Ok(())
    }

    /// Adds a chunk; `commits` where its rows are moved ones.
    pub fn write_chunk(
        &mut self,
        name: &str,
        rows: &RecordBatch,
        hashes: Vec<u64>,
        commits: Option<Vec<u64>>,
    ) -> Result<(), CommitError> {
        let arrow = |source| CommitError::Arrow { table: name.to_owned(), source };
        let blob = Buffer::from_vec(ipc::encode(rows, Compression::None).map_err(arrow)?);
        let table = self.keyed(name)?;
        let id = table.next_chunk;
        table.next_chunk += 1;
        table.live += if commits.is_some() { 0 } else { rows.num_rows() as u64 };
        let (table, schema) = (table.id, Arc::clone(&table.schema));
        // What is shown is what is stored, and shares its bytes.
        let batch = ipc::decode(&blob, &schema).map_err(arrow)?;
        let index = self.index.entry(table).or_default();
        index.added.extend(hashes.iter().zip(0..).map(|(hash, row)| (*hash, RowRef { chunk: id, row })));
        let section = self.section(blob);
        let hashes = ScalarBuffer::from(hashes);
        self.section(hashes.inner().clone());
        let moved = commits.is_some();
        let commits = match commits {
            Some(commits) => {
                let commits = ScalarBuffer::from(commits);
                self.section(commits.inner().clone());
                Commits::Each(commits)
            }
            None => Commits::One(self.number),
        };
        let rows = rows.num_rows() as u32;
        self.ops.push(Op::Chunk { table, chunk: id, rows, moved, section });
        let chunk = Chunk::new(id, batch, hashes, commits);
        self.chunks.push(NewChunk { table: name.to_owned(), chunk, section, moved });
        Ok(())
    }

    fn bury(&mut self, name: &str, rows: RecordBatch) -> Result<(), CommitError> {
        let (number, time) = (self.number, self.time);
        let table = self.keyed(name)?;
        let id = table.next_chunk;
        table.next_chunk += 1;
        table.tomb_rows += rows.num_rows() as u64;
        self.write_tomb(name, Tomb { id, commit: number, time, rows, bytes: 0, file: 0 })
    }

    pub fn write_tomb(&mut self, name: &str, tomb: Tomb) -> Result<(), CommitError> {
        let arrow = |source| CommitError::Arrow { table: name.to_owned(), source };
        let table = self.keyed(name)?.id;
        let bytes = stream(&tomb.rows).map_err(arrow)?;
        let section = self.section(Buffer::from_vec(bytes));
        self.ops.push(Op::Tombs { table, id: tomb.id, commit: tomb.commit, time: tomb.time, section });
        self.tombs.push(NewTomb { table: name.to_owned(), tomb, section });
        Ok(())
    }

    fn append(&mut self, name: &str, rows: &RecordBatch) -> Result<(), CommitError> {
        let arrow = |source| CommitError::Arrow { table: name.to_owned(), source };
        let table = self.append_table(name)?;
        check_schema(name, table.schema(), rows)?;
        let id = table.id;
        table.ids.end += rows.num_rows() as u64;
        for start in (0..rows.num_rows()).step_by(ROWS_CHUNK) {
            let part = rows.slice(start, ROWS_CHUNK.min(rows.num_rows() - start));
            let bytes = ipc::encode(&part, Compression::Lz4).map_err(arrow)?;
            self.appends.entry(id).or_default().push((Buffer::from_vec(bytes), part.num_rows() as u32));
        }
        Ok(())
    }

    fn widen(&mut self, name: &str, schema: SchemaRef) -> Result<(), CommitError> {
        let table = self.tables.get_mut(name).ok_or_else(|| invalid(name, "it does not exist"))?;
        let (id, is_written) = (table.id(), self.chunks.iter().any(|new| new.table == name));
        if is_written || self.appends.contains_key(&id) {
            return Err(invalid(name, "rows were written before it is widened"));
        }
        if !can_widen(table.schema(), &schema) {
            return Err(invalid(name, "its rows cannot be cast to the new schema"));
        }
        let text = ipc::schema_text(&schema);
        match &mut table.contents {
            Contents::Keyed(keyed) => {
                let arrow = |source| CommitError::Arrow { table: name.to_owned(), source };
                Arc::make_mut(keyed).widen(schema).map_err(arrow)?;
            }
            Contents::Append(rows) => Arc::make_mut(rows).schemas.widen(self.number, schema),
        }
        self.ops.push(Op::Widen { table: id, schema: text });
        Ok(())
    }

    fn section(&mut self, bytes: Buffer) -> usize {
        self.payload.push(bytes);
        self.payload.len() - 1
    }

    /// Completes the tables once it is known where the frame's sections stand.
    pub fn place(&mut self, places: &[Place]) {
        for new in std::mem::take(&mut self.chunks) {
            let rows = places[new.section].clone();
            let commits = new.moved.then(|| places[new.section + 2].clone());
            let places = ChunkPlaces { rows, hashes: places[new.section + 1].clone(), commits };
            let mut chunk = new.chunk;
            chunk.places = Some(places);
            let live = chunk.rows;
            let table = self.keyed(&new.table).expect("the chunk was made for it");
            table.parts.push(Part::new(Arc::new(chunk), None, live));
        }
        let mut moved: BTreeMap<String, HashMap<u32, Tomb>> = BTreeMap::new();
        for new in std::mem::take(&mut self.tombs) {
            let place = &places[new.section];
            let tomb = Tomb { bytes: place.stored(), file: place.file.number, ..new.tomb };
            if tomb.commit == self.number {
                self.keyed(&new.table).expect("the tombstones were made for it").tombs.push(tomb);
            } else {
                moved.entry(new.table).or_default().insert(tomb.id, tomb);
            }
        }
        for (table, moved) in moved {
            let table = self.keyed(&table).expect("the tombstones were made for it");
            table.tombs = table.tombs.iter().map(|tomb| moved.get(&tomb.id).unwrap_or(tomb).clone()).collect();
        }
    }
}

/// The tables as a catalog says them.
pub fn catalog(tables: &BTreeMap<String, Table>, next_table: u32, logs: &HashMap<u32, Log>) -> Catalog {
    let tables = tables.iter().map(|(name, table)| record(name, table, logs.get(&table.id())));
    Catalog { next_table, tables: tables.collect() }
}

fn record(name: &str, table: &Table, log: Option<&Log>) -> TableRecord {
    let shape = match &table.contents {
        Contents::Keyed(table) => {
            let History { rows, age } = table.history;
            let history_us = u64::try_from(age.as_micros()).unwrap_or(u64::MAX);
            Shape::Keyed { next_chunk: table.next_chunk, forgotten: table.forgotten, history_rows: rows, history_us }
        }
        Contents::Append(table) => {
            Shape::Append { first: table.ids.start, forgotten: table.forgotten, tip: log.map(Log::tip) }
        }
    };
    let (schema, widened) = match &table.contents {
        // Its older chunks are in files that have the schemas of their time.
        Contents::Keyed(table) => (ipc::schema_text(&table.schema), Vec::new()),
        Contents::Append(table) => table.schemas.texts(),
    };
    TableRecord { id: table.id(), name: name.to_owned(), schema, widened, shape }
}

fn check_schema(name: &str, schema: &SchemaRef, rows: &RecordBatch) -> Result<(), CommitError> {
    let types = |schema: &arrow_schema::Schema| -> Vec<_> {
        schema.fields().iter().map(|field| field.data_type().clone()).collect()
    };
    let (expected, found) = (types(schema), types(&rows.schema()));
    if expected == found {
        return Ok(());
    }
    Err(invalid(name, &format!("the rows' types are {found:?} instead of {expected:?}")))
}

fn stream(rows: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
    let mut writer = StreamWriter::try_new(Vec::new(), &rows.schema())?;
    writer.write(rows)?;
    writer.into_inner()
}

pub fn invalid(table: &str, what: &str) -> CommitError {
    CommitError::Invalid { table: table.to_owned(), what: what.to_owned() }
}
