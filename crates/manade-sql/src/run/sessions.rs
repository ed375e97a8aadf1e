//! Session windows: intervals of a key that touch are one.
//!
//! An event at time t opens the session [t, t + gap]; one that begins exactly at another's end still joins it, as in
//! Spark. What the watermark has passed is closed: it takes no more events, so a later event beside it opens a session
//! of its own. Only chunks with late events can tell the difference; their states carry each event's watermark.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, TimestampMicrosecondArray};
use arrow::datatypes::{Field, Schema, SchemaRef, TimestampMicrosecondType};
use arrow::row::{OwnedRow, RowConverter, Rows, SortField};

use crate::WATERMARK;
use crate::error::SqlError;
use crate::query::SessionColumns;

/// A session as it is being built, and the rows that belong to it.
struct Session {
    start: i64,
    end: i64,
    rows: Vec<usize>,
}

/// The rows with the start and end of the session that each belongs to.
pub fn joined(batch: &RecordBatch, columns: SessionColumns) -> Result<RecordBatch, SqlError> {
    let groups = group_rows(batch, columns)?;
    let (starts, ends) = (micros(batch, columns.start), micros(batch, columns.end));
    let mut order: Vec<usize> = (0..batch.num_rows()).collect();
    order.sort_unstable_by(|a, b| {
        groups.row(*a).cmp(&groups.row(*b)).then_with(|| starts.value(*a).cmp(&starts.value(*b)))
    });
    let mut sessions: Vec<Session> = Vec::new();
    for row in order {
        let (start, end) = (starts.value(row), ends.value(row));
        match sessions.last_mut() {
            Some(last) if start <= last.end && groups.row(last.rows[0]) == groups.row(row) => {
                last.end = last.end.max(end);
                last.rows.push(row);
            }
            _ => sessions.push(Session { start, end, rows: vec![row] }),
        }
    }
    with_bounds(batch, columns, &sessions)
}

/// The first `merged` rows are sessions already. The others join them and each other in their order, but for what their
/// watermark had closed.
pub fn joined_to(
    batch: &RecordBatch,
    merged: usize,
    watermarks: &[i64],
    columns: SessionColumns,
) -> Result<RecordBatch, SqlError> {
    let groups = group_rows(batch, columns)?;
    let (starts, ends) = (micros(batch, columns.start), micros(batch, columns.end));
    let mut by_group: HashMap<OwnedRow, Vec<Session>> = HashMap::new();
    for row in 0..batch.num_rows() {
        let watermark = row.checked_sub(merged).map(|new| watermarks[new]);
        let sessions = by_group.entry(groups.row(row).owned()).or_default();
        let mut session = Session { start: starts.value(row), end: ends.value(row), rows: vec![row] };
        let mut apart = Vec::with_capacity(sessions.len() + 1);
        for other in sessions.drain(..) {
            let touches = session.start <= other.end && other.start <= session.end;
            if touches && watermark.is_some_and(|watermark| other.end > watermark) {
                session.start = session.start.min(other.start);
                session.end = session.end.max(other.end);
                session.rows.extend(other.rows);
            } else {
                apart.push(other);
            }
        }
        apart.push(session);
        *sessions = apart;
    }
    let sessions: Vec<Session> = by_group.into_values().flatten().collect();
    with_bounds(batch, columns, &sessions)
}

/// Each state row with the least watermark of the rows that went into it, in the order of the watermarks.
pub fn with_first_watermarks(
    states: &RecordBatch,
    keys: usize,
    rows: &[(RecordBatch, ArrayRef)],
) -> Result<RecordBatch, SqlError> {
    let fields = (0..keys).map(|i| SortField::new(states.schema().field(i).data_type().clone())).collect();
    let converter = RowConverter::new(fields)?;
    let mut first: HashMap<OwnedRow, i64> = HashMap::new();
    for (batch, watermarks) in rows {
        let own = converter.convert_columns(&batch.columns()[..keys])?;
        let watermarks = watermarks.as_primitive::<TimestampMicrosecondType>();
        for row in 0..batch.num_rows() {
            let watermark = if watermarks.is_valid(row) { watermarks.value(row) } else { i64::MIN };
            let least = first.entry(own.row(row).owned()).or_insert(watermark);
            *least = (*least).min(watermark);
        }
    }
    let own = converter.convert_columns(&states.columns()[..keys])?;
    let marks: Vec<i64> =
        (0..states.num_rows()).map(|row| first.get(&own.row(row).owned()).copied().unwrap_or(i64::MIN)).collect();
    let mut columns = states.columns().to_vec();
    columns.push(Arc::new(TimestampMicrosecondArray::from(marks).with_timezone("UTC")));
    let marked = RecordBatch::try_new(watermarked(&states.schema()), columns)?;
    let order = arrow::compute::sort_to_indices(marked.column(marked.num_columns() - 1), None, None)?;
    Ok(arrow::compute::take_record_batch(&marked, &order)?)
}

/// A stored schema with the watermark behind it.
fn watermarked(schema: &SchemaRef) -> SchemaRef {
    let mut fields: Vec<Arc<Field>> = schema.fields().iter().cloned().collect();
    fields.push(Arc::new(Field::new(WATERMARK, crate::types::timestamp(), true)));
    Arc::new(Schema::new(fields))
}

fn with_bounds(batch: &RecordBatch, columns: SessionColumns, sessions: &[Session]) -> Result<RecordBatch, SqlError> {
    let (mut starts, mut ends) = (vec![0; batch.num_rows()], vec![0; batch.num_rows()]);
    for session in sessions {
        for row in &session.rows {
            starts[*row] = session.start;
            ends[*row] = session.end;
        }
    }
    let mut all = batch.columns().to_vec();
    all[columns.start] = Arc::new(TimestampMicrosecondArray::from(starts).with_timezone("UTC"));
    all[columns.end] = Arc::new(TimestampMicrosecondArray::from(ends).with_timezone("UTC"));
    Ok(RecordBatch::try_new(batch.schema(), all)?)
}

/// The key without the session: its columns stand before the session's.
fn group_rows(batch: &RecordBatch, columns: SessionColumns) -> Result<Rows, SqlError> {
    let width = columns.start.min(columns.end);
    let keys = &batch.columns()[..width];
    let converter = RowConverter::new(keys.iter().map(|key| SortField::new(key.data_type().clone())).collect())?;
    if width == 0 {
        let nothing: ArrayRef = arrow::array::new_null_array(&arrow::datatypes::DataType::Null, batch.num_rows());
        let converter = RowConverter::new(vec![SortField::new(arrow::datatypes::DataType::Null)])?;
        return Ok(converter.convert_columns(&[nothing])?);
    }
    Ok(converter.convert_columns(keys)?)
}

fn micros(batch: &RecordBatch, column: usize) -> &TimestampMicrosecondArray {
    batch.column(column).as_primitive::<TimestampMicrosecondType>()
}
