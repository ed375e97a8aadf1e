//! `manade status`.

use std::fmt::Write as _;

use serde_json::Value;

use crate::args::{ListFormat, Status};
use crate::client::Client;
use crate::failure::{Failure, Outcome};
use crate::output::{say, width};
use crate::table::{Cell, Table};

pub fn run(args: &Status) -> Result<Outcome, Failure> {
    let client = Client::connect(&args.target)?;
    let pipelines = client.get("/api/v1/pipelines")?.json()?;
    say(&match args.output {
        ListFormat::Json => serde_json::to_string_pretty(&pipelines)? + "\n",
        ListFormat::Table => text(&pipelines, width()),
    })?;
    Ok(Outcome::Done)
}

fn text(pipelines: &Value, width: Option<usize>) -> String {
    let pipelines = pipelines.as_array().map(Vec::as_slice).unwrap_or_default();
    if pipelines.is_empty() {
        return "no pipelines\n".to_owned();
    }
    let counters = ["read", "processed", "dead", "expired", "dead_letters", "backlog"];
    let mut of_pipelines = Table::new(&[
        "PIPELINE",
        "STATE",
        "SOURCE",
        "READ",
        "PROCESSED",
        "DEAD",
        "EXPIRED",
        "DEAD LETTERS",
        "BACKLOG",
        "WATERMARK",
    ]);
    let result_counters = ["rows", "selected", "written", "late", "failed"];
    let mut of_results =
        Table::new(&["RESULT", "PIPELINE", "ROWS", "SELECTED", "WRITTEN", "LATE", "FAILED", "WATERMARK"]);
    let feed_counters = ["received", "repeated", "unacknowledged", "ready"];
    let mut of_feeds = Table::new(&["FEED OF", "RECEIVED", "REPEATED", "UNACKNOWLEDGED", "READY"]);
    let mut of_sinks = Table::new(&["SINK", "RESULT", "DELIVERED", "REFUSED", "WAITING"]);
    let (mut has_feeds, mut has_sinks) = (false, false);
    let mut reasons = String::new();
    for pipeline in pipelines {
        let name = word(pipeline, "name");
        let mut row = vec![Cell::text(name), Cell::text(word(pipeline, "state")), Cell::text(word(pipeline, "source"))];
        row.extend(counters.map(|counter| number(&pipeline[counter])));
        row.push(Cell::text(word(pipeline, "watermark")));
        of_pipelines.push(row);
        if let Some(reason) = pipeline["reason"].as_str() {
            let _ = writeln!(reasons, "{name} is {}: {reason}", word(pipeline, "state"));
        }
        if let Some(feed) = pipeline.get("feed").filter(|feed| feed.is_object()) {
            has_feeds = true;
            let counted = feed_counters.map(|counter| number(&feed[counter]));
            of_feeds.push([vec![Cell::text(name)], counted.to_vec()].concat());
        }
        for result in pipeline["results"].as_array().into_iter().flatten() {
            let mut row = vec![Cell::text(word(result, "name")), Cell::text(name)];
            row.extend(result_counters.map(|counter| Cell::number(&result[counter])));
            row.push(Cell::text(word(result, "watermark")));
            of_results.push(row);
            for sink in result["sinks"].as_array().into_iter().flatten() {
                has_sinks = true;
                let mut row = vec![Cell::text(word(sink, "name")), Cell::text(word(result, "name"))];
                row.extend(["delivered", "refused", "waiting"].map(|counter| number(&sink[counter])));
                of_sinks.push(row);
                if let Some(trouble) = sink["trouble"].as_str() {
                    let _ = writeln!(reasons, "{} is waiting: {trouble}", word(sink, "name"));
                }
            }
        }
    }
    let feeds = if has_feeds { of_feeds.render(width) + "\n" } else { String::new() };
    let sinks = if has_sinks { format!("\n{}", of_sinks.render(width)) } else { String::new() };
    format!("{}\n{feeds}{}{sinks}{reasons}", of_pipelines.render(width), of_results.render(width))
}

/// What is not known is a dash.
fn number(value: &Value) -> Cell {
    if value.is_null() { Cell::number("-") } else { Cell::number(value) }
}

fn word<'a>(object: &'a Value, key: &str) -> &'a str {
    object[key].as_str().unwrap_or_default()
}
