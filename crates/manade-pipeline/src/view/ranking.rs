//! The rows of a top-N result: all groups are read once, later only those that have changed.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{AsArray, BinaryArray, BooleanArray, RecordBatch};
use arrow::compute::{concat_batches, filter_record_batch};
use manade_store::{ChangedKind, Snapshot, SnapshotError, View};

use super::{Shape, keys_of, read_error};
use crate::collection::{ChangeBatch, ChangeKind, Changes, ReadError};
use crate::groups::state_name;

/// Groups that may have changed while a reader was away and are still told of.
const CHANGED: usize = 10_000;

/// The first rows of the order at a commit, those that OFFSET leaves out too.
#[derive(Clone)]
pub struct Ranking {
    commit: u64,
    /// Visible columns, key columns, sort columns.
    rows: RecordBatch,
    /// There is no row behind these.
    whole: bool,
}

/// Groups that changed after a commit.
#[derive(Default)]
struct Changed {
    /// Keys of them all, deleted ones too.
    keys: HashSet<Vec<u8>>,
    /// Their states, but for deleted ones.
    states: Vec<RecordBatch>,
    /// Only the keys are visible.
    named: Vec<RecordBatch>,
}

impl Shape {
    /// What a top-N result serves, in its order.
    pub fn top(self: &Arc<Self>, view: &View) -> Result<RecordBatch, ReadError> {
        let Some(main) = view.snapshot(&state_name(&self.result, 0)) else {
            return Ok(RecordBatch::new_empty(self.keyed_schema()));
        };
        let ranking = self.ranking(view, &main)?;
        let rows = self.with_reader(|reader| reader.served(&ranking.rows))?;
        self.keyed(&rows)
    }

    /// The change feed from a commit that nobody remembers: a group that has changed may have been among the first, and
    /// of the others only those that would be without the changed ones. So rows may be told again, and rows to be gone
    /// that the reader never had.
    pub fn top_since(self: &Arc<Self>, view: &View, since: u64) -> Result<Changes, ReadError> {
        let commit = view.commit();
        let none = Changes { commit, batches: Vec::new() };
        let Some(main) = view.snapshot(&state_name(&self.result, 0)) else { return Ok(none) };
        let gone = ReadError::Gone { oldest: commit };
        let Some(changed) = self.changed(&main, since)?.filter(|changed| changed.keys.len() <= CHANGED) else {
            return Err(gone);
        };
        if changed.keys.is_empty() {
            return Ok(none);
        }
        let now = self.top(view)?;
        let served = keys(&now);
        let others = self.rank_all(view, &main, &changed.keys)?;
        let mut batches = Vec::new();
        for rows in changed.named.into_iter().chain([self.named(&others.rows)?]) {
            let left: BooleanArray = key_column(&rows).iter().map(|key| key.map(|key| !served.contains(key))).collect();
            let rows = filter_record_batch(&rows, &left).map_err(failed)?;
            if rows.num_rows() > 0 {
                batches.push(ChangeBatch { commit, kind: ChangeKind::Delete, rows });
            }
        }
        batches.push(ChangeBatch { commit, kind: ChangeKind::Upsert, rows: now });
        Ok(Changes { commit, batches })
    }

    fn ranking(self: &Arc<Self>, view: &View, main: &Snapshot) -> Result<Ranking, ReadError> {
        let mut kept = self.ranking.lock();
        if let Some(last) = kept.as_ref().filter(|last| last.commit == view.commit()) {
            return Ok(last.clone());
        }
        let last = kept.as_ref().filter(|last| last.commit < view.commit());
        let next = match last {
            Some(last) => self.rank_changed(view, main, last)?,
            None => None,
        };
        let ranking = match next {
            Some(ranking) => ranking,
            None => self.rank_all(view, main, &HashSet::new())?,
        };
        if kept.as_ref().is_none_or(|kept| kept.commit < ranking.commit) {
            *kept = Some(ranking.clone());
        }
        Ok(ranking)
    }

    /// Of all groups but these.
    fn rank_all(
        self: &Arc<Self>,
        view: &View,
        main: &Snapshot,
        without: &HashSet<Vec<u8>>,
    ) -> Result<Ranking, ReadError> {
        let mut best: Option<RecordBatch> = None;
        let mut count = 0;
        for part in self.parts(view, main) {
            let (mut batch, entries) = part?;
            if !without.is_empty() {
                batch = except(&batch, &self.state_keys(&batch)?, without)?;
            }
            let rows = self.with_reader(|reader| reader.rows(&batch, &entries))?;
            count += rows.num_rows();
            best = Some(self.first_of(best.iter().chain([&rows]))?);
        }
        let rows = match best {
            Some(rows) => rows,
            None => self.with_reader(|reader| reader.rows(&RecordBatch::new_empty(main.schema()), &[]))?,
        };
        Ok(Ranking { commit: view.commit(), whole: count == rows.num_rows(), rows })
    }

    /// From the last ranking and what has changed since. `None` where a row that was behind the last ranking may have
    /// moved up.
    fn rank_changed(&self, view: &View, main: &Snapshot, last: &Ranking) -> Result<Option<Ranking>, ReadError> {
        let Some(changed) = self.changed(main, last.commit)? else { return Ok(None) };
        let visible = self.schema.fields().len();
        let keys = keys_of(&last.rows.columns()[visible..][..self.main().key_columns], last.rows.num_rows())?;
        let others = except(&last.rows, &keys, &changed.keys)?;
        let states = concat_batches(&main.schema(), &changed.states).map_err(failed)?;
        let entries = self.entries_of(view, &states)?;
        let news = self.with_reader(|reader| reader.rows(&states, &entries))?;
        let rows = self.first_of([&others, &news])?;
        let whole = last.whole && rows.num_rows() == others.num_rows() + news.num_rows();
        let ranking = Ranking { commit: view.commit(), rows, whole };
        if last.whole {
            return Ok(Some(ranking));
        }
        // Rows that were behind are behind the last row as it was then.
        let Some(bound) = last.rows.num_rows().checked_sub(1) else { return Ok(None) };
        if ranking.rows.num_rows() <= bound {
            return Ok(None);
        }
        let (now, then) = (ranking.rows.slice(bound, 1), last.rows.slice(bound, 1));
        let first = self.with_reader(|reader| reader.first(&concat_batches(&now.schema(), [&now, &then])?))?;
        let in_front = first.slice(0, 1) == now;
        Ok(in_front.then_some(ranking))
    }

    /// `None`: it is no longer known.
    fn changed(&self, main: &Snapshot, since: u64) -> Result<Option<Changed>, ReadError> {
        let changes = match main.changes(since) {
            Ok(changes) => changes,
            Err(SnapshotError::TooOld { .. }) => return Ok(None),
            Err(SnapshotError::Read(e)) => return Err(read_error(&e)),
        };
        let mut changed = Changed::default();
        for change in changes {
            let change = change.map_err(|e| read_error(&e))?;
            changed.keys.extend(self.state_keys(&change.rows)?.iter().flatten().map(<[u8]>::to_vec));
            changed.named.push(self.only_keys(&change.rows)?);
            if change.kind == ChangedKind::Upsert {
                changed.states.push(change.rows);
            }
        }
        Ok(Some(changed))
    }

    fn first_of<'a>(&self, rows: impl IntoIterator<Item = &'a RecordBatch>) -> Result<RecordBatch, ReadError> {
        let rows: Vec<&RecordBatch> = rows.into_iter().collect();
        let rows = concat_batches(&rows[0].schema(), rows).map_err(failed)?;
        self.with_reader(|reader| reader.first(&rows))
    }

    fn state_keys(&self, states: &RecordBatch) -> Result<BinaryArray, ReadError> {
        keys_of(&states.columns()[..self.main().key_columns], states.num_rows())
    }

    /// Ranked rows, of which only the key is visible.
    fn named(&self, ranked: &RecordBatch) -> Result<RecordBatch, ReadError> {
        let visible = self.schema.fields().len();
        let keys: Vec<usize> = (visible..visible + self.main().key_columns).collect();
        self.only_keys(&ranked.project(&keys).map_err(failed)?)
    }
}

fn except(rows: &RecordBatch, keys: &BinaryArray, without: &HashSet<Vec<u8>>) -> Result<RecordBatch, ReadError> {
    let stay: BooleanArray = keys.iter().map(|key| key.map(|key| !without.contains(key))).collect();
    filter_record_batch(rows, &stay).map_err(failed)
}

fn key_column(rows: &RecordBatch) -> &BinaryArray {
    rows.column(rows.num_columns() - 1).as_binary()
}

fn keys(rows: &RecordBatch) -> HashSet<&[u8]> {
    key_column(rows).iter().flatten().collect()
}

fn failed(error: arrow::error::ArrowError) -> ReadError {
    ReadError::Failed(error.to_string())
}
