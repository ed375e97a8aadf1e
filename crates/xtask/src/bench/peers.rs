//! The systems that are compared with: each is a script that runs until it is told nothing more, so that what is timed does
//! not begin with the start of a Java machine.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use serde_json::{Value, json};

use super::program::settle;
use super::rows::Means;
use crate::report;
use crate::tools::{JAVA, Need, SPARK, Tools};
use crate::workspace::Workspace;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum System {
    Spark,
    Flink,
}

impl System {
    pub const ALL: [Self; 2] = [Self::Spark, Self::Flink];

    pub fn name(self) -> &'static str {
        match self {
            Self::Spark => "Spark",
            Self::Flink => "Flink",
        }
    }

    pub fn named(name: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|system| system.name().eq_ignore_ascii_case(name));
        found.with_context(|| format!("there is no {name} to leave out, only spark and flink"))
    }

    pub fn means(self) -> Means {
        match self {
            Self::Spark => Means::Exact,
            Self::Flink => Means::Whole,
        }
    }

    /// Its environment of Python and its script.
    fn parts(self) -> (Need, &'static str, &'static str) {
        match self {
            Self::Spark => (SPARK, "spark", "spark.py"),
            Self::Flink => (FLINK, "flink", "flink.py"),
        }
    }
}

const FLINK: Need = Need::Pip { environment: "flink", packages: &["apache-flink==2.3.0"] };
const LIMIT: Duration = Duration::from_hours(1);
/// To stop its Java machine by itself.
const PATIENCE: Duration = Duration::from_secs(30);

/// Stops when dropped.
pub struct Peer {
    pub system: System,
    /// Until it took requests, in seconds.
    pub start: f64,
    child: Child,
    requests: Option<ChildStdin>,
    answers: Receiver<String>,
    log: PathBuf,
}

impl Peer {
    pub fn start(system: System, workspace: &Workspace, tools: &Tools) -> Result<Self> {
        let (need, environment, script) = system.parts();
        tools.provide(JAVA)?;
        tools.provide(need).with_context(|| format!("install {}, or leave it out by --without", system.name()))?;
        let scratch = workspace.scratch(&format!("bench-{environment}"))?;
        let log = scratch.join("log");
        let script = workspace.root.join("crates/xtask/src/bench/peers").join(script);
        let mut command = Command::new(tools.pip_program(environment, "python"));
        command.arg(script).arg(&scratch).current_dir(&scratch).env("PYTHONDONTWRITEBYTECODE", "1");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(File::create(&log)?);
        report::say(&format!("starting {}", system.name()));
        let start = Instant::now();
        let mut child = command.spawn().with_context(|| format!("start {}", system.name()))?;
        let lines = BufReader::new(child.stdout.take().context("no stdout")?).lines();
        let (sender, answers) = mpsc::channel();
        // Ends with the process, or when nobody listens any more.
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if let Some(answer) = line.strip_prefix("> ")
                    && sender.send(answer.to_owned()).is_err()
                {
                    return;
                }
            }
        });
        let requests = child.stdin.take();
        let mut peer = Self { system, start: 0.0, child, requests, answers, log };
        peer.answer()?;
        peer.start = start.elapsed().as_secs_f64();
        Ok(peer)
    }

    /// Runs a query and drops its rows. The seconds that it took, by its own clock.
    pub fn time(&mut self, query: &str, events: &Path) -> Result<f64> {
        settle()?;
        let answer = self.ask(&json!({"do": "time", "query": query, "events": events}))?;
        answer["seconds"].as_f64().with_context(|| format!("{} says no time", self.system.name()))
    }

    /// Runs a query and writes its rows to files in a new folder.
    pub fn rows(&mut self, query: &str, events: &Path, to: &Path) -> Result<()> {
        self.ask(&json!({"do": "rows", "query": query, "events": events, "to": to})).map(|_| ())
    }

    fn ask(&mut self, request: &Value) -> Result<Value> {
        let requests = self.requests.as_mut().context("it was stopped")?;
        writeln!(requests, "{request}").with_context(|| format!("ask {}", self.system.name()))?;
        self.answer()
    }

    fn answer(&mut self) -> Result<Value> {
        let line = self.answers.recv_timeout(LIMIT).map_err(|error| {
            let log = fs::read_to_string(&self.log).unwrap_or_default();
            let tail: Vec<&str> = log.lines().rev().take(30).collect();
            let tail: Vec<&str> = tail.into_iter().rev().collect();
            anyhow!("{} gives no answer ({error})\n{}", self.system.name(), tail.join("\n"))
        })?;
        Ok(serde_json::from_str(&line)?)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // The end of its requests ends it.
        self.requests = None;
        let start = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) {
            if start.elapsed() > PATIENCE {
                // Fails only when it has ended already.
                let _ = self.child.kill();
                let _ = self.child.wait();
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// All that were not left out.
pub fn start(systems: &[System], without: &[System], workspace: &Workspace, tools: &Tools) -> Result<Vec<Peer>> {
    let wanted = systems.iter().filter(|system| !without.contains(system));
    wanted.map(|system| Peer::start(*system, workspace, tools)).collect()
}
