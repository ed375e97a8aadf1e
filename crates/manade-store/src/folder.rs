//! The data folder: format version, lock, a folder a pipeline.
//!
//! `FORMAT` is JSON: `{"format": 2, "program": "0.1.0"}`, written when the folder is made or brought up to date. `LOCK`
//! is held by `flock` while the folder is open and has the holder's process id as text. `pipelines/NAME` belongs to a
//! pipeline.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, FlockOperation};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::error::OpenError;
use crate::log::{create_dirs, sync_dir};

/// The layout that this program writes. It reads 1 as well, which is 2 without what was added: which commit wrote the last
/// row that expired (a feed may then miss that rows are gone), and types that became wider.
const FORMAT: u32 = 2;
const FORMAT_FILE: &str = "FORMAT";
const LOCK_FILE: &str = "LOCK";
const PIPELINES: &str = "pipelines";

/// An opened, locked data folder. Dropping it gives the lock back.
#[derive(Debug)]
pub struct DataFolder {
    path: PathBuf,
    _lock: File,
}

#[derive(Serialize, Deserialize)]
struct Format {
    format: u32,
    program: String,
}

impl DataFolder {
    /// Creates the folder where it is missing, checks its format and locks it.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        match std::fs::metadata(path) {
            Ok(found) if !found.is_dir() => return Err(OpenError::NotAFolder { path: path.to_owned() }),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                create_dirs(path).map_err(|source| OpenError::io("create", path, source))?;
            }
            Err(source) if source.kind() == io::ErrorKind::NotADirectory => {
                return Err(OpenError::NotAFolder { path: path.to_owned() });
            }
            Err(source) => return Err(OpenError::io("open", path, source)),
        }
        if read_format(path)?.is_none() && !is_unused(path)? {
            return Err(OpenError::Foreign { path: path.to_owned() });
        }
        let lock = lock(path, true)?;
        // Another process may have made the folder its own before the lock was had.
        match read_format(path)? {
            Some(format) if check_format(path, &format)? => {}
            _ => write_format(path).map_err(|source| OpenError::io("write", path, source))?,
        }
        let pipelines = path.join(PIPELINES);
        create_dirs(&pipelines).map_err(|source| OpenError::io("create", &pipelines, source))?;
        sync_dir(path).map_err(|source| OpenError::io("sync", path, source))?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// Locks an existing folder; nothing is written.
    pub fn open_read_only(path: &Path) -> Result<Self, OpenError> {
        match std::fs::metadata(path) {
            Ok(found) if found.is_dir() => {}
            Ok(_) => return Err(OpenError::NotAFolder { path: path.to_owned() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(OpenError::Missing { path: path.to_owned() });
            }
            Err(source) => return Err(OpenError::io("open", path, source)),
        }
        let Some(format) = read_format(path)? else {
            return Err(OpenError::Foreign { path: path.to_owned() });
        };
        check_format(path, &format)?;
        Ok(Self { path: path.to_owned(), _lock: lock(path, false)? })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder of a pipeline, which may not exist yet.
    pub fn pipeline(&self, name: &str) -> PathBuf {
        Self::pipeline_of(&self.path, name)
    }

    /// The same of a data folder that is not open.
    pub fn pipeline_of(data: &Path, name: &str) -> PathBuf {
        data.join(PIPELINES).join(name)
    }

    /// Names of the pipelines that have a folder, sorted.
    pub fn pipelines(&self) -> Result<Vec<String>, OpenError> {
        let dir = self.path.join(PIPELINES);
        let io = |source| OpenError::io("list", &dir, source);
        let entries = match std::fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(io(source)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(io)?;
            if entry.file_type().map_err(io)?.is_dir() {
                names.extend(entry.file_name().into_string());
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Begins a copy of this folder in `target`, an empty or new one outside of it: the caller adds the pipelines.
    pub fn backup_to(&self, target: &Path) -> Result<(), OpenError> {
        let own = self.path.canonicalize().map_err(|source| OpenError::io("find", &self.path, source))?;
        // What of the target is there already.
        let there = target.ancestors().find_map(|folder| folder.canonicalize().ok());
        if there.is_some_and(|there| there.starts_with(&own)) {
            return Err(OpenError::Within { path: target.to_owned() });
        }
        create_dirs(target).map_err(|source| OpenError::io("create", target, source))?;
        if !is_unused(target)? {
            return Err(OpenError::Foreign { path: target.to_owned() });
        }
        File::create(target.join(LOCK_FILE)).map_err(|source| OpenError::io("write", target, source))?;
        write_format(target).map_err(|source| OpenError::io("write", target, source))
    }

    /// Removes all that a pipeline has stored; nothing happens where there is nothing. The store must be closed.
    pub fn remove_pipeline(&self, name: &str) -> Result<(), OpenError> {
        let dir = self.path.join(PIPELINES);
        let path = self.pipeline(name);
        // Renamed first, so that a crash does not leave a part of it that looks damaged.
        let gone = self.path.join(format!("removed-{name}"));
        if gone.exists() {
            std::fs::remove_dir_all(&gone).map_err(|source| OpenError::io("delete", &gone, source))?;
        }
        match std::fs::rename(&path, &gone) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(source) => return Err(OpenError::io("delete", &path, source)),
            Ok(()) => {}
        }
        sync_dir(&dir).map_err(|source| OpenError::io("sync", &dir, source))?;
        std::fs::remove_dir_all(&gone).map_err(|source| OpenError::io("delete", &gone, source))
    }
}

fn lock(path: &Path, write: bool) -> Result<File, OpenError> {
    let name = path.join(LOCK_FILE);
    let opened = OpenOptions::new().read(true).write(write).create(write).truncate(false).open(&name);
    let mut file = opened.map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => OpenError::Missing { path: name.clone() },
        _ => OpenError::io("open", &name, source),
    })?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => {
            let mut holder = String::new();
            // The number is a courtesy: an unreadable one is left out.
            let pid = file.read_to_string(&mut holder).ok().and_then(|_| holder.trim().parse().ok());
            return Err(OpenError::Locked { path: path.to_owned(), pid });
        }
        // Some file systems lock only what can be written; what cannot be, nobody changes.
        Err(_) if !write && rustix::fs::access(path, Access::WRITE_OK).is_err() => {}
        Err(error) => return Err(OpenError::io("lock", &name, error.into())),
    }
    if write {
        let put = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
        put.map_err(|source| OpenError::io("write", &name, source))?;
    }
    Ok(file)
}

/// Nothing in it but what a first start makes before `FORMAT`.
fn is_unused(path: &Path) -> Result<bool, OpenError> {
    let io = |source| OpenError::io("list", path, source);
    for entry in std::fs::read_dir(path).map_err(io)? {
        let name = entry.map_err(io)?.file_name();
        if name != LOCK_FILE && name != "FORMAT.new" {
            return Ok(false);
        }
    }
    Ok(true)
}

fn read_format(path: &Path) -> Result<Option<Format>, OpenError> {
    let path = path.join(FORMAT_FILE);
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(OpenError::io("read", &path, source)),
    };
    let parsed = serde_json::from_slice(&text);
    parsed.map(Some).map_err(|error| OpenError::Format { path, what: error.to_string() })
}

/// `false`: an older one that can be read, and is the present one once it is written to.
fn check_format(path: &Path, format: &Format) -> Result<bool, OpenError> {
    let path = path.join(FORMAT_FILE);
    match format.format {
        FORMAT => Ok(true),
        1 => Ok(false),
        0 => Err(OpenError::Format { path, what: "there is no format 0".into() }),
        found => Err(OpenError::Newer { path, found, known: FORMAT, program: format.program.clone() }),
    }
}

fn write_format(path: &Path) -> io::Result<()> {
    let format = Format { format: FORMAT, program: env!("CARGO_PKG_VERSION").to_owned() };
    let new = path.join("FORMAT.new");
    let mut file = File::create(&new)?;
    serde_json::to_writer(&mut file, &format)?;
    writeln!(file)?;
    file.sync_all()?;
    std::fs::rename(&new, path.join(FORMAT_FILE))?;
    sync_dir(path)
}

#[cfg(test)]
mod tests;
