//! Appended rows as Parquet files of a folder, each row in one file.
//!
//! Rows are gathered in memory until a file's time or size has come; they are not told as written before that, so what is
//! gathered in a crash comes again. A range of rows is then completed in this order: temporary files, synced; the note which
//! rows these are, and in which files; the files' names. After a crash the note says which range may be there: it is
//! completed once more, under the same names, and rows before it are there.

mod partition;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::{Field, Schema, SchemaRef};
use manade_model::ParquetSink;
use manade_pipeline::collection::CollectionInfo;
use manade_pipeline::outbox::{Portion, RefusedRow};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use serde::{Deserialize, Serialize};

use self::partition::{Partition, Split};
use crate::ConnectError;

/// Folders that are written into together, and rows that are refused together, so that memory is bounded.
const FOLDERS: usize = 1_000;
const REFUSED: u64 = 1_000;
/// Of temporary files and notes. Readers of a lake leave out what begins with `_`.
const OWN: &str = "_manade";

/// Writes the rows of one result.
pub(crate) struct Files {
    target: ParquetSink,
    every: Duration,
    /// The result and its generation: how names of files begin.
    stem: String,
    partition: Partition,
    /// The columns that are in the files.
    columns: Vec<usize>,
    schema: SchemaRef,
    /// What the folder notes; unknown until it was looked at.
    note: Option<Note>,
    gathered: Gathered,
}

/// Rows that are in files now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Finished {
    /// The number behind the last row.
    pub end: u64,
    pub rows: u64,
}

/// The range of rows that was begun last. All before it are in files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Note {
    first: u64,
    end: u64,
    /// Relative to the folder.
    files: Vec<String>,
}

#[derive(Default)]
struct Gathered {
    first: u64,
    end: u64,
    rows: u64,
    /// `None` where nothing is.
    since: Option<Instant>,
    /// By folder.
    writers: BTreeMap<String, ArrowWriter<Vec<u8>>>,
}

impl Files {
    /// With `hurry`, files are completed as soon as no rows have come for a second.
    pub fn new(target: ParquetSink, info: &CollectionInfo, generation: u64, hurry: bool) -> Self {
        let partition = Partition::new(&target, info);
        let columns: Vec<usize> = (0..info.columns.len()).filter(|column| !partition.has(*column)).collect();
        let field = |column: &usize| {
            let column = &info.columns[*column];
            Field::new(&column.name, column.data_type.clone(), true)
        };
        let schema = Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()));
        let every = if hurry { target.every.min(Duration::from_secs(1)) } else { target.every };
        let stem = format!("{}-{generation:016x}", info.name);
        Self { target, every, stem, partition, columns, schema, note: None, gathered: Gathered::default() }
    }

    /// Gathers a portion's rows but those that are refused. After an error [`Self::give_up`] is due.
    pub fn add(&mut self, portion: &Portion) -> Result<(Option<Finished>, Vec<RefusedRow>), ConnectError> {
        let Note { first: noted, end: noted_end, .. } = *self.note()?;
        let index_of = |number: u64| partition_point(portion.rows.num_rows(), |row| portion.number(row) < Some(number));
        let (there, repeated) = (index_of(noted), index_of(noted_end));
        let (mut finished, mut refused) = (None, Vec::new());
        let mut from = there;
        while from < portion.rows.num_rows() {
            let first = portion.number(from).ok_or_else(|| ConnectError::new("a row has no number"))?;
            let begun = if self.gathered.since.is_none() { first } else { self.gathered.first };
            let is_repeated = begun == noted && from < repeated;
            let until = if is_repeated { repeated } else { portion.rows.num_rows() };
            let without = self.gather(&portion.rows.slice(from, until - from), first)?;
            let reason = "a value of `partitionBy` is longer than the name of a folder can be";
            refused.extend(without.iter().map(|row| RefusedRow { row: from + row, reason: reason.to_owned() }));
            if is_repeated && self.gathered.end == noted_end {
                finished = Some(self.finish()?);
            }
            from = until;
        }
        Ok((finished, refused))
    }

    /// Completes the files where their time or size has come.
    pub fn finish_if_due(&mut self) -> Result<Option<Finished>, ConnectError> {
        let Gathered { first, end, rows, since, writers } = &self.gathered;
        let Some(since) = since else { return Ok(None) };
        let bytes: usize = writers.values().map(|writer| writer.bytes_written() + writer.in_progress_size()).sum();
        let is_full = bytes as u64 >= self.target.size || writers.len() >= FOLDERS || end - first - rows >= REFUSED;
        if is_full || since.elapsed() >= self.every { self.finish().map(Some) } else { Ok(None) }
    }

    /// Forgets what is gathered.
    pub fn give_up(&mut self) {
        self.gathered = Gathered::default();
        self.note = None;
    }

    /// Says which rows can be in no file.
    fn gather(&mut self, rows: &RecordBatch, first: u64) -> Result<Vec<usize>, ConnectError> {
        let failed = |e: &dyn std::fmt::Display| ConnectError::new(format!("rows cannot be written as Parquet: {e}"));
        let columns = self.columns.iter().map(|column| Arc::clone(rows.column(*column))).collect();
        let files = RecordBatch::try_new(Arc::clone(&self.schema), columns).map_err(|e| failed(&e))?;
        let Split { parts, refused } = self.partition.split(rows);
        for (folder, indexes) in parts {
            let part = match indexes {
                Some(indexes) => take_record_batch(&files, &UInt32Array::from(indexes)).map_err(|e| failed(&e))?,
                None => files.clone(),
            };
            let writer = match self.gathered.writers.entry(folder) {
                Entry::Occupied(entry) => entry.into_mut(),
                Entry::Vacant(entry) => entry.insert(writer(&self.schema).map_err(|e| failed(&e))?),
            };
            writer.write(&part).map_err(|e| failed(&e))?;
        }
        let gathered = &mut self.gathered;
        if gathered.since.is_none() {
            (gathered.first, gathered.since) = (first, Some(Instant::now()));
        }
        gathered.rows += (rows.num_rows() - refused.len()) as u64;
        gathered.end = first + rows.num_rows() as u64;
        Ok(refused)
    }

    fn finish(&mut self) -> Result<Finished, ConnectError> {
        let Gathered { first, end, rows, writers, .. } = std::mem::take(&mut self.gathered);
        let before = self.note()?.clone();
        let mut files = Vec::new();
        for (folder, writer) in writers {
            let bytes = writer.into_inner();
            let bytes = bytes.map_err(|e| ConnectError::new(format!("rows cannot be written as Parquet: {e}")))?;
            let temporary = self.own(&format!("{}-{}.tmp", self.stem, files.len()));
            write(&temporary, &bytes).map_err(|e| cannot(&temporary, &e))?;
            files.push((temporary, format!("{folder}{}-{first:012}-{end:012}.parquet", self.stem)));
        }
        let mut note = Note { first, end, files: files.iter().map(|(_, name)| name.clone()).collect() };
        // Another range from the same row on: its rows are written now.
        let is_again = before.first == first;
        let gone: Vec<String> =
            before.files.into_iter().filter(|name| is_again && !note.files.contains(name)).collect();
        note.files.extend(gone.iter().cloned());
        self.write_note(&note)?;
        for name in gone {
            let path = self.target.folder.join(name);
            remove(&path).map_err(|e| cannot(&path, &e))?;
        }
        for (temporary, name) in files {
            let path = self.target.folder.join(name);
            put(&temporary, &path, &self.target.folder).map_err(|e| cannot(&path, &e))?;
        }
        self.note = Some(note);
        Ok(Finished { end, rows })
    }

    /// What the folder notes; the folder is made where there is none.
    fn note(&mut self) -> Result<&Note, ConnectError> {
        let note = match self.note.take() {
            Some(note) => note,
            None => self.read_note()?,
        };
        Ok(self.note.insert(note))
    }

    fn read_note(&self) -> Result<Note, ConnectError> {
        let (own, path) = (self.target.folder.join(OWN), self.note_path());
        fs::create_dir_all(&own).and_then(|()| self.remove_temporary(&own)).map_err(|e| cannot(&own, &e))?;
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|e| {
                ConnectError::new(format!("{} is no note of Manade's: {e}", path.display()))
                    .with_hint("it says which rows are in the folder's files; restore it, or use another folder")
            }),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Note::default()),
            Err(e) => Err(cannot(&path, &e)),
        }
    }

    fn write_note(&self, note: &Note) -> Result<(), ConnectError> {
        let (path, temporary) = (self.note_path(), self.own(&format!("{}-note.tmp", self.stem)));
        let bytes = serde_json::to_vec(note).expect("a note is plain data");
        let written = write(&temporary, &bytes).and_then(|()| put(&temporary, &path, &self.target.folder));
        written.map_err(|e| cannot(&path, &e))
    }

    /// What was left by a crash.
    fn remove_temporary(&self, own: &Path) -> io::Result<()> {
        for entry in fs::read_dir(own)? {
            let path = entry?.path();
            let is_ours = path.file_name().and_then(OsStr::to_str).is_some_and(|name| name.starts_with(&self.stem));
            if is_ours && path.extension().is_some_and(|extension| extension == "tmp") {
                remove(&path)?;
            }
        }
        Ok(())
    }

    fn note_path(&self) -> PathBuf {
        self.own(&format!("{}.json", self.stem))
    }

    fn own(&self, name: &str) -> PathBuf {
        self.target.folder.join(OWN).join(name)
    }
}

/// That the folder can be written into.
pub(crate) fn check(target: &ParquetSink) -> Result<(), ConnectError> {
    let mut folder = target.folder.as_path();
    // It is made when the pipeline starts.
    while let (false, Some(parent)) = (folder.exists(), folder.parent()) {
        folder = parent;
    }
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    tempfile::tempfile_in(folder).map(|_| ()).map_err(|e| cannot(folder, &e))
}

/// Compressed, and without Arrow's own schema: every reader sees the same types.
fn writer(schema: &SchemaRef) -> parquet::errors::Result<ArrowWriter<Vec<u8>>> {
    let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build();
    let options = ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
    ArrowWriter::try_new_with_options(Vec::new(), Arc::clone(schema), options)
}

fn cannot(path: &Path, error: &io::Error) -> ConnectError {
    ConnectError::new(format!("{} cannot be written: {error}", path.display()))
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Gives a file its name, in folders that are made, below one that is there; all of it durable.
fn put(temporary: &Path, path: &Path, below: &Path) -> io::Result<()> {
    let folder = path.parent().unwrap_or(below);
    fs::create_dir_all(folder)?;
    fs::rename(temporary, path)?;
    for folder in folder.ancestors() {
        File::open(folder)?.sync_all()?;
        if folder == below {
            break;
        }
    }
    Ok(())
}

/// It may be gone already.
fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

/// The first of so many rows that is not before something, rows before it being first.
fn partition_point(rows: usize, is_before: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, rows);
    while low < high {
        let middle = low.midpoint(high);
        if is_before(middle) { low = middle + 1 } else { high = middle }
    }
    low
}
