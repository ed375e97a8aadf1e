//! How fast events are sent, and how fast the pipeline reads them.

use std::fmt::Write as _;
use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::client::{Answer, Client};
use crate::failure::Failure;
use crate::output::{counted, grouped, note, say, width};
use crate::screen::Screen;

/// Between two lines.
const EVERY: Duration = Duration::from_secs(1);

pub struct Rates<'a> {
    pipeline: &'a str,
    client: Option<&'a Client>,
    screen: Option<Screen>,
    begun: Instant,
    sent: u64,
    /// As last shown.
    shown: Seen,
    first_read: Option<u64>,
    is_behind: bool,
}

#[derive(Clone, Copy)]
struct Seen {
    at: Instant,
    sent: u64,
    read: Option<u64>,
    backlog: Option<u64>,
}

impl<'a> Rates<'a> {
    pub fn new(pipeline: &'a str, client: Option<&'a Client>) -> Self {
        let begun = Instant::now();
        let screen = io::stdout().is_terminal().then(|| Screen::new(Box::new(io::stdout())));
        let shown = Seen { at: begun, sent: 0, read: None, backlog: None };
        let mut rates = Self { pipeline, client, screen, begun, sent: 0, shown, first_read: None, is_behind: false };
        rates.shown = rates.look();
        rates.first_read = rates.shown.read;
        rates
    }

    /// So many in all; shows it once a second.
    pub fn sent(&mut self, sent: u64) -> Result<(), Failure> {
        self.sent = sent;
        self.is_behind = false;
        self.show()
    }

    /// The pipeline takes nothing at the moment.
    pub fn behind(&mut self) -> Result<(), Failure> {
        self.is_behind = true;
        self.show()
    }

    /// What it came to.
    pub fn finish(&mut self) -> Result<(), Failure> {
        let seconds = self.begun.elapsed().as_secs_f64();
        let rate = grouped((self.sent as f64 / seconds.max(0.001)) as u64);
        let mut text = format!("{} sent in {seconds:.1} s: {rate}/s", counted(self.sent, "event"));
        let seen = self.look();
        if let (Some(first), Some(read)) = (self.first_read, seen.read) {
            let read = counted(read.saturating_sub(first), "event");
            let _ = write!(text, "; {} has read {read} meanwhile", self.pipeline);
            if let Some(backlog) = seen.backlog {
                let _ = write!(text, ", {} wait", grouped(backlog));
            }
        }
        if let Some(screen) = &self.screen {
            screen.draw(&[], 80)?;
        }
        Ok(say(&(text + "\n"))?)
    }

    fn show(&mut self) -> Result<(), Failure> {
        if self.shown.at.elapsed() < EVERY {
            return Ok(());
        }
        let seen = self.look();
        let line = self.line(seen);
        self.shown = seen;
        match &self.screen {
            Some(screen) => screen.draw(&[line], width().unwrap_or(80))?,
            None => note(&(line + "\n"))?,
        }
        Ok(())
    }

    fn line(&self, seen: Seen) -> String {
        let seconds = (seen.at - self.shown.at).as_secs_f64().max(0.001);
        let rate = |now: u64, before: u64| grouped((now.saturating_sub(before) as f64 / seconds).round() as u64);
        let mut line = format!("{} sent, {}/s", grouped(seen.sent), rate(seen.sent, self.shown.sent));
        match (seen.read, self.shown.read) {
            (Some(read), before) => {
                let reads = rate(read, before.unwrap_or(read));
                let _ = write!(line, " · {} reads {reads}/s", self.pipeline);
                if let Some(backlog) = seen.backlog {
                    let _ = write!(line, ", {} wait", grouped(backlog));
                }
            }
            (None, _) => {
                let _ = write!(line, " · {} does not run", self.pipeline);
            }
        }
        if self.is_behind {
            line.push_str(" · it takes no more until it has caught up");
        }
        line
    }

    fn look(&self) -> Seen {
        let status = self.client.and_then(|client| client.get("/api/v1/pipelines").and_then(Answer::json).ok());
        let own = |all: &Value| all.as_array()?.iter().find(|one| one["name"] == self.pipeline).cloned();
        let own = status.as_ref().and_then(own).unwrap_or_default();
        Seen { at: Instant::now(), sent: self.sent, read: own["read"].as_u64(), backlog: own["backlog"].as_u64() }
    }
}
