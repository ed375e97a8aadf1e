//! Where events come from: files that are read by offset, and the log of the http source.

pub mod discover;
pub mod file;
pub mod input;
mod known;
pub mod log;
pub mod open;
pub mod store;

use std::sync::Arc;

use manade_events::Chunk;
use serde::{Deserialize, Serialize};

use crate::progress::Position;

pub use file::{FileMark, FileReader};
pub use log::LogReader;

/// Complete records, where they come from, and what reading them does to the source's progress.
pub struct SourceChunk {
    pub chunk: Chunk,
    pub format: RecordFormat,
    pub origin: Origin,
    pub mark: Mark,
    /// The position after this chunk; of replayed dead letters, none.
    pub after: Option<Position>,
    /// Input that is no record: each counts as one event that was read and is dead.
    pub bad: Vec<BadInput>,
    /// Bytes (file) or events (log) that are known and come after this chunk.
    pub backlog: u64,
}

/// How a chunk's records are written; a source may mix them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RecordFormat {
    #[default]
    Lines,
    Elements,
    Csv,
}

/// Where a chunk's first byte or event stands, for dead letters.
#[derive(Debug, Clone)]
pub enum Origin {
    File {
        path: Arc<str>,
        offset: u64,
    },
    Log {
        first: u64,
    },
    /// Dead letters that are tried again, by id, one a record.
    Replay(Arc<[u64]>),
}

/// What is to be remembered once a chunk's events are committed.
#[derive(Debug, Clone)]
pub enum Mark {
    /// A step of the reading order, and the file as it is known after it.
    File(Box<FileMark>),
    /// Nothing beside the position.
    Log,
    /// Read again for a lane that lags behind.
    Again,
    /// No part of the source.
    None,
}

/// Bytes that cannot be cut into a record.
#[derive(Debug, Clone)]
pub struct BadInput {
    /// From the origin's offset, in bytes; negative where it began before.
    pub at: i64,
    pub length: u64,
    pub raw: Vec<u8>,
    pub reason: String,
}

/// What a source has at the moment.
pub enum Next {
    Chunk(Box<SourceChunk>),
    /// Nothing now; ask again later.
    Idle,
    /// Nothing any more.
    End,
}

fn log_fault(error: &manade_store::ReadError) -> String {
    match error {
        manade_store::ReadError::Damaged { path, offset, what } => format!(
            "{} is damaged at byte {offset}: {what}; restore a backup, or give up the accepted events with \
             `manade reset PIPELINE --events`",
            path.display()
        ),
        other => crate::reading::describe(other),
    }
}

pub enum SourceReader {
    File(Box<FileReader>),
    Log(Box<LogReader>),
}

#[derive(Debug, thiserror::Error)]
pub enum ReadSourceError {
    #[error("cannot read {path}")]
    Io { path: String, source: std::io::Error },
    #[error("cannot read accepted events: {}", log_fault(.0))]
    Log(manade_store::ReadError),
}

impl SourceReader {
    /// The next events that nobody has read, about so many bytes of them.
    pub fn next(&mut self, bytes: usize) -> Result<Next, ReadSourceError> {
        match self {
            Self::File(reader) => reader.next(bytes),
            Self::Log(reader) => reader.next(bytes),
        }
    }

    /// Events between `from` and what has been read, for a lane that lags behind, about so many bytes of a log, or as many
    /// of a file as were read at once; `None` when it has caught up.
    pub fn again(&mut self, from: Position, bytes: usize) -> Result<Option<SourceChunk>, ReadSourceError> {
        match self {
            Self::File(reader) => reader.again(from),
            Self::Log(reader) => reader.again(from, bytes),
        }
    }

    /// Up to where events have been read.
    pub fn position(&self) -> Position {
        match self {
            Self::File(reader) => reader.position(),
            Self::Log(reader) => reader.position(),
        }
    }
}
