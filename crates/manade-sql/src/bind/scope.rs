//! The columns that a clause can name.

use arrow::datatypes::DataType;
use datafusion::common::{Column, Spans};
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::sqlparser::ast::Ident;
use datafusion::logical_expr::sqlparser::tokenizer::{Location, Span};
use manade_model::closest;

use super::window::{WindowShape, mark};

/// What FROM yields, in order.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    pub columns: Vec<ScopeColumn>,
    /// Relations of which not all columns could be told, as something is wrong with them: their names.
    pub unread: Vec<Option<String>>,
}

#[derive(Debug, Clone)]
pub struct ScopeColumn {
    /// Lower-case alias or name of the relation.
    pub qualifier: Option<String>,
    /// Lower case.
    pub name: String,
    /// As the query or the catalog writes it.
    pub shown: String,
    /// Name in the plan: unique in it.
    pub internal: String,
    pub data_type: DataType,
    /// Where the value stands in the input, if it is one unchanged.
    pub path: Option<Vec<String>>,
    /// It is a window, which the query around may group by: in the plan stands its time.
    pub window: Option<WindowShape>,
    /// Where the query writes it, for messages.
    pub at: Location,
    /// The same column as one before it (`USING`): found only with its qualifier, left out of `*`.
    pub merged: bool,
}

/// An expression and its type.
#[derive(Debug, Clone)]
pub struct Typed {
    pub expr: Expr,
    pub data_type: DataType,
}

pub enum Found<'a> {
    Column(&'a ScopeColumn, /* identifiers used */ usize),
    Ambiguous(Vec<String>),
    /// It may be of a relation of which not all columns could be told.
    Unread,
    Missing,
}

impl Scope {
    /// The column that the first one (`a`) or two (`r.a`) identifiers name.
    pub fn find(&self, names: &[Ident]) -> Found<'_> {
        let lower: Vec<String> = names.iter().map(|name| name.value.to_lowercase()).collect();
        if let [relation, column, ..] = lower.as_slice() {
            let hits: Vec<&ScopeColumn> = self
                .columns
                .iter()
                .filter(|each| each.qualifier.as_ref() == Some(relation) && each.name == *column)
                .collect();
            match hits.as_slice() {
                [] => {}
                [one] => return Found::Column(one, 2),
                _ => return Found::Ambiguous(vec![format!("{relation}.{column}")]),
            }
        }
        let hits: Vec<&ScopeColumn> =
            self.columns.iter().filter(|each| each.name == lower[0] && !each.merged).collect();
        match hits.as_slice() {
            [] if self.may_be_unread(&lower) => Found::Unread,
            [] => Found::Missing,
            [one] => Found::Column(one, 1),
            several => Found::Ambiguous(several.iter().map(|each| each.full_name()).collect()),
        }
    }

    /// Those of one relation are looked for in it alone.
    fn may_be_unread(&self, lower: &[String]) -> bool {
        let of_known = |name: &String| {
            let is_read = |unread: &Option<String>| unread.as_ref() != Some(name);
            self.has_relation(name) && self.unread.iter().all(is_read)
        };
        !self.unread.is_empty() && (lower.len() <= 1 || !lower.first().is_some_and(of_known))
    }

    pub fn has_relation(&self, name: &str) -> bool {
        self.columns.iter().any(|column| column.qualifier.as_deref() == Some(name))
    }

    /// "did you mean", or what there is.
    pub fn hint(&self, names: &[Ident]) -> Option<String> {
        if let Some(hint) = self.hint_of_path(names) {
            return Some(hint);
        }
        let relation = names[0].value.to_lowercase();
        let (wanted, within) = match names {
            [_, column, ..] if self.has_relation(&relation) => (&column.value, Some(relation)),
            [first, ..] => (&first.value, None),
            [] => return None,
        };
        let columns = || self.columns.iter().filter(|column| within.is_none() || column.qualifier == within);
        let lower = wanted.to_lowercase();
        if let Some(name) = closest(&lower, columns().map(|column| column.name.as_str())) {
            let shown = columns().find(|column| column.name == name).map_or(name, |column| &column.shown);
            return Some(format!("did you mean `{shown}`?"));
        }
        let mut all: Vec<&str> = columns().map(|column| column.shown.as_str()).collect();
        all.dedup();
        let more = all.len().saturating_sub(12);
        all.truncate(12);
        let tail = if more > 0 { format!(" and {more} more") } else { String::new() };
        (!all.is_empty()).then(|| format!("there are: {}{tail}", all.join(", ")))
    }

    /// Of `a.b` where `a` is neither a relation nor a column.
    fn hint_of_path(&self, names: &[Ident]) -> Option<String> {
        let [first, second, ..] = names else { return None };
        let whole = names.iter().map(|name| name.value.to_lowercase()).collect::<Vec<_>>().join(".");
        if let Some(column) = self.columns.iter().find(|column| column.name == whole) {
            return Some(format!("a name with a dot in it is written in backticks: `{}`", column.shown));
        }
        let (relation, column) = (first.value.to_lowercase(), second.value.to_lowercase());
        let mut relations: Vec<&str> = self.columns.iter().filter_map(|column| column.qualifier.as_deref()).collect();
        relations.dedup();
        if relations.contains(&relation.as_str()) || closest(&relation, self.names()).is_some() {
            return None;
        }
        let of_that_name = self.columns.iter().find(|each| each.name == column && each.qualifier.is_some());
        match (closest(&relation, relations.iter().copied()), of_that_name) {
            (Some(near), _) => Some(format!("did you mean `{near}.{}`?", second.value)),
            (None, Some(found)) => Some(format!("did you mean `{}`?", found.full_name())),
            (None, None) if relations.is_empty() => None,
            (None, None) => Some(format!("what FROM reads is called {}", relations.join(", "))),
        }
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|column| column.name.as_str())
    }
}

impl ScopeColumn {
    /// Its value, which the query does not name.
    pub fn value(&self) -> Typed {
        self.typed(Span::empty())
    }

    pub fn typed(&self, span: Span) -> Typed {
        Typed { expr: self.expr(span), data_type: self.data_type.clone() }
    }

    fn expr(&self, span: Span) -> Expr {
        let mut column = Column::new_unqualified(&self.internal);
        let span = datafusion::common::Span::try_from_sqlparser_span(span);
        column.spans = span.map_or_else(Spans::new, |span| Spans(vec![span]));
        match self.window {
            None => Expr::Column(column),
            Some(shape) => mark(shape, Expr::Column(column)),
        }
    }

    fn full_name(&self) -> String {
        match &self.qualifier {
            Some(qualifier) => format!("{qualifier}.{}", self.shown),
            None => self.shown.clone(),
        }
    }
}

impl Typed {
    pub fn new(expr: Expr, data_type: DataType) -> Self {
        Self { expr, data_type }
    }

    /// What stands in for an expression that was refused: it fits everywhere, so that one mistake is told once.
    pub fn refused() -> Self {
        Self::new(Expr::Literal(datafusion::scalar::ScalarValue::Null, None), DataType::Null)
    }
}
