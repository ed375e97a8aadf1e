//! How speed and memory go with the number of groups, beside Spark with its state in RocksDB.

use std::fmt::Write as _;
use std::fs;

use anyhow::{Context, Result};

use super::figures::{Bar, Figure, Section};
use super::peers::{self, System};
use super::plot::{self, Curve};
use super::program::{Memory, machine_memory};
use super::statistics::{median, thousands};
use super::{Bench, events};
use crate::report;

/// So many that most of the groups are met, and met again.
const EVENTS: u64 = 20_000_000;
/// For Spark, not timed.
const WARM_UP: u64 = 1_000_000;
const GROUPS: [u64; 3] = [10_000, 1_000_000, 10_000_000];
/// Of the speed with the fewest groups.
const AT_A_MILLION: f64 = 0.5;
/// Times Spark's speed with the most groups.
const AT_TEN_MILLION: f64 = 3.0;
/// The part of the machine that memory stays under without `--memory`.
const MEMORY_SHARE: f64 = 0.25;
const PLATFORM: &str = include_str!("platforms/growth.yaml");
const PICTURE: &str = "docs/growth.svg";

/// Events a second of each run, by number of groups.
#[derive(Default, Clone)]
struct Point {
    manade: Vec<f64>,
    spark: Vec<f64>,
    peak: Memory,
}

pub fn run(bench: &Bench) -> Result<Section> {
    let count = bench.options.events.unwrap_or(EVENTS);
    let manade = bench.manade("bench-growth")?;
    let mut spark = peers::start(&[System::Spark], &bench.options.without, bench.workspace, &bench.tools)?;
    let warm_up = events::uniform(&bench.cache, count.min(WARM_UP), GROUPS[0])?;
    for peer in &mut spark {
        peer.time("growth", &warm_up)?;
    }
    let mut points = vec![Point::default(); GROUPS.len()];
    for run in 1..=bench.options.runs {
        for (groups, point) in GROUPS.into_iter().zip(&mut points) {
            let events = events::uniform(&bench.cache, count, groups)?;
            let folder = events.to_str().context("the cache folder's name is no text")?;
            let platform = manade.platform("growth", PLATFORM, &[("EVENTS", folder)])?;
            let found = manade.once(&platform, &manade.fresh("growth")?, count)?;
            point.manade.push(count as f64 / found.seconds);
            point.peak.anonymous = point.peak.anonymous.max(found.peak.anonymous);
            point.peak.resident = point.peak.resident.max(found.peak.resident);
            let mut said = format!("run {run} of {} groups: Manade {:.2} s", thousands(groups as f64), found.seconds);
            for peer in &mut spark {
                let seconds = peer.time("growth", &events)?;
                point.spark.push(count as f64 / seconds);
                let _ = write!(said, ", Spark {seconds:.2} s");
            }
            report::say(&said);
        }
    }
    let curves = curves(&points);
    let first =
        format!("{} events {{key, value}}, {} runs of each, in turn", thousands(count as f64), bench.options.runs);
    let mut lines = vec![first];
    if bench.options.write_docs {
        fs::write(bench.workspace.root.join(PICTURE), plot::svg(&curves))
            .with_context(|| format!("write {PICTURE}"))?;
        lines.push("the curve: [growth.svg](growth.svg)".to_owned());
    }
    let mut section = Section::of("growth", lines, figures(&points)?);
    section.plot = Some(plot::text(&curves));
    Ok(section)
}

fn figures(points: &[Point]) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    let fewest = points.first().map_or(0.0, |point| median(&point.manade));
    let memory = machine_memory()? * MEMORY_SHARE / 1_048_576.0;
    for (groups, point) in GROUPS.into_iter().zip(points) {
        let work = format!("{} groups", thousands(groups as f64));
        let mut add = |what: &str, value: f64, unit, bar, runs: &[f64]| {
            figures.push(Figure { work: work.clone(), what: what.to_owned(), value, unit, bar, runs: runs.to_vec() });
        };
        let speed = median(&point.manade);
        add("Manade", speed, "events/s", None, &point.manade);
        if groups == GROUPS[1] {
            let what = format!("of the speed at {} groups", thousands(GROUPS[0] as f64));
            add(&what, speed / fewest, "x", Some(Bar::AtLeast(AT_A_MILLION)), &[]);
        }
        if !point.spark.is_empty() {
            let spark = median(&point.spark);
            add("Spark, RocksDB", spark, "events/s", None, &point.spark);
            let bar = (groups == GROUPS[2]).then_some(Bar::AtLeast(AT_TEN_MILLION));
            add("Manade to Spark", speed / spark, "x", bar, &[]);
        }
        add("most anonymous memory", point.peak.anonymous / 1_048_576.0, "MiB", Some(Bar::AtMost(memory)), &[]);
        add("most resident memory, mapped files too", point.peak.resident / 1_048_576.0, "MiB", None, &[]);
    }
    Ok(figures)
}

fn curves(points: &[Point]) -> Vec<Curve> {
    let curve = |name, rates: fn(&Point) -> &Vec<f64>| Curve {
        name,
        points: GROUPS.into_iter().zip(points).map(|(groups, point)| (groups as f64, median(rates(point)))).collect(),
    };
    let mut curves = vec![curve("Manade", |point| &point.manade)];
    if points.iter().all(|point| !point.spark.is_empty()) {
        curves.push(curve("Spark", |point| &point.spark));
    }
    curves
}
