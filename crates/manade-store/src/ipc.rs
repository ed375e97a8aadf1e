//! Batches and schemas as bytes: Arrow IPC messages.
//!
//! A batch is stored as its IPC body (buffers aligned to 64 bytes), padded to 64, then its metadata message, then the
//! body's length (u64, little-endian). The schema is kept elsewhere.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, ListArray, MapArray, RecordBatch, RecordBatchOptions, StructArray};
use arrow_buffer::Buffer;
use arrow_ipc::reader::RecordBatchDecoder;
use arrow_ipc::writer::{DictionaryTracker, IpcDataGenerator, IpcWriteContext, IpcWriteOptions};
use arrow_ipc::{CompressionType, convert, root_as_message};
use arrow_schema::{ArrowError, DataType, Schema, SchemaRef};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Buffers can be used in place.
    None,
    Lz4,
}

pub fn encode(batch: &RecordBatch, compression: Compression) -> Result<Vec<u8>, ArrowError> {
    let compression = match compression {
        Compression::None => None,
        Compression::Lz4 => Some(CompressionType::LZ4_FRAME),
    };
    let options = IpcWriteOptions::default().try_with_compression(compression)?;
    let mut tracker = DictionaryTracker::new(false);
    let (dictionaries, data) = IpcDataGenerator::default().encode(
        &compact(batch)?,
        &mut tracker,
        &options,
        &mut IpcWriteContext::default(),
    )?;
    if !dictionaries.is_empty() {
        return Err(ArrowError::NotYetImplemented("dictionary columns are not stored".into()));
    }
    let mut bytes = data.arrow_data;
    let body = bytes.len() as u64;
    bytes.reserve(64 + data.ipc_message.len() + 8);
    bytes.resize(bytes.len().next_multiple_of(64), 0);
    bytes.extend_from_slice(&data.ipc_message);
    bytes.extend_from_slice(&body.to_le_bytes());
    Ok(bytes)
}

/// The batch's arrays share `bytes` where these are not compressed.
pub fn decode(bytes: &Buffer, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let fault = || ArrowError::IpcError("the batch's length does not fit".into());
    let trailer = bytes.len().checked_sub(8).ok_or_else(fault)?;
    let body = u64::from_le_bytes(bytes[trailer..].try_into().map_err(|_| fault())?) as usize;
    let message = body.checked_next_multiple_of(64).filter(|at| *at <= trailer).ok_or_else(fault)?;
    let message = root_as_message(&bytes[message..trailer]).map_err(|error| ArrowError::IpcError(error.to_string()))?;
    let batch = message.header_as_record_batch().ok_or_else(fault)?;
    let body = bytes.slice_with_length(0, body);
    let version = message.version();
    RecordBatchDecoder::try_new(&body, batch, Arc::clone(schema), &HashMap::new(), &version)?.read_record_batch()
}

/// The schema as an IPC message in hexadecimal.
pub fn schema_text(schema: &Schema) -> String {
    let mut tracker = DictionaryTracker::new(false);
    let options = IpcWriteOptions::default();
    let data = IpcDataGenerator::default().schema_to_bytes_with_dictionary_tracker(schema, &mut tracker, &options);
    data.ipc_message
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|half| char::from(b"0123456789abcdef"[usize::from(half)]))
        .collect()
}

pub fn parse_schema(text: &str) -> Result<SchemaRef, ArrowError> {
    let fault = || ArrowError::IpcError("the schema is not hexadecimal".into());
    let digits: Option<Vec<u8>> = text.chars().map(|digit| digit.to_digit(16).map(|digit| digit as u8)).collect();
    let digits = digits.filter(|digits| digits.len().is_multiple_of(2)).ok_or_else(fault)?;
    let bytes: Vec<u8> = digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect();
    Ok(Arc::new(convert::try_schema_from_flatbuffer_bytes(&bytes)?))
}

/// Leaves out bytes that views of a slice do not point to: IPC would write them.
fn compact(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let columns = batch.columns().iter().map(compact_array).collect::<Result<_, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(batch.schema(), columns, &options)
}

fn compact_array(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    Ok(match array.data_type() {
        DataType::Utf8View => Arc::new(array.as_string_view().gc()),
        DataType::BinaryView => Arc::new(array.as_binary_view().gc()),
        DataType::Struct(fields) => {
            let array = array.as_struct();
            let columns = array.columns().iter().map(compact_array).collect::<Result<_, _>>()?;
            let nulls = array.nulls().cloned();
            Arc::new(StructArray::try_new_with_length(fields.clone(), columns, nulls, array.len())?)
        }
        DataType::List(field) if has_views(field.data_type()) => {
            let array = array.as_list::<i32>();
            let (offsets, values) = used(array.offsets(), array.values());
            Arc::new(ListArray::try_new(Arc::clone(field), offsets, compact_array(&values)?, array.nulls().cloned())?)
        }
        DataType::Map(field, sorted) if has_views(field.data_type()) => {
            let array = array.as_map();
            let entries: ArrayRef = Arc::new(array.entries().clone());
            let (offsets, entries) = used(array.offsets(), &entries);
            let entries = compact_array(&entries)?.as_struct().clone();
            Arc::new(MapArray::try_new(Arc::clone(field), offsets, entries, array.nulls().cloned(), *sorted)?)
        }
        _ => Arc::clone(array),
    })
}

fn used(offsets: &arrow_buffer::OffsetBuffer<i32>, values: &ArrayRef) -> (arrow_buffer::OffsetBuffer<i32>, ArrayRef) {
    let first = offsets[0];
    let last = offsets[offsets.len() - 1];
    let values = values.slice(first as usize, (last - first) as usize);
    let moved = offsets.iter().map(|offset| offset - first).collect::<Vec<_>>();
    (arrow_buffer::OffsetBuffer::new(moved.into()), values)
}

fn has_views(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8View | DataType::BinaryView => true,
        DataType::Struct(fields) => fields.iter().any(|field| has_views(field.data_type())),
        DataType::List(field) | DataType::Map(field, _) => has_views(field.data_type()),
        _ => false,
    }
}
