//! The schemas of a table: columns may get wider types. Rows that were written before are widened as they are read.

use std::sync::Arc;

use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_cast::{CastOptions, can_cast_types, cast_with_options};
use arrow_schema::{ArrowError, FieldRef, Schema, SchemaRef};

use crate::ipc;

/// Each with the commit from which on rows are written with it, in order; there is one at least.
#[derive(Debug, Clone)]
pub struct Schemas {
    first: SchemaRef,
    wider: Vec<(u64, SchemaRef)>,
}

impl Schemas {
    pub fn new(first: SchemaRef) -> Self {
        Self { first, wider: Vec::new() }
    }

    /// As [`Schemas::texts`] gave them.
    pub fn parse(first: &str, wider: &[(u64, String)]) -> Result<Self, ArrowError> {
        let parse = |(commit, schema): &(u64, String)| Ok((*commit, ipc::parse_schema(schema)?));
        let wider = wider.iter().map(parse).collect::<Result<_, ArrowError>>()?;
        Ok(Self { first: ipc::parse_schema(first)?, wider })
    }

    pub fn texts(&self) -> (String, Vec<(u64, String)>) {
        let wider = self.wider.iter().map(|(commit, schema)| (*commit, ipc::schema_text(schema)));
        (ipc::schema_text(&self.first), wider.collect())
    }

    pub fn now(&self) -> &SchemaRef {
        self.wider.last().map_or(&self.first, |(_, schema)| schema)
    }

    /// What rows were written with in a commit.
    pub fn at(&self, commit: u64) -> &SchemaRef {
        let known = self.wider.iter().rev().find(|(from, _)| *from <= commit);
        known.map_or(&self.first, |(_, schema)| schema)
    }

    pub fn widen(&mut self, commit: u64, schema: SchemaRef) {
        self.wider.push((commit, schema));
    }
}

/// Whether a table's rows can be read with another schema: its columns by position, each of a type that can be cast.
pub fn can_widen(from: &Schema, to: &Schema) -> bool {
    let (from, to) = (from.fields(), to.fields());
    let fits = |(from, to): (&FieldRef, &FieldRef)| {
        from.data_type() == to.data_type() || can_cast_types(from.data_type(), to.data_type())
    };
    from.len() == to.len() && from.iter().zip(to).all(fits)
}

/// The rows with the types of another schema; a value that does not fit is an error.
pub fn widened(batch: RecordBatch, to: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    if batch.schema_ref() == to {
        return Ok(batch);
    }
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    let columns = batch.columns().iter().zip(to.fields()).map(|(column, field)| match field.data_type() {
        same if column.data_type() == same => Ok(Arc::clone(column)),
        wider => cast_with_options(column, wider, &strict),
    });
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(to), columns.collect::<Result<_, _>>()?, &options)
}

#[cfg(test)]
mod tests;
