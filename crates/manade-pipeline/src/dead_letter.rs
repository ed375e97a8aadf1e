//! Dead letters: events that could not be processed, kept with stage and reason.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeadLetter {
    pub id: u64,
    pub stage: Stage,
    /// The result whose SQL or window left it out; `None` for the stages that belong to the pipeline.
    pub result: Option<String>,
    pub reason: String,
    /// `file:byte offset`, `event number`, or `row number of result`.
    pub position: String,
    /// When it was found, microseconds since the epoch.
    pub time: i64,
    /// Bytes of the whole event; `raw` has its first 64 KiB where it was too long.
    pub length: u64,
    #[serde(skip)]
    pub raw: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    Decode,
    Time,
    Sql,
    Late,
    /// A sink outside refused a row for good.
    Sink,
}

/// Which dead letters a call means: those that fit all that is given.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeadLetterFilter {
    /// One of these; an empty list means none.
    pub ids: Option<Vec<u64>>,
    pub stage: Option<Stage>,
    /// Reasons that contain this text.
    pub reason: Option<String>,
    pub result: Option<String>,
}
