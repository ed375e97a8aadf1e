//! GROUP BY: cutting the query at its aggregate.
//!
//! Below stands a projection to `__key0..`, the group's columns, and `__arg0..`, what the aggregates take; above, a plan
//! over `__key0..` and `__agg0..`. A window's key is its start; the struct is made again above.

use arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, TableReference};
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::expr::{AggregateFunction, AggregateFunctionParams};
use datafusion::logical_expr::sqlparser::ast::{Expr as Sql, Function, GroupByExpr, GroupByWithModifier};
use datafusion::logical_expr::sqlparser::tokenizer::Location;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, Operator, lit};
use manade_functions::normalized;
use std::sync::Arc;

use super::aggregate::{AggregateCall, EntryKind, aggregate_name, is_aggregate_name};
use super::arith::plain_cast;
use super::expr::{Context, join, start};
use super::function::structure;
use super::query::{Kind, Relation};
use super::scope::{Scope, Typed};
use super::select::{Item, SortKey};
use super::window::{WindowShape, later, marker, window_start, window_starts};
use super::{Bind, Binder};
use crate::plan::{GROUPS, SlotProvider};
use crate::types::{normal, timestamp};

/// What GROUP BY asks for.
#[derive(Default)]
pub struct GroupBy {
    pub exprs: Vec<Typed>,
    /// For ROLLUP, CUBE and GROUPING SETS: which of `exprs` each set has.
    pub sets: Option<Vec<Vec<bool>>>,
    pub written: bool,
    /// `GROUP BY ALL`.
    pub all: bool,
}

/// The query's aggregation.
#[derive(Debug, Clone)]
pub struct Grouping {
    /// Yields keys, arguments and carried columns.
    pub below: LogicalPlan,
    pub keys: Vec<KeyColumn>,
    /// Calls over columns of `below`, with their number among all calls.
    pub folded: Vec<(usize, Expr)>,
    pub entries: Vec<EntryTable>,
    /// Types of `__agg0..`.
    pub types: Vec<DataType>,
    pub sets: Option<Vec<Vec<bool>>>,
    pub window: Option<WindowShape>,
    /// Replacements of the group's expressions above, in their order.
    pub shown: Vec<Expr>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct KeyColumn {
    pub name: String,
    pub data_type: DataType,
    pub role: KeyRole,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyRole {
    Plain,
    WindowStart,
    SessionStart,
    SessionEnd,
    /// Which columns of the key were left out by ROLLUP: Spark's `grouping_id`.
    GroupingId,
}

/// Aggregates that read the same values share a table.
#[derive(Debug, Clone, PartialEq)]
pub struct EntryTable {
    /// Columns of `below`.
    pub values: Vec<(String, DataType)>,
    /// Every value with its place, instead of distinct values with counts.
    pub list: bool,
    /// Number of the call, and what it makes of the values.
    pub readers: Vec<(usize, EntryKind)>,
}

const GROUPING_ID: &str = "__grouping_id";

impl Binder<'_> {
    /// Reads GROUP BY; `bind` binds one expression.
    pub fn grouping_sets(
        &mut self,
        group_by: &GroupByExpr,
        mut bind: impl FnMut(&mut Self, &Sql) -> Bind<Typed>,
    ) -> Bind<GroupBy> {
        let (exprs, modifiers) = match group_by {
            GroupByExpr::All(_) => return Ok(GroupBy { written: true, all: true, ..GroupBy::default() }),
            GroupByExpr::Expressions(exprs, modifiers) => (exprs, modifiers),
        };
        let mut groups = GroupBy { written: !exprs.is_empty(), ..GroupBy::default() };
        // Each element contributes alternatives of expression numbers; the sets are their product.
        let mut sets: Vec<Vec<usize>> = vec![Vec::new()];
        let mut several = false;
        let mut refused = None;
        let mut number = |binder: &mut Self, groups: &mut GroupBy, sql: &Sql| -> Bind<usize> {
            let typed = bind(binder, sql)?;
            if let Some(i) = groups.exprs.iter().position(|each| each.expr == typed.expr) {
                return Ok(i);
            }
            groups.exprs.push(typed);
            Ok(groups.exprs.len() - 1)
        };
        let mut numbers = |binder: &mut Self, groups: &mut GroupBy, lists: &[Vec<Sql>]| -> Bind<Vec<Vec<usize>>> {
            lists.iter().map(|list| list.iter().map(|sql| number(binder, groups, sql)).collect()).collect()
        };
        let mut elements: Vec<Sql> = exprs.clone();
        for modifier in modifiers {
            let all: Vec<Vec<Sql>> = elements.iter().map(|expr| vec![expr.clone()]).collect();
            match modifier {
                GroupByWithModifier::Rollup => elements = vec![Sql::Rollup(all)],
                GroupByWithModifier::Cube => elements = vec![Sql::Cube(all)],
                GroupByWithModifier::GroupingSets(sets) => elements = vec![sets.clone()],
                GroupByWithModifier::Totals => {
                    return Err(self.refuse_plain(Location::empty(), "WITH TOTALS is not Spark SQL"));
                }
            }
        }
        for element in &elements {
            let alternatives = match element {
                Sql::Rollup(lists) => numbers(self, &mut groups, lists).map(|lists| rollup(&lists)),
                Sql::Cube(lists) => numbers(self, &mut groups, lists).map(|lists| cube(&lists)),
                Sql::GroupingSets(lists) => numbers(self, &mut groups, lists),
                Sql::Tuple(list) => numbers(self, &mut groups, std::slice::from_ref(list)),
                plain => numbers(self, &mut groups, &[vec![plain.clone()]]),
            };
            several |= matches!(element, Sql::Rollup(_) | Sql::Cube(_) | Sql::GroupingSets(_));
            match alternatives {
                Ok(alternatives) => {
                    sets = sets
                        .iter()
                        .flat_map(|set| alternatives.iter().map(move |more| [set.as_slice(), more].concat()))
                        .collect();
                }
                Err(error) => refused = Some(error),
            }
            if sets.len() > 256 {
                return Err(self.refuse_plain(start(element), "more than 256 grouping sets"));
            }
        }
        if let Some(refused) = refused {
            return Err(refused);
        }
        if several {
            groups.sets =
                Some(sets.iter().map(|set| (0..groups.exprs.len()).map(|i| set.contains(&i)).collect()).collect());
        }
        Ok(groups)
    }

    /// `grouping(x)`, `grouping_id(x, ...)`: read from the hidden grouping id.
    pub fn grouping_function(
        &mut self,
        cx: &Context<'_>,
        name: &str,
        function: &Function,
        at: Location,
    ) -> Bind<Typed> {
        let args = self.arguments(function, at)?;
        let count = self.groups.len();
        let inner = Context { aggregates: false, ..cx.clone() };
        let mut bits = Vec::new();
        for arg in &args {
            let typed = self.expr(&inner, arg)?;
            match self.groups.iter().position(|group| group.expr == typed.expr) {
                Some(i) => bits.push(i),
                None => return Err(self.refuse_plain(start(arg), format!("`{name}` takes columns of GROUP BY"))),
            }
        }
        if bits.is_empty() {
            bits = (0..count).collect();
        }
        let id = Expr::Column(Column::new_unqualified(GROUPING_ID));
        let many = bits.len();
        let mut value: Option<Expr> = None;
        for (place, bit) in bits.into_iter().enumerate() {
            let right = join(id.clone(), Operator::BitwiseShiftRight, lit((count - 1 - bit) as i64));
            let one = join(right, Operator::BitwiseAnd, lit(1_i64));
            let shifted = join(one, Operator::BitwiseShiftLeft, lit((many - 1 - place) as i64));
            value = Some(match value {
                Some(value) => join(value, Operator::BitwiseOr, shifted),
                None => shifted,
            });
        }
        let target = if name == "grouping" { DataType::Int8 } else { DataType::Int64 };
        match value {
            Some(value) => Ok(Typed::new(plain_cast(value, &target), target)),
            None => Err(self.refuse_plain(at, format!("`{name}` without GROUP BY"))),
        }
    }

    /// Cuts here. Returns the groups as a relation, and the expressions in terms of its columns.
    #[expect(clippy::type_complexity, reason = "what goes in comes out, rewritten")]
    pub fn aggregated(
        &mut self,
        relation: Relation,
        groups: GroupBy,
        items: Vec<Item>,
        having: Option<(Typed, Location)>,
        order: Vec<SortKey>,
    ) -> Bind<(Relation, Vec<Item>, Option<(Typed, Location)>, Vec<SortKey>)> {
        let at = items.first().map_or(Location::empty(), |item| item.at);
        if self.grouping.is_some() {
            return Err(self.refuse_plain(at, "two aggregates in one query"));
        }
        let mut cut = self.keys(&groups, at)?;
        let calls = std::mem::take(&mut self.aggregates);
        let mut arguments = Arguments::default();
        for (index, (call, _)) in calls.iter().enumerate() {
            match call {
                AggregateCall::Folded { function, args, filter, nulls } => {
                    let params = AggregateFunctionParams {
                        args: args.iter().map(|arg| arguments.column(arg)).collect(),
                        distinct: false,
                        filter: filter.as_ref().map(|filter| Box::new(arguments.column(filter))),
                        order_by: Vec::new(),
                        null_treatment: *nulls,
                    };
                    let call = AggregateFunction { func: Arc::clone(function), params };
                    cut.folded.push((index, Expr::AggregateFunction(call)));
                }
                AggregateCall::Entry(call) => arguments.entry(index, call),
            }
        }
        cut.types = calls.iter().map(|(_, data_type)| normal(data_type)).collect();
        Self::entry_tables(&mut cut, &mut arguments);
        cut.below = self.below(relation, &groups.exprs, &cut, arguments.exprs, at)?;
        let above = self.groups_scan(&cut, at)?;
        let problem = |binder: &mut Self, typed: &Typed, at: Location| {
            Ok(Typed::new(binder.above(&typed.expr, &groups, &cut, &calls, at)?, typed.data_type.clone()))
        };
        let mut rewritten = Vec::new();
        let mut refused = None;
        for item in items {
            match problem(self, &item.typed, item.at) {
                Ok(typed) => rewritten.push(Item { typed, ..item }),
                Err(error) => refused = Some(error),
            }
        }
        let having = having.map(|(typed, at)| Ok((problem(self, &typed, at)?, at))).transpose()?;
        let order = order
            .into_iter()
            .map(|key| Ok(SortKey { typed: problem(self, &key.typed, key.at)?, ..key }))
            .collect::<Bind<Vec<_>>>()?;
        if let Some(refused) = refused {
            return Err(refused);
        }
        self.grouping = Some(cut);
        Ok((above, rewritten, having, order))
    }

    /// Key columns, and what stands for the group's expressions above.
    fn keys(&mut self, groups: &GroupBy, at: Location) -> Bind<Grouping> {
        let mut cut = Grouping {
            below: LogicalPlanBuilder::empty(true).build().map_err(|error| self.internal(at, &error))?,
            keys: Vec::new(),
            folded: Vec::new(),
            entries: Vec::new(),
            types: Vec::new(),
            sets: None,
            window: None,
            shown: Vec::new(),
        };
        let mut session = None;
        for group in &groups.exprs {
            let shown = match marker(&group.expr) {
                None => {
                    let data_type = normal(&group.data_type);
                    if matches!(data_type, DataType::Map(..)) {
                        return Err(self.refuse(at, "a map cannot be grouped by", "group by its elements"));
                    }
                    let key = cut.key(data_type.clone(), KeyRole::Plain);
                    if data_type == group.data_type { key } else { plain_cast(key, &group.data_type) }
                }
                Some((shape, _)) => {
                    if cut.window.is_some() || session.is_some() {
                        return Err(self.refuse_plain(at, "a query groups by one window"));
                    }
                    cut.window = Some(shape);
                    match shape {
                        WindowShape::Fixed { size, .. } => {
                            let start = cut.key(timestamp(), KeyRole::WindowStart);
                            let end = later(start.clone(), size);
                            window_of(start, end)
                        }
                        WindowShape::Session { .. } => {
                            session = Some(cut.shown.len());
                            lit(0)
                        }
                    }
                }
            };
            cut.shown.push(shown);
        }
        if let Some(sets) = &groups.sets {
            cut.key(DataType::Int64, KeyRole::GroupingId);
            cut.sets = Some(sets.clone());
        }
        if let Some(place) = session {
            if groups.sets.is_some() {
                return Err(self.refuse_plain(at, "session windows do not go with ROLLUP, CUBE and GROUPING SETS"));
            }
            let start = cut.key(timestamp(), KeyRole::SessionStart);
            let end = cut.key(timestamp(), KeyRole::SessionEnd);
            cut.shown[place] = window_of(start, end);
        }
        Ok(cut)
    }

    /// Values of entry aggregates as columns; a list also needs its order, which comes with the events.
    fn entry_tables(cut: &mut Grouping, arguments: &mut Arguments) {
        for (index, kind, values) in std::mem::take(&mut arguments.entries) {
            let list = kind.is_list();
            let values: Vec<(String, DataType)> = values
                .iter()
                .map(|value| match arguments.column(value) {
                    Expr::Column(column) => column.name,
                    _ => arguments.force(value),
                })
                .map(|name| (name, DataType::Null))
                .collect();
            // A result's `limit` cuts off the values of those that show them, which others must still count.
            let shared = |table: &&mut EntryTable| {
                let alike = table.readers.iter().all(|(_, other)| other.is_unbounded() == kind.is_unbounded());
                table.values == values && table.list == list && alike
            };
            match cut.entries.iter_mut().find(shared) {
                Some(table) => table.readers.push((index, kind)),
                None => cut.entries.push(EntryTable { values, list, readers: vec![(index, kind)] }),
            }
        }
    }

    /// The projection below the aggregate.
    fn below(
        &mut self,
        relation: Relation,
        groups: &[Typed],
        cut: &Grouping,
        args: Vec<Expr>,
        at: Location,
    ) -> Bind<LogicalPlan> {
        let mut items = Vec::new();
        let mut unnest = None;
        let mut rest = groups.iter();
        for key in &cut.keys {
            let expr = match key.role {
                KeyRole::GroupingId => continue,
                KeyRole::SessionEnd => {
                    let start = items.last().map_or_else(|| lit(0), |(expr, _): &(Expr, String)| expr.clone());
                    let Some(WindowShape::Session { gap }) = cut.window else { continue };
                    later(start, gap)
                }
                KeyRole::SessionStart => {
                    let window = groups.iter().find_map(|group| marker(&group.expr));
                    window.map_or_else(|| lit(0), |(_, time)| time.clone())
                }
                KeyRole::Plain | KeyRole::WindowStart => {
                    let group = rest
                        .by_ref()
                        .find(|group| !matches!(marker(&group.expr), Some((WindowShape::Session { .. }, _))));
                    let Some(group) = group else { continue };
                    match marker(&group.expr) {
                        Some((WindowShape::Fixed { size, slide, offset }, time)) if slide < size => {
                            unnest = Some(key.name.clone());
                            window_starts(time.clone(), size, slide, offset)
                        }
                        Some((WindowShape::Fixed { size, offset, .. }, time)) => {
                            window_start(time.clone(), size, offset)
                        }
                        _ => {
                            let is_cast = group.data_type != key.data_type;
                            let expr = group.expr.clone();
                            let typed = if is_cast { plain_cast(expr, &key.data_type) } else { expr };
                            normalized(typed, &key.data_type)
                        }
                    }
                }
            };
            items.push((expr, key.name.clone()));
        }
        items.extend(args.into_iter().enumerate().map(|(i, arg)| (arg, argument_name(i))));
        let plan = self.project(relation.plan, items, &relation.hidden, at)?;
        match unnest {
            None => Ok(plan),
            Some(name) => LogicalPlanBuilder::from(plan)
                .unnest_column(Column::new_unqualified(name))
                .and_then(LogicalPlanBuilder::build)
                .map_err(|error| self.internal(at, &error)),
        }
    }

    fn groups_scan(&mut self, cut: &Grouping, at: Location) -> Bind<Relation> {
        let keys = cut.keys.iter().map(|key| (key.name.clone(), key.data_type.clone()));
        let values = cut.types.iter().enumerate().map(|(i, t)| (aggregate_name(i), t.clone()));
        let (names, types): (Vec<String>, Vec<DataType>) = keys.chain(values).unzip();
        let fields = types.into_iter().enumerate().map(|(i, t)| Field::new(group_column(i), t, true));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let named = names
            .into_iter()
            .enumerate()
            .map(|(i, name)| Expr::Column(Column::new_unqualified(group_column(i))).alias(name));
        let provider = Arc::new(SlotProvider::new(GROUPS, schema));
        let plan = LogicalPlanBuilder::scan(TableReference::bare(GROUPS), provider_as_source(provider), None)
            .and_then(|scan| scan.project(named))
            .and_then(LogicalPlanBuilder::build)
            .map_err(|error| self.internal(at, &error))?;
        let hidden = cut.keys.iter().map(|key| key.name.clone()).collect();
        Ok(Relation { plan, scope: Scope::default(), kind: Kind::Groups, hidden, order: None })
    }

    /// The expression over groups: group expressions are keys, aggregates are columns, nothing else is to be had.
    fn above(
        &mut self,
        expr: &Expr,
        groups: &GroupBy,
        cut: &Grouping,
        calls: &[(AggregateCall, DataType)],
        at: Location,
    ) -> Bind<Expr> {
        let mut stray: Option<Column> = None;
        let rewritten = expr.clone().transform_down(|node| {
            if let Some(i) = groups.exprs.iter().position(|group| group.expr == node) {
                return Ok(Transformed::new(cut.shown[i].clone(), true, TreeNodeRecursion::Jump));
            }
            let Expr::Column(column) = &node else { return Ok(Transformed::no(node)) };
            if column.name == GROUPING_ID {
                let id = cut.keys.iter().find(|key| key.role == KeyRole::GroupingId);
                let id = id.map_or_else(|| lit(0_i64), |key| Expr::Column(Column::new_unqualified(&key.name)));
                return Ok(Transformed::new(id, true, TreeNodeRecursion::Jump));
            }
            if is_aggregate_name(&column.name) {
                let call = calls.iter().enumerate().find(|(i, _)| aggregate_name(*i) == column.name);
                if let Some((_, (_, data_type))) = call
                    && normal(data_type) != *data_type
                {
                    let cast = plain_cast(node.clone(), data_type);
                    return Ok(Transformed::new(cast, true, TreeNodeRecursion::Jump));
                }
            } else if stray.is_none() {
                stray = Some(column.clone());
            }
            Ok(Transformed::no(node))
        });
        if let Some(column) = stray {
            let at =
                column.spans.first().map_or(at, |span| Location { line: span.start.line, column: span.start.column });
            let name = self.column_names.get(&column.name).cloned().unwrap_or(column.name);
            return Err(self.refuse(
                at,
                format!("`{name}` is neither grouped by nor aggregated"),
                format!("add it to GROUP BY, or write any_value({name})"),
            ));
        }
        match rewritten {
            Ok(rewritten) => Ok(rewritten.data),
            Err(error) => Err(self.internal(at, &error)),
        }
    }
}

impl Grouping {
    fn key(&mut self, data_type: DataType, role: KeyRole) -> Expr {
        let name = format!("__key{}", self.keys.len());
        self.keys.push(KeyColumn { name: name.clone(), data_type, role });
        Expr::Column(Column::new_unqualified(name))
    }
}

/// What the aggregates read, each expression once.
#[derive(Default)]
struct Arguments {
    exprs: Vec<Expr>,
    entries: Vec<(usize, EntryKind, Vec<Expr>)>,
}

impl Arguments {
    /// Literals stay where they are: functions look at them when they are planned.
    fn column(&mut self, expr: &Expr) -> Expr {
        let literal = match expr {
            Expr::Literal(..) => true,
            Expr::Cast(cast) => matches!(*cast.expr, Expr::Literal(..)),
            Expr::ScalarFunction(call) => {
                !call.args.is_empty() && call.args.iter().all(|arg| matches!(arg, Expr::Literal(..)))
            }
            _ => false,
        };
        if literal { expr.clone() } else { Expr::Column(Column::new_unqualified(self.force(expr))) }
    }

    fn force(&mut self, expr: &Expr) -> String {
        let known = self.exprs.iter().position(|other| other == expr);
        argument_name(known.unwrap_or_else(|| {
            self.exprs.push(expr.clone());
            self.exprs.len() - 1
        }))
    }

    fn entry(&mut self, index: usize, call: &super::aggregate::EntryCall) {
        self.entries.push((index, call.kind.clone(), call.values.clone()));
    }
}

/// Column of the leaf that holds the groups; plans rename it at once.
pub fn group_column(index: usize) -> String {
    format!("group{index}")
}

fn argument_name(index: usize) -> String {
    format!("__arg{index}")
}

fn window_of(start: Expr, end: Expr) -> Expr {
    let fields = [("start", start), ("end", end)];
    structure(fields.into_iter().map(|(name, expr)| (name.to_owned(), Typed::new(expr, timestamp())))).expr
}

/// All beginnings, the longest first.
fn rollup(lists: &[Vec<usize>]) -> Vec<Vec<usize>> {
    (0..=lists.len()).rev().map(|n| lists[..n].concat()).collect()
}

/// All subsets.
fn cube(lists: &[Vec<usize>]) -> Vec<Vec<usize>> {
    (0..1_usize << lists.len().min(16))
        .rev()
        .map(|mask| {
            lists.iter().enumerate().filter(|(i, _)| mask >> i & 1 == 1).flat_map(|(_, list)| list.clone()).collect()
        })
        .collect()
}
