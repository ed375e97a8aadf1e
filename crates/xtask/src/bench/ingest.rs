//! Events over HTTP: how many are accepted, which means durable, and how long until a row of them is seen.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use serde_json::Value;

use super::Bench;
use super::figures::{Bar, Figure, Section};
use super::load::{Connection, Load, Plan, get};
use super::program::{Manade, settle};
use super::statistics::{median, percentile, thousands};
use crate::random::Random;
use crate::report;
use crate::server::Server;

const TIME: Duration = Duration::from_secs(10);
const EVENTS: u64 = 1000;
/// Bodies are made before: the clients share the machine with the server.
const BODIES: usize = 64;
const CONNECTIONS: usize = 8;
const SINGLE_CLIENTS: usize = 64;
/// One is due every so often.
const FOLLOWED_EVERY: Duration = Duration::from_millis(10);
const ACCEPTED: f64 = 500_000.0;
const SINGLE_ACCEPTED: f64 = 20_000.0;
const LATENCY: f64 = 50.0;
const VISIBLE: f64 = 250.0;
const PLATFORM: &str = include_str!("platforms/ingest.yaml");

/// One run of everything.
struct Run {
    bulk: Load,
    single: Load,
    /// Of the same clients, answered without any work: what they and the connections leave.
    idle: Load,
    /// From the moment at which an event was to be sent until its row was seen, in microseconds, sorted.
    visible: Vec<u32>,
}

pub fn run(bench: &Bench) -> Result<Section> {
    let manade = bench.manade("bench-ingest")?;
    let mut random = Random::new(1);
    let bodies: Vec<String> = (0..BODIES).map(|_| (0..EVENTS).map(|_| event(&mut random)).collect()).collect();
    let requests: Vec<Vec<u8>> = bodies.iter().map(|body| post(body).into_bytes()).collect();
    let bulk = |number: u64, out: &mut Vec<u8>| out.extend_from_slice(&requests[number as usize % BODIES]);
    let single = |number: u64, out: &mut Vec<u8>| {
        out.extend_from_slice(post(&event(&mut Random::new(number))).as_bytes());
    };
    let mut runs = Vec::new();
    for number in 1..=bench.options.runs {
        let server = serve(&manade)?;
        let plan = |port, connections, request| Plan { port, connections, time: TIME, status: 202, request };
        let most = plan(server.port, CONNECTIONS, &bulk).saturate()?;
        let server = serve(&manade)?;
        let one = plan(server.port, SINGLE_CLIENTS, &single).saturate()?;
        let health = |_: u64, out: &mut Vec<u8>| {
            out.extend_from_slice(get("/health/live").as_bytes());
        };
        let idle = Plan { status: 200, ..plan(server.port, SINGLE_CLIENTS, &health) }.saturate()?;
        let server = serve(&manade)?;
        let half = plan(server.port, CONNECTIONS * 2, &bulk);
        let visible = follow(server.port, &half, most.rate / 2.0)?;
        report::say(&format!(
            "run {number}: {} events/s in requests of {EVENTS}, {} one by one ({} empty answers/s), p99 to a visible row {} ms",
            thousands(most.rate * EVENTS as f64),
            thousands(one.rate),
            thousands(idle.rate),
            percentile(&visible, 0.99) / 1000,
        ));
        runs.push(Run { bulk: most, single: one, idle, visible });
    }
    let line = format!(
        "{} s each; {CONNECTIONS} connections with requests of {EVENTS} events, {SINGLE_CLIENTS} with one event; then half of \
         the maximal load, open loop, and an event every {} ms whose row is awaited on the change feed",
        TIME.as_secs(),
        FOLLOWED_EVERY.as_millis()
    );
    Ok(Section::of("ingest", vec![line], figures(&runs)))
}

fn figures(runs: &[Run]) -> Vec<Figure> {
    let figure = |work: &str, what: &str, unit, bar, of: &dyn Fn(&Run) -> f64| {
        let runs: Vec<f64> = runs.iter().map(of).collect();
        Figure { work: work.to_owned(), what: what.to_owned(), value: median(&runs), unit, bar, runs }
    };
    let (bulk, single) = ("requests of 1,000 events", "one by one from 64 clients");
    let (visible, fast) = ("half of the maximal load", Some(Bar::AtMost(LATENCY)));
    let milliseconds = |sorted: &[u32], share| f64::from(percentile(sorted, share)) / 1000.0;
    vec![
        figure(bulk, "accepted", "events/s", Some(Bar::AtLeast(ACCEPTED)), &|run| run.bulk.rate * EVENTS as f64),
        figure(bulk, "p50", "ms", None, &|run| run.bulk.at(0.5)),
        figure(bulk, "p99", "ms", fast, &|run| run.bulk.at(0.99)),
        figure(single, "accepted", "events/s", Some(Bar::AtLeast(SINGLE_ACCEPTED)), &|run| run.single.rate),
        figure(single, "p50", "ms", None, &|run| run.single.at(0.5)),
        figure(single, "p99", "ms", fast, &|run| run.single.at(0.99)),
        figure(single, "answers without work, for comparison", "answers/s", None, &|run| run.idle.rate),
        figure(visible, "p50 until the row is seen", "ms", None, &|run| milliseconds(&run.visible, 0.5)),
        figure(visible, "p99 until the row is seen", "ms", Some(Bar::AtMost(VISIBLE)), &|run| {
            milliseconds(&run.visible, 0.99)
        }),
    ]
}

/// With a new data folder.
fn serve(manade: &Manade) -> Result<Server> {
    let platform = manade.platform("clicks", PLATFORM, &[])?;
    let data = manade.fresh("clicks")?;
    let mut command = manade.command();
    command.arg("up").arg(platform).arg("--data").arg(data);
    settle()?;
    let mut server = Server::spawn(command, manade.scratch.join("log"))?;
    server.wait_until_ready()?;
    Ok(server)
}

/// Sends events one by one beside a load, and waits for their rows.
fn follow(port: u16, load: &Plan, rate: f64) -> Result<Vec<u32>> {
    let count = (load.time.as_millis() / FOLLOWED_EVERY.as_millis()) as usize;
    let (connected, connections) = mpsc::channel();
    thread::scope(|scope| {
        let feed = scope.spawn(move || feed(port, count, connected));
        connections.recv().context("the change feed did not begin")?;
        let load = scope.spawn(|| load.at_rate(rate));
        // The load has warmed up.
        thread::sleep(Duration::from_secs(1));
        let start = Instant::now();
        let mut connection = Connection::open(port)?;
        for number in 0..count {
            thread::sleep(due(start, number).saturating_duration_since(Instant::now()));
            let event =
                format!("{{\"id\":{number},\"at\":1767225600000,\"user\":1,\"kind\":\"followed\",\"value\":0.5}}\n");
            let status = connection.send(post(&event).as_bytes())?;
            if status != 202 {
                bail!("answered with {status}: {}", String::from_utf8_lossy(&connection.body));
            }
        }
        let seen = feed.join().map_err(|_| anyhow!("the change feed's client panicked"))??;
        load.join().map_err(|_| anyhow!("the load panicked"))??;
        let waited =
            seen.iter().map(|(number, at)| at.saturating_duration_since(due(start, *number)).as_micros() as u32);
        let mut waited: Vec<u32> = waited.collect();
        waited.sort_unstable();
        Ok(waited)
    })
}

fn due(start: Instant, number: usize) -> Instant {
    start + FOLLOWED_EVERY * number as u32
}

/// When each of the followed events' rows was seen.
fn feed(port: u16, count: usize, connected: mpsc::Sender<()>) -> Result<Vec<(usize, Instant)>> {
    let limit = Instant::now() + TIME * 6;
    let (mut seen, mut text) = (Vec::with_capacity(count), String::new());
    let request =
        "GET /data/followed/changes?snapshot=true HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\n\r\n";
    let mut connection = Connection::open(port)?;
    // The answer's head comes with its first row or comment only.
    connected.send(())?;
    connection.stream(request.as_bytes(), |part| {
        let now = Instant::now();
        text.push_str(&String::from_utf8_lossy(part));
        while let Some(end) = text.find('\n') {
            let line: String = text.drain(..=end).collect();
            let row = line.strip_prefix("data: ").and_then(|row| serde_json::from_str::<Value>(row).ok());
            if let Some(id) = row.and_then(|row| row["id"].as_u64()) {
                seen.push((id as usize, now));
            }
        }
        seen.len() < count && now < limit
    })?;
    if seen.len() < count {
        bail!("only {} of {count} followed events were seen on the change feed", seen.len());
    }
    Ok(seen)
}

fn event(random: &mut Random) -> String {
    let (id, at, user) = (random.next() >> 20, 1_767_225_600_000 + random.below(86_400_000), random.below(10_000));
    let (kind, value) = (["view", "click", "order"][random.below(3) as usize], random.below(100_000) as f64 / 100.0);
    format!("{{\"id\":{id},\"at\":{at},\"user\":{user},\"kind\":\"{kind}\",\"value\":{value}}}\n")
}

fn post(body: &str) -> String {
    let length = body.len();
    format!(
        "POST /ingest/clicks HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-ndjson\r\n\
         content-length: {length}\r\n\r\n{body}"
    )
}
