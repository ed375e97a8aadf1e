//! A platform that runs: its pipelines, kept as its files say.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use manade_connectors::{Connectors, Drain, Feed};
use manade_model::{Finding, Name, Severity};
use manade_pipeline::collection::Collection;
use manade_pipeline::dead_letter::{DeadLetter, DeadLetterFilter};
use manade_pipeline::plan::{Fixed, Plan};
use manade_pipeline::status::{PipelineState, PipelineStatus};
use manade_pipeline::{Pipeline, PipelineOptions, ReplayAnswer, Stored, describe};
use manade_store::{AppendError, DataFolder, Memory, OpenError};
use parking_lot::{Mutex, RwLock};

use crate::control::{ControlError, Health, IngestAnswer, IngestError, IngestInfo, IngestRequest};
use crate::inferred;
use crate::kept::{self, Kept};
use crate::offline::{kept_by, open_stored};
use crate::platform::{PlatformError, check};
use crate::slot::{Outside, Slot};

/// The target of log records that are findings of the platform's files, a record each.
pub const FINDING: &str = "manade::finding";

/// How often the platform's files are looked at.
const WATCH: Duration = Duration::from_millis(500);

/// Bytes of a result's appended rows that are kept beyond `retain` until its sinks have them.
const MAX_OUTBOX: u64 = 1 << 30;

/// When a client that is turned away may come back.
pub const BUSY: Duration = Duration::from_secs(1);

/// Why a pipeline rests.
const EDITED: &str = "it is being started again with its edited file";
const DROPPING: &str = "it is being started again without a dropped collection";
const STOPPING: &str = "manade is stopping";

#[derive(Debug, Clone)]
pub struct RunOptions {
    /// The platform's folder or file.
    pub path: PathBuf,
    /// The data folder.
    pub data: PathBuf,
    /// Bytes that state may hold in memory, over all pipelines.
    pub memory: u64,
    /// Threads a pipeline that decode and run SQL.
    pub workers: usize,
    /// Read what is there and stop.
    pub once: bool,
    /// Accepted events a pipeline that may wait before more are refused.
    pub max_backlog: u64,
}

/// A running platform. Cheap to clone; [`Running::stop`] ends it for all clones.
#[derive(Clone)]
pub struct Running(Arc<Inner>);

struct Inner {
    /// Shared by all pipelines.
    memory: Memory,
    options: RunOptions,
    folder: DataFolder,
    shown: RwLock<Shown>,
    /// Counts what has been put into `shown`.
    generation: AtomicU64,
    /// Held while pipelines are started and stopped.
    changing: Mutex<()>,
    stop: AtomicBool,
    /// The newest files were refused.
    refused: AtomicBool,
    watcher: Mutex<Option<JoinHandle<()>>>,
    /// Made once a pipeline needs it.
    connectors: OnceLock<Connectors>,
}

/// What clients see. Locked for moments only.
#[derive(Default)]
struct Shown {
    /// Those of the platform, by name.
    slots: BTreeMap<String, Arc<Slot>>,
    /// Collections of pipelines that are no longer in the platform.
    left: Vec<Kept>,
}

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Platform(#[from] PlatformError),
    #[error("the platform has errors")]
    Findings(Vec<Finding>),
    #[error(transparent)]
    Data(#[from] OpenError),
    #[error("the threads of connections cannot be started")]
    Connectors(#[source] std::io::Error),
    #[error("pipeline {pipeline}")]
    Pipeline { pipeline: String, source: manade_pipeline::StartError },
}

impl Running {
    pub fn start(options: RunOptions) -> Result<Self, StartError> {
        let folder_path = options.data.clone();
        // What is edited from here on is seen by the watcher.
        let mut stamp = stamp_of(&options.path);
        // Findings come first: a platform with errors leaves no data folder behind.
        let checked = check(&options.path, |name| fixed_by(&folder_path, name))?;
        if checked.has_errors() {
            return Err(StartError::Findings(checked.findings));
        }
        checked.require_pipeline(&options.path)?;
        match checked.findings.len() {
            0 => {}
            1 => tracing::info!("there is a note about the platform: `manade check` shows it"),
            notes => tracing::info!("there are {notes} notes about the platform: `manade check` shows them"),
        }
        let folder = DataFolder::open(&options.data)?;
        let inner = Arc::new(Inner {
            memory: Memory::new(options.memory),
            options,
            folder,
            shown: RwLock::default(),
            generation: AtomicU64::new(0),
            changing: Mutex::default(),
            stop: AtomicBool::new(false),
            refused: AtomicBool::new(false),
            watcher: Mutex::default(),
            connectors: OnceLock::new(),
        });
        // A folder that was lost looks like that of a new pipeline.
        let stored = inner.folder.pipelines()?;
        let mut unfit = Vec::new();
        for plan in checked.plans {
            let name = &plan.pipeline.name;
            if !stored.is_empty() && !stored.iter().any(|stored| stored == name.as_str()) {
                tracing::info!(pipeline = %name, "nothing is stored of it yet: it starts from the oldest event");
            }
            match inner.begin(plan) {
                Ok(slot) => inner.show(slot),
                // All of them are told in one go.
                Err(StartError::Findings(findings)) => unfit.extend(findings),
                Err(e) => return Err(e),
            }
        }
        if !unfit.is_empty() {
            return Err(StartError::Findings(unfit));
        }
        inner.show_left()?;
        if !inner.options.once {
            let watched = Arc::downgrade(&inner);
            let watcher = std::thread::Builder::new().name("reload".to_owned()).spawn(move || {
                while let Some(inner) = watched.upgrade() {
                    if inner.stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let now = stamp_of(&inner.options.path);
                    if stamp != now {
                        stamp = now;
                        inner.reload();
                    }
                    drop(inner);
                    std::thread::sleep(WATCH);
                }
            });
            *inner.watcher.lock() = watcher.ok();
        }
        Ok(Self(inner))
    }

    pub fn pipelines(&self) -> Vec<PipelineStatus> {
        self.0.slots().iter().map(|slot| slot.status()).collect()
    }

    pub fn pipeline(&self, name: &str) -> Option<PipelineStatus> {
        Some(self.0.slot(name)?.status())
    }

    /// The pipelines that take events over HTTP.
    pub fn ingests(&self) -> Vec<IngestInfo> {
        self.0.slots().iter().filter_map(|slot| slot.ingest_info()).collect()
    }

    /// Those that are served, in order of name.
    pub fn collections(&self) -> Vec<Arc<dyn Collection>> {
        kept::served(self.0.kept())
    }

    /// Every stored collection, in order of name.
    pub fn kept(&self) -> Vec<Kept> {
        self.0.kept()
    }

    pub fn collection(&self, name: &str) -> Option<Arc<dyn Collection>> {
        self.collections().into_iter().find(|collection| collection.info().name == name)
    }

    /// Another number after each change of what the platform consists of.
    pub fn generation(&self) -> u64 {
        self.0.generation.load(Ordering::Acquire)
    }

    /// Whether the pipeline takes pushed events.
    pub fn takes_events(&self, pipeline: &str) -> Result<(), IngestError> {
        let slot = self.0.slot(pipeline).ok_or(IngestError::NoSuchPipeline)?;
        if slot.takes_events() { Ok(()) } else { Err(IngestError::NotHttp) }
    }

    /// Queues events for the pipeline's durable log; they are accepted once the future says so. It needs no runtime.
    pub fn ingest(
        &self,
        pipeline: &str,
        request: IngestRequest,
    ) -> Result<impl Future<Output = Result<IngestAnswer, IngestError>> + Send + use<>, IngestError> {
        let ticket = self.0.slot(pipeline).ok_or(IngestError::NoSuchPipeline)?.ingest(request)?;
        Ok(async move {
            let appended = ticket.await.map_err(ingest_error)?;
            Ok(IngestAnswer { accepted: u64::from(appended.count), replayed: appended.replayed })
        })
    }

    pub fn dead_letters(
        &self,
        pipeline: &str,
        filter: &DeadLetterFilter,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, ControlError> {
        let letters = self.0.with(pipeline, |p| p.dead_letters(filter))?;
        let later = letters.into_iter().filter(|letter| after.is_none_or(|after| letter.id > after));
        Ok(later.take(limit).collect())
    }

    pub fn replay(&self, pipeline: &str, filter: DeadLetterFilter) -> Result<ReplayAnswer, ControlError> {
        self.0.with(pipeline, |p| p.replay(filter))
    }

    pub fn drop_dead_letters(&self, pipeline: &str, filter: DeadLetterFilter) -> Result<u64, ControlError> {
        self.0.with(pipeline, |p| p.drop_dead_letters(filter))
    }

    /// Forgets the rows, state and progress of a collection whose result is no longer in the platform. Where several
    /// pipelines have one of this name, one must be named.
    pub fn drop_collection(&self, pipeline: Option<&str>, name: &str) -> Result<(), ControlError> {
        self.0.drop_collection(pipeline, name)
    }

    /// Ready while every pipeline runs or has finished.
    pub fn health(&self) -> Health {
        let bad = |status: PipelineStatus| match status.state {
            PipelineState::Running | PipelineState::Finished => None,
            _ => Some(format!("pipeline {}: {}", status.name, status.reason.unwrap_or_else(|| "stopped".to_owned()))),
        };
        let mut reasons: Vec<String> = self.pipelines().into_iter().filter_map(bad).collect();
        if self.0.stop.load(Ordering::Relaxed) {
            reasons.push("stopping".to_owned());
        }
        Health { ready: reasons.is_empty(), reasons }
    }

    /// Every source has ended and the sinks outside have all rows, or the pipeline has failed for good.
    pub fn finished(&self) -> bool {
        let done = |slot: &Arc<Slot>| match slot.status().state {
            PipelineState::Finished => slot.is_drained(),
            state => state == PipelineState::Failed,
        };
        self.0.slots().iter().all(done)
    }

    /// Pipelines that have failed for good, and why.
    pub fn failed(&self) -> Vec<(String, String)> {
        let failed = self.pipelines().into_iter().filter(|status| status.state == PipelineState::Failed);
        failed.map(|status| (status.name, status.reason.unwrap_or_default())).collect()
    }

    /// Copies the data folder as of each pipeline's last commit.
    pub fn backup(&self, to: &Path) -> Result<(), ControlError> {
        kept::back_up(&self.0.folder, to, || {
            self.0
                .slots()
                .iter()
                .try_for_each(|slot| slot.with(|pipeline| pipeline.backup(to.join("pipelines").join(pipeline.name()))))
        })
    }

    /// Ends every pipeline: its batch is finished and committed. Its rows can be read until the last clone is gone.
    pub fn stop(&self) {
        self.0.stop.store(true, Ordering::Relaxed);
        if let Some(watcher) = self.0.watcher.lock().take() {
            // A watcher that panicked has said so itself.
            let _ = watcher.join();
        }
        let _changing = self.0.changing.lock();
        let stop = |slot: Arc<Slot>| std::thread::spawn(move || slot.stop(PipelineState::Stopped, STOPPING));
        let stops: Vec<_> = self.0.slots().into_iter().map(stop).collect();
        for stop in stops {
            let _ = stop.join();
        }
    }
}

impl Inner {
    fn slot(&self, name: &str) -> Option<Arc<Slot>> {
        self.shown.read().slots.get(name).cloned()
    }

    fn slots(&self) -> Vec<Arc<Slot>> {
        self.shown.read().slots.values().cloned().collect()
    }

    fn kept(&self) -> Vec<Kept> {
        let shown = self.shown.read();
        let of_slot = |slot: &Arc<Slot>| {
            let wanted: Vec<&str> = slot.plan().results.iter().map(|result| result.spec.name.as_str()).collect();
            let kept = |collection: &Arc<dyn Collection>| {
                Kept::new(Arc::clone(collection), !wanted.contains(&collection.info().name.as_str()))
            };
            slot.collections().iter().map(kept).collect::<Vec<_>>()
        };
        let all = shown.slots.values().flat_map(of_slot).chain(shown.left.iter().cloned()).collect();
        drop(shown);
        kept::settle(all)
    }

    /// Puts it in the place of what has its name.
    fn show(&self, slot: Slot) {
        let name = slot.plan().pipeline.name.to_string();
        let before = self.shown.write().slots.insert(name, Arc::new(slot));
        self.generation.fetch_add(1, Ordering::Release);
        drop(before);
    }

    /// Starts a pipeline, which is not shown yet.
    fn begin(&self, plan: Plan) -> Result<Slot, StartError> {
        let name = plan.pipeline.name.to_string();
        let options = PipelineOptions {
            workers: self.options.workers,
            memory: self.memory.clone(),
            once: self.options.once,
            max_backlog: self.options.max_backlog,
            max_outbox: MAX_OUTBOX,
        };
        let folder = self.folder.pipeline(&name);
        let started = Pipeline::start(&folder, plan.clone(), &options);
        let pipeline = started.map_err(|source| match source {
            manade_pipeline::StartError::Unfit(findings) => StartError::Findings(findings),
            source => StartError::Pipeline { pipeline: name, source },
        })?;
        let outside = Outside { feed: self.feed(&plan, &pipeline)?, drains: self.drains(&pipeline)? };
        let slot = Slot::running(plan, pipeline, outside);
        if let Some(schema) = slot.inferred() {
            inferred::note(&folder, schema);
        }
        Ok(slot)
    }

    /// Begins to read a source that is outside. What is there is not known, so nothing of it is read `once`.
    fn feed(&self, plan: &Plan, pipeline: &Pipeline) -> Result<Option<Feed>, StartError> {
        let source = &plan.pipeline.source;
        let Some(inbox) = pipeline.inbox().filter(|_| source.is_outside() && !self.options.once) else {
            return Ok(None);
        };
        Ok(self.connectors()?.feed(source, inbox.clone()))
    }

    /// Begins to write to the sinks outside.
    fn drains(&self, pipeline: &Pipeline) -> Result<Vec<Drain>, StartError> {
        let start = |outbox| self.connectors()?.drain(outbox, self.options.once).map_err(StartError::Connectors);
        pipeline.outboxes().into_iter().map(start).collect()
    }

    fn connectors(&self) -> Result<&Connectors, StartError> {
        if let Some(connectors) = self.connectors.get() {
            return Ok(connectors);
        }
        let made = Connectors::new().map_err(StartError::Connectors)?;
        Ok(self.connectors.get_or_init(|| made))
    }

    /// Shows the pipelines of the platform and, of the others that are stored, the collections.
    fn show_left(&self) -> Result<(), StartError> {
        self.keep(|_| true)
    }

    /// Takes away the pipelines that are not `wanted`; what is stored of them is shown all the same.
    fn keep(&self, wanted: impl Fn(&str) -> bool) -> Result<(), StartError> {
        let mut left = Vec::new();
        for name in self.folder.pipelines()? {
            if wanted(&name) && self.slot(&name).is_some() {
                continue;
            }
            match self.open_left(&name) {
                Ok(stored) => left.extend(kept_by(&stored, &name)),
                Err(e) => tracing::warn!(pipeline = %name, "its collections cannot be read: {e}"),
            }
        }
        let mut shown = self.shown.write();
        shown.slots.retain(|name, _| wanted(name));
        shown.left = left;
        self.generation.fetch_add(1, Ordering::Release);
        Ok(())
    }

    /// A pipeline that is not in the platform: of results of one name those of the platform count from now on, also
    /// once it is stopped.
    fn open_left(&self, name: &str) -> Result<Stored, String> {
        let mut stored = open_stored(&self.folder, name).map_err(|e| describe(&e))?;
        stored.leave().map_err(|e| describe(&e))?;
        Ok(stored)
    }

    /// Takes edited files in. Files with errors leave everything as it is.
    fn reload(&self) {
        let fixed = |name: &Name| self.slot(name.as_str()).map(|slot| slot.fixed()).unwrap_or_default();
        let checked = match check(&self.options.path, fixed) {
            Ok(checked) => checked,
            Err(e) => {
                self.refused.store(true, Ordering::Relaxed);
                return tracing::error!("the platform cannot be read, it runs on as it was: {}", describe(&e));
            }
        };
        if checked.has_errors() {
            self.refused.store(true, Ordering::Relaxed);
            log_findings(checked.findings.iter().filter(|f| f.severity == Severity::Error));
            return tracing::error!("the edited platform has errors, it runs on as it was");
        }
        if self.refused.swap(false, Ordering::Relaxed) {
            tracing::info!("the platform's files have no errors any more");
        }
        let _changing = self.changing.lock();
        let wanted: Vec<&str> = checked.plans.iter().map(|plan| plan.pipeline.name.as_str()).collect();
        let wanted = |name: &str| wanted.contains(&name);
        for slot in self.slots() {
            let name = &slot.plan().pipeline.name;
            if !wanted(name.as_str()) {
                tracing::info!(pipeline = %name, "removed from the platform: stopped, its rows stay");
                slot.stop(PipelineState::Stopped, "it is no longer in the platform");
            }
        }
        if let Err(e) = self.keep(wanted) {
            tracing::warn!("{}", describe(&e));
        }
        for plan in &checked.plans {
            self.replace(plan);
        }
        if let Err(e) = self.show_left() {
            tracing::warn!("{}", describe(&e));
        }
    }

    fn replace(&self, plan: &Plan) {
        let name = &plan.pipeline.name;
        let Some(slot) = self.slot(name.as_str()) else { return self.add(plan) };
        if slot.is_running() && same(&slot.plan().pipeline, &plan.pipeline) {
            return;
        }
        let unfit = slot.unfit(plan);
        if !unfit.is_empty() {
            self.refused.store(true, Ordering::Relaxed);
            log_findings(unfit.iter());
            return tracing::error!(pipeline = %name, "it runs on as it was");
        }
        slot.stop(PipelineState::Waiting, EDITED);
        match self.begin(plan.clone()) {
            Ok(slot) => {
                self.show(slot);
                tracing::info!(pipeline = %name, "reloaded");
            }
            Err(e) => {
                tracing::error!(pipeline = %name, "cannot be started with its edited file: {}", why(&e));
                self.resume(&slot);
            }
        }
    }

    /// Starts a pipeline as it was.
    fn resume(&self, slot: &Slot) {
        let name = &slot.plan().pipeline.name;
        match self.begin(slot.plan().clone()) {
            Ok(slot) => {
                self.show(slot);
                tracing::info!(pipeline = %name, "it runs on as it was");
            }
            Err(e) => {
                tracing::error!(pipeline = %name, "cannot be started again: {}", why(&e));
                slot.fail(why(&e));
            }
        }
    }

    fn add(&self, plan: &Plan) {
        let name = &plan.pipeline.name;
        match self.begin(plan.clone()) {
            Ok(slot) => {
                self.show(slot);
                tracing::info!(pipeline = %name, "started");
            }
            Err(e) => {
                tracing::error!(pipeline = %name, "cannot be started: {}", why(&e));
                let stored = open_stored(&self.folder, name.as_str()).ok();
                self.show(Slot::failed(plan.clone(), stored.as_ref(), why(&e)));
            }
        }
    }

    fn drop_collection(&self, pipeline: Option<&str>, name: &str) -> Result<(), ControlError> {
        let _changing = self.changing.lock();
        if self.stop.load(Ordering::Relaxed) {
            return Err(ControlError::Unavailable(STOPPING.to_owned()));
        }
        let holder = kept::holder(&self.kept(), pipeline, name)?;
        let Some(slot) = self.slot(&holder) else {
            self.drop_stored(&holder, name)?;
            return self.show_left().map_err(|e| ControlError::Failed(why(&e)));
        };
        if slot.plan().results.iter().any(|result| result.spec.name.as_str() == name) {
            let refused = format!("the result {name} is in the platform: take it out of its file first");
            return Err(ControlError::Refused(refused));
        }
        // The store has one writer: the pipeline makes way for a moment, in which its rows are served on.
        slot.stop(PipelineState::Waiting, DROPPING);
        let dropped = self.drop_stored(&holder, name);
        self.resume(&slot);
        dropped
    }

    /// Of a pipeline that does not run.
    fn drop_stored(&self, pipeline: &str, result: &str) -> Result<(), ControlError> {
        let failed = |e: &dyn std::error::Error| ControlError::Failed(describe(e));
        let mut stored = open_stored(&self.folder, pipeline).map_err(|e| failed(&e))?;
        stored.drop_result(result).map_err(|e| failed(&e))
    }

    fn with<T>(&self, pipeline: &str, call: impl FnOnce(&Pipeline) -> Result<T, String>) -> Result<T, ControlError> {
        self.slot(pipeline).ok_or(ControlError::NoSuchPipeline)?.with(call)
    }
}

/// Their severity is the record's level.
fn log_findings<'a>(findings: impl Iterator<Item = &'a Finding>) {
    for Finding { place, message, hint, .. } in findings {
        let hint = hint.as_ref().map(|hint| format!("\n  hint: {hint}")).unwrap_or_default();
        tracing::error!(target: FINDING, "{place}: {message}{hint}");
    }
}

/// The same but for where it stands in its file.
fn same(a: &manade_model::Pipeline, b: &manade_model::Pipeline) -> bool {
    a.without_places() == b.without_places()
}

/// An error with its causes, and the first of the findings.
fn why(error: &StartError) -> String {
    match error {
        StartError::Findings(findings) => findings.first().map(ToString::to_string).unwrap_or_default(),
        error => describe(error),
    }
}

pub fn ingest_error(error: AppendError) -> IngestError {
    match error {
        AppendError::Full => IngestError::Full { retry_after: BUSY },
        AppendError::DiskFull => IngestError::DiskFull { retry_after: Duration::from_secs(10) },
        AppendError::KeyReused { entry } => IngestError::KeyReused { event: entry },
        AppendError::InFlight { entry } => IngestError::InFlight { event: entry },
        AppendError::Stopped => IngestError::Stopped,
        AppendError::Failed(reason) => IngestError::Failed(reason),
    }
}

/// What was inferred at a pipeline's first run, as its store has it.
fn fixed_by(data: &Path, name: &Name) -> Fixed {
    let stored = DataFolder::open_read_only(data).ok().filter(|folder| folder.pipeline(name.as_str()).exists());
    let stored = stored.and_then(|folder| open_stored(&folder, name.as_str()).ok());
    stored.map(|stored| stored.progress.fixed()).unwrap_or_default()
}

/// Changes when any file of the platform does.
fn stamp_of(path: &Path) -> Vec<(PathBuf, u64, Option<SystemTime>)> {
    let files = crate::platform::files(path).unwrap_or_default();
    let stamp = |file: PathBuf| {
        let meta = std::fs::metadata(&file).ok()?;
        Some((file, meta.len(), meta.modified().ok()))
    };
    files.into_iter().filter_map(stamp).collect()
}
