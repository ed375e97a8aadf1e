//! Collections of all pipelines that a data folder holds, of which several may have one name: a pipeline that was
//! renamed has left its rows, and so has a result that moved to another pipeline.

use std::path::Path;
use std::sync::Arc;

use manade_pipeline::collection::Collection;
use manade_pipeline::describe;
use manade_store::DataFolder;

use crate::control::ControlError;

/// A collection that is stored.
#[derive(Clone)]
pub struct Kept {
    pub collection: Arc<dyn Collection>,
    /// Its result is no longer in the platform, or was not when it last ran.
    pub removed: bool,
    /// Another collection is served under its name.
    pub left_over: bool,
}

impl Kept {
    pub fn new(collection: Arc<dyn Collection>, removed: bool) -> Self {
        Self { collection, removed, left_over: false }
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

/// Copies a data folder, whose pipelines `copy` copies. Of a copy that fails nothing stays, so that it can be tried again.
pub fn back_up(
    folder: &DataFolder,
    to: &Path,
    copy: impl FnOnce() -> Result<(), ControlError>,
) -> Result<(), ControlError> {
    let is_new = !to.exists();
    folder.backup_to(to).map_err(|e| ControlError::Refused(describe(&e)))?;
    copy().inspect_err(|_| {
        let cleared = if is_new { std::fs::remove_dir_all(to) } else { clear(to) };
        if let Err(error) = cleared {
            tracing::warn!(path = %to.display(), %error, "cannot remove the part of a backup");
        }
    })
}

/// A folder that was empty before.
fn clear(folder: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() { std::fs::remove_dir_all(path)? } else { std::fs::remove_file(path)? }
    }
    Ok(())
}
