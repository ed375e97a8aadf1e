//! The aggregate, taken apart: partial over a chunk's rows, reducing over states, final over merged states.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, Result, TableReference, plan_err};
use datafusion::datasource::provider_as_source;
use datafusion::execution::session_state::SessionState;
use datafusion::functions_aggregate::expr_fn::{count, min};
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, lit};
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};

use super::slot::{SlotExec, SlotProvider, relabelled};
use super::{ROWS, STATE, carried, physical};
use crate::SEQUENCE;
use crate::bind::{EntryKind, Grouping, KeyColumn, KeyRole, Order, WindowShape, group_column};
use crate::query::{SessionColumns, StateTable};

#[derive(Debug)]
pub struct Aggregation {
    pub keys: Vec<KeyColumn>,
    pub sets: Option<Vec<Vec<bool>>>,
    pub window: Option<WindowShape>,
    /// Keys and arguments, without columns that only lateness needs.
    pub rows: SchemaRef,
    pub main: StatePlans,
    /// Numbers of the aggregates that `main` holds, in its order.
    pub folded: Vec<usize>,
    pub entries: Vec<EntryPlan>,
    /// Keys, then the final value of each aggregate.
    pub groups: SchemaRef,
    pub above: Arc<dyn ExecutionPlan>,
    pub order: Option<Order>,
}

/// One accumulator table's plans.
#[derive(Debug)]
pub struct StatePlans {
    pub partial: Arc<dyn ExecutionPlan>,
    pub reduce: Arc<dyn ExecutionPlan>,
    pub calls: Vec<Arc<AggregateFunctionExpr>>,
    /// As DataFusion names the state columns.
    pub states: SchemaRef,
    /// As they are stored.
    pub stored: SchemaRef,
}

#[derive(Debug)]
pub struct EntryPlan {
    /// Columns of the rows with the values.
    pub values: Vec<usize>,
    pub list: bool,
    pub readers: Vec<(usize, EntryKind)>,
    /// Of distinct values: keys and values with their count and, where the order counts, their first place.
    pub plans: Option<StatePlans>,
    pub stored: SchemaRef,
    /// Values kept a group.
    pub limit: Option<usize>,
}

impl Aggregation {
    pub fn new(
        state: &SessionState,
        grouping: &Grouping,
        below: &SchemaRef,
        above: Arc<dyn ExecutionPlan>,
        order: Option<Order>,
        limit: Option<usize>,
    ) -> Result<Self> {
        let rows = rows_schema(grouping, below);
        let keys: Vec<Expr> = grouping.keys.iter().map(|key| column(&key.name)).collect();
        let mut calls: Vec<Expr> =
            grouping.folded.iter().map(|(index, call)| call.clone().alias(format!("__agg{index}"))).collect();
        if calls.is_empty() && keys.is_empty() {
            // A group without key and state: it is there once anything was counted.
            calls.push(count(lit(1_i64)).alias("__any"));
        }
        let main = StatePlans::new(state, &rows, &keys, calls)?;
        let entries = grouping.entries.iter().map(|table| {
            let find = |name: &String| match rows.index_of(name) {
                Ok(index) => Ok(index),
                Err(error) => plan_err!("{error}"),
            };
            let values = table.values.iter().map(|(name, _)| find(name)).collect::<Result<Vec<_>>>()?;
            let unbounded = table.readers.iter().any(|(_, kind)| kind.is_unbounded());
            let limit = limit.filter(|_| unbounded);
            EntryPlan::new(state, &rows, grouping, values, table.list, table.readers.clone(), limit)
        });
        let entries = entries.collect::<Result<Vec<_>>>()?;
        let types = grouping.keys.iter().map(|key| &key.data_type).chain(&grouping.types);
        let fields = types.enumerate().map(|(i, data_type)| Field::new(group_column(i), data_type.clone(), true));
        Ok(Self {
            keys: grouping.keys.clone(),
            sets: grouping.sets.clone(),
            window: grouping.window,
            groups: Arc::new(Schema::new(fields.collect::<Vec<_>>())),
            rows,
            main,
            folded: grouping.folded.iter().map(|(index, _)| *index).collect(),
            entries,
            above,
            order,
        })
    }

    pub fn key_with(&self, role: KeyRole) -> Option<usize> {
        self.keys.iter().position(|key| key.role == role)
    }

    pub fn session(&self) -> Option<SessionColumns> {
        Some(SessionColumns { start: self.key_with(KeyRole::SessionStart)?, end: self.key_with(KeyRole::SessionEnd)? })
    }

    pub fn main_table(&self) -> StateTable {
        self.table(&self.main.stored, self.keys.len(), false)
    }

    pub fn entry_tables(&self) -> Vec<StateTable> {
        let table = |entry: &EntryPlan| {
            let more = if entry.list { 2 } else { entry.values.len() };
            self.table(&entry.stored, self.keys.len() + more, entry.limit.is_some())
        };
        self.entries.iter().map(table).collect()
    }

    fn table(&self, schema: &SchemaRef, key_columns: usize, limited: bool) -> StateTable {
        let window_length = match self.window {
            Some(WindowShape::Fixed { size, .. }) => size,
            _ => 0,
        };
        StateTable {
            schema: Arc::clone(schema),
            key_columns,
            group_columns: self.keys.len(),
            window_start: self.key_with(KeyRole::WindowStart).or(self.key_with(KeyRole::SessionStart)),
            window_length,
            session: self.session(),
            limited,
        }
    }
}

impl StatePlans {
    fn new(state: &SessionState, rows: &SchemaRef, keys: &[Expr], calls: Vec<Expr>) -> Result<Self> {
        let provider = Arc::new(SlotProvider::new(ROWS, Arc::clone(rows)));
        let plan = LogicalPlanBuilder::scan(TableReference::bare(ROWS), provider_as_source(provider), None)?
            .aggregate(keys.to_vec(), calls)?
            .build()?;
        let whole = physical(state, &plan)?;
        let mut found: Option<Arc<dyn ExecutionPlan>> = None;
        whole.apply(|node| {
            let own = node.downcast_ref::<AggregateExec>();
            if own.is_some_and(|own| matches!(own.mode(), AggregateMode::Single | AggregateMode::Partial)) {
                found = Some(Arc::clone(node));
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
        let Some(own) = found.as_ref().and_then(|found| found.downcast_ref::<AggregateExec>()) else {
            return plan_err!("the aggregate is gone");
        };
        let part = |mode, group: Arc<_>, filters, input| -> Result<Arc<dyn ExecutionPlan>> {
            let calls = own.aggr_expr().to_vec();
            Ok(Arc::new(AggregateExec::try_new(mode, group, calls, filters, input, own.input_schema())?))
        };
        let group = Arc::new(own.group_expr().clone());
        let partial =
            part(AggregateMode::Partial, Arc::clone(&group), own.filter_expr().to_vec(), Arc::clone(own.input()))?;
        let schema = partial.schema();
        let states = relabelled(&schema, |i| schema.field(i).name().clone());
        let leaf: Arc<dyn ExecutionPlan> = Arc::new(SlotExec::new(STATE, &states, None)?);
        let merged = Arc::new(group.as_final());
        let calls = own.aggr_expr().to_vec();
        let reduce = part(AggregateMode::PartialReduce, merged, vec![None; calls.len()], leaf)?;
        let width = keys.len();
        let stored = relabelled(&schema, |i| {
            if i < width { schema.field(i).name().clone() } else { format!("__state{}", i - width) }
        });
        Ok(Self { partial, reduce, calls, states, stored })
    }
}

impl EntryPlan {
    fn new(
        state: &SessionState,
        rows: &SchemaRef,
        grouping: &Grouping,
        values: Vec<usize>,
        list: bool,
        readers: Vec<(usize, EntryKind)>,
        limit: Option<usize>,
    ) -> Result<Self> {
        let width = grouping.keys.len();
        if list {
            let mut fields: Vec<Field> = rows.fields()[..width].iter().map(|field| field.as_ref().clone()).collect();
            fields.push(Field::new(SEQUENCE, DataType::UInt64, true));
            fields.push(Field::new("__ord", DataType::UInt32, true));
            fields.extend(
                values
                    .iter()
                    .enumerate()
                    .map(|(i, value)| Field::new(format!("__value{i}"), rows.field(*value).data_type().clone(), true)),
            );
            let stored = Arc::new(Schema::new(fields));
            return Ok(Self { values, list, readers, plans: None, stored, limit });
        }
        let names = grouping.keys.iter().map(|key| key.name.clone());
        let keys: Vec<Expr> = names
            .chain(values.iter().map(|value| rows.field(*value).name().clone()))
            .map(|name| column(&name))
            .collect();
        let mut calls = vec![count(lit(1_i64)).alias("__count")];
        if rows.index_of(&carried(SEQUENCE)).is_ok() {
            calls.push(min(column(&carried(SEQUENCE))).alias("__first"));
        }
        let plans = StatePlans::new(state, rows, &keys, calls)?;
        let names = |i: usize| match i {
            i if i < width => format!("__key{i}"),
            i if i < width + values.len() => format!("__value{}", i - width),
            i => format!("__state{}", i - width - values.len()),
        };
        let stored = relabelled(&plans.stored, names);
        Ok(Self { values, list, readers, plans: Some(plans), stored, limit })
    }
}

/// Keys first, a grouping id among them, then everything else but lateness.
fn rows_schema(grouping: &Grouping, below: &SchemaRef) -> SchemaRef {
    let mut fields: Vec<Field> =
        grouping.keys.iter().map(|key| Field::new(&key.name, key.data_type.clone(), true)).collect();
    let lateness = [carried(crate::WATERMARK), carried(crate::ROW)];
    let rest = below
        .fields()
        .iter()
        .filter(|field| !lateness.contains(field.name()) && !grouping.keys.iter().any(|key| key.name == *field.name()));
    fields.extend(rest.map(|field| field.as_ref().clone().with_nullable(true)));
    Arc::new(Schema::new(fields))
}

fn column(name: &str) -> Expr {
    Expr::Column(Column::new_unqualified(name))
}
