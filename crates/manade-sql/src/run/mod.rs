//! Running a query: workers over chunks, mergers over states, readers over groups.
//!
//! All of it is synchronous. Each part owns its plans; before each run their leaves are filled and their metrics and
//! once-only state are forgotten (they would grow with every run).

mod entries;
mod merger;
mod reader;
mod sessions;
mod values;
mod worker;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions};
use arrow::buffer::Buffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::execution::TaskContext;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::execution_plan::reset_plan_states;
use futures::TryStreamExt;

pub use merger::Merger;
pub use reader::RowReader;
pub use worker::{StageOutput, Worker};

use crate::error::SqlError;
use crate::plan::{BATCH, Slot, instance};
use crate::query::Query;

impl Query {
    /// One for each thread that processes chunks.
    pub fn worker(&self) -> Result<Worker, SqlError> {
        Worker::new(&self.parts)
    }

    /// For a query with groups.
    pub fn merger(&self) -> Result<Merger, SqlError> {
        Merger::new(&self.parts)
    }

    /// For a query with groups.
    pub fn row_reader(&self) -> Result<RowReader, SqlError> {
        RowReader::new(&self.parts)
    }
}

/// A plan with its leaves' slots.
struct Runnable {
    plan: Arc<dyn ExecutionPlan>,
    context: Arc<TaskContext>,
}

impl Runnable {
    fn new(
        template: &Arc<dyn ExecutionPlan>,
        context: &Arc<TaskContext>,
        slot: impl Fn(&str) -> Option<Slot>,
    ) -> Result<Self, SqlError> {
        Ok(Self { plan: instance(template, slot)?, context: Arc::clone(context) })
    }

    /// Over one slot, whatever its name.
    fn over(template: &Arc<dyn ExecutionPlan>, context: &Arc<TaskContext>, slot: &Slot) -> Result<Self, SqlError> {
        Self::new(template, context, |_| Some(slot.clone()))
    }

    fn run(&mut self) -> Result<Vec<RecordBatch>, SqlError> {
        self.plan = reset_plan_states(Arc::clone(&self.plan))?;
        let mut batches = Vec::new();
        for partition in 0..self.plan.properties().partitioning.partition_count() {
            let stream = self.plan.execute(partition, Arc::clone(&self.context))?;
            let more: Vec<RecordBatch> = futures::executor::block_on(stream.try_collect())?;
            batches.extend(more.into_iter().filter(|batch| batch.num_rows() > 0));
        }
        Ok(batches)
    }
}

/// A panic of the engine is an error of this call.
fn guarded<T>(run: impl FnOnce() -> Result<T, SqlError>) -> Result<T, SqlError> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        Err(SqlError::Panicked(text.unwrap_or_else(|| "no reason given".to_owned())))
    })
}

/// Batches that plans take at a time.
fn sliced(batch: &RecordBatch) -> Vec<RecordBatch> {
    let rows = batch.num_rows();
    (0..rows).step_by(BATCH).map(|start| batch.slice(start, BATCH.min(rows - start))).collect()
}

/// The columns under a schema's names, cast where their types differ.
fn shaped(schema: &SchemaRef, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch, SqlError> {
    let mut shaped = Vec::with_capacity(columns.len());
    for (column, field) in columns.into_iter().zip(schema.fields()) {
        shaped.push(if column.data_type() == field.data_type() { column } else { cast(&column, field.data_type())? });
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), shaped, &options)?)
}

/// One batch of all of them; empty where there is none.
fn one(schema: &SchemaRef, batches: &[RecordBatch]) -> Result<RecordBatch, SqlError> {
    match batches {
        [] => Ok(RecordBatch::new_empty(Arc::clone(schema))),
        [batch] => Ok(batch.clone()),
        several => Ok(arrow::compute::concat_batches(schema, several)?),
    }
}

/// Strings of a result that would keep a much larger chunk in memory are copied.
fn released(column: ArrayRef) -> ArrayRef {
    const WASTE: usize = 2;
    match column.data_type() {
        DataType::Utf8View => {
            let view = column.as_string_view();
            let held: usize = view.data_buffers().iter().map(Buffer::len).sum();
            if held > WASTE * view.total_buffer_bytes_used() { Arc::new(view.gc()) } else { column }
        }
        DataType::BinaryView => {
            let view = column.as_binary_view();
            let held: usize = view.data_buffers().iter().map(Buffer::len).sum();
            if held > WASTE * view.total_buffer_bytes_used() { Arc::new(view.gc()) } else { column }
        }
        other if other.is_nested() => {
            let all: Vec<u32> = (0..column.len() as u32).collect();
            let all = arrow::array::UInt32Array::from(all);
            arrow::compute::take(&column, &all, None).map_or(Arc::clone(&column), deep_release)
        }
        _ => column,
    }
}

/// Nested strings too.
fn deep_release(column: ArrayRef) -> ArrayRef {
    let data = column.to_data();
    if data.child_data().is_empty() {
        return released(column);
    }
    let children: Vec<_> =
        data.child_data().iter().map(|child| deep_release(arrow::array::make_array(child.clone())).to_data()).collect();
    let rebuilt = data.into_builder().child_data(children).build();
    rebuilt.map_or(column, arrow::array::make_array)
}
