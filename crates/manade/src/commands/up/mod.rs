//! `manade up`: starts the platform and its server, tells how it goes, and stops both.

use std::io::{self, IsTerminal};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use manade_model::Finding;
use manade_pipeline::status::PipelineStatus;
use manade_run::{RunOptions, Running, StartError};
use manade_server::ServerOptions;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::{data_folder, platform_failure, report_findings};
use crate::args::{Limits, Up};
use crate::client::{DEFAULT_ADDRESS, offline_failure, reachable, remove_address, write_address};
use crate::failure::{Context, Failure, Outcome};
use crate::logs::{self, RateLimit};
use crate::output::say;
use crate::screen::Screen;
use crate::signals;
use report::Report;

mod listen;
mod memory;
mod report;

/// How often progress is shown, and how soon the end of `--once` is seen.
const TICK: Duration = Duration::from_millis(250);
const ONCE_TICK: Duration = Duration::from_millis(10);

/// From the signal to the exit. Open requests have less (`ServerOptions::drain`).
const GRACE: Duration = Duration::from_millis(9_500);

pub fn run(args: &Up) -> Result<Outcome, Failure> {
    let address = args.listen.or((!args.once).then_some(DEFAULT_ADDRESS));
    let listener = address.map(|address| listen::bind(address, args.insecure)).transpose()?;
    let screen = io::stdout().is_terminal().then(|| Screen::new(Box::new(io::stdout())));
    let limit = logs::start(&args.log, screen.clone().filter(|_| io::stderr().is_terminal()));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let stop = signals::watch(&runtime)?;
    let data = data_folder(&args.path, args.data.as_deref());
    let running = match Running::start(options(args, &data)) {
        Ok(running) => running,
        Err(error) => return start_failure(error),
    };
    let server = listener.map(|listener| Server::start(&runtime, &running, listener, &args.limits)).transpose()?;
    if let Some(server) = &server {
        write_address(&data, server.address).context(format!("cannot write into {}", data.display()))?;
    }
    let mut up = UpRun { running, server, stop, limit, report: Report::new(screen, args.once) };
    let ended = up.announce(&data).and_then(|()| up.until_the_end(args.once));
    let statuses = up.running.pipelines();
    let failed = up.running.failed();
    up.stop(&runtime);
    remove_address(&data);
    runtime.shutdown_background();
    match ended {
        Err(failure) if !failure.is_broken_pipe() => return Err(failure),
        _ => {}
    }
    if args.once { Ok(finish(&statuses, &failed, args.strict)?) } else { Ok(Outcome::Done) }
}

struct UpRun {
    running: Running,
    server: Option<Server>,
    stop: Receiver<()>,
    limit: RateLimit,
    report: Report,
}

impl UpRun {
    fn announce(&mut self, data: &Path) -> Result<(), Failure> {
        let address = self.server.as_ref().map(|server| reachable(server.address));
        self.report.announce(&self.running.pipelines(), address, data)?;
        Ok(())
    }

    /// Returns when a signal comes, or with `once` when everything is read.
    fn until_the_end(&mut self, once: bool) -> Result<(), Failure> {
        let tick = if once { ONCE_TICK } else { TICK };
        let mut shown: Option<Instant> = None;
        loop {
            if shown.is_none_or(|shown| shown.elapsed() >= TICK) {
                self.report.tick(&self.running.pipelines(), Instant::now())?;
                self.limit.report();
                shown = Some(Instant::now());
            }
            if once && self.running.finished() {
                self.report.tick(&self.running.pipelines(), Instant::now())?;
                return Ok(());
            }
            if let Some(server) = self.server.as_ref().filter(|server| server.task.is_finished()) {
                return Err(Failure::new(format!("the HTTP server at {} has ended", server.address))
                    .with_hint("the log says why; start `manade up` again"));
            }
            match self.stop.recv_timeout(tick) {
                Err(RecvTimeoutError::Timeout) => {}
                Ok(()) | Err(RecvTimeoutError::Disconnected) => {
                    tracing::info!("stopping; a second signal stops at once");
                    return Ok(());
                }
            }
        }
    }

    /// Takes no more, finishes what is being worked on, commits it; gives up after a while, which loses nothing.
    fn stop(self, runtime: &Runtime) {
        let Self { running, server, limit, report, .. } = self;
        let until = Instant::now() + GRACE;
        let (done, stopped) = mpsc::channel();
        let server = server.map(|server| {
            // A server that has ended needs no telling.
            let _ = server.shutdown.send(());
            server.task
        });
        thread::spawn(move || {
            running.stop();
            // The process may be about to exit.
            let _ = done.send(());
        });
        let in_time = stopped.recv_timeout(GRACE).is_ok();
        if let Some(task) = server {
            let left = until.saturating_duration_since(Instant::now());
            let ended = runtime.block_on(async { tokio::time::timeout(left, task).await });
            if let Ok(Ok(Err(error))) = ended {
                tracing::error!("the HTTP server has failed: {error}");
            }
        }
        limit.report();
        report.end();
        if !in_time {
            tracing::warn!("not everything was finished in time; the rest is read again with the next start");
        }
    }
}

struct Server {
    address: SocketAddr,
    shutdown: oneshot::Sender<()>,
    task: JoinHandle<io::Result<()>>,
}

impl Server {
    fn start(runtime: &Runtime, running: &Running, listener: TcpListener, limits: &Limits) -> Result<Self, Failure> {
        let address = listener.local_addr()?;
        let _guard = runtime.enter();
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let (shutdown, told) = oneshot::channel::<()>();
        let backend = Arc::new(running.clone());
        // Also where the sender is dropped.
        let stop = async { drop(told.await) };
        let task = runtime.spawn(manade_server::serve(listener, backend, server_options(limits), stop));
        Ok(Self { address, shutdown, task })
    }
}

fn server_options(limits: &Limits) -> ServerOptions {
    let bytes = |size: u64| usize::try_from(size).unwrap_or(usize::MAX);
    ServerOptions {
        max_body: limits.max_body,
        max_unpacked: limits.max_unpacked,
        max_headers: bytes(limits.max_headers),
        stall: limits.client_timeout,
        max_connections: limits.max_connections,
        max_queries: limits.max_queries,
        query_memory: bytes(limits.query_memory),
        cors: limits.cors.clone(),
        hosts: limits.host.clone(),
        ..ServerOptions::default()
    }
}

fn options(args: &Up, data: &Path) -> RunOptions {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    RunOptions {
        path: args.path.clone(),
        data: data.to_owned(),
        memory: args.memory.unwrap_or_else(memory::quarter),
        workers: args.workers.unwrap_or(cores),
        once: args.once,
        max_backlog: args.limits.max_backlog,
    }
}

fn start_failure(error: StartError) -> Result<Outcome, Failure> {
    match error {
        StartError::Platform(error) => Err(platform_failure(error)),
        StartError::Findings(findings) => refused(&findings),
        StartError::Pipeline { pipeline, source } => {
            Err::<Outcome, _>(source).context(format!("cannot start the pipeline {pipeline}"))
        }
        StartError::Data(error) => Err(offline_failure(error)),
        error @ StartError::Connectors(_) => Err::<Outcome, _>(error).context("cannot start the platform"),
    }
}

fn refused(findings: &[Finding]) -> Result<Outcome, Failure> {
    report_findings(findings)?;
    Err(Failure::new("the platform has errors: nothing was started")
        .with_hint("mend them; `manade check` shows them again"))
}

/// What `--once` leads to.
fn finish(statuses: &[PipelineStatus], failed: &[(String, String)], strict: bool) -> Result<Outcome, Failure> {
    say(&report::summary(statuses))?;
    if let Some((pipeline, reason)) = failed.first() {
        let failure = Failure::new(format!("the pipeline {pipeline} has failed: {reason}"));
        return Err(failure.with_hint("what was committed before is kept; mend the cause, then run it again"));
    }
    let dead: u64 = statuses.iter().map(|status| status.dead_letters).sum();
    if strict && dead > 0 {
        let failure = Failure::new(format!("there are dead letters: {dead}"));
        return Err(failure.with_hint("`manade dead-letters list` shows them, with the reason of each"));
    }
    Ok(Outcome::Done)
}
