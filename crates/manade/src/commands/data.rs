//! `manade data`.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use serde_json::{Value, json};

use crate::args::{Data, DataAction, DataBackup, DataDrop, Query, RowFormat};
use crate::client::{Answer, Client, query, segment};
use crate::failure::{Context, Failure, Outcome, nearest};
use crate::output::{confirm, counted, note, say, width};
use crate::table::{Cell, Members, Table};

/// How often `--watch` asks; an answer without changes costs the server next to nothing.
const WATCH: Duration = Duration::from_millis(500);

/// Clears the terminal and what was scrolled out of it.
const CLEAR: &str = "\x1b[H\x1b[2J\x1b[3J";

pub fn run(args: &Data) -> Result<Outcome, Failure> {
    match (&args.action, &args.query.collection) {
        (Some(DataAction::Drop(args)), _) => drop_collection(args),
        (Some(DataAction::Backup(args)), _) => backup(args),
        (None, Some(collection)) => rows(&args.query, collection),
        (None, None) => list(&args.query),
    }
}

fn list(args: &Query) -> Result<Outcome, Failure> {
    let client = Client::connect(&args.target)?;
    let collections = client.get("/data")?.json()?;
    let collections = collections.as_array().map(Vec::as_slice).unwrap_or_default();
    match args.output {
        RowFormat::Json => say(&(serde_json::to_string_pretty(collections)? + "\n"))?,
        RowFormat::Ndjson => {
            let mut lines: Vec<String> = collections.iter().map(ToString::to_string).collect();
            // The last one ends too.
            lines.push(String::new());
            say(&lines.join("\n"))?;
        }
        RowFormat::Table if collections.is_empty() => note("no collections: no result has been run yet\n")?,
        RowFormat::Table => say(&list_table(collections).render(width()))?,
        RowFormat::Csv | RowFormat::Parquet => {
            return Err(Failure::misuse("the list of collections is printed as table, json or ndjson")
                .with_hint("name a collection for its rows: manade data COLLECTION -o csv"));
        }
    }
    Ok(Outcome::Done)
}

fn list_table(collections: &[Value]) -> Table {
    let mut table = Table::new(&["COLLECTION", "PIPELINE", "KIND", "ROWS", "WATERMARK", "COLUMNS"]);
    for collection in collections {
        let text = |key: &str| Cell::text(collection[key].as_str().unwrap_or_default());
        let columns = collection["columns"].as_array().into_iter().flatten();
        let columns: Vec<&str> = columns.filter_map(|column| column["name"].as_str()).collect();
        let rows = collection["rows"].as_u64().map_or_else(Cell::default, Cell::number);
        table.push(vec![
            text("name"),
            Cell::text(whose(collection)),
            text("kind"),
            rows,
            text("watermark"),
            Cell::text(columns.join(", ")),
        ]);
    }
    table
}

/// A collection's pipeline, and whether another one's is served under its name.
fn whose(collection: &Value) -> String {
    let pipeline = collection["pipeline"].as_str().unwrap_or_default();
    if collection["path"].is_null() { format!("{pipeline} (left over)") } else { pipeline.to_owned() }
}

fn rows(args: &Query, collection: &str) -> Result<Outcome, Failure> {
    if args.output == RowFormat::Parquet && io::stdout().is_terminal() {
        let failure = Failure::misuse("Parquet is not text for a terminal");
        return Err(failure
            .with_hint(format!("write it to a file: manade data {collection} -o parquet > {collection}.parquet")));
    }
    if args.output == RowFormat::Parquet && args.watch {
        let failure =
            Failure::misuse("`--watch` prints rows again and again, and Parquet files do not follow each other");
        return Err(failure.with_hint("watch them as ndjson or csv, or write them once without `--watch`"));
    }
    let path = format!("/data/{}{}", segment(collection), query(&parameters(args)?));
    let client = Client::connect(&args.target)?;
    if args.watch {
        return watch(args, &client, &path);
    }
    let answer = client.get_rows(&path, args.output.media_type(), None)?;
    print(args, answer)?;
    Ok(Outcome::Done)
}

/// Prints the rows whenever they change, until the process is stopped.
fn watch(args: &Query, client: &Client, path: &str) -> Result<Outcome, Failure> {
    if !client.is_live() {
        return Err(Failure::misuse("nothing changes in a stopped platform")
            .with_hint("start `manade up`, then watch its rows"));
    }
    let is_redrawn = args.output == RowFormat::Table && io::stdout().is_terminal();
    let mut etag: Option<String> = None;
    loop {
        let answer = client.get_rows(path, args.output.media_type(), etag.as_deref())?;
        if answer.is_new() {
            if is_redrawn {
                say(CLEAR)?;
            } else if etag.is_some() && args.output == RowFormat::Table {
                say("\n")?;
            }
            etag.clone_from(&answer.etag);
            print(args, answer)?;
        }
        std::thread::sleep(WATCH);
    }
}

fn print(args: &Query, answer: Answer) -> Result<(), Failure> {
    let has_more = answer.has_more;
    if args.output != RowFormat::Table {
        let mut out = io::stdout().lock();
        answer.copy_to(&mut out)?;
        if args.output == RowFormat::Json {
            out.write_all(b"\n")?;
        }
        out.flush()?;
        return Ok(());
    }
    let rows: Vec<Members> = serde_json::from_slice(&answer.bytes()?).context("the answer is not rows of JSON")?;
    match Table::of_rows(&rows) {
        Some(table) => say(&table.render(width()))?,
        None => note("no rows\n")?,
    }
    if has_more && args.limit.is_none() {
        let shown = counted(rows.len() as u64, "row");
        note(&format!("{shown} of more: --limit N shows N, -o ndjson or csv prints all\n"))?;
    }
    Ok(())
}

/// As PostgREST's query grammar has them.
fn parameters(args: &Query) -> Result<Vec<(String, String)>, Failure> {
    let mut pairs = Vec::new();
    for filter in &args.filters {
        let Some((column, test)) = filter.split_once('=') else {
            let hint = "write COLUMN=OPERATOR.VALUE, like origin=eq.JFK or delay=gt.60";
            return Err(Failure::misuse(format!("`{filter}` is not a filter")).with_hint(hint));
        };
        pairs.push((column.to_owned(), test.to_owned()));
    }
    let mut list = |key: &str, items: &[String]| {
        if !items.is_empty() {
            pairs.push((key.to_owned(), items.join(",")));
        }
    };
    list("select", &args.select);
    list("order", &args.order);
    pairs.extend(args.limit.map(|limit| ("limit".to_owned(), limit.to_string())));
    pairs.extend(args.offset.map(|offset| ("offset".to_owned(), offset.to_string())));
    Ok(pairs)
}

fn drop_collection(args: &DataDrop) -> Result<Outcome, Failure> {
    let client = Client::connect(&args.target)?;
    let collections = client.get("/data")?.json()?;
    let collections = collections.as_array().map(Vec::as_slice).unwrap_or_default();
    let mut meant: Vec<&Value> = collections.iter().filter(|found| found["name"] == *args.collection).collect();
    if meant.is_empty() {
        let names = collections.iter().filter_map(|collection| collection["name"].as_str());
        let failure = Failure::new(format!("no collection is called \"{}\"", args.collection));
        return Err(nearest(failure, &args.collection, names, "`manade data` lists the collections"));
    }
    let holders: Vec<&str> = meant.iter().filter_map(|found| found["pipeline"].as_str()).collect();
    meant.retain(|found| args.pipeline.as_ref().is_none_or(|pipeline| found["pipeline"] == **pipeline));
    match meant.as_slice() {
        [] => {
            let pipeline = args.pipeline.as_deref().unwrap_or_default();
            let failure = Failure::new(format!("pipeline \"{pipeline}\" has no collection \"{}\"", args.collection));
            return Err(failure.with_hint(format!("it is a collection of {}", holders.join(" and "))));
        }
        [_] => {}
        several => {
            let mut whose: Vec<String> = several.iter().map(|found| whose(found)).collect();
            whose.sort();
            let failure = Failure::new(format!(
                "{} pipelines have a collection \"{}\": {}",
                several.len(),
                args.collection,
                whose.join(", ")
            ));
            let left_over = several.iter().find(|found| found["path"].is_null()).unwrap_or(&several[0]);
            let left_over = left_over["pipeline"].as_str().unwrap_or_default();
            let hint = format!("say whose: manade data drop {} --pipeline {left_over}", args.collection);
            return Err(failure.with_hint(hint));
        }
    }
    let of = args.pipeline.as_ref().map(|pipeline| format!(" of {pipeline}")).unwrap_or_default();
    if !confirm(&format!("delete the rows of {}{of}", args.collection), args.yes)? {
        note("nothing was deleted\n")?;
        return Ok(Outcome::Done);
    }
    let body = args.pipeline.as_ref().map_or_else(|| json!({}), |pipeline| json!({ "pipeline": pipeline }));
    client.post(&format!("/api/v1/collections/{}/drop", segment(&args.collection)), &body)?;
    say(&format!("{}{of} dropped\n", args.collection))?;
    Ok(Outcome::Done)
}

fn backup(args: &DataBackup) -> Result<Outcome, Failure> {
    // A running platform has a working directory of its own.
    let to = std::path::absolute(&args.to).context(format!("{} is not a path", args.to.display()))?;
    if to.is_file() || std::fs::read_dir(&to).is_ok_and(|mut entries| entries.next().is_some()) {
        let failure = Failure::new(format!("{} is not empty: a backup overwrites nothing", args.to.display()));
        return Err(failure.with_hint("name a new folder"));
    }
    let client = Client::connect(&args.target)?;
    client.post("/api/v1/backup", &json!({ "to": to }))?;
    let to = args.to.display();
    say(&format!("backed up to {to}: `manade up PLATFORM --data {to}` runs the platform from it\n"))?;
    Ok(Outcome::Done)
}

impl RowFormat {
    fn media_type(self) -> &'static str {
        match self {
            Self::Table | Self::Json => "application/json",
            Self::Ndjson => "application/x-ndjson",
            Self::Csv => "text/csv",
            Self::Parquet => "application/vnd.apache.parquet",
        }
    }
}
