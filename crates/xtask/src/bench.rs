//! `cargo xtask bench`: what is promised of speed, measured beside the systems that a user would take instead.
//!
//! - [`throughput`], [`ingest`], [`queries`], [`growth`], [`start`], [`chain`]: the benchmarks; docs/benchmarks.md says what each measures
//! - [`events`]: what is measured with, from [`random`] numbers
//! - [`program`]: the program under test; [`peers`]: Spark and Flink; [`rows`]: whether they give the same
//! - [`load`]: HTTP clients; [`statistics`] and [`figures`]: what comes of it, [`plot`]ted too

mod chain;
mod events;
mod figures;
mod growth;
mod ingest;
mod load;
mod peers;
mod plot;
mod program;
mod queries;
mod rows;
mod start;
mod statistics;
mod throughput;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::process;
use crate::report;
use crate::tools::Tools;
use crate::workspace::Workspace;
use figures::Section;
pub use peers::System;
use program::Manade;

pub struct Options {
    /// Names of benchmarks; empty for all of them.
    pub only: Vec<String>,
    pub runs: usize,
    /// Instead of each benchmark's own number.
    pub events: Option<u64>,
    /// Instead of building what is shipped.
    pub binary: Option<PathBuf>,
    pub without: Vec<System>,
    pub json: Option<PathBuf>,
    pub write_docs: bool,
}

type Run = fn(&Bench) -> Result<Section>;
const ALL: [(&str, Run); 6] = [
    ("throughput", throughput::run),
    ("ingest", ingest::run),
    ("queries", queries::run),
    ("growth", growth::run),
    ("start", start::run),
    ("chain", chain::run),
];
const PAGE: &str = "docs/benchmarks.md";

/// What every benchmark has.
pub struct Bench<'a> {
    workspace: &'a Workspace,
    tools: Tools,
    binary: PathBuf,
    cache: PathBuf,
    options: &'a Options,
}

impl Bench<'_> {
    fn manade(&self, scratch: &str) -> Result<Manade> {
        Ok(Manade { binary: self.binary.clone(), scratch: self.workspace.scratch(scratch)? })
    }
}

pub fn run(workspace: &Workspace, options: &Options) -> Result<ExitCode> {
    for name in &options.only {
        if !ALL.iter().any(|(known, _)| known == name) {
            bail!("no benchmark is called {name}; there are: {}", ALL.map(|(name, _)| name).join(", "));
        }
    }
    let binary = match &options.binary {
        Some(binary) => binary.canonicalize()?,
        None => workspace.build_dist()?,
    };
    let tools = Tools::new(false)?;
    let cache = tools.cache("bench-events");
    let bench = Bench { workspace, tools, binary, cache, options };
    // Before the figures go into the documentation.
    let commit = commit(workspace)?;
    let (mut bars, mut reached) = (0, 0);
    for (name, run) in ALL {
        if !options.only.is_empty() && !options.only.iter().any(|only| only == name) {
            continue;
        }
        let machine = measured_on(&commit)?;
        let mut section = run(&bench)?;
        section.lines.insert(0, machine);
        section.print();
        if let Some(path) = &options.json {
            section.append(path)?;
        }
        if options.write_docs {
            section.document(&workspace.root.join(PAGE))?;
        }
        let (more_bars, more_reached) = section.bars();
        (bars, reached) = (bars + more_bars, reached + more_reached);
    }
    report::say(&format!("\n{reached} of {bars} bars reached"));
    Ok(ExitCode::SUCCESS)
}

fn commit(workspace: &Workspace) -> Result<String> {
    let mut git = Command::new("git");
    git.current_dir(&workspace.root).args(["describe", "--always", "--dirty", "--abbrev=10"]);
    process::output_of(&mut git, Duration::from_mins(1)).map(|commit| commit.trim().to_owned())
}

/// The machine, how busy it was before, and the state of the code.
fn measured_on(commit: &str) -> Result<String> {
    let processors = fs::read_to_string("/proc/cpuinfo").context("read /proc/cpuinfo")?;
    let model = processors.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown");
    let cores = thread::available_parallelism()?;
    let memory = program::machine_memory()? / 1_073_741_824.0;
    let load = fs::read_to_string("/proc/loadavg").context("read /proc/loadavg")?;
    let load = load.split(' ').next().unwrap_or_default();
    let model = model.trim_start_matches([':', ' ', '\t']);
    Ok(format!("{cores} cores ({model}), {memory:.0} GiB, load {load} before; commit {commit}"))
}
