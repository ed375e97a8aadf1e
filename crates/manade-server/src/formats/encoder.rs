//! Rows to bytes, a batch at a time.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::writer::StreamWriter;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use super::Format;
use crate::values;

/// Bytes of a Parquet row group while it is written, and rows at most.
const ROW_GROUP_BYTES: usize = 32 << 20;
const ROW_GROUP_ROWS: usize = 1 << 20;

#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    #[error("cannot write arrow")]
    Arrow(#[from] ArrowError),
    #[error("cannot write parquet")]
    Parquet(#[from] ParquetError),
}

/// Writes batches of one schema; bytes are handed out as they come.
pub struct Encoder {
    names: Vec<Vec<u8>>,
    /// Of what is written: portable types.
    schema: SchemaRef,
    rows: u64,
    kind: Kind,
}

enum Kind {
    Json { strip_nulls: bool },
    Object { strip_nulls: bool },
    Ndjson,
    Csv,
    Arrow(Box<StreamWriter<Vec<u8>>>),
    Parquet(Box<ArrowWriter<Vec<u8>>>),
}

impl Encoder {
    /// `fields`: names and types of the rows' columns.
    pub fn new(format: Format, fields: &[(String, DataType)]) -> Result<Self, EncodeError> {
        let portable = fields.iter().map(|(name, data_type)| Field::new(name, portable(data_type), true));
        let schema = Arc::new(Schema::new(portable.collect::<Vec<_>>()));
        let kind = match format {
            Format::Json { strip_nulls } => Kind::Json { strip_nulls },
            Format::Object { strip_nulls } => Kind::Object { strip_nulls },
            Format::Ndjson => Kind::Ndjson,
            Format::Csv => Kind::Csv,
            Format::Arrow => Kind::Arrow(Box::new(StreamWriter::try_new(Vec::new(), &schema)?)),
            Format::Parquet => {
                let properties = WriterProperties::builder()
                    .set_compression(Compression::ZSTD(ZstdLevel::default()))
                    .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
                    .build();
                Kind::Parquet(Box::new(ArrowWriter::try_new(Vec::new(), Arc::clone(&schema), Some(properties))?))
            }
        };
        let names = fields.iter().map(|(name, _)| {
            let mut out = Vec::new();
            values::write_string(name, &mut out);
            out.push(b':');
            out
        });
        Ok(Self { names: names.collect(), schema, rows: 0, kind })
    }

    /// Rows written.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// What stands before the first row.
    pub fn begin(&mut self, out: &mut Vec<u8>) {
        match &mut self.kind {
            Kind::Json { .. } => out.push(b'['),
            Kind::Csv => {
                for (i, field) in self.schema.fields().iter().enumerate() {
                    if i > 0 {
                        out.push(b',');
                    }
                    cell(field.name().as_bytes(), out);
                }
                out.push(b'\n');
            }
            Kind::Arrow(writer) => out.append(writer.get_mut()),
            Kind::Object { .. } | Kind::Ndjson | Kind::Parquet(_) => {}
        }
    }

    pub fn write(&mut self, columns: &[ArrayRef], rows: usize, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        match &mut self.kind {
            Kind::Json { strip_nulls } => {
                for row in 0..rows {
                    out.extend_from_slice(if self.rows + row as u64 == 0 { b"" } else { b",\n" });
                    object(&self.names, columns, row, *strip_nulls, out);
                }
            }
            Kind::Object { strip_nulls } => {
                // Only one row is an answer; the caller refuses others by their number.
                if self.rows == 0 && rows > 0 {
                    object(&self.names, columns, 0, *strip_nulls, out);
                }
            }
            Kind::Ndjson => {
                for row in 0..rows {
                    object(&self.names, columns, row, false, out);
                    out.push(b'\n');
                }
            }
            Kind::Csv => csv(columns, rows, out),
            Kind::Arrow(writer) => {
                writer.write(&converted(&self.schema, columns, rows)?)?;
                out.append(writer.get_mut());
            }
            Kind::Parquet(writer) => {
                writer.write(&converted(&self.schema, columns, rows)?)?;
                if writer.in_progress_size() > ROW_GROUP_BYTES || writer.memory_size() > 2 * ROW_GROUP_BYTES {
                    writer.flush()?;
                }
                out.append(writer.inner_mut());
            }
        }
        self.rows += rows as u64;
        Ok(())
    }

    /// What stands behind the last row.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        match &mut self.kind {
            Kind::Json { .. } => out.push(b']'),
            Kind::Arrow(writer) => {
                writer.finish()?;
                out.append(writer.get_mut());
            }
            Kind::Parquet(writer) => {
                writer.finish()?;
                out.append(writer.inner_mut());
            }
            Kind::Object { .. } | Kind::Ndjson | Kind::Csv => {}
        }
        Ok(())
    }
}

/// One row as a JSON object. `names` are written with their quotes and colon.
pub fn object(names: &[Vec<u8>], columns: &[ArrayRef], row: usize, strip_nulls: bool, out: &mut Vec<u8>) {
    out.push(b'{');
    let mut first = true;
    for (name, column) in names.iter().zip(columns) {
        if strip_nulls && column.is_null(row) {
            continue;
        }
        if !first {
            out.push(b',');
        }
        first = false;
        out.extend_from_slice(name);
        values::write_json(column, row, out);
    }
    out.push(b'}');
}

fn csv(columns: &[ArrayRef], rows: usize, out: &mut Vec<u8>) {
    let mut text = Vec::new();
    for row in 0..rows {
        for (i, column) in columns.iter().enumerate() {
            if i > 0 {
                out.push(b',');
            }
            if column.is_null(row) {
                continue;
            }
            text.clear();
            values::write_text(column, row, &mut text);
            // An empty text is quoted, so that it is not a null.
            if text.is_empty() {
                out.extend_from_slice(b"\"\"");
            } else {
                cell(&text, out);
            }
        }
        out.push(b'\n');
    }
}

/// A cell by RFC 4180.
fn cell(text: &[u8], out: &mut Vec<u8>) {
    if !text.iter().any(|byte| matches!(byte, b',' | b'"' | b'\n' | b'\r')) {
        out.extend_from_slice(text);
        return;
    }
    out.push(b'"');
    for byte in text {
        if *byte == b'"' {
            out.push(b'"');
        }
        out.push(*byte);
    }
    out.push(b'"');
}

fn converted(schema: &SchemaRef, columns: &[ArrayRef], rows: usize) -> Result<RecordBatch, ArrowError> {
    let columns = columns.iter().zip(schema.fields()).map(|(column, field)| {
        if column.data_type() == field.data_type() { Ok(Arc::clone(column)) } else { cast(column, field.data_type()) }
    });
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
}

/// Text and binary in the layout that every reader of Arrow files knows.
fn portable(data_type: &DataType) -> DataType {
    let inner = |field: &FieldRef| Arc::new(Field::new(field.name(), portable(field.data_type()), field.is_nullable()));
    match data_type {
        DataType::Utf8View => DataType::Utf8,
        DataType::BinaryView => DataType::Binary,
        DataType::List(element) => DataType::List(inner(element)),
        DataType::LargeList(element) => DataType::LargeList(inner(element)),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(inner).collect()),
        DataType::Map(entries, sorted) => DataType::Map(inner(entries), *sorted),
        other => other.clone(),
    }
}
