//! The source thread: reads chunks in order and hands them to the workers, for every lane in its turn.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};
use manade_store::EventLog;
use parking_lot::Mutex;

use crate::job::Job;
use crate::pace::Pace;
use crate::progress::Position;
use crate::source::{Next, ReadSourceError, SourceChunk, SourceReader};
use crate::tables::Tables;

/// How long an idle source is left alone.
const PAUSE: Duration = Duration::from_millis(50);
/// Pushed events that come one by one are read so much at a time: a chunk costs the same whether it has one or a hundred.
const GATHER: Duration = Duration::from_millis(10);

pub struct Reading {
    pub source: SourceReader,
    /// Waits for events of a log without asking again and again.
    pub log: Option<EventLog>,
    pub tables: Arc<Mutex<Tables>>,
    pub jobs: Sender<Job>,
    pub pace: Arc<Pace>,
    pub replays: Receiver<Replay>,
    pub reports: Sender<Report>,
    pub issued: Arc<AtomicU64>,
    pub stop: Arc<AtomicBool>,
    pub hold: Arc<Hold>,
    /// Each lane's position; the first is the main lane's, at the source's own.
    pub positions: Vec<Position>,
    /// Each lane's results.
    pub lanes: Arc<Vec<Vec<usize>>>,
    /// Stop at the end of what is there.
    pub once: bool,
}

/// Why nothing more is to be read for now, if there is a reason.
#[derive(Default)]
pub struct Hold(Mutex<Option<String>>);

impl Hold {
    pub fn set(&self, reason: Option<String>) {
        *self.0.lock() = reason;
    }

    fn reason(&self) -> Option<String> {
        self.0.lock().clone()
    }
}

/// Dead letters that are tried again.
pub struct Replay {
    pub chunk: SourceChunk,
    pub takers: Takers,
}

/// Which results take dead letters that are tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Takers {
    /// The one that had left the event out.
    Own(usize),
    /// Those that have seen it dead. One that lags behind has yet to read it.
    All(Arc<[usize]>),
}

/// What the source thread tells the merging thread.
pub enum Report {
    /// After this many jobs all that is there was read; nothing more comes where `closed`.
    End {
        jobs: u64,
        closed: bool,
    },
    /// Not all of what is there could be read, and nobody waits until it can.
    Failed(String),
    /// Reading goes on by itself once the reason is gone.
    Waiting(String),
    Going,
}

impl Reading {
    pub fn run(mut self) {
        let mut ended = false;
        let (mut waiting, mut held) = (false, false);
        while !self.stop.load(Ordering::Relaxed) {
            if let Some(reason) = self.hold.reason() {
                if !std::mem::replace(&mut waiting, true) {
                    self.report(Report::Waiting(reason));
                }
                held = true;
                std::thread::sleep(PAUSE);
                continue;
            }
            if std::mem::take(&mut held) {
                waiting = false;
                self.report(Report::Going);
            }
            match self.step(ended) {
                Ok(Step::Read) => {
                    if std::mem::take(&mut waiting) {
                        self.report(Report::Going);
                    }
                }
                Ok(Step::Idle) => {
                    if self.once && !ended {
                        ended = true;
                        self.report(Report::End { jobs: self.issued.load(Ordering::Relaxed), closed: false });
                    }
                    self.pause();
                }
                Ok(Step::End) => {
                    if !std::mem::replace(&mut ended, true) {
                        self.report(Report::End { jobs: self.issued.load(Ordering::Relaxed), closed: true });
                    }
                    self.pause();
                }
                Err(e) if self.once => {
                    if !std::mem::replace(&mut ended, true) {
                        self.report(Report::Failed(describe(&e)));
                    }
                    self.pause();
                }
                Err(e) => {
                    if !std::mem::replace(&mut waiting, true) {
                        self.report(Report::Waiting(describe(&e)));
                    }
                    std::thread::sleep(PAUSE * 10);
                }
            }
        }
    }

    /// One chunk of each lane that lags behind, and one new chunk.
    fn step(&mut self, ended: bool) -> Result<Step, ReadSourceError> {
        let mut read = self.replay() | self.catch_up()?;
        if ended {
            return Ok(if read { Step::Read } else { Step::End });
        }
        let before = self.source.position();
        match self.source.next(self.pace.bytes())? {
            Next::Chunk(chunk) => {
                let after = chunk.after.unwrap_or(before);
                let lanes: Vec<usize> = (0..self.positions.len()).filter(|i| self.positions[*i] == before).collect();
                for lane in &lanes {
                    self.positions[*lane] = after;
                }
                self.issue(*chunk, lanes, true, None);
                read = true;
            }
            Next::Idle if !read => return Ok(Step::Idle),
            Next::End if !read => return Ok(Step::End),
            Next::Idle | Next::End => {}
        }
        debug_assert!(read);
        Ok(Step::Read)
    }

    fn catch_up(&mut self) -> Result<bool, ReadSourceError> {
        let mut read = false;
        for lane in 1..self.positions.len() {
            let main = self.source.position();
            if self.positions[lane] >= main {
                continue;
            }
            match self.source.again(self.positions[lane], self.pace.bytes())? {
                Some(chunk) => {
                    self.positions[lane] = chunk.after.unwrap_or(main);
                    self.issue(chunk, vec![lane], false, None);
                    read = true;
                }
                None => self.positions[lane] = main,
            }
        }
        Ok(read)
    }

    fn replay(&mut self) -> bool {
        let mut read = false;
        while let Ok(Replay { chunk, takers }) = self.replays.try_recv() {
            let main = self.source.position();
            let (all, takers): (bool, Arc<[usize]>) = match takers {
                Takers::Own(result) => (true, [result].into()),
                Takers::All(results) => (false, results),
            };
            let takes = |lane: &usize| self.lanes[*lane].iter().any(|result| takers.contains(result));
            let is_there = |lane: &usize| all || self.positions[*lane] == main;
            let lanes = (0..self.positions.len()).filter(takes).filter(is_there).collect();
            self.issue(chunk, lanes, true, Some(takers));
            read = true;
        }
        read
    }

    fn issue(&mut self, source: SourceChunk, lanes: Vec<usize>, counts: bool, only: Option<Arc<[usize]>>) {
        let number = self.issued.fetch_add(1, Ordering::Relaxed);
        let job = Job { number, source, lanes, counts, only, tables: self.tables.lock().current() };
        // The workers are gone only when the pipeline stops.
        if self.jobs.send(job).is_err() {
            self.stop.store(true, Ordering::Relaxed);
        }
        if number.is_multiple_of(64) {
            self.tables.lock().refresh();
        }
    }

    fn pause(&mut self) {
        self.tables.lock().refresh();
        match &self.log {
            Some(log) => {
                let start = Instant::now();
                log.wait_for(self.source.position().0, PAUSE);
                // One event that comes alone is read at once.
                std::thread::sleep(GATHER.saturating_sub(start.elapsed()));
            }
            None => {
                std::thread::sleep(PAUSE);
            }
        }
    }

    fn report(&self, report: Report) {
        // Nobody listens only when the pipeline stops.
        let _ = self.reports.send(report);
    }
}

enum Step {
    Read,
    Idle,
    End,
}

/// An error with its causes.
pub fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
