//! Queries: WITH, UNION ALL, and what the outermost SELECT makes of ORDER BY and LIMIT.

use arrow::datatypes::DataType;
use datafusion::common::Column;
use datafusion::logical_expr::sqlparser::ast::{
    Expr as Sql, LimitClause, OrderBy, OrderByKind, Query, SetExpr, SetOperator, SetQuantifier, Spanned, Value,
};
use datafusion::logical_expr::sqlparser::tokenizer::Location;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};

use super::scope::{Scope, ScopeColumn};
use super::window::has_overlapping;
use super::{Bind, Binder, Grouping};
use crate::query::TopN;
use crate::types::{spark_name, widest};

/// Rows, and the columns that may be named.
#[derive(Clone)]
pub struct Relation {
    pub plan: LogicalPlan,
    pub scope: Scope,
    pub kind: Kind,
    /// Columns of the plan that go along unseen.
    pub hidden: Vec<String>,
    /// What order and bound the outermost query asks for.
    pub order: Option<Order>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Rows come with the events.
    Stream,
    /// Rows of tables alone.
    Table,
    /// Rows of the aggregation.
    Groups,
    /// Something is wrong with it, which was reported.
    Unread,
}

/// ORDER BY as it was written; its expressions are columns of the plan.
#[derive(Debug, Clone)]
pub struct Order {
    pub top: TopN,
    /// Descending, nulls first; one for each `__sort` column.
    pub directions: Vec<(bool, bool)>,
}

/// ORDER BY, LIMIT and OFFSET of the outermost query.
pub struct Ordering<'q> {
    pub by: Option<&'q OrderBy>,
    pub limit: Option<TopN>,
    pub at: Location,
}

/// A bound query, cut at its aggregate.
pub struct Bound {
    /// Everything below the aggregate, or all of it.
    pub below: LogicalPlan,
    pub grouping: Option<Grouping>,
    /// Reads the groups; without an aggregate there is none.
    pub above: Option<LogicalPlan>,
    pub scope: Scope,
    pub order: Option<Order>,
}

impl Binder<'_> {
    pub fn outermost(&mut self, query: &Query) -> Bind<Bound> {
        let relation = self.query(query, true)?;
        if !self.problems.is_empty() {
            return Err(super::Refused);
        }
        let at = query.span().start;
        let grouping = self.grouping.take();
        if let Some((name, at)) = self.overlapping.take()
            && (has_overlapping(&relation.plan) || grouping.as_ref().is_some_and(|each| has_overlapping(&each.below)))
        {
            return Err(self.refuse(
                at,
                format!("this `{name}` stands for more than the event's own row, and is not grouped by"),
                "group by it, in this query or in the one around it",
            ));
        }
        match relation.kind {
            Kind::Unread => Err(super::Refused),
            Kind::Table => Err(self.refuse(
                at,
                "the query reads tables only, so that no event ever reaches it",
                "read from events and join the table",
            )),
            Kind::Stream => {
                Ok(Bound { below: relation.plan, grouping: None, above: None, scope: relation.scope, order: None })
            }
            Kind::Groups => {
                let Some(grouping) = grouping else {
                    return Err(self.refuse_plain(at, "the query's aggregate was lost"));
                };
                Ok(Bound {
                    below: grouping.below.clone(),
                    grouping: Some(grouping),
                    above: Some(relation.plan),
                    scope: relation.scope,
                    order: relation.order,
                })
            }
        }
    }

    /// A query anywhere; ORDER BY and LIMIT mean something in the outermost one only.
    pub fn query(&mut self, query: &Query, outermost: bool) -> Bind<Relation> {
        let outer_ctes = self.ctes.len();
        if let Some(with) = &query.with {
            if with.recursive {
                let at = with.span().start;
                return Err(self.refuse_plain(at, "a recursive WITH cannot run on a stream"));
            }
            for cte in &with.cte_tables {
                let name = &cte.alias.name;
                let own = &self.ctes[outer_ctes..];
                if own.iter().any(|(known, _)| *known == name.value.to_lowercase()) {
                    let message = format!("WITH names two queries `{}`", name.value);
                    return Err(self.refuse(name.span.start, message, "give one of them another name"));
                }
                let mut query = cte.query.as_ref().clone();
                if !cte.alias.columns.is_empty() {
                    let at = cte.alias.name.span.start;
                    let names = cte.alias.columns.iter().map(|column| column.name.clone());
                    if rename_columns(&mut query, names).is_none() {
                        return Err(self.refuse_plain(at, "column names of this WITH do not fit its columns"));
                    }
                }
                self.ctes.push((cte.alias.name.value.to_lowercase(), query));
            }
        }
        let limit = self.limit(query)?;
        let at = match (&query.order_by, &query.limit_clause) {
            (Some(order), _) => order.span().start,
            (None, Some(limit)) => limit.span().start,
            _ => query.span().start,
        };
        let ordering = Ordering { by: query.order_by.as_ref(), limit, at };
        if !outermost && (ordering.by.is_some() || ordering.limit.is_some()) {
            return Err(self.refuse(
                ordering.at,
                "ORDER BY and LIMIT of a subquery would have to hold back its rows",
                "write them in the outermost query over an aggregate, which makes a top-N result",
            ));
        }
        let bound = self.body(&query.body, outermost.then_some(&ordering));
        self.ctes.truncate(outer_ctes);
        bound
    }

    fn body(&mut self, body: &SetExpr, ordering: Option<&Ordering<'_>>) -> Bind<Relation> {
        match body {
            SetExpr::Select(select) => self.select(select, ordering),
            SetExpr::Query(query) => self.query(query, ordering.is_some()),
            SetExpr::SetOperation { op: SetOperator::Union, set_quantifier: SetQuantifier::All, left, right } => {
                if let Some(ordering) = ordering.filter(|each| each.by.is_some() || each.limit.is_some()) {
                    return Err(self
                        .refuse_plain(ordering.at, "ORDER BY and LIMIT of a UNION would have to hold back its rows"));
                }
                self.union(left, right)
            }
            SetExpr::SetOperation { op, right, .. } => {
                let at = right.span().start;
                let (message, hint) = match op {
                    SetOperator::Union => (
                        "UNION without ALL would have to remember every row".to_owned(),
                        "write UNION ALL, or SELECT DISTINCT over it in FROM",
                    ),
                    other => (
                        format!("{other} would have to wait for all of both sides"),
                        "join a table with LEFT SEMI JOIN or LEFT ANTI JOIN",
                    ),
                };
                Err(self.refuse(at, message, hint))
            }
            other => {
                let at = other.span().start;
                Err(self.refuse(at, "only SELECT reads a stream", "write SELECT ... FROM events"))
            }
        }
    }

    /// Rows of both, by position, in the names of the first.
    fn union(&mut self, left: &SetExpr, right: &SetExpr) -> Bind<Relation> {
        let at = right.span().start;
        let (left, right) = (self.body(left, None), self.body(right, None));
        let (left, right) = (left?, right?);
        if left.kind == Kind::Unread || right.kind == Kind::Unread {
            return Ok(left);
        }
        if left.kind == Kind::Groups || right.kind == Kind::Groups {
            return Err(self.refuse(
                at,
                "a UNION of aggregates would mix groups of two keys",
                "write two results, or aggregate over the UNION ALL of the events",
            ));
        }
        if left.kind != right.kind {
            return Err(self.refuse_plain(at, "a UNION of events with a table would repeat the table at every event"));
        }
        if left.scope.columns.len() != right.scope.columns.len() {
            let (one, other) = (left.scope.columns.len(), right.scope.columns.len());
            return Err(self.refuse_plain(at, format!("UNION ALL of {one} columns with {other}")));
        }
        let mut types = Vec::new();
        for (one, other) in left.scope.columns.iter().zip(&right.scope.columns) {
            let Some(common) = widest(&one.data_type, &other.data_type) else {
                let (a, b) = (spark_name(&one.data_type), spark_name(&other.data_type));
                let message =
                    format!("column `{}` is a {a} on one side of UNION ALL and a {b} on the other", one.shown);
                return Err(self.refuse_plain(at, message));
            };
            types.push(common);
        }
        let names: Vec<String> = left.scope.columns.iter().map(|column| self.fresh(&column.shown)).collect();
        let mut columns = Vec::new();
        for ((one, other), (name, data_type)) in
            left.scope.columns.iter().zip(&right.scope.columns).zip(names.iter().zip(&types))
        {
            columns.push(ScopeColumn {
                qualifier: None,
                internal: name.clone(),
                data_type: data_type.clone(),
                path: one.path.clone().filter(|path| other.path.as_ref() == Some(path)),
                window: None,
                ..one.clone()
            });
        }
        let (kind, hidden) = (left.kind, left.hidden.clone());
        let unread = [left.scope.unread.as_slice(), &right.scope.unread].concat();
        let left = self.renamed(left, &names, &types, at)?;
        let right = self.renamed(right, &names, &types, at)?;
        let plan = self.planned(left, at, |left| LogicalPlanBuilder::from(left).union(right))?;
        Ok(Relation { plan, scope: Scope { columns, unread }, kind, hidden, order: None })
    }

    fn renamed(&mut self, relation: Relation, names: &[String], types: &[DataType], at: Location) -> Bind<LogicalPlan> {
        let mut items = Vec::new();
        for (column, (name, data_type)) in relation.scope.columns.iter().zip(names.iter().zip(types)) {
            items.push((self.cast(column.value(), data_type, at)?.expr, name.clone()));
        }
        self.project(relation.plan, items, &relation.hidden, at)
    }

    /// These expressions under these names, then the hidden columns.
    pub fn project(
        &mut self,
        plan: LogicalPlan,
        items: Vec<(Expr, String)>,
        hidden: &[String],
        at: Location,
    ) -> Bind<LogicalPlan> {
        let kept = hidden.iter().map(|name| Expr::Column(Column::new_unqualified(name)).alias(name));
        let items: Vec<Expr> = items.into_iter().map(|(expr, name)| expr.alias(name)).chain(kept).collect();
        self.planned(plan, at, |plan| LogicalPlanBuilder::from(plan).project(items))
    }

    /// The next step of a plan; none once something is wrong, as no plan comes of it and names are all that is judged.
    pub fn planned(
        &mut self,
        plan: LogicalPlan,
        at: Location,
        step: impl FnOnce(LogicalPlan) -> datafusion::common::Result<LogicalPlanBuilder>,
    ) -> Bind<LogicalPlan> {
        if !self.problems.is_empty() {
            return Ok(plan);
        }
        step(plan).and_then(LogicalPlanBuilder::build).map_err(|error| self.internal(at, &error))
    }

    pub fn filter(&mut self, plan: LogicalPlan, condition: Expr, at: Location) -> Bind<LogicalPlan> {
        self.planned(plan, at, |plan| LogicalPlanBuilder::from(plan).filter(condition))
    }

    fn limit(&mut self, query: &Query) -> Bind<Option<TopN>> {
        let at = query.span().start;
        if query.fetch.is_some() {
            return Err(self.refuse(at, "FETCH is not Spark SQL", "write LIMIT"));
        }
        if !query.pipe_operators.is_empty() || !query.locks.is_empty() {
            return Err(self.refuse_plain(at, "only plain SELECTs are supported"));
        }
        let (limit, offset) = match &query.limit_clause {
            None => return Ok(None),
            Some(LimitClause::LimitOffset { limit, offset, limit_by }) if limit_by.is_empty() => {
                (limit.as_ref(), offset.as_ref().map(|offset| &offset.value))
            }
            Some(LimitClause::OffsetCommaLimit { offset, limit }) => (Some(limit), Some(offset)),
            Some(_) => return Err(self.refuse_plain(at, "LIMIT BY is not Spark SQL")),
        };
        let Some(limit) = limit else {
            return Err(self.refuse(at, "OFFSET without LIMIT", "write ORDER BY ... LIMIT n OFFSET m"));
        };
        let offset = offset.map(|offset| self.count(offset)).transpose()?.unwrap_or(0);
        Ok(Some(TopN { limit: self.count(limit)?, offset }))
    }

    fn count(&mut self, sql: &Sql) -> Bind<usize> {
        if let Sql::Value(value) = sql
            && let Value::Number(digits, _) = &value.value
            && let Ok(count) = digits.parse()
        {
            return Ok(count);
        }
        Err(self.refuse_plain(super::expr::start(sql), format!("`{sql}` is not a number of rows")))
    }
}

impl Ordering<'_> {
    /// The written expressions with their directions: descending, nulls first.
    pub fn expressions(&self) -> Vec<(&Sql, bool, bool)> {
        let Some(OrderBy { kind: OrderByKind::Expressions(by), .. }) = self.by else { return Vec::new() };
        by.iter()
            .map(|each| {
                let descending = each.options.asc == Some(false);
                (&each.expr, descending, each.options.nulls_first.unwrap_or(!descending))
            })
            .collect()
    }

    pub fn is_all(&self) -> bool {
        matches!(self.by, Some(OrderBy { kind: OrderByKind::All(_), .. }))
    }
}

/// `WITH t(a, b) AS (SELECT ...)`: aliases for the columns of the SELECT.
fn rename_columns(
    query: &mut Query,
    names: impl Iterator<Item = datafusion::logical_expr::sqlparser::ast::Ident>,
) -> Option<()> {
    use datafusion::logical_expr::sqlparser::ast::SelectItem;
    let SetExpr::Select(select) = query.body.as_mut() else { return None };
    let names: Vec<_> = names.collect();
    if names.len() != select.projection.len() {
        return None;
    }
    for (item, alias) in select.projection.iter_mut().zip(names) {
        let expr = match item {
            SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => expr.clone(),
            _ => return None,
        };
        *item = SelectItem::ExprWithAlias { expr, alias };
    }
    Some(())
}
