//! A compiled query: what it reads, what it makes, what it stores.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{AsArray, RecordBatch, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, SchemaRef, TimestampMicrosecondType};
use manade_model::Finding;

use crate::plan::Parts;

/// What a result's SQL may name.
#[derive(Debug, Clone)]
pub struct Catalog {
    /// Columns of `events`; no two have the same name in lower case.
    pub events: SchemaRef,
    /// Path of the event time; `None`: arrival time, which SQL cannot read.
    pub time: Option<Vec<String>>,
    pub tables: Vec<(String, SchemaRef)>,
    /// Results before this one.
    pub upstream: Vec<Upstream>,
    /// Names of the results behind it, which it cannot read.
    pub later: Vec<String>,
}

/// An earlier result, as something to read.
#[derive(Debug, Clone)]
pub struct Upstream {
    pub name: String,
    /// Its visible columns.
    pub schema: SchemaRef,
    /// [`Query::time`] of it.
    pub time: Option<Vec<String>>,
    /// Rows are only added (no aggregate, or `emit: final`): only such results can be read.
    pub append: bool,
    /// Its SQL where it has no aggregate: to read it is to read what it reads, at the same moment and as late.
    pub sql: Option<String>,
}

/// One result's SQL, compiled. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Query {
    pub columns: Vec<OutputColumn>,
    /// Paths of the input that are read, in lower case, none the beginning of another.
    pub reads: Vec<Vec<String>>,
    /// Columns that the worker takes, in this order: the input's, pruned to `reads`.
    pub input_schema: SchemaRef,
    pub input: Input,
    /// Earlier results without an aggregate, whose SQL is a part of this one's.
    pub inlined: Vec<String>,
    /// Tables that are joined.
    pub tables: Vec<String>,
    /// What the author should know; never errors.
    pub notes: Vec<Finding>,
    pub stage: Stage,
    /// Stored state fits exactly where this text is the same.
    pub fingerprint: String,
    /// Visible names of the group key's columns; empty where the query does not select all of them.
    pub key: Vec<String>,
    /// Visible columns that show a part of the group's key as it is, by their number.
    pub key_parts: Vec<(usize, KeyPart)>,
    /// Path in the visible columns that is each row's event time for a result that reads this one: the event time
    /// itself, or the window's end.
    pub time: Option<Vec<String>>,
    /// The worker needs the column [`crate::SEQUENCE`].
    pub sequence: bool,
    pub(crate) parts: Arc<Parts>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputColumn {
    /// As the query writes it, or as Spark names it.
    pub name: String,
    pub data_type: DataType,
    pub nullable: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    Events,
    /// An earlier result.
    Result(String),
}

#[derive(Debug, Clone, PartialEq)]
pub enum Stage {
    /// Without an aggregate: the worker's rows are the result's.
    Rows,
    Groups(Groups),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Groups {
    pub window: Option<Window>,
    /// One row a group.
    pub main: StateTable,
    /// One row a group and value, for aggregates that need their values one by one.
    pub entries: Vec<StateTable>,
    pub top: Option<TopN>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    /// A new one begins every `slide`, the first `offset` after the epoch.
    Fixed {
        size: Duration,
        slide: Duration,
        offset: Duration,
    },
    Session {
        gap: Duration,
    },
}

impl Window {
    /// The end of the last one that holds this time, microseconds since the epoch.
    pub fn last_end(&self, time: i64) -> i64 {
        let micros = |duration: &Duration| i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        match self {
            Self::Fixed { size, slide, offset } => {
                time - (time - micros(offset)).rem_euclid(micros(slide)) + micros(size)
            }
            Self::Session { gap } => time + micros(gap),
        }
    }
}

/// What of a group's key a visible column shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyPart {
    /// A key column of the main table.
    Column(usize),
    /// The window, a struct of its start and end.
    Window,
    WindowEnd,
}

/// Key columns first, then accumulator states.
#[derive(Debug, Clone, PartialEq)]
pub struct StateTable {
    pub schema: SchemaRef,
    /// Leading columns that identify a row.
    pub key_columns: usize,
    /// Leading columns that identify its group: `key_columns` in the main table, fewer in an entry table.
    pub group_columns: usize,
    /// Key column (µs, UTC) with the window's start; its end is `window_length` later.
    pub window_start: Option<usize>,
    /// Microseconds.
    pub window_length: i64,
    pub session: Option<SessionColumns>,
    /// Only so many values a group are kept: stored rows are looked up by group, and every row found is given to the
    /// merger and replaced.
    pub limited: bool,
}

/// Sessions grow and melt together, so a stored row is looked up by its group without these two columns; every row
/// found is given to the merger and replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionColumns {
    /// Key column with the time of the first event.
    pub start: usize,
    /// Key column with the time of the last event and the gap: the window's end.
    pub end: usize,
}

/// The collection is the first rows of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TopN {
    pub limit: usize,
    pub offset: usize,
}

/// One version of the tables that queries join. Cheap to clone; a clone counts as the same version.
#[derive(Debug, Clone, Default)]
pub struct TableSet(Arc<HashMap<String, Vec<RecordBatch>>>);

impl StateTable {
    /// Key columns by which stored rows of the same group (main) or entry are found.
    pub fn lookup_columns(&self) -> Vec<usize> {
        let columns = if self.limited { self.group_columns } else { self.key_columns };
        let columns = if self.session.is_some() { self.group_columns } else { columns };
        (0..columns).filter(|column| !self.is_session(*column)).collect()
    }

    /// The end of each row's window (µs, UTC): the row is final when the watermark reaches it. Null where the window was
    /// left out of the row's grouping set.
    pub fn window_ends(&self, rows: &RecordBatch) -> Option<TimestampMicrosecondArray> {
        if let Some(session) = self.session {
            return Some(rows.column(session.end).as_primitive::<TimestampMicrosecondType>().clone());
        }
        let starts = rows.column(self.window_start?).as_primitive::<TimestampMicrosecondType>();
        let length = self.window_length;
        Some(starts.unary::<_, TimestampMicrosecondType>(|start| start + length).with_timezone("UTC"))
    }

    fn is_session(&self, column: usize) -> bool {
        self.session.is_some_and(|session| session.start == column || session.end == column)
    }
}

impl TableSet {
    pub fn new(tables: impl IntoIterator<Item = (String, Vec<RecordBatch>)>) -> Self {
        Self(Arc::new(tables.into_iter().collect()))
    }

    /// Rows of a table; none where it is unknown.
    pub fn get(&self, name: &str) -> &[RecordBatch] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }

    /// Whether both are one version.
    pub fn same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}
