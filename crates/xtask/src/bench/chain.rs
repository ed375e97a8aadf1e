//! From a queue of RabbitMQ over a grouped aggregate into a collection of MongoDB, beside the same chain made of parts.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::Bench;
use super::figures::{Bar, Figure, Section};
use super::peers::Process;
use super::program::{Manade, settle};
use super::statistics::{median, percentile, thousands};
use crate::process;
use crate::report;
use crate::server::{Server, lasting_port};
use crate::services::{self, MONGODB, Place, RABBITMQ, Running};
use crate::tools::{CHAIN, JAVA, SPARK};

const EVENTS: u64 = 200_000;
const PROBES: u64 = 200;
const PATIENCE: Duration = Duration::from_mins(10);
const RATIO: f64 = 10.0;
const LATENCY: f64 = 250.0;
const PLATFORM: &str = include_str!("platforms/chain.yaml");

/// Both servers, and the clients.
struct Chain {
    manade: Manade,
    _servers: [Running; 2],
    amqp: String,
    mongodb: String,
    clients: Process,
    events: u64,
}

/// Events a second of both, and milliseconds until a document is there, sorted.
struct Run {
    manade: f64,
    parts: f64,
    waited: Vec<u32>,
}

pub fn run(bench: &Bench) -> Result<Section> {
    let mut chain = Chain::start(bench)?;
    // Spark's code is compiled and warm before it is timed.
    chain.parts("warm")?;
    let mut runs = Vec::new();
    for number in 1..=bench.options.runs {
        let parts = chain.parts(&format!("parts{number}"))?;
        let manade = chain.manade(&format!("manade{number}"))?;
        let waited = chain.waited(&format!("waited{number}"), manade / 2.0)?;
        report::say(&format!(
            "run {number}: Manade {} events/s, the parts {}, p99 to a document {} ms",
            thousands(manade),
            thousands(parts),
            percentile(&waited, 0.99)
        ));
        runs.push(Run { manade, parts, waited });
    }
    let line = format!(
        "{} messages in a classic queue, 300 groups, {PROBES} documents awaited at half of Manade's rate",
        thousands(chain.events as f64)
    );
    Ok(Section::of("chain", vec![line], figures(&runs)))
}

fn figures(runs: &[Run]) -> Vec<Figure> {
    let figure = |work: &str, what: &str, unit, bar, of: &dyn Fn(&Run) -> f64| {
        let runs: Vec<f64> = runs.iter().map(of).collect();
        Figure { work: work.to_owned(), what: what.to_owned(), value: median(&runs), unit, bar, runs }
    };
    let (all, half) = ("a queue that is full", "half of Manade's rate");
    let waited = |run: &Run, share| f64::from(percentile(&run.waited, share));
    vec![
        figure(all, "Manade", "events/s", None, &|run| run.manade),
        figure(all, "Python, pika, PySpark and pymongo", "events/s", None, &|run| run.parts),
        figure(all, "Manade to the parts", "x", Some(Bar::AtLeast(RATIO)), &|run| run.manade / run.parts),
        figure(half, "p50 from publishing to the document", "ms", None, &|run| waited(run, 0.5)),
        figure(half, "p99 from publishing to the document", "ms", Some(Bar::AtMost(LATENCY)), &|run| waited(run, 0.99)),
    ]
}

impl Chain {
    fn start(bench: &Bench) -> Result<Self> {
        for need in [RABBITMQ.needs[0], MONGODB.needs[0], CHAIN, JAVA, SPARK] {
            bench.tools.provide(need)?;
        }
        let manade = bench.manade("bench-chain")?;
        let port = lasting_port(0)?;
        let place = |name: &str, port| Place { folder: manade.scratch.join(name), port, settings: String::new() };
        let (broker, store) = (place("broker", port), place("store", lasting_port(port)?));
        let servers = [services::start(&RABBITMQ, &broker)?, services::start(&MONGODB, &store)?];
        let clients = Process::start(clients(bench)?, &manade.scratch)?;
        Ok(Self {
            manade,
            _servers: servers,
            amqp: format!("amqp://127.0.0.1:{}/%2f", broker.port),
            mongodb: (MONGODB.url)(store.port),
            clients,
            events: bench.options.events.unwrap_or(EVENTS),
        })
    }

    fn ask(&mut self, what: &str, queue: &str, events: u64) -> Result<Value> {
        let (amqp, mongodb) = (&self.amqp, &self.mongodb);
        let request = json!({ "do": what, "amqp": amqp, "mongodb": mongodb, "queue": queue, "events": events });
        self.clients.ask(&request).with_context(|| format!("{what} for {queue}"))
    }

    /// Events a second of the chain of parts.
    fn parts(&mut self, queue: &str) -> Result<f64> {
        self.ask("publish", queue, self.events)?;
        settle()?;
        let seconds = self.ask("drain", queue, self.events)?["seconds"].as_f64().context("it says no time")?;
        self.check(queue)?;
        Ok(self.events as f64 / seconds)
    }

    /// Events a second of Manade, its start included.
    fn manade(&mut self, queue: &str) -> Result<f64> {
        self.ask("publish", queue, self.events)?;
        settle()?;
        let begun = Instant::now();
        let server = self.up(queue)?;
        loop {
            if begun.elapsed() > PATIENCE {
                bail!("not all is read and written\n{}", server.log());
            }
            thread::sleep(Duration::from_millis(10));
            let Ok(status) = server.json("/api/v1/pipelines/clicks") else { continue };
            let sink = &status["results"][0]["sinks"][0];
            if status["read"] == self.events && sink["waiting"] == 0 {
                break;
            }
        }
        let seconds = begun.elapsed().as_secs_f64();
        drop(server);
        self.check(queue)?;
        Ok(self.events as f64 / seconds)
    }

    /// Milliseconds until documents are there, beside so many events a second.
    fn waited(&mut self, queue: &str, rate: f64) -> Result<Vec<u32>> {
        let mut server = self.up(queue)?;
        server.wait_until_ready()?;
        let mut load = self.manade.command();
        load.args(["generate", "clicks"]).arg(self.platform(queue)?).args(["--url", &server.url("")]);
        load.args(["--rate", &format!("{rate:.0}"), "--keys", "300"]);
        let mut load = load.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        // Both have warmed up.
        thread::sleep(Duration::from_secs(3));
        let answer = self.ask("probe", queue, PROBES);
        let ended = load.try_wait()?;
        load.kill()?;
        load.wait()?;
        ensure!(ended.is_none(), "the load ended with {ended:?}");
        let answer = answer?;
        let waited = answer["milliseconds"].as_array().context("it says no times")?;
        let mut waited: Vec<u32> = waited.iter().filter_map(Value::as_f64).map(|ms| ms.ceil() as u32).collect();
        waited.sort_unstable();
        Ok(waited)
    }

    fn platform(&self, queue: &str) -> Result<PathBuf> {
        let words = [("AMQP_URL", &*self.amqp), ("MONGODB_URL", &self.mongodb), ("QUEUE", queue)];
        self.manade.platform(queue, PLATFORM, &words)
    }

    /// With a new data folder.
    fn up(&self, queue: &str) -> Result<Server> {
        let mut command = self.manade.command();
        command.arg("up").arg(self.platform(queue)?).arg("--data").arg(self.manade.fresh(queue)?);
        Server::spawn(command, self.manade.scratch.join("log"))
    }

    /// Every event is counted in the collection, once.
    fn check(&mut self, queue: &str) -> Result<()> {
        let counted = self.ask("count", queue, 0)?["events"].clone();
        ensure!(counted == self.events, "{counted} of {} events are counted in {queue}", self.events);
        Ok(())
    }
}

/// Spark's Python with the packages of the other environment.
fn clients(bench: &Bench) -> Result<Command> {
    let mut packages = Command::new(bench.tools.pip_program("chain", "python"));
    packages.args(["-c", "import site; print(site.getsitepackages()[0])"]);
    let packages = process::output_of(&mut packages, PATIENCE)?;
    let mut command = Command::new(bench.tools.pip_program("spark", "python"));
    command.arg(bench.workspace.root.join("crates/xtask/src/bench/peers/chain.py"));
    command.env("PYTHONPATH", packages.trim());
    Ok(command)
}
