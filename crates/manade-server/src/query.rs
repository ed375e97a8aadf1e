//! PostgREST's read grammar (<https://docs.postgrest.org/en/v13/references/api/tables_views.html>) as plain data.
//!
//! [`parse`] turns a query string into a [`Query`] as it is written; [`plan::plan`] holds it against a collection's
//! columns and gives a typed [`plan::Plan`]. Both are pure.

pub mod cursor;
pub mod plan;

mod filter;
mod scanner;
mod select;
#[cfg(test)]
mod tests;

use crate::formats::Format;
use crate::problem::Problem;
use scanner::Scanner;

/// Of `limit` and `offset`: what every reader of JSON has exactly (2^53 - 1).
pub const LARGEST_COUNT: u64 = 9_007_199_254_740_991;

/// A query string as written.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Query {
    /// Empty: all columns.
    pub select: Vec<Item>,
    /// All must hold.
    pub filters: Vec<Condition>,
    pub order: Vec<OrderItem>,
    pub limit: Option<u64>,
    pub offset: Option<u64>,
    pub format: Option<Format>,
    /// Where the page before this one ended.
    pub cursor: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    All,
    Field { field: Field, cast: Option<String>, alias: Option<String> },
}

/// A column, or what stands under a path in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    pub name: String,
    pub path: Vec<Step>,
    /// The path ends in `->>`.
    pub text: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    Key(String),
    /// Counts from 0, from the end where negative.
    Index(i64),
}

#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    Test { field: Field, negated: bool, test: Test },
    Group { any: bool, negated: bool, of: Vec<Condition> },
}

#[derive(Debug, Clone, PartialEq)]
pub enum Test {
    Compare(Comparison, Operands),
    /// `%` and `*` stand for any text, `_` for one character.
    Like {
        insensitive: bool,
        operands: Operands,
    },
    /// A regular expression.
    Match {
        insensitive: bool,
        operands: Operands,
    },
    In(Vec<String>),
    Is(Is),
    Distinct(String),
}

/// One literal, or several under `any` or `all`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operands {
    pub all: bool,
    pub values: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    Eq,
    Neq,
    Gt,
    Gte,
    Lt,
    Lte,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Is {
    Null,
    NotNull,
    True,
    False,
    Unknown,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderItem {
    pub field: Field,
    pub descending: bool,
    /// `None`: last where ascending, first where descending.
    pub nulls_first: Option<bool>,
}

/// Reads a query string. `columns` are the collection's names: a key that is a column's exact name is that column,
/// whatever characters it has.
pub fn parse(text: &str, columns: &[&str]) -> Result<Query, Problem> {
    let mut query = Query::default();
    for (key, value) in form_urlencoded::parse(text.as_bytes()) {
        parameter(&mut query, &key, &value, columns)?;
    }
    Ok(query)
}

fn parameter(query: &mut Query, key: &str, value: &str, columns: &[&str]) -> Result<(), Problem> {
    match key {
        "select" => query.select = select::items(value, columns)?,
        "order" => query.order = select::order(value, columns)?,
        "limit" => query.limit = Some(count("limit", value)?),
        "offset" => query.offset = Some(count("offset", value)?),
        "and" | "or" | "not.and" | "not.or" => {
            let negated = key.starts_with("not.");
            query.filters.push(filter::group(value, key.ends_with("or"), negated, columns)?);
        }
        // A filter's value begins with an operator and a dot, which neither a format nor a cursor has.
        "format" if !value.contains('.') => query.format = Some(Format::named(value)?),
        "cursor" if !value.contains('.') => query.cursor = Some(value.to_owned()),
        "columns" | "on_conflict" => {
            return Err(Problem::syntax(format!("\"{key}\" belongs to writes, and collections are read-only")));
        }
        _ => {
            let field = key_field(key, columns)?;
            query.filters.push(filter::top_level(field, key, value)?);
        }
    }
    Ok(())
}

fn count(name: &str, value: &str) -> Result<u64, Problem> {
    match value.parse::<u64>() {
        Ok(count) if count <= LARGEST_COUNT => Ok(count),
        _ => Err(Problem::syntax(format!("\"{name}\" must be a whole number from 0 up: \"{value}\""))),
    }
}

/// The field that a parameter's name means.
fn key_field(key: &str, columns: &[&str]) -> Result<Field, Problem> {
    if columns.contains(&key) {
        return Ok(Field { name: key.to_owned(), path: Vec::new(), text: false });
    }
    let mut scanner = Scanner::new(key);
    let field = scanner.field(columns).filter(|_| scanner.at_end());
    field.ok_or_else(|| {
        let problem = Problem::syntax(format!("failed to parse filter parameter ({key})"));
        if key.contains('.') {
            problem
                .with_details("a filter on an embedded resource")
                .with_hint("collections have no relationships to embed; join in the result's SQL instead")
        } else {
            problem.with_hint("quote names with special characters: \"a,b\"=eq.1")
        }
    })
}
