//! Whether what is stored of a result is computed by its SQL: a text that is equal where it is.
//!
//! The text holds what stands below the aggregate and the aggregates. Types of the input are not in it, nor casts to wider
//! numbers, nor types of numbers where the state is of their type: whether stored tables have the types, or narrower ones,
//! is for others to see.

use std::fmt::Write;
use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::type_coercion::functions::fields_with_udf;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Cast, Expr, ExprSchemable, LogicalPlan};
use datafusion::optimizer::optimize_projections::OptimizeProjections;
use datafusion::optimizer::{Optimizer, OptimizerContext};
use datafusion::scalar::ScalarValue;

use super::FRESH;
use super::query::Bound;
use crate::query::Input;
use crate::types::{is_number, spark_name, widest};

pub fn fingerprint(bound: &Bound, input: &Input, limit: Option<usize>) -> Result<String> {
    let mut text = String::new();
    let Some(grouping) = &bound.grouping else {
        for column in &bound.scope.columns {
            let _ = writeln!(text, "{}", column.shown);
        }
        return Ok(text);
    };
    let _ = writeln!(text, "from {input:?}");
    let read = Optimizer::with_rules(vec![Arc::new(OptimizeProjections::new())]);
    let below = read.optimize(grouping.below.clone(), &OptimizerContext::new(), |_, _| {})?;
    for line in untyped(below)?.display_indent().to_string().lines() {
        // Which columns are read is seen where they are used; their order means nothing.
        let line = if line.contains("TableScan: ") { line.split(" projection=").next().unwrap_or(line) } else { line };
        let _ = writeln!(text, "{line}");
    }
    details(&grouping.below, &mut text)?;
    for key in &grouping.keys {
        let _ = writeln!(text, "key {:?} {}", key.role, spark_name(&key.data_type));
    }
    for (_, call) in &grouping.folded {
        let _ = writeln!(text, "aggregate {call} of ({})", inputs(call, grouping.below.schema())?.join(", "));
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

/// Aggregates whose state is as wide as the numbers that they take, or wide enough for all.
const OF_ANY_WIDTH: [&str; 11] =
    ["min", "max", "sum", "try_sum", "avg", "first", "last", "any_value", "min_by", "max_by", "percentile_approx"];

/// The types that an aggregate takes its arguments as; a count looks at none.
fn inputs(call: &Expr, below: &DFSchema) -> Result<Vec<String>> {
    let Expr::AggregateFunction(aggregate) = call else { return Ok(Vec::new()) };
    if aggregate.func.name() == "count" {
        return Ok(Vec::new());
    }
    let given = aggregate.params.args.iter().map(|arg| Ok(arg.to_field(below)?.1)).collect::<Result<Vec<_>>>()?;
    let taken = fields_with_udf(&given, aggregate.func.as_ref())?;
    let of_any_width = OF_ANY_WIDTH.contains(&aggregate.func.name());
    let name = |t: &DataType| spark_name(&if of_any_width { widest_numbers(t) } else { t.clone() });
    Ok(taken.iter().map(|field| name(field.data_type())).collect())
}

/// The type with doubles for all its numbers.
fn widest_numbers(t: &DataType) -> DataType {
    let field = |field: &FieldRef| Arc::new(field.as_ref().clone().with_data_type(widest_numbers(field.data_type())));
    match t {
        number if is_number(number) => DataType::Float64,
        DataType::List(item) => DataType::List(field(item)),
        DataType::Map(entries, sorted) => DataType::Map(field(entries), *sorted),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(field).collect()),
        other => other.clone(),
    }
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
        Expr::Literal(value, metadata) if is_number(&value.data_type()) => match plain_number(&value) {
            Some(plain) => Transformed::yes(Expr::Literal(plain, metadata)),
            None => Transformed::no(Expr::Literal(value, metadata)),
        },
        other => Transformed::no(other),
    })
}

/// A number whatever its type: a bigint, or a double where that is as near.
fn plain_number(value: &ScalarValue) -> Option<ScalarValue> {
    let bigint = value.cast_to(&DataType::Int64).ok()?;
    if bigint.cast_to(&value.data_type()).is_ok_and(|back| back == *value) {
        return Some(bigint);
    }
    // The shortest digits of a float are those that were written.
    let text = value.cast_to(&DataType::Utf8).ok()?;
    text.cast_to(&DataType::Float64).ok()
}

/// What plans do not show: which rows an empty list gives, and the types of numbers whose digits are looked at, as in a text
/// of a decimal.
fn details(plan: &LogicalPlan, text: &mut String) -> Result<()> {
    plan.apply(|node| {
        if let LogicalPlan::Unnest(unnest) = node {
            let _ = writeln!(text, "unnest {:?}", unnest.options.null_handling);
        }
        let schema = merge_schema(&node.inputs());
        node.apply_expressions(|expr| {
            expr.apply(|part| {
                for number in numbers_read(part, &schema)? {
                    let _ = writeln!(text, "digits of {}", spark_name(&number));
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(())
}

/// Types of the numbers whose digits a call or cast makes something else of, or which it takes as a text. A text of an
/// integer does not show its type; a hash does.
fn numbers_read(expr: &Expr, schema: &DFSchema) -> Result<Vec<DataType>> {
    Ok(match expr {
        Expr::Cast(cast) => read_for(&cast.expr.get_type(schema)?, None, cast.field.data_type()),
        Expr::ScalarFunction(call) => {
            let given = call.args.iter().map(|arg| Ok(arg.to_field(schema)?.1)).collect::<Result<Vec<_>>>()?;
            if OF_TYPES.contains(&call.name()) {
                return Ok(given.iter().flat_map(|of| numbers_in(of.data_type())).collect());
            }
            let taken = fields_with_udf(&given, call.func.as_ref())?;
            let made = expr.get_type(schema)?;
            let read = |(given, taken): (&FieldRef, &FieldRef)| read_for(given.data_type(), Some(taken), &made);
            given.iter().zip(&taken).flat_map(read).collect()
        }
        _ => Vec::new(),
    })
}

/// Functions that give other values for other types.
const OF_TYPES: [&str; 3] = ["hash", "xxhash64", "typeof"];

/// Numbers in an argument whose digits are seen in what is made of it: of a number unless it is taken and given back as
/// one, of what holds numbers where they have become a text.
fn read_for(given: &DataType, taken: Option<&FieldRef>, made: &DataType) -> Vec<DataType> {
    let by_value = |t: &DataType| is_number(t) || *t == DataType::Boolean;
    let is_read = if is_number(given) {
        !by_value(made) || taken.is_some_and(|taken| !is_number(taken.data_type()))
    } else {
        !by_value(made) && numbers_in(made).is_empty()
    };
    let mut read = numbers_in(given);
    read.retain(|t| is_read && !t.is_integer());
    read
}

/// The types of numbers in a value.
fn numbers_in(t: &DataType) -> Vec<DataType> {
    match t {
        number if is_number(number) => vec![number.clone()],
        DataType::List(item) | DataType::Map(item, _) => numbers_in(item.data_type()),
        DataType::Struct(fields) => fields.iter().flat_map(|field| numbers_in(field.data_type())).collect(),
        _ => Vec::new(),
    }
}
