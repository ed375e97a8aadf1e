//! From exec to the first result of the flights example, and what an idle program needs.

use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::Bench;
use super::figures::{Bar, Figure, Section};
use super::program::{Memory, memory, settle};
use super::statistics::median;
use crate::http;
use crate::server::Server;

/// Each takes a fraction of a second.
const STARTS: usize = 10;
const VERSIONS: usize = 50;
const LIMIT: Duration = Duration::from_mins(1);
/// After which nothing is left of the start.
const IDLE: Duration = Duration::from_secs(3);
const FIRST_RESULT: f64 = 300.0;
const IDLE_MEMORY: f64 = 60.0;
/// Every event of the example counts in it.
const COLLECTION: &str = "/data/delays_by_city?select=city,flights&limit=1";

pub fn run(bench: &Bench) -> Result<Section> {
    let manade = bench.manade("bench-start")?;
    let (mut starts, mut idle): (Vec<f64>, Vec<Memory>) = (Vec::new(), Vec::new());
    for number in 0..STARTS {
        let data = manade.fresh("flights")?;
        let mut command = manade.command();
        command.arg("up").arg(bench.workspace.root.join("examples/flights")).arg("--data").arg(&data);
        settle()?;
        let start = Instant::now();
        let mut server = Server::spawn(command, manade.scratch.join("log"))?;
        first_result(&mut server, start)?;
        starts.push(start.elapsed().as_secs_f64() * 1000.0);
        if number < bench.options.runs {
            thread::sleep(IDLE);
            idle.push(memory(server.id())?);
        }
    }
    let mut versions = Vec::new();
    for _ in 0..VERSIONS {
        let start = Instant::now();
        let mut command = Command::new(&bench.binary);
        let output = command.arg("--version").output()?;
        versions.push(start.elapsed().as_secs_f64() * 1000.0);
        if !output.status.success() {
            bail!("manade --version ended with {}", output.status);
        }
    }
    let figure = |work: &str, what: &str, unit, bar, runs: Vec<f64>| Figure {
        work: work.to_owned(),
        what: what.to_owned(),
        value: median(&runs),
        unit,
        bar,
        runs,
    };
    let mib = |of: fn(&Memory) -> f64| idle.iter().map(|memory| of(memory) / 1_048_576.0).collect();
    let figures = vec![
        figure("up examples/flights", "exec to first result", "ms", Some(Bar::AtMost(FIRST_RESULT)), starts),
        figure("idle, rows served", "anonymous", "MiB", Some(Bar::AtMost(IDLE_MEMORY)), mib(|memory| memory.anonymous)),
        figure(
            "idle, rows served",
            "mapped code and files",
            "MiB",
            None,
            mib(|memory| memory.resident - memory.anonymous),
        ),
        figure("--version", "exec to exit", "ms", None, versions),
    ];
    let line = format!(
        "medians of {STARTS} starts and {VERSIONS} times --version; data folders are new, files in the page cache"
    );
    Ok(Section::of("start", vec![line], figures))
}

fn first_result(server: &mut Server, start: Instant) -> Result<()> {
    loop {
        if http::get(server.port, COLLECTION, "*/*")
            .is_ok_and(|answer| answer.status == 200 && answer.body.starts_with("[{"))
        {
            return Ok(());
        }
        server.check()?;
        if start.elapsed() > LIMIT {
            bail!("manade up gave no result within {} s\n{}", LIMIT.as_secs(), server.log());
        }
        thread::sleep(Duration::from_millis(1));
    }
}
