//! What all handlers share: the backend, the options, the query engine, limits on work in flight.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::http::StatusCode;
use manade_pipeline::collection::Collection;
use manade_pipeline::status::{PipelineState, PipelineStatus};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::backend::Backend;
use crate::engine::Engine;
use crate::feeds::Feeds;
use crate::metrics::Metrics;
use crate::options::ServerOptions;
use crate::problem::Problem;

/// How long a request waits for others to finish before it is told to come back.
const PATIENCE: Duration = Duration::from_secs(10);

pub struct App {
    pub backend: Arc<dyn Backend>,
    pub options: ServerOptions,
    pub engine: Engine,
    pub metrics: Metrics,
    pub feeds: Feeds,
    /// Turns true when the server drains.
    pub stop: watch::Sender<bool>,
    /// Tells this run's entity tags from another's, whose commits may have been of other data.
    pub started: u128,
    /// Requests so far; numbers those that come without an id.
    pub requests: AtomicU64,
    queries: Arc<Semaphore>,
    unpacking: Arc<Semaphore>,
}

impl App {
    pub fn new(backend: Arc<dyn Backend>, options: ServerOptions) -> Result<Self, crate::engine::EngineError> {
        let cores = std::thread::available_parallelism().map_or(2, std::num::NonZeroUsize::get);
        Ok(Self {
            engine: Engine::new(options.query_memory)?,
            metrics: Metrics::new(),
            feeds: Feeds::default(),
            stop: watch::Sender::new(false),
            started: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos()),
            requests: AtomicU64::new(0),
            queries: Arc::new(Semaphore::new(options.max_queries)),
            unpacking: Arc::new(Semaphore::new(cores)),
            backend,
            options,
        })
    }

    pub fn collection(&self, name: &str) -> Result<Arc<dyn Collection>, Problem> {
        self.backend.collection(name).ok_or_else(|| {
            let names: Vec<String> = self.backend.collections().iter().map(|c| c.info().name.clone()).collect();
            let nearest = manade_model::closest(name, names.iter().map(String::as_str));
            // Of what cannot be read the names are not known.
            let unread = self.backend.pipelines().into_iter().find(|status| {
                status.state == PipelineState::Failed
                    && !self.backend.collections().iter().any(|c| c.info().pipeline == status.name)
            });
            if let Some(PipelineStatus { name: pipeline, reason, .. }) = unread {
                let message = format!("\"{name}\" is not among the collections that can be read");
                let reason = reason.unwrap_or_default();
                return Problem::new(StatusCode::NOT_FOUND, "PGRST205", message)
                    .with_details(format!("those of the pipeline \"{pipeline}\" cannot be: {reason}"))
                    .with_nearest(nearest);
            }
            let problem =
                Problem::new(StatusCode::NOT_FOUND, "PGRST205", format!("no collection is called \"{name}\""));
            match nearest {
                Some(_) => problem.with_nearest(nearest),
                None => problem.with_hint("GET /data lists the collections"),
            }
        })
    }

    /// The right to read rows on a blocking thread.
    pub async fn query_permit(&self) -> Result<OwnedSemaphorePermit, Problem> {
        permit(&self.queries, "too many queries are running").await
    }

    /// The right to unpack and split a large body on a blocking thread.
    pub async fn unpack_permit(&self) -> Result<OwnedSemaphorePermit, Problem> {
        permit(&self.unpacking, "too many large requests are in flight").await
    }
}

async fn permit(semaphore: &Arc<Semaphore>, message: &str) -> Result<OwnedSemaphorePermit, Problem> {
    match tokio::time::timeout(PATIENCE, Arc::clone(semaphore).acquire_owned()).await {
        Ok(Ok(permit)) => Ok(permit),
        _ => Err(Problem::busy(message, Duration::from_secs(1))),
    }
}

/// Microseconds since the epoch.
pub fn now_micros() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}
