//! A running pipeline: opens its folder, settles what is stored against what is asked for, starts and stops threads.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use manade_model::{Emit, EventSchema, Finding, OutsideSink, Source, Start};
use manade_sql::Input;
use manade_store::{Change, Commit, EventBounds, EventLog, Memory, OpenError, Store, StoreOptions, View};
use parking_lot::Mutex;

use crate::collection::Collection;
use crate::commit::{BuildError, Committer};
use crate::dead_letter::{DeadLetter, DeadLetterFilter};
use crate::dead_letters::{self, DeadLetterBounds, DeadLetters};
use crate::engine::{Command, Engine, ReplayAnswer, fill};
use crate::fit;
use crate::groups::rows_name;
use crate::inbox::Inbox;
use crate::job::{Done, Job};
use crate::outbox::{Outbox, Sinks, Tails, statuses};
use crate::pace::Pace;
use crate::plan::{Decoders, Plan, PlannedResult};
use crate::progress::{EventClock, Lane, Position, Progress, ResultProgress, SinkProgress};
use crate::reading::{Hold, Reading, describe};
use crate::sequencer::{Sequencer, TurnKeeper};
use crate::source::discover::{SelectError, Selection};
use crate::source::file::{FileOptions, FileReader};
use crate::source::open::Last;
use crate::source::{LogReader, SourceReader};
use crate::status::{PipelineState, PipelineStatus, ResultStatus, SinkStatus};
use crate::tables::{TableError, Tables};
use crate::view::ResultCollection;
use crate::worker::Worker;

#[derive(Debug, Clone)]
pub struct PipelineOptions {
    /// Threads that decode and run SQL.
    pub workers: usize,
    /// For the rows of state; pipelines may share it.
    pub memory: Memory,
    /// Stop reading at the end of what is there.
    pub once: bool,
    /// Accepted events that may wait before more are refused.
    pub max_backlog: u64,
    /// Bytes of appended rows that are kept beyond `retain` for sinks which do not have them yet, a result; with more, no
    /// more events are read.
    pub max_outbox: u64,
}

/// A pipeline that runs. Dropping it stops it.
pub struct Pipeline {
    plan: Arc<Plan>,
    commands: Sender<Command>,
    status: Arc<Mutex<PipelineStatus>>,
    reader: manade_store::Reader,
    inbox: Option<Inbox>,
    collections: Vec<Arc<dyn Collection>>,
    sinks: Sinks,
    threads: Vec<JoinHandle<()>>,
    engine: Option<JoinHandle<Store>>,
}

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("{path} is damaged: {reason}; restore a backup, or start over with `manade reset {pipeline}`")]
    Progress { path: PathBuf, reason: String, pipeline: String },
    /// `manade reset` alone keeps accepted events.
    #[error(
        "{path} is damaged at byte {offset}: {what}; restore a backup, or give up the accepted events with \
         `manade reset {pipeline} --events`"
    )]
    Events { path: PathBuf, offset: u64, what: String, pipeline: String },
    /// Stored state does not fit the SQL any more.
    #[error("the stored state does not fit")]
    Unfit(Vec<Finding>),
    #[error(transparent)]
    Table(#[from] TableError),
    #[error(transparent)]
    Select(#[from] SelectError),
    #[error(transparent)]
    Decoder(#[from] manade_events::DecoderError),
    #[error(transparent)]
    Build(#[from] BuildError),
    #[error(transparent)]
    Sql(#[from] manade_sql::SqlError),
    #[error(transparent)]
    Read(#[from] manade_store::ReadError),
    #[error(transparent)]
    Widen(#[from] StoredError),
}

/// Stored data of a pipeline that does not run cannot be changed.
#[derive(Debug, thiserror::Error)]
pub enum StoredError {
    #[error(transparent)]
    Read(#[from] manade_store::ReadError),
    #[error(transparent)]
    Commit(#[from] manade_store::CommitError),
}

/// What is stored of a pipeline, opened.
pub struct Stored {
    pub store: Store,
    pub progress: Progress,
}

impl Stored {
    /// Opens a pipeline's folder, which may be new; one that cannot be written, a backup say, for reading only.
    pub fn open(folder: &Path, memory: Memory) -> Result<Self, StartError> {
        let options = StoreOptions { memory, ..StoreOptions::default() };
        let path = folder.join("store");
        let store = match Store::open(&path, options.clone()) {
            Err(OpenError::NotWritable { .. }) => Store::open(&path, StoreOptions { read_only: true, ..options })?,
            opened => opened?,
        };
        let progress = match store.meta() {
            None => Progress::default(),
            Some(meta) => serde_json::from_slice(meta).map_err(|e| StartError::Progress {
                path: folder.join("store"),
                reason: e.to_string(),
                pipeline: folder.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            })?,
        };
        Ok(Self { store, progress })
    }

    /// As of the last commit.
    pub fn status(&self, pipeline: &str) -> PipelineStatus {
        let progress = &self.progress;
        let main = progress.lanes.first();
        let lateness = progress.results.values().map(|of| of.lateness).next().unwrap_or_default();
        let dead = dead_letters::select(&self.store.reader(), &DeadLetterFilter::default());
        let view = self.store.reader().view();
        let result = |(name, of): (&String, &ResultProgress)| ResultStatus {
            name: name.clone(),
            counters: of.counters,
            rows: match crate::plan::recompile(&of.definition) {
                Ok(query) => crate::view::row_count(&view, name, &query, of.definition.emit),
                Err(_) => 0,
            },
            watermark: of.watermark,
            sinks: self.sinks(pipeline, of),
        };
        PipelineStatus {
            name: pipeline.to_owned(),
            state: PipelineState::Stopped,
            reason: None,
            source: progress.source.clone().unwrap_or_default(),
            counters: progress.counters,
            watermark: main.and_then(|lane| lane.clock.watermark(lateness)),
            newest: main.and_then(|lane| lane.clock.newest),
            backlog: 0,
            results: progress.results.iter().map(result).collect(),
            dead_letters: dead.map_or(0, |letters| letters.len() as u64),
            feed: None,
        }
    }

    fn sinks(&self, pipeline: &str, of: &ResultProgress) -> Vec<SinkStatus> {
        if of.sinks.is_empty() {
            return Vec::new();
        }
        let query = crate::plan::recompile(&of.definition).ok();
        let made = query.and_then(|query| ResultCollection::new(pipeline, of, Arc::new(query), self.store.reader()));
        statuses(&of.sinks, |told| made.as_ref().map_or(0, |collection| collection.count_since(told)))
    }

    pub fn dead_letters(&self, filter: &DeadLetterFilter) -> Result<Vec<DeadLetter>, manade_store::ReadError> {
        let selected = dead_letters::select(&self.store.reader(), filter)?;
        Ok(selected.into_iter().map(|stored| stored.letter).collect())
    }

    pub fn drop_dead_letters(&mut self, filter: &DeadLetterFilter) -> Result<u64, StoredError> {
        let selected = dead_letters::select(&self.store.reader(), filter)?;
        let ids: Vec<u64> = selected.iter().map(|stored| stored.letter.id).collect();
        let dropped = ids.len() as u64;
        let mut letters = DeadLetters::load(&self.store, DeadLetterBounds::default())?;
        letters.dropped(ids);
        let mut progress = self.progress.clone();
        let changes = letters.changes(&self.store, Vec::new(), &mut progress, manade_store::system_clock())?;
        self.write(progress, changes)?;
        Ok(dropped)
    }

    /// Forgets a result: its rows, its state and how far it has read; with it, those that read its rows.
    pub fn drop_result(&mut self, name: &str) -> Result<(), StoredError> {
        let mut progress = self.progress.clone();
        let mut changes = Vec::new();
        for name in self.with_readers(name) {
            progress.results.remove(&name);
            for lane in progress.lanes.iter_mut().chain(&mut progress.parked) {
                lane.results.retain(|result| *result != name);
            }
            changes.extend(crate::groups::drop_tables(&self.store, &name));
        }
        progress.parked.retain(|lane| !lane.results.is_empty());
        self.write(progress, changes)
    }

    /// Marks all results as removed: the pipeline itself is no longer in the platform. Should it come back, they go on.
    pub fn leave(&mut self) -> Result<(), StoredError> {
        if self.progress.results.values().all(|of| of.removed) {
            return Ok(());
        }
        let mut progress = self.progress.clone();
        for of in progress.results.values_mut() {
            of.removed = true;
        }
        self.write(progress, Vec::new())
    }

    /// A result and those that read its rows, directly or not.
    fn with_readers(&self, name: &str) -> Vec<String> {
        let mut all = vec![name.to_owned()];
        let mut at = 0;
        while let Some(read) = all.get(at).cloned() {
            for (reader, of) in &self.progress.results {
                let input = crate::plan::recompile(&of.definition).map(|query| query.input);
                if !all.contains(reader) && input.is_ok_and(|input| input == Input::Result(read.clone())) {
                    all.push(reader.clone());
                }
            }
            at += 1;
        }
        all
    }

    fn write(&mut self, progress: Progress, changes: Vec<(String, Change)>) -> Result<(), StoredError> {
        let meta = serde_json::to_vec(&progress).expect("progress is plain data");
        self.store.commit(Commit { meta, changes })?;
        self.progress = progress;
        Ok(())
    }

    /// Copies the pipeline's folder, from which this was opened.
    pub fn backup(&self, folder: &Path, to: &Path) -> Result<(), String> {
        self.store.backup_to(&to.join("store")).map_err(|e| describe(&e))?;
        let log = folder.join("log");
        if log.exists() {
            let log = EventLog::open(&log, EventBounds::default()).map_err(|e| describe(&e))?;
            log.backup_to(&to.join("log")).map_err(|e| describe(&e))?;
            log.close();
        }
        Ok(())
    }

    /// Collections of every result that was ever kept here, whether it is in the platform or not.
    pub fn collections(&self, pipeline: &str) -> Vec<Arc<dyn Collection>> {
        as_collections(&self.results(pipeline))
    }

    fn results(&self, pipeline: &str) -> Vec<Arc<ResultCollection>> {
        let mut collections = Vec::new();
        for of in self.progress.results.values() {
            match crate::plan::recompile(&of.definition) {
                Ok(query) => {
                    let reader = self.store.reader();
                    let query = Arc::new(query);
                    let made = ResultCollection::new(pipeline, of, query, reader);
                    if let Some(collection) = made {
                        collections.push(Arc::new(collection));
                    }
                }
                Err(findings) => {
                    let why = findings.first().map(ToString::to_string).unwrap_or_default();
                    tracing::warn!(result = %of.definition.name, "its rows cannot be read by this version: {why}");
                }
            }
        }
        collections
    }
}

impl Pipeline {
    pub fn start(folder: &Path, plan: Plan, options: &PipelineOptions) -> Result<Self, StartError> {
        let Stored { store, progress } = Stored::open(folder, options.memory.clone())?;
        let plan = Arc::new(plan);
        let log = open_log(folder, &plan).map_err(|e| log_error(e, &plan))?;
        let oldest = Position(log.as_ref().map_or(0, |log| log.events().start));
        if let Some(log) = &log {
            check_read(folder, &plan, &progress, log)?;
        }
        let wider = fit::fit(&plan, &progress, &store.reader().view()).map_err(StartError::Unfit)?;
        let progress = settle(&plan, progress, oldest, &store.reader().view());
        let source = open_source(&plan, &progress, &store, log.as_ref(), options)?;
        let tables = Arc::new(Mutex::new(Tables::load(plan.tables.clone())?));
        let mut stored = Stored { store, progress };
        if !wider.is_empty() {
            stored.write(stored.progress.clone(), wider)?;
        }
        Self::run(plan, stored, source, tables, log, options)
    }

    /// Starts the threads.
    fn run(
        plan: Arc<Plan>,
        stored: Stored,
        source: SourceReader,
        tables: Arc<Mutex<Tables>>,
        log: Option<EventLog>,
        options: &PipelineOptions,
    ) -> Result<Self, StartError> {
        let results = stored.results(plan.pipeline.name.as_str());
        let Stored { store, progress } = stored;
        let lanes = Arc::new(lanes_of(&plan, &progress));
        let (tails, bound) = (Arc::new(Tails::new(&progress)), options.max_outbox);
        let committer = Committer::new(&plan, progress.clone(), &lanes, &store, &tails, bound)?;
        let (reader, status) = (store.reader(), shown(&plan, &progress, &store, committer.dead_letters().len()));
        let sequencer = Arc::new(Sequencer::new(progress.lanes.iter().map(|lane| lane.clock).collect()));
        let (pace, hold) = (Arc::new(Pace::new()), Arc::new(Hold::default()));
        let ((jobs, job_queue), (replays, replay_queue)) = (bounded::<Job>(options.workers * 2), bounded(2));
        let ((reports, report_queue), (commands, command_queue)) = (unbounded(), unbounded());
        let (issued, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let consumed = Arc::new(AtomicU64::new(progress.lanes[0].position.0));
        let (mut threads, done_queue) = workers(&plan, &lanes, &sequencer, &pace, options.workers, &job_queue)?;
        drop(job_queue);
        let reading = Reading {
            source,
            log: log.clone(),
            tables: Arc::clone(&tables),
            jobs,
            pace,
            replays: replay_queue,
            reports,
            issued: Arc::clone(&issued),
            stop: Arc::clone(&stop),
            hold: Arc::clone(&hold),
            positions: progress.lanes.iter().map(|lane| lane.position).collect(),
            lanes: Arc::clone(&lanes),
            once: options.once,
        };
        threads.push(spawn("source", move || reading.run()));
        let engine = Engine {
            plan: Arc::clone(&plan),
            store,
            committer,
            dones: done_queue,
            reports: report_queue,
            commands: command_queue,
            replays,
            issued,
            stop,
            status: Arc::clone(&status),
            tables,
            sequencer,
            log: log.clone(),
            consumed: Arc::clone(&consumed),
            tails: Arc::clone(&tails),
            hold,
        };
        let engine = spawn("merge", move || engine.run());
        Ok(Self {
            plan,
            commands,
            status,
            reader,
            inbox: log.map(|log| Inbox { log, consumed, max_backlog: options.max_backlog }),
            collections: as_collections(&results),
            sinks: Sinks { results, tails },
            threads,
            engine: Some(engine),
        })
    }

    /// The schema that was inferred at the first run.
    pub fn inferred(&self) -> Option<&EventSchema> {
        self.plan.inferred.then_some(&self.plan.schema)
    }

    /// Results of a new plan that what is stored does not fit.
    pub fn unfit(&self, plan: &Plan) -> Vec<Finding> {
        let view = self.reader.view();
        let progress = view.meta().and_then(|meta| serde_json::from_slice(meta).ok()).unwrap_or_default();
        fit::fit(plan, &progress, &view).err().unwrap_or_default()
    }

    pub fn name(&self) -> &str {
        self.plan.pipeline.name.as_str()
    }

    pub fn status(&self) -> PipelineStatus {
        let mut status = self.status.lock().clone();
        status.backlog = self.inbox.as_ref().map_or(status.backlog, Inbox::waiting);
        if status.state == PipelineState::Running
            && let Some(reason) = self.inbox.as_ref().and_then(|inbox| inbox.log.trouble())
        {
            status.state = PipelineState::Waiting;
            status.reason = Some(reason);
        }
        self.sinks.fill(&mut status);
        status
    }

    /// What the sinks outside are to be told, each for one who tells it.
    pub fn outboxes(&self) -> Vec<Outbox> {
        self.sinks.outboxes(&self.plan, &self.commands)
    }

    /// Whether the sinks outside have all rows that are committed.
    pub fn is_drained(&self) -> bool {
        self.sinks.are_told(&self.plan)
    }

    pub fn collections(&self) -> &[Arc<dyn Collection>] {
        &self.collections
    }

    /// Where events go in that are pushed.
    pub fn inbox(&self) -> Option<&Inbox> {
        self.inbox.as_ref()
    }

    pub fn dead_letters(&self, filter: &DeadLetterFilter) -> Result<Vec<DeadLetter>, String> {
        let selected = dead_letters::select(&self.reader, filter).map_err(|e| describe(&e))?;
        Ok(selected.into_iter().map(|stored| stored.letter).collect())
    }

    /// Tries dead letters again, under the present schema and SQL.
    pub fn replay(&self, filter: DeadLetterFilter) -> Result<ReplayAnswer, String> {
        self.ask(|reply| Command::Replay { filter, reply })
    }

    pub fn drop_dead_letters(&self, filter: DeadLetterFilter) -> Result<u64, String> {
        self.ask(|reply| Command::DropDeadLetters { filter, reply })
    }

    /// Copies the pipeline's folder as of its last commit.
    pub fn backup(&self, to: PathBuf) -> Result<(), String> {
        // The store first: a copy of the log may run ahead of it, never behind.
        self.ask(|reply| Command::Backup { to: to.join("store"), reply })?;
        match &self.inbox {
            Some(inbox) => inbox.log.backup_to(&to.join("log")).map_err(|e| describe(&e)),
            None => Ok(()),
        }
    }

    fn ask<T>(&self, command: impl FnOnce(Sender<Result<T, String>>) -> Command) -> Result<T, String> {
        let (reply, answer) = bounded(1);
        let stopped = || "the pipeline has stopped".to_owned();
        self.commands.send(command(reply)).map_err(|_| stopped())?;
        answer.recv_timeout(Duration::from_mins(1)).map_err(|_| stopped())?
    }

    /// Finishes the batch, commits and ends all threads.
    pub fn stop(mut self) {
        self.shut_down();
    }

    fn shut_down(&mut self) {
        let _ = self.commands.send(Command::Stop);
        if let Some(engine) = self.engine.take()
            && let Ok(store) = engine.join()
        {
            store.close();
        }
        for thread in self.threads.drain(..) {
            // A worker that panicked has been reported by its own message.
            let _ = thread.join();
        }
        if let Some(inbox) = &self.inbox {
            inbox.log.close();
        }
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        self.shut_down();
    }
}

/// Threads that decode and run SQL until there are no more jobs, and what they have done.
fn workers(
    plan: &Arc<Plan>,
    lanes: &Arc<Vec<Vec<usize>>>,
    sequencer: &Arc<Sequencer>,
    pace: &Arc<Pace>,
    count: usize,
    queue: &Receiver<Job>,
) -> Result<(Vec<JoinHandle<()>>, Receiver<Done>), StartError> {
    let (out, dones) = bounded(count * 2);
    let decoders = Arc::new(Decoders::new(plan)?);
    let mut threads = Vec::new();
    for number in 0..count {
        let (plan, decoders, sequencer) = (Arc::clone(plan), Arc::clone(&decoders), Arc::clone(sequencer));
        let mut worker = Worker::new(plan, decoders, Arc::clone(&sequencer), Arc::clone(lanes), Arc::clone(pace))?;
        let (queue, out) = (queue.clone(), out.clone());
        threads.push(spawn(&format!("worker-{number}"), move || {
            let _keeper = TurnKeeper(Arc::clone(&sequencer));
            for job in queue {
                let Some(done) = worker.run(job) else { return };
                if out.send(done).is_err() {
                    // The merging thread is gone: nobody will take what others wait to hand in.
                    sequencer.close();
                    return;
                }
            }
        }));
    }
    Ok((threads, dones))
}

/// A pipeline's status before its progress is filled in.
fn shown(plan: &Plan, progress: &Progress, store: &Store, dead_letters: u64) -> Arc<Mutex<PipelineStatus>> {
    let mut status = PipelineStatus::new(plan.pipeline.name.as_str(), plan.source_kind(), PipelineState::Running);
    fill(&mut status, plan, progress, store);
    status.dead_letters = dead_letters;
    Arc::new(Mutex::new(status))
}

fn spawn<T: Send + 'static>(name: &str, run: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    std::thread::Builder::new().name(name.to_owned()).spawn(run).expect("a thread can be started")
}

fn open_log(folder: &Path, plan: &Plan) -> Result<Option<EventLog>, OpenError> {
    let source = &plan.pipeline.source;
    let Some(retain) = source.retain() else { return Ok(None) };
    let mut bounds = EventBounds::default();
    if let Source::RabbitMq(queue) = source {
        (bounds.key_age, bounds.keys) = (queue.remember.age, queue.remember.count);
    }
    if let Some(age) = retain.age {
        bounds.age = age;
    }
    if let Some(size) = retain.size {
        bounds.bytes = size;
        // Whole files are dropped, so there must be several.
        bounds.file_bytes = (size / 8).clamp(64 << 10, bounds.file_bytes);
    }
    EventLog::open(&folder.join("log"), bounds).map(Some)
}

/// What was read is there: new events would take the numbers of those that are missing.
fn check_read(folder: &Path, plan: &Plan, progress: &Progress, log: &EventLog) -> Result<(), StartError> {
    let end = log.events().end;
    let read = progress.lanes.iter().map(|lane| lane.position.0).max().unwrap_or_default();
    if read <= end {
        return Ok(());
    }
    let what = format!("it ends with event {end}, and {read} were read");
    Err(StartError::Events { path: folder.join("log"), offset: 0, what, pipeline: plan.pipeline.name.to_string() })
}

fn log_error(error: OpenError, plan: &Plan) -> StartError {
    match error {
        OpenError::Damaged { path, offset, what } => {
            StartError::Events { path, offset, what, pipeline: plan.pipeline.name.to_string() }
        }
        other => other.into(),
    }
}

fn open_source(
    plan: &Plan,
    progress: &Progress,
    store: &Store,
    log: Option<&EventLog>,
    options: &PipelineOptions,
) -> Result<SourceReader, StartError> {
    let events = &plan.pipeline.events;
    let main = progress.lanes[0].position;
    match &plan.pipeline.source {
        Source::Http(_) | Source::RabbitMq(_) => {
            let log = log.expect("pushed events have a log").clone();
            Ok(SourceReader::Log(Box::new(LogReader::new(log, main, events.max_event))))
        }
        Source::File(file) => {
            let behind = progress.lanes.iter().any(|lane| lane.position < main);
            let read = crate::source::store::load(store, behind)?;
            let last = if options.once && !file.follow { Last::Take } else { Last::WhenWhole };
            let options = FileOptions {
                selection: Selection::new(&file.path)?,
                format: file.format.clone(),
                follow: file.follow,
                last,
                waits: file.follow && !options.once,
                max_event: events.max_event,
            };
            Ok(SourceReader::File(Box::new(FileReader::new(options, read))))
        }
    }
}

/// Brings what is stored together with what is asked for: lanes for new results, marks on removed ones.
fn settle(plan: &Plan, mut progress: Progress, oldest: Position, view: &View) -> Progress {
    progress.source = Some(plan.source_kind().to_owned());
    let first = progress.lanes.is_empty();
    if first {
        progress.lanes.push(Lane { position: oldest, ..Lane::default() });
    }
    if plan.inferred {
        progress.inferred = Some(plan.schema.clone());
    }
    let names: Vec<String> = plan.results.iter().map(|r| r.spec.name.to_string()).collect();
    for (name, of) in &mut progress.results {
        of.removed = !names.contains(name);
    }
    park(&mut progress, &names);
    keep_closed(plan, &mut progress);
    for result in &plan.results {
        let name = result.spec.name.to_string();
        let (letter, lateness) = (progress.next_dead_letter, plan.lateness());
        let of = progress.results.entry(name.clone()).or_insert_with(|| ResultProgress::new(result, lateness, letter));
        settle_sinks(result, of, view);
        of.definition = result.definition.clone();
        of.lateness = lateness;
        if progress.lanes.iter().any(|lane| lane.results.contains(&name)) {
            continue;
        }
        let parked = progress.parked.iter().position(|lane| lane.results.contains(&name));
        let parked = parked.map(|at| progress.parked.remove(at));
        if let Some(lane) = lane_read_by(result, &progress.lanes) {
            progress.lanes[lane].results.push(name);
        } else if let Some(lane) = parked {
            of.first_letter = letter;
            warn_of_gap(&name, lane.position, oldest);
            progress.lanes.push(lane);
        } else if first || result.spec.start == Start::Latest {
            progress.lanes[0].results.push(name);
        } else {
            progress.lanes.push(Lane { results: vec![name], position: oldest, ..Lane::default() });
        }
    }
    join_lanes(&mut progress.lanes);
    progress
}

/// Sinks that are new begin; those that are gone are forgotten. Where rows are shown otherwise now, all are sent anew.
fn settle_sinks(result: &PlannedResult, of: &mut ResultProgress, view: &View) {
    let names: Vec<String> = result.spec.outside.iter().map(OutsideSink::name).collect();
    of.sinks.retain(|name, _| names.contains(name));
    let appended = view.snapshot(&rows_name(&of.definition.name)).map_or(0, |rows| rows.row_ids().end);
    let appends = matches!(result.query.stage, manade_sql::Stage::Rows) || result.spec.emit == Emit::Final;
    let is_edited = !appends && of.definition.sql != result.definition.sql;
    for sink in &result.spec.outside {
        let from_now = Some(if appends { appended } else { view.commit() });
        let begin = || SinkProgress { told: from_now.filter(|_| !sink.backfill), ..SinkProgress::default() };
        let known = of.sinks.entry(sink.name()).or_insert_with(begin);
        if is_edited && sink.backfill {
            known.told = None;
        }
    }
}

fn as_collections(results: &[Arc<ResultCollection>]) -> Vec<Arc<dyn Collection>> {
    results.iter().map(|collection| Arc::clone(collection) as Arc<dyn Collection>).collect()
}

/// Events that the source has dropped while a result was not there are missing from it.
fn warn_of_gap(result: &str, read: Position, oldest: Position) {
    let gone = oldest.0.saturating_sub(read.0);
    if gone > 0 {
        tracing::warn!(
            result,
            events = gone,
            "the result comes back, and events that came meanwhile are no longer kept: its rows are without them; to have \
             it begin anew with what is kept, stop, `manade data drop {result}`, and start again"
        );
    }
}

/// Windows that were closed stay closed where `lateness` was raised: results that append them go on by the watermark that
/// they had come to, in lanes of their own.
fn keep_closed(plan: &Plan, progress: &mut Progress) {
    let raised = |name: &String| {
        let appends = plan.results.iter().any(|r| r.spec.name.as_str() == name && r.spec.emit == Emit::Final);
        let before = progress.results.get(name).map(|of| of.lateness);
        before.filter(|before| appends && *before < plan.lateness())
    };
    let floor = |name: &String, clock: EventClock| {
        let closed = raised(name).and_then(|before| clock.watermark(before)).max(clock.closed);
        EventClock { closed, ..clock }
    };
    let mut split = Vec::new();
    for lane in &mut progress.lanes {
        let (go, stay): (Vec<String>, Vec<String>) = lane.results.drain(..).partition(|name| raised(name).is_some());
        lane.results = stay;
        let alone =
            |name: String| Lane { position: lane.position, clock: floor(&name, lane.clock), results: vec![name] };
        split.extend(go.into_iter().map(alone));
    }
    progress.lanes.extend(split);
    // A removed one has a lane of its own already.
    for lane in &mut progress.parked {
        lane.clock = lane.results.first().map_or(lane.clock, |name| floor(name, lane.clock));
    }
}

/// A result that reads an earlier one goes along with it.
fn lane_read_by(result: &PlannedResult, lanes: &[Lane]) -> Option<usize> {
    let Input::Result(from) = &result.query.input else { return None };
    lanes.iter().position(|lane| lane.results.contains(from))
}

/// Takes removed results out of their lanes, and remembers how far each had read.
fn park(progress: &mut Progress, names: &[String]) {
    let mut parked = Vec::new();
    for lane in &mut progress.lanes {
        let (stay, go): (Vec<String>, Vec<String>) = lane.results.drain(..).partition(|name| names.contains(name));
        lane.results = stay;
        let left = |name| Lane { results: vec![name], position: lane.position, clock: lane.clock };
        parked.extend(go.into_iter().map(left));
    }
    progress.parked.extend(parked);
}

/// Lanes that have read the same are one.
fn join_lanes(lanes: &mut Vec<Lane>) {
    let mut joined: Vec<Lane> = Vec::new();
    for lane in lanes.drain(..) {
        let same = joined.iter().position(|other| other.position == lane.position && other.clock == lane.clock);
        match same {
            Some(other) => joined[other].results.extend(lane.results),
            // Lanes without results only matter where they count: at the front.
            None if lane.results.is_empty() && !joined.is_empty() => {}
            None => joined.push(lane),
        }
    }
    *lanes = joined;
}

fn lanes_of(plan: &Plan, progress: &Progress) -> Vec<Vec<usize>> {
    let index = |name: &String| plan.results.iter().position(|r| r.spec.name.as_str() == name);
    progress.lanes.iter().map(|lane| lane.results.iter().filter_map(index).collect()).collect()
}

impl ResultProgress {
    fn new(result: &PlannedResult, lateness: i64, first_letter: u64) -> Self {
        Self {
            counters: crate::status::ResultCounters::default(),
            definition: result.definition.clone(),
            watermark: None,
            clock: EventClock::default(),
            seen: None,
            lateness,
            history: Vec::new(),
            first_letter,
            began: manade_store::system_clock(),
            sinks: BTreeMap::new(),
            removed: false,
        }
    }
}
