//! What can go wrong, one enum an operation.

use std::io;
use std::path::{Path, PathBuf};

use arrow_schema::ArrowError;

/// A data folder, store or event log cannot be opened. `Display` names the file and the way out.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("{path} is damaged at byte {offset}: {what}; restore a backup, or start over with `manade reset`")]
    Damaged { path: PathBuf, offset: u64, what: String },
    /// Nothing can be reset in a folder of an unknown format.
    #[error("{path} is damaged: {what}; put the one of a backup in its place, or remove the data folder to start over")]
    Format { path: PathBuf, what: String },
    #[error(
        "{path} was written by a newer manade ({program}, format {found}; this one knows {known}); \
         use that version, or restore a backup made by this one"
    )]
    Newer { path: PathBuf, found: u32, known: u32, program: String },
    #[error(
        "{path} is in use by another manade{}; stop it first, or use another data folder",
        .pid.map(|pid| format!(" (process {pid})")).unwrap_or_default()
    )]
    Locked { path: PathBuf, pid: Option<u32> },
    #[error(
        "{path} is not a manade data folder and not empty; name {}",
        if path.join(".manade").is_dir() { "the `.manade` in it" } else { "an empty or new folder" }
    )]
    Foreign { path: PathBuf },
    #[error("{path} is within the data folder; name a folder outside of it")]
    Within { path: PathBuf },
    #[error("{path} is not a folder")]
    NotAFolder { path: PathBuf },
    #[error("{path} does not exist")]
    Missing { path: PathBuf },
    #[error("{path} cannot be written by this user; change its owner or mode, or use another data folder")]
    NotWritable { path: PathBuf, source: io::Error },
    #[error("the disk with {path} is full; make room, then start again")]
    DiskFull { path: PathBuf },
    #[error("cannot {action} {path}")]
    Io { action: &'static str, path: PathBuf, source: io::Error },
}

/// A commit did not happen: nothing of it is visible and the store can be tried again.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    #[error("the disk with {path} is full")]
    DiskFull { path: PathBuf },
    #[error("cannot {action} {path}")]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    #[error("{path} cannot be written, so nothing in it can be changed")]
    ReadOnly { path: PathBuf },
    #[error("table {table}: {what}")]
    Invalid { table: String, what: String },
    #[error("table {table}: the rows cannot be encoded")]
    Arrow { table: String, source: ArrowError },
    #[error(transparent)]
    Damaged(OpenError),
    #[error(transparent)]
    Unreadable(ReadError),
}

/// Stored rows cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("{path} is damaged at byte {offset}: {what}; restore a backup, or start over with `manade reset`")]
    Damaged { path: PathBuf, offset: u64, what: String },
    #[error("cannot read {path}")]
    Io { path: PathBuf, source: io::Error },
    #[error("the rows cannot be put together")]
    Arrow(#[from] ArrowError),
}

/// Why a table's changes cannot be listed.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// Deleted rows are forgotten up to and with commit `oldest`; changes after it are known.
    #[error("deletions up to commit {oldest} are no longer kept")]
    TooOld { oldest: u64 },
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// Events were not accepted, or it is unknown whether they will be (`Failed`, `Stopped` after the fact).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    #[error("the backlog is full")]
    Full,
    /// Counted from 0.
    #[error("the idempotency key of entry {entry} was used with another body")]
    KeyReused { entry: usize },
    #[error("an entry with the idempotency key of entry {entry} is in flight")]
    InFlight { entry: usize },
    #[error("the event log is closed")]
    Stopped,
    #[error("the disk is full")]
    DiskFull,
    #[error("{0}")]
    Failed(String),
}

impl OpenError {
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull { path },
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Self::NotWritable { path, source },
            _ => Self::Io { action, path, source },
        }
    }
}

impl CommitError {
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull { path },
            _ => Self::Io { action, path, source },
        }
    }
}

impl From<ReadError> for OpenError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Damaged { path, offset, what } => Self::Damaged { path, offset, what },
            ReadError::Io { path, source } => Self::io("read", &path, source),
            ReadError::Arrow(error) => Self::Damaged {
                path: PathBuf::new(),
                offset: 0,
                what: format!("stored rows cannot be decoded: {error}"),
            },
        }
    }
}
