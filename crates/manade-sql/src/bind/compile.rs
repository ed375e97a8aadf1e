//! From one result's SQL to a query, or to everything that is wrong with it.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::sqlparser::ast::Query as SqlQuery;
use datafusion::logical_expr::sqlparser::tokenizer::Location;
use datafusion::logical_expr::{Expr, LogicalPlan};
use manade_model::{Emit, Finding, Place, ResultSpec};

use super::fingerprint::fingerprint;
use super::group::{KeyColumn, KeyRole};
use super::query::Bound;
use super::{Binder, Grouping, Problem, WindowShape};
use crate::plan::{Parts, ReadInput, planning_state};
use crate::query::{Catalog, Groups, Input, KeyPart, OutputColumn, Query, Stage, Window};
use crate::types::{a, normal, prune, timestamp};
use crate::{ROW, SEQUENCE, WATERMARK};

/// Binding and planning recurse as deep as the text nests.
pub const STACK: usize = 256 << 20;

/// Findings are errors, each with its place in the platform file; notes come with the query.
pub fn compile(spec: &ResultSpec, catalog: &Catalog) -> Result<Query, Vec<Finding>> {
    let outcome = std::thread::scope(|scope| {
        let builder = std::thread::Builder::new().name("sql-compile".to_owned()).stack_size(STACK);
        builder.spawn_scoped(scope, || compile_here(spec, catalog)).map(std::thread::ScopedJoinHandle::join)
    });
    let problem = |message: String| vec![Finding::error(spec.sql.place_of(1, 1), message)];
    match outcome {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) => Err(problem("the query cannot be planned: the SQL engine panicked".to_owned())),
        Err(error) => Err(problem(format!("no thread to plan with: {error}"))),
    }
}

fn compile_here(spec: &ResultSpec, catalog: &Catalog) -> Result<Query, Vec<Finding>> {
    let placed = |problems: Vec<Problem>| -> Vec<Finding> {
        problems.into_iter().map(|problem| finding(spec, problem)).collect()
    };
    let syntax = crate::parse::parse(&spec.sql.text).map_err(|problem| placed(vec![problem]))?;
    let state = planning_state();
    let first = bind(&state, catalog, &syntax, None, Vec::new()).map_err(placed)?;
    let sequence = first.bound.grouping.as_ref().is_some_and(|grouping| {
        grouping.entries.iter().any(|table| table.readers.iter().any(|(_, kind)| kind.is_unbounded()))
    });
    let whole = first.whole_input(catalog);
    let reads = paths(&first.reads, &whole);
    let input_schema = prune(&whole, &reads);
    let carried = |late: bool| {
        let mut carried = Vec::new();
        if sequence {
            carried.push((SEQUENCE, DataType::UInt64));
        }
        if late {
            carried.push((WATERMARK, timestamp()));
            carried.push((ROW, DataType::UInt32));
        }
        carried
    };
    let pass = |late| bind(&state, catalog, &syntax, Some(Arc::clone(&input_schema)), carried(late)).map_err(placed);
    let bound = pass(false)?;
    let windowed = bound.bound.grouping.as_ref().is_some_and(|grouping| grouping.window.is_some());
    let late = windowed.then(|| pass(true)).transpose()?;
    let mut findings: Vec<Finding> =
        check_columns(&bound.bound).into_iter().map(|problem| finding(spec, problem)).collect();
    findings.extend(check_spec(spec, &bound.bound, bound.list_at));
    if !findings.is_empty() {
        return Err(findings);
    }
    let limit = spec.limit.and_then(|limit| usize::try_from(limit).ok());
    let limit = if windowed { None } else { limit };
    let tables: Vec<String> = bound.tables.iter().cloned().collect();
    let input = ReadInput { schema: Arc::clone(&input_schema), tables: tables.clone(), sequence };
    let parts = Parts::new(&state, &bound.bound, late.map(|late| late.bound.below), input, limit)
        .map_err(|error| placed(vec![unplanned(&error)]))?;
    let fingerprint =
        fingerprint(&bound.bound, &bound.input, limit).map_err(|error| placed(vec![unplanned(&error)]))?;
    let notes = notes(spec, &bound.bound);
    let scope = &bound.bound.scope;
    let columns = scope.columns.iter().map(|column| OutputColumn {
        name: column.shown.clone(),
        data_type: normal(&column.data_type),
        nullable: true,
    });
    let (key, key_parts) = visible_key(&bound.bound);
    let time = visible_time(&bound.bound, bound.time.as_deref());
    Ok(Query {
        columns: columns.collect(),
        reads,
        input_schema,
        input: bound.input,
        inlined: bound.inlined.into_iter().collect(),
        tables,
        notes: notes.into_iter().map(|note| Finding::note(spec.place.clone(), note.0).with_hint(note.1)).collect(),
        stage: stage(&bound.bound, &parts),
        fingerprint,
        key,
        key_parts,
        time,
        sequence,
        parts: Arc::new(parts),
    })
}

/// One pass of binding.
struct Pass {
    bound: Bound,
    reads: BTreeSet<Vec<String>>,
    tables: BTreeSet<String>,
    inlined: BTreeSet<String>,
    input: Input,
    time: Option<Vec<String>>,
    list_at: Option<Location>,
}

impl Pass {
    fn whole_input(&self, catalog: &Catalog) -> SchemaRef {
        match &self.input {
            Input::Events => Arc::clone(&catalog.events),
            Input::Result(name) => catalog
                .upstream
                .iter()
                .find(|upstream| upstream.name == *name)
                .map_or_else(|| Arc::new(Schema::empty()), |upstream| Arc::clone(&upstream.schema)),
        }
    }
}

fn bind(
    state: &SessionState,
    catalog: &Catalog,
    syntax: &SqlQuery,
    input_schema: Option<SchemaRef>,
    carried: Vec<(&'static str, DataType)>,
) -> Result<Pass, Vec<Problem>> {
    let mut binder = Binder {
        catalog,
        input_schema,
        state,
        carried,
        problems: Vec::new(),
        reads: BTreeSet::new(),
        tables: BTreeSet::new(),
        input: None,
        inlined: BTreeSet::new(),
        time: None,
        aggregates: Vec::new(),
        groups: Vec::new(),
        window: None,
        overlapping: None,
        grouping: None,
        ctes: Vec::new(),
        column_names: HashMap::new(),
        list_at: None,
        next: 0,
    };
    let bound = binder.outermost(syntax);
    match (bound, binder.input) {
        (Ok(bound), Some(input)) if binder.problems.is_empty() => {
            let Binder { reads, tables, inlined, time, list_at, .. } = binder;
            Ok(Pass { bound, reads, tables, inlined, input, time, list_at })
        }
        _ => {
            let mut problems = binder.problems;
            if problems.is_empty() {
                problems.push(Problem::new(Location { line: 1, column: 1 }, "the query cannot be planned"));
            }
            problems.sort_by_key(|problem| (problem.at.line, problem.at.column));
            Err(problems)
        }
    }
}

fn finding(spec: &ResultSpec, problem: Problem) -> Finding {
    Finding { hint: problem.hint, ..Finding::error(place_of(spec, problem.at), problem.message) }
}

fn place_of(spec: &ResultSpec, at: Location) -> Place {
    match (at.line, at.column) {
        (0, _) => spec.sql.place_of(1, 1),
        (line, column) => spec.sql.place_of(line as usize, column as usize),
    }
}

fn unplanned(error: &datafusion::error::DataFusionError) -> Problem {
    let text = error.find_root().strip_backtrace();
    let first = text.lines().next().unwrap_or_default();
    let plain = first.rsplit("error: ").next().unwrap_or(first);
    Problem::new(Location { line: 1, column: 1 }, format!("the query cannot be planned: {plain}"))
}

/// Paths as far as structs go, without those that another one covers.
fn paths(reads: &BTreeSet<Vec<String>>, schema: &Schema) -> Vec<Vec<String>> {
    let mut paths: BTreeSet<Vec<String>> = BTreeSet::new();
    for path in reads {
        let mut kept = Vec::new();
        let mut fields = Some(schema.fields());
        for name in path {
            let Some(field) =
                fields.and_then(|fields| fields.iter().find(|field| field.name().to_lowercase() == *name))
            else {
                break;
            };
            kept.push(name.clone());
            fields = match field.data_type() {
                DataType::Struct(fields) => Some(fields),
                _ => None,
            };
        }
        paths.insert(kept);
    }
    let covered = |path: &[String]| (1..path.len()).any(|n| paths.contains(&path[..n]));
    paths.iter().filter(|path| !path.is_empty() && !covered(path)).cloned().collect()
}

/// Columns that a collection cannot hold: two of one name, intervals.
fn check_columns(bound: &Bound) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    for column in &bound.scope.columns {
        if !seen.insert(&column.name) {
            let problem = Problem::new(column.at, format!("two columns are named `{}`", column.shown));
            problems.push(problem.hint("give one of them another name with AS"));
        }
        if has_interval(&column.data_type) {
            let shown = a(&column.data_type);
            let message = format!("column `{}` is {shown}, which a collection cannot hold", column.shown);
            problems.push(Problem::new(column.at, message).hint(
                "write datediff(end, start) for days, unix_timestamp(end) - unix_timestamp(start) for seconds, or cast it to a string",
            ));
        }
    }
    problems
}

fn has_interval(data_type: &DataType) -> bool {
    match data_type {
        DataType::Interval(_) | DataType::Duration(_) => true,
        DataType::List(item) | DataType::Map(item, _) => has_interval(item.data_type()),
        DataType::Struct(fields) => fields.iter().any(|field| has_interval(field.data_type())),
        _ => false,
    }
}

/// What the result asks of its query.
fn check_spec(spec: &ResultSpec, bound: &Bound, list_at: Option<Location>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut error = |place: &Place, message: String, hint: String| {
        findings.push(Finding::error(place.clone(), message).with_hint(hint));
    };
    for (name, place) in &spec.index {
        if bound.scope.columns.iter().any(|column| column.name == name.to_lowercase()) {
            continue;
        }
        let shown: Vec<&str> = bound.scope.columns.iter().map(|column| column.shown.as_str()).collect();
        let hint = match manade_model::closest(name, shown.iter().copied()) {
            Some(closest) => format!("did you mean `{closest}`?"),
            None => format!("there are: {}", shown.join(", ")),
        };
        error(place, format!("index: the query has no column `{name}`"), hint);
    }
    let windowed = bound.grouping.as_ref().is_some_and(|grouping| grouping.window.is_some());
    if spec.emit == Emit::Final && !windowed {
        let message = "`emit: final` needs a window: without one a row is never final";
        error(&spec.emit_place, message.to_owned(), "group by window(time, '1 hour'), or leave `emit` out".to_owned());
    }
    if spec.emit == Emit::Final && bound.order.is_some() {
        let message = "`emit: final` appends rows, so ORDER BY ... LIMIT has nothing to bound";
        error(&spec.emit_place, message.to_owned(), "leave one of them out".to_owned());
    }
    let unbounded = bound.grouping.as_ref().is_some_and(|grouping| {
        grouping.entries.iter().flat_map(|table| &table.readers).any(|(_, kind)| kind.is_unbounded())
    });
    if unbounded && !windowed && spec.limit.is_none() {
        let hint = "set `limit` on the result (values a group), or group by a window";
        let place = list_at.map_or_else(|| spec.place.clone(), |at| place_of(spec, at));
        error(&place, "a list outside a window grows without end".to_owned(), hint.to_owned());
    }
    findings
}

fn notes(spec: &ResultSpec, bound: &Bound) -> Vec<(&'static str, &'static str)> {
    let Some(grouping) = &bound.grouping else { return Vec::new() };
    let bounded = spec.retain.age.is_some() || spec.retain.size.is_some() || grouping.keys.is_empty();
    let final_rows = spec.emit == Emit::Final;
    match (bounded || final_rows, grouping.window.is_some()) {
        (true, _) => Vec::new(),
        (false, false) => vec![("state grows with the keys", "set `retain` to drop groups that are no longer updated")],
        (false, true) => vec![("windows are kept for ever", "set `retain` to drop old windows")],
    }
}

fn stage(bound: &Bound, parts: &Parts) -> Stage {
    let (Some(grouping), Some(aggregation)) = (&bound.grouping, &parts.aggregation) else { return Stage::Rows };
    let micros = |micros: i64| Duration::from_micros(micros.unsigned_abs());
    let window = grouping.window.map(|shape| match shape {
        WindowShape::Fixed { size, slide, offset } => {
            Window::Fixed { size: micros(size), slide: micros(slide), offset: micros(offset) }
        }
        WindowShape::Session { gap } => Window::Session { gap: micros(gap) },
    });
    Stage::Groups(Groups {
        window,
        main: aggregation.main_table(),
        entries: aggregation.entry_tables(),
        top: bound.order.as_ref().map(|order| order.top),
    })
}

/// The outermost projection's expressions with the columns that they make.
fn projected(bound: &Bound) -> Vec<(&Expr, &str)> {
    let Some(LogicalPlan::Projection(projection)) = &bound.above else { return Vec::new() };
    let mut all = Vec::new();
    for expr in &projection.expr {
        let Expr::Alias(alias) = expr else { continue };
        if let Some(column) = bound.scope.columns.iter().find(|column| column.internal == alias.name) {
            all.push((alias.expr.as_ref(), column.shown.as_str()));
        }
    }
    all
}

/// Visible names of the group's key, if all of it is selected, and what each column shows of it. A window is known by its
/// start or its end as well.
fn visible_key(bound: &Bound) -> (Vec<String>, Vec<(usize, KeyPart)>) {
    let Some(grouping) = &bound.grouping else { return Default::default() };
    let projected = projected(bound);
    let position = |name: &str| bound.scope.columns.iter().position(|column| column.shown == name);
    let part = |(expr, name): &(&Expr, &str)| Some((position(name)?, key_part(grouping, expr)?));
    let parts: Vec<(usize, KeyPart)> = projected.iter().filter_map(part).collect();
    if grouping.keys.iter().any(|key| key.role == KeyRole::GroupingId) {
        return (Vec::new(), parts);
    }
    let window = window_struct_of(grouping);
    let shows = |expr: &Expr| projected.iter().find(|(shown, _)| *shown == expr).map(|(_, name)| (*name).to_owned());
    let named = |shown: &Expr| match &window {
        Some(window) if window == shown => {
            shows(window).or_else(|| shows(&bound_of(window, "start"))).or_else(|| shows(&bound_of(window, "end")))
        }
        _ => shows(shown),
    };
    (grouping.shown.iter().map(named).collect::<Option<Vec<_>>>().unwrap_or_default(), parts)
}

fn key_part(grouping: &Grouping, shown: &Expr) -> Option<KeyPart> {
    if let Expr::Column(column) = shown {
        return grouping.keys.iter().position(|key| key.name == column.name).map(KeyPart::Column);
    }
    let window = window_struct_of(grouping)?;
    if *shown == window {
        Some(KeyPart::Window)
    } else if *shown == bound_of(&window, "start") {
        let is_start = |key: &KeyColumn| matches!(key.role, KeyRole::WindowStart | KeyRole::SessionStart);
        grouping.keys.iter().position(is_start).map(KeyPart::Column)
    } else {
        (*shown == bound_of(&window, "end")).then_some(KeyPart::WindowEnd)
    }
}

fn bound_of(window: &Expr, field: &str) -> Expr {
    datafusion::functions::core::expr_fn::get_field(window.clone(), field)
}

fn visible_time(bound: &Bound, time: Option<&[String]>) -> Option<Vec<String>> {
    let Some(grouping) = &bound.grouping else {
        return bound
            .scope
            .columns
            .iter()
            .find(|column| column.path.as_deref() == time && time.is_some())
            .map(|column| vec![column.shown.clone()]);
    };
    let window = window_struct_of(grouping)?;
    let end = bound_of(&window, "end");
    projected(bound).into_iter().find_map(|(expr, name)| match expr {
        expr if *expr == window => Some(vec![name.to_owned(), "end".to_owned()]),
        expr if *expr == end => Some(vec![name.to_owned()]),
        _ => None,
    })
}

fn window_struct_of(grouping: &Grouping) -> Option<Expr> {
    grouping.window?;
    grouping
        .shown
        .iter()
        .find(|shown| matches!(shown, Expr::ScalarFunction(call) if call.func.name() == "named_struct"))
        .cloned()
}
