//! Names and types: from syntax to logical plans below and above the aggregate.

mod aggregate;
mod arith;
mod compile;
mod expr;
mod fingerprint;
mod from;
mod function;
mod generate;
mod group;
mod interval;
mod lambda;
mod literal;
mod name;
mod query;
mod scope;
mod select;
mod window;

use std::collections::{BTreeSet, HashMap};

use arrow::datatypes::{DataType, SchemaRef};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::sqlparser::ast::Query as SqlQuery;
use datafusion::logical_expr::sqlparser::tokenizer::Location;

pub use aggregate::{AggregateCall, EntryKind};
pub use compile::{STACK, compile};
pub use group::{Grouping, KeyColumn, KeyRole, group_column};
pub use query::{Bound, Order};
pub use window::WindowShape;

use crate::query::{Catalog, Input};
use aggregate::is_aggregate_name;
use scope::Typed;

/// Something wrong with the query, at a place in its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub at: Location,
    pub message: String,
    pub hint: Option<String>,
}

/// The reason is among the binder's problems.
#[derive(Debug, Clone, Copy)]
pub struct Refused;

pub type Bind<T> = Result<T, Refused>;

/// Resolves one query against a catalog. Goes on after a mistake where it can, so that all are told at once.
pub struct Binder<'a> {
    catalog: &'a Catalog,
    /// Columns of the input as they come in: all of them, or what an earlier pass found to be read.
    input_schema: Option<SchemaRef>,
    state: &'a SessionState,
    /// Hidden columns that come with the input, and go as far as the aggregate.
    carried: Vec<(&'static str, DataType)>,
    problems: Vec<Problem>,
    reads: BTreeSet<Vec<String>>,
    tables: BTreeSet<String>,
    input: Option<Input>,
    /// Earlier results whose SQL was bound in place of their names.
    inlined: BTreeSet<String>,
    /// Path of the input's event time.
    time: Option<Vec<String>>,
    /// Of the SELECT that is bound, in order of appearance.
    aggregates: Vec<(AggregateCall, DataType)>,
    /// What the SELECT groups by.
    groups: Vec<Typed>,
    /// The window that the SELECT groups by, by the name under which it may be read.
    window: Option<(String, Typed)>,
    /// Where the query writes a window that an event does not have for itself: a sliding one, a session.
    overlapping: Option<(&'static str, Location)>,
    /// The query's one aggregation.
    grouping: Option<Grouping>,
    /// Common table expressions in sight, the innermost last.
    ctes: Vec<(String, SqlQuery)>,
    /// Of columns in plans: how the query wrote them.
    column_names: HashMap<String, String>,
    /// Where the first list stands that is not bounded by itself.
    list_at: Option<Location>,
    next: usize,
}

impl Problem {
    pub fn new(at: Location, message: impl Into<String>) -> Self {
        Self { at, message: message.into(), hint: None }
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Before the number of a column that has no name of its own.
const FRESH: &str = "__column_";

impl Binder<'_> {
    pub fn report(&mut self, at: Location, message: impl Into<String>, hint: Option<String>) {
        let problem = Problem { at, message: message.into(), hint };
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    pub fn refuse(&mut self, at: Location, message: impl Into<String>, hint: impl Into<String>) -> Refused {
        self.report(at, message, Some(hint.into()));
        Refused
    }

    pub fn refuse_plain(&mut self, at: Location, message: impl Into<String>) -> Refused {
        self.report(at, message, None);
        Refused
    }

    /// Sees to it that a refusal has a reason before binding goes on.
    pub fn surely(&mut self, _: Refused, at: Location) {
        if self.problems.is_empty() {
            self.report(at, "the query cannot be planned", None);
        }
    }

    /// A DataFusion error where none is to be expected from a query that was typed.
    pub fn internal(&mut self, at: Location, error: &datafusion::error::DataFusionError) -> Refused {
        let text = error.strip_backtrace();
        let first = text.lines().next().unwrap_or_default();
        let plain = first.rsplit("error: ").next().unwrap_or(first);
        self.refuse_plain(at, format!("the query cannot be planned: {plain}"))
    }

    /// A name that no other column of the plan has: [`FRESH`] and a number.
    pub fn fresh(&mut self, name: &str) -> String {
        self.next += 1;
        let fresh = format!("{FRESH}{}", self.next);
        self.column_names.insert(fresh.clone(), name.to_owned());
        fresh
    }

    /// `window` where the SELECT groups by one.
    fn grouped_window(&self, name: &str) -> Option<Typed> {
        self.window.as_ref().filter(|(window, _)| window == name).map(|(_, typed)| typed.clone())
    }
}
