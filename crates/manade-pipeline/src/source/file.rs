//! The file source: reads a file, a folder or a glob by offset, in an order that is recorded.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fs::{self, File};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

use manade_events::{Chunk, FramerState};
use manade_model::FileFormat;
use serde::{Deserialize, Serialize};

use super::discover::{Print, Selection, born, event_extension, inode};
use super::input::Input;
use super::known::{KnownFiles, REST, changed_within, still_there};
use super::open::{Last, OpenFile, Piece};
use super::{BadInput, Mark, Next, Origin, ReadSourceError, RecordFormat, SourceChunk};
use crate::progress::Position;

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
    /// Device and inode; `None` once the file was truncated.
    pub inode: Option<(u64, u64)>,
    /// When it was made, in nanoseconds since the epoch, where the file system says so.
    #[serde(default)]
    pub born: Option<u64>,
    pub head: Print,
    /// Before the place read to; of packed files only of those that could not be unpacked further.
    pub tail: Print,
    /// Of a packed file that could not be unpacked further: what it begins with, unpacked.
    #[serde(default)]
    pub begin: Option<Print>,
    /// Bytes read, unpacked.
    pub read: u64,
    /// What cutting records needs to know to go on there.
    #[serde(default)]
    pub framer: FramerState,
    /// Size and time of change when it was found that it cannot be unpacked.
    #[serde(default)]
    pub damaged: Option<Stamp>,
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
    /// There is another look, so that copies may be left to grow.
    pub waits: bool,
    pub max_event: u64,
}

/// As of what was handed out, which runs ahead of what is committed.
pub struct FileReader {
    options: FileOptions,
    files: KnownFiles,
    position: Position,
    steps: Option<Vec<Step>>,
    /// Files with something to read, in order, and about how many bytes.
    queue: VecDeque<(u64, u64)>,
    /// Sum of the queue's bytes.
    queued: u64,
    open: HashMap<u64, OpenFile>,
    /// Size and time of change when a file was last read to its end.
    settled: HashMap<u64, Stamp>,
    /// Where lanes that lag have read to, by file.
    again: VecDeque<(u64, OpenFile)>,
    /// Files that are there and were copied from others, by inode.
    copies: HashMap<(u64, u64), u64>,
    scanned: bool,
}

/// Lanes that lag behind at different places and are read for in turn.
const LAGGING: usize = 16;

type Stamp = (u64, Option<SystemTime>);

/// A file with something to read: its number and size.
type Found = Option<(u64, u64)>;

impl KnownFile {
    /// This is what the file system says of it: it was neither deleted nor replaced. Its content may be another.
    pub fn is(&self, meta: &fs::Metadata) -> bool {
        let at_another_time = self.born.is_some_and(|made| born(meta).is_some_and(|now| now != made));
        self.inode == Some(inode(meta)) && !at_another_time
    }
}

impl FileReader {
    pub fn new(options: FileOptions, progress: FileProgress) -> Self {
        let damaged = progress.files.iter().filter_map(|(number, file)| Some((*number, file.damaged?)));
        Self {
            options,
            settled: damaged.collect(),
            files: KnownFiles::new(progress.files),
            position: progress.position,
            steps: progress.steps,
            queue: VecDeque::new(),
            queued: 0,
            open: HashMap::new(),
            again: VecDeque::new(),
            copies: HashMap::new(),
            scanned: false,
        }
    }

    pub fn position(&self) -> Position {
        self.position
    }

    pub fn next(&mut self, bytes: usize) -> Result<Next, ReadSourceError> {
        loop {
            let Some((number, unread)) = self.queue.front().copied() else {
                if self.scanned && !self.options.follow {
                    return Ok(Next::End);
                }
                let first = !std::mem::replace(&mut self.scanned, true);
                let found = self.scan().map_err(|e| failed(self.options.selection.base(), e))?;
                if first && !found && self.files.is_empty() {
                    tracing::warn!(path = %self.options.selection.base().display(), "there are no files to read (yet)");
                }
                if !found {
                    return Ok(if self.options.follow { Next::Idle } else { Next::End });
                }
                continue;
            };
            if let Some(chunk) = self.read(number, bytes)? {
                return Ok(Next::Chunk(Box::new(chunk)));
            }
            self.queue.pop_front();
            self.queued -= unread;
        }
    }

    /// Reads a step again. Steps of files that are gone are left out.
    pub fn again(&mut self, from: Position) -> Result<Option<SourceChunk>, ReadSourceError> {
        let Some(steps) = &self.steps else { return Ok(None) };
        let steps: Vec<Step> = steps.iter().skip(from.0 as usize).copied().collect();
        for (passed, step) in steps.into_iter().enumerate() {
            if let Some(piece) = self.read_again(step)? {
                let path = self.files.get(step.file).path.clone();
                let after = Position(from.0 + passed as u64 + 1);
                return Ok(Some(chunk(&path, piece, Mark::Again, after, 0)));
            }
        }
        Ok(None)
    }

    fn read_again(&mut self, step: Step) -> Result<Option<Piece>, ReadSourceError> {
        // Steps that are so old that they were forgotten name no file.
        let Some(known) = self.files.find(step.file) else { return Ok(None) };
        let path = known.path.clone();
        let kept = self.again.iter().position(|(file, open)| *file == step.file && open.offset() == step.from);
        let kept = kept.and_then(|at| self.again.remove(at));
        let mut open = match kept {
            Some((_, open)) => open,
            None if !still_there(known) => {
                tracing::warn!(path = %path.display(), "events of a file that is gone cannot be read again");
                return Ok(None);
            }
            None => self.open_again(known, step.from).map_err(|e| failed(&path, e))?,
        };
        let piece = open.read_again(step.to).map_err(|e| failed(&path, e))?;
        self.again.push_back((step.file, open));
        self.again.drain(..self.again.len().saturating_sub(LAGGING));
        Ok(piece)
    }

    fn open_again(&self, known: &KnownFile, from: u64) -> io::Result<OpenFile> {
        let file = File::open(&known.path)?;
        if from > 0 && record_format(&self.format_of(&known.path)) == RecordFormat::Elements {
            // Only reading it from its beginning tells how deep in the document a place is.
            let mut open = self.open_at(file, &known.path, 0, FramerState::default())?;
            while open.offset() < from && open.read_again(from)?.is_some() {}
            return Ok(open);
        }
        let state = if from == 0 { FramerState::default() } else { known.framer.at_record() };
        self.open_at(file, &known.path, from, state)
    }

    /// The next chunk of a file, or `None` at its end.
    fn read(&mut self, number: u64, bytes: usize) -> Result<Option<SourceChunk>, ReadSourceError> {
        let mut known = self.files.get(number).clone();
        let open = match self.open.remove(&number) {
            Some(open) => Some(open),
            None => self.open_known(&known).map_err(|e| failed(&known.path, e))?,
        };
        let Some(mut open) = open else {
            // Another file has this name by now: this one may have another name.
            self.scanned = false;
            return Ok(None);
        };
        let seen = fs::metadata(&known.path).ok().filter(|meta| known.is(meta));
        let seen = seen.map(|meta| (meta.len(), meta.modified().ok()));
        let last = if self.options.follow { self.options.last } else { Last::Take };
        let from = open.offset();
        let piece = match open.read(last, bytes) {
            Err(e) if open.is_packed() && is_damage(&e) => {
                known.tail = open.tail();
                known.begin = Print::unpacked(&known.path, known.read).ok();
                return Ok(Some(self.damaged(number, known, seen, &e)));
            }
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
        known.damaged = None;
        known.tail = if open.is_packed() { Print::default() } else { open.tail() };
        let others = self.queued - self.queue.front().map_or(0, |(_, bytes)| *bytes);
        let backlog = seen.map_or(0, |(size, _)| size).saturating_sub(known.read) + others;
        self.open.insert(number, open);
        let step = Step { file: number, from, to: known.read };
        self.files.put(number, known.clone());
        self.position.0 += 1;
        if let Some(steps) = &mut self.steps {
            steps.push(step);
        }
        let path = known.path.clone();
        Ok(Some(chunk(&path, piece, Mark::File(Box::new(FileMark { step, known })), self.position, backlog)))
    }

    /// What cannot be unpacked is one dead letter; the file is left alone until it changes.
    fn damaged(&mut self, number: u64, mut known: KnownFile, seen: Option<Stamp>, error: &io::Error) -> SourceChunk {
        self.settled.extend(seen.map(|seen| (number, seen)));
        known.damaged = seen;
        self.files.put(number, known.clone());
        self.queued -= self.queue.pop_front().map_or(0, |(_, bytes)| bytes);
        self.position.0 += 1;
        let step = Step { file: number, from: known.read, to: known.read };
        if let Some(steps) = &mut self.steps {
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
        chunk(&path, piece, Mark::File(Box::new(FileMark { step, known })), self.position, 0)
    }

    /// `None` where the file is not there any more, or another one has its name.
    fn open_known(&self, known: &KnownFile) -> io::Result<Option<OpenFile>> {
        let file = match File::open(&known.path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e),
        };
        if !known.is(&file.metadata()?) {
            return Ok(None);
        }
        self.open_at(file, &known.path, known.read, known.framer.clone()).map(Some)
    }

    fn open_at(&self, file: File, path: &Path, offset: u64, state: FramerState) -> io::Result<OpenFile> {
        OpenFile::open(file, path, &self.format_of(path), self.options.max_event, offset, state)
    }

    fn format_of(&self, path: &Path) -> FileFormat {
        self.options.format.clone().unwrap_or_else(|| format_by_name(path))
    }

    /// Looks for files that are new or have changed and queues them; says whether there are any.
    fn scan(&mut self) -> io::Result<bool> {
        for path in self.options.selection.files()? {
            match self.identify(&path) {
                Ok(Some((number, size))) => {
                    // Of packed files, the packed size counts.
                    let unread = size.saturating_sub(self.files.get(number).read);
                    self.queue.push_back((number, unread));
                    self.queued += unread;
                }
                Ok(None) => {}
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(io::Error::new(e.kind(), format!("{}: {e}", path.display()))),
            }
        }
        Ok(!self.queue.is_empty())
    }

    /// The number and size of the file at `path`, where it has something that was not read.
    fn identify(&mut self, path: &Path) -> io::Result<Found> {
        let meta = fs::metadata(path)?;
        let known = self.files.with_inode(inode(&meta));
        let is_settled = |number| {
            self.files.get(number).path == path
                && self.settled.get(&number) == Some(&(meta.len(), meta.modified().ok()))
        };
        if known.is_some_and(is_settled) {
            return Ok(None);
        }
        let mut file = File::open(path)?;
        let meta = file.metadata()?;
        let size = meta.len();
        if let Some(found) = self.in_place_of_damaged(path, &mut file, &meta)? {
            return Ok(found);
        }
        if let Some(number) = self.files.with_inode(inode(&meta)).filter(|number| self.files.get(*number).is(&meta)) {
            let known = self.files.get(number);
            let shrunk = !is_packed(path) && size < known.read;
            if !shrunk && known.head.matches(&mut file)? {
                let unread = self.unchanged_or(number, path, &mut file, &meta)?;
                return Ok(unread.then_some((number, size)));
            }
            tracing::info!(path = %path.display(), "the file was truncated: reading it from its beginning");
            self.forget(number);
        }
        if size == 0 {
            return Ok(None);
        }
        if self.options.waits && !is_packed(path) && self.is_copy(path, &mut file, &meta)? {
            return Ok(None);
        }
        if !is_packed(path)
            && let Some(number) = self.files.original_of(path, &mut file, size)?
        {
            let original = self.files.get(number).clone();
            if !still_there(&original) {
                self.forget(number);
            }
            let (path, head) = (path.to_owned(), Print::head(&mut file, &meta)?);
            let copy = KnownFile { path, head, inode: Some(inode(&meta)), born: born(&meta), ..original };
            return Ok(Some((self.files.add(copy), size)));
        }
        let head = Print::head(&mut file, &meta)?;
        let new = KnownFile {
            path: path.to_owned(),
            inode: Some(inode(&meta)),
            born: born(&meta),
            head,
            tail: Print::default(),
            begin: None,
            read: 0,
            framer: FramerState::default(),
            damaged: None,
        };
        Ok(Some((self.files.add(new), size)))
    }

    /// What is to be read of what stands in the place of a damaged file; `None` where there was none, or this is a new one.
    fn in_place_of_damaged(&mut self, path: &Path, file: &mut File, meta: &fs::Metadata) -> io::Result<Option<Found>> {
        let Some(number) = self.files.damaged_at(path) else { return Ok(None) };
        let (size, seen) = (meta.len(), (meta.len(), meta.modified().ok()));
        if self.settled.get(&number) == Some(&seen) {
            return Ok(Some(None));
        }
        match self.is_mended(number, path) {
            Ok(true) => {
                let (inode, born, head) = (Some(inode(meta)), born(meta), Print::head(file, meta)?);
                self.files.put(number, KnownFile { inode, born, head, ..self.files.get(number).clone() });
                return Ok(Some(Some((number, size))));
            }
            Ok(false) => {}
            // A shorter one that rests is another.
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof && size > 0 => {
                if changed_within(meta, REST) {
                    return Ok(Some(None));
                }
            }
            Err(e) if is_damage(&e) => {
                self.settled.insert(number, seen);
                return Ok(Some(None));
            }
            Err(e) => return Err(e),
        }
        self.forget(number);
        Ok(None)
    }

    /// Whether a new file is a copy of one that is read, so that there is nothing in it to read. Once the other one is
    /// truncated or gone, the copy goes on where that was read to.
    fn is_copy(&mut self, path: &Path, file: &mut File, meta: &fs::Metadata) -> io::Result<bool> {
        let (size, inode) = (meta.len(), inode(meta));
        if let Some(original) = self.copies.get(&inode).map(|number| self.files.get(*number).clone())
            && !still_there(&original)
        {
            self.copies.remove(&inode);
            // Another file may have the number of a copy that is gone.
            if size < original.read && original.head.matches(file)? {
                // What was written behind it before the other one was truncated was read there.
                let (head, tail) = (Print::head(file, meta)?, Print::end(file, size)?);
                let (path, inode, born) = (path.to_owned(), Some(inode), born(meta));
                self.files.add(KnownFile { path, head, tail, inode, born, read: size, ..original });
                return Ok(true);
            }
            return Ok(false);
        }
        match self.files.copied_from(path, file, meta)? {
            Some(original) => self.copies.insert(inode, original),
            None => self.copies.remove(&inode),
        };
        Ok(self.copies.contains_key(&inode))
    }

    /// Whether what stands in the place of a damaged file is this one, written again: up to the place read to it holds the
    /// same. What cannot be unpacked as far as that is an error.
    fn is_mended(&self, number: u64, path: &Path) -> io::Result<bool> {
        let known = self.files.get(number);
        let Some(begin) = known.begin else { return Ok(false) };
        if !begin.matches_unpacked(&mut Input::open(path)?)? {
            return Ok(false);
        }
        let is_same =
            known.read == 0 || (known.tail.len > 0 && known.tail.matches_unpacked(&mut Input::open(path)?)?);
        if !is_same {
            let path = path.display();
            tracing::warn!(%path, "the file is mended, but some of what was read of it before had been unpacked wrongly: it is \
                read from its beginning, so its events come again");
        }
        Ok(is_same)
    }

    /// Whether a known file has changed since it was read.
    fn unchanged_or(&mut self, number: u64, path: &Path, file: &mut File, meta: &fs::Metadata) -> io::Result<bool> {
        let known = self.files.get(number);
        // A link beside the file is another name of it, not a new one.
        let renamed = known.path != path && !fs::metadata(&known.path).is_ok_and(|meta| known.is(&meta));
        if renamed || known.head.is_short() {
            let mut known = known.clone();
            if renamed {
                if !is_same_path(&known.path, path) {
                    tracing::info!(from = %known.path.display(), to = %path.display(), "the file was renamed");
                }
                path.clone_into(&mut known.path);
            }
            if known.head.is_short() {
                known.head = Print::head(file, meta)?;
            }
            self.files.put(number, known);
        }
        Ok(self.settled.get(&number) != Some(&(meta.len(), meta.modified().ok())))
    }

    fn forget(&mut self, number: u64) {
        self.files.lose(number);
        self.open.remove(&number);
        self.settled.remove(&number);
    }
}

fn failed(path: &Path, source: io::Error) -> ReadSourceError {
    ReadSourceError::Io { path: path.display().to_string(), source }
}

/// `path` is there; `known` is as it was written when the program was started, perhaps in another folder.
fn is_same_path(known: &Path, path: &Path) -> bool {
    let known_name = known.components().filter(|part| !matches!(part, Component::CurDir));
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    std::path::absolute(known).is_ok_and(|known| known == absolute)
        || (known.is_relative() && absolute.ends_with(known_name.collect::<PathBuf>()))
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

pub fn is_packed(path: &Path) -> bool {
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
