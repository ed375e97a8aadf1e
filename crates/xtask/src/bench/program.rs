//! The program under test: runs that are timed, and what the kernel says about its memory.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::rows::{Columns, Means, Source};
use super::statistics::thousands;
use crate::process;

/// How long to wait for a machine to come to rest.
const REST: Duration = Duration::from_secs(10);
const LIMIT: Duration = Duration::from_hours(1);
/// Bounds the error of a time that is measured.
const POLL: Duration = Duration::from_millis(1);

/// In bytes. A process' resident memory is anonymous memory and mapped files.
#[derive(Debug, Default, Clone, Copy)]
pub struct Memory {
    pub anonymous: f64,
    pub resident: f64,
}

/// What `up --once` took.
pub struct Run {
    /// From exec to exit, which follows the last durable commit.
    pub seconds: f64,
    /// The most that was seen.
    pub peak: Memory,
}

pub struct Manade {
    pub binary: PathBuf,
    /// Where data folders and platforms are made.
    pub scratch: PathBuf,
}

impl Manade {
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.binary);
        command.current_dir(&self.scratch).stdin(Stdio::null());
        command
    }

    /// A platform file with these words replaced.
    pub fn platform(&self, name: &str, yaml: &str, words: &[(&str, &str)]) -> Result<PathBuf> {
        let text = words.iter().fold(yaml.to_owned(), |text, (word, value)| text.replace(word, value));
        let path = self.scratch.join(format!("{name}.yaml"));
        fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
        Ok(path)
    }

    /// A data folder that is not there yet.
    pub fn fresh(&self, name: &str) -> Result<PathBuf> {
        let folder = self.scratch.join(format!("{name}-data"));
        if folder.exists() {
            fs::remove_dir_all(&folder).with_context(|| format!("empty {}", folder.display()))?;
        }
        Ok(folder)
    }

    /// Processes all of a platform's events, into a fresh data folder.
    pub fn once(&self, platform: &Path, data: &Path, events: u64) -> Result<Run> {
        let log = self.scratch.join("once.log");
        let file = File::create(&log).with_context(|| format!("create {}", log.display()))?;
        let mut command = self.command();
        command.arg("up").arg(platform).arg("--once").arg("--data").arg(data);
        command.stdout(file.try_clone()?).stderr(file);
        settle()?;
        let start = Instant::now();
        let mut child = command.spawn().with_context(|| format!("start {}", self.binary.display()))?;
        let mut peak = Memory::default();
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            // It may have ended just now.
            if let Ok(memory) = of_status(child.id()) {
                peak = Memory { anonymous: peak.anonymous.max(memory.anonymous), resident: memory.resident };
            }
            if start.elapsed() > LIMIT {
                child.kill()?;
                child.wait()?;
            }
            thread::sleep(POLL);
        };
        let seconds = start.elapsed().as_secs_f64();
        let said = fs::read_to_string(&log).unwrap_or_default();
        let expected = format!("{} events read, 0 dead letters", thousands(events as f64));
        if !status.success() || !said.contains(&expected) {
            bail!("manade up --once {} ended with {status}, without \"{expected}\"\n{said}", platform.display());
        }
        Ok(Run { seconds, peak })
    }

    /// All rows of a collection, written to a file.
    pub fn rows(&self, collection: &str, data: &Path, columns: Columns, means: Means) -> Result<Source> {
        let path = self.scratch.join(format!("{collection}.ndjson"));
        let file = File::create(&path).with_context(|| format!("create {}", path.display()))?;
        let mut command = self.command();
        let command = command.args(["data", collection, "-o", "ndjson", "--data"]).arg(data).stdout(file);
        let status = command.status().with_context(|| format!("start {}", self.binary.display()))?;
        if !status.success() {
            bail!("manade data {collection} ended with {status}");
        }
        Ok(Source { files: vec![path], columns, means })
    }
}

/// What was written before must not be flushed while something is timed, and what ran before must have come to rest.
pub fn settle() -> Result<()> {
    let finished = process::run(&mut Command::new("sync"), LIMIT)?;
    if !finished.success() {
        bail!("sync: {}", finished.output);
    }
    let begun = Instant::now();
    let mut before = busy()?;
    // A machine that never rests is measured as it is.
    while begun.elapsed() < REST {
        thread::sleep(Duration::from_millis(100));
        let now = busy()?;
        // A count of idle ticks may fall a little (proc_stat(5)).
        if now.0.saturating_sub(before.0) <= now.1.saturating_sub(before.1) / 10 {
            break;
        }
        before = now;
    }
    Ok(())
}

/// Ticks in which processors had work, and all ticks, since the machine was started.
fn busy() -> Result<(u64, u64)> {
    let text = fs::read_to_string("/proc/stat").context("read /proc/stat")?;
    let ticks = text.lines().next().unwrap_or_default().split_whitespace().skip(1);
    let ticks: Vec<u64> = ticks.map(str::parse).collect::<Result<_, _>>().context("/proc/stat has other numbers")?;
    let (all, idle): (u64, u64) = (ticks.iter().take(8).sum(), ticks.iter().skip(3).take(2).sum());
    Ok((all.saturating_sub(idle), all))
}

/// Of a running process, its pages counted one by one.
pub fn memory(process: u32) -> Result<Memory> {
    let text = fs::read_to_string(format!("/proc/{process}/smaps_rollup")).context("read smaps_rollup")?;
    Ok(Memory { anonymous: bytes(&text, "Anonymous:")?, resident: bytes(&text, "Rss:")? })
}

/// Of a running process, at little cost. Resident is the most that it ever had.
pub fn of_status(process: u32) -> Result<Memory> {
    let text = fs::read_to_string(format!("/proc/{process}/status")).context("read status")?;
    Ok(Memory { anonymous: bytes(&text, "RssAnon:")?, resident: bytes(&text, "VmHWM:")? })
}

/// Of the machine.
pub fn machine_memory() -> Result<f64> {
    bytes(&fs::read_to_string("/proc/meminfo").context("read /proc/meminfo")?, "MemTotal:")
}

/// The kernel writes kB and means KiB.
fn bytes(text: &str, name: &str) -> Result<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|rest| rest.split_whitespace().next()).and_then(|number| number.parse::<f64>().ok());
    Ok(number.with_context(|| format!("no {name}"))? * 1024.0)
}
