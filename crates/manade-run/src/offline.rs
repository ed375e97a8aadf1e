//! A data folder that no `up` has open: its status, rows and dead letters, and starting over.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use manade_pipeline::collection::Collection;
use manade_pipeline::dead_letter::{DeadLetter, DeadLetterFilter};
use manade_pipeline::status::PipelineStatus;
use manade_pipeline::{Stored, describe};
use manade_store::{DataFolder, OpenError};

use crate::control::ControlError;

/// The folder, locked while this lives.
pub struct Offline {
    folder: DataFolder,
    pipelines: BTreeMap<String, Stored>,
}

#[derive(Debug, thiserror::Error)]
pub enum OfflineError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("pipeline {pipeline}")]
    Pipeline { pipeline: String, source: manade_pipeline::StartError },
}

impl Offline {
    pub fn open(data: &Path) -> Result<Self, OfflineError> {
        let folder = DataFolder::open_read_only(data)?;
        let mut pipelines = BTreeMap::new();
        for name in folder.pipelines()? {
            let stored = Stored::open(&folder.pipeline(&name), manade_store::Memory::new(0));
            let failed = |source| OfflineError::Pipeline { pipeline: name.clone(), source };
            pipelines.insert(name.clone(), stored.map_err(failed)?);
        }
        Ok(Self { folder, pipelines })
    }

    pub fn pipelines(&self) -> Vec<PipelineStatus> {
        self.pipelines.iter().map(|(name, stored)| stored.status(name)).collect()
    }

    pub fn collections(&self) -> Vec<Arc<dyn Collection>> {
        self.pipelines.iter().flat_map(|(name, stored)| stored.collections(name)).collect()
    }

    pub fn dead_letters(&self, pipeline: &str, filter: &DeadLetterFilter) -> Result<Vec<DeadLetter>, ControlError> {
        self.pipeline(pipeline)?.dead_letters(filter).map_err(|e| ControlError::Failed(describe(&e)))
    }

    pub fn drop_dead_letters(&mut self, pipeline: &str, filter: &DeadLetterFilter) -> Result<u64, ControlError> {
        let stored = self.pipelines.get_mut(pipeline).ok_or(ControlError::NoSuchPipeline)?;
        stored.drop_dead_letters(filter).map_err(|e| ControlError::Failed(describe(&e)))
    }

    /// Forgets a result's rows, state and progress; of a removed result this frees its name.
    pub fn drop_collection(&mut self, name: &str) -> Result<(), ControlError> {
        let holder = self.pipelines.values_mut().find(|stored| stored.progress.results.contains_key(name));
        let stored = holder.ok_or(ControlError::NoSuchCollection)?;
        stored.drop_result(name).map_err(|e| ControlError::Failed(describe(&e)))
    }

    /// Starts a pipeline, or one of its results, over: the next `up` reads its source from the beginning.
    pub fn reset(&mut self, pipeline: &str, result: Option<&str>) -> Result<(), ControlError> {
        if let Some(result) = result {
            let stored = self.pipelines.get_mut(pipeline).ok_or(ControlError::NoSuchPipeline)?;
            if !stored.progress.results.contains_key(result) {
                return Err(ControlError::NoSuchCollection);
            }
            stored.drop_result(result).map_err(|e| ControlError::Failed(describe(&e)))
        } else {
            self.pipelines.remove(pipeline);
            let path = self.folder.pipeline(pipeline);
            if !path.exists() {
                return Err(ControlError::NoSuchPipeline);
            }
            let log = path.join("log");
            // Accepted events are the source; only what was made of them starts over.
            let gone = if log.exists() { path.join("store") } else { path };
            fs::remove_dir_all(&gone)
                .map_err(|e| ControlError::Failed(format!("cannot remove {}: {e}", gone.display())))
        }
    }

    pub fn backup(&self, to: &Path) -> Result<(), ControlError> {
        let failed = |e: OpenError| ControlError::Failed(describe(&e));
        self.folder.backup_to(to).map_err(failed)?;
        for (name, stored) in &self.pipelines {
            let to = to.join("pipelines").join(name);
            stored.backup(&self.folder.pipeline(name), &to).map_err(ControlError::Failed)?;
        }
        Ok(())
    }

    fn pipeline(&self, name: &str) -> Result<&Stored, ControlError> {
        self.pipelines.get(name).ok_or(ControlError::NoSuchPipeline)
    }
}
