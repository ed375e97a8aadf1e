//! Progress and counters, as `status`, the control API and the metrics show them.

use serde::{Deserialize, Serialize};

/// A pipeline's progress as of its last commit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PipelineStatus {
    pub name: String,
    pub state: PipelineState,
    /// Why it failed or is waiting.
    pub reason: Option<String>,
    /// `file`, `http` or `rabbitmq`.
    pub source: String,
    pub counters: PipelineCounters,
    /// Microseconds since the epoch.
    pub watermark: Option<i64>,
    pub newest: Option<i64>,
    /// Bytes (file) or accepted events (others) that are known and not processed yet.
    pub backlog: u64,
    pub results: Vec<ResultStatus>,
    /// Dead letters that are kept now.
    pub dead_letters: u64,
    /// Of a source outside that is read into the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feed: Option<FeedStatus>,
}

/// What reading a source outside does now, and has done since it was started.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedStatus {
    /// What it waits for; `None` while it reads.
    pub trouble: Option<String>,
    /// Messages that came, each time that they came.
    pub received: u64,
    /// Events that had been accepted before, and were left out.
    pub repeated: u64,
    /// Messages that came and are not acknowledged yet.
    pub unacknowledged: u64,
    /// Messages that wait at the source, if it says so.
    pub ready: Option<u64>,
}

impl PipelineStatus {
    /// Of a pipeline without progress.
    pub fn new(name: &str, source: &str, state: PipelineState) -> Self {
        Self {
            name: name.to_owned(),
            state,
            reason: None,
            source: source.to_owned(),
            counters: PipelineCounters::default(),
            watermark: None,
            newest: None,
            backlog: 0,
            results: Vec::new(),
            dead_letters: 0,
            feed: None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PipelineState {
    Running,
    /// All of a source that ends was read.
    Finished,
    /// Goes on by itself when its reason is gone (disk full, file not readable).
    Waiting,
    Failed,
    Stopped,
}

/// Counters of committed batches: they add up at any moment (`read = processed + dead`) and never fall.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PipelineCounters {
    pub read: u64,
    pub processed: u64,
    pub dead: u64,
    /// Dead letters that were dropped by age or size.
    pub expired: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResultStatus {
    pub name: String,
    pub counters: ResultCounters,
    /// Rows in its collection now.
    pub rows: u64,
    /// Microseconds since the epoch.
    pub watermark: Option<i64>,
    /// Those outside.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sinks: Vec<SinkStatus>,
}

/// What a sink outside has, and what it waits for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SinkStatus {
    /// Like `mongodb:store/flights.delays`.
    pub name: String,
    /// Rows that were written, each time.
    pub delivered: u64,
    /// Rows that it refused for good: dead letters.
    pub refused: u64,
    /// Rows that it does not have yet, deleted ones too.
    pub waiting: u64,
    /// What it waits for; `None` while it writes.
    pub trouble: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ResultCounters {
    /// Rows left out because the watermark had closed their window.
    pub late: u64,
    /// Events that failed in this result's SQL.
    pub failed: u64,
    /// Rows that reached the aggregate or the sink.
    pub selected: u64,
    /// Rows written to the collection or sink.
    pub written: u64,
    /// Rows that `retain` has dropped.
    #[serde(default)]
    pub expired: u64,
}
