//! Reading entries in order while others are written.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow_buffer::Buffer;
use bytes::Bytes;

use super::{Body, Inner, LoggedEntry};
use crate::error::{OpenError, ReadError};
use crate::log::{Depth, FILE_HEADER, Frame, Scanner, Sum};

/// Entries in order. `next` gives `None` at the present end; calling it again later goes on from there. An entry that
/// cannot be read is met again until it can. Where the oldest events were dropped meanwhile, it goes on with the oldest
/// that are kept.
#[derive(Debug)]
pub struct EventReader {
    log: Arc<Inner>,
    next: u64,
    cursor: Option<Cursor>,
    ready: VecDeque<LoggedEntry>,
}

/// Where the next frame is.
struct Cursor {
    file: Scanner,
    offset: u64,
    frame: u64,
    chain: Sum,
}

impl EventReader {
    pub(super) fn new(log: Arc<Inner>, from: u64) -> Self {
        Self { log, next: from, cursor: None, ready: VecDeque::new() }
    }

    /// The event number that `next` reads from.
    pub fn position(&self) -> u64 {
        self.next
    }

    /// Reads frames until one has an entry that is wanted; `false` at the durable end.
    fn fill(&mut self) -> Result<bool, OpenError> {
        loop {
            let Some(end) = self.seek()? else { return Ok(false) };
            let cursor = self.cursor.as_mut().expect("seeking sets it");
            cursor.file.length = end;
            let frame: Frame<Body> = cursor.file.frame(cursor.offset, cursor.frame, cursor.chain)?;
            (cursor.offset, cursor.chain, cursor.frame) = (frame.end, frame.chain, frame.number + 1);
            let count: u64 = frame.body.entries.iter().map(|entry| u64::from(entry.count)).sum();
            if frame.body.first + count <= self.next {
                continue;
            }
            self.split(&frame)?;
            if !self.ready.is_empty() {
                return Ok(true);
            }
        }
    }

    /// Puts the cursor where the next frame begins and returns the file's durable end; `None` where all is read.
    fn seek(&mut self) -> Result<Option<u64>, OpenError> {
        loop {
            let part = {
                let state = self.log.state.lock();
                let oldest = state.parts.front().map_or(0, |part| part.file.number);
                let part = match self.cursor.as_ref().map(|cursor| cursor.file.file.number) {
                    Some(file) if file >= oldest => state.parts.iter().find(|part| part.file.number == file).cloned(),
                    _ => state
                        .parts
                        .iter()
                        .take_while(|part| part.first_event <= self.next)
                        .last()
                        .or(state.parts.front())
                        .cloned(),
                };
                let Some(part) = part else { return Ok(None) };
                let at = self.cursor.as_ref().filter(|cursor| cursor.file.file.number == part.file.number);
                if at.is_some_and(|cursor| cursor.offset < part.end) {
                    return Ok(Some(part.end));
                }
                match at {
                    Some(_) => state.parts.iter().find(|next| next.file.number == part.file.number + 1).cloned(),
                    None => Some(part),
                }
            };
            let Some(part) = part else { return Ok(None) };
            let file = Scanner::open(Arc::clone(&part.file), Depth::Headers)?;
            let header = file.header;
            let (offset, frame, chain) = (FILE_HEADER as u64, header.first_frame, header.chain);
            self.cursor = Some(Cursor { file, offset, frame, chain });
        }
    }

    fn split(&mut self, frame: &Frame<Body>) -> Result<(), OpenError> {
        let Some(section) = frame.sections.first() else { return Ok(()) };
        let bytes = Bytes::from_owner(Shared(section.read()?));
        let mut at = 0;
        let mut first_event = frame.body.first;
        for entry in &frame.body.entries {
            let mut take = |len: u64| {
                let start = at;
                at = bytes.len().min(at + len as usize);
                bytes.slice(start..at)
            };
            let events = take(entry.events);
            let meta = entry.meta.map(take);
            let next = first_event + u64::from(entry.count);
            if next > self.next {
                let (count, format, accepted_at) = (entry.count, entry.format, entry.at);
                self.ready.push_back(LoggedEntry { first_event, count, format, accepted_at, events, meta });
            }
            first_event = next;
        }
        Ok(())
    }
}

impl Iterator for EventReader {
    type Item = Result<LoggedEntry, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ready.is_empty() {
            match self.fill() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => {
                    self.cursor = None;
                    return Some(Err(read_error(error)));
                }
            }
        }
        let entry = self.ready.pop_front()?;
        self.next = entry.first_event + u64::from(entry.count);
        Some(Ok(entry))
    }
}

impl std::fmt::Debug for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cursor").field("file", &self.file.file).field("offset", &self.offset).finish_non_exhaustive()
    }
}

struct Shared(Buffer);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

fn read_error(error: OpenError) -> ReadError {
    match error {
        OpenError::Damaged { path, offset, what } => ReadError::Damaged { path, offset, what },
        OpenError::Io { path, source, .. } | OpenError::NotWritable { path, source } => ReadError::Io { path, source },
        other => ReadError::Io { path: std::path::PathBuf::new(), source: std::io::Error::other(other.to_string()) },
    }
}
