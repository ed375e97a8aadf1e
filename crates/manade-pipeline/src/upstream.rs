//! A result that reads an earlier one: its SQL runs over the rows that a commit appends to that one.
//!
//! It runs on the merging thread, so a row that fails must not end the pipeline: it is a dead letter, known by its number
//! among the earlier result's rows and tried again from there.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit, TimestampMicrosecondType, UInt64Type};
use manade_model::Late;
use manade_sql::{Input, Query, SqlError, Stage as SqlStage, TableSet, Worker};

use crate::bisect::{Bisect, late_rows};
use crate::dead_letter::Stage;
use crate::job::{Dead, DoneResult, Part, RawFormat};
use crate::plan::Plan;
use crate::progress::EventClock;
use crate::values;
use crate::worker::{running_watermarks, with_hidden};

pub struct Upstream {
    /// Index of the result that is read.
    pub from: usize,
    /// The rows are events of their own, not closed windows.
    pub timed: bool,
    name: String,
    query: Arc<Query>,
    sql: Worker,
    input_schema: SchemaRef,
    windowed: bool,
    /// Path of the rows' event time.
    time: Option<Vec<String>>,
    lateness: i64,
    late: Late,
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
            timed: matches!(read.stage, SqlStage::Rows),
            name: plan.results[from].spec.name.to_string(),
            sql: query.worker()?,
            input_schema: Arc::clone(&query.input_schema),
            windowed: matches!(&query.stage, SqlStage::Groups(groups) if groups.window.is_some()),
            time: read.time.clone(),
            lateness: plan.lateness(),
            late: plan.pipeline.events.late,
            query,
        }))
    }

    /// Rows of closed windows come in the order of their ends, so none of them is late; rows that are events of their own
    /// are late by a watermark of their own. Rows that are tried again do not move it.
    pub fn run(
        &mut self,
        result: usize,
        batch: &UpstreamRows,
        tables: &TableSet,
        clock: &mut EventClock,
    ) -> DoneResult {
        let rows = lower_case(&batch.rows);
        let times = self.time.as_ref().and_then(|path| times_of(&rows, path));
        let before = *clock;
        let again = !batch.letters.is_empty();
        let (watermarks, late) = match times.as_ref().filter(|_| self.timed) {
            Some(times) if again => {
                let watermark = before.watermark(self.lateness).unwrap_or(i64::MIN);
                (vec![watermark; times.len()], times.iter().any(|time| *time <= watermark))
            }
            Some(times) => running_watermarks(times, before, self.lateness),
            None => (Vec::new(), false),
        };
        if !again {
            clock.see(times.as_ref().and_then(|times| times.iter().max().copied()), rows.num_rows() as u64);
        }
        let late = late && self.windowed;
        let sequence = self.query.sequence.then_some(before.events);
        let input = with_hidden(&rows, &self.input_schema, late.then_some(&watermarks), sequence);
        let (outputs, failed) = Bisect::run(&self.query, &mut self.sql, tables, &input, late);
        let mut done = DoneResult { result, parts: Vec::new(), dead: Vec::new(), failed: failed.len() as u64 };
        done.dead.extend(failed.into_iter().map(|(row, reason)| self.letter(batch, row, Stage::Sql, reason)));
        for output in outputs {
            if let Some(times) = times.as_ref().filter(|_| self.late == Late::Keep) {
                let late = late_rows(&output.late, times, &watermarks).into_iter();
                done.dead.extend(late.map(|(row, reason)| self.letter(batch, row, Stage::Late, reason)));
            }
            done.parts.push(Part { watermark: before.watermark(self.lateness), output });
        }
        done
    }

    fn letter(&self, batch: &UpstreamRows, row: usize, stage: Stage, reason: String) -> Dead {
        let id = batch.ids.get(row).copied();
        let schema = batch.rows.schema();
        let cell = |(field, column): (&Arc<Field>, &ArrayRef)| (field.name().clone(), values::json(column, row));
        let object: serde_json::Map<_, _> = schema.fields().iter().zip(batch.rows.columns()).map(cell).collect();
        let raw = serde_json::to_vec(&object).expect("rows are plain data");
        Dead {
            stage,
            reason,
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

/// Rows of an earlier result as an input: columns by the names that SQL knows.
fn lower_case(rows: &RecordBatch) -> RecordBatch {
    let schema = rows.schema();
    let fields: Vec<Field> =
        schema.fields().iter().map(|f| f.as_ref().clone().with_name(f.name().to_lowercase())).collect();
    rows.clone().with_schema(Arc::new(Schema::new(fields))).unwrap_or_else(|_| rows.clone())
}

/// Event times of rows, where none is null.
fn times_of(rows: &RecordBatch, path: &[String]) -> Option<Vec<i64>> {
    let (first, rest) = path.split_first()?;
    let mut column = Arc::clone(rows.column_by_name(first)?);
    for name in rest {
        column = Arc::clone(column.as_struct_opt()?.column_by_name(name)?);
    }
    let micros = arrow::compute::cast(&column, &DataType::Timestamp(TimeUnit::Microsecond, None)).ok()?;
    Some(micros.as_primitive::<TimestampMicrosecondType>().iter().map(Option::unwrap_or_default).collect())
}
