//! The systems that are compared with: each is a script that runs until it is told nothing more, so that what is timed does
//! not begin with the start of a Java machine.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
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
/// For one query.
const LIMIT: Duration = Duration::from_mins(15);
/// To stop its Java machine by itself.
const PATIENCE: Duration = Duration::from_secs(30);

/// Stops when dropped.
pub struct Peer {
    pub system: System,
    /// Until it took requests, in seconds.
    pub start: f64,
    python: PathBuf,
    script: PathBuf,
    scratch: PathBuf,
    process: Process,
}

/// A script that answers requests. Killed when dropped, if it does not stop by itself.
pub struct Process {
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
        let script = workspace.root.join("crates/xtask/src/bench/peers").join(script);
        let python = tools.pip_program(environment, "python");
        report::say(&format!("starting {}", system.name()));
        let start = Instant::now();
        let process = Process::start(python_of(&python, &script), &scratch)?;
        Ok(Self { system, start: start.elapsed().as_secs_f64(), python, script, scratch, process })
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

    /// A peer that fails or hangs is started anew once, and asked twice: its code must be warm.
    fn ask(&mut self, request: &Value) -> Result<Value> {
        let failed = match self.process.ask(request) {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        report::say(&format!("{} is started anew: {failed:#}", self.system.name()));
        self.process.kill();
        self.process = Process::start(python_of(&self.python, &self.script), &self.scratch)?;
        let again = self.process.ask(request).and_then(|_| self.process.ask(request));
        again.with_context(|| format!("ask {}", self.system.name()))
    }
}

fn python_of(python: &Path, script: &Path) -> Command {
    let mut command = Command::new(python);
    command.arg(script);
    command
}

impl Process {
    /// A command that is given the folder of its files, and says when it has started.
    pub fn start(mut command: Command, scratch: &Path) -> Result<Self> {
        let (log, name) = (scratch.join("peer.log"), format!("{command:?}"));
        command.arg(scratch).current_dir(scratch).env("PYTHONDONTWRITEBYTECODE", "1");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(File::create(&log)?);
        // Its Java machine is in its group, so that both can be killed.
        let mut child = command.process_group(0).spawn().with_context(|| format!("start {name}"))?;
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
        let process = Self { child, requests, answers, log };
        process.answer()?;
        Ok(process)
    }

    pub fn ask(&mut self, request: &Value) -> Result<Value> {
        writeln!(self.requests.as_mut().context("it was stopped")?, "{request}")?;
        self.answer()
    }

    fn answer(&self) -> Result<Value> {
        let line = self.answers.recv_timeout(LIMIT).map_err(|error| {
            let log = fs::read_to_string(&self.log).unwrap_or_default();
            let tail: Vec<&str> = log.lines().rev().take(30).collect();
            let tail: Vec<&str> = tail.into_iter().rev().collect();
            anyhow!("it gives no answer ({error})\n{}", tail.join("\n"))
        })?;
        Ok(serde_json::from_str(&line)?)
    }

    fn kill(&mut self) {
        // Fails only when it has ended already.
        let _ = Command::new("kill").args(["-KILL", &format!("-{}", self.child.id())]).status();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The end of its requests ends it.
        self.requests = None;
        let start = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) {
            if start.elapsed() > PATIENCE {
                self.kill();
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
