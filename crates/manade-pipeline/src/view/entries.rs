//! Groups with their entries: the values that some aggregates keep one by one, in tables beside.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::{concat_batches, filter_record_batch};
use manade_store::{Snapshot, View};

use super::{Shape, read_error};
use crate::collection::ReadError;
use crate::groups::{hash_of, state_name};

/// Entries that are held at one time, about.
const HELD: u64 = 1 << 20;

/// Groups, and of each entry table what belongs to them.
pub type Part = (RecordBatch, Arc<Vec<RecordBatch>>);

pub type Parts = Box<dyn Iterator<Item = Result<Part, ReadError>> + Send>;

impl Shape {
    /// All groups, in shares whose entries do not grow with their number.
    pub fn parts(self: &Arc<Self>, view: &View, main: &Snapshot) -> Parts {
        let tables = 1..=self.groups().entries.len();
        let rows = tables.filter_map(|index| view.snapshot(&state_name(&self.result, index)).map(|table| table.rows()));
        let shares = rows.sum::<u64>() / HELD + 1;
        let (shape, view, main) = (Arc::clone(self), view.clone(), main.clone());
        let share = move |share| match shape.share(&view, &main, share, shares) {
            Ok(parts) => parts,
            Err(e) => Box::new(std::iter::once(Err(e))),
        };
        Box::new((0..shares).flat_map(share))
    }

    fn share(self: &Arc<Self>, view: &View, main: &Snapshot, share: u64, shares: u64) -> Result<Parts, ReadError> {
        let of_share = move |hash| hash % shares == share;
        let (shape, entries) = (Arc::clone(self), Arc::new(self.entries(view, of_share)?));
        Ok(Box::new(main.scan().map(move |batch| {
            let batch = batch.map_err(|e| read_error(&e))?;
            let batch = if shares == 1 { batch } else { shape.of_groups(&batch, of_share)? };
            Ok((batch, Arc::clone(&entries)))
        })))
    }

    /// The entries of some groups.
    pub fn entries_of(&self, view: &View, groups: &RecordBatch) -> Result<Vec<RecordBatch>, ReadError> {
        if self.groups().entries.is_empty() {
            return Ok(Vec::new());
        }
        let hashes: HashSet<u64> = self.group_hashes(groups).into_iter().collect();
        self.entries(view, |hash| hashes.contains(&hash))
    }

    /// The entries of groups by their hash.
    fn entries(&self, view: &View, wanted: impl Fn(u64) -> bool) -> Result<Vec<RecordBatch>, ReadError> {
        let mut all = Vec::new();
        for (index, table) in self.groups().entries.iter().enumerate() {
            let mut found = Vec::new();
            for batch in view.snapshot(&state_name(&self.result, index + 1)).iter().flat_map(Snapshot::scan) {
                let batch = self.of_groups(&batch.map_err(|e| read_error(&e))?, &wanted)?;
                if batch.num_rows() > 0 {
                    found.push(batch);
                }
            }
            all.push(concat_batches(&table.schema, &found).map_err(|e| ReadError::Failed(e.to_string()))?);
        }
        Ok(all)
    }

    /// Rows of the main table or of entries, those of some groups.
    fn of_groups(&self, rows: &RecordBatch, wanted: impl Fn(u64) -> bool) -> Result<RecordBatch, ReadError> {
        let found: BooleanArray = self.group_hashes(rows).into_iter().map(|hash| Some(wanted(hash))).collect();
        filter_record_batch(rows, &found).map_err(|e| ReadError::Failed(e.to_string()))
    }

    /// The key leads in all tables.
    fn group_hashes(&self, rows: &RecordBatch) -> Vec<u64> {
        hash_of(rows, &(0..self.main().key_columns).collect::<Vec<_>>())
    }
}
