//! Every expression of tests/data must have the type and the value that Apache Spark gave it (tests/data/generate.py).

#![expect(clippy::unwrap_used, reason = "a failed helper of a test fails the test")]

use std::fmt::Write as _;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Float32Type, Float64Type, TimeUnit};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::common::config::{ConfigOptions, Dialect};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DataFusionError, ScalarValue};
use datafusion::execution::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use datafusion::optimizer::AnalyzerRule;
use datafusion::prelude::{SessionConfig, SessionContext};
use manade_functions::FunctionKind;
use serde_json::{Value, json};

#[test]
fn conditional() {
    check("conditional");
}

#[test]
fn string() {
    check("string");
}

#[test]
fn number() {
    check("number");
}

#[test]
fn datetime() {
    check("datetime");
}

#[test]
fn collection() {
    check("collection");
}

#[test]
fn json_text() {
    check("json");
}

#[test]
fn columns() {
    check("columns");
}

#[test]
fn aggregate() {
    check("aggregate");
}

/// Every documented name is registered and occurs in an expression with an answer of Spark's.
#[test]
fn every_function_is_tried() {
    let state = session();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let files =
        std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).filter(|p| p.extension() == Some("tsv".as_ref()));
    let tried: String = files.map(|p| std::fs::read_to_string(p).unwrap()).collect();
    let mut missing = Vec::new();
    for doc in manade_functions::documented().iter().filter(|doc| !manade_functions::PLANNED.contains(doc)) {
        assert!(!doc.line.is_empty() && doc.signature.starts_with(&format!("{}(", doc.name)), "{}", doc.name);
        for name in std::iter::once(&doc.name).chain(doc.aliases) {
            let registered = match doc.kind {
                FunctionKind::Aggregate => state.aggregate_functions().contains_key(*name),
                _ => state.scalar_functions().contains_key(*name) || state.higher_order_functions().contains_key(*name),
            };
            assert!(registered, "{name} is not registered");
        }
        let called = |name: &&str| [format!("{name}("), format!("`{name}`(")].iter().any(|call| tried.contains(call));
        if !std::iter::once(&doc.name).chain(doc.aliases).any(called) {
            missing.push(doc.name);
        }
    }
    assert!(missing.is_empty(), "documented without an answer of Spark's: {missing:?}");
}

/// Evaluates each line of `tests/data/{topic}.tsv` and compares it with Spark's answer.
fn check(topic: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/{topic}.tsv"));
    let text = std::fs::read_to_string(&path).unwrap();
    let state = session();
    let (mut relation, mut wrong, mut lines) = (None, String::new(), 0);
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("@from") {
            relation = Some(name.trim()).filter(|r| !r.is_empty());
            continue;
        }
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let [expression, kind, value] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("{topic}: no expected value: {line}");
        };
        lines += 1;
        let expected: Value = serde_json::from_str(value).unwrap();
        let got = std::panic::catch_unwind(AssertUnwindSafe(|| evaluate(&state, expression, relation)))
            .unwrap_or_else(|_| Err("panicked".to_owned()));
        match got {
            Ok((k, v)) if k == kind && same(&v, &expected) => {}
            Ok((k, v)) => writeln!(wrong, "{expression}\n    spark: {kind} {value}\n    got:   {k} {v}").unwrap(),
            Err(error) => {
                let error = error.lines().next().unwrap_or_default();
                writeln!(wrong, "{expression}\n    spark: {kind} {value}\n    error: {error}").unwrap();
            }
        }
    }
    assert!(lines > 0, "{topic} is empty");
    assert!(wrong.is_empty(), "{topic}: {} of {lines} differ\n{wrong}", wrong.matches("    spark: ").count());
}

fn session() -> SessionState {
    let mut config = SessionConfig::new().with_target_partitions(1);
    config.options_mut().sql_parser.dialect = Dialect::Spark;
    config.options_mut().sql_parser.parse_float_as_decimal = true;
    let mut state = manade_functions::register(SessionStateBuilder::new().with_config(config));
    let mut analyzer = state.analyzer().take().unwrap_or_default();
    analyzer.rules.insert(0, Arc::new(SparkLiterals));
    *state.analyzer() = Some(analyzer);
    state.build()
}

/// An integer literal is an int if it fits; DataFusion's planner makes them all bigint, the SQL crate's does not.
#[derive(Debug)]
struct SparkLiterals;

impl AnalyzerRule for SparkLiterals {
    fn name(&self) -> &'static str {
        "spark_literals"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan, DataFusionError> {
        let narrow = |expr: Expr| match expr {
            Expr::Literal(ScalarValue::Int64(Some(v)), m) if i32::try_from(v).is_ok() => {
                Expr::Literal(ScalarValue::Int32(Some(v as i32)), m)
            }
            other => other,
        };
        let narrowed = plan.transform_up_with_subqueries(|plan| match plan {
            LogicalPlan::Values(values) => {
                let rows = values.values.into_iter().map(|row| row.into_iter().map(narrow).collect()).collect();
                Ok(Transformed::yes(LogicalPlanBuilder::values(rows)?.build()?))
            }
            LogicalPlan::Projection(_) | LogicalPlan::Aggregate(_) | LogicalPlan::Filter(_) => {
                let names = NamePreserver::new(&plan);
                plan.map_expressions(|expr| {
                    let name = names.save(&expr);
                    Ok(expr.transform_up(|e| Ok(Transformed::yes(narrow(e))))?.update_data(|e| name.restore(e)))
                })?
                .map_data(LogicalPlan::recompute_schema)
            }
            other => Ok(Transformed::no(other)),
        })?;
        Ok(narrowed.data)
    }
}

/// Spark's literals (1.5D, 2L, 1e20) and units as words in forms that DataFusion's planner takes.
fn in_datafusion(sql: &str) -> String {
    let rules = [
        (r"\b([0-9][0-9.]*(?:[eE]-?[0-9]+)?)D\b|\b([0-9][0-9.]*[eE]-?[0-9]+)\b", "cast('$1$2' as double)"),
        (r"\b([0-9]+)L\b", "cast($1 as bigint)"),
        (r"\b(timestampadd|timestampdiff)\((\w+),", "$1('$2',"),
        (r"\bdatediff\(DAY,", "timestampdiff('DAY',"),
        (r"\bdateadd\(DAY,", "timestampadd('DAY',"),
        (r"\binterval ([0-9]+) ", "interval '$1' "),
        (r"range\(0, 20000\)", SERIES),
    ];
    let mut parts: Vec<String> = sql.split('\'').map(str::to_owned).collect();
    for part in parts.iter_mut().step_by(2) {
        for (pattern, with) in &rules {
            *part = regex::Regex::new(pattern).unwrap().replace_all(part, *with).into_owned();
        }
    }
    parts.join("'")
}

/// The type as Spark writes it and the value, or the rows over a relation, in the form that generate.py gives them.
fn evaluate(state: &SessionState, expression: &str, relation: Option<&str>) -> Result<(String, Value), String> {
    let from = relation.map(|r| format!(" FROM {}", in_datafusion(r))).unwrap_or_default();
    let query = format!("SELECT {} AS result{from}", in_datafusion(expression));
    let context = SessionContext::new_with_state(state.clone());
    let batches = futures::executor::block_on(async {
        context.sql(&query).await.map_err(|e| e.to_string())?.collect().await.map_err(|e| e.to_string())
    })?;
    let mut rows = Vec::new();
    let mut kind = String::new();
    for batch in &batches {
        let column = batch.column(0);
        kind = spark_type(column.data_type());
        rows.extend((0..column.len()).map(|row| plain(column, row)));
    }
    Ok((kind, if relation.is_some() { Value::Array(rows) } else { rows.into_iter().next().unwrap_or_default() }))
}

const SERIES: &str = "(SELECT value AS id FROM generate_series(0, 19999))";

fn spark_type(data_type: &DataType) -> String {
    match data_type {
        DataType::Null => "void".to_owned(),
        DataType::Boolean => "boolean".to_owned(),
        DataType::Int8 => "tinyint".to_owned(),
        DataType::Int16 => "smallint".to_owned(),
        DataType::Int32 => "int".to_owned(),
        DataType::Int64 => "bigint".to_owned(),
        DataType::Float32 => "float".to_owned(),
        DataType::Float64 => "double".to_owned(),
        DataType::Decimal128(p, s) => format!("decimal({p},{s})"),
        DataType::Utf8 | DataType::Utf8View => "string".to_owned(),
        DataType::Binary | DataType::BinaryView => "binary".to_owned(),
        DataType::Date32 => "date".to_owned(),
        DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => "timestamp".to_owned(),
        DataType::Timestamp(TimeUnit::Microsecond, None) => "timestamp_ntz".to_owned(),
        DataType::List(item) => format!("array<{}>", spark_type(item.data_type())),
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(kv) => format!("map<{},{}>", spark_type(kv[0].data_type()), spark_type(kv[1].data_type())),
            other => panic!("entries of {other}"),
        },
        DataType::Struct(fields) => {
            let fields: Vec<_> = fields.iter().map(|f| format!("{}:{}", f.name(), spark_type(f.data_type()))).collect();
            format!("struct<{}>", fields.join(","))
        }
        other => other.to_string(),
    }
}

fn plain(array: &ArrayRef, row: usize) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    let rows = |values: &ArrayRef| (0..values.len()).map(|i| plain(values, i)).collect::<Vec<_>>();
    match array.data_type() {
        DataType::Null => Value::Null,
        DataType::Boolean => json!(array.as_boolean().value(row)),
        DataType::Float32 => float(f64::from(array.as_primitive::<Float32Type>().value(row))),
        DataType::Float64 => float(array.as_primitive::<Float64Type>().value(row)),
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => {
            serde_json::from_str(&display(array, row)).unwrap()
        }
        DataType::Timestamp(_, zone) => {
            let zone = if zone.is_some() { "Z" } else { "" };
            let options = FormatOptions::new()
                .with_timestamp_format(Some("%Y-%m-%dT%H:%M:%S%.6f"))
                .with_timestamp_tz_format(Some("%Y-%m-%dT%H:%M:%S%.6f"));
            let text = ArrayFormatter::try_new(array, &options).unwrap().value(row).to_string();
            json!(format!("{text}{zone}"))
        }
        DataType::List(_) => Value::Array(rows(&array.as_list::<i32>().value(row))),
        DataType::Map(..) => {
            let entries = array.as_map().value(row);
            let (keys, values) = (entries.column(0), entries.column(1));
            let mut pairs: Vec<_> = (0..entries.len()).map(|i| json!([plain(keys, i), plain(values, i)])).collect();
            pairs.sort_by_key(Value::to_string);
            Value::Array(pairs)
        }
        DataType::Struct(fields) => {
            let columns = array.as_struct().columns();
            Value::Array(fields.iter().zip(columns).map(|(f, c)| json!([f.name(), plain(c, row)])).collect())
        }
        _ => json!(display(array, row)),
    }
}

fn display(array: &ArrayRef, row: usize) -> String {
    ArrayFormatter::try_new(&Arc::clone(array), &FormatOptions::new()).unwrap().value(row).to_string()
}

fn float(value: f64) -> Value {
    if value.is_nan() {
        json!("NaN")
    } else if value.is_infinite() {
        json!(if value > 0.0 { "Infinity" } else { "-Infinity" })
    } else {
        json!(value)
    }
}

/// Equal; floats to 1e-9 of their size.
fn same(got: &Value, expected: &Value) -> bool {
    match (got, expected) {
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Number(a), Value::Number(b)) if a.is_f64() || b.is_f64() => {
            let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
            (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1e-6)
        }
        _ => got == expected,
    }
}
