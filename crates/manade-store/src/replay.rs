//! Rebuilding a store's tables from its log.
//!
//! First every frame is verified and chunks, dead rows and tombstones are noted; then chunks that have live rows are
//! read.

use std::collections::{BTreeMap, HashMap};
use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow_array::RecordBatch;
use arrow_ipc::reader::StreamReader;
use arrow_schema::{ArrowError, SchemaRef};
use arrow_select::concat::concat_batches;

use crate::catalog::{Body, Op, Shape, TableRecord};
use crate::error::{OpenError, ReadError};
use crate::index::IndexEdit;
use crate::ipc;
use crate::keyed::{ChunkPlaces, Keyed, Part, Tomb};
use crate::log::{Authority, Depth, Frame, Log, LogOptions, Place, Tip, damaged};
use crate::rows::{RowLog, RowTable};
use crate::schemas::Schemas;
use crate::store::{
    Contents, History, ROWS_PREFIX, RowRef, StoreOptions, Table, Version, log_dir, open_rows, rows_dir,
};

pub struct Opened {
    pub log: Log,
    pub row_logs: HashMap<u32, Log>,
    pub next_table: u32,
    pub version: Version,
}

pub fn open(dir: &Path, options: &StoreOptions) -> Result<Opened, OpenError> {
    let mut state = State::default();
    let log_options = LogOptions {
        authority: Authority::Witness,
        depth: Depth::Whole,
        file_bytes: options.file_bytes,
        read_only: options.read_only,
    };
    let log = Log::open(&log_dir(dir), log_options, |frame| state.frame(&frame))?;
    let meta = state.meta.map(|place| place.read()).transpose()?.map(|bytes| bytes.to_vec());
    let mut version = Version { commit: log.tip().frame, time: state.time, meta, tables: BTreeMap::new() };
    let mut row_logs = HashMap::new();
    let mut heap = options.memory.left();
    for (id, table) in state.tables {
        let contents = match table.shape {
            ShapeState::Keyed(keyed) => Contents::Keyed(Arc::new(keyed.load(id, table.schemas.now(), &mut heap)?)),
            ShapeState::Append { first, forgotten, tip } => {
                let mut rows = RowLog::new(table.schemas);
                if tip.is_some() || !options.read_only {
                    let log = open_rows(dir, id, Authority::Told(tip), options, |frame| {
                        let missing = || damaged(&frame.file.path, frame.offset, "a section is missing");
                        rows.frame(&frame.body, &frame.sections).ok_or_else(missing)
                    })?;
                    row_logs.insert(id, log);
                }
                let rows = RowTable::load(id, first, forgotten, rows);
                Contents::Append(Arc::new(rows.map_err(|what| damaged(&rows_dir(dir, id), 0, &what))?))
            }
        };
        version.tables.insert(table.name, Table { contents });
    }
    if !options.read_only {
        remove_others(dir, &row_logs)?;
    }
    Ok(Opened { log, row_logs, next_table: state.next_table, version })
}

#[derive(Default)]
struct State {
    started: bool,
    time: i64,
    meta: Option<Place>,
    next_table: u32,
    tables: BTreeMap<u32, TableState>,
}

struct TableState {
    name: String,
    schemas: Schemas,
    shape: ShapeState,
}

enum ShapeState {
    Keyed(KeyedState),
    Append { first: u64, forgotten: u64, tip: Option<Tip> },
}

struct KeyedState {
    history: History,
    /// Chunks below were made before the log's first file.
    first_chunk: u32,
    next_chunk: u32,
    forgotten: u64,
    chunks: BTreeMap<u32, ChunkState>,
    /// By commit and id.
    tombs: BTreeMap<(u64, u32), (i64, Place)>,
}

struct ChunkState {
    rows: u32,
    live: u32,
    commit: u64,
    schema: SchemaRef,
    dead: Option<Vec<u64>>,
    places: ChunkPlaces,
}

impl State {
    fn frame(&mut self, frame: &Frame<Body>) -> Result<(), OpenError> {
        let fault = |what: &str| damaged(&frame.file.path, frame.offset, what);
        let body = &frame.body;
        if !self.started {
            self.started = true;
            if let Some(catalog) = &body.catalog {
                self.next_table = catalog.next_table;
                for table in &catalog.tables {
                    self.create(table).map_err(|what| fault(&what))?;
                }
            } else if frame.number != 1 {
                return Err(fault("the first frame has no catalog"));
            }
        }
        self.time = body.time;
        self.meta = Some(frame.sections.first().ok_or_else(|| fault("a section is missing"))?.clone());
        for op in &body.ops {
            self.op(op, frame).map_err(|what| fault(&what))?;
        }
        for (id, at) in &body.tips {
            match self.tables.get_mut(id).map(|table| &mut table.shape) {
                Some(ShapeState::Append { tip, .. }) => *tip = Some(*at),
                _ => return Err(fault("it speaks of an append table that is not there")),
            }
        }
        Ok(())
    }

    fn create(&mut self, record: &TableRecord) -> Result<(), String> {
        let shape = match record.shape {
            Shape::Keyed { next_chunk, forgotten, history_rows, history_us } => ShapeState::Keyed(KeyedState {
                history: History { rows: history_rows, age: Duration::from_micros(history_us) },
                first_chunk: next_chunk,
                next_chunk,
                forgotten,
                chunks: BTreeMap::new(),
                tombs: BTreeMap::new(),
            }),
            Shape::Append { first, forgotten, tip } => ShapeState::Append { first, forgotten, tip },
        };
        let schemas = Schemas::parse(&record.schema, &record.widened).map_err(|error| error.to_string())?;
        self.tables.insert(record.id, TableState { name: record.name.clone(), schemas, shape });
        self.next_table = self.next_table.max(record.id + 1);
        Ok(())
    }

    fn op(&mut self, op: &Op, frame: &Frame<Body>) -> Result<(), String> {
        let section = |at: usize| frame.sections.get(at).cloned().ok_or_else(|| "a section is missing".to_owned());
        match op {
            Op::Create(record) => self.create(record)?,
            Op::Drop { table } => {
                self.tables.remove(table).ok_or("it drops a table that is not there")?;
            }
            Op::Widen { table, schema } => {
                let schema = ipc::parse_schema(schema).map_err(|error| error.to_string())?;
                let table = self.tables.get_mut(table).ok_or("it widens a table that is not there")?;
                table.schemas.widen(frame.number, schema);
            }
            Op::Chunk { table, chunk, rows, moved, section: at } => {
                let commits = if *moved { Some(section(at + 2)?) } else { None };
                let places = ChunkPlaces { rows: section(*at)?, hashes: section(at + 1)?, commits };
                let schema = self.tables.get(table).map(|table| Arc::clone(table.schemas.now()));
                let schema = schema.ok_or("it speaks of a table that is not there")?;
                let state = ChunkState { rows: *rows, live: *rows, commit: frame.number, schema, dead: None, places };
                let table = self.keyed(*table)?;
                table.next_chunk = table.next_chunk.max(chunk + 1);
                table.chunks.insert(*chunk, state);
            }
            Op::Kill { table, section: at } => {
                let bytes = frame.section(*at).ok_or("a section is missing")?.map_err(|error| error.to_string())?;
                let table = self.keyed(*table)?;
                for pair in bytes.chunks_exact(8) {
                    let half = |at: usize| u32::from_le_bytes(pair[at..at + 4].try_into().expect("four bytes"));
                    table.kill(RowRef { chunk: half(0), row: half(4) })?;
                }
            }
            Op::Moved { table, chunks } => {
                let table = self.keyed(*table)?;
                for chunk in chunks {
                    if table.chunks.remove(chunk).is_none() && *chunk >= table.first_chunk {
                        return Err(format!("it moves chunk {chunk}, which is not there"));
                    }
                }
            }
            Op::Tombs { table, id, commit, time, section: at } => {
                let place = section(*at)?;
                let table = self.keyed(*table)?;
                table.next_chunk = table.next_chunk.max(id + 1);
                table.tombs.insert((*commit, *id), (*time, place));
            }
            Op::Forget { table, commit } => {
                let table = self.keyed(*table)?;
                table.forgotten = *commit;
                table.tombs.retain(|(at, _), _| at > commit);
            }
            Op::Expire { table, before, forgotten } => match self.tables.get_mut(table).map(|table| &mut table.shape) {
                Some(ShapeState::Append { first, forgotten: newest, .. }) => {
                    (*first, *newest) = (*before, *forgotten);
                }
                _ => return Err("it speaks of an append table that is not there".into()),
            },
        }
        Ok(())
    }

    fn keyed(&mut self, id: u32) -> Result<&mut KeyedState, String> {
        match self.tables.get_mut(&id).map(|table| &mut table.shape) {
            Some(ShapeState::Keyed(table)) => Ok(table),
            _ => Err("it speaks of a keyed table that is not there".into()),
        }
    }
}

impl KeyedState {
    fn kill(&mut self, row: RowRef) -> Result<(), String> {
        let Some(chunk) = self.chunks.get_mut(&row.chunk) else {
            // It was moved out of a file that is gone, after this row died.
            return if row.chunk < self.first_chunk { Ok(()) } else { Err(format!("{row:?} is not there")) };
        };
        let dead = chunk.dead.get_or_insert_with(|| vec![0; (chunk.rows as usize).div_ceil(64)]);
        let bit = 1 << (row.row % 64);
        match dead.get_mut(row.row as usize / 64) {
            Some(word) if row.row < chunk.rows && *word & bit == 0 => *word |= bit,
            _ => return Err(format!("{row:?} is not alive")),
        }
        chunk.live -= 1;
        if chunk.live == 0 {
            self.chunks.remove(&row.chunk);
        }
        Ok(())
    }

    /// `heap`: bytes of rows that may still be put on the heap.
    fn load(self, id: u32, schema: &SchemaRef, heap: &mut u64) -> Result<Keyed, ReadError> {
        let mut table = Keyed::new(id, Arc::clone(schema), self.history);
        table.next_chunk = self.next_chunk;
        table.forgotten = self.forgotten;
        for (id, state) in self.chunks {
            let fits = state.places.rows.len <= *heap;
            let mut chunk = state.places.read(id, state.rows, state.commit, &state.schema, fits)?;
            if &state.schema != schema {
                chunk = chunk.widen(schema)?;
            }
            *heap = heap.saturating_sub(chunk.resident());
            let part = Part::new(Arc::new(chunk), state.dead, state.live);
            let rows = part.live_rows().into_iter();
            let added = rows.map(|row| (part.chunk.hashes[row as usize], RowRef { chunk: id, row })).collect();
            table.step = table.index.advance(&table.step, IndexEdit { removed: Vec::new(), added });
            table.live += u64::from(state.live);
            table.parts.push(part);
        }
        for ((commit, id), (time, place)) in self.tombs {
            let rows = read_stream(&place)?;
            table.tomb_rows += rows.num_rows() as u64;
            let (bytes, file) = (place.stored(), place.file.number);
            table.tombs.push(Tomb { id, commit, time, rows, bytes, file });
        }
        Ok(table)
    }
}

fn read_stream(place: &Place) -> Result<RecordBatch, ReadError> {
    let bytes = place.read()?;
    let reader = StreamReader::try_new(Cursor::new(bytes.as_slice()), None)?;
    let schema = reader.schema();
    let batches = reader.collect::<Result<Vec<_>, ArrowError>>()?;
    Ok(concat_batches(&schema, &batches)?)
}

/// Folders of tables that a crash left behind.
fn remove_others(dir: &Path, row_logs: &HashMap<u32, Log>) -> Result<(), OpenError> {
    let io = |source| OpenError::io("list", dir, source);
    for entry in std::fs::read_dir(dir).map_err(io)? {
        let entry = entry.map_err(io)?;
        let name = entry.file_name();
        let id = name.to_str().and_then(|name| name.strip_prefix(ROWS_PREFIX)).and_then(|id| id.parse().ok());
        if id.is_some_and(|id: u32| !row_logs.contains_key(&id)) {
            let path = entry.path();
            std::fs::remove_dir_all(&path).map_err(|source| OpenError::io("delete", &path, source))?;
        }
    }
    Ok(())
}
