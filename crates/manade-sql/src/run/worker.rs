//! A chunk of events to rows or partial states.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, RecordBatchOptions, new_null_array,
};
use arrow::compute::{cast, filter_record_batch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimestampMicrosecondType, UInt32Type};

use super::{Runnable, entries, guarded, one, released, sessions, shaped, sliced};
use crate::bind::{KeyRole, WindowShape};
use crate::error::SqlError;
use crate::plan::{Aggregation, EntryPlan, INPUT, Parts, Slot, carried, table_slot};
use crate::query::TableSet;
use crate::{ROW, SEQUENCE, WATERMARK};

/// Runs a query's stateless part and aggregates the chunk.
pub struct Worker {
    parts: Arc<Parts>,
    input: Slot,
    tables: HashMap<String, Slot>,
    version: Option<TableSet>,
    below: Runnable,
    below_late: Option<Runnable>,
    /// One for the main table, one for each entry table (none for lists).
    partials: Vec<Option<(Slot, Runnable)>>,
}

/// What one chunk came to.
#[derive(Debug, Default)]
pub struct StageOutput {
    /// Without an aggregate: visible columns.
    pub rows: Vec<RecordBatch>,
    /// With one: partial states of the main table, then of each entry table, in their stored schemas. After a chunk with
    /// late events, states of session windows are one row an event and carry [`WATERMARK`] behind the stored columns:
    /// give them to the merger as they are, in source order.
    pub groups: Vec<RecordBatch>,
    /// Rows that reached the aggregate or the sink.
    pub selected: u64,
    /// [`ROW`] of each row whose window the watermark had closed.
    pub late: Vec<u32>,
}

impl Worker {
    pub(super) fn new(parts: &Arc<Parts>) -> Result<Self, SqlError> {
        let input = Slot::default();
        let mut tables: HashMap<String, Slot> = HashMap::new();
        for name in &parts.tables {
            tables.insert(name.clone(), Slot::default());
        }
        let find = |name: &str| {
            if name == INPUT {
                return Some(input.clone());
            }
            tables.iter().find(|(table, _)| table_slot(table) == name).map(|(_, slot)| slot.clone())
        };
        let below = Runnable::new(&parts.below, &parts.context, find)?;
        let below_late = match &parts.below_late {
            Some(plan) => Some(Runnable::new(plan, &parts.context, find)?),
            None => None,
        };
        let mut partials = Vec::new();
        if let Some(aggregation) = &parts.aggregation {
            let plans = std::iter::once(Some(&aggregation.main))
                .chain(aggregation.entries.iter().map(|entry| entry.plans.as_ref()));
            for plans in plans {
                let slot = Slot::default();
                partials.push(match plans {
                    Some(plans) => Some((slot.clone(), Runnable::over(&plans.partial, &parts.context, &slot)?)),
                    None => None,
                });
            }
        }
        Ok(Self { parts: Arc::clone(parts), input, tables, version: None, below, below_late, partials })
    }

    /// `events` has the columns of [`crate::Query::input_schema`], found by name, and [`SEQUENCE`] where the query
    /// wants it. `late` must be set where any event is not after its watermark; then [`WATERMARK`] and [`ROW`] are
    /// there too. On an error nothing of the chunk was used.
    pub fn run(&mut self, events: &RecordBatch, tables: &TableSet, late: bool) -> Result<StageOutput, SqlError> {
        guarded(|| self.run_here(events, tables, late))
    }

    fn run_here(&mut self, events: &RecordBatch, tables: &TableSet, late: bool) -> Result<StageOutput, SqlError> {
        if !self.version.as_ref().is_some_and(|version| version.same(tables)) {
            for (name, slot) in &self.tables {
                slot.put(tables.get(name).to_vec());
            }
            self.version = Some(tables.clone());
        }
        let late = late && self.below_late.is_some();
        let input = input(&self.parts, events, late)?;
        self.input.put(sliced(&input));
        let rows = match &mut self.below_late {
            Some(below) if late => below.run(),
            _ => self.below.run(),
        };
        self.input.put(Vec::new());
        let rows = rows?;
        let parts = Arc::clone(&self.parts);
        match &parts.aggregation {
            None => output_rows(&parts.visible, rows),
            Some(aggregation) => self.aggregate(aggregation, rows, late),
        }
    }

    fn aggregate(
        &mut self,
        aggregation: &Aggregation,
        rows: Vec<RecordBatch>,
        late: bool,
    ) -> Result<StageOutput, SqlError> {
        let mut output = StageOutput::default();
        let mut kept = Vec::with_capacity(rows.len());
        for batch in rows {
            let batch = if late { without_late(aggregation, &batch, &mut output.late)? } else { batch };
            output.selected += batch.num_rows() as u64;
            kept.push(batch);
        }
        let sessions = aggregation.session();
        if late && sessions.is_some() {
            output.groups = self.by_event(aggregation, &kept)?;
            return Ok(output);
        }
        let mut rows = Vec::with_capacity(kept.len());
        for batch in &kept {
            rows.extend(expanded(aggregation, batch)?);
        }
        if let Some(columns) = sessions {
            let all = one(&aggregation.rows, &rows)?;
            rows = sliced(&sessions::joined(&all, columns)?);
        }
        output.groups = self.partial_states(aggregation, &rows)?;
        Ok(output)
    }

    /// States of one chunk's rows, table by table.
    fn partial_states(
        &mut self,
        aggregation: &Aggregation,
        rows: &[RecordBatch],
    ) -> Result<Vec<RecordBatch>, SqlError> {
        let mut tables = Vec::with_capacity(self.partials.len());
        let entries = std::iter::once(None).chain(aggregation.entries.iter().map(Some));
        for (entry, partial) in entries.zip(&mut self.partials) {
            let stored = entry.map_or(&aggregation.main.stored, |entry| &entry.stored);
            let input = match entry {
                None => rows.to_vec(),
                Some(entry) => countable(aggregation, entry, rows)?,
            };
            let states = match (partial, entry) {
                (Some((slot, plan)), _) => {
                    slot.put(input);
                    let states = plan.run();
                    slot.put(Vec::new());
                    states?
                }
                (None, Some(entry)) => entries::listed(aggregation, entry, &input)?,
                (None, None) => Vec::new(),
            };
            let mut table = Vec::with_capacity(states.len());
            for batch in states {
                table.push(shaped(stored, batch.columns().to_vec(), batch.num_rows())?);
            }
            tables.push(one(stored, &table)?);
        }
        Ok(tables)
    }

    /// States not yet joined to sessions, each with its watermark: the merger joins them in source order.
    /// Events of one key and time share a row: where the first of them joins a session, the others do.
    fn by_event(&mut self, aggregation: &Aggregation, rows: &[RecordBatch]) -> Result<Vec<RecordBatch>, SqlError> {
        let mut marked = Vec::with_capacity(rows.len());
        for batch in rows {
            for own in expanded(aggregation, batch)? {
                marked.push((own, column(batch, &carried(WATERMARK))?));
            }
        }
        let plain: Vec<RecordBatch> = marked.iter().map(|(own, _)| own.clone()).collect();
        let keys = aggregation.keys.len();
        let tables = self.partial_states(aggregation, &plain)?;
        tables.iter().map(|states| sessions::with_first_watermarks(states, keys, &marked)).collect()
    }
}

/// The input's columns in the order in which the plan reads them.
fn input(parts: &Parts, events: &RecordBatch, late: bool) -> Result<RecordBatch, SqlError> {
    let mut fields: Vec<Arc<Field>> = parts.input_schema.fields().iter().cloned().collect();
    if parts.sequence {
        fields.push(Arc::new(Field::new(SEQUENCE, DataType::UInt64, true)));
    }
    if late {
        fields.push(Arc::new(Field::new(WATERMARK, crate::types::timestamp(), true)));
        fields.push(Arc::new(Field::new(ROW, DataType::UInt32, true)));
    }
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(fields.len());
    for field in &fields {
        let column = column(events, field.name())?;
        columns.push(if column.data_type() == field.data_type() { column } else { cast(&column, field.data_type())? });
    }
    let options = RecordBatchOptions::new().with_row_count(Some(events.num_rows()));
    Ok(RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)?)
}

fn column(batch: &RecordBatch, name: &str) -> Result<ArrayRef, SqlError> {
    batch.column_by_name(name).cloned().ok_or_else(|| SqlError::Input(format!("there is no column `{name}`")))
}

fn output_rows(visible: &SchemaRef, batches: Vec<RecordBatch>) -> Result<StageOutput, SqlError> {
    let mut output = StageOutput::default();
    for batch in batches {
        output.selected += batch.num_rows() as u64;
        let columns = batch.columns()[..visible.fields().len()].iter().cloned().map(released).collect();
        output.rows.push(shaped(visible, columns, batch.num_rows())?);
    }
    Ok(output)
}

/// Leaves out rows whose window ended at or before their watermark, and reports their numbers.
fn without_late(aggregation: &Aggregation, batch: &RecordBatch, late: &mut Vec<u32>) -> Result<RecordBatch, SqlError> {
    let (role, length) = match aggregation.window {
        Some(WindowShape::Fixed { size, .. }) => (KeyRole::WindowStart, size),
        Some(WindowShape::Session { .. }) => (KeyRole::SessionEnd, 0),
        None => return Ok(batch.clone()),
    };
    let Some(key) = aggregation.keys.iter().find(|key| key.role == role) else { return Ok(batch.clone()) };
    let ends = column(batch, &key.name)?;
    let (ends, marks) = (ends.as_primitive::<TimestampMicrosecondType>(), column(batch, &carried(WATERMARK))?);
    let marks = marks.as_primitive::<TimestampMicrosecondType>();
    let numbers = column(batch, &carried(ROW))?;
    let numbers = numbers.as_primitive::<UInt32Type>();
    let open: BooleanArray = (0..batch.num_rows())
        .map(|row| {
            let closed = ends.is_valid(row) && marks.is_valid(row) && ends.value(row) + length <= marks.value(row);
            Some(!closed)
        })
        .collect();
    if open.true_count() == batch.num_rows() {
        return Ok(batch.clone());
    }
    late.extend(open.values().iter().zip(numbers.values()).filter(|(open, _)| !open).map(|(_, row)| *row));
    Ok(filter_record_batch(batch, &open)?)
}

/// The aggregate's rows: once for each grouping set, with the columns that it leaves out null and its id.
fn expanded(aggregation: &Aggregation, batch: &RecordBatch) -> Result<Vec<RecordBatch>, SqlError> {
    let rows = batch.num_rows();
    let id_key = aggregation.key_with(KeyRole::GroupingId);
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(aggregation.rows.fields().len());
    for (i, field) in aggregation.rows.fields().iter().enumerate() {
        let own =
            if Some(i) == id_key { new_null_array(field.data_type(), rows) } else { column(batch, field.name())? };
        columns.push(own);
    }
    let (Some(sets), Some(id_key)) = (&aggregation.sets, id_key) else {
        return Ok(vec![shaped(&aggregation.rows, columns, rows)?]);
    };
    let mut all = Vec::with_capacity(sets.len());
    for set in sets {
        let mut own = columns.clone();
        let mut id = 0_i64;
        for (i, kept) in set.iter().enumerate() {
            id = id << 1 | i64::from(!kept);
            if !kept {
                own[i] = new_null_array(own[i].data_type(), rows);
            }
        }
        own[id_key] = Arc::new(Int64Array::from(vec![id; rows]));
        all.push(shaped(&aggregation.rows, own, rows)?);
    }
    Ok(all)
}

/// Rows with a value. Sessions keep the others too: their entries must span what the sessions span.
fn countable(aggregation: &Aggregation, entry: &EntryPlan, rows: &[RecordBatch]) -> Result<Vec<RecordBatch>, SqlError> {
    if aggregation.session().is_some() {
        return Ok(rows.to_vec());
    }
    let mut all = Vec::with_capacity(rows.len());
    for batch in rows {
        let mut nulls = None;
        for value in &entry.values {
            nulls = arrow::buffer::NullBuffer::union(nulls.as_ref(), batch.column(*value).logical_nulls().as_ref());
        }
        all.push(match nulls {
            Some(nulls) => filter_record_batch(batch, &BooleanArray::new(nulls.into_inner(), None))?,
            None => batch.clone(),
        });
    }
    Ok(all)
}
