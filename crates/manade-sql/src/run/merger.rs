//! Partial states to one state a group.

use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;

use super::{Runnable, entries, guarded, one, sessions, shaped, sliced};
use crate::WATERMARK;
use crate::error::SqlError;
use crate::plan::{Aggregation, Parts, Slot};

/// Merges states of the main table and of entry tables.
pub struct Merger {
    parts: Arc<Parts>,
    /// Main, then entry tables; none for lists, which have nothing to fold.
    reduces: Vec<Option<(Slot, Runnable)>>,
}

impl Merger {
    pub(super) fn new(parts: &Arc<Parts>) -> Result<Self, SqlError> {
        let mut reduces = Vec::new();
        if let Some(aggregation) = &parts.aggregation {
            let plans = std::iter::once(Some(&aggregation.main))
                .chain(aggregation.entries.iter().map(|entry| entry.plans.as_ref()));
            for plans in plans {
                let slot = Slot::default();
                reduces.push(match plans {
                    Some(plans) => Some((slot.clone(), Runnable::over(&plans.reduce, &parts.context, &slot)?)),
                    None => None,
                });
            }
        }
        Ok(Self { parts: Arc::clone(parts), reduces })
    }

    /// Each key of these rows once, in the table's stored schema. `table` is 0 for the main table, then 1 for the first
    /// entry table. Stored rows come first, then workers' states in source order. Of session windows only the last batch
    /// is a worker's: the others are merged already, and only its rows join sessions to each other.
    pub fn merge(&mut self, table: usize, batches: &[RecordBatch]) -> Result<RecordBatch, SqlError> {
        guarded(|| self.merge_here(table, batches))
    }

    fn merge_here(&mut self, table: usize, batches: &[RecordBatch]) -> Result<RecordBatch, SqlError> {
        let parts = Arc::clone(&self.parts);
        let Some((aggregation, reduce)) = parts.aggregation.as_ref().zip(self.reduces.get_mut(table)) else {
            return Err(SqlError::Input(format!("the query has no state table {table}")));
        };
        let entry = table.checked_sub(1).map(|entry| &aggregation.entries[entry]);
        let stored = entry.map_or(&aggregation.main.stored, |entry| &entry.stored);
        let states = session_states(aggregation, stored, batches)?;
        let merged = match (reduce, entry.map_or(Some(&aggregation.main), |entry| entry.plans.as_ref())) {
            (Some((slot, plan)), Some(plans)) => {
                let mut input = Vec::new();
                for batch in &states {
                    let named = shaped(&plans.states, batch.columns().to_vec(), batch.num_rows())?;
                    input.extend(sliced(&named));
                }
                slot.put(input);
                let merged = plan.run();
                slot.put(Vec::new());
                let mut batches = Vec::new();
                for batch in merged? {
                    batches.push(shaped(stored, batch.columns().to_vec(), batch.num_rows())?);
                }
                one(stored, &batches)?
            }
            _ => one(stored, &states)?,
        };
        match entry {
            Some(entry) if entry.limit.is_some() => entries::limited(aggregation, entry, &merged),
            _ => Ok(merged),
        }
    }
}

/// The rows as they are; of session windows with the bounds of the sessions that they now belong to.
fn session_states(
    aggregation: &Aggregation,
    stored: &arrow::datatypes::SchemaRef,
    batches: &[RecordBatch],
) -> Result<Vec<RecordBatch>, SqlError> {
    let Some(columns) = aggregation.session() else { return Ok(batches.to_vec()) };
    let mut plain = Vec::with_capacity(batches.len());
    let mut watermarks: Vec<i64> = Vec::new();
    let mut merged = 0;
    for (i, batch) in batches.iter().enumerate() {
        let width = stored.fields().len();
        plain.push(shaped(stored, batch.columns()[..width].to_vec(), batch.num_rows())?);
        if i + 1 < batches.len() {
            merged += batch.num_rows();
            continue;
        }
        match batch.column_by_name(WATERMARK) {
            None => watermarks.extend(std::iter::repeat_n(i64::MIN, batch.num_rows())),
            Some(marks) => watermarks.extend(marks.as_primitive::<TimestampMicrosecondType>().values()),
        }
    }
    let all = one(stored, &plain)?;
    Ok(vec![sessions::joined_to(&all, merged, &watermarks, columns)?])
}
