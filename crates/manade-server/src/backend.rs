//! What the server asks of the platform that runs behind it.

use std::path::Path;
use std::sync::Arc;

use futures::future::BoxFuture;
use manade_pipeline::ReplayAnswer;
use manade_pipeline::collection::Collection;
use manade_pipeline::dead_letter::{DeadLetter, DeadLetterFilter};
use manade_pipeline::status::PipelineStatus;
use manade_run::Running;
pub use manade_run::{
    ControlError, Health, IdempotencyKey, IngestAnswer, IngestError, IngestInfo, IngestKeys, IngestRequest, Kept,
};

/// The running platform. Calls may block for as long as a disk does: the server makes them off its async threads,
/// except for `pipelines`, `pipeline`, `collections`, `collection`, `kept`, `ingests`, `takes_events`, `ingest`, `generation` and
/// `health`, which must not wait.
pub trait Backend: Send + Sync + 'static {
    /// In the platform's order.
    fn pipelines(&self) -> Vec<PipelineStatus>;

    fn pipeline(&self, name: &str) -> Option<PipelineStatus>;

    /// In the platform's order.
    fn collections(&self) -> Vec<Arc<dyn Collection>>;

    fn collection(&self, name: &str) -> Option<Arc<dyn Collection>>;

    /// Every stored collection, also those whose name another one is served under.
    fn kept(&self) -> Vec<Kept>;

    /// The pipelines with an `http` source, in the platform's order.
    fn ingests(&self) -> Vec<IngestInfo>;

    /// Whether the pipeline takes pushed events.
    fn takes_events(&self, pipeline: &str) -> Result<(), IngestError>;

    /// Queues a request's events.
    fn ingest(&self, pipeline: &str, request: IngestRequest) -> Result<IngestTicket, IngestError>;

    /// In the order of their ids, those after id `after`.
    fn dead_letters(
        &self,
        pipeline: &str,
        filter: &DeadLetterFilter,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, ControlError>;

    /// How many were put back, and how many of them are dead letters still.
    fn replay(&self, pipeline: &str, filter: &DeadLetterFilter) -> Result<ReplayAnswer, ControlError>;

    /// How many were dropped.
    fn drop_dead_letters(&self, pipeline: &str, filter: &DeadLetterFilter) -> Result<u64, ControlError>;

    /// Forgets a collection whose result is no longer in the platform. Where several pipelines have one of this name,
    /// one must be named.
    fn drop_collection(&self, pipeline: Option<&str>, name: &str) -> Result<(), ControlError>;

    /// Copies all stored data into a new folder, as of each pipeline's last commit.
    fn backup(&self, to: &Path) -> Result<(), ControlError>;

    /// Another number whenever a collection of the same name may be another one. Does not wait.
    fn generation(&self) -> u64;

    fn health(&self) -> Health;
}

/// Events on their way to disk; ready when they are durable.
pub type IngestTicket = BoxFuture<'static, Result<IngestAnswer, IngestError>>;

impl Backend for Running {
    fn pipelines(&self) -> Vec<PipelineStatus> {
        self.pipelines()
    }

    fn pipeline(&self, name: &str) -> Option<PipelineStatus> {
        self.pipeline(name)
    }

    fn collections(&self) -> Vec<Arc<dyn Collection>> {
        self.collections()
    }

    fn collection(&self, name: &str) -> Option<Arc<dyn Collection>> {
        self.collection(name)
    }

    fn kept(&self) -> Vec<Kept> {
        self.kept()
    }

    fn ingests(&self) -> Vec<IngestInfo> {
        self.ingests()
    }

    fn takes_events(&self, pipeline: &str) -> Result<(), IngestError> {
        self.takes_events(pipeline)
    }

    fn ingest(&self, pipeline: &str, request: IngestRequest) -> Result<IngestTicket, IngestError> {
        Ok(Box::pin(self.ingest(pipeline, request)?))
    }

    fn dead_letters(
        &self,
        pipeline: &str,
        filter: &DeadLetterFilter,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, ControlError> {
        self.dead_letters(pipeline, filter, after, limit)
    }

    fn replay(&self, pipeline: &str, filter: &DeadLetterFilter) -> Result<ReplayAnswer, ControlError> {
        self.replay(pipeline, filter.clone())
    }

    fn drop_dead_letters(&self, pipeline: &str, filter: &DeadLetterFilter) -> Result<u64, ControlError> {
        self.drop_dead_letters(pipeline, filter.clone())
    }

    fn drop_collection(&self, pipeline: Option<&str>, name: &str) -> Result<(), ControlError> {
        self.drop_collection(pipeline, name)
    }

    fn backup(&self, to: &Path) -> Result<(), ControlError> {
        self.backup(to)
    }

    fn generation(&self) -> u64 {
        self.generation()
    }

    fn health(&self) -> Health {
        self.health()
    }
}
