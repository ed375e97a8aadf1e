//! Merged states to visible rows.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, UInt32Array, new_null_array};
use arrow::compute::{SortColumn, SortOptions, lexsort_to_indices, take_record_batch};
use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};
use datafusion::physical_expr::GroupsAccumulatorAdapter;
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;

use super::{Runnable, entries, guarded, one, shaped, sliced};
use crate::bind::Order;
use crate::error::SqlError;
use crate::plan::{Aggregation, Parts, Slot};

/// Computes final values, HAVING and the projection.
pub struct RowReader {
    parts: Arc<Parts>,
    groups: Slot,
    above: Runnable,
    /// Visible columns, key columns, sort columns.
    output: SchemaRef,
    /// Where each output column stands in what `above` yields.
    positions: Vec<usize>,
}

impl RowReader {
    pub(super) fn new(parts: &Arc<Parts>) -> Result<Self, SqlError> {
        let Some(aggregation) = &parts.aggregation else {
            return Err(SqlError::Input("the query has no groups".to_owned()));
        };
        let groups = Slot::default();
        let above = Runnable::over(&aggregation.above, &parts.context, &groups)?;
        let made = above.plan.schema();
        let visible = parts.visible.fields().len();
        let find = |name: &str| {
            made.index_of(name).map_err(|error| SqlError::Input(format!("the query lost a column: {error}")))
        };
        let mut fields: Vec<Field> = parts.visible.fields().iter().map(|field| field.as_ref().clone()).collect();
        let mut positions: Vec<usize> = (0..visible).collect();
        for key in &aggregation.keys {
            fields.push(Field::new(&key.name, key.data_type.clone(), true));
            positions.push(find(&key.name)?);
        }
        let sorts = aggregation.order.as_ref().map_or(0, |order| order.directions.len());
        for i in 0..sorts {
            let name = format!("__sort{i}");
            let position = find(&name)?;
            fields.push(Field::new(name, made.field(position).data_type().clone(), true));
            positions.push(position);
        }
        let output = Arc::new(Schema::new(fields));
        Ok(Self { parts: Arc::clone(parts), groups, above, output, positions })
    }

    /// Visible columns, then the group key as `__key0..`, then for a top-N result `__sort0..`. `main` has stored rows of
    /// the main table, `entries` those of each entry table that belong to them. Groups that HAVING leaves out are not
    /// there; the order is not defined.
    pub fn rows(&mut self, main: &RecordBatch, entries: &[RecordBatch]) -> Result<RecordBatch, SqlError> {
        guarded(|| self.rows_here(main, entries))
    }

    /// Of a top-N result: the first of some [`RowReader::rows`], as many as LIMIT and OFFSET need, in order. Ties go by
    /// the group's key.
    pub fn first(&self, rows: &RecordBatch) -> Result<RecordBatch, SqlError> {
        let Some((order, first_sort)) = self.order() else { return Ok(rows.clone()) };
        let visible = self.parts.visible.fields().len();
        let sorts = order.directions.iter().enumerate().map(|(i, (descending, nulls_first))| SortColumn {
            values: Arc::clone(rows.column(first_sort + i)),
            options: Some(SortOptions { descending: *descending, nulls_first: *nulls_first }),
        });
        let keys = (visible..first_sort).map(|i| SortColumn { values: Arc::clone(rows.column(i)), options: None });
        let columns: Vec<SortColumn> = sorts.chain(keys).collect();
        let count = order.top.offset.saturating_add(order.top.limit);
        if columns.is_empty() {
            return Ok(rows.slice(0, count.min(rows.num_rows())));
        }
        let indices: UInt32Array = lexsort_to_indices(&columns, Some(count))?;
        Ok(take_record_batch(rows, &indices)?)
    }

    /// What a top-N result serves of the [`RowReader::first`] of all groups: the visible columns and the key of the rows
    /// behind OFFSET.
    pub fn served(&self, first: &RecordBatch) -> Result<RecordBatch, SqlError> {
        let Some((order, first_sort)) = self.order() else { return Ok(first.clone()) };
        let offset = order.top.offset.min(first.num_rows());
        let served: Vec<usize> = (0..first_sort).collect();
        Ok(first.slice(offset, first.num_rows() - offset).project(&served)?)
    }

    /// And the first sort column.
    fn order(&self) -> Option<(&Order, usize)> {
        let aggregation = self.parts.aggregation.as_ref()?;
        Some((aggregation.order.as_ref()?, self.parts.visible.fields().len() + aggregation.keys.len()))
    }

    fn rows_here(&mut self, main: &RecordBatch, entries: &[RecordBatch]) -> Result<RecordBatch, SqlError> {
        let parts = Arc::clone(&self.parts);
        let Some(aggregation) = &parts.aggregation else {
            return Err(SqlError::Input("the query has no groups".to_owned()));
        };
        if main.num_rows() == 0 {
            return Ok(RecordBatch::new_empty(Arc::clone(&self.output)));
        }
        let states = shaped(&aggregation.main.states, main.columns().to_vec(), main.num_rows())?;
        let groups = group_values(aggregation, &states, entries)?;
        self.groups.put(sliced(&groups));
        let rows = self.above.run();
        self.groups.put(Vec::new());
        let mut batches = Vec::new();
        for batch in rows? {
            let columns: Vec<ArrayRef> = self.positions.iter().map(|i| Arc::clone(batch.column(*i))).collect();
            batches.push(shaped(&self.output, columns, batch.num_rows())?);
        }
        one(&self.output, &batches)
    }
}

/// Keys and every aggregate's value, in the order of the groups' schema. Each row of `states` is a group.
fn group_values(
    aggregation: &Aggregation,
    states: &RecordBatch,
    entries: &[RecordBatch],
) -> Result<RecordBatch, SqlError> {
    let rows = states.num_rows();
    let width = aggregation.keys.len();
    let mut columns: Vec<Option<ArrayRef>> = vec![None; aggregation.groups.fields().len()];
    for (i, column) in columns.iter_mut().take(width).enumerate() {
        *column = Some(Arc::clone(states.column(i)));
    }
    let groups: Vec<usize> = (0..rows).collect();
    let mut at = width;
    for (index, call) in aggregation.folded.iter().zip(&aggregation.main.calls) {
        let next = at + call.state_fields()?.len();
        let mut accumulator = accumulator(call)?;
        accumulator.merge_batch(&states.columns()[at..next], &groups, rows)?;
        columns[width + index] = Some(accumulator.evaluate(EmitTo::All)?);
        at = next;
    }
    for (i, entry) in aggregation.entries.iter().enumerate() {
        let stored = match entries.get(i) {
            Some(stored) => stored.clone(),
            None => RecordBatch::new_empty(Arc::clone(&entry.stored)),
        };
        for (index, column) in entries::values(aggregation, entry, states, &stored)? {
            columns[width + index] = Some(column);
        }
    }
    let fields = aggregation.groups.fields();
    let columns = columns
        .into_iter()
        .zip(fields)
        .map(|(column, field)| column.unwrap_or_else(|| new_null_array(field.data_type(), rows)))
        .collect();
    shaped(&aggregation.groups, columns, rows)
}

fn accumulator(call: &Arc<AggregateFunctionExpr>) -> Result<Box<dyn GroupsAccumulator>, SqlError> {
    if call.groups_accumulator_supported() {
        return Ok(call.create_groups_accumulator()?);
    }
    let call = Arc::clone(call);
    Ok(Box::new(GroupsAccumulatorAdapter::new(move || call.create_accumulator())))
}
