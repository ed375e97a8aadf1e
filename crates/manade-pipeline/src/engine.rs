//! The merging thread: takes workers' outputs in source order, commits, and obeys commands.

use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TrySendError, select};
use manade_store::{CommitError, EventLog, Store};
use parking_lot::Mutex;

use crate::bisect::panic_text;
use crate::commit::{BuildError, Built, Committer};
use crate::dead_letter::DeadLetterFilter;
use crate::dead_letters;
use crate::job::{Dead, Done};
use crate::outbox::{Tails, statuses};
use crate::plan::Plan;
use crate::progress::{Progress, SinkProgress};
use crate::reading::{Hold, Replay, Report, describe};
use crate::replay::{self, Waiting};
use crate::sequencer::Sequencer;
use crate::status::{PipelineState, PipelineStatus, ResultStatus};
use crate::tables::Tables;

/// A commit holds at most about this many events.
const EVENTS: u64 = 256 * 1024;

/// A commit waits for more events no longer than this.
const DELAY: Duration = Duration::from_millis(100);

/// How often bounds by age and size are looked at.
const UPKEEP: Duration = Duration::from_secs(5);

/// What the rest of the process asks of a running pipeline.
pub enum Command {
    Replay {
        filter: DeadLetterFilter,
        reply: Sender<Result<ReplayAnswer, String>>,
    },
    DropDeadLetters {
        filter: DeadLetterFilter,
        reply: Sender<Result<u64, String>>,
    },
    Backup {
        to: PathBuf,
        reply: Sender<Result<(), String>>,
    },
    /// Rows that a sink does not take, and how far it was told with them.
    Refused {
        result: String,
        sink: String,
        tail: SinkProgress,
        letters: Vec<Dead>,
        reply: Sender<Result<(), String>>,
    },
    Stop,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReplayAnswer {
    pub replayed: u64,
    /// Dead letters still.
    pub failed: u64,
}

pub struct Engine {
    pub plan: Arc<Plan>,
    pub store: Store,
    pub committer: Committer,
    pub dones: Receiver<Done>,
    pub reports: Receiver<Report>,
    pub commands: Receiver<Command>,
    pub replays: Sender<Replay>,
    pub issued: Arc<AtomicU64>,
    pub stop: Arc<AtomicBool>,
    pub status: Arc<Mutex<PipelineStatus>>,
    pub tables: Arc<Mutex<Tables>>,
    pub sequencer: Arc<Sequencer>,
    /// Of an http source: told what is no longer needed.
    pub log: Option<EventLog>,
    pub consumed: Arc<AtomicU64>,
    pub tails: Arc<Tails>,
    /// Reading rests while rows that no sink has fill their share of the disk.
    pub hold: Arc<Hold>,
}

/// What waits to be committed.
#[derive(Default)]
struct Pending {
    /// Out of turn.
    early: BTreeMap<u64, Done>,
    ready: Vec<Done>,
    events: u64,
    since: Option<Instant>,
    next: u64,
    end: Option<(u64, bool)>,
    replays: VecDeque<PendingReplay>,
    /// Loaded, for the source thread to take.
    loaded: VecDeque<Replay>,
    backlog: u64,
}

struct PendingReplay {
    /// Not loaded yet.
    waiting: Waiting,
    /// Not merged yet.
    left: usize,
    total: u64,
    reply: Sender<Result<ReplayAnswer, String>>,
    ids: Vec<u64>,
}

impl Engine {
    /// Runs until it is told to stop, or fails for good. Gives the store back.
    pub fn run(mut self) -> Store {
        let mut pending = Pending::default();
        let mut upkeep = Instant::now();
        // Whatever goes wrong in here, the pipeline must not seem to run, and the store is given back as it was committed.
        let ended = catch_unwind(AssertUnwindSafe(|| {
            self.catch_up()?;
            while self.turn(&mut pending)? {
                if upkeep.elapsed() >= UPKEEP {
                    upkeep = Instant::now();
                    self.upkeep()?;
                }
            }
            Ok(())
        }));
        let ended = ended.unwrap_or_else(|panic| Err(RunError::Panic(panic_text(panic.as_ref()))));
        let failed = ended.err().map(|e| describe(&e));
        self.stop.store(true, Ordering::Relaxed);
        let mut status = self.status.lock();
        match failed {
            Some(reason) => {
                tracing::error!(pipeline = %status.name, "the pipeline has failed: {reason}");
                status.state = PipelineState::Failed;
                status.reason = Some(reason);
            }
            None => status.state = PipelineState::Stopped,
        }
        drop(status);
        self.store
    }

    /// Results that were added later read what earlier ones have appended before.
    fn catch_up(&mut self) -> Result<(), RunError> {
        while !self.stop.load(Ordering::Relaxed) {
            let tables = self.tables.lock().current();
            let Some(built) = self.committer.catch_up(&self.store, &tables)? else { break };
            self.write(built, None)?;
        }
        Ok(())
    }

    /// Waits for something and acts on it; false at the end.
    fn turn(&mut self, pending: &mut Pending) -> Result<bool, RunError> {
        let wait = match pending.since {
            Some(since) => DELAY.saturating_sub(since.elapsed()),
            None => Duration::from_millis(500),
        };
        select! {
            recv(self.dones) -> done => match done {
                Ok(done) => pending.take(done),
                Err(_) => return Err(RunError::Threads),
            },
            recv(self.reports) -> report => if let Ok(report) = report { self.report(report, pending) },
            recv(self.commands) -> command => match command {
                Ok(Command::Stop) | Err(_) => return self.drain(pending).map(|()| false),
                Ok(command) => self.command(command, pending)?,
            },
            default(wait) => {}
        }
        self.commit_if_due(pending)?;
        self.feed(pending)?;
        Ok(true)
    }

    /// Gives the source thread dead letters to try, a few at a time.
    fn feed(&mut self, pending: &mut Pending) -> Result<(), RunError> {
        loop {
            if pending.loaded.is_empty() {
                // One after the other, so that it is known whose letters were merged.
                let Some(replay) = pending.replays.front_mut().filter(|replay| !replay.waiting.is_empty()) else {
                    return Ok(());
                };
                let ids = replay::next(&mut replay.waiting);
                let letters = dead_letters::load(&self.store, &ids).map_err(BuildError::Read)?;
                // Those that were dropped or have expired meanwhile are not waited for.
                replay.left -= ids.len() - letters.len();
                let (rows, events): (Vec<_>, Vec<_>) =
                    letters.into_iter().partition(|stored| stored.source.row.is_some());
                pending.loaded.extend(replay::chunks(&self.plan, self.committer.progress(), events));
                let tried = rows.len();
                if tried > 0 {
                    self.committer.retry(rows);
                    self.commit(pending, false)?;
                }
                self.answer_replays(pending, tried);
            }
            let Some(replay) = pending.loaded.pop_front() else { continue };
            // The source thread is gone only when the pipeline stops.
            if let Err(TrySendError::Full(replay)) = self.replays.try_send(replay) {
                pending.loaded.push_front(replay);
                return Ok(());
            }
        }
    }

    /// Finishes what the workers have, commits it, and stops.
    fn drain(&mut self, pending: &mut Pending) -> Result<(), RunError> {
        self.stop.store(true, Ordering::Relaxed);
        let until = Instant::now() + Duration::from_secs(8);
        while pending.next < self.issued.load(Ordering::Relaxed) {
            match self.dones.recv_deadline(until) {
                Ok(done) => pending.take(done),
                Err(_) => break,
            }
        }
        if !pending.ready.is_empty() || self.tails.are_ahead_of(self.committer.progress()) {
            self.commit(pending, false)?;
        }
        Ok(())
    }

    fn report(&mut self, report: Report, pending: &mut Pending) {
        let mut status = self.status.lock();
        match report {
            Report::End { jobs, closed } => pending.end = Some((jobs, closed)),
            Report::Waiting(reason) => {
                tracing::warn!(pipeline = %status.name, "{reason}; trying again");
                status.state = PipelineState::Waiting;
                status.reason = Some(reason);
            }
            Report::Failed(reason) => {
                tracing::error!(pipeline = %status.name, "{reason}");
                status.state = PipelineState::Failed;
                status.reason = Some(reason);
            }
            Report::Going => {
                status.state = PipelineState::Running;
                status.reason = None;
            }
        }
    }

    fn command(&mut self, command: Command, pending: &mut Pending) -> Result<(), RunError> {
        match command {
            Command::Replay { filter, reply } => self.replay(&filter, reply, pending),
            Command::DropDeadLetters { filter, reply } => {
                let selected = match dead_letters::select(&self.store.reader(), &filter) {
                    Ok(selected) => selected,
                    Err(e) => {
                        let _ = reply.send(Err(describe(&e)));
                        return Ok(());
                    }
                };
                let ids: Vec<u64> = selected.iter().map(|stored| stored.letter.id).collect();
                let dropped = ids.len() as u64;
                self.committer.drop_dead_letters(ids);
                self.commit(pending, false)?;
                let _ = reply.send(Ok(dropped));
            }
            Command::Backup { to, reply } => {
                let _ = reply.send(self.store.backup_to(&to).map_err(|e| describe(&e)));
            }
            Command::Refused { result, sink, tail, letters, reply } => {
                self.tails.set(&result, &sink, tail);
                self.committer.refuse(&result, letters);
                self.commit(pending, false)?;
                let _ = reply.send(Ok(()));
            }
            Command::Stop => {}
        }
        Ok(())
    }

    fn replay(
        &mut self,
        filter: &DeadLetterFilter,
        reply: Sender<Result<ReplayAnswer, String>>,
        pending: &mut Pending,
    ) {
        let selected = match dead_letters::select(&self.store.reader(), filter) {
            Ok(selected) => selected,
            Err(e) => {
                let _ = reply.send(Err(describe(&e)));
                return;
            }
        };
        let ids: Vec<u64> = selected.iter().map(|stored| stored.letter.id).collect();
        let waiting = replay::waiting(&self.plan, self.committer.progress(), &selected);
        let (left, total) = (waiting.len(), ids.len() as u64);
        pending.replays.push_back(PendingReplay { waiting, left, total, reply, ids });
        self.answer_replays(pending, 0);
    }

    fn commit_if_due(&mut self, pending: &mut Pending) -> Result<(), RunError> {
        let all_here = pending.next == self.issued.load(Ordering::Relaxed);
        let waited = pending.since.is_some_and(|since| since.elapsed() >= DELAY);
        if !pending.ready.is_empty() && (all_here || waited || pending.events >= EVENTS) {
            self.commit(pending, false)?;
        }
        if let Some((jobs, closed)) = pending.end
            && pending.next >= jobs
            && pending.ready.is_empty()
        {
            pending.end = None;
            for _ in 0..if closed { self.committer.depth() } else { 0 } {
                self.commit(pending, true)?;
            }
            for (lane, of) in self.committer.progress().lanes.iter().enumerate() {
                self.sequencer.close_windows(lane, of.clock.closed);
            }
            self.status.lock().state = PipelineState::Finished;
        }
        Ok(())
    }

    fn commit(&mut self, pending: &mut Pending, end: bool) -> Result<(), RunError> {
        let dones = std::mem::take(&mut pending.ready);
        pending.events = 0;
        pending.since = None;
        let replayed = dones.iter().filter_map(|d| d.replayed.as_deref()).map(<[u64]>::len).sum();
        let before = dones.iter().find(|d| d.counts).map(|first| first.backlog + first.size);
        if let Some(last) = dones.iter().rev().find(|d| d.counts) {
            pending.backlog = last.backlog;
        }
        let tables = self.tables.lock().current();
        let built = self.committer.build(&self.store, dones, &tables, end)?;
        self.write(built, before)?;
        // Who gets an answer finds it in the status.
        self.show(pending.backlog);
        self.answer_replays(pending, replayed);
        Ok(())
    }

    fn upkeep(&mut self) -> Result<(), RunError> {
        if let Some(Err(e)) = self.log.as_ref().map(EventLog::expire) {
            tracing::warn!("old events cannot be dropped: {}", describe(&e));
        }
        if let Some(built) = self.committer.upkeep(&self.store)? {
            self.write(built, None)?;
            let backlog = self.status.lock().backlog;
            self.show(backlog);
        }
        self.hold.set(self.committer.held());
        Ok(())
    }

    /// Writes a commit; while the disk is full or cannot be written, tries again until it works or the pipeline stops.
    /// `backlog`: what has not been processed until then.
    fn write(&mut self, built: Built, backlog: Option<u64>) -> Result<(), RunError> {
        let (commit, progress) = built.into_parts();
        let mut waiting = false;
        loop {
            match self.store.commit(commit.clone()) {
                Ok(_) => break,
                Err(e @ (CommitError::DiskFull { .. } | CommitError::Io { .. })) => {
                    self.wait_for_disk(&e, backlog, &mut waiting)?;
                }
                Err(e) => return Err(RunError::Commit(e)),
            }
        }
        if waiting {
            let mut status = self.status.lock();
            status.state = PipelineState::Running;
            status.reason = None;
        }
        self.consumed.store(progress.lanes[0].position.0, Ordering::Relaxed);
        self.committer.done(progress);
        if let Some(log) = &self.log {
            let lanes = self.committer.progress().lanes.iter();
            log.keep_from(lanes.map(|lane| lane.position.0).min().unwrap_or_default());
        }
        Ok(())
    }

    fn wait_for_disk(&self, error: &CommitError, backlog: Option<u64>, waiting: &mut bool) -> Result<(), RunError> {
        let reason = describe(error);
        if !std::mem::replace(waiting, true) {
            let mut status = self.status.lock();
            status.backlog = backlog.unwrap_or(status.backlog);
            tracing::error!(pipeline = %status.name, "{reason}; trying again every second");
            status.state = PipelineState::Waiting;
            status.reason = Some(reason);
        }
        match self.commands.recv_timeout(Duration::from_secs(1)) {
            Ok(Command::Stop) => Err(RunError::StoppedWaiting),
            Ok(Command::Replay { reply, .. }) => {
                let _ = reply.send(Err("the disk cannot be written at the moment".to_owned()));
                Ok(())
            }
            Ok(Command::DropDeadLetters { reply, .. }) => {
                let _ = reply.send(Err("the disk cannot be written at the moment".to_owned()));
                Ok(())
            }
            Ok(Command::Refused { reply, .. }) => {
                let _ = reply.send(Err("the disk cannot be written at the moment".to_owned()));
                Ok(())
            }
            // Perhaps the reason for it, and to another disk.
            Ok(Command::Backup { to, reply }) => {
                let _ = reply.send(self.store.backup_to(&to).map_err(|e| describe(&e)));
                Ok(())
            }
            Err(_) => Ok(()),
        }
    }

    /// `merged` more letters were tried and committed; answers for what is complete.
    fn answer_replays(&self, pending: &mut Pending, mut merged: usize) {
        while let Some(first) = pending.replays.front_mut() {
            let taken = merged.min(first.left);
            first.left -= taken;
            merged -= taken;
            if first.left > 0 {
                return;
            }
            let Some(done) = pending.replays.pop_front() else { return };
            let failed = done.ids.iter().filter(|id| self.committer.dead_letters().contains(**id)).count() as u64;
            let _ = done.reply.send(Ok(ReplayAnswer { replayed: done.total, failed }));
        }
    }

    /// Shows the last commit's progress.
    fn show(&self, backlog: u64) {
        let mut status = self.status.lock();
        fill(&mut status, &self.plan, self.committer.progress(), &self.store);
        status.backlog = backlog;
        status.dead_letters = self.committer.dead_letters().len();
    }
}

/// A pipeline's status as its progress says.
pub fn fill(status: &mut PipelineStatus, plan: &Plan, progress: &Progress, store: &Store) {
    status.counters = progress.counters;
    if let Some(main) = progress.lanes.first() {
        status.newest = main.clock.newest;
        status.watermark = main.clock.watermark(plan.lateness());
    }
    let view = store.reader().view();
    let result = |planned: &crate::plan::PlannedResult| {
        let name = planned.spec.name.to_string();
        let of = progress.results.get(&name);
        ResultStatus {
            counters: of.map(|of| of.counters).unwrap_or_default(),
            rows: crate::view::row_count(&view, &name, &planned.query, planned.spec.emit),
            watermark: of.and_then(|of| of.watermark),
            // How many rows wait is known to the collection.
            sinks: of.map(|of| statuses(&of.sinks, |_| 0)).unwrap_or_default(),
            name,
        }
    };
    status.results = plan.results.iter().map(result).collect();
}

#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error(transparent)]
    Build(#[from] BuildError),
    #[error(transparent)]
    Commit(CommitError),
    #[error("a thread of the pipeline has ended: this is a mistake in the program, see its message before this one")]
    Threads,
    #[error("a mistake in the program: {0}")]
    Panic(String),
    #[error("stopped while the disk could not be written: the last events are read again at the next start")]
    StoppedWaiting,
}

impl Pending {
    fn take(&mut self, done: Done) {
        self.early.insert(done.number, done);
        while let Some(done) = self.early.remove(&self.next) {
            self.next += 1;
            self.events += done.read;
            self.since.get_or_insert_with(Instant::now);
            self.ready.push(done);
        }
    }
}
