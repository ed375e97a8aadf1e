//! Bounds of what a result keeps, by age and by size.

use manade_model::Retain;
use manade_store::{Change, Store};

use crate::groups::{Expired, GroupBounds, GroupError, GroupState, rows_name};
use crate::progress::Milestone;

/// Milestones that are kept: an age is met to within a part of this many.
const MILESTONES: usize = 256;

/// One result's rows and how long they are kept.
pub struct Kept<'a> {
    pub name: &'a str,
    pub retain: Retain,
    pub groups: Option<&'a GroupState>,
    /// Where the result has sinks: the first appended row that one of them does not have yet. Rows from there on stay.
    pub told: Option<u64>,
}

impl Kept<'_> {
    /// Drops what is beyond the bounds. `history` learns how far rows are now. Says how many rows went.
    pub fn expire(
        &self,
        store: &Store,
        history: &mut Vec<Milestone>,
        watermark: Option<i64>,
        now: i64,
    ) -> Result<Expired, GroupError> {
        let mut expired = Expired::default();
        if self.retain == Retain::default() {
            return Ok(expired);
        }
        let table = store.table(&rows_name(self.name));
        let rows = table.map(manade_store::Table::row_ids).unwrap_or_default();
        let age = self.retain.age.map(|age| i64::try_from(age.as_micros()).unwrap_or(i64::MAX));
        let here = Milestone { time: now, commit: store.last_commit(), row: rows.end };
        let past = past_milestone(history, here, age.unwrap_or(i64::MAX));
        if let Some(table) = table {
            let by_age = past.map_or(rows.start, |milestone| milestone.row);
            let by_size = self.retain.size.map_or(rows.start, |size| row_within(&rows, table.bytes(), size));
            let wanted = by_age.max(by_size);
            let before_row = self.told.map_or(wanted, |told| wanted.min(told.max(rows.start)));
            let held = (wanted - before_row) as f64 / (rows.end - rows.start).max(1) as f64;
            expired.held = (table.bytes() as f64 * held) as u64;
            if before_row > rows.start {
                expired.rows = before_row - rows.start;
                expired.changes.push((rows_name(self.name), Change::Expire { before_row }));
            }
        } else if let Some(groups) = self.groups {
            let bounds = GroupBounds {
                end: watermark.zip(age).map(|(watermark, age)| watermark.saturating_sub(age)),
                commit: past.map(|milestone| milestone.commit),
                size: self.retain.size,
            };
            expired = groups.expire(store, &bounds)?;
        }
        Ok(expired)
    }
}

/// Adds the present to the history and takes out what is older than `age`: the newest of that, if any.
fn past_milestone(history: &mut Vec<Milestone>, here: Milestone, age: i64) -> Option<Milestone> {
    let apart = age / MILESTONES as i64;
    if history.last().is_none_or(|last| here.time - last.time >= apart || here.time < last.time) {
        history.push(here);
    }
    let limit = here.time.saturating_sub(age);
    let past = history.iter().take_while(|milestone| milestone.time <= limit).count();
    let newest = past.checked_sub(1).map(|i| history[i]);
    history.drain(..past);
    newest
}

/// The first row that stays so that about `size` bytes are left, rows taken as equally long.
fn row_within(rows: &std::ops::Range<u64>, bytes: u64, size: u64) -> u64 {
    if bytes <= size {
        return rows.start;
    }
    let share = (bytes - size) as f64 / bytes as f64;
    rows.start + ((rows.end - rows.start) as f64 * share) as u64
}
