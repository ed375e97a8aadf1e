//! Append tables: numbered rows in compressed chunks on disk.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, UInt64Array};
use arrow_schema::{DataType, Field, Schema, SchemaRef};

use crate::ID_COLUMN;
use crate::error::ReadError;
use crate::ipc;
use crate::log::Place;
use crate::rope::Rope;

/// One version of an append table.
#[derive(Debug, Clone)]
pub struct RowTable {
    pub id: u32,
    pub schema: SchemaRef,
    /// The oldest row that is kept, and the next one's id.
    pub ids: Range<u64>,
    pub chunks: Rope<RowChunk>,
}

#[derive(Debug, Clone)]
pub struct RowChunk {
    pub place: Place,
    pub first: u64,
    pub rows: u32,
    pub commit: u64,
}

impl RowTable {
    pub fn new(id: u32, schema: SchemaRef) -> Self {
        Self { id, schema, ids: 0..0, chunks: Rope::default() }
    }

    /// Chunks with rows from `row` on.
    pub fn chunks_from(&self, row: u64) -> Vec<RowChunk> {
        self.chunks.iter_from(|chunk| chunk.first + u64::from(chunk.rows) <= row)
    }

    /// Chunks of later commits.
    pub fn chunks_since(&self, commit: u64) -> Vec<RowChunk> {
        self.chunks.iter_from(|chunk| chunk.commit <= commit)
    }
}

impl RowChunk {
    /// Its rows from row `from` on, and their ids as last column.
    pub fn read(&self, schema: &SchemaRef, from: u64) -> Result<RecordBatch, ReadError> {
        let batch = ipc::decode(&self.place.read()?, schema)?;
        let skip = from.saturating_sub(self.first).min(u64::from(self.rows)) as usize;
        let ids: UInt64Array = (self.first..self.first + batch.num_rows() as u64).collect();
        let mut columns = batch.columns().to_vec();
        columns.push(Arc::new(ids) as ArrayRef);
        let batch = RecordBatch::try_new(with_id(schema), columns)?;
        Ok(batch.slice(skip, batch.num_rows() - skip))
    }
}

fn with_id(schema: &SchemaRef) -> SchemaRef {
    let id = Arc::new(Field::new(ID_COLUMN, DataType::UInt64, false));
    let fields: Vec<_> = schema.fields().iter().cloned().chain([id]).collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}
