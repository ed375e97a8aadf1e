//! A data folder that no `up` has open: its status, rows and dead letters, and starting over.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use manade_pipeline::collection::Collection;
use manade_pipeline::dead_letter::{DeadLetter, DeadLetterFilter};
use manade_pipeline::status::{PipelineState, PipelineStatus};
use manade_pipeline::{StartError, Stored, describe};
use manade_store::{DataFolder, Memory, OpenError};

use crate::control::ControlError;
use crate::kept::{self, Kept};

/// In a pipeline's folder.
const EVENTS: &str = "log";

/// The folder, locked while this lives.
pub struct Offline {
    folder: DataFolder,
    /// Those that cannot be opened with the reason: the others are there all the same, and all can be reset.
    pipelines: BTreeMap<String, Result<Stored, String>>,
}

impl Offline {
    pub fn open(data: &Path) -> Result<Self, OpenError> {
        let folder = DataFolder::open_read_only(data)?;
        let mut pipelines = BTreeMap::new();
        for name in folder.pipelines()? {
            let stored = open_stored(&folder, &name).map_err(|e| describe(&e));
            pipelines.insert(name, stored);
        }
        Ok(Self { folder, pipelines })
    }

    pub fn pipelines(&self) -> Vec<PipelineStatus> {
        let status = |(name, stored): (&String, &Result<Stored, String>)| match stored {
            Ok(stored) => stored.status(name),
            Err(reason) => unreadable(name, reason.clone()),
        };
        self.pipelines.iter().map(status).collect()
    }

    /// Every collection that can be read.
    pub fn kept(&self) -> Vec<Kept> {
        let opened = self.pipelines.iter().filter_map(|(name, stored)| Some((name, stored.as_ref().ok()?)));
        kept::settle(opened.flat_map(|(name, stored)| kept_by(stored, name)).collect())
    }

    /// Accepted events of an http source, which [`Offline::reset`] keeps unless it is told otherwise.
    pub fn has_events(&self, pipeline: &str) -> bool {
        self.folder.pipeline(pipeline).join(EVENTS).exists()
    }

    pub fn dead_letters(&self, pipeline: &str, filter: &DeadLetterFilter) -> Result<Vec<DeadLetter>, ControlError> {
        let stored = opened(self.pipelines.get(pipeline).map(Result::as_ref))?;
        stored.dead_letters(filter).map_err(|e| ControlError::Failed(describe(&e)))
    }

    pub fn drop_dead_letters(&mut self, pipeline: &str, filter: &DeadLetterFilter) -> Result<u64, ControlError> {
        let stored = opened(self.pipelines.get_mut(pipeline).map(Result::as_mut))?;
        stored.drop_dead_letters(filter).map_err(|e| ControlError::Failed(describe(&e)))
    }

    /// Forgets a result's rows, state and progress; of a removed result this frees its name.
    pub fn drop_collection(&mut self, pipeline: Option<&str>, name: &str) -> Result<(), ControlError> {
        let holder = kept::holder(&self.kept(), pipeline, name)?;
        let stored = opened(self.pipelines.get_mut(&holder).map(Result::as_mut))?;
        stored.drop_result(name).map_err(|e| ControlError::Failed(describe(&e)))
    }

    /// Starts one result of a pipeline over: the next `up` computes it from the beginning of its source.
    pub fn reset_result(&mut self, pipeline: &str, result: &str) -> Result<(), ControlError> {
        let stored = opened(self.pipelines.get_mut(pipeline).map(Result::as_mut))?;
        if !stored.progress.results.contains_key(result) {
            return Err(ControlError::NoSuchCollection);
        }
        stored.drop_result(result).map_err(|e| ControlError::Failed(describe(&e)))
    }

    /// Starts a pipeline over, whatever is stored of it: the next `up` reads its source from the beginning. Accepted
    /// events are the source of an http pipeline; `events` says that they go too.
    pub fn reset(&mut self, pipeline: &str, events: bool) -> Result<(), ControlError> {
        let stored = self.pipelines.remove(pipeline).ok_or(ControlError::NoSuchPipeline)?;
        // Closes the store.
        drop(stored);
        if events || !self.has_events(pipeline) {
            return self.folder.remove_pipeline(pipeline).map_err(|e| ControlError::Failed(describe(&e)));
        }
        let store = self.folder.pipeline(pipeline).join("store");
        fs::remove_dir_all(&store).map_err(|e| ControlError::Failed(format!("cannot remove {}: {e}", store.display())))
    }

    pub fn backup(&self, to: &Path) -> Result<(), ControlError> {
        kept::back_up(&self.folder, to, || {
            for (name, stored) in &self.pipelines {
                let to = to.join("pipelines").join(name);
                let stored = opened(Some(stored.as_ref()))?;
                stored.backup(&self.folder.pipeline(name), &to).map_err(ControlError::Failed)?;
            }
            Ok(())
        })
    }
}

/// A pipeline of which nothing can be read.
pub fn unreadable(name: &str, reason: String) -> PipelineStatus {
    PipelineStatus { reason: Some(reason), ..PipelineStatus::new(name, "", PipelineState::Failed) }
}

/// What is stored of a pipeline, read from the disk whenever it is asked for.
pub fn open_stored(folder: &DataFolder, pipeline: &str) -> Result<Stored, StartError> {
    Stored::open(&folder.pipeline(pipeline), Memory::new(0))
}

/// The collections of a pipeline that does not run.
pub fn kept_by(stored: &Stored, pipeline: &str) -> Vec<Kept> {
    let kept = |collection: Arc<dyn Collection>| {
        let name = collection.info().name.clone();
        let removed = stored.progress.results.get(&name).is_some_and(|of| of.removed);
        Kept::new(collection, removed)
    };
    stored.collections(pipeline).into_iter().map(kept).collect()
}

fn opened<S, R: ToString>(found: Option<Result<S, R>>) -> Result<S, ControlError> {
    found.ok_or(ControlError::NoSuchPipeline)?.map_err(|reason| ControlError::Unavailable(reason.to_string()))
}
