//! Nexmark queries over files of NDJSON, beside Spark and Flink, with their rows compared.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::figures::{Bar, Figure, Section, mark, with_unit};
use super::peers::{self, Peer, System};
use super::program::Manade;
use super::rows::{Columns, Kind, Means, Rows, Source, sum};
use super::statistics::{median, thousands};
use super::{Bench, events};
use crate::report;

struct Query {
    name: &'static str,
    yaml: &'static str,
    columns: Columns,
}

const QUERIES: [Query; 5] = [
    Query {
        name: "q1",
        yaml: include_str!("platforms/q1.yaml"),
        columns: &[
            ("auction", Kind::Plain),
            ("bidder", Kind::Plain),
            ("price", Kind::Plain),
            ("ts", Kind::Time),
            ("extra", Kind::Plain),
        ],
    },
    Query {
        name: "q2",
        yaml: include_str!("platforms/q2.yaml"),
        columns: &[("auction", Kind::Plain), ("price", Kind::Plain)],
    },
    Query {
        name: "q12",
        yaml: include_str!("platforms/q12.yaml"),
        columns: &[("bidder", Kind::Plain), ("start", Kind::Window), ("bids", Kind::Plain)],
    },
    Query {
        name: "q17",
        yaml: include_str!("platforms/q17.yaml"),
        columns: &[
            ("auction", Kind::Plain),
            ("day", Kind::Plain),
            ("bids", Kind::Plain),
            ("cheap", Kind::Plain),
            ("lowest", Kind::Plain),
            ("highest", Kind::Plain),
            ("mean", Kind::Mean),
            ("total", Kind::Plain),
        ],
    },
    Query {
        name: "q21_22",
        yaml: include_str!("platforms/q21_22.yaml"),
        columns: &[
            ("auction", Kind::Plain),
            ("channel", Kind::Plain),
            ("channel_id", Kind::Plain),
            ("dir", Kind::Plain),
        ],
    },
];

const EVENTS: u64 = 2_000_000;
/// How many times as fast as the better peer.
const DISCARDED: f64 = 5.0;
const KEPT: f64 = 3.0;

/// Seconds of each run, by system.
#[derive(Default)]
struct Times {
    discarded: Vec<f64>,
    kept: Vec<f64>,
    peers: Vec<(System, Vec<f64>)>,
}

pub fn run(bench: &Bench) -> Result<Section> {
    let count = bench.options.events.unwrap_or(EVENTS);
    let events = events::nexmark(&bench.cache, count)?;
    let manade = bench.manade("bench-throughput")?;
    let mut peers = peers::start(&System::ALL, &bench.options.without, bench.workspace, &bench.tools)?;
    // Before anything is timed, which also lets the peers warm up.
    let mut lines =
        vec![format!("{} events in 8 files; {} runs of each, in turn", thousands(count as f64), bench.options.runs)];
    for query in &QUERIES {
        let line = compare(query, &manade, &mut peers, &events, count)?;
        report::say(&line);
        lines.push(line);
    }
    for peer in &peers {
        lines.push(format!("start of {}, which is not in its figures: {:.1} s", peer.system.name(), peer.start));
    }
    let mut times: Vec<Times> = QUERIES.iter().map(|_| Times::default()).collect();
    for run in 1..=bench.options.runs {
        for (query, times) in QUERIES.iter().zip(&mut times) {
            report::say(&format!(
                "run {run} of {}: {}",
                query.name,
                timed(query, &manade, &mut peers, &events, count, times)?
            ));
        }
    }
    Ok(section(lines, &peers, &times, count))
}

/// One run of each system. Says the seconds.
fn timed(
    query: &Query,
    manade: &Manade,
    peers: &mut [Peer],
    events: &Path,
    count: u64,
    times: &mut Times,
) -> Result<String> {
    let discarded = once(query, manade, events, "discard", count)?.0;
    times.discarded.push(discarded);
    let kept = once(query, manade, events, "collection", count)?.0;
    times.kept.push(kept);
    let mut said = format!("Manade {discarded:.2} s, rows kept {kept:.2} s");
    for peer in peers {
        let seconds = peer.time(query.name, events)?;
        let _ = write!(said, ", {} {seconds:.2} s", peer.system.name());
        match times.peers.iter_mut().find(|(system, _)| *system == peer.system) {
            Some((_, seen)) => seen.push(seconds),
            None => times.peers.push((peer.system, vec![seconds])),
        }
    }
    Ok(said)
}

/// Seconds, and the data folder.
fn once(query: &Query, manade: &Manade, events: &Path, sink: &str, count: u64) -> Result<(f64, PathBuf)> {
    let folder = events.to_str().context("the cache folder's name is no text")?;
    let platform = manade.platform(query.name, query.yaml, &[("EVENTS", folder), ("SINK", sink)])?;
    let data = manade.fresh(query.name)?;
    Ok((manade.once(&platform, &data, count)?.seconds, data))
}

/// Runs a query everywhere and compares the rows. Says what was compared.
fn compare(query: &Query, manade: &Manade, peers: &mut [Peer], events: &Path, count: u64) -> Result<String> {
    let (_, data) = once(query, manade, events, "collection", count)?;
    let mut pairs = Vec::new();
    for peer in peers {
        let folder = manade.scratch.join(format!("{}-{}", peer.system.name(), query.name));
        peer.rows(query.name, events, &folder)?;
        let theirs = Source::folder(&folder, query.columns, peer.system.means())?;
        let ours = manade.rows(query.name, &data, query.columns, peer.system.means())?;
        pairs.push(Pair { system: peer.system, our_rows: ours.read()?, their_rows: theirs.read()?, ours, theirs });
    }
    // A window is closed once every system has one that starts as late.
    let until = pairs.iter().map(|pair| pair.our_rows.last_window().min(pair.their_rows.last_window())).min();
    for pair in &pairs {
        pair.check(query.name, until.unwrap_or(0))?;
    }
    let rows = manade.rows(query.name, &data, query.columns, Means::Exact)?.read()?;
    let rows = rows.until(until.unwrap_or(u64::MAX));
    let names: Vec<&str> = pairs.iter().map(|pair| pair.system.name()).collect();
    let equal =
        if names.is_empty() { "compared with nothing".to_owned() } else { format!("equal to {}", names.join(" and ")) };
    for pair in &pairs {
        fs::remove_dir_all(manade.scratch.join(format!("{}-{}", pair.system.name(), query.name)))?;
    }
    Ok(format!("{}: {} rows {equal}, checksum {:016x}", query.name, thousands(rows.len() as f64), sum(rows)))
}

/// Rows of Manade and of a peer, as comparable as both allow.
struct Pair {
    system: System,
    ours: Source,
    our_rows: Rows,
    theirs: Source,
    their_rows: Rows,
}

impl Pair {
    fn check(&self, query: &str, until: u64) -> Result<()> {
        let (ours, theirs) = (self.our_rows.until(until), self.their_rows.until(until));
        let name = self.system.name();
        if ours.is_empty() && theirs.is_empty() {
            bail!("{query}: no rows to compare with {name}'s: take more events (at least 300,000 close a window)");
        }
        if ours == theirs {
            return Ok(());
        }
        bail!(
            "{query}: {} rows with checksum {:016x}, but {name} has {} with {:016x}\nnot {name}'s:\n{}\nnot Manade's:\n{}",
            ours.len(),
            sum(ours),
            theirs.len(),
            sum(theirs),
            self.ours.not_in(&self.their_rows, until)?.join("\n"),
            self.theirs.not_in(&self.our_rows, until)?.join("\n"),
        );
    }
}

fn section(lines: Vec<String>, peers: &[Peer], times: &[Times], count: u64) -> Section {
    let rate = |seconds: &f64| count as f64 / seconds;
    let names = peers.iter().map(|peer| format!("{}, events/s", peer.system.name()));
    let headers = ["work".to_owned(), "Manade, events/s".to_owned()].into_iter().chain(names);
    let headers = headers.chain(["ratio to the better", "must reach", "reached"].map(str::to_owned)).collect();
    let (mut rows, mut figures) = (Vec::new(), Vec::new());
    for (sink, bar) in [("discard", DISCARDED), ("collection", KEPT)] {
        for (query, times) in QUERIES.iter().zip(times) {
            let work = format!("{}, rows to {sink}", query.name);
            let seconds = if sink == "discard" { &times.discarded } else { &times.kept };
            let mut figure = |what: &str, value: f64, unit, bar, runs: Vec<f64>| {
                figures.push(Figure { work: work.clone(), what: what.to_owned(), value, unit, bar, runs });
            };
            let runs: Vec<f64> = seconds.iter().map(rate).collect();
            let manade = median(&runs);
            figure("Manade", manade, "events/s", None, runs);
            let mut row = vec![work.clone(), thousands(manade)];
            let mut best: f64 = 0.0;
            for (system, seconds) in &times.peers {
                let runs: Vec<f64> = seconds.iter().map(rate).collect();
                let value = median(&runs);
                figure(system.name(), value, "events/s", None, runs);
                row.push(thousands(value));
                best = best.max(value);
            }
            if best > 0.0 {
                let (ratio, bar) = (manade / best, Bar::AtLeast(bar));
                figure("ratio", ratio, "x", Some(bar), Vec::new());
                row.extend([with_unit(ratio, "x"), bar.text("x"), mark(bar.reached(ratio))]);
            } else {
                row.extend(["", "", ""].map(str::to_owned));
            }
            rows.push(row);
        }
    }
    Section { name: "throughput", lines, headers, rows, figures, plot: None }
}
