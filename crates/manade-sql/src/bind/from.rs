//! FROM: events, tables, earlier results, subqueries, joins.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::common::{Column, JoinType, TableReference};
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::sqlparser::ast::{
    Expr as Sql, Join, JoinConstraint, JoinOperator, ObjectName, Spanned, TableAlias, TableFactor, TableWithJoins,
    Value,
};
use datafusion::logical_expr::sqlparser::tokenizer::Location;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, lit};

use super::expr::Context;
use super::query::{Kind, Relation};
use super::scope::{Scope, ScopeColumn};
use super::{Bind, Binder};
use crate::plan::{INPUT, SlotProvider, carried, table_slot};
use crate::query::Input;

const EVENTS: &str = "events";

impl Binder<'_> {
    pub fn from(&mut self, from: &[TableWithJoins], at: Location) -> Bind<Relation> {
        let mut result: Option<Relation> = None;
        for each in from {
            let mut relation = match (&mut result, &each.relation) {
                // `FROM events e, UNNEST(e.tags)`: the second reads columns of the first.
                (Some(_), factor) if makes_rows(factor) => {
                    let left = result.take().ok_or(super::Refused)?;
                    self.lateral_factor(left, &each.relation)?
                }
                _ => self.factor(&each.relation)?,
            };
            for join in &each.joins {
                relation = self.join(relation, join)?;
            }
            result = Some(match result {
                None => relation,
                Some(left) => {
                    let at = each.relation.span().start;
                    self.joined(left, relation, Side::Inner, &JoinConstraint::None, at)?
                }
            });
        }
        match result {
            Some(relation) => Ok(relation),
            None => Err(self.refuse(at, "the query reads nothing", "write FROM events")),
        }
    }

    /// One with which something is wrong has columns that are not known, so that the others' can be judged.
    fn factor(&mut self, factor: &TableFactor) -> Bind<Relation> {
        let relation = self.sound_factor(factor);
        if relation.is_ok() || self.problems.is_empty() {
            return relation;
        }
        let name = match factor {
            TableFactor::Table { alias: Some(alias), .. } | TableFactor::Derived { alias: Some(alias), .. } => {
                Some(alias.name.value.to_lowercase())
            }
            TableFactor::Table { name, .. } => Some(name.to_string().replace('`', "").to_lowercase()),
            _ => None,
        };
        let plan = LogicalPlanBuilder::empty(false).build().map_err(|_| super::Refused)?;
        let scope = Scope { columns: Vec::new(), unread: vec![name] };
        Ok(Relation { plan, scope, kind: Kind::Unread, hidden: Vec::new(), order: None })
    }

    fn sound_factor(&mut self, factor: &TableFactor) -> Bind<Relation> {
        let at = factor.span().start;
        match factor {
            TableFactor::Table { name, alias, args: None, sample: None, version: None, .. } => {
                self.named(name, alias.as_ref())
            }
            TableFactor::Derived { lateral: false, subquery, alias, .. } => {
                let aggregates = std::mem::take(&mut self.aggregates);
                let window = self.window.take();
                let relation = self.query(subquery, false);
                self.aggregates = aggregates;
                self.window = window;
                self.aliased(relation?, alias.as_ref())
            }
            TableFactor::NestedJoin { table_with_joins, .. } => self.from(std::slice::from_ref(table_with_joins), at),
            TableFactor::Table { sample: Some(_), .. } => Err(self.refuse(
                at,
                "TABLESAMPLE gives other rows at every run",
                "filter by a hash: WHERE pmod(xxhash64(id), 100) < 10",
            )),
            other => {
                let (message, hint) = foreign(other);
                Err(self.refuse(at, message, hint))
            }
        }
    }

    fn named(&mut self, object: &ObjectName, alias: Option<&TableAlias>) -> Bind<Relation> {
        let at = object.span().start;
        let name = object.0.last().and_then(|part| part.as_ident()).map(|ident| ident.value.to_lowercase());
        let Some(name) = name.filter(|_| object.0.len() == 1) else {
            return Err(self.refuse(
                at,
                format!("`{object}` names a table in a database"),
                "write the table's name alone",
            ));
        };
        if let Some(position) = self.ctes.iter().rposition(|(cte, _)| *cte == name) {
            let query = self.ctes[position].1.clone();
            // A WITH query sees the ones before it.
            let later = self.ctes.split_off(position);
            let (aggregates, window) = (std::mem::take(&mut self.aggregates), self.window.take());
            let relation = self.query(&query, false);
            (self.aggregates, self.window) = (aggregates, window);
            self.ctes.extend(later);
            return self.aliased_as(relation?, alias, &name);
        }
        if name == EVENTS {
            let schema = self.input_schema.clone().unwrap_or_else(|| Arc::clone(&self.catalog.events));
            self.time = lower(self.catalog.time.as_ref());
            let relation = self.input_scan(Input::Events, &schema, at)?;
            return self.aliased_as(relation, alias, &name);
        }
        if let Some((_, schema)) = self.catalog.tables.iter().find(|(table, _)| *table == name) {
            self.tables.insert(name.clone());
            let relation = self.scan(&table_slot(&name), schema, Kind::Table, at)?;
            return self.aliased_as(relation, alias, &name);
        }
        if let Some(upstream) = self.catalog.upstream.iter().find(|upstream| upstream.name == name) {
            if !upstream.append {
                return Err(self.refuse(
                    at,
                    format!("the rows of result `{name}` change, and a result can only read rows that stay"),
                    "group it by a window and set `emit: final` on it",
                ));
            }
            if let Some(sql) = &upstream.sql {
                let relation = self.inlined(&name, sql, at)?;
                return self.aliased_as(relation, alias, &name);
            }
            let schema = self.input_schema.clone().unwrap_or_else(|| Arc::clone(&upstream.schema));
            self.time = lower(upstream.time.as_ref());
            let relation = self.input_scan(Input::Result(name.clone()), &schema, at)?;
            return self.aliased_as(relation, alias, &name);
        }
        let names: Vec<&str> = std::iter::once(EVENTS)
            .chain(self.catalog.tables.iter().map(|(name, _)| name.as_str()))
            .chain(self.catalog.upstream.iter().map(|upstream| upstream.name.as_str()))
            .chain(self.ctes.iter().map(|(name, _)| name.as_str()))
            .collect();
        if self.catalog.later.contains(&name) {
            let hint = "move it up: a result can read those before it";
            return Err(self.refuse(at, format!("result `{name}` stands further down"), hint));
        }
        let hint = match manade_model::closest(&name, names.iter().copied()) {
            Some(closest) => format!("did you mean `{closest}`?"),
            None => format!("there are: {}", names.join(", ")),
        };
        Err(self.refuse(at, format!("unknown table `{name}`"), hint))
    }

    /// The query of an earlier result, which knows none of this one's names.
    fn inlined(&mut self, name: &str, sql: &str, at: Location) -> Bind<Relation> {
        let query = crate::parse::parse(sql).map_err(|problem| self.refuse_plain(at, problem.message))?;
        self.inlined.insert(name.to_owned());
        let ctes = std::mem::take(&mut self.ctes);
        let (aggregates, window) = (std::mem::take(&mut self.aggregates), self.window.take());
        let relation = self.query(&query, false);
        (self.ctes, self.aggregates, self.window) = (ctes, aggregates, window);
        relation
    }

    fn input_scan(&mut self, input: Input, schema: &SchemaRef, at: Location) -> Bind<Relation> {
        match &self.input {
            Some(other) if *other != input => {
                return Err(self.refuse(
                    at,
                    "a query reads one stream: events, or one earlier result",
                    "write two results",
                ));
            }
            _ => self.input = Some(input),
        }
        let carried: Vec<Field> = self.carried.iter().map(|(name, t)| Field::new(*name, t.clone(), true)).collect();
        let fields: Vec<Field> = schema.fields().iter().map(|field| field.as_ref().clone()).chain(carried).collect();
        let mut relation = self.scan(INPUT, &Arc::new(Schema::new(fields)), Kind::Stream, at)?;
        for column in &mut relation.scope.columns {
            column.path = Some(vec![column.name.clone()]);
        }
        Ok(relation)
    }

    fn scan(&mut self, slot: &str, schema: &SchemaRef, kind: Kind, at: Location) -> Bind<Relation> {
        let provider = Arc::new(SlotProvider::new(slot, Arc::clone(schema)));
        let plan = LogicalPlanBuilder::scan(TableReference::bare(slot), provider_as_source(provider), None)
            .and_then(LogicalPlanBuilder::build)
            .map_err(|error| self.internal(at, &error))?;
        let hidden: Vec<String> = match kind {
            Kind::Stream => self.carried.iter().map(|(name, _)| (*name).to_owned()).collect(),
            _ => Vec::new(),
        };
        let mut columns = Vec::new();
        let mut items: Vec<(Expr, String)> =
            hidden.iter().map(|name| (Expr::Column(Column::new_unqualified(name)), carried(name))).collect();
        for field in schema.fields().iter().filter(|field| !hidden.contains(field.name())) {
            let internal = self.fresh(field.name());
            items.push((Expr::Column(Column::new_unqualified(field.name())), internal.clone()));
            columns.push(ScopeColumn {
                qualifier: None,
                name: field.name().to_lowercase(),
                shown: field.name().clone(),
                internal,
                data_type: field.data_type().clone(),
                path: None,
                window: None,
                at,
                merged: false,
            });
        }
        let plan = self.project(plan, items, &[], at)?;
        let hidden = hidden.iter().map(|name| carried(name)).collect();
        Ok(Relation { plan, scope: Scope { columns, unread: Vec::new() }, kind, hidden, order: None })
    }

    fn aliased(&mut self, relation: Relation, alias: Option<&TableAlias>) -> Bind<Relation> {
        match alias {
            Some(_) => self.aliased_as(relation, alias, ""),
            None => Ok(relation),
        }
    }

    fn aliased_as(&mut self, mut relation: Relation, alias: Option<&TableAlias>, name: &str) -> Bind<Relation> {
        let qualifier = alias.map_or_else(|| name.to_owned(), |alias| alias.name.value.to_lowercase());
        let renames = alias.map(|alias| alias.columns.as_slice()).unwrap_or_default();
        if !relation.scope.unread.is_empty() {
            relation.scope.unread = vec![Some(qualifier.clone())];
        } else if !renames.is_empty() && renames.len() != relation.scope.columns.len() {
            let at = alias.map_or(Location::empty(), |alias| alias.name.span.start);
            let message = format!("{} names for {} columns", renames.len(), relation.scope.columns.len());
            return Err(self.refuse_plain(at, message));
        }
        for (i, column) in relation.scope.columns.iter_mut().enumerate() {
            column.qualifier = Some(qualifier.clone());
            if let Some(rename) = renames.get(i) {
                column.name = rename.name.value.to_lowercase();
                column.shown.clone_from(&rename.name.value);
            }
        }
        Ok(relation)
    }

    fn join(&mut self, left: Relation, join: &Join) -> Bind<Relation> {
        let at = join.relation.span().start;
        let (side, constraint) = match &join.join_operator {
            JoinOperator::Join(on)
            | JoinOperator::Inner(on)
            | JoinOperator::StraightJoin(on)
            | JoinOperator::CrossJoin(on) => (Side::Inner, on),
            JoinOperator::Left(on) | JoinOperator::LeftOuter(on) => (Side::Left, on),
            JoinOperator::Right(on) | JoinOperator::RightOuter(on) => (Side::Right, on),
            JoinOperator::FullOuter(on) => (Side::Full, on),
            JoinOperator::Semi(on) | JoinOperator::LeftSemi(on) => (Side::Semi, on),
            JoinOperator::Anti(on) | JoinOperator::LeftAnti(on) => (Side::Anti, on),
            _ => return Err(self.refuse(at, "this kind of join is not supported", "write JOIN or LEFT JOIN")),
        };
        if makes_rows(&join.relation) {
            self.check_generator_join(side, constraint, at)?;
            return self.lateral_factor(left, &join.relation);
        }
        let right = self.factor(&join.relation)?;
        self.joined(left, right, side, constraint, at)
    }

    /// A generator's rows are made of the row beside it, so that a join with them can only be the plain one.
    fn check_generator_join(&mut self, side: Side, constraint: &JoinConstraint, at: Location) -> Bind<()> {
        if side != Side::Inner {
            let hint = match side {
                Side::Left => "write LATERAL VIEW OUTER explode(tags) t AS x, which keeps rows without elements",
                Side::Semi | Side::Anti => "write WHERE exists(tags, x -> ...) or WHERE NOT exists(tags, x -> ...)",
                _ => "write LATERAL VIEW explode(tags) t AS x",
            };
            return Err(self.refuse(at, "only JOIN and CROSS JOIN go with a generator", hint));
        }
        match constraint {
            JoinConstraint::None => Ok(()),
            JoinConstraint::On(Sql::Value(value)) if value.value == Value::Boolean(true) => Ok(()),
            _ => Err(self.refuse(at, "a join with a generator takes no condition", "write the condition in WHERE")),
        }
    }

    fn joined(
        &mut self,
        left: Relation,
        right: Relation,
        side: Side,
        constraint: &JoinConstraint,
        at: Location,
    ) -> Bind<Relation> {
        // What is named is judged all the same.
        let checked = self.check_join(&left, &right, side, at);
        let mut columns = left.scope.columns.clone();
        let mut right_columns = right.scope.columns.clone();
        let left_width = columns.len();
        let (using, shared) = self.using(&mut columns, &mut right_columns, constraint, side, at)?;
        columns.extend(right_columns);
        let unread = [left.scope.unread, right.scope.unread].concat();
        let mut scope = Scope { columns, unread };
        let on = match constraint {
            JoinConstraint::On(condition) => {
                let cx = Context::new(&scope, "JOIN ... ON");
                let condition = self.condition(&cx, condition);
                condition.map_err(|refused| self.surely(refused, at)).ok().map(|condition| condition.expr)
            }
            _ => using,
        };
        if matches!(side, Side::Semi | Side::Anti) {
            scope.columns.truncate(left_width);
        }
        // `*` begins with what USING names.
        let place = |column: &ScopeColumn| match shared.iter().position(|name| *name == column.name) {
            Some(place) if !column.merged => place,
            _ => shared.len(),
        };
        scope.columns.sort_by_key(place);
        let plan = self.join_plan(left.plan, right.plan, left.kind, side, on, at)?;
        let kind = match (left.kind, right.kind) {
            _ if checked.is_err() => Kind::Unread,
            (Kind::Unread, _) | (_, Kind::Unread) => Kind::Unread,
            (Kind::Table, Kind::Table) => Kind::Table,
            (Kind::Groups, _) | (_, Kind::Groups) => Kind::Groups,
            _ => Kind::Stream,
        };
        let hidden = if left.hidden.is_empty() { right.hidden } else { left.hidden };
        Ok(Relation { plan, scope, kind, hidden, order: None })
    }

    fn check_join(&mut self, left: &Relation, right: &Relation, side: Side, at: Location) -> Bind<()> {
        if left.kind == Kind::Unread || right.kind == Kind::Unread {
            return Ok(());
        }
        if left.kind == Kind::Groups || right.kind == Kind::Groups {
            return Err(self.refuse(
                at,
                "a join with the rows of an aggregate would have to be redone at every change",
                "join the table first, and aggregate over the join; or make the aggregate a result of its own with `emit: final` and read that",
            ));
        }
        if left.kind == Kind::Stream && right.kind == Kind::Stream {
            return Err(self.refuse(
                at,
                "a join of events with events would have to keep all of them",
                "group by a shared key and window, and pick each side's values with aggregates (max(CASE WHEN ...)); or make one side a table",
            ));
        }
        let keeps_table = match side {
            Side::Full => left.kind != right.kind,
            Side::Right => left.kind == Kind::Stream,
            Side::Left | Side::Semi | Side::Anti => left.kind == Kind::Table && right.kind == Kind::Stream,
            Side::Inner => false,
        };
        if keeps_table {
            return Err(self.refuse(
                at,
                "this join keeps rows of the table that no event has matched, which is never certain on a stream",
                "write events LEFT JOIN table",
            ));
        }
        Ok(())
    }

    /// `USING (a)`: equality, and one column `a`; with the names.
    fn using(
        &mut self,
        left: &mut [ScopeColumn],
        right: &mut [ScopeColumn],
        constraint: &JoinConstraint,
        side: Side,
        at: Location,
    ) -> Bind<(Option<Expr>, Vec<String>)> {
        let names: Vec<String> = match constraint {
            JoinConstraint::On(_) => return Ok((None, Vec::new())),
            JoinConstraint::None => return Ok(((side != Side::Inner).then(|| lit(true)), Vec::new())),
            JoinConstraint::Using(names) => {
                names.iter().map(|name| name.to_string().replace('`', "").to_lowercase()).collect()
            }
            JoinConstraint::Natural => {
                let shared = |name: &String| right.iter().any(|column| column.name == *name);
                left.iter().map(|column| column.name.clone()).filter(shared).collect()
            }
        };
        if side == Side::Full && !names.is_empty() {
            let hint = "write ON, and coalesce(a.key, b.key) for the column";
            return Err(self.refuse(at, "a FULL JOIN with USING has its key in either table", hint));
        }
        let mut condition: Option<Expr> = None;
        for name in &names {
            let one = left.iter_mut().find(|column| column.name == *name);
            let other = right.iter_mut().find(|column| column.name == *name);
            let (Some(one), Some(other)) = (one, other) else {
                if !self.problems.is_empty() {
                    return Ok((None, Vec::new()));
                }
                return Err(self.refuse_plain(at, format!("USING column `{name}` is not on both sides")));
            };
            // The column that is never null but where both are.
            let other_merged = side != Side::Right;
            (one.merged, other.merged) = (!other_merged, other_merged);
            if let Some(path) = &one.path {
                self.reads.insert(path.clone());
            }
            if let Some(path) = &other.path {
                self.reads.insert(path.clone());
            }
            let (one, other) = (one.value(), other.value());
            let equal = self.compare_typed(one, datafusion::logical_expr::Operator::Eq, other, at)?.expr;
            condition = Some(match condition {
                Some(condition) => condition.and(equal),
                None => equal,
            });
        }
        Ok((condition, names))
    }

    /// The table is the side whose hash table is built; events probe it.
    fn join_plan(
        &mut self,
        left: LogicalPlan,
        right: LogicalPlan,
        left_kind: Kind,
        side: Side,
        on: Option<Expr>,
        at: Location,
    ) -> Bind<LogicalPlan> {
        let swap = left_kind == Kind::Stream;
        let kind = match (side, swap) {
            (Side::Inner, _) => JoinType::Inner,
            (Side::Left, false) | (Side::Right, true) => JoinType::Left,
            (Side::Left, true) | (Side::Right, false) => JoinType::Right,
            (Side::Full, _) => JoinType::Full,
            (Side::Semi, false) => JoinType::LeftSemi,
            (Side::Semi, true) => JoinType::RightSemi,
            (Side::Anti, false) => JoinType::LeftAnti,
            (Side::Anti, true) => JoinType::RightAnti,
        };
        let (build, probe) = if swap { (right, left) } else { (left, right) };
        self.planned(build, at, |build| {
            let builder = LogicalPlanBuilder::from(build);
            match on {
                None => builder.cross_join(probe),
                Some(on) => builder.join_on(probe, kind, [on]),
            }
        })
    }
}

/// `UNNEST(x)`, `explode(x)`: reads columns of what stands before it.
fn makes_rows(factor: &TableFactor) -> bool {
    matches!(
        factor,
        TableFactor::UNNEST { .. } | TableFactor::Function { .. } | TableFactor::Table { args: Some(_), .. }
    )
}

/// What is wrong with a part of FROM that Spark knows and a stream does not, and what to write.
fn foreign(factor: &TableFactor) -> (String, &'static str) {
    match factor {
        TableFactor::Pivot { .. } => (
            "PIVOT cannot run on a stream".to_owned(),
            "write an aggregate for each value: SELECT sum(x) FILTER (WHERE kind = 'a') AS a, ... GROUP BY ...",
        ),
        TableFactor::Unpivot { .. } => (
            "UNPIVOT cannot run on a stream".to_owned(),
            "write LATERAL VIEW stack(2, 'a', a, 'b', b) t AS name, value",
        ),
        TableFactor::Derived { lateral: true, .. } => (
            "a LATERAL subquery cannot run on a stream".to_owned(),
            "write LATERAL VIEW explode(array) t AS x for rows of an array, or join a table",
        ),
        TableFactor::Function { name, .. } | TableFactor::Table { name, args: Some(_), .. } => (
            format!("`{name}` cannot stand first in FROM, where no event is that it could make rows of"),
            "write FROM events LATERAL VIEW explode(array) t AS x, with sequence(1, 10) as the array for numbers",
        ),
        TableFactor::Table { version: Some(_), .. } => {
            ("a table has no versions".to_owned(), "write the table's name alone")
        }
        _ => ("this cannot stand in FROM".to_owned(), "write FROM events, a table, an earlier result or a subquery"),
    }
}

fn lower(path: Option<&Vec<String>>) -> Option<Vec<String>> {
    path.map(|path| path.iter().map(|name| name.to_lowercase()).collect())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Inner,
    Left,
    Right,
    Full,
    Semi,
    Anti,
}
