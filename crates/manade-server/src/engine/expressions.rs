//! A plan's parts as DataFusion expressions over the numbered columns of a scan.

use arrow::compute::SortOptions;
use arrow::datatypes::DataType;
use datafusion::common::Column;
use datafusion::logical_expr::expr::{InList, Like};
use datafusion::logical_expr::{Expr, Operator, binary_expr, lit, not};
use datafusion::scalar::ScalarValue;

use super::access;
use crate::query::cursor::Cursor;
use crate::query::plan::{Cast, Operand, Order, Output, Plan, Predicate};
use crate::query::{Comparison, Is};

/// The scan's key column.
pub const KEY: &str = "key";

pub fn column_name(i: usize) -> String {
    format!("c{i}")
}

fn key() -> Expr {
    named(KEY)
}

/// The output columns, the order's scalars, then the key.
pub fn output(plan: &Plan) -> Vec<Expr> {
    let scalars = plan.order.iter().map(|order| compared(&order.operand));
    plan.output.iter().map(output_of).chain(scalars).chain([key()]).collect()
}

/// What rows of the plan must fulfil.
pub fn filter(plan: &Plan) -> Option<Expr> {
    let after = plan.after.iter().map(|cursor| after(cursor, &plan.order));
    plan.filters.iter().map(predicate).chain(after).reduce(Expr::and)
}

pub fn sorts(plan: &Plan) -> Vec<(Expr, SortOptions)> {
    let sort = |order: &Order| {
        (compared(&order.operand), SortOptions { descending: order.descending, nulls_first: order.nulls_first })
    };
    let by_key = plan.by_key.then(|| (key(), SortOptions { descending: false, nulls_first: false }));
    plan.order.iter().map(sort).chain(by_key).collect()
}

/// The operand's value: text under `->>`.
fn value(operand: &Operand) -> Expr {
    let column = named(&column_name(operand.column));
    if operand.path.is_empty() && !operand.text { column } else { access::call(operand, column) }
}

/// The operand as it is compared: 0 for -0, which is equal to it.
fn compared(operand: &Operand) -> Expr {
    match operand.compared_type() {
        DataType::Float64 => value(operand) + lit(0.0_f64),
        DataType::Float32 => value(operand) + lit(0.0_f32),
        _ => value(operand),
    }
}

fn predicate(of: &Predicate) -> Expr {
    match of {
        Predicate::All(of) => of.iter().map(predicate).reduce(Expr::and).unwrap_or_else(|| lit(true)),
        Predicate::Any(of) => of.iter().map(predicate).reduce(Expr::or).unwrap_or_else(|| lit(false)),
        Predicate::Not(of) => not(predicate(of)),
        Predicate::Compare { operand, comparison, value } => {
            binary_expr(compared(operand), operator(*comparison), lit(value.clone()))
        }
        Predicate::Like { operand, insensitive, pattern } => Expr::Like(Like::new(
            false,
            Box::new(compared(operand)),
            Box::new(lit(ScalarValue::Utf8View(Some(pattern.clone())))),
            None,
            *insensitive,
        )),
        Predicate::Match { operand, insensitive, pattern } => {
            let operator = if *insensitive { Operator::RegexIMatch } else { Operator::RegexMatch };
            binary_expr(compared(operand), operator, lit(ScalarValue::Utf8View(Some(pattern.clone()))))
        }
        Predicate::In { values, .. } if values.is_empty() => lit(false),
        Predicate::In { operand, values } => {
            let list = values.iter().map(|value| lit(value.clone())).collect();
            Expr::InList(InList::new(Box::new(compared(operand)), list, false))
        }
        Predicate::Distinct { operand, value } => {
            binary_expr(compared(operand), Operator::IsDistinctFrom, lit(value.clone()))
        }
        Predicate::Is { operand, is } => {
            let operand = Box::new(compared(operand));
            match is {
                Is::Null => Expr::IsNull(operand),
                Is::NotNull => Expr::IsNotNull(operand),
                Is::True => Expr::IsTrue(operand),
                Is::False => Expr::IsFalse(operand),
                Is::Unknown => Expr::IsUnknown(operand),
            }
        }
    }
}

/// Rows that come after the cursor's: greater in the first scalar of the order, or equal in it and greater in the
/// next, and so on to the key.
fn after(cursor: &Cursor, order: &[Order]) -> Expr {
    let mut expression = key().gt(lit(ScalarValue::Binary(Some(cursor.key.clone()))));
    for (order, value) in order.iter().zip(&cursor.values).rev() {
        let operand = compared(&order.operand);
        let (beyond, equal) = if value.is_null() {
            let beyond = if order.nulls_first { operand.clone().is_not_null() } else { lit(false) };
            (beyond, operand.is_null())
        } else {
            let value = lit(value.clone());
            let greater =
                if order.descending { operand.clone().lt(value.clone()) } else { operand.clone().gt(value.clone()) };
            let beyond = if order.nulls_first { greater } else { greater.or(operand.clone().is_null()) };
            (beyond, operand.eq(value))
        };
        expression = beyond.or(equal.and(expression));
    }
    expression
}

fn output_of(output: &Output) -> Expr {
    match &output.cast {
        None => value(&output.operand),
        Some(Cast::Text) => {
            let text = Operand { text: true, ..output.operand.clone() };
            value(&text)
        }
        Some(Cast::To(data_type)) => manade_functions::cast(value(&output.operand), data_type.clone()),
    }
}

fn operator(comparison: Comparison) -> Operator {
    match comparison {
        Comparison::Eq => Operator::Eq,
        Comparison::Neq => Operator::NotEq,
        Comparison::Gt => Operator::Gt,
        Comparison::Gte => Operator::GtEq,
        Comparison::Lt => Operator::Lt,
        Comparison::Lte => Operator::LtEq,
    }
}

fn named(name: &str) -> Expr {
    Expr::Column(Column::new_unqualified(name))
}
