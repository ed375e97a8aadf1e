//! Whether what is stored of a result fits its SQL: a text that is equal where it does.
//!
//! The text holds what stands below the aggregate and the types of the state. Types of the input are not in it, nor casts
//! to wider numbers, so that a column that becomes a bigint leaves a sum of it, which was one all along, as it was.

use std::fmt::Write;
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::type_coercion::functions::fields_with_udf;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Cast, Expr, ExprSchemable, LogicalPlan};
use datafusion::optimizer::optimize_projections::OptimizeProjections;
use datafusion::optimizer::{Optimizer, OptimizerContext};
use datafusion::scalar::ScalarValue;

use super::FRESH;
use super::query::Bound;
use crate::plan::Parts;
use crate::query::Input;
use crate::types::{is_number, normal, spark_name, widest};

pub fn fingerprint(bound: &Bound, input: &Input, parts: &Parts, limit: Option<usize>) -> Result<String> {
    let mut text = String::new();
    let (Some(grouping), Some(aggregation)) = (&bound.grouping, &parts.aggregation) else {
        for column in &bound.scope.columns {
            let _ = writeln!(text, "{} {}", column.shown, spark_name(&normal(&column.data_type)));
        }
        return Ok(text);
    };
    let _ = writeln!(text, "from {input:?}");
    let read = Optimizer::with_rules(vec![Arc::new(OptimizeProjections::new())]);
    let below = read.optimize(grouping.below.clone(), &OptimizerContext::new(), |_, _| {})?;
    let _ = writeln!(text, "{}", untyped(below)?.display_indent());
    for key in &grouping.keys {
        let _ = writeln!(text, "key {:?} {}", key.role, spark_name(&key.data_type));
    }
    for (_, call) in &grouping.folded {
        let _ = writeln!(text, "aggregate {call} of ({})", inputs(call, grouping.below.schema())?.join(", "));
    }
    let tables = aggregation.entry_tables().into_iter().chain([aggregation.main_table()]);
    for table in tables {
        let types = table.schema.fields().iter().map(|field| spark_name(field.data_type()));
        let _ = writeln!(text, "state {}", types.collect::<Vec<_>>().join(", "));
    }
    for table in &grouping.entries {
        let values: Vec<&str> = table.values.iter().map(|(name, _)| name.as_str()).collect();
        let _ = writeln!(text, "entries {} list={} limit={limit:?}", values.join(","), table.list);
    }
    let _ = writeln!(text, "window {:?} sets {:?}", grouping.window, grouping.sets);
    Ok(renumbered(&text))
}

/// Columns numbered by their first appearance: those that nothing reads take numbers too.
fn renumbered(text: &str) -> String {
    let mut parts = text.split(FRESH);
    let mut renumbered = parts.next().unwrap_or_default().to_owned();
    let mut seen: Vec<&str> = Vec::new();
    for part in parts {
        let (number, rest) = part.split_at(part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len()));
        let place = seen.iter().position(|known| *known == number).unwrap_or_else(|| {
            seen.push(number);
            seen.len() - 1
        });
        let _ = write!(renumbered, "{FRESH}{place}{rest}");
    }
    renumbered
}

/// The types that an aggregate takes its arguments as; a count looks at none.
fn inputs(call: &Expr, below: &DFSchema) -> Result<Vec<String>> {
    let Expr::AggregateFunction(aggregate) = call else { return Ok(Vec::new()) };
    if aggregate.func.name() == "count" {
        return Ok(Vec::new());
    }
    let given = aggregate.params.args.iter().map(|arg| Ok(arg.to_field(below)?.1)).collect::<Result<Vec<_>>>()?;
    let taken = fields_with_udf(&given, aggregate.func.as_ref())?;
    Ok(taken.iter().map(|field| spark_name(field.data_type())).collect())
}

/// The plan without casts of numbers to wider ones, integer literals all being bigints.
fn untyped(plan: LogicalPlan) -> Result<LogicalPlan> {
    let plan = plan.transform_up(|plan| {
        let schema = merge_schema(&plan.inputs());
        plan.map_expressions(|expr| expr.transform_up(|expr| untyped_expr(expr, &schema)))
    })?;
    Ok(plan.data)
}

fn untyped_expr(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    Ok(match expr {
        Expr::Cast(Cast { expr, field }) => {
            let (from, to) = (expr.get_type(schema)?, field.data_type());
            if is_number(&from) && is_number(to) && widest(&from, to).as_ref() == Some(to) {
                Transformed::yes(*expr)
            } else {
                Transformed::no(Expr::Cast(Cast { expr, field }))
            }
        }
        Expr::Literal(value, metadata) if value.data_type().is_integer() => match value.cast_to(&DataType::Int64) {
            Ok(value @ ScalarValue::Int64(_)) => Transformed::yes(Expr::Literal(value, metadata)),
            _ => Transformed::no(Expr::Literal(value, metadata)),
        },
        other => Transformed::no(other),
    })
}
