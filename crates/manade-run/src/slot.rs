//! A pipeline's place in a running platform: it stays while the pipeline is stopped and started again, so that what was
//! committed is served without a gap.

use std::sync::Arc;

use manade_connectors::{Drain, Feed};
use manade_events::ingest::{Accepted, AcceptedFormat};
use manade_model::{EventSchema, Finding, SparkType};
use manade_pipeline::collection::Collection;
use manade_pipeline::plan::{Fixed, Plan};
use manade_pipeline::status::{PipelineState, PipelineStatus};
use manade_pipeline::{Pipeline, Stored, entry};
use manade_store::{Entry, IdempotencyKey, Ticket};
use parking_lot::{Mutex, RwLock};

use crate::control::{ControlError, IngestError, IngestInfo, IngestKeys, IngestRequest};
use crate::offline::unreadable;
use crate::running::ingest_error;

/// What goes on with servers outside while a pipeline runs.
#[derive(Default)]
pub struct Outside {
    /// Reads a source.
    pub feed: Option<Feed>,
    /// Write to sinks.
    pub drains: Vec<Drain>,
}

pub struct Slot {
    /// What it was started from.
    plan: Plan,
    /// None while it does not run. Calls hold the lock for reading as long as they last; it is held for writing only
    /// to take the pipeline away, so that `read_recursive` never waits for a call to end.
    pipeline: RwLock<Option<Pipeline>>,
    outside: Mutex<Outside>,
    collections: Vec<Arc<dyn Collection>>,
    /// Shown while it does not run.
    rest: Mutex<PipelineStatus>,
}

impl Slot {
    pub fn running(plan: Plan, pipeline: Pipeline, outside: Outside) -> Self {
        let (collections, rest) = (pipeline.collections().to_vec(), Mutex::new(pipeline.status()));
        Self { plan, pipeline: RwLock::new(Some(pipeline)), outside: Mutex::new(outside), collections, rest }
    }

    /// A pipeline that could not be started; what is stored of it is served as far as it can be read.
    pub fn failed(plan: Plan, stored: Option<&Stored>, reason: String) -> Self {
        let name = plan.pipeline.name.as_str();
        let collections = stored.map(|stored| stored.collections(name)).unwrap_or_default();
        let mut status = unreadable(name, reason);
        if let Some(stored) = stored {
            status = PipelineStatus { state: status.state, reason: status.reason, ..stored.status(name) };
        }
        Self { plan, pipeline: RwLock::default(), outside: Mutex::default(), collections, rest: Mutex::new(status) }
    }

    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    pub fn is_running(&self) -> bool {
        self.pipeline.read_recursive().is_some()
    }

    pub fn status(&self) -> PipelineStatus {
        match &*self.pipeline.read_recursive() {
            Some(pipeline) => with_outside(pipeline.status(), &self.outside.lock()),
            None => self.rest.lock().clone(),
        }
    }

    pub fn collections(&self) -> &[Arc<dyn Collection>] {
        &self.collections
    }

    /// Whether it is an `http` pipeline, and what its events are.
    pub fn ingest_info(&self) -> Option<IngestInfo> {
        let pipeline = &self.plan.pipeline;
        let schema = pipeline.events.schema.as_ref().filter(|_| self.takes_events())?.clone();
        Some(IngestInfo { pipeline: pipeline.name.to_string(), schema })
    }

    /// What was inferred, which holds for an edited plan too.
    pub fn fixed(&self) -> Fixed {
        let tables = self.plan.tables.iter().map(|table| (table.name.clone(), table.schema.clone()));
        Fixed { events: self.inferred().cloned(), tables: tables.collect() }
    }

    /// The schema that was found in the first events.
    pub fn inferred(&self) -> Option<&EventSchema> {
        self.plan.inferred.then_some(&self.plan.schema)
    }

    /// Results of a new plan that what is stored does not fit.
    pub fn unfit(&self, plan: &Plan) -> Vec<Finding> {
        self.pipeline.read_recursive().as_ref().map(|pipeline| pipeline.unfit(plan)).unwrap_or_default()
    }

    pub fn takes_events(&self) -> bool {
        matches!(self.plan.pipeline.source, manade_model::Source::Http(_))
    }

    pub fn ingest(&self, request: IngestRequest) -> Result<Ticket, IngestError> {
        if !self.takes_events() {
            return Err(IngestError::NotHttp);
        }
        if request.accepted.format == AcceptedFormat::Csv
            && let Some(field) = self.plan.schema.fields.iter().find(|field| is_nested(&field.data_type))
        {
            return Err(IngestError::NotCsv { column: field.name.clone() });
        }
        let pipeline = self.pipeline.read_recursive();
        let pipeline = pipeline.as_ref().ok_or(IngestError::Stopped)?;
        let inbox = pipeline.inbox().ok_or(IngestError::Stopped)?;
        inbox.append(entries(request)).map_err(ingest_error)
    }

    /// Calls the pipeline, which may take a while; it is not stopped before the call has ended.
    pub fn with<T>(&self, call: impl FnOnce(&Pipeline) -> Result<T, String>) -> Result<T, ControlError> {
        let pipeline = self.pipeline.read_recursive();
        let Some(pipeline) = &*pipeline else {
            let reason = self.rest.lock().reason.clone().unwrap_or_default();
            return Err(ControlError::Unavailable(reason));
        };
        call(pipeline).map_err(|reason| match pipeline.status() {
            // It says itself why it cannot: nothing is wrong with the call.
            PipelineStatus { state: PipelineState::Running | PipelineState::Finished, .. } => {
                ControlError::Failed(reason)
            }
            status => ControlError::Unavailable(status.reason.unwrap_or(reason)),
        })
    }

    /// Stops the pipeline, after which it shows this state and reason.
    pub fn stop(&self, state: PipelineState, reason: &str) {
        // What was received is accepted and acknowledged first, and what was written is noted. It takes a while, and nobody
        // is to wait for it.
        let outside = std::mem::take(&mut *self.outside.lock());
        drop(outside);
        let taken = {
            let mut pipeline = self.pipeline.write();
            let taken = pipeline.take();
            if let Some(pipeline) = &taken {
                *self.rest.lock() = PipelineStatus { state, reason: Some(reason.to_owned()), ..pipeline.status() };
            }
            taken
        };
        if let Some(pipeline) = taken {
            pipeline.stop();
        }
    }

    /// Whether the sinks outside have all that is committed.
    pub fn is_drained(&self) -> bool {
        self.pipeline.read_recursive().as_ref().is_none_or(Pipeline::is_drained)
    }

    /// What a pipeline that does not run shows from now on.
    pub fn fail(&self, reason: String) {
        let mut status = self.rest.lock();
        status.state = PipelineState::Failed;
        status.reason = Some(reason);
    }
}

/// A pipeline whose source cannot be read waits; one whose sink cannot be written goes on.
fn with_outside(mut status: PipelineStatus, outside: &Outside) -> PipelineStatus {
    for drain in &outside.drains {
        let result = status.results.iter_mut().find(|result| result.name == drain.result());
        let sink = result.and_then(|result| result.sinks.iter_mut().find(|sink| sink.name == drain.sink()));
        if let Some(sink) = sink {
            sink.trouble = drain.trouble();
        }
    }
    status.feed = outside.feed.as_ref().map(Feed::status);
    let trouble = status.feed.as_ref().and_then(|feed| feed.trouble.clone());
    if status.state == PipelineState::Running && trouble.is_some() {
        (status.state, status.reason) = (PipelineState::Waiting, trouble);
    }
    status
}

fn is_nested(data_type: &SparkType) -> bool {
    matches!(data_type, SparkType::Array(_) | SparkType::Map(..) | SparkType::Struct(_))
}

/// One, or one an event where each has its own key.
fn entries(request: IngestRequest) -> Vec<Entry> {
    let IngestRequest { accepted, keys } = request;
    match keys {
        IngestKeys::None => vec![entry(accepted, None)],
        IngestKeys::Request(key) => vec![entry(accepted, Some(key))],
        IngestKeys::Events(keys) => {
            let lines = accepted.data.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec);
            let meta = accepted.meta.into_iter().flatten();
            let one = |((line, meta), key): ((Vec<u8>, Option<String>), IdempotencyKey)| {
                entry(Accepted { meta: Some(vec![meta]), ..Accepted::lines(line, 1) }, Some(key))
            };
            lines.zip(meta).zip(keys).map(one).collect()
        }
    }
}
