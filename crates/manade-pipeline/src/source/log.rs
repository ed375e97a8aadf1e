//! The http source: events that were accepted into the pipeline's durable log, in order of acceptance.

use std::collections::VecDeque;
use std::sync::Arc;

use manade_events::{Chunk, Framer, FramerState};
use manade_model::{CsvOptions, FileFormat};
use manade_store::{EventLog, EventReader, LoggedEntry};

use super::open::bad_inputs;
use super::{Mark, Next, Origin, ReadSourceError, RecordFormat, SourceChunk};
use crate::progress::Position;

#[cfg(test)]
mod tests;

/// Lanes that lag behind at different places and are read for in turn.
const LAGGING: usize = 64;

pub struct LogReader {
    log: EventLog,
    new: Cursor,
    position: Position,
    /// Where lanes that lag have read to.
    again: VecDeque<Cursor>,
    max_event: u64,
}

/// Entries from a place on.
struct Cursor {
    entries: EventReader,
    /// Read but not handed out.
    held: Option<LoggedEntry>,
}

/// [`manade_store::Entry::format`] of NDJSON.
pub const LINES: u8 = 0;

/// [`manade_store::Entry::format`] of CSV: an entry's `meta` is then its header, a JSON array of names.
pub const CSV: u8 = 1;

fn format_of(code: u8) -> RecordFormat {
    if code == CSV { RecordFormat::Csv } else { RecordFormat::Lines }
}

/// Entries that are read as one chunk.
struct Joined {
    first: LoggedEntry,
    events: Vec<u8>,
    count: u64,
    /// What is known of each event beside its text, of entries that are lines; `None` where nothing is known of any.
    meta: Option<Vec<Option<String>>>,
    /// When the last of them was accepted: without a time of their own, that is how new the events are.
    accepted_at: i64,
}

impl LogReader {
    pub fn new(log: EventLog, position: Position, max_event: u64) -> Self {
        let new = Cursor::new(&log, position);
        Self { log, new, position, again: VecDeque::new(), max_event }
    }

    pub fn position(&self) -> Position {
        self.position
    }

    /// Requests are joined to a chunk of about so many bytes.
    pub fn next(&mut self, bytes: usize) -> Result<Next, ReadSourceError> {
        let Some(joined) = self.new.join(u64::MAX, bytes)? else { return Ok(Next::Idle) };
        self.position = Position(joined.first.first_event + joined.count);
        let backlog = self.log.events().end.saturating_sub(self.position.0);
        Ok(Next::Chunk(Box::new(self.chunk(joined, Mark::Log, backlog))))
    }

    pub fn again(&mut self, from: Position, bytes: usize) -> Result<Option<SourceChunk>, ReadSourceError> {
        if from >= self.position {
            return Ok(None);
        }
        let known = self.again.iter().position(|cursor| cursor.position() == from.0);
        let known = known.and_then(|at| self.again.remove(at));
        let mut cursor = known.unwrap_or_else(|| Cursor::new(&self.log, from));
        let joined = cursor.join(self.position.0, bytes)?;
        self.again.push_back(cursor);
        self.again.drain(..self.again.len().saturating_sub(LAGGING));
        Ok(joined.map(|joined| self.chunk(joined, Mark::Again, 0)))
    }

    fn chunk(&self, joined: Joined, mark: Mark, backlog: u64) -> SourceChunk {
        let Joined { first, events, count, meta, accepted_at } = joined;
        let format = format_of(first.format);
        let (mut bad, mut ends, mut header) = (Vec::new(), Vec::new(), None);
        if format == RecordFormat::Csv {
            let names: Vec<String> =
                first.meta.as_ref().and_then(|m| serde_json::from_slice(m).ok()).unwrap_or_default();
            let state = FramerState::after_header(names.clone());
            header = Some(Arc::from(names));
            let cut = Framer::resume(&csv(), self.max_event, state).cut(&events, true);
            bad = bad_inputs(&cut);
            ends = cut.ends;
        }
        let chunk = Chunk { data: events.into(), ends, arrival: accepted_at, header, meta };
        let after = Some(Position(first.first_event + count));
        SourceChunk { chunk, format, origin: Origin::Log { first: first.first_event }, mark, after, bad, backlog }
    }
}

/// How CSV is sent over HTTP.
pub fn csv() -> FileFormat {
    FileFormat::Csv(CsvOptions { delimiter: b',', quote: b'"', header: true })
}

/// A JSON object or an empty line an event.
fn meta_of(entry: &LoggedEntry) -> Option<Vec<Option<String>>> {
    let meta = entry.meta.as_ref().filter(|_| entry.format == LINES)?;
    let text = String::from_utf8_lossy(meta);
    let mut lines: Vec<_> = text.lines().map(|line| (!line.is_empty()).then(|| line.to_owned())).collect();
    lines.resize(entry.count as usize, None);
    Some(lines)
}

impl Joined {
    fn new(first: LoggedEntry) -> Self {
        let (events, count, accepted_at) = (first.events.to_vec(), u64::from(first.count), first.accepted_at);
        let meta = meta_of(&first);
        Self { first, events, count, meta, accepted_at }
    }

    fn add(&mut self, entry: &LoggedEntry) {
        // A body's last line may have no end.
        if !self.events.is_empty() && !self.events.ends_with(b"\n") {
            self.events.push(b'\n');
        }
        self.events.extend_from_slice(&entry.events);
        let meta = meta_of(entry);
        if self.meta.is_some() || meta.is_some() {
            let known = self.meta.get_or_insert_default();
            known.resize(self.count as usize, None);
            known.extend(meta.unwrap_or_default());
        }
        self.count += u64::from(entry.count);
        self.accepted_at = self.accepted_at.max(entry.accepted_at);
    }
}

impl Cursor {
    fn new(log: &EventLog, from: Position) -> Self {
        Self { entries: log.read(from.0), held: None }
    }

    /// The number of its next event.
    fn position(&self) -> u64 {
        self.held.as_ref().map_or(self.entries.position(), |held| held.first_event)
    }

    /// The next entries, about so many bytes, as far as they can be read alike, of those that begin before event `end`. What stands before one
    /// that cannot be read is given first.
    fn join(&mut self, end: u64, bytes: usize) -> Result<Option<Joined>, ReadSourceError> {
        let Some(first) = self.next(end)? else { return Ok(None) };
        let mut joined = Joined::new(first);
        while joined.events.len() < bytes {
            let Ok(Some(entry)) = self.next(end) else { break };
            let follows = entry.first_event == joined.first.first_event + joined.count;
            let alike = entry.format == joined.first.format && entry.format == LINES;
            if !(follows && alike) {
                self.held = Some(entry);
                break;
            }
            joined.add(&entry);
        }
        Ok(Some(joined))
    }

    fn next(&mut self, end: u64) -> Result<Option<LoggedEntry>, ReadSourceError> {
        let next = self.held.take().map(Ok).or_else(|| self.entries.next());
        let next = next.transpose().map_err(ReadSourceError::Log)?;
        match next {
            Some(entry) if entry.first_event >= end => {
                self.held = Some(entry);
                Ok(None)
            }
            next => Ok(next),
        }
    }
}
