//! A result that reads the closed windows of an earlier one: its SQL runs over the rows that a commit appends to that
//! one. (To read a result without an aggregate is to read what that one reads, see `manade_sql`.)
//!
//! It runs on the merging thread, so a row that fails must not end the pipeline: it is a dead letter, known by its number
//! among the earlier result's rows and tried again from there.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Field, TimeUnit, TimestampMicrosecondType, UInt64Type};
use manade_sql::{Input, Query, SqlError, TableSet, Worker};

use crate::bisect::bisect;
use crate::dead_letter::Stage;
use crate::job::{Dead, DoneResult, Part, RawFormat};
use crate::plan::Plan;
use crate::progress::EventClock;
use crate::values;
use crate::worker::with_hidden;

pub struct Upstream {
    /// Index of the result that is read.
    pub from: usize,
    name: String,
    query: Arc<Query>,
    sql: Worker,
    /// Path of the windows' end.
    time: Option<Vec<String>>,
}

/// Some rows of the earlier result.
pub struct UpstreamRows {
    /// Its visible columns.
    pub rows: RecordBatch,
    /// By row its number; none where the result keeps no rows.
    pub ids: Vec<u64>,
    /// By row the dead letter that it was; none for new rows.
    pub letters: Vec<u64>,
}

impl Upstream {
    /// `None` where a result reads events.
    pub fn new(plan: &Plan, index: usize) -> Result<Option<Self>, SqlError> {
        let query = Arc::clone(&plan.results[index].query);
        let Input::Result(from) = &query.input else { return Ok(None) };
        let from = plan.results.iter().position(|r| r.spec.name.as_str() == from).expect("it was compiled before");
        let read = &plan.results[from].query;
        Ok(Some(Self {
            from,
            name: plan.results[from].spec.name.to_string(),
            sql: query.worker()?,
            time: read.time.clone(),
            query,
        }))
    }

    /// They come in the order of their ends, so none of them is late. Rows that are tried again are not counted twice.
    pub fn run(
        &mut self,
        result: usize,
        batch: &UpstreamRows,
        tables: &TableSet,
        clock: &mut EventClock,
    ) -> DoneResult {
        let before = *clock;
        if batch.letters.is_empty() {
            let newest = self.time.as_ref().and_then(|path| newest_of(&batch.rows, path));
            clock.see(newest, batch.rows.num_rows() as u64);
        }
        let sequence = self.query.sequence.then_some(before.events);
        let input = with_hidden(&batch.rows, &self.query.input_schema, None, sequence);
        let (outputs, failed) = bisect(&self.query, &mut self.sql, tables, &input, false);
        let dead = failed.iter().map(|(row, reason)| self.letter(batch, *row, reason)).collect();
        let watermark = Self::seen(&before);
        let parts = outputs.into_iter().map(|output| Part { watermark, output }).collect();
        DoneResult { result, parts, dead, failed: failed.len() as u64 }
    }

    /// The watermark of the rows seen so far: more with the same end may follow.
    pub fn seen(clock: &EventClock) -> Option<i64> {
        clock.newest.map(|end| end - 1)
    }

    fn letter(&self, batch: &UpstreamRows, row: usize, reason: &str) -> Dead {
        let id = batch.ids.get(row).copied();
        let schema = batch.rows.schema();
        let cell = |(field, column): (&Arc<Field>, &ArrayRef)| (field.name().clone(), values::json(column, row));
        let object: serde_json::Map<_, _> = schema.fields().iter().zip(batch.rows.columns()).map(cell).collect();
        let raw = serde_json::to_vec(&object).expect("rows are plain data");
        Dead {
            stage: Stage::Sql,
            reason: reason.to_owned(),
            position: match id {
                Some(id) => format!("row {id} of {}", self.name),
                None => format!("a row of {}", self.name),
            },
            length: raw.len() as u64,
            raw,
            again: batch.letters.get(row).copied(),
            source: RawFormat { row: id, ..RawFormat::default() },
        }
    }
}

/// The numbers of rows as they are stored: the last column.
pub fn ids_of(stored: &RecordBatch) -> Vec<u64> {
    stored.column(stored.num_columns() - 1).as_primitive::<UInt64Type>().values().to_vec()
}

/// The largest time at a path.
fn newest_of(rows: &RecordBatch, path: &[String]) -> Option<i64> {
    let (first, rest) = path.split_first()?;
    let mut column = Arc::clone(rows.column_by_name(first)?);
    for name in rest {
        column = Arc::clone(column.as_struct_opt()?.column_by_name(name)?);
    }
    let micros = arrow::compute::cast(&column, &DataType::Timestamp(TimeUnit::Microsecond, None)).ok()?;
    arrow::compute::max(micros.as_primitive::<TimestampMicrosecondType>())
}
