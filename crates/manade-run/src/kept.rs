//! Collections of all pipelines that a data folder holds, of which several may have one name: a pipeline that was
//! renamed has left its rows, and so has a result that moved to another pipeline.

use std::sync::Arc;

use manade_pipeline::collection::Collection;

use crate::control::ControlError;

/// A collection that is stored.
#[derive(Clone)]
pub struct Kept {
    pub collection: Arc<dyn Collection>,
    pub rows: u64,
    /// Its result is no longer in the platform, or was not when it last ran.
    pub removed: bool,
    /// Another collection is served under its name.
    pub left_over: bool,
}

impl Kept {
    pub fn new(collection: Arc<dyn Collection>, rows: u64, removed: bool) -> Self {
        Self { collection, rows, removed, left_over: false }
    }
}

/// In order of name. Of those of one name the platform's own is served, the others are left over.
pub fn settle(mut all: Vec<Kept>) -> Vec<Kept> {
    all.sort_by_cached_key(|kept| {
        let info = kept.collection.info();
        (info.name.clone(), kept.removed, info.pipeline.clone())
    });
    let mut served: Option<String> = None;
    for kept in &mut all {
        let name = &kept.collection.info().name;
        kept.left_over = served.as_ref() == Some(name);
        served = Some(name.clone());
    }
    all
}

/// Those that are served.
pub fn served(all: Vec<Kept>) -> Vec<Arc<dyn Collection>> {
    all.into_iter().filter(|kept| !kept.left_over).map(|kept| kept.collection).collect()
}

/// The pipeline whose collection of this name is meant: the named one, or the only one that has it.
pub fn holder(all: &[Kept], pipeline: Option<&str>, name: &str) -> Result<String, ControlError> {
    let of_name = all.iter().map(|kept| kept.collection.info()).filter(|info| info.name == name);
    let mut holders: Vec<String> = of_name.map(|info| info.pipeline.clone()).collect();
    if let Some(pipeline) = pipeline {
        holders.retain(|holder| holder == pipeline);
    }
    match holders.as_slice() {
        [] => Err(ControlError::NoSuchCollection),
        [holder] => Ok(holder.clone()),
        _ => Err(ControlError::Ambiguous { pipelines: holders }),
    }
}
