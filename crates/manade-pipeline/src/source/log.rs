//! The http source: events that were accepted into the pipeline's durable log, in order of acceptance.

use std::sync::Arc;

use manade_events::{Chunk, Framer, FramerState};
use manade_model::{CsvOptions, FileFormat};
use manade_store::{EventLog, EventReader, LoggedEntry};

use super::open::bad_inputs;
use super::{Mark, Next, Origin, ReadSourceError, RecordFormat, SourceChunk};
use crate::progress::Position;

#[cfg(test)]
mod tests;

/// Requests are joined to chunks of at most about this many bytes.
const CHUNK: usize = 2 * 1024 * 1024;

pub struct LogReader {
    log: EventLog,
    entries: EventReader,
    /// Read but not handed out.
    next: Option<LoggedEntry>,
    position: Position,
    again: Option<EventReader>,
    /// Events have a time of their own, so that requests accepted at different times may be joined.
    timed: bool,
    max_event: u64,
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
}

impl LogReader {
    pub fn new(log: EventLog, position: Position, timed: bool, max_event: u64) -> Self {
        let entries = log.read(position.0);
        Self { log, entries, next: None, position, again: None, timed, max_event }
    }

    pub fn position(&self) -> Position {
        self.position
    }

    pub fn next(&mut self) -> Result<Next, ReadSourceError> {
        let Some(joined) = join(&mut self.entries, &mut self.next, self.timed)? else { return Ok(Next::Idle) };
        self.position = Position(joined.first.first_event + joined.count);
        let backlog = self.log.events().end.saturating_sub(self.position.0);
        Ok(Next::Chunk(Box::new(self.chunk(joined, Mark::Log, backlog))))
    }

    pub fn again(&mut self, from: Position) -> Result<Option<SourceChunk>, ReadSourceError> {
        if from >= self.position {
            return Ok(None);
        }
        let mut entries = match self.again.take() {
            Some(entries) if entries.position() == from.0 => entries,
            _ => self.log.read(from.0),
        };
        let mut one = None;
        let Some(entry) = entries.next().transpose().map_err(|e| ReadSourceError::Log(e.to_string()))? else {
            return Ok(None);
        };
        one.replace(entry);
        let joined = join(&mut std::iter::empty(), &mut one, self.timed)?.expect("an entry was given");
        self.again = Some(entries);
        Ok(Some(self.chunk(joined, Mark::Again, 0)))
    }

    fn chunk(&self, joined: Joined, mark: Mark, backlog: u64) -> SourceChunk {
        let Joined { first, events, count } = joined;
        let format = format_of(first.format);
        let (mut bad, mut ends, mut header, mut meta) = (Vec::new(), Vec::new(), None, None);
        if format == RecordFormat::Csv {
            let names: Vec<String> =
                first.meta.as_ref().and_then(|m| serde_json::from_slice(m).ok()).unwrap_or_default();
            let state = FramerState::after_header(names.clone());
            header = Some(Arc::from(names));
            let cut = Framer::resume(&csv(), self.max_event, state).cut(&events, true);
            bad = bad_inputs(&cut);
            ends = cut.ends;
        } else {
            meta = first.meta.as_ref().map(|meta| meta_lines(meta));
        }
        let chunk = Chunk { data: events.into(), ends, arrival: first.accepted_at, header, meta };
        let after = Some(Position(first.first_event + count));
        SourceChunk { chunk, format, origin: Origin::Log { first: first.first_event }, mark, after, bad, backlog }
    }
}

/// How CSV is sent over HTTP.
pub fn csv() -> FileFormat {
    FileFormat::Csv(CsvOptions { delimiter: b',', quote: b'"', header: true })
}

/// A JSON object or an empty line a record.
fn meta_lines(meta: &[u8]) -> Vec<Option<String>> {
    let text = String::from_utf8_lossy(meta);
    text.lines().map(|line| (!line.is_empty()).then(|| line.to_owned())).collect()
}

fn join(
    entries: &mut dyn Iterator<Item = Result<LoggedEntry, manade_store::ReadError>>,
    next: &mut Option<LoggedEntry>,
    timed: bool,
) -> Result<Option<Joined>, ReadSourceError> {
    let failed = |e: manade_store::ReadError| ReadSourceError::Log(e.to_string());
    let first = match next.take() {
        Some(entry) => entry,
        None => match entries.next() {
            Some(entry) => entry.map_err(failed)?,
            None => return Ok(None),
        },
    };
    let mut joined = Joined { events: first.events.to_vec(), count: u64::from(first.count), first };
    while joined.events.len() < CHUNK {
        let Some(entry) = entries.next().transpose().map_err(failed)? else { break };
        let follows = entry.first_event == joined.first.first_event + joined.count;
        let alike = entry.format == joined.first.format && entry.format == LINES;
        let plain = entry.meta.is_none() && joined.first.meta.is_none();
        if !(follows && alike && plain && (timed || entry.accepted_at == joined.first.accepted_at)) {
            *next = Some(entry);
            break;
        }
        // A body's last line may have no end.
        if !joined.events.is_empty() && !joined.events.ends_with(b"\n") {
            joined.events.push(b'\n');
        }
        joined.events.extend_from_slice(&entry.events);
        joined.count += u64::from(entry.count);
    }
    Ok(Some(joined))
}
