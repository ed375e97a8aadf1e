//! Spark SQL over streams: from query text to incremental plans.
//!
//! [`compile`] turns one result's SQL into a [`Query`], or into findings that point into the text. A query is cut at its
//! aggregate. What stands below it (filters, projections, joins with tables, unnesting) needs no state: a [`Worker`]
//! runs it over a chunk of events and aggregates the chunk partially. A [`Merger`] brings partial states of the same
//! group together, in whatever portions they come. A [`RowReader`] makes visible rows of merged states: the aggregates'
//! final values, HAVING and the projection. A query without an aggregate only has a worker, whose rows are the result.
//!
//! The way through the crate: `parse` (text to AST, Spark's lexical rules), `bind` (AST to typed expressions and plans;
//! every name is resolved here, so that every message has a position), `plan` (plans to executable parts), `run`
//! (worker, merger, row reader).
//!
//! Names are lower case inside. Input batches carry lower-case column and field names; output columns keep the case
//! that the query wrote. Hidden columns begin with two underscores: [`WATERMARK`], [`ROW`] and [`SEQUENCE`] come in with
//! the events, `__key0`, `__key1`, ... go out behind the visible columns.

mod bind;
mod error;
mod named;
mod parse;
mod plan;
mod query;
mod run;
mod strings;
mod types;

pub use bind::compile;
pub use error::SqlError;
pub use named::{Named, named};
pub use query::{
    Catalog, Groups, Input, KeyPart, OutputColumn, Query, SessionColumns, Stage, StateTable, TableSet, TopN, Upstream,
    Window,
};
pub use run::{Merger, RowReader, StageOutput, Worker};

/// Timestamp (µs, UTC), given with the events where some may be late: the watermark at each event.
pub const WATERMARK: &str = "__watermark";

/// `UInt32`, given together with [`WATERMARK`]: the event's number in its chunk, by which late ones are reported.
pub const ROW: &str = "__row";

/// `UInt64`, given with the events where [`Query::sequence`] is set: the event's number in its source, which makes the
/// order of collected lists independent of how the source was cut.
pub const SEQUENCE: &str = "__seq";
