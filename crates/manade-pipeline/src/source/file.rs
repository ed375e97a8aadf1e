//! The file source: reads a file, a folder or a glob by offset, in an order that is recorded.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use manade_events::{Chunk, FramerState};
use manade_model::FileFormat;
use serde::{Deserialize, Serialize};

use super::discover::{Print, Selection, event_extension, inode};
use super::open::{Last, OpenFile, Piece};
use super::{BadInput, Mark, Next, Origin, ReadSourceError, RecordFormat, SourceChunk};
use crate::progress::Position;

/// Below this many bytes, a file that equals one which is still there is another file, not its copy.
const COPY: u64 = 4096;

/// Which files were read, how far, and in which order. Kept in tables of the store, not in each commit.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FileProgress {
    pub files: BTreeMap<u64, KnownFile>,
    /// Steps read.
    pub position: Position,
    /// The steps themselves, where a lane lags behind and needs them.
    pub steps: Option<Vec<Step>>,
}

/// A file that was read at least once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KnownFile {
    pub path: PathBuf,
    /// Device and inode; `None` once the file was truncated, replaced or deleted.
    pub inode: Option<(u64, u64)>,
    pub head: Print,
    /// Before the place read to; only of files that are not packed.
    pub tail: Print,
    /// Bytes read, unpacked.
    pub read: u64,
    /// What cutting records needs to know to go on there.
    #[serde(default)]
    pub framer: FramerState,
}

/// One chunk of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    pub file: u64,
    /// Bytes, unpacked.
    pub from: u64,
    pub to: u64,
}

/// What reading a chunk adds to the progress.
#[derive(Debug, Clone)]
pub struct FileMark {
    pub step: Step,
    pub known: KnownFile,
}

pub struct FileOptions {
    pub selection: Selection,
    pub format: Option<FileFormat>,
    pub follow: bool,
    /// Take a last line without a new line at the end of what is there.
    pub last: Last,
    pub max_event: u64,
}

pub struct FileReader {
    options: FileOptions,
    /// As of what was handed out, which runs ahead of what is committed.
    progress: FileProgress,
    /// Files with something to read, in order.
    queue: VecDeque<u64>,
    open: HashMap<u64, OpenFile>,
    /// Size and time of change when a file was last read to its end.
    settled: HashMap<u64, (u64, Option<SystemTime>)>,
    again: Option<(u64, OpenFile)>,
    scanned: bool,
}

impl FileReader {
    pub fn new(options: FileOptions, progress: FileProgress) -> Self {
        Self {
            options,
            progress,
            queue: VecDeque::new(),
            open: HashMap::new(),
            settled: HashMap::new(),
            again: None,
            scanned: false,
        }
    }

    pub fn position(&self) -> Position {
        self.progress.position
    }

    pub fn next(&mut self) -> Result<Next, ReadSourceError> {
        loop {
            let Some(number) = self.queue.front().copied() else {
                if self.scanned && !self.options.follow {
                    return Ok(Next::End);
                }
                let found = self.scan().map_err(|e| failed(self.options.selection.base(), e))?;
                self.scanned = true;
                if !found {
                    return Ok(if self.options.follow { Next::Idle } else { Next::End });
                }
                continue;
            };
            match self.read(number)? {
                Some(chunk) => return Ok(Next::Chunk(Box::new(chunk))),
                None => {
                    self.queue.pop_front();
                }
            }
        }
    }

    /// Reads a step again. Steps of files that are gone are left out.
    pub fn again(&mut self, from: Position) -> Result<Option<SourceChunk>, ReadSourceError> {
        let Some(steps) = &self.progress.steps else { return Ok(None) };
        let steps: Vec<Step> = steps.iter().skip(from.0 as usize).copied().collect();
        for (passed, step) in steps.into_iter().enumerate() {
            if let Some(piece) = self.read_again(step)? {
                let path = self.progress.files[&step.file].path.clone();
                let after = Position(from.0 + passed as u64 + 1);
                return Ok(Some(chunk(&path, piece, Mark::Again, after, 0)));
            }
        }
        Ok(None)
    }

    fn read_again(&mut self, step: Step) -> Result<Option<Piece>, ReadSourceError> {
        // Steps that are so old that they were forgotten name no file.
        let Some(known) = self.progress.files.get(&step.file) else { return Ok(None) };
        let path = known.path.clone();
        let kept = self.again.take().filter(|(file, open)| *file == step.file && open.offset() == step.from);
        let mut open = match kept {
            Some((_, open)) => open,
            None if !still_there(known) => {
                tracing::warn!(path = %path.display(), "events of a file that is gone cannot be read again");
                return Ok(None);
            }
            None => {
                let state = if step.from == 0 { FramerState::default() } else { known.framer.clone() };
                self.open_at(&path, step.from, state).map_err(|e| failed(&path, e))?
            }
        };
        let piece = open.read(Some(step.to), Last::Take).map_err(|e| failed(&path, e))?;
        self.again = Some((step.file, open));
        Ok(piece)
    }

    /// The next chunk of a file, or `None` at its end.
    fn read(&mut self, number: u64) -> Result<Option<SourceChunk>, ReadSourceError> {
        let mut known = self.progress.files[&number].clone();
        let mut open = match self.open.remove(&number) {
            Some(open) => open,
            None => match self.open_at(&known.path, known.read, known.framer.clone()) {
                Ok(open) => open,
                // Deleted between the scan and now: what was not read is gone.
                Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(e) => return Err(failed(&known.path, e)),
            },
        };
        let seen = fs::metadata(&known.path).ok().map(|m| (m.len(), m.modified().ok()));
        let last = if self.options.follow { self.options.last } else { Last::Take };
        let from = open.offset();
        let piece = match open.read(None, last) {
            Err(e) if open.is_packed() && is_damage(&e) => return Ok(Some(self.damaged(number, known, seen, &e))),
            read => read.map_err(|e| failed(&known.path, e))?,
        };
        let Some(piece) = piece else {
            if let Some(seen) = seen {
                self.settled.insert(number, seen);
            }
            if !open.is_packed() && self.options.follow {
                self.open.insert(number, open);
            }
            return Ok(None);
        };
        known.read = open.offset();
        known.framer = open.state();
        known.tail = if open.is_packed() { Print::default() } else { open.tail() };
        let backlog = self.backlog(number, seen.map_or(0, |s| s.0), known.read);
        self.open.insert(number, open);
        let step = Step { file: number, from, to: known.read };
        self.progress.files.insert(number, known.clone());
        self.progress.position.0 += 1;
        if let Some(steps) = &mut self.progress.steps {
            steps.push(step);
        }
        let path = known.path.clone();
        Ok(Some(chunk(&path, piece, Mark::File(FileMark { step, known }), self.progress.position, backlog)))
    }

    /// What cannot be unpacked is one dead letter; the file is left alone until it changes.
    fn damaged(
        &mut self,
        number: u64,
        known: KnownFile,
        seen: Option<(u64, Option<SystemTime>)>,
        error: &io::Error,
    ) -> SourceChunk {
        self.settled.extend(seen.map(|seen| (number, seen)));
        self.progress.position.0 += 1;
        let step = Step { file: number, from: known.read, to: known.read };
        if let Some(steps) = &mut self.progress.steps {
            steps.push(step);
        }
        let reason = format!("the file is damaged from here on: {error}");
        let path = known.path.clone();
        let piece = Piece {
            chunk: Chunk::default(),
            format: record_format(&self.format_of(&path)),
            offset: known.read,
            bad: vec![BadInput { at: 0, length: 0, raw: Vec::new(), reason }],
        };
        chunk(&path, piece, Mark::File(FileMark { step, known }), self.progress.position, 0)
    }

    fn open_at(&self, path: &Path, offset: u64, state: FramerState) -> io::Result<OpenFile> {
        OpenFile::open(path, &self.format_of(path), self.options.max_event, offset, state)
    }

    fn format_of(&self, path: &Path) -> FileFormat {
        self.options.format.clone().unwrap_or_else(|| format_by_name(path))
    }

    /// Known bytes that are not read yet; of packed files the packed size counts.
    fn backlog(&self, number: u64, size: u64, read: u64) -> u64 {
        let others = self.queue.iter().filter(|n| **n != number);
        let rest: u64 = others
            .filter_map(|n| {
                let file = &self.progress.files[n];
                Some(fs::metadata(&file.path).ok()?.len().saturating_sub(file.read))
            })
            .sum();
        size.saturating_sub(read) + rest
    }

    /// Looks for files that are new or have changed and queues them; says whether there are any.
    fn scan(&mut self) -> io::Result<bool> {
        for path in self.options.selection.files()? {
            match self.identify(&path) {
                Ok(Some(number)) => self.queue.push_back(number),
                Ok(None) => {}
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(e),
            }
        }
        Ok(!self.queue.is_empty())
    }

    /// The number of the file at `path`, where it has something that was not read.
    fn identify(&mut self, path: &Path) -> io::Result<Option<u64>> {
        let mut file = File::open(path)?;
        let meta = file.metadata()?;
        let id = inode(&meta);
        if let Some(number) = self.newest(|f| f.inode == Some(id)) {
            let known = &self.progress.files[&number];
            let packed = is_packed(path);
            let shrunk = !packed && meta.len() < known.read;
            if !shrunk && known.head.matches(&mut file)? {
                return self.unchanged_or(number, path, &mut file, &meta);
            }
            tracing::info!(path = %path.display(), "the file was truncated: reading it from its beginning");
            self.forget(number);
        } else if let Some(number) = self.original_of(path, &mut file, &meta)? {
            let original = self.progress.files[&number].clone();
            self.forget_if_gone(number);
            return self.add(path, &mut file, &meta, Some(original)).map(Some);
        }
        if meta.len() == 0 {
            return Ok(None);
        }
        self.add(path, &mut file, &meta, None).map(Some)
    }

    fn unchanged_or(
        &mut self,
        number: u64,
        path: &Path,
        file: &mut File,
        meta: &fs::Metadata,
    ) -> io::Result<Option<u64>> {
        let known = self.progress.files.get_mut(&number).expect("identified just now");
        if known.path != path {
            tracing::info!(from = %known.path.display(), to = %path.display(), "the file was renamed");
            path.clone_into(&mut known.path);
        }
        if known.head.is_short() {
            known.head = Print::head(file, meta)?;
        }
        let now = (meta.len(), meta.modified().ok());
        Ok((self.settled.get(&number) != Some(&now)).then_some(number))
    }

    /// The file that this new one was copied from: it begins with the same bytes up to the place read to, and that
    /// other one was truncated, replaced or deleted since (copytruncate), or enough bytes are the same to be sure.
    fn original_of(&self, path: &Path, file: &mut File, meta: &fs::Metadata) -> io::Result<Option<u64>> {
        for (number, known) in self.progress.files.iter().rev() {
            if known.read == 0 || is_packed(path) || is_packed(&known.path) || meta.len() < known.read {
                continue;
            }
            if !known.head.matches(file)? || !known.tail.matches(file)? {
                continue;
            }
            if known.read >= COPY || !still_there(known) {
                return Ok(Some(*number));
            }
        }
        Ok(None)
    }

    /// A file whose number was reused or that was truncated stands before the one that it became.
    fn newest(&self, is: impl Fn(&KnownFile) -> bool) -> Option<u64> {
        self.progress.files.iter().rev().find(|(_, known)| is(known)).map(|(number, _)| *number)
    }

    /// A new file; a copy goes on where its original was read to.
    fn add(&mut self, path: &Path, file: &mut File, meta: &fs::Metadata, of: Option<KnownFile>) -> io::Result<u64> {
        let head = Print::head(file, meta)?;
        let number = self.progress.files.keys().next_back().map_or(0, |last| last + 1);
        let (tail, read, framer) = of.map_or_else(Default::default, |of| (of.tail, of.read, of.framer));
        let known = KnownFile { path: path.to_owned(), inode: Some(inode(meta)), head, tail, read, framer };
        self.progress.files.insert(number, known);
        Ok(number)
    }

    fn forget(&mut self, number: u64) {
        if let Some(known) = self.progress.files.get_mut(&number) {
            known.inode = None;
        }
        self.open.remove(&number);
        self.settled.remove(&number);
    }

    fn forget_if_gone(&mut self, number: u64) {
        if !still_there(&self.progress.files[&number]) {
            self.forget(number);
        }
    }
}

fn failed(path: &Path, source: io::Error) -> ReadSourceError {
    ReadSourceError::Io { path: path.display().to_string(), source }
}

fn chunk(path: &Path, piece: Piece, mark: Mark, after: Position, backlog: u64) -> SourceChunk {
    let origin = Origin::File { path: path.to_string_lossy().into(), offset: piece.offset };
    SourceChunk { chunk: piece.chunk, format: piece.format, origin, mark, after: Some(after), bad: piece.bad, backlog }
}

/// Not the disk's or the system's fault, but what the file holds.
fn is_damage(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidData, InvalidInput, Other, UnexpectedEof};
    matches!(error.kind(), InvalidData | InvalidInput | Other | UnexpectedEof)
}

fn still_there(known: &KnownFile) -> bool {
    let there = || -> io::Result<bool> {
        let mut file = File::open(&known.path)?;
        let meta = file.metadata()?;
        Ok(Some(inode(&meta)) == known.inode && meta.len() >= known.read && known.head.matches(&mut file)?)
    };
    there().unwrap_or(false)
}

fn is_packed(path: &Path) -> bool {
    path.extension().is_some_and(|e| e == "gz" || e == "zst")
}

/// The format that a file's name says; NDJSON where it says nothing.
pub fn format_by_name(path: &Path) -> FileFormat {
    match event_extension(path).as_deref() {
        Some("json") => FileFormat::Json,
        Some("csv") => FileFormat::Csv(manade_model::CsvOptions { delimiter: b',', quote: b'"', header: true }),
        _ => FileFormat::Ndjson,
    }
}

/// The decoder that a file's format needs.
pub fn record_format(format: &FileFormat) -> RecordFormat {
    match format {
        FileFormat::Ndjson => RecordFormat::Lines,
        FileFormat::Json => RecordFormat::Elements,
        FileFormat::Csv(_) => RecordFormat::Csv,
    }
}
