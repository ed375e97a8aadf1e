//! The sink `rabbitmq`: what pika gets from the broker is held against what the results API says.
//!
//! Messages may come twice, with the same `message-id`: those are one here, and must be alike.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::rig::{PASSWORD, Rig};
use crate::suites::proxy::{Proxy, Side};

/// Killed, cut off and without its broker.
pub fn through_faults(rig: &mut Rig) -> Result<()> {
    rig.python("declare.py", &["bound", &rig.exchange()])?;
    start(rig)?;
    for round in 0..3 {
        append(rig, round * 2_000 + 1, round * 2_000 + 2_000)?;
        rig.wait_for("some rows", |rig| Ok(rig.sink("rows")?["delivered"].as_u64() > Some(round * 2_000)))?;
        rig.kill();
        start(rig)?;
    }
    append(rig, 6_001, 8_000)?;
    rig.kill_broker()?;
    rig.wait_for("the outage to be told", |rig| Ok(rig.sink("rows")?["trouble"].is_string()))?;
    rig.start_broker()?;
    expect_same(rig, 8_000)?;
    rig.kill();
    let proxy = Proxy::start(rig.broker_port())?;
    rig.broker_seen_at(proxy.port());
    start(rig)?;
    append(rig, 8_001, 8_100)?;
    let before = expect_same(rig, 8_100)?;
    proxy.lose(Some(Side::Server));
    append(rig, 8_101, 8_500)?;
    rig.wait_for("messages that are not known to be there", |rig| Ok(rig.messages()? >= 400))?;
    proxy.lose(None);
    let twice = expect_same(rig, 8_500)? - before;
    ensure!(twice >= 400, "{twice} messages came twice, of at least 400 that were not known to be there");
    Ok(())
}

/// Nothing is dropped where nobody would get it.
pub fn without_queue(rig: &mut Rig) -> Result<()> {
    start(rig)?;
    append(rig, 1, 500)?;
    let missing = format!("no exchange '{}'", rig.exchange());
    rig.wait_for("the exchange to be missed", |rig| trouble(rig, &missing))?;
    rig.python("declare.py", &["exchange", &rig.exchange()])?;
    rig.wait_for("a queue to be missed", |rig| trouble(rig, "to no queue"))?;
    rig.python("declare.py", &["bound", &rig.exchange()])?;
    expect_same(rig, 500).map(|_| ())
}

fn trouble(rig: &Rig, part: &str) -> Result<bool> {
    Ok(rig.sink("rows")?["trouble"].as_str().is_some_and(|trouble| trouble.contains(part)))
}

fn start(rig: &mut Rig) -> Result<()> {
    let exchange = rig.exchange();
    let sinks = |key: &str| format!("[rabbitmq: {{ connection: broker, exchange: {exchange}, routingKey: {key} }}]");
    let (source, each, rows) = ("file: { path: events.ndjson, follow: true }", sinks("each"), sinks("rows"));
    let results = format!(
        "    - name: each\n      sql: SELECT id % 50 AS slot, count(*) AS n, max(id) AS last FROM events GROUP BY id % 50\n      \
         sinks: {each}\n    - name: rows\n      sql: SELECT id, text FROM events\n      sinks: {rows}\n"
    );
    append(rig, 1, 0)?;
    let text = rig.platform(source, &results);
    rig.start_platform(&text)
}

/// Events with these numbers.
fn append(rig: &Rig, first: u64, last: u64) -> Result<()> {
    let mut lines = String::new();
    for id in first..=last {
        writeln!(lines, r#"{{"id":{id},"text":"é \"{id}\""}}"#)?;
    }
    let file = OpenOptions::new().create(true).append(true).open(rig.case_folder().join("events.ndjson"));
    Ok(file?.write_all(lines.as_bytes())?)
}

/// Once all events were read and told, the messages make the collections. Messages are taken out of the queue; says how many
/// of them have come twice.
fn expect_same(rig: &mut Rig, events: u64) -> Result<usize> {
    rig.wait_for("all events", |rig| Ok(rig.status()?["read"] == events))?;
    for result in ["each", "rows"] {
        rig.wait_for("all rows to be sent", |rig| {
            let sink = rig.sink(result)?;
            Ok(sink["waiting"] == 0 && sink["trouble"].is_null())
        })?;
    }
    let got = rig.collect()?;
    let mut messages: BTreeMap<&str, &Value> = BTreeMap::new();
    for message in &got {
        let id = message["id"].as_str().context("a message has an id")?;
        ensure!(message["persistent"] == true && message["pipeline"] == "events", "{message}");
        let first = messages.entry(id).or_insert(message);
        ensure!(first["body"] == message["body"], "two messages are called {id}: {first} and {message}");
    }
    let mut rows = Vec::new();
    // The newest row of each group.
    let mut groups: BTreeMap<String, (i64, Option<Value>)> = BTreeMap::new();
    for message in messages.values() {
        match (message["result"].as_str(), message["type"].as_str()) {
            (Some("rows"), Some("append")) => rows.push(line(&message["body"])),
            (Some("each"), Some(kind @ ("upsert" | "delete"))) => {
                let revision = message["revision"].as_i64().context("a row has a revision")?;
                let row = (kind == "upsert").then(|| message["body"].clone());
                let newest = groups.entry(message["key"].to_string()).or_insert((revision, row.clone()));
                if revision > newest.0 {
                    *newest = (revision, row);
                }
            }
            (Some("each"), Some("remove-older")) => {}
            other => anyhow::bail!("a message is of {other:?}: {message}"),
        }
    }
    let groups = groups.into_values().filter_map(|(_, row)| row.as_ref().map(line)).collect();
    same(rows, rig.rows("rows?select=id,text&limit=100000")?)?;
    same(groups, rig.rows("each?select=slot,n,last&limit=100000")?)?;
    rig.expect_no_secrets(&[PASSWORD])?;
    Ok(got.len() - messages.len())
}

fn line(row: &Value) -> String {
    let values = row.as_object().into_iter().flat_map(|row| row.values());
    values.map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned)).collect::<Vec<_>>().join(",")
}

fn same(mut there: Vec<String>, mut here: Vec<String>) -> Result<()> {
    there.sort();
    here.sort();
    let missing = here.iter().filter(|row| there.binary_search(row).is_err()).count();
    ensure!(there == here, "{} rows here, {} there, {missing} missing there", here.len(), there.len());
    Ok(())
}
