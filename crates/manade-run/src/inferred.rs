//! The schema that was found in a pipeline's first events, beside its store, which has it too: commands that only look
//! at the platform's files read it here, so that they neither lock the data folder nor open the store.

use std::fs;
use std::io;
use std::path::Path;

use manade_model::{EventSchema, Name};
use manade_store::DataFolder;

const FILE: &str = "schema.json";

/// What the first run of a pipeline has found, without a lock.
pub fn inferred_schema(data: &Path, name: &Name) -> Option<EventSchema> {
    let bytes = fs::read(DataFolder::pipeline_of(data, name.as_str()).join(FILE)).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// Writes it beside the pipeline's store. Where that fails the store has it all the same.
pub fn note(folder: &Path, schema: &EventSchema) {
    let write = || -> io::Result<()> {
        let text = serde_json::to_vec(schema)?;
        if fs::read(folder.join(FILE)).is_ok_and(|there| there == text) {
            return Ok(());
        }
        // Renamed, so that readers see it whole.
        let new = folder.join(format!("{FILE}.new"));
        fs::write(&new, text)?;
        fs::rename(new, folder.join(FILE))
    };
    if let Err(e) = write() {
        tracing::warn!("cannot write {}: {e}", folder.join(FILE).display());
    }
}
