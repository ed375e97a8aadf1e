//! How DataFusion's SQL planner plans what is written with brackets and keywords.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr, RawFieldAccessExpr, TypePlanner};
use datafusion::logical_expr::sqlparser::ast::{self, BinaryOperator};
use datafusion::logical_expr::{Expr, ExprSchemable, GetFieldAccess, Operator};

use crate::function::Function;
use crate::operators::binary;
use crate::types::{self, is_text};

#[derive(Debug)]
pub(crate) struct Planner;

fn call(function: &Function, args: Vec<Expr>) -> Expr {
    Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(function.clone().udf()), args))
}

impl ExprPlanner for Planner {
    fn plan_field_access(
        &self,
        access: RawFieldAccessExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawFieldAccessExpr>> {
        let RawFieldAccessExpr { field_access, expr } = access;
        let of = expr.get_type(schema)?;
        let key = match &field_access {
            GetFieldAccess::ListIndex { key } => key.as_ref().clone(),
            GetFieldAccess::NamedStructField { name } => Expr::Literal(name.clone(), None),
            GetFieldAccess::ListRange { .. } => {
                return Ok(PlannerResult::Original(RawFieldAccessExpr { field_access, expr }));
            }
        };
        Ok(match of {
            DataType::List(_) => PlannerResult::Planned(call(&crate::collections::GET, vec![expr, key])),
            DataType::Map(..) => PlannerResult::Planned(call(&crate::maps::ELEMENT_AT, vec![expr, key])),
            _ => PlannerResult::Original(RawFieldAccessExpr { field_access, expr }),
        })
    }

    /// Arithmetic with text is arithmetic of doubles: DataFusion's planner would refuse it.
    fn plan_binary_op(&self, raw: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        let op = match raw.op {
            BinaryOperator::Plus => Operator::Plus,
            BinaryOperator::Minus => Operator::Minus,
            BinaryOperator::Multiply => Operator::Multiply,
            BinaryOperator::Divide => Operator::Divide,
            BinaryOperator::Modulo => Operator::Modulo,
            _ => return Ok(PlannerResult::Original(raw)),
        };
        let (l, r) = (raw.left.get_type(schema)?, raw.right.get_type(schema)?);
        if !is_text(&l) && !is_text(&r) || l.is_temporal() || r.is_temporal() {
            return Ok(PlannerResult::Original(raw));
        }
        binary(raw.left, &l, op, raw.right, &r).map(PlannerResult::Planned)
    }

    fn plan_struct_literal(&self, args: Vec<Expr>, named: bool) -> Result<PlannerResult<Vec<Expr>>> {
        if named {
            return Ok(PlannerResult::Original(args));
        }
        Ok(PlannerResult::Planned(call(&crate::maps::STRUCT, args)))
    }

    fn plan_position(&self, mut args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        // DataFusion's order is the text, then the part.
        args.reverse();
        Ok(PlannerResult::Planned(call(&crate::strings::LOCATE, args)))
    }

    fn plan_extract(&self, args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        Ok(PlannerResult::Planned(call(&crate::dates::DATE_PART, args)))
    }

    fn plan_substring(&self, args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        Ok(PlannerResult::Planned(call(&crate::strings::SUBSTRING, args)))
    }

    fn plan_overlay(&self, args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        Ok(PlannerResult::Planned(call(&crate::strings::OVERLAY, args)))
    }
}

/// Spark's names of types.
#[derive(Debug)]
pub(crate) struct Types;

impl TypePlanner for Types {
    fn plan_type_field(&self, sql_type: &ast::DataType) -> Result<Option<FieldRef>> {
        if let ast::DataType::Map(key, value, ..) = sql_type {
            let (key, value) = (self.plan_type_field(key)?, self.plan_type_field(value)?);
            let map = key.zip(value).map(|(k, v)| types::map_of(k.data_type().clone(), v.data_type().clone()));
            return Ok(map.map(|t| Arc::new(Field::new("", t, true))));
        }
        let spark = manade_model::parse_type(&sql_type.to_string()).ok();
        Ok(spark.map(|t| Arc::new(Field::new("", manade_events::arrow_type(&t), true))))
    }
}
