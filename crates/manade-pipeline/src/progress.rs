//! What a commit says beside its rows: how far the source was read, watermarks, counters, definitions.
//!
//! It is written as JSON with every commit, so it is small: nothing in it grows with events or groups.

use std::collections::BTreeMap;

use manade_model::{Emit, EventSchema, Retain, Sink};
use serde::{Deserialize, Serialize};

use crate::plan::Fixed;
use crate::status::{PipelineCounters, ResultCounters};

/// All that a restart needs to know beside tables.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// The first is the main lane: it counts events and keeps their dead letters.
    pub lanes: Vec<Lane>,
    /// Of removed results: should one come back, it goes on from there.
    #[serde(default)]
    pub parked: Vec<Lane>,
    /// What positions count: `file` or `http`.
    #[serde(default)]
    pub source: Option<String>,
    pub counters: PipelineCounters,
    pub results: BTreeMap<String, ResultProgress>,
    /// The schema that was inferred at the first run.
    pub inferred: Option<EventSchema>,
    pub next_dead_letter: u64,
}

impl Progress {
    /// Schemata that hold for what is stored.
    pub fn fixed(&self) -> Fixed {
        let tables = self.results.values().flat_map(|of| of.definition.tables.iter().cloned());
        Fixed { events: self.inferred.clone(), tables: tables.collect() }
    }
}

/// Results that have read the same events and so share a watermark.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Lane {
    pub results: Vec<String>,
    pub position: Position,
    pub clock: EventClock,
}

/// A place in the source's order. Files: the number of chunks read, which is the row in the table of steps that comes
/// next. A log: the number of the next event.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Position(pub u64);

/// Event time as far as it has come; microseconds since the epoch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventClock {
    /// The largest event time seen.
    pub newest: Option<i64>,
    /// The end of a source that ends closes its windows: the watermark is at least this.
    pub closed: Option<i64>,
    /// Events seen, which numbers the next one.
    pub events: u64,
}

/// One result's counters and what its rows mean.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResultProgress {
    pub counters: ResultCounters,
    pub definition: Definition,
    /// As of its last input.
    pub watermark: Option<i64>,
    /// Of a result that reads the closed windows of another.
    #[serde(default)]
    pub clock: EventClock,
    /// The next row of the result that it reads; `None`: the oldest that is kept.
    #[serde(default)]
    pub seen: Option<u64>,
    /// Microseconds.
    #[serde(default)]
    pub lateness: i64,
    /// How far rows had come at a few moments, for bounds by age and size.
    #[serde(default)]
    pub history: Vec<Milestone>,
    /// Events of older dead letters are read by the result itself, as it was added after them.
    #[serde(default)]
    pub first_letter: u64,
    /// When its first event was to come, microseconds since the epoch.
    #[serde(default)]
    pub began: i64,
    /// By name, the sinks outside.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sinks: BTreeMap<String, SinkProgress>,
    /// No longer in the platform: kept until its collection is dropped.
    pub removed: bool,
}

/// What a sink outside has of a result's rows. The rows themselves are the collection's: there is no second copy of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SinkProgress {
    /// Keyed: the commit whose rows it has; append: the next row. `None`: it begins with all rows.
    pub told: Option<u64>,
    /// Rows, each time that they were written.
    pub delivered: u64,
    /// Rows that became dead letters.
    pub refused: u64,
}

/// How far a result's rows had come at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Milestone {
    /// Microseconds since the epoch.
    pub time: i64,
    pub commit: u64,
    /// Append: the next row's number.
    pub row: u64,
}

/// All that is needed to compile a result again, so that its rows can be read without the platform's files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Definition {
    pub name: String,
    pub description: Option<String>,
    pub sql: String,
    pub retain: Retain,
    pub emit: Emit,
    pub sinks: Vec<Sink>,
    pub index: Vec<String>,
    pub limit: Option<u64>,
    pub events: EventSchema,
    pub time: Option<Vec<String>>,
    /// Events carry `_meta`.
    pub meta: bool,
    pub tables: Vec<(String, EventSchema)>,
    /// The earlier result that it reads.
    pub upstream: Option<Box<Definition>>,
    /// Earlier results whose SQL is a part of this one's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inlined: Vec<Definition>,
}

impl EventClock {
    /// No event before it is expected any more.
    pub fn watermark(&self, lateness: i64) -> Option<i64> {
        let by_events = self.newest.map(|t| t.saturating_sub(lateness));
        by_events.max(self.closed)
    }

    pub fn see(&mut self, newest: Option<i64>, events: u64) {
        self.newest = self.newest.max(newest);
        self.events += events;
    }
}
