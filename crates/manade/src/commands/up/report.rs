//! How a running platform gets on: lines that are rewritten in place on a terminal, plain lines elsewhere.

use std::collections::{HashMap, VecDeque};
use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use manade_pipeline::status::{PipelineState, PipelineStatus};

use crate::output::{counted, grouped, moment, say, size, width};
use crate::screen::Screen;
use crate::table::{Cell, Table, cut};

#[cfg(test)]
mod tests;

/// Between plain lines about a pipeline that goes on.
const SUMMARY: Duration = Duration::from_secs(10);

/// Events a second are a mean over so long.
const RATE: Duration = Duration::from_secs(2);

/// Columns and lines, where a terminal does not say.
const USUAL: (usize, usize) = (80, 24);

pub struct Report {
    screen: Option<Screen>,
    rates: Rates,
    plain: Plain,
}

/// What plain lines have said.
#[derive(Default)]
struct Plain {
    said: HashMap<String, PipelineStatus>,
    last: Option<Instant>,
    /// A summary will say what was read.
    once: bool,
}

/// Events that each pipeline had read, over the last moments.
#[derive(Default)]
struct Rates(HashMap<String, VecDeque<(Instant, u64)>>);

impl Report {
    /// `once`: a summary ends it.
    pub fn new(screen: Option<Screen>, once: bool) -> Self {
        Self { screen, rates: Rates::default(), plain: Plain { once, ..Plain::default() } }
    }

    /// Where everything is.
    pub fn announce(
        &mut self,
        pipelines: &[PipelineStatus],
        address: Option<SocketAddr>,
        data: &Path,
    ) -> io::Result<()> {
        self.print(&announcement(pipelines, address, data))
    }

    pub fn tick(&mut self, pipelines: &[PipelineStatus], now: Instant) -> io::Result<()> {
        self.rates.note(pipelines, now);
        let Some(screen) = &self.screen else {
            return match self.plain.lines(pipelines, &self.rates, now) {
                lines if lines.is_empty() => Ok(()),
                lines => say(&lines),
            };
        };
        let (width, height) = size().unwrap_or(USUAL);
        screen.draw(&fitting(live_lines(pipelines, &self.rates), height), width)
    }

    /// Leaves what it shows.
    pub fn end(self) {
        if let Some(screen) = self.screen {
            screen.release();
        }
    }

    fn print(&self, text: &str) -> io::Result<()> {
        match &self.screen {
            Some(screen) => screen.print(text),
            None => say(text),
        }
    }
}

/// What was made of all events: a table of the results, a line a pipeline.
pub fn summary(pipelines: &[PipelineStatus]) -> String {
    let mut table = Table::new(&["RESULT", "ROWS", "SELECTED", "WRITTEN", "LATE", "FAILED", "WATERMARK"]);
    let mut out = String::new();
    for pipeline in pipelines {
        for result in &pipeline.results {
            let counters = result.counters;
            let mut row = vec![Cell::text(&result.name)];
            let numbers = [result.rows, counters.selected, counters.written, counters.late, counters.failed];
            row.extend(numbers.map(|number| Cell::number(grouped(number))));
            row.push(Cell::text(result.watermark.map(moment).unwrap_or_default()));
            table.push(row);
        }
        let _ = writeln!(out, "{}: {}", pipeline.name, counts(pipeline));
    }
    format!("\n{}\n{out}", table.render(width()))
}

fn announcement(pipelines: &[PipelineStatus], address: Option<SocketAddr>, data: &Path) -> String {
    let mut out = String::new();
    if let Some(address) = address {
        let _ = writeln!(out, "data API  http://{address}/data");
        let _ = writeln!(out, "docs      http://{address}/docs");
    }
    let _ = writeln!(out, "kept in   {}", data.display());
    for pipeline in pipelines {
        let results: Vec<&str> = pipeline.results.iter().map(|result| result.name.as_str()).collect();
        let source = match (pipeline.source.as_str(), address) {
            ("http", Some(address)) => format!("POST http://{address}/ingest/{}", pipeline.name),
            (source, _) => source.to_owned(),
        };
        let _ = writeln!(out, "pipeline  {} ({source}): {}", pipeline.name, results.join(", "));
    }
    out
}

/// Columns of a result's name, so that the numbers beside it are seen.
const LONGEST_NAME: usize = 28;

fn live_lines(pipelines: &[PipelineStatus], rates: &Rates) -> Vec<String> {
    let mut table = Table::new(&["RESULT", "STATE", "EVENTS/S", "BACKLOG", "WATERMARK", "ROWS", "DEAD LETTERS"]);
    let mut reasons = Vec::new();
    for pipeline in pipelines {
        for result in &pipeline.results {
            table.push(vec![
                Cell::text(&*cut(&result.name, LONGEST_NAME)),
                Cell::text(state(pipeline.state)),
                Cell::number(grouped(rates.of(&pipeline.name))),
                Cell::number(backlog(pipeline)),
                Cell::text(result.watermark.or(pipeline.watermark).map(moment).unwrap_or_default()),
                Cell::number(grouped(result.rows)),
                Cell::number(grouped(pipeline.dead_letters)),
            ]);
        }
        reasons.extend(reason(pipeline));
        let sinks = pipeline.results.iter().flat_map(|result| &result.sinks);
        reasons.extend(sinks.filter_map(|sink| Some(format!("{}: {}", sink.name, sink.trouble.as_ref()?))));
    }
    let mut lines: Vec<String> = table.render(None).lines().map(str::to_owned).collect();
    lines.append(&mut reasons);
    lines
}

/// What is above a terminal's first line cannot be rewritten.
fn fitting(mut lines: Vec<String>, height: usize) -> Vec<String> {
    let most = height.saturating_sub(2).max(1);
    if lines.len() > most {
        let left_out = lines.len() - most + 1;
        lines.truncate(most - 1);
        lines.push(format!("and {left_out} more: `manade status` shows all"));
    }
    lines
}

impl Plain {
    /// Of pipelines that are new, have changed their state, or have got on since the last summary.
    fn lines(&mut self, pipelines: &[PipelineStatus], rates: &Rates, now: Instant) -> String {
        let is_due = self.last.is_none_or(|last| now.duration_since(last) >= SUMMARY);
        let mut out = String::new();
        for pipeline in pipelines {
            let said = self.said.get(&pipeline.name);
            let is_same_state = said.is_some_and(|s| s.state == pipeline.state && s.reason == pipeline.reason);
            let line = match said {
                None if pipeline.state == PipelineState::Running => format!("{}: started", pipeline.name),
                Some(said) if is_same_state && said.counters == pipeline.counters => continue,
                Some(_) if is_same_state && !is_due => continue,
                Some(_) if is_same_state => {
                    let rate = grouped(rates.of(&pipeline.name));
                    format!("{}: {}, {rate} events/s, backlog {}", pipeline.name, counts(pipeline), backlog(pipeline))
                }
                _ => match reason(pipeline) {
                    Some(reason) => reason,
                    None if self.once => format!("{}: {}", pipeline.name, state(pipeline.state)),
                    None => format!("{}: {}: {}", pipeline.name, state(pipeline.state), counts(pipeline)),
                },
            };
            self.said.insert(pipeline.name.clone(), pipeline.clone());
            out.push_str(&line);
            out.push('\n');
        }
        if is_due {
            self.last = Some(now);
        }
        out
    }
}

impl Rates {
    fn note(&mut self, pipelines: &[PipelineStatus], now: Instant) {
        for pipeline in pipelines {
            let counts = self.0.entry(pipeline.name.clone()).or_default();
            counts.push_back((now, pipeline.counters.read));
            // One older than the span stays, to measure from.
            while counts.len() > 2 && now.duration_since(counts[1].0) >= RATE {
                counts.pop_front();
            }
        }
    }

    /// Events a second.
    fn of(&self, pipeline: &str) -> u64 {
        let Some(counts) = self.0.get(pipeline) else { return 0 };
        let (Some((from, before)), Some((to, after))) = (counts.front(), counts.back()) else { return 0 };
        let seconds = to.duration_since(*from).as_secs_f64();
        if seconds > 0.0 { (after.saturating_sub(*before) as f64 / seconds).round() as u64 } else { 0 }
    }
}

fn counts(pipeline: &PipelineStatus) -> String {
    let read = counted(pipeline.counters.read, "event");
    format!("{read} read, {}", counted(pipeline.dead_letters, "dead letter"))
}

fn reason(pipeline: &PipelineStatus) -> Option<String> {
    let reason = pipeline.reason.as_ref()?;
    Some(format!("{}: {}: {reason}", pipeline.name, state(pipeline.state)))
}

fn state(state: PipelineState) -> &'static str {
    match state {
        PipelineState::Running => "running",
        PipelineState::Finished => "finished",
        PipelineState::Waiting => "waiting",
        PipelineState::Failed => "failed",
        PipelineState::Stopped => "stopped",
    }
}

/// Bytes of files, events of others.
fn backlog(pipeline: &PipelineStatus) -> String {
    const UNITS: [(&str, f64); 3] = [("GiB", 1_073_741_824.0), ("MiB", 1_048_576.0), ("KiB", 1_024.0)];
    if pipeline.source != "file" {
        return grouped(pipeline.backlog);
    }
    let bytes = pipeline.backlog as f64;
    match UNITS.iter().find(|(_, size)| bytes >= *size) {
        Some((unit, size)) => format!("{:.1} {unit}", bytes / size),
        None => format!("{bytes} B"),
    }
}
