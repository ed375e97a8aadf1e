//! What a running platform is asked for, and what it answers.

use std::time::Duration;

use manade_events::ingest::Accepted;
use manade_model::EventSchema;
use manade_store::IdempotencyKey;

/// A pipeline that takes events over HTTP.
#[derive(Debug, Clone, PartialEq)]
pub struct IngestInfo {
    pub pipeline: String,
    pub schema: EventSchema,
}

/// A request's events and what makes its retry harmless.
#[derive(Debug)]
pub struct IngestRequest {
    pub accepted: Accepted,
    pub keys: IngestKeys,
}

/// What is accepted once only.
#[derive(Debug)]
pub enum IngestKeys {
    None,
    /// The request, by its `Idempotency-Key`; the hash is of the unpacked body and its kind.
    Request(IdempotencyKey),
    /// Each CloudEvent, by its `source` and `id`; the hash is of its data.
    Events(Vec<IdempotencyKey>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IngestAnswer {
    /// Without those that had been accepted before, unless all had.
    pub accepted: u64,
    /// All had been accepted before; nothing was added.
    pub replayed: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IngestError {
    #[error("no such pipeline")]
    NoSuchPipeline,
    #[error("the pipeline's source is not http")]
    NotHttp,
    /// The schema's column `column` is nested.
    #[error("the events of this pipeline cannot be CSV")]
    NotCsv { column: String },
    /// `event`: which of [`IngestKeys::Events`], counted from 0.
    #[error("the idempotency key was used for another body")]
    KeyReused { event: usize },
    #[error("a request with this idempotency key is still in flight")]
    InFlight { event: usize },
    #[error("the backlog is full")]
    Full { retry_after: Duration },
    #[error("the disk is full")]
    DiskFull { retry_after: Duration },
    #[error("the pipeline is stopped")]
    Stopped,
    #[error("{0}")]
    Failed(String),
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    #[error("no such pipeline")]
    NoSuchPipeline,
    #[error("no such collection")]
    NoSuchCollection,
    /// Several pipelines have a collection of this name.
    #[error("several pipelines have a collection of this name: {}", .pipelines.join(", "))]
    Ambiguous { pipelines: Vec<String> },
    /// What was asked for cannot be done now; the text says why.
    #[error("{0}")]
    Refused(String),
    /// The pipeline does not run at the moment; the text says why.
    #[error("{0}")]
    Unavailable(String),
    #[error("{0}")]
    Failed(String),
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Health {
    pub ready: bool,
    /// Why it is not ready.
    pub reasons: Vec<String>,
}
