//! The text of a first pipeline.

use std::path::Path;

use manade_model::{FileFormat, Name};

use super::sample::Sample;
use super::{LONGEST, fitting_name};
use crate::commands::check::{plain_or_quoted, schema_lines};

/// Words that cannot be a column's name in SQL unless they are quoted.
const RESERVED: [&str; 60] = [
    "all",
    "and",
    "any",
    "as",
    "between",
    "by",
    "case",
    "cast",
    "cross",
    "current_date",
    "current_time",
    "current_timestamp",
    "date",
    "distinct",
    "else",
    "end",
    "escape",
    "except",
    "exists",
    "extract",
    "false",
    "filter",
    "for",
    "from",
    "full",
    "group",
    "having",
    "in",
    "inner",
    "intersect",
    "interval",
    "into",
    "is",
    "join",
    "lateral",
    "left",
    "like",
    "limit",
    "minus",
    "natural",
    "not",
    "null",
    "offset",
    "on",
    "or",
    "order",
    "outer",
    "right",
    "select",
    "set",
    "some",
    "table",
    "then",
    "timestamp",
    "true",
    "union",
    "using",
    "values",
    "when",
    "where",
];

/// A pipeline over a file. `path` is from the pipeline's folder, `dir` that folder as the user names it.
pub fn of_file(name: &Name, path: &Path, sample: &Sample, dir: &str) -> String {
    let path = text(&path.to_string_lossy());
    let format = match &sample.format {
        Some(FileFormat::Csv(options)) => {
            let delimiter = serde_json::Value::from(char::from(options.delimiter).to_string());
            format!("      format: csv\n      delimiter: {delimiter}\n")
        }
        _ => String::new(),
    };
    let schema = schema_lines(&sample.schema, 6);
    let time = match &sample.time {
        Some(time) => format!(
            "    time: {} # the event time: windows go by it, not by the clock\n    \
             lateness: 10 minutes # how far out of order events may come\n",
            plain_or_quoted(time)
        ),
        None => "    # time: a timestamp column; without one, an event's time is when it arrives\n".to_owned(),
    };
    let results = results(name, sample);
    format!(
        "{head}  source:
    file:
      path: {path} # a file, a folder or a glob, relative to this file; .gz and .zst too
{format}      follow: true # keep reading as the file grows

  events:
    # Types of Spark SQL, as the first {events} events have them; a value that does not fit makes a dead letter.
    schema:
{schema}{time}
{results}",
        head = head(name, dir, ""),
        events = sample.events,
    )
}

/// A pipeline that takes events over HTTP.
pub fn of_http(name: &Name, dir: &str) -> String {
    let send = format!(
        "#
# Send it events while it runs, one, an array of them, or a line each:
#
#   curl http://127.0.0.1:8080/ingest/{name} -H 'content-type: application/json' \\
#     -d '{{\"at\": \"2026-01-01T12:00:00Z\", \"kind\": \"click\", \"value\": 1.5}}'
#   curl http://127.0.0.1:8080/data/{result}
",
        result = result_name(name, "by_kind"),
    );
    format!(
        "{head}  source:
    http:
      retain: 1 day # how long events are kept, for results that are added later

  events:
    # Types of Spark SQL; a value that does not fit makes a dead letter.
    schema:
      at: timestamp
      kind: string
      value: double
    time: at # the event time: windows go by it, not by the clock
    lateness: 10 minutes # how far out of order events may come

  results:
    # One row a kind, updated as events come; served at /data/{by_kind}.
    - name: {by_kind}
      description: Number of events and their mean value by kind.
      sql: |
        SELECT kind, count(*) AS events, avg(value) AS mean_value
        FROM events
        GROUP BY kind

  # Run by `manade test`: the rows that the given events must lead to.
  tests:
    - name: events are counted by kind
      given:
        - {{ at: \"2026-01-01T12:00:00Z\", kind: click, value: 1 }}
        - {{ at: \"2026-01-01T12:00:01Z\", kind: click, value: 2 }}
      expect:
        {by_kind}:
          - {{ kind: click, events: 2, mean_value: 1.5 }}
",
        head = head(name, dir, &send),
        by_kind = result_name(name, "by_kind"),
    )
}

fn head(name: &Name, dir: &str, more: &str) -> String {
    format!(
        "# A pipeline reads one source of events and keeps what SQL makes of them.
#
#   manade check {dir}   what is wrong with this file, if anything
#   manade up {dir}      then open http://127.0.0.1:8080/docs
{more}apiVersion: manade.dev/v1alpha1
kind: Pipeline
metadata:
  name: {name}
spec:
"
    )
}

fn results(name: &Name, sample: &Sample) -> String {
    let group = sample.group.as_deref().map(|group| by_group(name, group));
    let hour = sample.time.as_deref().map(|time| by_hour(name, time));
    let mut results: Vec<String> = group.into_iter().chain(hour).collect();
    if results.is_empty() {
        results.push(total(name));
    }
    format!("  results:\n{}", results.join("\n"))
}

fn by_group(name: &Name, group: &str) -> String {
    let column = identifier(group);
    let number = if group.eq_ignore_ascii_case("events") { "number" } else { "events" };
    let result = result_name(name, &format!("by_{group}"));
    let description = text(&format!("Number of events by {group}."));
    format!(
        "    # Grouped: one row a group, updated as events come; served at /data/{result}.
    - name: {result}
      description: {description}
      sql: |
        SELECT {column}, count(*) AS {number}
        FROM events
        GROUP BY {column}
"
    )
}

fn by_hour(name: &Name, time: &str) -> String {
    let (column, result) = (identifier(time), result_name(name, "by_hour"));
    format!(
        "    # Grouped by a window of time: the row of an hour changes until the hour is closed.
    - name: {result}
      description: Number of events by hour.
      sql: |
        SELECT window({column}, '1 hour') AS hour, count(*) AS events
        FROM events
        GROUP BY 1
"
    )
}

fn total(name: &Name) -> String {
    let result = result_name(name, "total");
    format!(
        "    # One row, updated as events come; served at /data/{result}.
    - name: {result}
      description: Number of events.
      sql: SELECT count(*) AS events FROM events
"
    )
}

/// Unique in the platform as long as the pipeline's name is.
fn result_name(name: &Name, of: &str) -> String {
    let made = fitting_name(&format!("{name}_{of}")).unwrap_or_else(|| name.to_string());
    made[..made.len().min(LONGEST)].to_owned()
}

/// A column in SQL.
fn identifier(name: &str) -> String {
    let is_word = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !RESERVED.contains(&name.to_ascii_lowercase().as_str());
    if is_word { name.to_owned() } else { format!("`{}`", name.replace('`', "``")) }
}

/// A YAML scalar that may have spaces and slashes.
fn text(text: &str) -> String {
    let is_plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '.' | '/'))
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | ' '))
        && !text.ends_with(' ');
    if is_plain { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}
