//! What goes into a decoder, and what comes out of it.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;

/// Complete records, at most 4 GiB.
#[derive(Debug, Clone, Default)]
pub struct Chunk {
    pub data: Buffer,
    /// Where each record ends, exclusive; the next one starts there. Empty: records end at `\n` or at the chunk's end.
    pub ends: Vec<u32>,
    /// Microseconds since the epoch: the event time where no column gives it.
    pub arrival: i64,
    /// CSV: the columns' names by position. `None`: the schema's order.
    pub header: Option<Arc<[String]>>,
    /// CloudEvents attributes as a JSON object, one entry a record.
    pub meta: Option<Vec<Option<String>>>,
}

/// A chunk's events as columns. `read` = rows + dead records; blank lines are neither.
#[derive(Debug, Clone)]
pub struct Decoded {
    pub batch: RecordBatch,
    /// Event time of each row, microseconds since the epoch.
    pub times: Vec<i64>,
    /// Where each row's record stands in the chunk.
    pub rows: Vec<RecordSpan>,
    pub dead: Vec<DeadRecord>,
    pub read: u64,
}

/// A record's bytes in its chunk, without its line end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordSpan {
    pub start: u32,
    pub len: u32,
}

/// A record that gave no row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadRecord {
    /// The whole record; of one that is too long, the first 64 KiB are to be kept.
    pub span: RecordSpan,
    pub stage: DecodeStage,
    /// Names the field: `field delay: "abc" is not an int`.
    pub reason: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DecodeStage {
    /// Not an event, or a value that does not fit the schema.
    Decode,
    /// The event time is missing or null.
    Time,
}

impl RecordSpan {
    /// The record's bytes.
    pub fn of<'a>(&self, data: &'a [u8]) -> &'a [u8] {
        &data[self.start as usize..(self.start + self.len) as usize]
    }
}
