//! The analyzer's rules: Spark's types for operators before DataFusion coerces types, Spark's casts after it.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Cast, Expr, ExprSchemable, LogicalPlan, TryCast};
use datafusion::optimizer::{Analyzer, AnalyzerRule};

use crate::cast::{cast, plain};
use crate::operators::coerce;

/// Spark's rules around those of `analyzer`.
pub(crate) fn around(mut analyzer: Analyzer) -> Analyzer {
    analyzer.rules.insert(0, Arc::new(Operators));
    analyzer.rules.push(Arc::new(Casts));
    analyzer
}

/// See [`coerce`].
#[derive(Debug)]
struct Operators;

impl AnalyzerRule for Operators {
    fn name(&self) -> &'static str {
        "spark_operators"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        rewrite(plan, &|expr, schema| Ok(Transformed::yes(coerce(expr, schema)?)))
    }
}

/// CAST and `try_cast`, written or implied, where Arrow's differ from Spark's.
#[derive(Debug)]
struct Casts;

impl AnalyzerRule for Casts {
    fn name(&self) -> &'static str {
        "spark_casts"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        rewrite(plan, &|expr, schema| match expr {
            Expr::Cast(Cast { expr, field }) | Expr::TryCast(TryCast { expr, field }) => {
                let from = expr.get_type(schema)?;
                let to = field.data_type().clone();
                Ok(Transformed::yes(if plain(&from, &to) {
                    Expr::Cast(Cast::new_from_field(expr, field))
                } else {
                    cast(*expr, to)
                }))
            }
            other => Ok(Transformed::no(other)),
        })
    }
}

fn rewrite(plan: LogicalPlan, node: &dyn Fn(Expr, &DFSchema) -> Result<Transformed<Expr>>) -> Result<LogicalPlan> {
    let rewritten = plan.transform_up_with_subqueries(|plan| {
        if matches!(plan, LogicalPlan::Limit(_)) {
            return Ok(Transformed::new(plan, false, TreeNodeRecursion::Continue));
        }
        let mut schema = merge_schema(&plan.inputs());
        if let LogicalPlan::TableScan(scan) = &plan {
            let own = DFSchema::try_from_qualified_schema(scan.table_name.clone(), &scan.source.schema())?;
            schema.merge(&own);
        }
        let names = NamePreserver::new(&plan);
        plan.map_expressions(|expr| {
            let name = names.save(&expr);
            Ok(expr.transform_up(|e| node(e, &schema))?.update_data(|e| name.restore(e)))
        })?
        .map_data(LogicalPlan::recompute_schema)
    })?;
    Ok(rewritten.data)
}
