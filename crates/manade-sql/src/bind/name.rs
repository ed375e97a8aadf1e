//! Names of columns without an alias: Spark's `usePrettyExpression`.

use datafusion::logical_expr::sqlparser::ast::{
    AccessExpr, BinaryOperator, DataType as SqlType, DuplicateTreatment, Expr as Sql, Function, FunctionArg,
    FunctionArgExpr, FunctionArguments, Ident, Subscript, UnaryOperator, Value,
};

use super::interval::interval_text;
use super::scope::{Found, Scope};

/// The name that Spark gives to this expression of SELECT.
pub fn column_name(sql: &Sql, scope: &Scope) -> String {
    match sql {
        // A bare column or field is named by its last part, as it is written.
        Sql::Identifier(name) => name.value.clone(),
        Sql::CompoundIdentifier(names) => names.last().map_or_else(String::new, |name| name.value.clone()),
        Sql::CompoundFieldAccess { root, access_chain } => match access_chain.last() {
            Some(AccessExpr::Dot(Sql::Identifier(name))) if is_named(root) => name.value.clone(),
            _ => pretty(sql, scope),
        },
        Sql::Nested(inner) => column_name(inner, scope),
        // A cast of a column keeps its name.
        Sql::Cast { expr, .. } if is_named(expr) => column_name(expr, scope),
        Sql::Function(function) => match function.name.to_string().to_lowercase().as_str() {
            "window" => "window".to_owned(),
            "session_window" => "session_window".to_owned(),
            _ => match cast_argument(function) {
                Some(inner) if is_named(inner) => column_name(inner, scope),
                _ => pretty(sql, scope),
            },
        },
        _ => pretty(sql, scope),
    }
}

fn pretty(sql: &Sql, scope: &Scope) -> String {
    let p = |sql: &Sql| pretty(sql, scope);
    let not = |negated: bool, text: String| if negated { format!("(NOT {text})") } else { text };
    let list = |all: &[Sql]| all.iter().map(p).collect::<Vec<_>>().join(", ");
    match sql {
        Sql::Identifier(name) => name.value.clone(),
        Sql::CompoundIdentifier(names) => field_path(names, scope),
        Sql::CompoundFieldAccess { root, access_chain } => access(root, access_chain, scope),
        Sql::Nested(inner) => p(inner),
        Sql::Value(value) => literal(&value.value),
        Sql::Function(function) => match cast_argument(function) {
            Some(inner) => p(inner),
            None => call(function, scope),
        },
        Sql::Interval(interval) => interval_text(interval).unwrap_or_else(|| sql.to_string()),
        Sql::BinaryOp { left, op: BinaryOperator::Multiply, right } if is_interval(right) => {
            format!("({} * {})", p(right), p(left))
        }
        Sql::BinaryOp { left, op: op @ (BinaryOperator::Plus | BinaryOperator::Minus), right }
            if is_interval(left) || is_interval(right) =>
        {
            format!("{} {op} {}", p(left), p(right))
        }
        Sql::BinaryOp { left, op: BinaryOperator::NotEq, right } => format!("(NOT ({} = {}))", p(left), p(right)),
        Sql::BinaryOp { left, op: BinaryOperator::StringConcat, right } => format!("concat({}, {})", p(left), p(right)),
        Sql::BinaryOp { left, op, right } => {
            let op = match op {
                BinaryOperator::Spaceship => "<=>".to_owned(),
                BinaryOperator::MyIntegerDivide => "div".to_owned(),
                other => other.to_string(),
            };
            format!("({} {op} {})", p(left), p(right))
        }
        Sql::UnaryOp { op: UnaryOperator::Not | UnaryOperator::BangNot, expr } => format!("(NOT {})", p(expr)),
        Sql::UnaryOp { op: UnaryOperator::Minus, expr } => match expr.as_ref() {
            Sql::Value(value) => format!("-{}", literal(&value.value)),
            other => format!("(- {})", p(other)),
        },
        Sql::UnaryOp { op: UnaryOperator::Plus, expr } => format!("(+ {})", p(expr)),
        Sql::UnaryOp { op, expr } => format!("{op}{}", p(expr)),
        Sql::IsNull(inner) => format!("({} IS NULL)", p(inner)),
        Sql::IsNotNull(inner) => format!("({} IS NOT NULL)", p(inner)),
        Sql::IsTrue(inner) => format!("({} <=> true)", p(inner)),
        Sql::IsNotTrue(inner) => format!("(NOT ({} <=> true))", p(inner)),
        Sql::IsFalse(inner) => format!("({} <=> false)", p(inner)),
        Sql::IsNotFalse(inner) => format!("(NOT ({} <=> false))", p(inner)),
        Sql::IsDistinctFrom(left, right) => format!("(NOT ({} <=> {}))", p(left), p(right)),
        Sql::IsNotDistinctFrom(left, right) => format!("({} <=> {})", p(left), p(right)),
        Sql::Between { expr, negated, low, high } => {
            let text = format!("between({}, {}, {})", p(expr), p(low), p(high));
            not(*negated, text)
        }
        Sql::InList { expr, list: values, negated } => not(*negated, format!("({} IN ({}))", p(expr), list(values))),
        Sql::Like { .. } | Sql::ILike { .. } => like(sql, scope),
        Sql::RLike { negated, expr, pattern, .. } => not(*negated, format!("RLIKE({}, {})", p(expr), p(pattern))),
        Sql::Case { .. } | Sql::Substring { .. } | Sql::Trim { .. } | Sql::TypedString(_) => long_form(sql, scope),
        Sql::Cast { expr, data_type, .. } => format!("CAST({} AS {})", p(expr), type_name(data_type)),
        Sql::Extract { field, expr, .. } => format!("extract({} FROM {})", field.to_string().to_lowercase(), p(expr)),
        Sql::Ceil { expr, .. } => format!("CEIL({})", p(expr)),
        Sql::Floor { expr, .. } => format!("FLOOR({})", p(expr)),
        Sql::Position { expr, r#in } => format!("locate({}, {}, 1)", p(expr), p(r#in)),
        Sql::Tuple(parts) | Sql::Struct { values: parts, .. } => format!("struct({})", list(parts)),
        Sql::Named { expr, name } => format!("{} AS {}", p(expr), name.value),
        other => other.to_string(),
    }
}

/// Expressions of several words.
fn long_form(sql: &Sql, scope: &Scope) -> String {
    let p = |sql: &Sql| pretty(sql, scope);
    match sql {
        Sql::Case { operand, conditions, else_result, .. } => {
            let mut text = "CASE".to_owned();
            for each in conditions {
                let condition = match operand {
                    Some(operand) => format!("({} = {})", p(operand), p(&each.condition)),
                    None => p(&each.condition),
                };
                text.extend([" WHEN ", &condition, " THEN ", &p(&each.result)]);
            }
            if let Some(otherwise) = else_result {
                text.extend([" ELSE ", &p(otherwise)]);
            }
            text + " END"
        }
        Sql::TypedString(typed) => {
            let text = typed.value.clone().into_string().unwrap_or_default();
            format!("{} '{text}'", type_name(&typed.data_type))
        }
        Sql::Substring { expr, substring_from, substring_for, shorthand, .. } => {
            let length = substring_for.as_ref().map_or_else(|| i32::MAX.to_string(), |length| p(length));
            let name = if *shorthand { "substr" } else { "substring" };
            let from = substring_from.as_ref().map_or_else(|| "1".to_owned(), |from| p(from));
            format!("{name}({}, {from}, {length})", p(expr))
        }
        Sql::Trim { expr, trim_where, trim_what, .. } => match (trim_where, trim_what) {
            (None, None) => format!("trim({})", p(expr)),
            (side, what) => {
                let side = side.as_ref().map_or_else(|| "BOTH".to_owned(), ToString::to_string);
                let what = what.as_ref().map_or_else(String::new, |what| format!("{} ", p(what)));
                format!("TRIM({side} {what}FROM {})", p(expr))
            }
        },
        other => other.to_string(),
    }
}

/// `bid.price` stays; `e.origin` loses the relation's name.
fn field_path(names: &[Ident], scope: &Scope) -> String {
    let used = match scope.find(names) {
        Found::Column(_, used) => used,
        _ => 1,
    };
    names[used - 1..].iter().map(|name| name.value.as_str()).collect::<Vec<_>>().join(".")
}

fn access(root: &Sql, chain: &[AccessExpr], scope: &Scope) -> String {
    let mut names: Vec<Ident> = match root {
        Sql::Identifier(name) => vec![name.clone()],
        Sql::CompoundIdentifier(names) => names.clone(),
        _ => Vec::new(),
    };
    let mut rest = chain;
    if !names.is_empty() {
        while let [AccessExpr::Dot(Sql::Identifier(name)), tail @ ..] = rest {
            names.push(name.clone());
            rest = tail;
        }
    }
    let mut text = if names.is_empty() { pretty(root, scope) } else { field_path(&names, scope) };
    for each in rest {
        match each {
            AccessExpr::Dot(name) => text.extend([".", &name.to_string()]),
            AccessExpr::Subscript(Subscript::Index { index }) => {
                text.extend(["[", &pretty(index, scope), "]"]);
            }
            AccessExpr::Subscript(other) => text.push_str(&other.to_string()),
        }
    }
    text
}

fn call(function: &Function, scope: &Scope) -> String {
    let name = function.name.to_string().to_lowercase();
    let (distinct, args) = match &function.args {
        FunctionArguments::List(list) => {
            let args: Vec<String> = list
                .args
                .iter()
                .map(|arg| match arg {
                    FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))
                    | FunctionArg::Named { arg: FunctionArgExpr::Expr(expr), .. } => pretty(expr, scope),
                    _ => "1".to_owned(),
                })
                .collect();
            (list.duplicate_treatment == Some(DuplicateTreatment::Distinct), args)
        }
        _ => (false, Vec::new()),
    };
    let (name, args) = as_spark_calls(&name, args);
    let distinct = if distinct { "DISTINCT " } else { "" };
    let mut text = match (name.as_str(), args.as_slice()) {
        ("isnull", [value]) => format!("({value} IS NULL)"),
        ("isnotnull", [value]) => format!("({value} IS NOT NULL)"),
        ("if", _) => format!("(IF({}))", args.join(", ")),
        _ => format!("{name}({distinct}{})", args.join(", ")),
    };
    if let Some(filter) = &function.filter {
        text.extend([" FILTER (WHERE ", &pretty(filter, scope), ")"]);
    }
    text
}

/// Spark shows some functions under another name, and defaults of arguments that were left out.
fn as_spark_calls(name: &str, mut args: Vec<String>) -> (String, Vec<String>) {
    let default = match (name, args.len()) {
        ("locate" | "position" | "percentile" | "regexp_extract", 2) | ("regexp_replace", 3) => Some("1"),
        ("split", 2) => Some("-1"),
        ("percentile_approx" | "approx_percentile", 2) => Some("10000"),
        ("unix_timestamp", 1) => Some("yyyy-MM-dd HH:mm:ss"),
        ("substr", 2) => Some("2147483647"),
        _ => None,
    };
    args.extend(default.map(str::to_owned));
    if matches!(name, "first" | "last" | "first_value" | "last_value" | "any_value") {
        args.truncate(1);
    }
    let name = match name {
        "power" => "POWER",
        "array_agg" => "collect_list",
        other => other,
    };
    (name.to_owned(), args)
}

fn is_named(sql: &Sql) -> bool {
    match sql {
        Sql::Identifier(_) | Sql::CompoundIdentifier(_) => true,
        Sql::Nested(inner) => is_named(inner),
        _ => false,
    }
}

fn is_interval(sql: &Sql) -> bool {
    match sql {
        Sql::Interval(_) => true,
        Sql::Nested(inner) => is_interval(inner),
        Sql::BinaryOp { left, op: BinaryOperator::Multiply | BinaryOperator::Divide, right } => {
            is_interval(left) || is_interval(right)
        }
        _ => false,
    }
}

fn is_quantified(pattern: &Sql) -> bool {
    matches!(pattern, Sql::Function(function)
        if matches!(function.name.to_string().to_lowercase().as_str(), "all" | "some"))
}

/// `likeall(x)`, `notlikeany(lower(x))` where there are several patterns, which Spark leaves out.
fn like(sql: &Sql, scope: &Scope) -> String {
    let (Sql::Like { negated, any, expr, pattern, .. } | Sql::ILike { negated, any, expr, pattern, .. }) = sql else {
        return sql.to_string();
    };
    let (value, any_case) = (pretty(expr, scope), matches!(sql, Sql::ILike { .. }));
    let all = matches!(pattern.as_ref(), Sql::Function(call) if call.name.to_string().eq_ignore_ascii_case("all"));
    if *any || is_quantified(pattern) {
        let value = if any_case { format!("lower({value})") } else { value };
        return format!("{}like{}({value})", if *negated { "not" } else { "" }, if all { "all" } else { "any" });
    }
    let pattern = pretty(pattern, scope);
    let text = if any_case { format!("ilike({value}, {pattern})") } else { format!("{value} LIKE {pattern}") };
    if *negated { format!("(NOT {text})") } else { text }
}

/// The argument of a cast that is written as a call.
fn cast_argument(function: &Function) -> Option<&Sql> {
    let casts = [
        "int",
        "bigint",
        "smallint",
        "tinyint",
        "float",
        "double",
        "string",
        "boolean",
        "date",
        "timestamp",
        "binary",
        "decimal",
    ];
    let FunctionArguments::List(list) = &function.args else { return None };
    match list.args.as_slice() {
        [FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))]
            if casts.contains(&function.name.to_string().to_lowercase().as_str()) =>
        {
            Some(expr)
        }
        _ => None,
    }
}

fn literal(value: &Value) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::Number(digits, _) => digits.trim_end_matches(|c: char| c.is_ascii_alphabetic()).to_owned(),
        Value::Boolean(value) => value.to_string(),
        other => other.clone().into_string().unwrap_or_else(|| other.to_string()),
    }
}

/// Spark's SQL name of a type.
fn type_name(data_type: &SqlType) -> String {
    match data_type {
        SqlType::Integer(_) | SqlType::Int(_) => "INT".to_owned(),
        SqlType::Text | SqlType::String(_) => "STRING".to_owned(),
        SqlType::Decimal(_) | SqlType::Dec(_) | SqlType::Numeric(_) => {
            let text = data_type.to_string().replace(' ', "");
            match text.split_once('(') {
                Some((_, digits)) if digits.contains(',') => format!("DECIMAL({digits}"),
                Some((_, digits)) => format!("DECIMAL({},0)", digits.trim_end_matches(')')),
                None => "DECIMAL(10,0)".to_owned(),
            }
        }
        SqlType::Real => "FLOAT".to_owned(),
        SqlType::Custom(name, _) if name.to_string().contains('<') => {
            let text = name.to_string().to_uppercase();
            [(" <", "<"), ("< ", "<"), (" >", ">"), (" ,", ","), (" :", ":")]
                .iter()
                .fold(text, |t, (a, b)| t.replace(a, b))
        }
        other => other.to_string().to_uppercase(),
    }
}
