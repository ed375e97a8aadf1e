//! Events to Arrow columns.
//!
//! Where this differs from Spark's JSON reader, on purpose: JSON is strict; a number for a timestamp needs an epoch
//! format (Spark takes seconds); a time of day alone is no timestamp (Spark adds today's date); 128 to 255 do not fit a
//! tinyint (Spark wraps them); of duplicate keys only the last is looked at (Spark finds fault with the others too).
//! As in Spark, keys match the schema's names with regard to case, CSV headers without.

mod column;
mod convert;
mod csv;
mod fast;
mod keys;
mod number;
mod rows;
mod shape;
mod slow;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use arrow_schema::{Schema, SchemaRef};
use manade_model::{CsvOptions, EventSchema, SparkType};
use thiserror::Error;

use crate::chunk::{Chunk, Decoded};
use crate::datetime::PatternError;
use crate::schema::{META_COLUMN, meta_field};
use shape::{Leaf, Members, Reads, Shape};

pub use csv::column_name;
pub(crate) use csv::{cells as csv_cells, wrong_width};
pub(crate) use slow::describe;

#[derive(Debug, Clone, PartialEq)]
pub struct DecoderOptions {
    pub format: Format,
    /// The path of the event time's column; `None`: a chunk's arrival.
    pub time: Option<Vec<String>>,
    /// Take numbers, booleans and timestamps that are written as strings too.
    pub coerce: bool,
    /// Bytes; a longer event is dead.
    pub max_event: u64,
    /// Append the column `_meta`, where it is read.
    pub meta: bool,
}

/// How a chunk's records are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Format {
    /// NDJSON: an object a line.
    Lines,
    /// Records of `Chunk::header`'s columns.
    Csv(CsvOptions),
    /// Elements of a JSON document, cut by a [`Framer`](crate::Framer).
    Elements,
}

#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DecoderError {
    #[error("there is no column `{path}`")]
    UnknownColumn { path: String },
    #[error("the event time `{path}` is neither a timestamp nor a date")]
    NotATime { path: String },
    #[error("column `{path}`: CSV cannot hold the type {spark_type}")]
    NestedInCsv { path: String, spark_type: String },
    #[error("column `{path}`: map keys are strings in JSON")]
    MapKey { path: String },
    #[error("column `{path}`")]
    Pattern { path: String, source: PatternError },
}

/// Reads the records of chunks. `Send + Sync`; made once, shared by all workers.
#[derive(Debug)]
pub struct Decoder {
    schema: SchemaRef,
    members: Arc<Members>,
    options: DecoderOptions,
    /// The event time's place among the members, level by level.
    time: Option<Vec<usize>>,
    /// Whether `_meta` is read.
    meta: bool,
    /// CSV without a header: all columns of the schema.
    order: Arc<[String]>,
}

impl Decoder {
    /// `reads`: the paths that SQL needs; `None`: all.
    ///
    /// A path into a struct reads only that part of it; one into an array or a map reads all of it. What is not read
    /// must be JSON, but its type is not looked at.
    pub fn new(
        schema: &EventSchema,
        reads: Option<&[Vec<String>]>,
        options: DecoderOptions,
    ) -> Result<Self, DecoderError> {
        if let Format::Csv(_) = options.format {
            check_flat(schema)?;
        }
        let lower = |path: &Vec<String>| path.iter().map(|name| name.to_lowercase()).collect::<Vec<_>>();
        let is_meta = |path: &Vec<String>| options.meta && path.first().is_some_and(|name| name == META_COLUMN);
        let time = options.time.as_ref().map(lower);
        let paths: Option<Vec<Vec<String>>> = reads.map(|paths| paths.iter().map(lower).collect());
        for path in paths.iter().flatten().chain(&time) {
            check_path(schema, path, is_meta(path))?;
        }
        let wanted = Reads {
            paths: paths.as_ref().map(|paths| paths.iter().map(Vec::as_slice).collect()),
            time: time.as_deref(),
        };
        let members = Arc::new(shape::members(&schema.fields, &wanted, "")?);
        let time = time.map(|path| time_place(&members, &path)).transpose()?;
        let meta = options.meta && paths.as_ref().is_none_or(|paths| paths.iter().any(is_meta));
        let mut fields: Vec<_> = members.fields().iter().cloned().collect();
        fields.extend(meta.then(|| Arc::new(meta_field())));
        let order = schema.fields.iter().map(|field| field.name.clone()).collect();
        Ok(Self { schema: Arc::new(Schema::new(fields)), members, options, time, meta, order })
    }

    /// Of `Decoded::batch`: the read columns only, structs pruned to the read fields, in the schema's order and under
    /// its names.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Never fails: what cannot be read is among the dead.
    pub fn decode(&self, chunk: &Chunk) -> Decoded {
        rows::decode(self, chunk, true)
    }
}

fn check_path(schema: &EventSchema, path: &[String], meta: bool) -> Result<(), DecoderError> {
    let mut fields = schema.fields.as_slice();
    for (index, name) in path.iter().enumerate() {
        let Some(field) = fields.iter().find(|field| field.name.to_lowercase() == *name) else {
            return if meta { Ok(()) } else { Err(DecoderError::UnknownColumn { path: path[..=index].join(".") }) };
        };
        let SparkType::Struct(below) = &field.data_type else { return Ok(()) };
        fields = below;
    }
    Ok(())
}

fn check_flat(schema: &EventSchema) -> Result<(), DecoderError> {
    for field in &schema.fields {
        let spark_type = match &field.data_type {
            SparkType::Array(_) => "array",
            SparkType::Map(..) => "map",
            SparkType::Struct(_) => "struct",
            _ => continue,
        };
        return Err(DecoderError::NestedInCsv { path: field.name.clone(), spark_type: spark_type.to_owned() });
    }
    Ok(())
}

fn time_place(members: &Members, path: &[String]) -> Result<Vec<usize>, DecoderError> {
    let not_a_time = || DecoderError::NotATime { path: path.join(".") };
    let mut place = Vec::new();
    let mut members = members;
    for (index, name) in path.iter().enumerate() {
        let member = members.position(name).ok_or_else(not_a_time)?;
        place.push(member);
        match &members.list[member].shape {
            Shape::Struct(below) => members = below,
            Shape::Leaf(Leaf::Timestamp(_) | Leaf::TimestampNtz(_) | Leaf::Date(_)) if index + 1 == path.len() => {
                return Ok(place);
            }
            _ => break,
        }
    }
    Err(not_a_time())
}
