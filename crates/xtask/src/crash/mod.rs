//! `cargo xtask crash`: a loaded `manade up` is killed again and again, and loses and doubles nothing.
//!
//! It is killed at random moments, or at a chosen call: around appends, syncs, acknowledgements, commits, rotation and
//! deletion of files (shim.c). With `--power-cut` the data folder is after each kill what a disk may hold then (disk.rs).
//! In the end the collections are compared, as multisets, with what was sent and with those of an undisturbed run over the
//! same input: the same file, and the same log of accepted requests.

mod check;
mod disk;
mod load;

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail, ensure};

use self::disk::{Disk, Unsynced};
use self::load::Expected;
use crate::http;
use crate::process;
use crate::random::Random;
use crate::server::free_port;
use crate::workspace::Workspace;

#[derive(Debug, Clone)]
pub struct Options {
    pub runs: u64,
    pub seed: Option<u64>,
    pub power_cut: bool,
    pub binary: Option<PathBuf>,
    /// After this no run begins.
    pub longest: Option<Duration>,
}

const PATIENCE: Duration = Duration::from_mins(2);
const CLIENTS: u64 = 3;

/// Calls at which it is killed: kind, part of the path, about how many such calls a life has.
const POINTS: [(&str, &str, u64); 15] = [
    ("write", "store/log/", 60),
    ("write", "store/rows-", 60),
    ("write", "pushed/log/", 100),
    ("write", "WITNESS", 100),
    ("sync", "store/log/", 60),
    ("sync", "store/rows-", 60),
    ("sync", "pushed/log/", 100),
    ("sync", "WITNESS", 100),
    ("reply", "socket", 60),
    ("create", ".log", 12),
    ("create", "WITNESS", 4),
    ("rename", "WITNESS", 4),
    ("mkdir", "pipelines", 6),
    ("unlink", ".log", 3),
    ("truncate", "pipelines", 4),
];

/// How many times it was killed.
pub fn run(workspace: &Workspace, options: &Options, tell: impl Fn(&str)) -> Result<usize> {
    let clock = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(1, |now| now.as_secs());
    let first = options.seed.unwrap_or_else(clock);
    let binary = options.binary.clone().unwrap_or_else(|| workspace.manade());
    let shim = shim(workspace)?;
    let (mut runs, mut kills) = (0, 0);
    let begin = Instant::now();
    for seed in first..first + options.runs {
        if options.longest.is_some_and(|longest| begin.elapsed() > longest) {
            break;
        }
        let folder = workspace.scratch("crash")?;
        let start = Instant::now();
        let mut place =
            Place { folder, binary: binary.clone(), shim: shim.clone(), port: free_port()?, random: Random::new(seed) };
        let told = place.run(options.power_cut).with_context(|| {
            let power = if options.power_cut { " --power-cut" } else { "" };
            format!("again: cargo xtask crash --runs 1 --seed {seed}{power}; what is there: {}", place.folder.display())
        })?;
        runs += 1;
        kills += told.len();
        tell(&format!("seed {seed}: {} ({:.1} s)", told.join(", "), start.elapsed().as_secs_f64()));
    }
    let how = if options.power_cut { "power cuts" } else { "kills" };
    let of = if runs == options.runs { String::new() } else { format!(" of {}", options.runs) };
    tell(&format!("{runs}{of} runs, {kills} {how}: 0 events lost, 0 doubled"));
    Ok(kills)
}

/// Compiles the library that is loaded into the program.
fn shim(workspace: &Workspace) -> Result<PathBuf> {
    let library = workspace.scratch("crash-shim")?.join("shim.so");
    let source = workspace.root.join("crates/xtask/src/crash/shim.c");
    let mut compiler = Command::new("cc");
    compiler
        .args(["-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o"])
        .arg(&library)
        .arg(source)
        .arg("-ldl");
    process::output_of(&mut compiler, PATIENCE)?;
    Ok(library)
}

/// One run.
struct Place {
    folder: PathBuf,
    binary: PathBuf,
    shim: PathBuf,
    port: u16,
    random: Random,
}

/// Who feeds the platform.
struct Feeders {
    file: JoinHandle<Result<Expected>>,
    clients: Vec<JoinHandle<Result<Expected>>>,
    pushed: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    requests: u64,
}

impl Place {
    /// What was done to it.
    fn run(&mut self, power_cut: bool) -> Result<Vec<String>> {
        load::write_platform(&self.folder.join("platform"))?;
        fs::create_dir(self.data())?;
        // What a disk did is written down and replayed, which takes its time.
        let size = if power_cut { 3 } else { 1 };
        let feeders = self.feed(250_000 / size, 200 / size);
        let mut told = Vec::new();
        for life in 0..4 + self.random.below(4) {
            let what = self.life(life, power_cut).with_context(|| format!("after: {}", told.join(", ")));
            told.push(what.inspect_err(|_| feeders.stop.store(true, Ordering::Relaxed))?);
        }
        let last = self.last_life(feeders).with_context(|| format!("after: {}", told.join(", ")))?;
        check::compare(&self.binary, &self.folder, &last.0, &last.1)?;
        Ok(told)
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn feed(&mut self, events: u64, requests: u64) -> Feeders {
        let (pushed, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (path, seed) = (self.folder.join("platform/events.ndjson"), self.random.next());
        let file = thread::spawn(move || load::write_file(&path, events, seed));
        let client = |client: u64| {
            let (port, seed, pushed, stop) = (self.port, self.random.next(), Arc::clone(&pushed), Arc::clone(&stop));
            thread::spawn(move || load::push(port, client, requests, seed, &pushed, &stop))
        };
        let clients = (0..CLIENTS).map(client).collect();
        Feeders { file, clients, pushed, stop, requests }
    }

    /// From a start to a kill; says how it was killed.
    fn life(&mut self, life: u64, power_cut: bool) -> Result<String> {
        let mut command = self.up()?;
        let journal = self.folder.join(format!("journal-{life}"));
        let before = if power_cut { Some(Disk::of(&self.data())?) } else { None };
        if power_cut {
            command.env("CRASH_JOURNAL", &journal);
        }
        let point = (self.random.below(3) > 0).then(|| {
            let (kind, path, calls) = *self.random.of(&POINTS);
            let when =
                *self.random.of(if kind == "write" { &["before", "torn", "after"][..] } else { &["before", "after"] });
            (kind, path, 1 + self.random.below(calls), when)
        });
        if let Some((kind, path, count, when)) = point {
            command.env("CRASH_POINT", format!("{kind} {path} {count} {when}"));
        }
        if power_cut || point.is_some() {
            command.env("LD_PRELOAD", &self.shim).env("CRASH_DIR", self.data());
        }
        let mut child = command.spawn()?;
        let longest = Duration::from_millis(50 + self.random.below(1500));
        let died = wait(&mut child, longest)?;
        let told = match (died, point) {
            (Some(status), Some((kind, path, count, when))) if was_killed(status) => {
                format!("{when} {kind} {count} of {path}")
            }
            (Some(status), _) => bail!("it ended by itself with {status}: {}", self.log()),
            (None, _) => {
                child.kill()?;
                child.wait()?;
                format!("after {} ms", longest.as_millis())
            }
        };
        if let Some(mut disk) = before {
            disk.replay(&fs::read(&journal).unwrap_or_default()).context("replay what it did to the disk")?;
            let unsynced = *self.random.of(&[Unsynced::Nothing, Unsynced::Some]);
            disk.cut(unsynced, &mut self.random);
            disk.write(&self.data())?;
            fs::remove_file(&journal)
                .or_else(|e| if e.kind() == std::io::ErrorKind::NotFound { Ok(()) } else { Err(e) })?;
        }
        Ok(told)
    }

    /// Until everything was read, and to a clean end.
    fn last_life(&self, feeders: Feeders) -> Result<(Expected, Expected)> {
        let mut child = self.up()?.spawn()?;
        let ended = self.until_read(&mut child, feeders);
        if ended.is_err() {
            child.kill()?;
            child.wait()?;
        }
        ended
    }

    /// What was given and is read, after a clean end.
    fn until_read(&self, child: &mut Child, feeders: Feeders) -> Result<(Expected, Expected)> {
        let ended = self.until_done(child, &feeders);
        feeders.stop.store(true, Ordering::Relaxed);
        ended?;
        let read = joined(feeders.file)?;
        let mut pushed = Expected::default();
        for client in feeders.clients {
            pushed.add(joined(client)?);
        }
        self.until_counted(child, "read", read.given)?;
        self.until_counted(child, "pushed", pushed.given)?;
        Command::new("kill").args(["-TERM", &child.id().to_string()]).status()?;
        match wait(child, PATIENCE)? {
            Some(status) if status.success() => Ok((read, pushed)),
            Some(status) => bail!("it was stopped and ended with {status}: {}", self.log()),
            None => bail!("it did not stop: {}", self.log()),
        }
    }

    fn until_done(&self, child: &mut Child, feeders: &Feeders) -> Result<()> {
        let start = Instant::now();
        while feeders.pushed.load(Ordering::Relaxed) < CLIENTS * feeders.requests || !feeders.file.is_finished() {
            if let Some(status) = child.try_wait()? {
                bail!("it ended by itself with {status}: {}", self.log());
            }
            if feeders.clients.iter().any(JoinHandle::is_finished)
                && feeders.clients.iter().all(JoinHandle::is_finished)
            {
                break;
            }
            ensure!(start.elapsed() < PATIENCE, "not all was accepted in time: {}", self.log());
            thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    fn until_counted(&self, child: &mut Child, pipeline: &str, given: u64) -> Result<()> {
        let start = Instant::now();
        loop {
            let read = http::get(self.port, &format!("/api/v1/pipelines/{pipeline}"), "application/json").ok();
            let read = read.and_then(|answer| serde_json::from_str::<serde_json::Value>(&answer.body).ok());
            let read = read.and_then(|status| status["read"].as_u64());
            if read.is_some_and(|read| read >= given) {
                return Ok(());
            }
            if let Some(status) = child.try_wait()? {
                bail!("it ended by itself with {status}: {}", self.log());
            }
            ensure!(start.elapsed() < PATIENCE, "{pipeline} read {read:?} of {given} events: {}", self.log());
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn up(&self) -> Result<Command> {
        let log = File::options().append(true).create(true).open(self.folder.join("log"))?;
        let mut command = Command::new(&self.binary);
        command.args(["up", "--listen", &format!("127.0.0.1:{}", self.port), "--data"]).arg(self.data());
        command.arg(self.folder.join("platform")).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        Ok(command)
    }

    /// The end of what it said.
    fn log(&self) -> String {
        let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        log.lines().rev().take(20).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

fn joined(feeder: JoinHandle<Result<Expected>>) -> Result<Expected> {
    feeder.join().unwrap_or_else(|_| bail!("a feeder panicked"))
}

fn was_killed(status: ExitStatus) -> bool {
    use std::os::unix::process::ExitStatusExt;
    status.signal() == Some(9)
}

/// `None`: it runs on.
fn wait(child: &mut Child, limit: Duration) -> Result<Option<ExitStatus>> {
    let start = Instant::now();
    while start.elapsed() < limit {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        thread::sleep(Duration::from_millis(2));
    }
    Ok(None)
}
