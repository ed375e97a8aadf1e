//! What travels between the pipeline's threads.

use std::sync::Arc;

use manade_sql::{StageOutput, TableSet};

use crate::dead_letter::Stage;
use crate::progress::{EventClock, Position};
use crate::source::{Mark, SourceChunk};

/// A chunk to be decoded and run through SQL.
pub struct Job {
    /// Counts from 0; jobs are merged in this order.
    pub number: u64,
    pub source: SourceChunk,
    /// Lanes that take these events.
    pub lanes: Vec<usize>,
    /// Events are counted, and their dead letters kept.
    pub counts: bool,
    /// Only these results take them (replay of dead letters).
    pub only: Option<Arc<[usize]>>,
    pub tables: Arc<TableSet>,
}

/// A job's effect, ready to be merged.
pub struct Done {
    pub number: u64,
    pub mark: Mark,
    pub after: Option<Position>,
    /// What was known after this chunk, and this chunk itself, in bytes (file) or events (log).
    pub backlog: u64,
    pub size: u64,
    pub lanes: Vec<DoneLane>,
    pub counts: bool,
    pub read: u64,
    /// Records that were decoded.
    pub rows: u64,
    /// Dead before any SQL.
    pub dead: Vec<Dead>,
    pub replayed: Option<Arc<[u64]>>,
    pub results: Vec<DoneResult>,
}

pub struct DoneLane {
    pub lane: usize,
    /// After this chunk.
    pub clock: EventClock,
}

/// One result's share of a job.
pub struct DoneResult {
    pub result: usize,
    /// In source order; more than one only where sessions must be cut between two events.
    pub parts: Vec<Part>,
    pub dead: Vec<Dead>,
    /// Events that failed in its SQL; of those that the pipeline has read before, also those that cannot be decoded.
    pub failed: u64,
}

pub struct Part {
    /// The watermark before its first event.
    pub watermark: Option<i64>,
    pub output: StageOutput,
}

/// An event that becomes a dead letter.
#[derive(Clone)]
pub struct Dead {
    pub stage: Stage,
    pub reason: String,
    pub position: String,
    pub length: u64,
    pub raw: Vec<u8>,
    /// It was this dead letter before, and stays it.
    pub again: Option<u64>,
    /// Decodes the raw bytes again.
    pub source: RawFormat,
}

/// What must be known to decode a record by itself.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct RawFormat {
    pub format: crate::source::RecordFormat,
    pub header: Option<Vec<String>>,
    pub meta: Option<String>,
    /// Microseconds since the epoch.
    pub arrival: i64,
    /// It is no event, but a row of an earlier result, with this number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row: Option<u64>,
    /// It was late for some windows of its result and not for others, which would count it twice.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub taken: bool,
}
