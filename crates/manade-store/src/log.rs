//! An append-only log of checksummed, chained frames in numbered files.

mod frame;
mod replay;
mod witness;

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow_buffer::{Buffer, MutableBuffer};
use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};

pub use self::frame::{FILE_HEADER, Sum, checksum};
pub use self::replay::{Depth, Frame, Scanner, damaged};
pub use self::witness::{Tip, WITNESS};

use self::frame::{ALIGN, Encoded, FileHeader, encode, padded};
use self::witness::Witness;
use crate::error::{CommitError, OpenError, ReadError};

/// So many zeros are written behind a small frame. The frames that come over them change neither the file's length nor where its
/// bytes are on the disk, so syncing them writes nothing but them.
const ROOM: u64 = 1 << 20;
/// Syncing a larger frame takes its time for its own bytes.
const SMALL_FRAME: u64 = 64 << 10;

/// A file of a log. One that is no longer needed is deleted once nobody reads it any more.
#[derive(Debug)]
pub struct LogFile {
    pub path: PathBuf,
    pub number: u64,
    doomed: AtomicBool,
}

impl LogFile {
    fn new(dir: &Path, number: u64) -> Arc<Self> {
        Arc::new(Self { path: dir.join(format!("{number:08}.log")), number, doomed: AtomicBool::new(false) })
    }
}

impl Drop for LogFile {
    fn drop(&mut self) {
        if *self.doomed.get_mut()
            && let Err(error) = std::fs::remove_file(&self.path)
        {
            // Harmless: the next open removes it.
            tracing::warn!(path = %self.path.display(), %error, "cannot delete a file that is no longer needed");
        }
    }
}

/// Where a section is stored.
#[derive(Debug, Clone)]
pub struct Place {
    pub file: Arc<LogFile>,
    pub offset: u64,
    pub len: u64,
    pub sum: Sum,
}

impl Place {
    /// Reads and verifies the section; the buffer is aligned to 64 bytes.
    pub fn read(&self) -> Result<Buffer, ReadError> {
        let path = &self.file.path;
        let io = |source| ReadError::Io { path: path.clone(), source };
        let damaged = |what: &str| ReadError::Damaged { path: path.clone(), offset: self.offset, what: what.into() };
        let file = File::open(path).map_err(io)?;
        let mut bytes = MutableBuffer::from_len_zeroed(self.stored() as usize);
        file.read_exact_at(&mut bytes, self.offset).map_err(|source| match source.kind() {
            io::ErrorKind::UnexpectedEof => damaged("the file is cut short"),
            _ => io(source),
        })?;
        self.verify(&bytes)?;
        Ok(Buffer::from(bytes).slice_with_length(0, self.len as usize))
    }

    /// Checks the section's bytes and padding as found on disk.
    pub fn verify(&self, bytes: &[u8]) -> Result<(), ReadError> {
        if checksum(bytes) == self.sum {
            return Ok(());
        }
        let what = "the checksum of a section does not fit".to_owned();
        Err(ReadError::Damaged { path: self.file.path.clone(), offset: self.offset, what })
    }

    /// Bytes on disk.
    pub fn stored(&self) -> u64 {
        padded(self.len)
    }
}

/// Who knows where the log ends.
#[derive(Debug, Clone, Copy)]
pub enum Authority {
    /// A witness file in the log's folder, synced after each frame: one whole frame behind it was not acknowledged yet, and
    /// counts.
    Witness,
    /// A witness file that may be behind, see [`Log::confirm_ahead`]: all whole frames behind it count.
    LaggingWitness,
    /// Another log's frame says so; `None`: the log has never been confirmed.
    Told(Option<Tip>),
}

#[derive(Debug, Clone, Copy)]
pub struct LogOptions {
    pub authority: Authority,
    pub depth: Depth,
    pub file_bytes: u64,
    /// Nothing is truncated, deleted or created.
    pub read_only: bool,
}

#[derive(Debug)]
pub struct Log {
    dir: PathBuf,
    files: VecDeque<Part>,
    active: Option<File>,
    witness: Option<Witness>,
    /// What is durable and acknowledged.
    tip: Tip,
    /// The tip with the frames that were appended since.
    pending: Tip,
    /// The tip is newer than the witness that is synced.
    ahead: bool,
    file_bytes: u64,
    /// Where the zeros end that were written to the active file.
    room: u64,
    /// The next frame begins a new file, whatever the size of this one.
    ended: bool,
    trouble: Trouble,
}

#[derive(Debug, Clone)]
struct Part {
    file: Arc<LogFile>,
    /// The chain before its first frame.
    chain: Sum,
    end: u64,
}

/// What a failure left behind; put right before the next append.
#[derive(Debug, Clone, Copy, Default)]
struct Trouble {
    /// There may be bytes after the tip.
    tail: bool,
    /// The witness may already say what was not acknowledged.
    witness: bool,
    /// A sync failed: what was written to the active file cannot be trusted, it is verified and ended.
    sync: bool,
}

impl Log {
    /// Replays the log. `visit` gets each frame in order.
    pub fn open<B: DeserializeOwned>(
        dir: &Path,
        options: LogOptions,
        mut visit: impl FnMut(Frame<B>) -> Result<(), OpenError>,
    ) -> Result<Self, OpenError> {
        let (witness, told) = match options.authority {
            Authority::Witness | Authority::LaggingWitness => match Witness::open(dir, !options.read_only)? {
                Some((witness, tip)) => (Some(witness), Some(tip)),
                None => (None, None),
            },
            Authority::Told(tip) => (None, tip),
        };
        let Some(tip) = told else { return Self::create(dir, options) };
        let found = numbers(dir)?;
        let mut log = Self {
            dir: dir.to_owned(),
            files: VecDeque::new(),
            active: None,
            witness,
            tip,
            pending: tip,
            ahead: false,
            file_bytes: options.file_bytes,
            room: 0,
            ended: false,
            trouble: Trouble::default(),
        };
        log.replay(options.depth, &mut visit)?;
        log.after_tip(&found, options, &mut visit)?;
        if !options.read_only {
            log.open_active().map_err(|source| OpenError::io("open", &log.path_of(log.tip.file), source))?;
        }
        Ok(log)
    }

    pub fn tip(&self) -> Tip {
        self.tip
    }

    /// The tip including what was appended and not yet confirmed.
    pub fn pending(&self) -> Tip {
        self.pending
    }

    /// Bytes on disk.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|part| part.end).sum()
    }

    /// The file that frames are appended to, and its end.
    pub fn active_file(&self) -> Option<(Arc<LogFile>, u64)> {
        self.files.back().map(|part| (Arc::clone(&part.file), part.end))
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// A file is ended once it has this many bytes.
    pub fn file_bytes(&self) -> u64 {
        self.file_bytes
    }

    /// The next frame begins a new file.
    pub fn will_rotate(&self) -> bool {
        self.pending.end >= self.file_bytes || self.ended || self.trouble.sync
    }

    /// Lets the next frame begin a new file.
    pub fn end_file(&mut self) {
        self.ended = true;
    }

    /// Appends a frame and syncs it. It counts once it is confirmed. On error the log is as before.
    pub fn append<B: Serialize>(&mut self, body: &B, payload: Vec<&[u8]>) -> Result<(u64, Vec<Place>), CommitError> {
        self.recover()?;
        let rotate = self.will_rotate();
        if rotate {
            self.rotate().inspect_err(|_| self.abandon())?;
        }
        let frame = encode(self.pending.frame + 1, self.pending.chain, body, payload);
        let sections = self.write(&frame).inspect_err(|_| self.abandon())?;
        self.pending.frame += 1;
        self.pending.end += frame.len();
        self.pending.chain = frame.chain;
        self.files.back_mut().expect("a log has a file").end = self.pending.end;
        Ok((self.pending.frame, sections))
    }

    /// Whether so many bytes could be appended; leaves nothing behind.
    pub fn probe(&mut self, bytes: u64) -> Result<(), CommitError> {
        self.recover()?;
        let active = self.active.as_ref().expect("the log is writable");
        // Whoever opens the log and finds the zeros takes them for what a crash tore.
        let written = failpoint("store::append").and_then(|()| write_zeros(active, self.tip.end, bytes));
        let probed = written.and_then(|()| {
            let synced = active.sync_data();
            self.trouble.sync |= synced.is_err();
            synced
        });
        self.abandon();
        probed.map_err(|source| CommitError::io("write", &self.path_of(self.tip.file), source))
    }

    /// From the next [`Log::confirm`] on the log begins with this file.
    pub fn begin_with(&mut self, first: u64) {
        if let Some(part) = self.files.iter().find(|part| part.file.number == first) {
            self.pending.first_file = first;
            self.pending.first_chain = part.chain;
        }
    }

    /// Makes what was appended count, by the witness if the log has one. On error the log is as before the append.
    pub fn confirm(&mut self) -> Result<(), CommitError> {
        if self.pending == self.tip && !self.ahead {
            return Ok(());
        }
        self.confirm_by(Witness::write)?;
        self.ahead = false;
        Ok(())
    }

    /// The same without a sync of the witness, which [`Log::confirm`] must make up for soon: a frame shows that those before
    /// it were whole, so only damage to the last one can be taken for a torn end, and only after a power cut.
    pub fn confirm_ahead(&mut self) -> Result<(), CommitError> {
        self.ahead = true;
        self.confirm_by(Witness::note)
    }

    /// The tip is newer than the witness that is synced.
    pub fn is_ahead(&self) -> bool {
        self.ahead
    }

    fn confirm_by(&mut self, write: impl FnOnce(&mut Witness, &Tip) -> io::Result<()>) -> Result<(), CommitError> {
        if let Some(witness) = &mut self.witness {
            let written = failpoint("store::witness").and_then(|()| write(witness, &self.pending));
            if let Err(source) = written {
                let path = witness.path().to_owned();
                self.trouble.witness = true;
                self.abandon();
                return Err(CommitError::io("write", &path, source));
            }
        }
        self.tip = self.pending;
        while self.files.front().is_some_and(|part| part.file.number < self.tip.first_file) {
            let part = self.files.pop_front().expect("there is a front");
            part.file.doomed.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Deletes the log's files once nobody reads them any more.
    pub fn doom(self) {
        for part in &self.files {
            part.file.doomed.store(true, Ordering::Relaxed);
        }
    }

    /// Forgets what was appended since the last confirm.
    pub fn abandon(&mut self) {
        self.trouble.tail = true;
        self.pending = self.tip;
        if let Err(error) = self.recover() {
            tracing::warn!(path = %self.dir.display(), %error, "cannot put the log right yet");
        }
    }

    /// Copies the confirmed log into `target` (a new folder): ended files by hard link where that works.
    pub fn copy_to(&self, target: &Path) -> Result<(), CommitError> {
        let io = |source| CommitError::io("write", target, source);
        create_dirs(target).map_err(io)?;
        for part in &self.files {
            let name = part.file.path.file_name().expect("log files have names");
            let to = target.join(name);
            let sealed = part.file.number < self.tip.file;
            if part.file.number > self.tip.file || (sealed && std::fs::hard_link(&part.file.path, &to).is_ok()) {
                continue;
            }
            let end = if sealed { part.end } else { self.tip.end };
            copy_part(&part.file.path, &to, end).map_err(|source| CommitError::io("copy", &part.file.path, source))?;
        }
        if self.witness.is_some() {
            Witness::create(target, &self.tip).map_err(CommitError::Damaged)?;
        }
        sync_dir(target).map_err(io)
    }

    fn create(dir: &Path, options: LogOptions) -> Result<Self, OpenError> {
        let io = |source| OpenError::io("create", dir, source);
        if options.read_only {
            return Err(OpenError::Missing { path: dir.to_owned() });
        }
        create_dirs(dir).map_err(io)?;
        for number in numbers(dir)? {
            // What a crash left of a first start has no frame; a log with frames has lost its witness.
            let file = LogFile::new(dir, number);
            let length = std::fs::metadata(&file.path).map_err(io)?.len();
            if !matches!(options.authority, Authority::Told(_)) && (number != 1 || length > FILE_HEADER as u64) {
                return Err(damaged(&dir.join(WITNESS), 0, "the file is missing though the log has frames"));
            }
            std::fs::remove_file(&file.path).map_err(io)?;
        }
        let tip = Tip { first_file: 1, first_chain: [0; 2], frame: 0, file: 1, end: FILE_HEADER as u64, chain: [0; 2] };
        let file = LogFile::new(dir, 1);
        let active = create_file(&file, &tip, 0).map_err(|source| OpenError::io("create", &file.path, source))?;
        let witness = match options.authority {
            Authority::Witness | Authority::LaggingWitness => Some(Witness::create(dir, &tip)?),
            Authority::Told(_) => None,
        };
        Ok(Self {
            dir: dir.to_owned(),
            files: [Part { file, chain: [0; 2], end: tip.end }].into(),
            active: Some(active),
            witness,
            tip,
            pending: tip,
            ahead: false,
            file_bytes: options.file_bytes,
            room: 0,
            ended: false,
            trouble: Trouble::default(),
        })
    }

    /// Reads from the first file to the tip; everything there must be whole.
    fn replay<B: DeserializeOwned>(
        &mut self,
        depth: Depth,
        visit: &mut impl FnMut(Frame<B>) -> Result<(), OpenError>,
    ) -> Result<(), OpenError> {
        let tip = self.tip;
        let mut chain = tip.first_chain;
        let mut frame = None;
        let mut scanner = Scanner::open(LogFile::new(&self.dir, tip.first_file), depth)?;
        for number in tip.first_file..=tip.file {
            let next =
                if number < tip.file { Some(Scanner::open(LogFile::new(&self.dir, number + 1), depth)?) } else { None };
            let path = scanner.file.path.clone();
            let end = next.as_ref().map_or(tip.end, |next| next.header.previous_end);
            let mut at = FILE_HEADER as u64;
            let number = frame.get_or_insert(scanner.header.first_frame);
            if scanner.header.chain != chain || scanner.header.first_frame != *number {
                return Err(damaged(&path, 0, "it does not continue the file before"));
            }
            self.files.push_back(Part { file: Arc::clone(&scanner.file), chain, end });
            while at < end {
                let read = scanner.frame(at, *number, chain)?;
                (at, chain) = (read.end, read.chain);
                *number += 1;
                visit(read)?;
            }
            if at != end || scanner.length < end {
                return Err(damaged(&path, scanner.length.min(end), "the file is cut short"));
            }
            if let Some(next) = next {
                scanner = next;
            }
        }
        let last = frame.map_or(0, |next| next - 1);
        if (last, chain) != (tip.frame, tip.chain) {
            let what = format!("it ends with frame {last}; frame {} with another chain was acknowledged", tip.frame);
            return Err(damaged(&self.path_of(tip.file), tip.end, &what));
        }
        Ok(())
    }

    /// What is behind the tip: frames that the witness does not speak of yet, and what a crash tore.
    fn after_tip<B: DeserializeOwned>(
        &mut self,
        found: &[u64],
        options: LogOptions,
        visit: &mut impl FnMut(Frame<B>) -> Result<(), OpenError>,
    ) -> Result<(), OpenError> {
        let (tip, mut frames) = (self.tip, 0);
        while let Some(frame) = self.next_frame::<B>(found, options.authority)? {
            frames += 1;
            if frames > 1 && !matches!(options.authority, Authority::LaggingWitness) {
                let what = "more than one frame is newer than the witness";
                return Err(damaged(&frame.file.path, frame.offset, what));
            }
            if frame.file.number > self.tip.file {
                self.files.push_back(Part { file: Arc::clone(&frame.file), chain: self.tip.chain, end: frame.end });
            }
            self.files.back_mut().expect("a log has a file").end = frame.end;
            self.tip =
                Tip { frame: frame.number, file: frame.file.number, end: frame.end, chain: frame.chain, ..self.tip };
            self.pending = self.tip;
            visit(frame)?;
        }
        if let Some(number) = found.iter().find(|number| **number > self.tip.file + 1) {
            return Err(damaged(&self.path_of(*number), 0, "it is newer than what the witness acknowledged"));
        }
        if matches!(options.authority, Authority::LaggingWitness) {
            self.check_torn(found)?;
        }
        if options.read_only {
            return Ok(());
        }
        if let Some(witness) = self.witness.as_mut().filter(|_| self.tip != tip) {
            witness.write(&self.tip).map_err(|source| OpenError::io("write", &self.dir.join(WITNESS), source))?;
        }
        for number in found.iter().filter(|number| !(self.tip.first_file..=self.tip.file).contains(number)) {
            let path = self.path_of(*number);
            std::fs::remove_file(&path).map_err(|source| OpenError::io("delete", &path, source))?;
        }
        Ok(())
    }

    /// What a crash tore is the last that was written: a frame is begun after the one before it was synced.
    fn check_torn(&self, found: &[u64]) -> Result<(), OpenError> {
        let tip = self.tip;
        let lost = || damaged(&self.path_of(tip.file), tip.end, "a frame is not whole that later ones follow");
        let behind = Scanner::open(LogFile::new(&self.dir, tip.file), Depth::Headers)?;
        if behind.has_frame_after(tip.end, tip.frame + 1)? {
            return Err(lost());
        }
        if !found.contains(&(tip.file + 1)) {
            return Ok(());
        }
        match Scanner::open(LogFile::new(&self.dir, tip.file + 1), Depth::Headers) {
            // A file is begun, and its header synced, behind whole frames.
            Ok(next) if next.header.first_frame > tip.frame + 1 => Err(lost()),
            Ok(next) if next.has_frame_after(FILE_HEADER as u64, tip.frame + 1)? => Err(lost()),
            Ok(_) | Err(OpenError::Damaged { .. }) => Ok(()),
            Err(other) => Err(other),
        }
    }

    /// The whole frame behind the tip, in its file or the next.
    fn next_frame<B: DeserializeOwned>(
        &self,
        found: &[u64],
        authority: Authority,
    ) -> Result<Option<Frame<B>>, OpenError> {
        if matches!(authority, Authority::Told(_)) {
            return Ok(None);
        }
        let tip = self.tip;
        match self.frame_ahead(tip.file, tip.end)? {
            None if found.contains(&(tip.file + 1)) => self.frame_ahead(tip.file + 1, FILE_HEADER as u64),
            frame => Ok(frame),
        }
    }

    /// The whole, valid frame behind the tip, if there is one.
    fn frame_ahead<B: DeserializeOwned>(&self, file: u64, offset: u64) -> Result<Option<Frame<B>>, OpenError> {
        let found = Scanner::open(LogFile::new(&self.dir, file), Depth::Headers).and_then(|scanner| {
            let header = scanner.header;
            if file > self.tip.file && (header.chain, header.previous_end) != (self.tip.chain, self.tip.end) {
                return Err(damaged(&scanner.file.path, 0, "it does not continue the file before"));
            }
            let frame: Frame<B> = scanner.frame(offset, self.tip.frame + 1, self.tip.chain)?;
            let whole = frame.sections.iter().all(|section| section.read().is_ok());
            if whole { Ok(frame) } else { Err(damaged(&scanner.file.path, offset, "a section is torn")) }
        });
        match found {
            Ok(frame) => Ok(Some(frame)),
            Err(OpenError::Damaged { .. }) => Ok(None),
            Err(other) => Err(other),
        }
    }

    fn open_active(&mut self) -> io::Result<()> {
        let file = OpenOptions::new().read(true).write(true).open(self.path_of(self.tip.file))?;
        if file.metadata()?.len() > self.tip.end {
            file.set_len(self.tip.end)?;
            file.sync_data()?;
        }
        self.active = Some(file);
        self.room = 0;
        Ok(())
    }

    fn rotate(&mut self) -> Result<(), CommitError> {
        let number = self.pending.file + 1;
        let file = LogFile::new(&self.dir, number);
        self.trouble.tail = true;
        self.give_room_back();
        let created = failpoint("store::rotate").and_then(|()| create_file(&file, &self.pending, self.pending.end));
        self.active = Some(created.map_err(|source| CommitError::io("create", &file.path, source))?);
        self.files.push_back(Part { file, chain: self.pending.chain, end: FILE_HEADER as u64 });
        self.pending.file = number;
        self.pending.end = FILE_HEADER as u64;
        self.trouble = Trouble::default();
        self.ended = false;
        self.room = 0;
        Ok(())
    }

    /// It only saves space.
    fn give_room_back(&mut self) {
        if let Some(active) = self.active.as_ref().filter(|_| self.room > self.pending.end) {
            let _ = active.set_len(self.pending.end);
        }
    }

    fn write(&mut self, frame: &Encoded<'_>) -> Result<Vec<Place>, CommitError> {
        let part = self.files.back().expect("a log has a file");
        let active = self.active.as_ref().expect("the log is writable");
        let mut at = self.pending.end;
        let mut put = || -> io::Result<Vec<Place>> {
            failpoint("store::append")?;
            let mut out = Gather { file: active, at, buffer: Vec::new() };
            out.put(&frame.head)?;
            at += frame.head.len() as u64;
            let mut places = Vec::with_capacity(frame.sections.len());
            for (bytes, section) in frame.payload.iter().zip(&frame.sections) {
                out.put(bytes)?;
                out.put(&[0; ALIGN][..(padded(section.len) - section.len) as usize])?;
                places.push(Place { file: Arc::clone(&part.file), offset: at, len: section.len, sum: section.sum });
                at += padded(section.len);
            }
            out.flush()?;
            Ok(places)
        };
        let places = put().map_err(|source| CommitError::io("write", &part.file.path, source))?;
        if at > self.room && frame.len() < SMALL_FRAME {
            let room = (at + ROOM).min(self.file_bytes.max(at));
            match write_zeros(active, at, room - at) {
                Ok(()) => self.room = room,
                // There is room for the frame, and it goes without.
                Err(_) => drop(active.set_len(at)),
            }
        }
        if let Err(source) = failpoint("store::sync").and_then(|()| active.sync_data()) {
            self.trouble.sync = true;
            return Err(CommitError::io("sync", &part.file.path, source));
        }
        Ok(places)
    }

    /// Puts right what a failure left: the witness first, so that it never speaks of a frame that is gone. After an
    /// error a restart may still find the last frame that was not confirmed.
    pub fn recover(&mut self) -> Result<(), CommitError> {
        if self.trouble.witness {
            let witness = self.witness.as_mut().expect("only a witness gives this trouble");
            witness.write(&self.tip).map_err(|source| CommitError::io("write", witness.path(), source))?;
            self.trouble.witness = false;
        }
        if !self.trouble.tail {
            return Ok(());
        }
        while self.files.back().is_some_and(|part| part.file.number > self.tip.file) {
            self.files.pop_back();
        }
        let extra = self.path_of(self.tip.file + 1);
        match std::fs::remove_file(&extra) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(CommitError::io("delete", &extra, source));
            }
            Err(_) => {}
            Ok(()) => sync_dir(&self.dir).map_err(|source| CommitError::io("sync", &self.dir, source))?,
        }
        let path = self.path_of(self.tip.file);
        self.open_active().map_err(|source| CommitError::io("restore", &path, source))?;
        self.files.back_mut().expect("a log has a file").end = self.tip.end;
        if self.trouble.sync {
            self.verify_active().map_err(CommitError::Damaged)?;
        }
        self.trouble.tail = false;
        Ok(())
    }

    fn verify_active(&self) -> Result<(), OpenError> {
        let scanner = Scanner::open(LogFile::new(&self.dir, self.tip.file), Depth::Whole)?;
        let mut at = FILE_HEADER as u64;
        let mut chain = scanner.header.chain;
        let mut number = scanner.header.first_frame;
        while at < self.tip.end {
            let frame: Frame<IgnoredAny> = scanner.frame(at, number, chain)?;
            (at, chain, number) = (frame.end, frame.chain, number + 1);
        }
        if (at, chain) == (self.tip.end, self.tip.chain) {
            return Ok(());
        }
        Err(damaged(&scanner.file.path, at, "it is not what was written"))
    }

    fn path_of(&self, number: u64) -> PathBuf {
        self.dir.join(format!("{number:08}.log"))
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.give_room_back();
    }
}

/// Joins small writes; large ones go out as they are.
struct Gather<'a> {
    file: &'a File,
    at: u64,
    buffer: Vec<u8>,
}

impl Gather<'_> {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.len() < 64 << 10 {
            self.buffer.extend_from_slice(bytes);
            return Ok(());
        }
        self.flush()?;
        self.file.write_all_at(bytes, self.at)?;
        self.at += bytes.len() as u64;
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.write_all_at(&self.buffer, self.at)?;
        self.at += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}

fn write_zeros(file: &File, offset: u64, bytes: u64) -> io::Result<()> {
    const ZEROS: &[u8] = &[0; 64 << 10];
    (0..bytes).step_by(ZEROS.len()).try_for_each(|at| {
        let len = (bytes - at).min(ZEROS.len() as u64) as usize;
        file.write_all_at(&ZEROS[..len], offset + at)
    })
}

/// Makes a folder and those that it is in, all of which a power cut leaves there. One that is there already may have been
/// made by a process that was killed before this was sure.
pub fn create_dirs(dir: &Path) -> io::Result<()> {
    use io::ErrorKind::{InvalidInput, PermissionDenied, ReadOnlyFilesystem, Unsupported};
    std::fs::create_dir_all(dir)?;
    for parent in dir.ancestors().skip(1) {
        match sync_dir(parent) {
            // Who may not open it has not made anything in it either; some file systems have nothing to sync.
            Err(error)
                if matches!(error.kind(), PermissionDenied | InvalidInput | ReadOnlyFilesystem | Unsupported) =>
            {
                break;
            }
            synced => synced?,
        }
    }
    Ok(())
}

pub fn sync_dir(dir: &Path) -> io::Result<()> {
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    File::open(dir)?.sync_all()
}

/// `Err` where a test asks for it; nothing at all in a build without failpoints.
#[cfg_attr(
    not(feature = "failpoints"),
    expect(clippy::unnecessary_wraps, reason = "it fails where a test asks for it")
)]
pub fn failpoint(name: &str) -> io::Result<()> {
    fail::fail_point!(name, |kind| Err(match kind.as_deref() {
        Some("full") => io::ErrorKind::StorageFull.into(),
        _ => io::Error::other("failpoint"),
    }));
    let _ = name;
    Ok(())
}

fn create_file(file: &LogFile, tip: &Tip, previous_end: u64) -> io::Result<File> {
    let header = FileHeader { number: file.number, first_frame: tip.frame + 1, previous_end, chain: tip.chain };
    let created = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&file.path)?;
    created.write_all_at(&header.encode(), 0)?;
    created.sync_all()?;
    sync_dir(file.path.parent().expect("log files are in a folder"))?;
    Ok(created)
}

fn copy_part(from: &Path, to: &Path, end: u64) -> io::Result<()> {
    let mut source = io::Read::take(File::open(from)?, end);
    let mut target = OpenOptions::new().write(true).create_new(true).open(to)?;
    io::copy(&mut source, &mut target)?;
    target.sync_all()
}

/// The numbers of the log files in a folder, sorted; other names are not ours.
fn numbers(dir: &Path) -> Result<Vec<u64>, OpenError> {
    let io = |source| OpenError::io("list", dir, source);
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(io(source)),
    };
    let mut numbers = Vec::new();
    for entry in entries {
        let name = entry.map_err(io)?.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(".log"));
        numbers.extend(number.and_then(|number| number.parse::<u64>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}
