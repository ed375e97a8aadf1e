//! `cargo xtask soak`: the connectors under load for as long as it is told, through faults at random.
//!
//! Numbered events go through a queue into a grouped result and one of appended rows, from there into MongoDB and Parquet
//! files. In each round one of the parts is killed, hangs or is cut off. After some rounds and in the end, each place must
//! have each number once.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, ensure};

use super::parquet::{DUCKDB, read_with};
use super::rabbitmq::rig::Rig;
use super::{PATIENCE, Rig as _, mongodb, rabbitmq};
use crate::process;
use crate::random::Random;
use crate::report::say;
use crate::server::lasting_port;
use crate::services::{self, MONGODB, Place, Running};
use crate::tools::Tools;
use crate::workspace::Workspace;

/// Events in a round.
const ROUND: u64 = 3_000;
/// Rounds after which everything is compared.
const COMPARED: u64 = 10;

#[derive(Debug, Clone, Copy)]
enum Fault {
    None,
    KillManade,
    KillBroker,
    FreezeBroker,
    KillStore,
    FreezeStore,
}

const FAULTS: [Fault; 6] =
    [Fault::None, Fault::KillManade, Fault::KillBroker, Fault::FreezeBroker, Fault::KillStore, Fault::FreezeStore];

pub fn run(workspace: &Workspace, time: Duration, seed: Option<u64>) -> Result<()> {
    let tools = Tools::new(true)?;
    for need in rabbitmq::SUITE.needs.iter().chain(mongodb::SUITE.needs).chain([&DUCKDB]) {
        tools.provide(*need)?;
    }
    let clock = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(1, |now| now.as_secs());
    let seed = seed.unwrap_or_else(clock);
    let mut soak = Soak::start(workspace, &tools)?;
    let (mut random, begun, mut round) = (Random::new(seed), Instant::now(), 0);
    while begun.elapsed() < time {
        let fault = *random.of(&FAULTS);
        soak.round(round, fault, random.below(3_000)).with_context(|| {
            format!("round {round} with {fault:?}, of --seed {seed}; what manade said:\n{}", soak.rig.log())
        })?;
        round += 1;
        if round % COMPARED == 0 {
            soak.compare(round * ROUND)?;
            say(&format!(
                "{} events, {round} faults, {:.0} s: the same everywhere",
                round * ROUND,
                begun.elapsed().as_secs_f64()
            ));
        }
    }
    soak.compare(round * ROUND)?;
    say(&format!("{} events through {round} rounds: 0 lost, 0 doubled (--seed {seed})", round * ROUND));
    Ok(())
}

struct Soak {
    rig: Rig,
    place: Place,
    store: Option<Running>,
    platform: String,
    pymongo: Command,
    duckdb: PathBuf,
    read: PathBuf,
}

impl Soak {
    fn start(workspace: &Workspace, tools: &Tools) -> Result<Self> {
        let mut rig = Rig::new(workspace, tools)?;
        rig.begin()?;
        let folder = workspace.scratch("soak")?;
        let place = Place { folder, port: lasting_port(rig.tls_port())?, settings: String::new() };
        let store = services::start(&MONGODB, &place)?;
        // A quorum queue of one RabbitMQ 3.10 node now and then finds no leader after a kill.
        let queue = rig.queue();
        let source = format!(
            "rabbitmq: {{ connection: broker, queue: {queue}, prefetch: 500, declare: {{ type: classic }}, id: message-id }}"
        );
        let sink = |of: &str| format!("mongodb: {{ connection: store, database: soak, collection: {of} }}");
        let results = format!(
            "    - {{ name: each, sql: 'SELECT id % 1000 AS slot, count(*) AS n, max(id) AS last FROM events GROUP BY id % 1000', \
             sinks: [{}] }}\n    - {{ name: total, sql: 'SELECT count(*) AS events, count(DISTINCT id) AS ids FROM events' }}\n    \
             - {{ name: rows, sql: 'SELECT id, id % 3 AS part FROM events', sinks: [{}, parquet: {{ path: lake, partitionBy: \
             [part], every: 1 second }}] }}\n",
            sink("each"),
            sink("rows")
        );
        let store_document = format!(
            "---\napiVersion: manade.dev/v1alpha1\nkind: Connection\nmetadata: {{ name: store }}\nspec: {{ mongodb: {{ url: \
             'mongodb://127.0.0.1:{}' }} }}\n",
            place.port
        );
        let platform = rig.platform(&source, &results) + &store_document;
        rig.start_platform(&platform)?;
        let mut pymongo = Command::new(tools.pip_program("pymongo", "python"));
        pymongo.arg(workspace.root.join("tests/mongodb/dump.py")).args([&(MONGODB.url)(place.port), "soak"]);
        let (duckdb, read) = (tools.pip_program("duckdb", "python"), workspace.root.join("tests/parquet/read.py"));
        rig.wait_for("reading", |rig| Ok(rig.status()?["feed"]["ready"].is_u64()))?;
        Ok(Self { rig, place, store: Some(store), platform, pymongo, duckdb, read })
    }

    /// Publishes while something happens, which is mended in the end.
    fn round(&mut self, round: u64, fault: Fault, after: u64) -> Result<()> {
        let publisher = self.rig.publish(round * ROUND + 1, round * ROUND + ROUND)?;
        thread::sleep(Duration::from_millis(after));
        match fault {
            Fault::None => {}
            Fault::KillManade => {
                self.rig.kill();
                self.rig.start_platform(&self.platform)?;
            }
            Fault::KillBroker => {
                self.rig.kill_broker()?;
                self.rig.start_broker()?;
            }
            Fault::FreezeBroker => {
                self.rig.freeze_broker()?;
                self.rig.wait_for("the silence to be told", |rig| Ok(rig.status()?["state"] == "waiting"))?;
                self.rig.thaw_broker()?;
            }
            Fault::KillStore => {
                self.store.take().context("the store runs")?.kill()?;
                self.store = Some(services::start(&MONGODB, &self.place)?);
            }
            Fault::FreezeStore => {
                let store = self.store.as_ref().context("the store runs")?;
                store.freeze()?;
                // Longer than it is waited for an answer.
                thread::sleep(Duration::from_secs(20));
                store.thaw()?;
            }
        }
        publisher.wait()
    }

    fn compare(&mut self, events: u64) -> Result<()> {
        self.rig.wait_for("all events", |rig| Ok(rig.status()?["read"] == events && rig.messages()? == 0))?;
        for result in ["each", "rows"] {
            self.rig.wait_for("all rows to be written", |rig| {
                let sinks = rig.result(result)?["sinks"].clone();
                let sinks = sinks.as_array().context("it has sinks")?;
                Ok(sinks.iter().all(|sink| sink["waiting"] == 0 && sink["trouble"].is_null()))
            })?;
        }
        ensure!(self.rig.rows("total?select=events,ids")? == [format!("{events},{events}")]);
        let mut each = self.rig.rows("each?select=slot,n,last&limit=1000")?;
        each.sort();
        ensure!(each == self.documents("each", &["slot", "n", "last"])?, "the groups in MongoDB are others");
        let mut all: Vec<String> = (1..=events).map(|id| id.to_string()).collect();
        all.sort();
        let stored = self.documents("rows", &["id"])?;
        ensure!(all == stored, "{} rows in MongoDB of {events}", stored.len());
        let files = read_with(&self.duckdb, &self.read, &self.rig.case_folder().join("lake"), "duckdb", &["id"])?;
        ensure!(all == files, "{} rows in Parquet files of {events}", files.len());
        Ok(())
    }

    fn documents(&self, collection: &str, fields: &[&str]) -> Result<Vec<String>> {
        let mut command = Command::new(self.pymongo.get_program());
        command.args(self.pymongo.get_args()).arg(collection).args(fields).stdin(Stdio::null());
        Ok(process::output_of(&mut command, PATIENCE)?.lines().map(str::to_owned).collect())
    }
}
