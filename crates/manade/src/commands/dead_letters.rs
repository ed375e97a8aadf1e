//! `manade dead-letters`.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::args::{
    DeadLetterAction, DeadLetterDrop, DeadLetterList, DeadLetterReplay, DeadLetterShow, DeadLetters, Filter,
    ListFormat, Stage,
};
use crate::client::{Client, query, segment};
use crate::failure::{Failure, Outcome};
use crate::output::{confirm, counted, note, say, width};
use crate::table::{Cell, Table};

/// Most that one request gives.
const PAGE: usize = 1_000;

pub fn run(args: &DeadLetters) -> Result<Outcome, Failure> {
    match &args.action {
        DeadLetterAction::List(args) => list(args),
        DeadLetterAction::Show(args) => show(args),
        DeadLetterAction::Replay(args) => replay(args),
        DeadLetterAction::Drop(args) => drop_letters(args),
    }
}

fn list(args: &DeadLetterList) -> Result<Outcome, Failure> {
    let client = Client::connect(&args.target)?;
    let pipelines = match &args.pipeline {
        Some(pipeline) => vec![pipeline.clone()],
        None => pipelines(&client)?,
    };
    let mut letters = Vec::new();
    let mut has_more = false;
    for pipeline in &pipelines {
        let (found, more) = letters_of(&client, pipeline, &args.filter, args.limit - letters.len().min(args.limit))?;
        letters.extend(found.into_iter().map(|mut letter| {
            letter["pipeline"] = Value::from(pipeline.as_str());
            letter
        }));
        has_more |= more;
    }
    match args.output {
        ListFormat::Json => say(&(serde_json::to_string_pretty(&letters)? + "\n"))?,
        ListFormat::Table if letters.is_empty() => note("no dead letters\n")?,
        ListFormat::Table => say(&table(&letters).render(width()))?,
    }
    if has_more {
        note(&format!("there are more than {}: narrow them with --stage or --reason, or raise --limit\n", args.limit))?;
    }
    Ok(Outcome::Done)
}

fn table(letters: &[Value]) -> Table {
    let mut table = Table::new(&["ID", "PIPELINE", "STAGE", "RESULT", "TIME", "POSITION", "REASON", "EVENT"]);
    for letter in letters {
        let text = |key: &str| Cell::text(letter[key].as_str().unwrap_or_default());
        let mut row = vec![Cell::number(&letter["id"])];
        row.extend(["pipeline", "stage", "result", "time", "position", "reason", "preview"].map(text));
        table.push(row);
    }
    table
}

fn show(args: &DeadLetterShow) -> Result<Outcome, Failure> {
    let client = Client::connect(&args.target)?;
    let pipeline = the_pipeline(&client, args.pipeline.as_deref())?;
    let letter = client.get(&format!("{}/{}", path(&pipeline), args.id))?.json()?;
    if args.output == ListFormat::Json {
        say(&(serde_json::to_string_pretty(&letter)? + "\n"))?;
        return Ok(Outcome::Done);
    }
    let mut out = String::new();
    for key in ["id", "stage", "result", "reason", "position", "time", "length"] {
        let _ = match &letter[key] {
            Value::Null => Ok(()),
            Value::String(text) => writeln!(out, "{key:<10}{text}"),
            value => writeln!(out, "{key:<10}{value}"),
        };
    }
    let event = match letter["raw"].as_str() {
        Some(raw) => format!("event\n{raw}\n"),
        None => format!("event, in base64, for it is not UTF-8\n{}\n", text(&letter["raw_base64"])),
    };
    say(&(out + &event))?;
    Ok(Outcome::Done)
}

fn replay(args: &DeadLetterReplay) -> Result<Outcome, Failure> {
    let client = Client::connect(&args.target)?;
    if !client.is_live() {
        let failure = Failure::new("dead letters are replayed by a running platform, and this one is stopped");
        return Err(failure.with_hint("start `manade up`, then replay them"));
    }
    let pipeline = the_pipeline(&client, args.pipeline.as_deref())?;
    let missing = missing(&client, &pipeline, &args.filter)?;
    let answer = client.post(&format!("{}/replay", path(&pipeline)), &body(&args.filter))?;
    let replayed = answer["replayed"].as_u64().unwrap_or_default();
    let failed = answer["failed"].as_u64().map(|failed| format!(", {} again", counted(failed, "dead letter")));
    say(&format!("{} of {pipeline} replayed{}\n", counted(replayed, "dead letter"), failed.unwrap_or_default()))?;
    not_there(&pipeline, &missing, &args.filter)
}

fn drop_letters(args: &DeadLetterDrop) -> Result<Outcome, Failure> {
    let client = Client::connect(&args.target)?;
    let pipeline = the_pipeline(&client, args.pipeline.as_deref())?;
    let is_all = args.filter.is_all();
    if is_all && !confirm(&format!("delete all dead letters of {pipeline}"), args.yes)? {
        note("nothing was deleted\n")?;
        return Ok(Outcome::Done);
    }
    let missing = missing(&client, &pipeline, &args.filter)?;
    let answer = client.post(&format!("{}/drop", path(&pipeline)), &body(&args.filter))?;
    let dropped = answer["dropped"].as_u64().unwrap_or_default();
    say(&format!("{} of {pipeline} deleted\n", counted(dropped, "dead letter")))?;
    not_there(&pipeline, &missing, &args.filter)
}

fn not_there(pipeline: &str, missing: &[String], filter: &Filter) -> Result<Outcome, Failure> {
    if missing.is_empty() {
        return Ok(Outcome::Done);
    }
    let others = Filter { ids: Vec::new(), ..filter.clone() };
    let which = if others.is_all() { "" } else { " that matches" };
    let failure = Failure::new(format!("{pipeline} has no dead letter {}{which}", missing.join(", ")));
    Err(failure.with_hint(format!("`manade dead-letters list {pipeline}` lists them")))
}

/// Ids that are asked for and are not there.
fn missing(client: &Client, pipeline: &str, filter: &Filter) -> Result<Vec<String>, Failure> {
    if filter.ids.is_empty() {
        return Ok(Vec::new());
    }
    let (found, _) = letters_of(client, pipeline, filter, usize::MAX)?;
    let is_found = |id: &u64| found.iter().any(|letter| letter["id"].as_u64() == Some(*id));
    Ok(filter.ids.iter().filter(|id| !is_found(id)).map(ToString::to_string).collect())
}

/// At most `limit` that match, and whether there are more.
fn letters_of(client: &Client, pipeline: &str, filter: &Filter, limit: usize) -> Result<(Vec<Value>, bool), Failure> {
    let mut letters = Vec::new();
    let mut after = None;
    loop {
        let mut pairs = filter.pairs();
        pairs.push(("limit".to_owned(), PAGE.to_string()));
        pairs.extend(after.map(|after: u64| ("after".to_owned(), after.to_string())));
        let page = client.get(&format!("{}{}", path(pipeline), query(&pairs)))?.json()?;
        let found = page["dead_letters"].as_array().cloned().unwrap_or_default();
        letters.extend(found.into_iter().filter(|letter| filter.has_id(letter["id"].as_u64())));
        after = page["next_after"].as_u64();
        if letters.len() > limit || after.is_none() {
            let has_more = letters.len() > limit;
            letters.truncate(limit);
            return Ok((letters, has_more));
        }
    }
}

fn pipelines(client: &Client) -> Result<Vec<String>, Failure> {
    let pipelines = client.get("/api/v1/pipelines")?.json()?;
    Ok(pipelines.as_array().into_iter().flatten().map(|pipeline| text(&pipeline["name"]).to_owned()).collect())
}

/// The one that is named, or the only one.
fn the_pipeline(client: &Client, named: Option<&str>) -> Result<String, Failure> {
    if let Some(named) = named {
        return Ok(named.to_owned());
    }
    let mut names = pipelines(client)?;
    match names.len() {
        1 => Ok(names.remove(0)),
        0 => Err(Failure::new("the platform has no pipeline").with_hint("`manade status` shows which platform it is")),
        _ => Err(Failure::misuse("the platform has several pipelines")
            .with_hint(format!("name one of: {}", names.join(", ")))),
    }
}

fn path(pipeline: &str) -> String {
    format!("/api/v1/pipelines/{}/dead-letters", segment(pipeline))
}

fn body(filter: &Filter) -> Value {
    json!({
        "ids": (!filter.ids.is_empty()).then_some(&filter.ids),
        "stage": filter.stage.map(Stage::word),
        "reason": filter.reason,
        "result": filter.result,
    })
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

impl Filter {
    fn is_all(&self) -> bool {
        self.ids.is_empty() && self.stage.is_none() && self.reason.is_none() && self.result.is_none()
    }

    fn has_id(&self, id: Option<u64>) -> bool {
        self.ids.is_empty() || id.is_some_and(|id| self.ids.contains(&id))
    }

    fn pairs(&self) -> Vec<(String, String)> {
        let stage = self.stage.map(|stage| ("stage".to_owned(), stage.word().to_owned()));
        let reason = self.reason.clone().map(|reason| ("reason".to_owned(), reason));
        let result = self.result.clone().map(|result| ("result".to_owned(), result));
        stage.into_iter().chain(reason).chain(result).collect()
    }
}

impl Stage {
    fn word(self) -> &'static str {
        match self {
            Self::Decode => "decode",
            Self::Time => "time",
            Self::Sql => "sql",
            Self::Late => "late",
            Self::Sink => "sink",
        }
    }
}
