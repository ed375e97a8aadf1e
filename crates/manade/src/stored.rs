//! A stopped platform's data folder as what a server serves.

use std::path::Path;
use std::sync::Arc;

use manade_pipeline::ReplayAnswer;
use manade_pipeline::collection::Collection;
use manade_pipeline::dead_letter::{DeadLetter, DeadLetterFilter};
use manade_pipeline::status::PipelineStatus;
use manade_run::Offline;
use manade_server::{Backend, ControlError, Health, IngestError, IngestInfo, IngestRequest, IngestTicket, Kept};
use parking_lot::Mutex;

pub struct StoredPlatform {
    offline: Mutex<Offline>,
    kept: Vec<Kept>,
}

impl StoredPlatform {
    pub fn new(offline: Offline) -> Self {
        let kept = offline.kept();
        Self { offline: Mutex::new(offline), kept }
    }
}

impl Backend for StoredPlatform {
    fn pipelines(&self) -> Vec<PipelineStatus> {
        self.offline.lock().pipelines()
    }

    fn pipeline(&self, name: &str) -> Option<PipelineStatus> {
        self.pipelines().into_iter().find(|status| status.name == name)
    }

    fn collections(&self) -> Vec<Arc<dyn Collection>> {
        let served = self.kept.iter().filter(|kept| !kept.left_over);
        served.map(|kept| Arc::clone(&kept.collection)).collect()
    }

    fn collection(&self, name: &str) -> Option<Arc<dyn Collection>> {
        self.collections().into_iter().find(|collection| collection.info().name == name)
    }

    fn kept(&self) -> Vec<Kept> {
        self.kept.clone()
    }

    fn ingests(&self) -> Vec<IngestInfo> {
        Vec::new()
    }

    fn takes_events(&self, _: &str) -> Result<(), IngestError> {
        Err(IngestError::Stopped)
    }

    fn ingest(&self, _: &str, _: IngestRequest) -> Result<IngestTicket, IngestError> {
        Err(IngestError::Stopped)
    }

    fn dead_letters(
        &self,
        pipeline: &str,
        filter: &DeadLetterFilter,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, ControlError> {
        let letters = self.offline.lock().dead_letters(pipeline, filter).map_err(told)?;
        let later = letters.into_iter().filter(|letter| after.is_none_or(|after| letter.id > after));
        Ok(later.take(limit).collect())
    }

    fn replay(&self, pipeline: &str, _: &DeadLetterFilter) -> Result<ReplayAnswer, ControlError> {
        match self.pipeline(pipeline) {
            Some(_) => Err(ControlError::Refused(
                "dead letters are replayed while the platform runs: start `manade up`".to_owned(),
            )),
            None => Err(ControlError::NoSuchPipeline),
        }
    }

    fn drop_dead_letters(&self, pipeline: &str, filter: &DeadLetterFilter) -> Result<u64, ControlError> {
        self.offline.lock().drop_dead_letters(pipeline, filter).map_err(told)
    }

    fn backup(&self, to: &Path) -> Result<(), ControlError> {
        self.offline.lock().backup(to).map_err(told)
    }

    fn drop_collection(&self, pipeline: Option<&str>, name: &str) -> Result<(), ControlError> {
        self.offline.lock().drop_collection(pipeline, name).map_err(told)
    }

    fn generation(&self) -> u64 {
        0
    }

    fn health(&self) -> Health {
        Health { ready: false, reasons: vec!["the platform is stopped".to_owned()] }
    }
}

/// There is no log to look into, and only who has the folder asks: the cause is told.
fn told(error: ControlError) -> ControlError {
    match error {
        ControlError::Failed(reason) => ControlError::Refused(reason),
        error => error,
    }
}
