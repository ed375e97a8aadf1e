//! A platform that runs: its pipelines, kept as its files say.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use manade_events::ingest::AcceptedFormat;
use manade_model::{EventSchema, Finding, Name, Severity};
use manade_pipeline::collection::Collection;
use manade_pipeline::dead_letter::{DeadLetter, DeadLetterFilter};
use manade_pipeline::plan::Plan;
use manade_pipeline::status::{PipelineState, PipelineStatus};
use manade_pipeline::{Pipeline, PipelineOptions, ReplayAnswer, Stored, describe};
use manade_store::{AppendError, DataFolder, Entry, IdempotencyKey, Memory, OpenError, Ticket, system_clock};
use parking_lot::{Mutex, RwLock};

use crate::control::{ControlError, Health, IngestAnswer, IngestError, IngestInfo, IngestRequest};
use crate::platform::{PlatformError, check};

/// How often the platform's files are looked at.
const WATCH: Duration = Duration::from_millis(500);

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
    pipelines: RwLock<BTreeMap<String, Active>>,
    /// Collections of pipelines and results that are no longer in the platform.
    left: RwLock<Vec<Arc<dyn Collection>>>,
    stop: AtomicBool,
    watcher: Mutex<Option<JoinHandle<()>>>,
}

struct Active {
    pipeline: Pipeline,
    /// What it was started from, to see whether it has changed.
    source: manade_model::Pipeline,
}

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Platform(#[from] PlatformError),
    #[error("the platform has errors")]
    Findings(Vec<Finding>),
    #[error(transparent)]
    Data(#[from] OpenError),
    #[error("pipeline {pipeline}")]
    Pipeline { pipeline: String, source: manade_pipeline::StartError },
}

/// Waits for the disk.
pub struct IngestTicket(Ticket);

impl Running {
    pub fn start(options: RunOptions) -> Result<Self, StartError> {
        let folder_path = options.data.clone();
        // Findings come first: a platform with errors leaves no data folder behind.
        let checked = check(&options.path, |name| fixed_schema(&folder_path, name))?;
        if checked.has_errors() {
            return Err(StartError::Findings(checked.findings));
        }
        for note in &checked.findings {
            tracing::info!("{note}");
        }
        let folder = DataFolder::open(&options.data)?;
        let inner = Arc::new(Inner {
            memory: Memory::new(options.memory),
            options,
            folder,
            pipelines: RwLock::default(),
            left: RwLock::default(),
            stop: AtomicBool::new(false),
            watcher: Mutex::default(),
        });
        for plan in checked.plans {
            inner.start(plan)?;
        }
        inner.find_left()?;
        if !inner.options.once {
            let watched = Arc::downgrade(&inner);
            let watcher = std::thread::Builder::new().name("reload".to_owned()).spawn(move || {
                let mut stamp = None;
                while let Some(inner) = watched.upgrade() {
                    if inner.stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let now = stamp_of(&inner.options.path);
                    if stamp.replace(now.clone()).is_some_and(|before| before != now) {
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
        self.0.pipelines.read().values().map(|active| active.pipeline.status()).collect()
    }

    pub fn pipeline(&self, name: &str) -> Option<PipelineStatus> {
        self.0.pipelines.read().get(name).map(|active| active.pipeline.status())
    }

    /// The pipelines that take events over HTTP.
    pub fn ingests(&self) -> Vec<IngestInfo> {
        let pipelines = self.0.pipelines.read();
        let http = pipelines.iter().filter(|(_, active)| active.pipeline.log().is_some());
        let info = |(name, active): (&String, &Active)| {
            let schema = active.source.events.schema.clone()?;
            Some(IngestInfo { pipeline: name.clone(), schema })
        };
        http.filter_map(info).collect()
    }

    /// In order of name.
    pub fn collections(&self) -> Vec<Arc<dyn Collection>> {
        let pipelines = self.0.pipelines.read();
        let mut all: Vec<Arc<dyn Collection>> =
            pipelines.values().flat_map(|active| active.pipeline.collections().iter().cloned()).collect();
        all.extend(self.0.left.read().iter().cloned());
        all.sort_by(|a, b| a.info().name.cmp(&b.info().name));
        all
    }

    pub fn collection(&self, name: &str) -> Option<Arc<dyn Collection>> {
        self.collections().into_iter().find(|collection| collection.info().name == name)
    }

    /// Queues events for the pipeline's durable log; they are accepted once the ticket says so.
    pub fn ingest(&self, pipeline: &str, request: IngestRequest) -> Result<IngestTicket, IngestError> {
        let pipelines = self.0.pipelines.read();
        let active = pipelines.get(pipeline).ok_or(IngestError::NoSuchPipeline)?;
        let log = active.pipeline.log().ok_or(IngestError::NotHttp)?;
        if active.pipeline.is_full() {
            return Err(IngestError::Full { retry_after: Duration::from_secs(1) });
        }
        let ticket = log.append(entry(request)).map_err(ingest_error)?;
        Ok(IngestTicket(ticket))
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

    /// Every source has ended, or has failed for good.
    pub fn finished(&self) -> bool {
        let done = |status: PipelineStatus| matches!(status.state, PipelineState::Finished | PipelineState::Failed);
        self.pipelines().into_iter().all(done)
    }

    /// Pipelines that have failed for good, and why.
    pub fn failed(&self) -> Vec<(String, String)> {
        let failed = self.pipelines().into_iter().filter(|status| status.state == PipelineState::Failed);
        failed.map(|status| (status.name, status.reason.unwrap_or_default())).collect()
    }

    /// Copies the data folder as of each pipeline's last commit.
    pub fn backup(&self, to: &Path) -> Result<(), ControlError> {
        self.0.folder.backup_to(to).map_err(|e| ControlError::Failed(describe(&e)))?;
        for (name, active) in self.0.pipelines.read().iter() {
            let to = to.join("pipelines").join(name);
            active.pipeline.backup(to).map_err(ControlError::Failed)?;
        }
        Ok(())
    }

    /// Ends every pipeline: its batch is finished and committed.
    pub fn stop(&self) {
        self.0.stop.store(true, Ordering::Relaxed);
        if let Some(watcher) = self.0.watcher.lock().take() {
            // A watcher that panicked has said so itself.
            let _ = watcher.join();
        }
        let pipelines = std::mem::take(&mut *self.0.pipelines.write());
        let stops: Vec<_> =
            pipelines.into_values().map(|active| std::thread::spawn(|| active.pipeline.stop())).collect();
        for stop in stops {
            let _ = stop.join();
        }
        self.0.left.write().clear();
    }
}

impl IngestTicket {
    /// Blocks until the events are on disk.
    pub fn wait(self) -> Result<IngestAnswer, IngestError> {
        let appended = self.0.wait().map_err(ingest_error)?;
        Ok(IngestAnswer { accepted: u64::from(appended.count), replayed: appended.replayed })
    }
}

impl Inner {
    fn start(&self, plan: Plan) -> Result<(), StartError> {
        let (name, source) = (plan.pipeline.name.to_string(), plan.pipeline.clone());
        let options = PipelineOptions {
            workers: self.options.workers,
            memory: self.memory.clone(),
            once: self.options.once,
            max_backlog: self.options.max_backlog,
        };
        let started = Pipeline::start(&self.folder.pipeline(&name), plan, &options);
        let pipeline = started.map_err(|source| match source {
            manade_pipeline::StartError::Unfit(findings) => StartError::Findings(findings),
            source => StartError::Pipeline { pipeline: name.clone(), source },
        })?;
        self.pipelines.write().insert(name, Active { pipeline, source });
        Ok(())
    }

    /// Collections of pipelines that are stored but not in the platform.
    fn find_left(&self) -> Result<(), StartError> {
        let mut left = Vec::new();
        for name in self.folder.pipelines()? {
            if self.pipelines.read().contains_key(&name) {
                continue;
            }
            match Stored::open(&self.folder.pipeline(&name), Memory::new(0)) {
                Ok(stored) => left.extend(stored.collections(&name)),
                Err(e) => tracing::warn!(pipeline = %name, "its collections cannot be read: {}", describe(&e)),
            }
        }
        *self.left.write() = left;
        Ok(())
    }

    /// Takes edited files in. Files with errors leave everything as it is.
    fn reload(&self) {
        let fixed = |name: &Name| {
            let pipelines = self.pipelines.read();
            pipelines.get(name.as_str()).and_then(|active| active.pipeline.inferred().cloned())
        };
        let checked = match check(&self.options.path, fixed) {
            Ok(checked) => checked,
            Err(e) => return tracing::error!("the platform cannot be read, it runs on as it was: {}", describe(&e)),
        };
        if checked.has_errors() {
            for finding in checked.findings.iter().filter(|f| f.severity == Severity::Error) {
                tracing::error!("{finding}");
            }
            return tracing::error!("the edited platform has errors, it runs on as it was");
        }
        let wanted: Vec<String> = checked.plans.iter().map(|plan| plan.pipeline.name.to_string()).collect();
        let gone: Vec<String> = self.pipelines.read().keys().filter(|name| !wanted.contains(name)).cloned().collect();
        for name in gone {
            tracing::info!(pipeline = %name, "removed from the platform: stopped, its rows stay");
            let removed = self.pipelines.write().remove(&name);
            if let Some(active) = removed {
                active.pipeline.stop();
            }
        }
        for plan in checked.plans {
            self.replace(plan);
        }
        if let Err(e) = self.find_left() {
            tracing::warn!("{}", describe(&e));
        }
    }

    fn replace(&self, plan: Plan) {
        let name = plan.pipeline.name.to_string();
        let pipelines = self.pipelines.upgradable_read();
        if let Some(active) = pipelines.get(&name) {
            if same(&active.source, &plan.pipeline) {
                return;
            }
            let unfit = active.pipeline.unfit(&plan);
            if !unfit.is_empty() {
                for finding in unfit {
                    tracing::error!("{finding}");
                }
                return tracing::error!(pipeline = %name, "it runs on as it was");
            }
        }
        drop(pipelines);
        let old = self.pipelines.write().remove(&name);
        if let Some(active) = old {
            active.pipeline.stop();
        }
        match self.start(plan) {
            Ok(()) => tracing::info!(pipeline = %name, "reloaded"),
            Err(e) => tracing::error!(pipeline = %name, "cannot be started: {}", describe(&e)),
        }
    }

    fn with<T>(&self, pipeline: &str, run: impl FnOnce(&Pipeline) -> Result<T, String>) -> Result<T, ControlError> {
        let pipelines = self.pipelines.read();
        let active = pipelines.get(pipeline).ok_or(ControlError::NoSuchPipeline)?;
        run(&active.pipeline).map_err(ControlError::Failed)
    }
}

/// The same but for where it stands in its file.
fn same(a: &manade_model::Pipeline, b: &manade_model::Pipeline) -> bool {
    a.without_places() == b.without_places()
}

fn entry(request: IngestRequest) -> Entry {
    let IngestRequest { accepted, key, body_hash } = request;
    let (format, meta) = match accepted.format {
        AcceptedFormat::Ndjson => (manade_pipeline::LINES, accepted.meta.map(|meta| meta_lines(&meta))),
        AcceptedFormat::Csv => {
            let header: Vec<&String> = accepted.header.iter().flat_map(|names| names.iter()).collect();
            (manade_pipeline::CSV, serde_json::to_vec(&header).ok())
        }
    };
    Entry {
        events: accepted.data,
        format,
        count: accepted.count,
        meta,
        key: key.map(|key| IdempotencyKey { key, body_hash }),
        accepted_at: system_clock(),
    }
}

fn meta_lines(meta: &[Option<String>]) -> Vec<u8> {
    let lines: Vec<&str> = meta.iter().map(|of| of.as_deref().unwrap_or_default()).collect();
    lines.join("\n").into_bytes()
}

fn ingest_error(error: AppendError) -> IngestError {
    match error {
        AppendError::Full => IngestError::Full { retry_after: Duration::from_secs(1) },
        AppendError::DiskFull => IngestError::Full { retry_after: Duration::from_secs(10) },
        AppendError::KeyReused => IngestError::KeyReused,
        AppendError::InFlight => IngestError::InFlight,
        AppendError::Stopped => IngestError::Stopped,
        AppendError::Failed(reason) => IngestError::Failed(reason),
    }
}

/// The schema that was inferred at a pipeline's first run, where its folder can be opened now.
pub fn fixed_schema(data: &Path, name: &Name) -> Option<EventSchema> {
    let folder = DataFolder::open_read_only(data).ok()?;
    let path = folder.pipeline(name.as_str());
    path.exists().then(|| Stored::open(&path, Memory::new(0)).ok()?.progress.inferred).flatten()
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
