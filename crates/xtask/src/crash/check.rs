//! Whether the collections hold what they must.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::PATIENCE;
use super::load::{COLLECTIONS, Expected};
use crate::process;

impl Expected {
    pub fn add(&mut self, more: Self) {
        self.ids.extend(more.ids);
        for (key, (events, sum)) in more.totals {
            let of = self.totals.entry(key).or_default();
            *of = (of.0 + events, of.1 + sum);
        }
        self.given += more.given;
        self.dead += more.dead;
    }
}

/// `folder` holds `platform` and the crashed `data`.
pub fn compare(binary: &Path, folder: &Path, read: &Expected, pushed: &Expected) -> Result<()> {
    let manade = |arguments: &[&str]| {
        let mut command = Command::new(binary);
        process::output_of(command.args(arguments).current_dir(folder).stdin(Stdio::null()), PATIENCE)
    };
    let rows = |data: &str, collection: &str| -> Result<Vec<String>> {
        let text = manade(&["data", collection, "-o", "ndjson", "--data", data])?;
        let mut rows: Vec<String> = text.lines().map(str::to_owned).collect();
        rows.sort();
        Ok(rows)
    };
    for (of, all, totals) in [(read, "all_read", "totals"), (pushed, "all_pushed", "pushed_totals")] {
        compare_ids(of, &rows("data", all)?).with_context(|| all.to_owned())?;
        compare_totals(of, &rows("data", totals)?).with_context(|| totals.to_owned())?;
    }
    counters_add_up(&manade(&["status", "-o", "json", "--data", "data"])?, read, pushed)?;
    // The log of accepted requests, and nothing else.
    manade(&["data", "backup", "again", "--data", "data"])?;
    for pipeline in ["read", "pushed"] {
        manade(&["reset", pipeline, "--yes", "--data", "again"])?;
    }
    manade(&["up", "platform", "--once", "--data", "again"])?;
    for collection in COLLECTIONS {
        let (crashed, again) = (rows("data", collection)?, rows("again", collection)?);
        same(&crashed, &again).with_context(|| format!("{collection}, against an undisturbed run"))?;
    }
    Ok(())
}

fn compare_ids(expected: &Expected, rows: &[String]) -> Result<()> {
    let id = |row: &String| serde_json::from_str::<Value>(row)?["id"].as_u64().context("an id");
    let mut found = rows.iter().map(id).collect::<Result<Vec<u64>>>()?;
    let mut ids = expected.ids.clone();
    found.sort_unstable();
    ids.sort_unstable();
    let lost = ids.iter().filter(|id| found.binary_search(id).is_err()).count();
    let doubled = found.windows(2).filter(|pair| pair[0] == pair[1]).count();
    ensure!(found == ids, "{} rows for {} events: {lost} lost, {doubled} doubled", found.len(), ids.len());
    Ok(())
}

fn compare_totals(expected: &Expected, rows: &[String]) -> Result<()> {
    let mut found = BTreeMap::new();
    for row in rows {
        let row: Value = serde_json::from_str(row)?;
        let number = |name: &str| row[name].as_i64().with_context(|| format!("{name} in {row}"));
        found.insert(row["k"].as_str().context("a key")?.to_owned(), (number("n")? as u64, number("s")?));
    }
    ensure!(found.len() == expected.totals.len(), "{} groups instead of {}", found.len(), expected.totals.len());
    for (key, of) in &expected.totals {
        ensure!(found.get(key) == Some(of), "{key}: {:?} instead of {of:?}", found.get(key));
    }
    Ok(())
}

fn counters_add_up(status: &str, read: &Expected, pushed: &Expected) -> Result<()> {
    let status: Value = serde_json::from_str(status)?;
    for (name, of) in [("read", read), ("pushed", pushed)] {
        let all = status.as_array().context("a list of pipelines")?;
        let found = all.iter().find(|pipeline| pipeline["name"] == name).with_context(|| format!("no {name}"))?;
        let counter = |what: &str| found[what].as_u64().with_context(|| format!("{what} of {name}"));
        let (events, processed, dead) = (counter("read")?, counter("processed")?, counter("dead")?);
        ensure!(
            (events, processed, dead) == (of.given, of.given - of.dead, of.dead),
            "{name}: {events} read, {processed} processed, {dead} dead of {} events with {} dead",
            of.given,
            of.dead
        );
    }
    Ok(())
}

fn same(crashed: &[String], again: &[String]) -> Result<()> {
    if crashed == again {
        return Ok(());
    }
    let only = |a: &[String], b: &[String]| {
        a.iter().filter(|row| b.binary_search(row).is_err()).take(3).cloned().collect::<Vec<_>>()
    };
    anyhow::bail!(
        "{} rows instead of {}; too many: {:?}; missing: {:?}",
        crashed.len(),
        again.len(),
        only(crashed, again),
        only(again, crashed)
    )
}
