//! Higher-order functions: `transform(xs, x -> x + 1)`.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::logical_expr::expr::{HigherOrderFunction, Lambda, LambdaVariable};
use datafusion::logical_expr::sqlparser::ast::{Expr as Sql, LambdaFunction, OneOrManyWithParens};
use datafusion::logical_expr::sqlparser::tokenizer::Location;
use datafusion::logical_expr::{
    Expr, HigherOrderReturnFieldArgs, HigherOrderUDF, LambdaParametersProgress, ValueOrLambda,
};

use super::expr::Context;
use super::scope::Typed;
use super::{Bind, Binder};

/// Types of an argument become known in steps: a lambda's once its parameters' are.
type Known = ValueOrLambda<FieldRef, Option<FieldRef>>;

impl Binder<'_> {
    pub fn lambda_variable(name: &str, data_type: &DataType) -> Typed {
        let field = Arc::new(Field::new(name, data_type.clone(), true));
        Typed::new(Expr::LambdaVariable(LambdaVariable::new(name.to_owned(), Some(field))), data_type.clone())
    }

    pub fn higher_order(&mut self, cx: &Context<'_>, name: &str, args: &[Sql], at: Location) -> Bind<Typed> {
        let Some(udf) = self.state.higher_order_functions().get(name).cloned() else {
            return Err(self.refuse_plain(at, format!("`{name}` does not take a lambda")));
        };
        let mut bound: Vec<Option<Typed>> = Vec::new();
        let mut known: Vec<Known> = Vec::new();
        for arg in args {
            if matches!(arg, Sql::Lambda(_)) {
                known.push(ValueOrLambda::Lambda(None));
                bound.push(None);
            } else {
                let typed = self.expr(cx, arg)?;
                known.push(ValueOrLambda::Value(Arc::new(Field::new("", typed.data_type.clone(), true))));
                bound.push(Some(typed));
            }
        }
        for step in 0..8 {
            let (parameters, complete) = match udf.lambda_parameters(step, &known) {
                Ok(LambdaParametersProgress::Partial(some)) => (some, false),
                Ok(LambdaParametersProgress::Complete(all)) => (all.into_iter().map(Some).collect(), true),
                Err(_) => return Err(self.refuse_plain(at, format!("`{name}` does not take these arguments"))),
            };
            let mut parameters: Vec<Option<Vec<FieldRef>>> = parameters;
            parameters.reverse();
            for (i, arg) in args.iter().enumerate() {
                let Sql::Lambda(lambda) = arg else { continue };
                let Some(Some(fields)) = parameters.pop() else { continue };
                let typed = self.lambda(cx, lambda, &fields, at)?;
                known[i] = ValueOrLambda::Lambda(Some(Arc::new(Field::new("", typed.data_type.clone(), true))));
                bound[i] = Some(typed);
            }
            if complete {
                break;
            }
        }
        self.higher_order_call(&udf, bound, args, at)
    }

    fn higher_order_call(
        &mut self,
        udf: &Arc<HigherOrderUDF>,
        bound: Vec<Option<Typed>>,
        args: &[Sql],
        at: Location,
    ) -> Bind<Typed> {
        let Some(bound) = bound.into_iter().collect::<Option<Vec<_>>>() else {
            return Err(self.refuse_plain(at, format!("the lambda of `{}` cannot be typed", udf.name())));
        };
        let fields: Vec<ValueOrLambda<FieldRef, FieldRef>> = bound
            .iter()
            .zip(args)
            .map(|(typed, arg)| {
                let field = Arc::new(Field::new("", typed.data_type.clone(), true));
                if matches!(arg, Sql::Lambda(_)) { ValueOrLambda::Lambda(field) } else { ValueOrLambda::Value(field) }
            })
            .collect();
        let scalars = vec![None; fields.len()];
        let returned = udf
            .inner()
            .return_field_from_args(HigherOrderReturnFieldArgs { arg_fields: &fields, scalar_arguments: &scalars })
            .map(|field| field.data_type().clone());
        match returned {
            Ok(data_type) => {
                let args = bound.into_iter().map(|typed| typed.expr).collect();
                Ok(Typed::new(Expr::HigherOrderFunction(HigherOrderFunction::new(Arc::clone(udf), args)), data_type))
            }
            Err(_) => Err(self.refuse_plain(at, format!("`{}` does not take these arguments", udf.name()))),
        }
    }

    /// The lambda, its type being its body's.
    fn lambda(&mut self, cx: &Context<'_>, lambda: &LambdaFunction, fields: &[FieldRef], at: Location) -> Bind<Typed> {
        let names: Vec<String> = match &lambda.params {
            OneOrManyWithParens::One(one) => vec![one.name.value.to_lowercase()],
            OneOrManyWithParens::Many(many) => many.iter().map(|one| one.name.value.to_lowercase()).collect(),
        };
        if names.len() > fields.len() {
            return Err(self
                .refuse_plain(at, format!("a lambda of {} parameters where {} are given", names.len(), fields.len())));
        }
        let mut inner = cx.clone();
        inner.aggregates = false;
        inner.lambdas.extend(names.iter().cloned().zip(fields.iter().map(|field| field.data_type().clone())));
        let body = self.expr(&inner, &lambda.body)?;
        Ok(Typed::new(Expr::Lambda(Lambda::new(names, body.expr)), body.data_type))
    }
}
