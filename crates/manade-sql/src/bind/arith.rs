//! Arithmetic and casts with Spark's rules (ANSI off): division by zero and failing casts are null.

use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use datafusion::common::{Column, DFSchema};
use datafusion::logical_expr::expr::Cast;
use datafusion::logical_expr::sqlparser::ast::BinaryOperator;
use datafusion::logical_expr::sqlparser::tokenizer::Location;
use datafusion::logical_expr::{Expr, ExprSchemable, Operator, lit};
use datafusion::scalar::ScalarValue;

use super::scope::Typed;
use super::{Bind, Binder};
use crate::parse::UNSIGNED_SHIFT;
use crate::types::{a, is_number, is_string, spark_name};

impl Binder<'_> {
    pub fn arithmetic(&mut self, left: Typed, op: &BinaryOperator, right: Typed, at: Location) -> Bind<Typed> {
        let operator = match op {
            BinaryOperator::Plus => Operator::Plus,
            BinaryOperator::Minus => Operator::Minus,
            BinaryOperator::Multiply => Operator::Multiply,
            BinaryOperator::Divide => Operator::Divide,
            BinaryOperator::Modulo => Operator::Modulo,
            BinaryOperator::MyIntegerDivide => {
                return self.call("div", vec![left, right], at);
            }
            BinaryOperator::BitwiseAnd => Operator::BitwiseAnd,
            BinaryOperator::BitwiseOr => Operator::BitwiseOr,
            BinaryOperator::BitwiseXor => Operator::BitwiseXor,
            BinaryOperator::PGBitwiseShiftLeft => return self.call("shiftleft", vec![left, right], at),
            BinaryOperator::PGBitwiseShiftRight => return self.call("shiftright", vec![left, right], at),
            BinaryOperator::Custom(op) if op == UNSIGNED_SHIFT => {
                return self.call("shiftrightunsigned", vec![left, right], at);
            }
            other => return Err(self.refuse_plain(at, format!("`{other}` is not an operator of Spark SQL"))),
        };
        self.arithmetic_of(left, operator, right, at)
    }

    pub fn arithmetic_of(&mut self, left: Typed, operator: Operator, right: Typed, at: Location) -> Bind<Typed> {
        let (left, right) = (self.number_or_time(left, &right, at)?, right);
        let (left, right) = {
            let right = self.number_or_time(right, &left, at)?;
            (left, right)
        };
        if is_number(&left.data_type) && is_number(&right.data_type) {
            return self.numbers(left, operator, right, at);
        }
        self.times(left, operator, right, at)
    }

    /// The value as another type; null where it has none. The analyzer makes Spark's casts of these.
    pub fn cast(&mut self, typed: Typed, target: &DataType, at: Location) -> Bind<Typed> {
        let from = &typed.data_type;
        if from == target {
            return Ok(typed);
        }
        if !castable(from, target) {
            let message = format!("{} cannot be cast to {}", a(from), spark_name(target));
            return Err(self.refuse_plain(at, message));
        }
        if let (DataType::Duration(TimeUnit::Second), true) = (from, is_number(target)) {
            let seconds = Typed::new(plain_cast(typed.expr, &DataType::Int64), DataType::Int64);
            let days =
                self.call("div", vec![seconds, super::literal::literal(ScalarValue::Int64(Some(86_400)))], at)?;
            return self.cast(days, target, at);
        }
        Ok(Typed::new(plain_cast(typed.expr, target), target.clone()))
    }

    /// As Spark's ANSI cast, null where that is an error: no text with decimals and no number out of range is an integer.
    pub fn try_cast(&mut self, typed: Typed, target: &DataType, at: Location) -> Bind<Typed> {
        let from = typed.data_type.clone();
        let cast = self.cast(typed.clone(), target, at)?;
        let bounds = match target {
            DataType::Int8 => (f64::from(i8::MIN), f64::from(i8::MAX) + 1.0),
            DataType::Int16 => (f64::from(i16::MIN), f64::from(i16::MAX) + 1.0),
            DataType::Int32 => (f64::from(i32::MIN), f64::from(i32::MAX) + 1.0),
            DataType::Int64 => (-9_223_372_036_854_775_808.0, 9_223_372_036_854_775_808.0),
            _ => return Ok(cast),
        };
        let fits = if is_string(&from) {
            let pattern = super::literal::string(r"^\s*[+-]?[0-9]+\s*$");
            self.call("rlike", vec![typed, pattern], at)?.expr
        } else if is_number(&from) {
            let number = self.cast(typed, &DataType::Float64, at)?.expr;
            // Fractions are cut off, so that -128.9 is a tinyint.
            number.clone().gt(lit(bounds.0 - 1.0)).or(number.clone().eq(lit(bounds.0))).and(number.lt(lit(bounds.1)))
        } else {
            return Ok(cast);
        };
        Ok(Typed::new(super::expr::when(fits, cast.expr), target.clone()))
    }

    /// Spark's types and its null for a zero divisor come from manade-functions.
    fn numbers(&mut self, left: Typed, op: Operator, right: Typed, at: Location) -> Bind<Typed> {
        let operand = |typed: &Typed, name: &str| match &typed.expr {
            Expr::Literal(..) => typed.expr.clone(),
            _ => Expr::Column(Column::new_unqualified(name)),
        };
        let fields = [("l", &left), ("r", &right)].map(|(name, typed)| Field::new(name, typed.data_type.clone(), true));
        let (l, r) = (&left.data_type, &right.data_type);
        let data_type = DFSchema::try_from(Schema::new(fields.to_vec())).and_then(|schema| {
            manade_functions::binary(operand(&left, "l"), l, op, operand(&right, "r"), r)?.get_type(&schema)
        });
        let expr = manade_functions::binary(left.expr.clone(), l, op, right.expr.clone(), r);
        match (expr, data_type) {
            (Ok(expr), Ok(data_type)) => Ok(Typed::new(expr, data_type)),
            _ => Err(self.refuse_plain(at, format!("`{op}` does not take {} and {}", a(l), a(r)))),
        }
    }

    /// A string beside a number counts as a double, beside a moment and an interval as a timestamp.
    fn number_or_time(&mut self, typed: Typed, other: &Typed, at: Location) -> Bind<Typed> {
        match (&typed.data_type, &other.data_type) {
            (DataType::Null, DataType::Date32) => self.cast(typed, &DataType::Int32, at),
            (DataType::Null, other) if is_number(other) => {
                let other = other.clone();
                self.cast(typed, &other, at)
            }
            (DataType::Null, DataType::Null) => self.cast(typed, &DataType::Float64, at),
            (own, DataType::Interval(_) | DataType::Duration(_)) if is_string(own) => {
                self.cast(typed, &crate::types::timestamp(), at)
            }
            (own, _) if is_string(own) => self.cast(typed, &DataType::Float64, at),
            _ => Ok(typed),
        }
    }
}

/// A cast; of a literal of numbers and times at once.
pub fn plain_cast(expr: Expr, target: &DataType) -> Expr {
    if let Expr::Literal(value, None) = &expr
        && (value.is_null() || !is_string(&value.data_type()) || is_string(target))
        && !matches!(value.data_type(), DataType::Float32 | DataType::Float64 | DataType::Boolean)
        && (!is_string(target) || is_string(&value.data_type()))
        && let Ok(value) = if value.is_null() { ScalarValue::try_from(target) } else { value.cast_to(target) }
    {
        return lit(value);
    }
    Expr::Cast(Cast::new(Box::new(expr), target.clone()))
}

fn castable(from: &DataType, target: &DataType) -> bool {
    match (from, target) {
        (DataType::Null, _) => true,
        (DataType::Duration(TimeUnit::Second), target) => is_string(target) || is_number(target),
        (DataType::Duration(_), _) => is_string(target),
        (DataType::List(_) | DataType::Map(..) | DataType::Struct(_), target) => {
            is_string(target) || std::mem::discriminant(from) == std::mem::discriminant(target)
        }
        (DataType::Interval(_), _) | (_, DataType::List(_) | DataType::Map(..) | DataType::Struct(_)) => false,
        (DataType::Date32, target) => *target != DataType::BinaryView,
        (DataType::BinaryView, target) => is_string(target),
        (from, DataType::BinaryView) => is_string(from) || from.is_integer(),
        (from, DataType::Date32) => is_string(from) || from.is_temporal(),
        _ => true,
    }
}
