//! `manade check`.

use std::fmt::Write as _;

use manade_functions::spark_name;
use manade_model::{Emit, EventSchema, Name, Source};
use manade_pipeline::plan::{Fixed, Plan, PlannedResult};
use manade_run::inferred_schema;

use super::{data_folder, platform_failure, report_findings};
use crate::args::Check;
use crate::failure::{Failure, Outcome};
use crate::output::{counted, say};
use yaml::schema_yaml;

mod yaml;

pub use yaml::plain_or_quoted;

pub fn run(args: &Check) -> Result<Outcome, Failure> {
    let data = data_folder(&args.path, args.data.as_deref());
    let fixed = |name: &Name| Fixed { events: inferred_schema(&data, name), ..Fixed::default() };
    let checked = manade_run::check(&args.path, fixed).map_err(platform_failure)?;
    if report_findings(&checked.findings)? == Outcome::Failed {
        return Ok(Outcome::Failed);
    }
    checked.require_pipeline(&args.path).map_err(platform_failure)?;
    let mut out: String = checked.plans.iter().map(describe).collect();
    let results = checked.plans.iter().map(|plan| plan.results.len() as u64).sum();
    let tests = checked.plans.iter().map(|plan| plan.pipeline.tests.len() as u64).sum();
    if args.connect {
        let (findings, reached) = manade_run::connect(&checked)?;
        if report_findings(&findings)? == Outcome::Failed {
            return Ok(Outcome::Failed);
        }
        out.extend(reached.iter().map(|name| format!("connection {name}: reached\n")));
    }
    let pipelines = counted(checked.plans.len() as u64, "pipeline");
    let _ = writeln!(out, "ok: {pipelines}, {}, {}", counted(results, "result"), counted(tests, "test"));
    say(&out)?;
    Ok(Outcome::Done)
}

/// The lines of `schema:`, indented so far.
pub fn schema_lines(schema: &EventSchema, indent: usize) -> String {
    schema_yaml(schema, indent)
}

fn describe(plan: &Plan) -> String {
    let mut out = format!("pipeline {}\n", plan.pipeline.name);
    let source = match &plan.pipeline.source {
        Source::File(file) if file.follow => format!("file {}, followed as it grows", file.path.display()),
        Source::File(file) => format!("file {}", file.path.display()),
        Source::Http(_) => format!("http: POST /ingest/{}", plan.pipeline.name),
        Source::RabbitMq(queue) => format!("rabbitmq: queue {} at {}", queue.queue, queue.broker.url),
    };
    let _ = writeln!(out, "  source: {source}");
    let time = match &plan.pipeline.events.time {
        Some(path) => path.join("."),
        None => "when an event arrives".to_owned(),
    };
    let _ = writeln!(out, "  event time: {time}");
    if plan.inferred {
        let _ = writeln!(out, "  schema, inferred from the first events; paste it under `events` to change it:");
        let _ = writeln!(out, "    schema:");
        out.push_str(&schema_yaml(&plan.schema, 6));
    } else {
        let _ = writeln!(out, "  schema:");
        out.push_str(&schema_yaml(&plan.schema, 4));
    }
    for table in &plan.tables {
        let _ = writeln!(out, "  table {}:", table.name);
        out.push_str(&schema_yaml(&table.schema, 4));
    }
    out.extend(plan.results.iter().map(describe_result));
    out.push('\n');
    out
}

fn describe_result(result: &PlannedResult) -> String {
    let kind = match (&result.query.stage, result.spec.emit, result.query.key.as_slice()) {
        (manade_sql::Stage::Rows, ..) => "rows are added".to_owned(),
        (_, Emit::Final, _) => "a row is added once its window is closed".to_owned(),
        (manade_sql::Stage::Groups(groups), ..) if groups.top.is_some() => "the first rows of an order".to_owned(),
        (_, _, []) => "one row a group".to_owned(),
        (_, _, key) => format!("one row by {}", key.join(", ")),
    };
    let mut out = format!("  result {}: {kind}\n", result.spec.name);
    for column in &result.query.columns {
        let _ = writeln!(out, "    {}: {}", plain_or_quoted(&column.name), spark_name(&column.data_type));
    }
    out
}
