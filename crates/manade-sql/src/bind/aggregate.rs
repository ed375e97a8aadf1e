//! Aggregate calls: those whose state folds into a row, and those that need their values one by one.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use datafusion::common::Column;
use datafusion::logical_expr::expr::NullTreatment;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::sqlparser::ast::{
    DuplicateTreatment, Expr as Sql, Function, FunctionArg, FunctionArgExpr, FunctionArgumentClause, FunctionArguments,
    NullTreatment as SqlNulls,
};
use datafusion::logical_expr::sqlparser::tokenizer::Location;
use datafusion::logical_expr::type_coercion::functions::fields_with_udf;
use datafusion::logical_expr::{AggregateUDF, Expr, lit};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::scalar::ScalarValue;

use super::expr::{Context, when};
use super::function::{MISUSED, argument_fields};
use super::scope::Typed;
use super::{Bind, Binder};
use crate::types::{a, is_number, is_string, normal, spark_name};

/// Aggregates that this crate computes from entries, whatever is registered.
pub const ENTRY_FUNCTIONS: [&str; 10] = [
    "collect_list",
    "array_agg",
    "collect_set",
    "percentile",
    "percentile_cont",
    "percentile_disc",
    "median",
    "mode",
    "listagg",
    "string_agg",
];

/// Aggregates of which DISTINCT does not change the result.
const DISTINCT_ANYWAY: [&str; 7] = ["min", "max", "first", "first_value", "last", "last_value", "any_value"];

/// Aggregates that look at nulls unless the query says IGNORE NULLS.
const TAKE_NULLS: [&str; 5] = ["first", "first_value", "last", "last_value", "any_value"];

#[derive(Debug, Clone, PartialEq)]
pub enum AggregateCall {
    /// Its state is a few columns, whatever the number of events.
    Folded {
        function: Arc<AggregateUDF>,
        args: Vec<Expr>,
        filter: Option<Expr>,
        nulls: Option<NullTreatment>,
    },
    Entry(EntryCall),
}

/// Needs each of its values (or distinct values).
#[derive(Debug, Clone, PartialEq)]
pub struct EntryCall {
    pub kind: EntryKind,
    /// Null where the FILTER does not hold; a row with a null among them does not count.
    pub values: Vec<Expr>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum EntryKind {
    CountDistinct,
    /// The values were cast to the sum's type.
    SumDistinct,
    /// Of doubles.
    AvgDistinct,
    /// Distinct values in the order of their first appearance.
    Set,
    /// All values in the order of the source.
    List,
    /// Spark's exact percentile of doubles: between two of them, or `discrete`ly one of them; `many` gives an array.
    Percentile {
        fractions: Vec<f64>,
        many: bool,
        discrete: bool,
        /// Each value counts once.
        distinct: bool,
    },
    /// The commonest value, the smallest of several.
    Mode,
    /// Strings, joined in the order of the source.
    Join {
        delimiter: String,
        distinct: bool,
    },
}

impl EntryKind {
    /// Needs every value with its place, not distinct values with their counts.
    pub fn is_list(&self) -> bool {
        matches!(self, Self::List | Self::Join { distinct: false, .. })
    }

    /// Its result grows with the events.
    pub fn is_unbounded(&self) -> bool {
        matches!(self, Self::List | Self::Set | Self::Join { .. })
    }
}

impl Binder<'_> {
    pub fn is_aggregate(&self, name: &str) -> bool {
        ENTRY_FUNCTIONS.contains(&name) || self.state.aggregate_functions().contains_key(name)
    }

    pub fn aggregate(&mut self, cx: &Context<'_>, name: &str, function: &Function, at: Location) -> Bind<Typed> {
        if !cx.aggregates {
            let (message, hint) = match cx.clause {
                "an aggregate" => (
                    format!("`{name}` stands within another aggregate"),
                    "write two results: the first with the inner aggregate and `emit: final`, the second reads it",
                ),
                clause => {
                    (format!("`{name}` is an aggregate and cannot stand in {clause}"), "write it in SELECT or HAVING")
                }
            };
            return Err(self.refuse(at, message, hint));
        }
        let inner = Context { aggregates: false, clause: "an aggregate", ..cx.clone() };
        let filter = match &function.filter {
            Some(filter) => Some(self.condition(&inner, filter)?.expr),
            None => None,
        };
        let (args, distinct) = self.aggregate_args(&inner, name, function, at)?;
        let nulls = null_treatment(function);
        let distinct = distinct && !DISTINCT_ANYWAY.contains(&name);
        if matches!(name, "avg" | "mean" | "try_avg")
            && matches!(args[..], [Typed { data_type: DataType::Decimal128(..), .. }])
        {
            return self.decimal_mean(args, distinct, filter, at);
        }
        // DataFusion's take nulls within arrays and structs for the greatest values, Spark for the least.
        let (name, args) = match (name, &args[..]) {
            ("min", [x]) if x.data_type.is_nested() => ("min_by", vec![x.clone(), x.clone()]),
            ("max", [x]) if x.data_type.is_nested() => ("max_by", vec![x.clone(), x.clone()]),
            _ => (name, args),
        };
        let (call, data_type) = if distinct || ENTRY_FUNCTIONS.contains(&name) {
            self.entry_call(name, args, distinct, filter, at)?
        } else {
            self.folded_call(name, args, filter, nulls, at)?
        };
        Ok(self.aggregate_column(call, data_type))
    }

    /// As Spark, which knows IGNORE NULLS of few functions. RESPECT NULLS is what all do.
    pub fn check_nulls(&mut self, name: &str, function: &Function, at: Location) -> Bind<()> {
        if TAKE_NULLS.contains(&name) || !matches!(null_treatment(function), Some(NullTreatment::IgnoreNulls)) {
            return Ok(());
        }
        Err(self.refuse(
            at,
            format!("`{name}` does not take IGNORE NULLS"),
            "first, last and any_value take it; FILTER (WHERE x IS NOT NULL) leaves out nulls of other aggregates",
        ))
    }

    /// Rounded as Spark rounds, where DataFusion cuts off.
    fn decimal_mean(&mut self, args: Vec<Typed>, distinct: bool, filter: Option<Expr>, at: Location) -> Bind<Typed> {
        let DataType::Decimal128(precision, scale) = args[0].data_type else { return Ok(Typed::refused()) };
        let mut part = |name: &str| {
            if distinct {
                self.entry_call(name, args.clone(), true, filter.clone(), at)
            } else {
                self.folded_call(name, args.clone(), filter.clone(), None, at)
            }
        };
        let ((sum, sum_type), (count, count_type)) = (part("sum")?, part("count")?);
        let (sum, count) = (self.aggregate_column(sum, sum_type), self.aggregate_column(count, count_type));
        let mean = self.call("decimal_mean", vec![sum, count], at)?;
        self.cast(mean, &DataType::Decimal128((precision + 4).min(38), (scale + 4).min(38)), at)
    }

    /// Equal calls share a column.
    pub fn aggregate_column(&mut self, call: AggregateCall, data_type: DataType) -> Typed {
        let known = self.aggregates.iter().position(|(other, _)| *other == call);
        let index = known.unwrap_or_else(|| {
            self.aggregates.push((call, data_type.clone()));
            self.aggregates.len() - 1
        });
        Typed::new(Expr::Column(Column::new_unqualified(aggregate_name(index))), data_type)
    }

    fn aggregate_args(
        &mut self,
        cx: &Context<'_>,
        name: &str,
        function: &Function,
        at: Location,
    ) -> Bind<(Vec<Typed>, bool)> {
        let FunctionArguments::List(list) = &function.args else { return Ok((Vec::new(), false)) };
        let distinct = list.duplicate_treatment == Some(DuplicateTreatment::Distinct);
        for clause in &list.clauses {
            if matches!(clause, FunctionArgumentClause::OrderBy(_) | FunctionArgumentClause::Limit(_)) {
                return Err(self.refuse(
                    at,
                    format!("`{name}` with ORDER BY would have to sort its values again at every event"),
                    "collect_list keeps the order of the source; sort_array(collect_list(x)) sorts",
                ));
            }
        }
        if let [FunctionArg::Unnamed(FunctionArgExpr::Wildcard)] = list.args.as_slice()
            && name == "count"
            && !distinct
        {
            return Ok((vec![Typed::new(lit(1_i64), DataType::Int64)], false));
        }
        let mut args: Vec<Sql> = self.arguments(function, at)?;
        match function.within_group.as_slice() {
            [] => {}
            [by] if matches!(name, "percentile_cont" | "percentile_disc" | "mode") && by.options.asc != Some(false) => {
                args.insert(0, by.expr.clone());
            }
            // From the other end.
            [by] if name == "percentile_cont" && args.len() == 1 => {
                let value = self.expr(cx, &by.expr)?;
                let wanted = self.expr(cx, &args[0])?;
                return Ok((vec![value, self.descending(&wanted, at)?], distinct));
            }
            _ => {
                return Err(self.refuse(
                    at,
                    format!("`{name}` does not take this WITHIN GROUP"),
                    "percentile_cont(0.5), percentile_disc(0.5) and mode() take WITHIN GROUP (ORDER BY x), the first also with DESC; \
                     array_join(sort_array(collect_list(x)), ',') joins in order",
                ));
            }
        }
        let args = args.iter().map(|arg| self.expr(cx, arg)).collect::<Vec<_>>();
        Ok((args.into_iter().collect::<Bind<Vec<_>>>()?, distinct))
    }

    fn folded_call(
        &mut self,
        name: &str,
        mut args: Vec<Typed>,
        mut filter: Option<Expr>,
        nulls: Option<NullTreatment>,
        at: Location,
    ) -> Bind<(AggregateCall, DataType)> {
        // Spark's sum of decimals is null where it is too long, DataFusion's begins again from below.
        let is_decimal = matches!(args.first(), Some(arg) if matches!(arg.data_type, DataType::Decimal128(..)));
        let name = if name == "sum" && is_decimal { "try_sum" } else { name };
        let Some(function) = self.state.aggregate_functions().get(name).cloned() else {
            return Err(self.refuse_plain(at, format!("unknown aggregate `{name}`")));
        };
        if name == "count" && args.len() > 1 {
            // Rows in which none is null.
            let all = args.iter().map(|arg| arg.expr.clone().is_not_null()).chain(filter).reduce(Expr::and);
            filter = all;
            args = vec![Typed::new(lit(1_i64), DataType::Int64)];
        }
        let to_double = matches!(name, "sum" | "avg" | "mean");
        for arg in &mut args {
            if to_double && (arg.data_type == DataType::Null || is_string(&arg.data_type)) {
                *arg = self.cast(arg.clone(), &DataType::Float64, at)?;
            }
        }
        let types = |args: &[Typed]| args.iter().map(|arg| spark_name(&arg.data_type)).collect::<Vec<_>>().join(", ");
        let data_type = fields_with_udf(&argument_fields(&args), function.as_ref())
            .and_then(|fields| function.return_field(&fields).map(|field| (fields, field.data_type().clone())));
        let Ok((fields, data_type)) = data_type else {
            if args.iter().any(|arg| arg.data_type == DataType::Null) && !self.problems.is_empty() {
                return Ok((
                    AggregateCall::Folded { function, args: Vec::new(), filter: None, nulls: None },
                    DataType::Null,
                ));
            }
            return Err(self.refuse_plain(at, format!("`{name}` does not take ({})", types(&args))));
        };
        let constants: Vec<_> = args.iter().map(|arg| constant(&arg.expr)).collect();
        let constants: Vec<_> = constants.iter().map(Option::as_ref).collect();
        if let Some(problem) = manade_functions::misuse_of_aggregate(&function, &fields, &constants) {
            return Err(self.refuse(at, format!("`{name}` cannot work: {problem}"), MISUSED));
        }
        // As values, because calls that only the optimizer finds to be equal would share a column behind our back.
        let args = args.into_iter().zip(&constants).map(|(arg, constant)| match constant {
            Some(value) if value.data_type() == arg.data_type => lit((*value).clone()),
            _ => arg.expr,
        });
        let args = args.collect();
        Ok((AggregateCall::Folded { function, args, filter, nulls }, data_type))
    }

    fn entry_call(
        &mut self,
        name: &str,
        args: Vec<Typed>,
        distinct: bool,
        filter: Option<Expr>,
        at: Location,
    ) -> Bind<(AggregateCall, DataType)> {
        let Some(first) = args.first().cloned() else {
            return Err(self.refuse_plain(at, format!("`{name}` takes an argument")));
        };
        let most = match name {
            "percentile" | "percentile_cont" | "percentile_disc" | "listagg" | "string_agg" => 2,
            "sum" | "avg" | "mean" | "median" | "mode" | "collect_list" | "array_agg" | "collect_set" => 1,
            _ => usize::MAX,
        };
        if args.len() > most {
            let most = if most == 1 { "one argument".to_owned() } else { format!("{most} arguments") };
            return Err(self.refuse_plain(at, format!("`{name}` takes {most}, not {}", args.len())));
        }
        let (kind, values, data_type) = match name {
            "count" => (EntryKind::CountDistinct, args, DataType::Int64),
            "sum" => {
                let sum = match &first.data_type {
                    DataType::Decimal128(precision, scale) => DataType::Decimal128((precision + 10).min(38), *scale),
                    other if other.is_integer() => DataType::Int64,
                    _ => DataType::Float64,
                };
                (EntryKind::SumDistinct, vec![self.cast(first, &sum, at)?], sum)
            }
            "avg" | "mean" => {
                (EntryKind::AvgDistinct, vec![self.cast(first, &DataType::Float64, at)?], DataType::Float64)
            }
            "collect_list" | "array_agg" if !distinct => {
                (EntryKind::List, vec![first.clone()], list_of(&first.data_type))
            }
            "collect_list" | "array_agg" | "collect_set" => {
                (EntryKind::Set, vec![first.clone()], list_of(&first.data_type))
            }
            "mode" if !distinct => {
                let data_type = normal(&first.data_type);
                (EntryKind::Mode, vec![first], data_type)
            }
            "median" => {
                let value = self.cast(first, &DataType::Float64, at)?;
                let kind = EntryKind::Percentile { fractions: vec![0.5], many: false, discrete: false, distinct };
                (kind, vec![value], DataType::Float64)
            }
            "percentile" | "percentile_cont" | "percentile_disc" if name == "percentile" || !distinct => {
                self.percentile_entry(name, &first, args.get(1), distinct, at)?
            }
            "listagg" | "string_agg" => self.join_entry(name, first, args.get(1), distinct, at)?,
            other => {
                let hint = "count, sum, avg, median, percentile(x, fraction), collect_list and listagg take it";
                return Err(self.refuse(at, format!("`{other}` does not take DISTINCT"), hint));
            }
        };
        let values = values
            .into_iter()
            .map(|value| match &filter {
                Some(filter) => when(filter.clone(), value.expr),
                None => value.expr,
            })
            .collect();
        if kind.is_unbounded() {
            self.list_at.get_or_insert(at);
        }
        Ok((AggregateCall::Entry(EntryCall { kind, values }), data_type))
    }

    fn join_entry(
        &mut self,
        name: &str,
        value: Typed,
        delimiter: Option<&Typed>,
        distinct: bool,
        at: Location,
    ) -> Bind<(EntryKind, Vec<Typed>, DataType)> {
        let delimiter = match delimiter.map(|delimiter| &delimiter.expr) {
            None | Some(Expr::Literal(ScalarValue::Null, _)) => String::new(),
            Some(Expr::Literal(text, _)) => text.to_string(),
            Some(_) => return Err(self.refuse_plain(at, format!("the delimiter of `{name}` is a literal"))),
        };
        let value = self.cast(value, &DataType::Utf8View, at)?;
        Ok((EntryKind::Join { delimiter, distinct }, vec![value], DataType::Utf8View))
    }

    /// The fractions of the ascending order that stand for those of the descending one.
    fn descending(&mut self, wanted: &Typed, at: Location) -> Bind<Typed> {
        let Some((fractions, many)) = fractions(wanted) else { return Ok(wanted.clone()) };
        let mut all = Vec::new();
        for fraction in fractions {
            all.push(Typed::new(lit(1.0 - fraction), DataType::Float64));
        }
        if many { self.call("array", all, at) } else { Ok(all.swap_remove(0)) }
    }

    fn percentile_entry(
        &mut self,
        name: &str,
        value: &Typed,
        wanted: Option<&Typed>,
        distinct: bool,
        at: Location,
    ) -> Bind<(EntryKind, Vec<Typed>, DataType)> {
        let Some((fractions, many)) = wanted.and_then(fractions) else {
            return Err(self.refuse(
                at,
                format!("`{name}` takes a value and a fraction, or an array of fractions"),
                "write percentile(x, 0.95), percentile(x, array(0.5, 0.95)) or \
                 percentile_cont(0.95) WITHIN GROUP (ORDER BY x)",
            ));
        };
        if !is_number(&value.data_type) && !is_string(&value.data_type) {
            return Err(self.refuse_plain(at, format!("`{name}` of {}", a(&value.data_type))));
        }
        let value = self.cast(value.clone(), &DataType::Float64, at)?;
        let data_type = if many { list_of(&DataType::Float64) } else { DataType::Float64 };
        let discrete = name == "percentile_disc";
        Ok((EntryKind::Percentile { fractions, many, discrete, distinct }, vec![value], data_type))
    }
}

pub fn aggregate_name(index: usize) -> String {
    format!("__agg{index}")
}

pub fn is_aggregate_name(name: &str) -> bool {
    name.starts_with("__agg")
}

fn list_of(item: &DataType) -> DataType {
    DataType::List(Arc::new(Field::new_list_field(normal(item), true)))
}

fn null_treatment(function: &Function) -> Option<NullTreatment> {
    let own = match &function.args {
        FunctionArguments::List(list) => list.clauses.iter().find_map(|clause| match clause {
            FunctionArgumentClause::IgnoreOrRespectNulls(nulls) => Some(*nulls),
            _ => None,
        }),
        _ => None,
    };
    match function.null_treatment.or(own)? {
        SqlNulls::IgnoreNulls => Some(NullTreatment::IgnoreNulls),
        SqlNulls::RespectNulls => Some(NullTreatment::RespectNulls),
    }
}

/// The value of an expression of literals.
pub fn constant(expr: &Expr) -> Option<ScalarValue> {
    if let Expr::Literal(value, _) = expr {
        return Some(value.clone());
    }
    if !expr.column_refs().is_empty() {
        return None;
    }
    let context = SimplifyContext::default();
    match ExprSimplifier::new(context).simplify(expr.clone()) {
        Ok(Expr::Literal(value, _)) => Some(value),
        _ => None,
    }
}

/// The literal fractions of `percentile`.
fn fractions(arg: &Typed) -> Option<(Vec<f64>, bool)> {
    let number = |expr: &Expr| {
        let inner = match expr {
            Expr::Cast(cast) => &cast.expr,
            other => other,
        };
        let Expr::Literal(value, _) = inner else { return None };
        match value.cast_to(&DataType::Float64).ok()? {
            ScalarValue::Float64(Some(value)) if (0.0..=1.0).contains(&value) => Some(value),
            _ => None,
        }
    };
    match &arg.expr {
        Expr::ScalarFunction(call) if matches!(arg.data_type, DataType::List(_)) => {
            Some((call.args.iter().map(number).collect::<Option<Vec<_>>>()?, true))
        }
        expr => Some((vec![number(expr)?], false)),
    }
}
