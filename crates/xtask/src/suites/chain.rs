//! The example `rabbitmq-mongodb`: published by pika, read by pymongo and over the API, and as SQLite computes it.
//!
//! Everything is published twice, and Manade is killed in between: neither is to be seen in the numbers.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::{Suite, counting};
use crate::http;
use crate::process;
use crate::report::Outcome;
use crate::server::{Server, lasting_port};
use crate::services::{self, MONGODB, Place, RABBITMQ};
use crate::tools::{CHAIN, Tools};
use crate::workspace::Workspace;

pub const SUITE: Suite = Suite { name: "rabbitmq-mongodb", needs: &[RABBITMQ.needs[0], MONGODB.needs[0], CHAIN], run };

const EVENTS: u64 = 20_000;
const PATIENCE: Duration = Duration::from_mins(5);

fn run(workspace: &Workspace, tools: &Tools) -> Result<Outcome> {
    let folder = workspace.scratch("rabbitmq-mongodb")?;
    let port = lasting_port(0)?;
    let broker = Place { folder: folder.join("broker"), port, settings: String::new() };
    let store = Place { folder: folder.join("store"), port: lasting_port(port)?, settings: String::new() };
    let _broker = services::start(&RABBITMQ, &broker)?;
    let _store = services::start(&MONGODB, &store)?;
    let (broker, store) = (format!("amqp://127.0.0.1:{}/%2f", broker.port), (MONGODB.url)(store.port));
    let examples = folder.join("examples");
    copy(&workspace.root.join("examples"), &examples)?;
    let connections = examples.join("rabbitmq-mongodb/connections.yaml");
    let text = fs::read_to_string(&connections)?;
    let text = replaced(&text, "amqp://127.0.0.1:5672/%2f", &broker)?;
    fs::write(&connections, replaced(&text, "mongodb://127.0.0.1:27017", &store)?)?;
    let python = tools.pip_program("chain", "python");
    let server = publish_twice(workspace, &examples, &python, &broker)?;
    let data = examples.join("flights/data");
    let mut compare = Command::new(&python);
    compare.arg(workspace.root.join("tests/rabbitmq-mongodb/compare.py")).args([&store, &server.url("")]);
    compare.args([data.join("flights.ndjson"), data.join("airports.csv")]).env("PYTHONDONTWRITEBYTECODE", "1");
    counting(&mut compare, PATIENCE)
}

/// Until all of it is in the store.
fn publish_twice(workspace: &Workspace, examples: &Path, python: &Path, broker: &str) -> Result<Server> {
    let example = examples.join("rabbitmq-mongodb");
    let up = || {
        let mut command = Command::new(workspace.manade());
        command.arg("up").arg(&example).arg("--data").arg(examples.join("data")).stdin(Stdio::null());
        let mut server = Server::spawn(command, examples.join("log"))?;
        server.wait_until_ready()?;
        Ok::<_, anyhow::Error>(server)
    };
    let publish = || {
        let mut command = Command::new(python);
        command.arg(example.join("publish.py")).arg(broker).stdin(Stdio::null());
        process::output_of(&mut command, PATIENCE)
    };
    let server = up()?;
    publish()?;
    // As `kill -9` does.
    drop(server);
    let server = up()?;
    publish()?;
    let begun = Instant::now();
    loop {
        let answer = http::get(server.port, "/api/v1/pipelines/flights", "application/json")?;
        let status: Value = serde_json::from_str(&answer.body).context("the pipeline's status")?;
        let results = status["results"].as_array().context("it has results")?;
        let is_told = results.iter().all(|result| result["sinks"][0]["waiting"] == 0);
        let feed = &status["feed"];
        let is_taken = feed["ready"] == 0 && feed["unacknowledged"] == 0;
        if status["read"] == EVENTS && is_taken && is_told {
            return Ok(server);
        }
        if begun.elapsed() > PATIENCE {
            bail!("not all is there: {status}\n{}", server.log());
        }
        thread::sleep(Duration::from_millis(50));
    }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), &to)?;
        }
    }
    Ok(())
}

fn replaced(text: &str, old: &str, new: &str) -> Result<String> {
    if !text.contains(old) {
        bail!("the example has no {old}");
    }
    Ok(text.replace(old, new))
}
