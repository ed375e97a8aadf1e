//! The change feed of a top-N result: its rows are compared with those of the commit that was looked at before.
//!
//! A row can leave the first N without having changed itself, so stored changes do not tell. What was compared is kept
//! in memory; readers that come from further back, after a restart say, get more than they need.

use std::collections::HashMap;

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow_row::{RowConverter, SortField};

use crate::collection::{ChangeBatch, ChangeKind, Changes, ReadError};

/// Rows that left and are still told of.
const GONE: usize = 10_000;

#[derive(Default)]
pub struct TopFeed {
    /// The first commit that was looked at: what happened before is not known.
    first: Option<u64>,
    /// The last commit that was looked at.
    commit: u64,
    /// By key: the row as bytes, and the commit at which it was first seen like that.
    rows: HashMap<Vec<u8>, (Vec<u8>, u64)>,
    last: Option<RecordBatch>,
    /// Rows that left, with the commit at which that was seen.
    gone: Vec<(u64, RecordBatch)>,
}

impl TopFeed {
    /// Rows at `commit` are still to be looked at.
    pub fn is_behind(&self, commit: u64) -> bool {
        self.first.is_none() || commit > self.commit
    }

    /// The rows at `commit`, which is later than the last.
    pub fn look(&mut self, commit: u64, rows: RecordBatch) -> Result<(), ReadError> {
        self.first.get_or_insert(commit);
        self.compare(commit, rows)?;
        self.commit = commit;
        Ok(())
    }

    /// What changed after commit `since`, up to the last look. `None`: it is not known.
    pub fn changes(&self, since: u64) -> Result<Option<Changes>, ReadError> {
        let commit = self.commit;
        let Some(rows) = self.last.as_ref().filter(|_| self.first.is_some_and(|first| first <= since)) else {
            return Ok(None);
        };
        let mut batches = Vec::new();
        for (at, rows) in self.gone.iter().filter(|(at, _)| *at > since) {
            batches.push(ChangeBatch { commit: *at, kind: ChangeKind::Delete, rows: rows.clone() });
        }
        let keys = rows.column(rows.num_columns() - 1).as_binary::<i32>();
        let newer = |key: Option<&[u8]>| key.and_then(|key| self.rows.get(key)).is_some_and(|(_, at)| *at > since);
        let changed: BooleanArray = keys.iter().map(|key| Some(newer(key))).collect();
        let rows = filter_record_batch(rows, &changed).map_err(|e| ReadError::Failed(e.to_string()))?;
        if rows.num_rows() > 0 {
            batches.push(ChangeBatch { commit, kind: ChangeKind::Upsert, rows });
        }
        Ok(Some(Changes { commit, batches }))
    }

    fn compare(&mut self, commit: u64, rows: RecordBatch) -> Result<(), ReadError> {
        let failed = |e: arrow::error::ArrowError| ReadError::Failed(e.to_string());
        let keys = rows.column(rows.num_columns() - 1).as_binary::<i32>();
        let visible = &rows.columns()[..rows.num_columns() - 1];
        let fields = visible.iter().map(|column| SortField::new(column.data_type().clone())).collect();
        let bytes = RowConverter::new(fields).and_then(|c| c.convert_columns(visible)).map_err(failed)?;
        let mut now = HashMap::new();
        for (row, key) in keys.iter().enumerate() {
            let (key, bytes) = (key.unwrap_or_default().to_vec(), bytes.row(row).data().to_vec());
            let since = match self.rows.get(&key) {
                Some((before, since)) if *before == bytes => *since,
                _ => commit,
            };
            now.insert(key, (bytes, since));
        }
        if let Some(last) = &self.last {
            let keys = last.column(last.num_columns() - 1).as_binary::<i32>();
            let left: BooleanArray = keys.iter().map(|key| key.map(|key| !now.contains_key(key))).collect();
            let left = filter_record_batch(last, &left).map_err(failed)?;
            if left.num_rows() > 0 {
                self.gone.push((commit, left));
            }
        }
        self.rows = now;
        self.last = Some(rows);
        while self.gone.iter().map(|(_, rows)| rows.num_rows()).sum::<usize>() > GONE {
            self.first = Some(self.gone.remove(0).0);
        }
        Ok(())
    }
}
