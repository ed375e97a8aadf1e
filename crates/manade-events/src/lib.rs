//! Events: from bytes to Arrow columns.
//!
//! The way of an event: [`Framer`] cuts a growing byte stream into complete records; a [`Chunk`] of them goes to a
//! [`Decoder`], compiled from the event schema and the columns that SQL reads, which gives one `RecordBatch`, the event
//! times, and a [`DeadRecord`] for each record that cannot be read, with the field and the reason. [`infer`] finds a
//! schema where none is written, [`ingest`] checks what comes over HTTP before it is accepted, [`generate`] makes some up, and [`datetime`] holds
//! Spark's datetime patterns, which SQL uses too.
//!
//! Values are read as Spark's JSON and CSV readers read them in PERMISSIVE mode with UTC as the session's time zone;
//! what Spark would call a corrupt record is a dead record here. JSON is strict (RFC 8259) where Spark's is lenient.
//!
//! The decoder has two ways with one meaning: a fast one, straight from bytes to columns (`decoder::fast`), and for a
//! record with anything unusual (escapes, duplicate keys, errors) a complete one over a parsed tree (`decoder::slow`).

mod chunk;
pub mod datetime;
mod decoder;
mod framer;
pub mod generate;
mod infer;
pub mod ingest;
mod json;
mod scan;
mod schema;

pub use chunk::{Chunk, DeadRecord, DecodeStage, Decoded, RecordSpan};
pub use decoder::{Decoder, DecoderError, DecoderOptions, Format, column_name};
pub use framer::{Cut, FrameError, Framer, FramerState, Oversize};
pub use infer::{InferError, Inferred, infer};
pub use json::MAX_DEPTH;
pub use schema::{META_COLUMN, arrow_schema, arrow_type};

/// Bytes that are kept of an event that is too long.
pub const OVERSIZE_HEAD: usize = 64 * 1024;
