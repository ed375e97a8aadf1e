//! Calls of scalar functions.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::logical_expr::sqlparser::ast::{
    Expr as Sql, Function, FunctionArg, FunctionArgExpr, FunctionArgumentClause, FunctionArguments, Spanned,
};
use datafusion::logical_expr::sqlparser::tokenizer::Location;
use datafusion::logical_expr::type_coercion::functions::fields_with_udf;
use datafusion::logical_expr::{Expr, Operator, ReturnFieldArgs, ScalarUDF, Volatility, lit};
use datafusion::scalar::ScalarValue;

use super::expr::{Context, own_name, start};
use super::scope::Typed;
use super::{Bind, Binder};
use crate::types::{spark_name, timestamp};

/// Their value depends on when an event happens to be processed.
const CLOCKS: [&str; 7] =
    ["now", "current_timestamp", "current_date", "current_time", "localtimestamp", "curdate", "today"];

/// Arguments of one type, which is the result's.
const UNIFORM: [&str; 6] = ["coalesce", "nvl", "ifnull", "greatest", "least", "array"];

/// With three arguments, the first is a unit.
const MOVES: [&str; 6] = ["timestampadd", "timestampdiff", "dateadd", "date_add", "datediff", "date_diff"];

/// The hint where a constant argument fails whatever the events hold.
pub const MISUSED: &str = "docs/sql.md says what the function takes and how it differs from Spark's";

pub const GENERATORS: [&str; 8] =
    ["explode", "explode_outer", "posexplode", "posexplode_outer", "inline", "inline_outer", "stack", "json_tuple"];

impl Binder<'_> {
    pub fn function(&mut self, cx: &Context<'_>, function: &Function) -> Bind<Typed> {
        let name = function.name.to_string().to_lowercase();
        let at = function.name.span().start;
        if function.over.is_some() {
            return Err(self.refuse(
                at,
                format!("`{name}(...) OVER` would need all events of its window at hand"),
                "group by window(time, '10 minutes') and aggregate, or use max_by and min_by for first and last rows",
            ));
        }
        match name.as_str() {
            "window" => return self.fixed_window(cx, function, at),
            "session_window" => return self.session_window(cx, function, at),
            "window_time" => return self.window_time(cx, function, at),
            "grouping" | "grouping_id" => return self.grouping_function(cx, &name, function, at),
            _ if CLOCKS.contains(&name.as_str()) => {
                return Err(self.refuse(
                    at,
                    format!("`{name}` depends on when an event is processed, so a rerun would give other rows"),
                    "use the event time",
                ));
            }
            _ if GENERATORS.contains(&name.as_str()) => {
                return Err(self.refuse(
                    at,
                    format!("`{name}` makes several rows and cannot stand within an expression"),
                    format!("make it a column of SELECT, or write LATERAL VIEW {name}(...) AS name"),
                ));
            }
            _ => {}
        }
        if !manade_functions::is_function(&name) && !self.is_volatile(&name) {
            return Err(self.unknown_function(&name, at));
        }
        self.check_nulls(&name, function, at)?;
        if self.is_aggregate(&name) {
            return self.aggregate(cx, &name, function, at);
        }
        let sql_args = self.arguments(function, at)?;
        if sql_args.iter().any(|arg| matches!(arg, Sql::Lambda(_))) {
            return self.higher_order(cx, &name, &sql_args, at);
        }
        let mut args = Vec::new();
        for (i, arg) in sql_args.iter().enumerate() {
            args.push(match arg {
                // `timestampdiff(HOUR, a, b)`: a unit, not a column.
                Sql::Identifier(unit) if i == 0 && sql_args.len() == 3 && MOVES.contains(&name.as_str()) => {
                    Ok(super::literal::string(unit.value.to_lowercase()))
                }
                arg => self.expr(cx, arg),
            });
        }
        let args = args.into_iter().collect::<Bind<Vec<_>>>()?;
        let name = match name.as_str() {
            "dateadd" | "date_add" if args.len() == 3 => "timestampadd",
            "datediff" | "date_diff" if args.len() == 3 => "timestampdiff",
            other => other,
        };
        let typed = self.scalar(name, args, at)?;
        if name == "arrays_zip" { self.zipped(typed, &sql_args, at) } else { Ok(typed) }
    }

    /// The structs of `arrays_zip` have their fields named as the arguments are.
    fn zipped(&mut self, typed: Typed, args: &[Sql], at: Location) -> Bind<Typed> {
        let DataType::List(item) = &typed.data_type else { return Ok(typed) };
        let DataType::Struct(fields) = item.data_type() else { return Ok(typed) };
        let named = fields.iter().zip(args).enumerate().map(|(i, (field, arg))| {
            Field::new(own_name(arg).unwrap_or_else(|| i.to_string()), field.data_type().clone(), true)
        });
        let target = DataType::List(Arc::new(Field::new_list_field(DataType::Struct(named.collect()), true)));
        self.cast(typed, &target, at)
    }

    /// The positional arguments.
    pub fn arguments(&mut self, function: &Function, at: Location) -> Bind<Vec<Sql>> {
        let list = match &function.args {
            FunctionArguments::None => return Ok(Vec::new()),
            FunctionArguments::List(list) => list,
            FunctionArguments::Subquery(_) => return Err(self.refuse_plain(at, "a subquery is not an argument")),
        };
        for clause in &list.clauses {
            if !matches!(clause, FunctionArgumentClause::IgnoreOrRespectNulls(_)) {
                return Err(self.refuse_plain(at, format!("`{clause}` is not supported in a call")));
            }
        }
        let mut args = Vec::new();
        for arg in &list.args {
            match arg {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))
                | FunctionArg::Named { arg: FunctionArgExpr::Expr(expr), .. } => args.push(expr.clone()),
                _ => return Err(self.refuse_plain(at, format!("`{}` does not take `*`", function.name))),
            }
        }
        Ok(args)
    }

    /// A scalar function by its Spark name, with Spark's mixing of argument types.
    pub fn scalar(&mut self, name: &str, mut args: Vec<Typed>, at: Location) -> Bind<Typed> {
        if let Some(special) = self.special_form(name, &mut args, at)? {
            return Ok(special);
        }
        if let Some(of_decimals) = self.operator_of_decimals(name, &args, at)? {
            return Ok(of_decimals);
        }
        let args = if UNIFORM.contains(&name) {
            let common = self.common(args.iter(), at)?;
            args.into_iter().map(|arg| self.cast(arg, &common, at)).collect::<Bind<Vec<_>>>()?
        } else {
            args
        };
        if let Some(target) = conversion(name)
            && let [one] = args.as_slice()
        {
            return self.cast(one.clone(), &target, at);
        }
        self.call(name, args, at)
    }

    /// Functions that are forms of their own.
    fn special_form(&mut self, name: &str, args: &mut Vec<Typed>, at: Location) -> Bind<Option<Typed>> {
        match (name, args.as_slice()) {
            ("if", [condition, _, _]) => {
                let common = self.common(args[1..].iter(), at)?;
                let condition = condition.clone();
                let otherwise = self.cast(args.remove(2), &common, at)?;
                let then = self.cast(args.remove(1), &common, at)?;
                let case = datafusion::logical_expr::when(condition.expr, then.expr).otherwise(otherwise.expr);
                match case {
                    Ok(case) => Ok(Some(Typed::new(case, common))),
                    Err(_) => Err(self.refuse_plain(at, "`if` takes a condition and two values")),
                }
            }
            ("named_struct", pairs) if pairs.len() % 2 == 0 => {
                let mut fields = Vec::new();
                for pair in args.chunks(2) {
                    let Expr::Literal(name, _) = &pair[0].expr else {
                        return Err(self.refuse_plain(at, "field names of named_struct are literals"));
                    };
                    fields.push((name.to_string(), pair[1].clone()));
                }
                Ok(Some(structure(fields.into_iter())))
            }
            ("isnull", [value]) => Ok(Some(super::expr::boolean(value.expr.clone().is_null()))),
            ("isnotnull", [value]) => Ok(Some(super::expr::boolean(value.expr.clone().is_not_null()))),
            ("nvl2", [_, _, _]) => {
                let common = self.common(args[1..].iter(), at)?;
                let otherwise = self.cast(args.remove(2), &common, at)?;
                let then = self.cast(args.remove(1), &common, at)?;
                let case = datafusion::logical_expr::when(args[0].expr.clone().is_not_null(), then.expr)
                    .otherwise(otherwise.expr);
                match case {
                    Ok(case) => Ok(Some(Typed::new(case, common))),
                    Err(_) => Err(self.refuse_plain(at, "`nvl2` takes three values")),
                }
            }
            ("nullif", [_, _]) => {
                let same = self.compare_typed(args[0].clone(), Operator::Eq, args[1].clone(), at)?;
                let value = args.remove(0);
                let kept = super::expr::when(Expr::IsNotTrue(Box::new(same.expr)), value.expr);
                Ok(Some(Typed::new(kept, value.data_type)))
            }
            _ => Ok(None),
        }
    }

    /// Functions that stand for an operator: decimals have the operator's types, and its null where they overflow.
    fn operator_of_decimals(&mut self, name: &str, args: &[Typed], at: Location) -> Bind<Option<Typed>> {
        let operator = match name {
            "try_add" => Operator::Plus,
            "try_subtract" => Operator::Minus,
            "try_multiply" => Operator::Multiply,
            "try_divide" => Operator::Divide,
            "mod" | "try_mod" | "pmod" => Operator::Modulo,
            _ => return Ok(None),
        };
        let [left, right] = args else { return Ok(None) };
        if !args.iter().any(|arg| matches!(arg.data_type, DataType::Decimal128(..))) {
            return Ok(None);
        }
        let result = self.arithmetic_of(left.clone(), operator, right.clone(), at)?;
        if name != "pmod" {
            return Ok(Some(result));
        }
        let remainder = self.call(name, args.to_vec(), at)?;
        self.cast(remainder, &result.data_type, at).map(Some)
    }

    /// A registered function by name.
    pub fn call(&mut self, name: &str, args: Vec<Typed>, at: Location) -> Bind<Typed> {
        let Some(udf) = self.state.scalar_functions().get(name).cloned() else {
            return Err(self.unknown_function(name, at));
        };
        if self.is_volatile(name) {
            return Err(self.refuse(
                at,
                format!("`{name}` gives another value at every call, so a rerun would give other rows"),
                "use a hash of the event's columns instead, such as xxhash64(a, b)",
            ));
        }
        let given: Vec<DataType> = args.iter().map(|arg| arg.data_type.clone()).collect();
        if let Some(problem) = manade_functions::misuse(name, &given, &constants(&args)) {
            return Err(self.refuse(at, format!("`{name}` cannot work: {problem}"), MISUSED));
        }
        match return_type(&udf, &args).or_else(|error| return_type(&udf, &viewless(&args)).map_err(|_| error)) {
            Ok(data_type) => Ok(Typed::new(udf.call(args.into_iter().map(|arg| arg.expr).collect()), data_type)),
            Err(error) => {
                if args.iter().any(|arg| arg.data_type == DataType::Null && matches!(arg.expr, Expr::Literal(..)))
                    && !self.problems.is_empty()
                {
                    return Ok(Typed::refused());
                }
                let types: Vec<String> = args.iter().map(|arg| spark_name(&arg.data_type)).collect();
                let message = format!("`{name}` does not take ({})", types.join(", "));
                Err(match signature_hint(&error) {
                    Some(hint) => self.refuse(at, message, hint),
                    None => self.refuse_plain(at, message),
                })
            }
        }
    }

    fn is_volatile(&self, name: &str) -> bool {
        let function = self.state.scalar_functions().get(name);
        function.is_some_and(|function| function.signature().volatility == Volatility::Volatile)
    }

    fn unknown_function(&mut self, name: &str, at: Location) -> super::Refused {
        let documented = manade_functions::documented().iter();
        let names = documented.flat_map(|doc| doc.aliases.iter().chain([&doc.name])).copied();
        let hint = manade_model::closest(name, names).map_or_else(
            || "docs/sql.md lists every function".to_owned(),
            |closest| format!("did you mean `{closest}`?"),
        );
        self.refuse(at, format!("unknown function `{name}`"), hint)
    }
}

/// `named_struct` of these.
pub fn structure(fields: impl Iterator<Item = (String, Typed)>) -> Typed {
    let mut args = Vec::new();
    let mut types: Vec<Field> = Vec::new();
    for (name, typed) in fields {
        types.push(Field::new(&name, typed.data_type, true));
        args.push(lit(name));
        args.push(typed.expr);
    }
    Typed::new(datafusion::functions::core::expr_fn::named_struct(args), DataType::Struct(types.into()))
}

/// Types of the arguments as fields.
pub fn argument_fields(args: &[Typed]) -> Vec<FieldRef> {
    args.iter().enumerate().map(|(i, arg)| Arc::new(Field::new(format!("a{i}"), arg.data_type.clone(), true))).collect()
}

fn return_type(udf: &ScalarUDF, args: &[Typed]) -> datafusion::common::Result<DataType> {
    let fields = fields_with_udf(&argument_fields(args), udf)?;
    let field =
        udf.return_field_from_args(ReturnFieldArgs { arg_fields: &fields, scalar_arguments: &constants(args) })?;
    Ok(field.data_type().clone())
}

/// The arguments that are literals.
fn constants(args: &[Typed]) -> Vec<Option<&ScalarValue>> {
    args.iter()
        .map(|arg| match &arg.expr {
            Expr::Literal(value, _) => Some(value),
            _ => None,
        })
        .collect()
}

/// The same arguments with plain strings, for functions that read literals of one string type only.
fn viewless(args: &[Typed]) -> Vec<Typed> {
    args.iter()
        .map(|arg| match &arg.expr {
            Expr::Literal(ScalarValue::Utf8View(text), _) => {
                Typed::new(lit(ScalarValue::Utf8(text.clone())), DataType::Utf8)
            }
            _ => arg.clone(),
        })
        .collect()
}

/// `int(x)` is a cast.
fn conversion(name: &str) -> Option<DataType> {
    Some(match name {
        "boolean" => DataType::Boolean,
        "tinyint" => DataType::Int8,
        "smallint" => DataType::Int16,
        "int" => DataType::Int32,
        "bigint" => DataType::Int64,
        "float" => DataType::Float32,
        "double" => DataType::Float64,
        "string" => DataType::Utf8View,
        "binary" => DataType::BinaryView,
        "date" => DataType::Date32,
        "timestamp" => timestamp(),
        _ => return None,
    })
}

/// What DataFusion says about a signature, if it is fit to be shown.
fn signature_hint(error: &datafusion::error::DataFusionError) -> Option<String> {
    let text = error.strip_backtrace();
    let (_, candidates) = text.split_once("Candidate functions:")?;
    let shapes: Vec<&str> = candidates.lines().map(str::trim).filter(|line| !line.is_empty()).take(3).collect();
    (!shapes.is_empty()).then(|| format!("it takes {}", shapes.join(" or ")))
}

/// For messages about syntax within a call.
pub fn at_of(sql: &Sql, otherwise: Location) -> Location {
    let at = start(sql);
    if at.line == 0 { otherwise } else { at }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::aggregate::ENTRY_FUNCTIONS;
    use super::GENERATORS;

    #[test]
    fn what_is_planned_here_is_documented() {
        let own = ["window", "session_window", "window_time", "grouping", "grouping_id"];
        let planned: BTreeSet<&str> = ENTRY_FUNCTIONS.into_iter().chain(GENERATORS).chain(own).collect();
        let docs = manade_functions::PLANNED.iter();
        let documented: BTreeSet<&str> = docs.flat_map(|doc| doc.aliases.iter().copied().chain([doc.name])).collect();
        assert_eq!(planned, documented);
    }
}
