//! A million rows served over HTTP: one by its key, a page by an indexed column, and a filter that no index answers.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::figures::{Bar, Figure, Section};
use super::load::{Connection, Load, Plan, get};
use super::program::of_status;
use super::statistics::{median, thousands};
use super::{Bench, events};
use crate::report;
use crate::server::Server;

const ROWS: u64 = 1_000_000;
const CONNECTIONS: usize = 16;
/// Waits for nobody at half of the maximal load.
const OPEN_CONNECTIONS: usize = 64;
const TIME: Duration = Duration::from_secs(10);
const KEY: f64 = 5.0;
const PAGE: f64 = 100.0;
const PLATFORM: &str = include_str!("platforms/queries.yaml");

pub fn run(bench: &Bench) -> Result<Section> {
    let count = bench.options.events.unwrap_or(ROWS);
    let events = events::items(&bench.cache, count)?;
    let manade = bench.manade("bench-queries")?;
    let folder = events.to_str().context("the cache folder's name is no text")?;
    let platform = manade.platform("items", PLATFORM, &[("EVENTS", folder)])?;
    let data = manade.fresh("items")?;
    manade.once(&platform, &data, count)?;
    let mut command = manade.command();
    command.arg("up").arg(&platform).arg("--data").arg(&data);
    let mut server = Server::spawn(command, manade.scratch.join("log"))?;
    server.wait_until_ready()?;
    let mut figures = Vec::new();
    let categories = (count / 100).max(1);
    let works = [
        ("one row by its key", "id", count, KEY),
        ("a page of 100 rows by an indexed column", "category", categories, PAGE),
    ];
    for (work, column, values, bar) in works {
        let request = |number: u64, out: &mut Vec<u8>| {
            // Another value each time, in no order.
            let value = crate::random::mix(number) % values;
            out.extend_from_slice(get(&format!("/data/items?{column}=eq.{value}")).as_bytes());
        };
        let nothing = |_: u64, out: &mut Vec<u8>| out.extend_from_slice(get("/health/live").as_bytes());
        let plan = Plan { port: server.port, connections: CONNECTIONS, time: TIME, status: 200, request: &request };
        let mut loads = Vec::new();
        for run in 1..=bench.options.runs {
            let most = plan.saturate()?;
            let open = Plan { connections: OPEN_CONNECTIONS, ..plan };
            let half = open.at_rate(most.rate / 2.0)?;
            let empty = Plan { request: &nothing, ..open }.at_rate(most.rate / 2.0)?;
            report::say(&format!(
                "run {run} of {work}: {} requests/s, p99 {:.2} ms at half of it ({:.2} ms of empty answers)",
                thousands(most.rate),
                half.at(0.99),
                empty.at(0.99)
            ));
            loads.push([most, half, empty]);
        }
        figures.extend(latencies(work, &loads, bar));
    }
    figures.extend(streamed(&server, count, bench.options.runs)?);
    let line = format!(
        "{} rows; {CONNECTIONS} connections to saturation, then half of that rate over {OPEN_CONNECTIONS}, open loop",
        thousands(count as f64)
    );
    Ok(Section::of("queries", vec![line], figures))
}

/// At saturation, at half of it, and of answers without work at the same rate: what the machine and the clients take.
fn latencies(work: &str, loads: &[[Load; 3]], bar: f64) -> Vec<Figure> {
    let figure = |what: &str, unit, bar, of: &dyn Fn(&[Load; 3]) -> f64| {
        let runs: Vec<f64> = loads.iter().map(of).collect();
        Figure { work: work.to_owned(), what: what.to_owned(), value: median(&runs), unit, bar, runs }
    };
    vec![
        figure("maximal load", "requests/s", None, &|[most, ..]| most.rate),
        figure("p50 at half of it", "ms", None, &|[_, half, _]| half.at(0.5)),
        figure("p99 at half of it", "ms", Some(Bar::AtMost(bar)), &|[_, half, _]| half.at(0.99)),
        figure("p99 of answers without work, for comparison", "ms", None, &|[_, _, empty]| empty.at(0.99)),
    ]
}

/// Half of all rows, by a filter that no index answers.
fn streamed(server: &Server, count: u64, runs: usize) -> Result<Vec<Figure>> {
    let request = get("/data/items?price=gte.500000&format=ndjson");
    let (mut rates, mut memory) = (Vec::new(), 0.0_f64);
    let before = of_status(server.id())?.anonymous;
    for _ in 0..runs {
        let (start, mut rows, mut parts) = (Instant::now(), 0_usize, 0_u64);
        let status = Connection::open(server.port)?.stream(request.as_bytes(), |part| {
            rows += part.split(|byte| *byte == b'\n').count() - 1;
            parts += 1;
            if parts % 64 == 1
                && let Ok(now) = of_status(server.id())
            {
                memory = memory.max(now.anonymous - before);
            }
            true
        })?;
        if status != 200 || rows < count as usize / 3 {
            bail!("the streamed rows are answered with {status} and {rows} rows of about {}", count / 2);
        }
        rates.push(rows as f64 / start.elapsed().as_secs_f64());
    }
    let figure = |what: &str, value, unit, runs| Figure {
        work: "half of all rows by another column".to_owned(),
        what: what.to_owned(),
        value,
        unit,
        bar: None,
        runs,
    };
    Ok(vec![
        figure("streamed", median(&rates), "rows/s", rates),
        figure("most anonymous memory that it needs", memory / 1_048_576.0, "MiB", Vec::new()),
    ])
}
