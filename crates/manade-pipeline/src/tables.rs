//! Reference tables: read whole, and again when their file changes.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::compute::concat_batches;
use manade_events::{Chunk, Decoder, DecoderOptions, Framer, Inferred, column_name};
use manade_model::{EventSchema, FileFormat, Finding, Place, Table};
use manade_sql::TableSet;

use crate::source::file::format_by_name;
use crate::source::input::Input;

/// A table's file and how it is read.
#[derive(Debug, Clone)]
pub struct TableSource {
    pub name: String,
    pub path: PathBuf,
    pub format: FileFormat,
    pub schema: EventSchema,
}

/// All tables of a pipeline; asks now and then whether a file has changed.
pub struct Tables {
    sources: Vec<TableSource>,
    stamps: Vec<Option<Stamp>>,
    /// Tables whose newest version was refused, so that it is said once.
    refused: Vec<Option<Stamp>>,
    current: Arc<TableSet>,
}

type Stamp = (u64, Option<SystemTime>, (u64, u64));

/// A table is at most this long; it is joined from memory.
const MOST: u64 = 1024 * 1024 * 1024;

#[derive(Debug, thiserror::Error)]
pub enum TableError {
    #[error("cannot read table `{table}` from {path}: {reason}")]
    Read { table: String, path: String, reason: String },
    #[error("row {row} of table `{table}` ({path}): {reason}")]
    Row { table: String, path: String, row: usize, reason: String },
}

/// Settles every table's schema and reads each once, so that errors show before anything runs.
/// `fixed`: schemata of those without a written one, which hold as long as the file fits them.
pub fn sources(
    tables: &[Table],
    fixed: &BTreeMap<String, EventSchema>,
    findings: &mut Vec<Finding>,
) -> Vec<TableSource> {
    let mut sources = Vec::new();
    for table in tables {
        let format = table.format.clone().unwrap_or_else(|| format_by_name(&table.path));
        match source_of(table, format) {
            Ok((source, left_out)) => {
                let note = |what| left_out_note(&source.path, table.place.clone(), what);
                findings.extend(left_out.into_iter().map(note));
                let fixed = fixed.get(&source.name).filter(|_| table.schema.is_none());
                if let Some(before) = fixed.and_then(|fixed| as_before(&source, fixed)) {
                    sources.push(before);
                    continue;
                }
                match load(&source) {
                    Ok(_) => sources.push(source),
                    Err(e) => findings.push(Finding::error(table.place.clone(), e.to_string())),
                }
            }
            Err(e) => {
                let finding = Finding::error(table.place.clone(), e.to_string());
                let is_there = table.path.exists();
                findings.push(if is_there { finding } else { finding.with_hint("the path is relative to this file") });
            }
        }
    }
    sources
}

/// The table with the types that its columns had before, where they are others and the file can be read with them.
fn as_before(source: &TableSource, fixed: &EventSchema) -> Option<TableSource> {
    let mut before = source.clone();
    for field in &mut before.schema.fields {
        let same = fixed.fields.iter().find(|known| known.name.eq_ignore_ascii_case(&field.name));
        *field = same.cloned().unwrap_or_else(|| field.clone());
    }
    (before.schema != source.schema && load(&before).is_ok()).then_some(before)
}

/// Of a column that a schema cannot have.
pub fn left_out_note(file: &Path, place: Place, what: String) -> Finding {
    let hint = "rename it where it is written, or write the schema to choose which one is read";
    Finding::note(place, format!("{}: {what}", file.display())).with_hint(hint)
}

/// And what an inferred schema leaves out.
fn source_of(table: &Table, format: FileFormat) -> Result<(TableSource, Vec<String>), TableError> {
    let failed = |reason: String| TableError::Read {
        table: table.name.to_string(),
        path: table.path.display().to_string(),
        reason,
    };
    let (schema, left_out) = if let Some(schema) = &table.schema {
        fs::metadata(&table.path).map_err(|e| failed(e.to_string()))?;
        (schema.clone(), Vec::new())
    } else {
        let bytes = sample(&table.path, MOST).map_err(|e| failed(e.to_string()))?;
        let Inferred { schema, left_out } = manade_events::infer(&bytes, &format).map_err(|e| failed(e.to_string()))?;
        (schema, left_out)
    };
    Ok((TableSource { name: table.name.to_string(), path: table.path.clone(), format, schema }, left_out))
}

/// A file's bytes, unpacked.
pub fn unpacked(path: &Path) -> io::Result<impl Read + use<>> {
    Input::open(path)
}

/// A file's first bytes, unpacked.
pub fn sample(path: &Path, bytes: u64) -> io::Result<Vec<u8>> {
    let mut sample = Vec::new();
    unpacked(path)?.take(bytes).read_to_end(&mut sample)?;
    Ok(sample)
}

/// Reads a table whole; a row that does not fit its schema fails it.
pub fn load(source: &TableSource) -> Result<RecordBatch, TableError> {
    let failed = |reason: String| TableError::Read {
        table: source.name.clone(),
        path: source.path.display().to_string(),
        reason,
    };
    let bytes = sample(&source.path, MOST + 1).map_err(|e| failed(e.to_string()))?;
    if bytes.len() as u64 > MOST {
        return Err(failed("it is larger than 1 GiB".to_owned()));
    }
    rows(source, bytes)
}

/// Decodes a table's bytes.
pub fn rows(source: &TableSource, bytes: Vec<u8>) -> Result<RecordBatch, TableError> {
    let failed = |reason: String| TableError::Read {
        table: source.name.clone(),
        path: source.path.display().to_string(),
        reason,
    };
    let format = match &source.format {
        FileFormat::Ndjson => manade_events::Format::Lines,
        FileFormat::Json => manade_events::Format::Elements,
        FileFormat::Csv(options) => manade_events::Format::Csv(options.clone()),
    };
    let options = DecoderOptions { format, time: None, coerce: false, max_event: MOST, meta: false };
    let decoder = Decoder::new(&source.schema, None, options).map_err(|e| failed(e.to_string()))?;
    let mut framer = Framer::new(&source.format, MOST);
    let cut = framer.cut(&bytes, true);
    if let Some(error) = cut.errors.first() {
        return Err(failed(error.reason.clone()));
    }
    if let Some(header) = framer.header() {
        let there = header.iter().enumerate().map(|(index, name)| column_name(name, index).to_lowercase());
        let there: Vec<String> = there.collect();
        if let Some(missing) = source.schema.fields.iter().find(|field| !there.contains(&field.name.to_lowercase())) {
            return Err(failed(format!("its header has no column `{}`", missing.name)));
        }
    }
    let data = Buffer::from_vec(bytes).slice_with_length(cut.records.start, cut.records.len());
    let chunk = Chunk { data, ends: cut.ends, arrival: 0, header: framer.header().cloned(), meta: None };
    let decoded = decoder.decode(&chunk);
    if let Some(dead) = decoded.dead.first() {
        let before = &chunk.data.as_slice()[..dead.span.start as usize];
        let row = before.split(|byte| *byte == b'\n').count();
        let (table, path) = (source.name.clone(), source.path.display().to_string());
        return Err(TableError::Row { table, path, row, reason: dead.reason.clone() });
    }
    concat_batches(decoder.schema(), [&decoded.batch]).map_err(|e| failed(e.to_string()))
}

impl Tables {
    pub fn load(sources: Vec<TableSource>) -> Result<Self, TableError> {
        let mut stamps = Vec::new();
        let mut tables = Vec::new();
        for source in &sources {
            stamps.push(stamp(&source.path));
            tables.push((source.name.clone(), vec![load(source)?]));
        }
        let refused = vec![None; sources.len()];
        Ok(Self { sources, stamps, refused, current: Arc::new(TableSet::new(tables)) })
    }

    pub fn current(&self) -> Arc<TableSet> {
        Arc::clone(&self.current)
    }

    /// Reads again what has changed. A new version is taken whole or not at all: then the old one stays.
    pub fn refresh(&mut self) {
        let mut changed = Vec::new();
        for (i, source) in self.sources.iter().enumerate() {
            let now = stamp(&source.path);
            if now == self.stamps[i] || now == self.refused[i] && now.is_some() {
                continue;
            }
            match load(source) {
                Ok(rows) => {
                    tracing::info!(table = %source.name, rows = rows.num_rows(), "the table's file has changed: read again");
                    self.stamps[i] = now;
                    changed.push((source.name.clone(), rows));
                }
                Err(e) => {
                    if self.refused[i] != now || now.is_none() {
                        tracing::warn!("{e}; the rows read before stay");
                    }
                    self.refused[i] = now;
                    if now.is_none() {
                        self.stamps[i] = None;
                    }
                }
            }
        }
        if !changed.is_empty() {
            let rows = |source: &TableSource| {
                let new = changed.iter().find(|(name, _)| *name == source.name).map(|(_, rows)| vec![rows.clone()]);
                (source.name.clone(), new.unwrap_or_else(|| self.current.get(&source.name).to_vec()))
            };
            self.current = Arc::new(TableSet::new(self.sources.iter().map(rows)));
        }
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let meta = fs::metadata(path).ok()?;
    Some((meta.len(), meta.modified().ok(), crate::source::discover::inode(&meta)))
}
