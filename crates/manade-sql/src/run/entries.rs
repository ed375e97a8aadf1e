//! Entry tables: aggregates that need their values one by one.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, UInt32Array, UInt64Array};
use arrow::compute::{SortColumn, lexsort_to_indices, take, take_record_batch};
use arrow::datatypes::{Int64Type, UInt64Type};
use arrow::row::{OwnedRow, RowConverter, Rows, SortField};

use super::{one, shaped, values};
use crate::SEQUENCE;
use crate::error::SqlError;
use crate::plan::{Aggregation, EntryPlan, carried};

/// A list's entries: one a row, numbered within its event.
pub fn listed(
    aggregation: &Aggregation,
    entry: &EntryPlan,
    rows: &[RecordBatch],
) -> Result<Vec<RecordBatch>, SqlError> {
    let width = aggregation.keys.len();
    let all = one(&aggregation.rows, rows)?;
    let Some(sequence) = all.column_by_name(&carried(SEQUENCE)).cloned() else {
        return Err(SqlError::Input(format!("there is no column `{SEQUENCE}`")));
    };
    let mut keys: Vec<ArrayRef> = all.columns()[..width].to_vec();
    keys.push(Arc::clone(&sequence));
    let groups = rows_of(&keys)?;
    let mut seen: HashMap<OwnedRow, u32> = HashMap::new();
    let ordinals: UInt32Array = (0..all.num_rows())
        .map(|row| {
            let next = seen.entry(groups.row(row).owned()).or_default();
            *next += 1;
            *next - 1
        })
        .collect::<Vec<u32>>()
        .into();
    let mut columns = keys;
    columns.push(Arc::new(ordinals));
    columns.extend(entry.values.iter().map(|value| Arc::clone(all.column(*value))));
    let listed = shaped(&entry.stored, columns, all.num_rows())?;
    Ok(vec![if entry.limit.is_some() { limited(aggregation, entry, &listed)? } else { listed }])
}

/// The first values of each group, as many as are kept.
pub fn limited(aggregation: &Aggregation, entry: &EntryPlan, stored: &RecordBatch) -> Result<RecordBatch, SqlError> {
    let Some(limit) = entry.limit else { return Ok(stored.clone()) };
    let order = ordered(aggregation, entry, stored)?;
    let groups = group_rows(aggregation, stored)?;
    let mut kept: Vec<u32> = Vec::new();
    let (mut last, mut count) = (None, 0);
    for row in order.values().iter().copied() {
        let group = groups.row(row as usize);
        if last != Some(group) {
            (last, count) = (Some(group), 0);
        }
        count += 1;
        if count <= limit {
            kept.push(row);
        }
    }
    Ok(take_record_batch(stored, &UInt32Array::from(kept))?)
}

/// The value of each aggregate that reads this table, for every group in the order of `groups`.
pub fn values(
    aggregation: &Aggregation,
    entry: &EntryPlan,
    groups: &RecordBatch,
    stored: &RecordBatch,
) -> Result<Vec<(usize, ArrayRef)>, SqlError> {
    let width = aggregation.keys.len();
    let mut place: HashMap<OwnedRow, u32> = HashMap::new();
    let keys = key_rows(&groups.columns()[..width], groups.num_rows())?;
    for row in 0..groups.num_rows() {
        place.insert(keys.row(row).owned(), row as u32);
    }
    let order = ordered(aggregation, entry, stored)?;
    let own = group_rows(aggregation, stored)?;
    let first_value = width + if entry.list { 2 } else { 0 };
    let value_columns: Vec<ArrayRef> =
        (0..entry.values.len()).map(|i| Arc::clone(stored.column(first_value + i))).collect();
    // Entries by group, in their order, without those that have a null.
    let mut members: Vec<Vec<u32>> = vec![Vec::new(); groups.num_rows()];
    for row in order.values().iter().copied() {
        if value_columns.iter().any(|values| values.is_null(row as usize)) {
            continue;
        }
        if let Some(group) = place.get(&own.row(row as usize).owned()) {
            members[*group as usize].push(row);
        }
    }
    let lengths: Vec<usize> = members.iter().map(Vec::len).collect();
    let indices = UInt32Array::from(members.concat());
    let sorted = value_columns.iter().map(|values| take(values, &indices, None)).collect::<Result<Vec<_>, _>>()?;
    let counts: Vec<i64> = if entry.list {
        vec![1; indices.len()]
    } else {
        let counts = take(stored.column(width + entry.values.len()), &indices, None)?;
        counts.as_primitive::<Int64Type>().values().to_vec()
    };
    let grouped = values::Grouped { values: sorted, counts, lengths };
    entry
        .readers
        .iter()
        .map(|(index, kind)| {
            let data_type = aggregation.groups.field(width + index).data_type();
            Ok((*index, grouped.aggregate(kind, data_type)?))
        })
        .collect()
}

/// Rows by group, then in the order in which values came; distinct values without an order by themselves.
fn ordered(aggregation: &Aggregation, entry: &EntryPlan, stored: &RecordBatch) -> Result<UInt32Array, SqlError> {
    let width = aggregation.keys.len();
    let groups = group_rows(aggregation, stored)?;
    let mut order: Vec<u32> = (0..stored.num_rows() as u32).collect();
    if entry.list {
        let sequence = u64s(stored.column(width));
        let ordinal = stored.column(width + 1).as_primitive::<arrow::datatypes::UInt32Type>();
        order.sort_unstable_by_key(|row| {
            let row = *row as usize;
            (groups.row(row), sequence.value(row), ordinal.value(row))
        });
        return Ok(order.into());
    }
    let last = width + entry.values.len() + 1;
    if last < stored.num_columns() {
        let first = u64s(stored.column(last));
        let values = key_rows(&stored.columns()[width..width + entry.values.len()], stored.num_rows())?;
        order.sort_unstable_by_key(|row| {
            let row = *row as usize;
            (groups.row(row), first.value(row), values.row(row))
        });
        return Ok(order.into());
    }
    if stored.num_rows() == 0 {
        return Ok(order.into());
    }
    let columns: Vec<SortColumn> = stored.columns()[..width + entry.values.len()]
        .iter()
        .map(|column| SortColumn { values: Arc::clone(column), options: None })
        .collect();
    if let Ok(indices) = lexsort_to_indices(&columns, None) {
        Ok(indices)
    } else {
        let all = key_rows(&stored.columns()[..width + entry.values.len()], stored.num_rows())?;
        order.sort_unstable_by_key(|row| all.row(*row as usize));
        Ok(order.into())
    }
}

fn group_rows(aggregation: &Aggregation, batch: &RecordBatch) -> Result<Rows, SqlError> {
    key_rows(&batch.columns()[..aggregation.keys.len()], batch.num_rows())
}

/// Comparable rows; of no columns they are all alike.
fn key_rows(columns: &[ArrayRef], rows: usize) -> Result<Rows, SqlError> {
    if columns.is_empty() {
        return rows_of(&[arrow::array::new_null_array(&arrow::datatypes::DataType::Null, rows)]);
    }
    rows_of(columns)
}

fn rows_of(columns: &[ArrayRef]) -> Result<Rows, SqlError> {
    let fields = columns.iter().map(|column| SortField::new(column.data_type().clone())).collect();
    Ok(RowConverter::new(fields)?.convert_columns(columns)?)
}

fn u64s(column: &ArrayRef) -> &UInt64Array {
    column.as_primitive::<UInt64Type>()
}
