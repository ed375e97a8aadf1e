//! SELECT: its clauses in the order in which they act.

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::Column;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::sqlparser::ast::{
    Distinct, Expr as Sql, Ident, Select, SelectItem, SelectItemQualifiedWildcardKind, Spanned, Value,
    WildcardAdditionalOptions,
};
use datafusion::logical_expr::sqlparser::tokenizer::{Location, Span};

use super::expr::{Context, start};
use super::group::GroupBy;
use super::name::column_name;
use super::query::{Kind, Order, Ordering, Relation};
use super::scope::{Scope, ScopeColumn, Typed};
use super::window::{marker, path_of};
use super::{Bind, Binder};
use crate::types::a;

/// One output column.
pub struct Item {
    /// As the query writes it, or as Spark names it.
    pub shown: String,
    pub typed: Typed,
    pub at: Location,
}

/// What ORDER BY sorts by.
pub struct SortKey {
    pub typed: Typed,
    pub descending: bool,
    pub nulls_first: bool,
    pub at: Location,
}

impl Binder<'_> {
    pub fn select(&mut self, select: &Select, ordering: Option<&Ordering<'_>>) -> Bind<Relation> {
        let at = select.select_token.0.span.start;
        self.check_clauses(select, at)?;
        let relation = self.rows_of(select, at)?;
        let (relation, projection) = self.select_generators(relation, &select.projection)?;

        self.aggregates.clear();
        self.window = None;
        let groups = self.group_by(&relation.scope, select, &projection);
        let items = self.items(&relation.scope, &projection);
        let having = select.having.as_ref().map(|having| {
            let aliases = aliases(&items);
            let cx = Context::new(&relation.scope, "HAVING").with_aggregates().with_aliases(&aliases).after_grouping();
            Ok((self.condition(&cx, having)?, start(having)))
        });
        let order = self.sort_keys(&relation.scope, &items, ordering);
        if !self.problems.is_empty() {
            let distinct = matches!(select.distinct, Some(Distinct::Distinct));
            let written = groups.as_ref().is_ok_and(|groups| groups.written);
            let grouped = distinct || written || !self.aggregates.is_empty();
            return Ok(named_only(relation, items, &projection, grouped));
        }
        let (mut groups, having, order) = (groups?, having.transpose()?, order?);
        if groups.all {
            groups.exprs =
                items.iter().map(|item| item.typed.clone()).filter(|typed| !aggregated(&typed.expr)).collect();
        }
        let distinct = matches!(select.distinct, Some(Distinct::Distinct));
        let grouped = groups.written || !self.aggregates.is_empty();
        if grouped && distinct {
            return Err(self.refuse(
                at,
                "DISTINCT over an aggregate is an aggregate over an aggregate",
                "leave DISTINCT out where the group's columns are selected: its rows are distinct",
            ));
        }
        self.check_order(&relation, grouped || distinct, ordering)?;
        if distinct {
            groups.exprs = items.iter().map(|item| item.typed.clone()).collect();
            groups.written = true;
        }
        if !grouped && !distinct {
            if let Some((_, at)) = having {
                return Err(self.refuse(at, "HAVING without an aggregate", "write WHERE"));
            }
            return self.output(relation, items, order, ordering);
        }
        if relation.kind == Kind::Groups {
            return Err(self.refuse(
                at,
                "an aggregate over an aggregate cannot be kept up to date in one query",
                "write two results: the first with the inner aggregate and `emit: final`, the second reads it",
            ));
        }
        let (relation, items, having, order) = self.aggregated(relation, groups, items, having, order)?;
        let mut relation = relation;
        if let Some((having, at)) = having {
            relation.plan = self.filter(relation.plan, having.expr, at)?;
        }
        self.output(relation, items, order, ordering)
    }

    /// FROM, LATERAL VIEW and WHERE.
    fn rows_of(&mut self, select: &Select, at: Location) -> Bind<Relation> {
        let mut relation = self.from(&select.from, at)?;
        for view in &select.lateral_views {
            relation = self.lateral_view(relation, view)?;
        }
        if let Some(condition) = &select.selection {
            let cx = Context::new(&relation.scope, "WHERE");
            let bound = self.condition(&cx, condition);
            if let Ok(bound) = bound {
                relation.plan = self.filter(relation.plan, bound.expr, start(condition))?;
            }
        }
        Ok(relation)
    }

    /// The projection, with what ORDER BY needs.
    fn output(
        &mut self,
        relation: Relation,
        items: Vec<Item>,
        order: Vec<SortKey>,
        ordering: Option<&Ordering<'_>>,
    ) -> Bind<Relation> {
        let at = items.first().map_or(Location::empty(), |item| item.at);
        if items.is_empty() {
            return Err(self.refuse_plain(at, "the query selects nothing"));
        }
        let cx = Context::new(&relation.scope, "SELECT");
        let paths: Vec<_> = items.iter().map(|item| path_of(&cx, &item.typed.expr)).collect();
        let mut columns = Vec::new();
        let mut projected = Vec::new();
        for (item, path) in items.into_iter().zip(paths) {
            let internal = self.fresh(&item.shown);
            let (window, expr) = match marker(&item.typed.expr) {
                // The query around may group by it.
                Some((shape, time)) if ordering.is_none() => (Some(shape), time.clone()),
                _ => (None, item.typed.expr),
            };
            columns.push(ScopeColumn {
                qualifier: None,
                name: item.shown.to_lowercase(),
                shown: item.shown,
                internal: internal.clone(),
                data_type: item.typed.data_type,
                path,
                window,
                at: item.at,
                merged: false,
            });
            projected.push((expr, internal));
        }
        let mut directions = Vec::new();
        for (i, key) in order.into_iter().enumerate() {
            directions.push((key.descending, key.nulls_first));
            projected.push((key.typed.expr, format!("__sort{i}")));
        }
        let plan = self.project(relation.plan, projected, &relation.hidden, at)?;
        let order = ordering.and_then(|ordering| ordering.limit).map(|top| Order { top, directions });
        let scope = Scope { columns, unread: Vec::new() };
        Ok(Relation { plan, scope, kind: relation.kind, hidden: relation.hidden, order })
    }

    /// Each item is tried, so that all mistakes are told; those that were refused have their names.
    fn items(&mut self, scope: &Scope, projection: &[SelectItem]) -> Vec<Item> {
        let mut items: Vec<Item> = Vec::new();
        for item in projection {
            let bound = match item {
                SelectItem::UnnamedExpr(expr) => self.item(scope, expr, None, &items).map(|item| vec![item]),
                SelectItem::ExprWithAlias { expr, alias } => {
                    self.item(scope, expr, Some(alias), &items).map(|item| vec![item])
                }
                SelectItem::Wildcard(options) => self.wildcard(scope, None, options),
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options) => {
                    let qualifier = name.to_string().replace('`', "").to_lowercase();
                    self.wildcard(scope, Some((qualifier, name.span().start)), options)
                }
                other => {
                    let at = other.span().start;
                    Err(self.refuse_plain(at, format!("`{other}` cannot be selected")))
                }
            };
            match bound {
                Ok(bound) => items.extend(bound),
                Err(refused) => {
                    items.extend(refused_item(scope, item));
                    self.surely(refused, item.span().start);
                }
            }
        }
        items
    }

    fn item(&mut self, scope: &Scope, sql: &Sql, alias: Option<&Ident>, before: &[Item]) -> Bind<Item> {
        let aliases = aliases(before);
        let cx = Context::new(scope, "SELECT").with_aggregates().with_aliases(&aliases);
        let typed = self.expr(&cx, sql)?;
        let shown = match alias {
            Some(alias) => alias.value.clone(),
            None => column_name(sql, scope),
        };
        Ok(Item { shown, typed, at: alias.map_or_else(|| start(sql), |alias| alias.span.start) })
    }

    fn wildcard(
        &mut self,
        scope: &Scope,
        qualifier: Option<(String, Location)>,
        options: &WildcardAdditionalOptions,
    ) -> Bind<Vec<Item>> {
        let at = qualifier.as_ref().map_or(options.wildcard_token.0.span.start, |(_, at)| *at);
        let excepted: Vec<Ident> = options
            .opt_except
            .iter()
            .flat_map(|except| std::iter::once(&except.first_element).chain(&except.additional_elements))
            .cloned()
            .collect();
        for name in &excepted {
            if let Some(column) = scope.columns.iter().find(|column| column.name == name.value.to_lowercase()) {
                // Read, so that it stays known once the schema holds only what is read.
                self.reads.extend(column.path.clone());
            } else {
                let hint = scope.hint(std::slice::from_ref(name));
                self.report(name.span.start, format!("unknown column `{}`", name.value), hint);
            }
        }
        if let Some((qualifier, at)) = &qualifier
            && !scope.has_relation(qualifier)
            && !scope.unread.contains(&Some(qualifier.clone()))
        {
            return self.struct_wildcard(scope, qualifier, *at);
        }
        let mut items = Vec::new();
        for column in &scope.columns {
            let wanted = match &qualifier {
                Some((qualifier, _)) => column.qualifier.as_ref() == Some(qualifier),
                None => !column.merged,
            };
            if !wanted || excepted.iter().any(|name| name.value.to_lowercase() == column.name) {
                continue;
            }
            if let Some(path) = &column.path {
                self.reads.insert(path.clone());
            }
            items.push(Item { shown: column.shown.clone(), typed: column.typed(Span::new(at, at)), at });
        }
        Ok(items)
    }

    /// `e.*` or `user.*`, within an expression.
    pub fn qualified_columns(&mut self, scope: &Scope, name: &str, at: Location) -> Bind<Vec<Item>> {
        self.wildcard(scope, Some((name.to_owned(), at)), &WildcardAdditionalOptions::default())
    }

    /// `user.*` of a struct column.
    fn struct_wildcard(&mut self, scope: &Scope, name: &str, at: Location) -> Bind<Vec<Item>> {
        if !scope.columns.iter().any(|column| column.name == name) {
            return Err(self.refuse_plain(at, format!("unknown table `{name}`")));
        }
        let ident = |name: &str| Ident::with_span(Span::new(at, at), name);
        let column = self.name(&Context::new(scope, "SELECT"), &[ident(name)])?;
        let DataType::Struct(fields) = column.data_type.clone() else {
            return Err(self.refuse_plain(at, format!("`{name}` is {}, not a struct", a(&column.data_type))));
        };
        let field = |field: &FieldRef| {
            let typed = self.fields(column.clone(), &[ident(field.name())])?;
            Ok(Item { shown: field.name().clone(), typed, at })
        };
        fields.iter().map(field).collect()
    }

    /// GROUP BY, with ordinals and aliases replaced by what they stand for.
    fn group_by(&mut self, scope: &Scope, select: &Select, projection: &[SelectItem]) -> Bind<GroupBy> {
        let groups = self.grouping_sets(&select.group_by, |binder, sql| {
            let sql = match sql {
                Sql::Value(value) => match &value.value {
                    Value::Number(digits, _) => {
                        let item = digits.parse::<usize>().ok().and_then(|n| projection.get(n.wrapping_sub(1)));
                        let Some(SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) = item else {
                            let message = format!("GROUP BY {digits}: there are {} columns", projection.len());
                            return Err(binder.refuse_plain(value.span.start, message));
                        };
                        expr
                    }
                    _ => sql,
                },
                Sql::Identifier(name)
                    if matches!(scope.find(std::slice::from_ref(name)), super::scope::Found::Missing) =>
                {
                    projection
                        .iter()
                        .find_map(|item| match item {
                            SelectItem::ExprWithAlias { expr, alias }
                                if alias.value.eq_ignore_ascii_case(&name.value) =>
                            {
                                Some(expr)
                            }
                            _ => None,
                        })
                        .unwrap_or(sql)
                }
                _ => sql,
            };
            binder.expr(&Context::new(scope, "GROUP BY"), sql)
        })?;
        for group in &groups.exprs {
            if let Some((shape, _)) = marker(&group.expr) {
                let name = match shape {
                    super::WindowShape::Fixed { .. } => "window",
                    super::WindowShape::Session { .. } => "session_window",
                };
                self.window = Some((name.to_owned(), group.clone()));
            }
        }
        self.groups.clone_from(&groups.exprs);
        Ok(groups)
    }

    fn sort_keys(&mut self, scope: &Scope, items: &[Item], ordering: Option<&Ordering<'_>>) -> Bind<Vec<SortKey>> {
        let Some(ordering) = ordering else { return Ok(Vec::new()) };
        if ordering.is_all() {
            let keys = items.iter().map(|item| SortKey {
                typed: item.typed.clone(),
                descending: false,
                nulls_first: true,
                at: ordering.at,
            });
            return Ok(keys.collect());
        }
        let aliases = aliases(items);
        let mut keys = Vec::new();
        for (sql, descending, nulls_first) in ordering.expressions() {
            let typed = match sql {
                Sql::Value(value) => {
                    let item = value.value.to_string().parse::<usize>().ok().and_then(|n| items.get(n.wrapping_sub(1)));
                    match item {
                        Some(item) => item.typed.clone(),
                        None if !scope.unread.is_empty() => Typed::refused(),
                        None => {
                            return Err(self.refuse_plain(
                                start(sql),
                                format!("ORDER BY {}: there are {} columns", value.value, items.len()),
                            ));
                        }
                    }
                }
                Sql::Identifier(name) => {
                    let own = aliases.iter().find(|(alias, _)| *alias == name.value.to_lowercase());
                    match own {
                        Some((_, typed)) => typed.clone(),
                        None => self.expr(&Context::new(scope, "ORDER BY").with_aggregates(), sql)?,
                    }
                }
                _ => self.expr(&Context::new(scope, "ORDER BY").with_aggregates().with_aliases(&aliases), sql)?,
            };
            keys.push(SortKey { typed, descending, nulls_first, at: start(sql) });
        }
        Ok(keys)
    }

    fn check_order(&mut self, relation: &Relation, grouped: bool, ordering: Option<&Ordering<'_>>) -> Bind<()> {
        let Some(ordering) = ordering else { return Ok(()) };
        let groups = grouped || relation.kind == Kind::Groups;
        match (ordering.by.is_some(), ordering.limit.is_some(), groups) {
            (false, false, _) | (true, true, true) => Ok(()),
            (true, false, true) => Err(self.refuse(
                ordering.at,
                "ORDER BY without LIMIT: a collection has no order of its own",
                "add LIMIT n for a top-N result, or leave it out and ask the API for ?order=column.desc",
            )),
            (false, true, true) => {
                Err(self.refuse(ordering.at, "LIMIT without ORDER BY gives any rows", "add ORDER BY before LIMIT"))
            }
            (by, _, false) => {
                let clause = if by { "ORDER BY" } else { "LIMIT" };
                Err(self.refuse(
                    ordering.at,
                    format!("{clause} on events: a stream has no end to sort or to stop at"),
                    "leave it out and ask the API for ?order=column.desc&limit=n; over an aggregate, ORDER BY ... LIMIT makes a top-N result",
                ))
            }
        }
    }

    fn check_clauses(&mut self, select: &Select, at: Location) -> Bind<()> {
        if let Some(qualify) = &select.qualify {
            return Err(self.refuse(
                start(qualify),
                "QUALIFY filters by window functions, which would need all events at hand",
                "aggregate with max_by or min_by to pick one row a group",
            ));
        }
        let unsorted = "leave it out: rows come in the order of the source; ORDER BY with LIMIT makes a top-N result";
        let odd = match () {
            () if select.into.is_some() => {
                Some(("INTO", "leave it out: the rows go to the collection of the result's name by themselves"))
            }
            () if select.top.is_some() => Some(("TOP", "write ORDER BY ... LIMIT n over an aggregate")),
            () if select.prewhere.is_some() => Some(("PREWHERE", "write WHERE")),
            () if !select.connect_by.is_empty() => Some(("CONNECT BY", "write joins with a table, one for each level")),
            () if !select.cluster_by.is_empty() => Some(("CLUSTER BY", unsorted)),
            () if !select.distribute_by.is_empty() => Some(("DISTRIBUTE BY", unsorted)),
            () if !select.sort_by.is_empty() => Some(("SORT BY", unsorted)),
            () if matches!(select.distinct, Some(Distinct::On(_))) => {
                Some(("DISTINCT ON", "write GROUP BY with first(x), or with max_by(x, time) for the latest value"))
            }
            () => None,
        };
        match odd {
            Some((clause, hint)) => Err(self.refuse(at, format!("{clause} has no meaning on a stream"), hint)),
            None => Ok(()),
        }
    }
}

/// What can be named of a SELECT with which something is wrong.
fn named_only(relation: Relation, items: Vec<Item>, projection: &[SelectItem], grouped: bool) -> Relation {
    let column = |item: Item| ScopeColumn {
        qualifier: None,
        name: item.shown.to_lowercase(),
        internal: item.shown.clone(),
        shown: item.shown,
        data_type: item.typed.data_type,
        path: None,
        window: None,
        at: item.at,
        merged: false,
    };
    let is_wildcard = |item: &SelectItem| matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..));
    let is_whole = relation.scope.unread.is_empty() || !projection.iter().any(is_wildcard);
    let unread = if is_whole { Vec::new() } else { vec![None] };
    let scope = Scope { columns: items.into_iter().map(column).collect(), unread };
    let kind = if grouped && relation.kind == Kind::Stream { Kind::Groups } else { relation.kind };
    Relation { scope, kind, order: None, ..relation }
}

/// The name that it would have; none of a wildcard.
fn refused_item(scope: &Scope, item: &SelectItem) -> Option<Item> {
    let (shown, at) = match item {
        SelectItem::UnnamedExpr(sql) => (column_name(sql, scope), start(sql)),
        SelectItem::ExprWithAlias { alias, .. } => (alias.value.clone(), alias.span.start),
        _ => return None,
    };
    Some(Item { shown, typed: Typed::refused(), at })
}

/// Whether an aggregate takes part in it.
fn aggregated(expr: &Expr) -> bool {
    expr.column_refs().iter().any(|column: &&Column| super::is_aggregate_name(&column.name))
}

fn aliases(items: &[Item]) -> Vec<(String, Typed)> {
    items.iter().map(|item| (item.shown.to_lowercase(), item.typed.clone())).collect()
}
