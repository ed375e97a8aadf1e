//! Durable storage: the data folder, a store of tables a pipeline, a log of pushed events.
//!
//! A [`Store`] has tables that change by atomic commits of one thread, while any number of [`Reader`]s look at whole
//! commits. Keyed tables have their rows in memory (or mapped from the log, see [`StoreOptions::memory`]) and an
//! index from 64-bit hashes to rows; append tables have theirs compressed on disk. An [`EventLog`] keeps requests of
//! events and shares a sync between those that wait. Both are written by the same framed log.
//!
//! # Bytes on disk
//!
//! Numbers are little-endian. A log is a folder of files `NNNNNNNN.log`, numbered without gaps, each ended once it
//! has 64 MiB, and a file `WITNESS`:
//!
//! - A file begins with 64 bytes: magic `MANADE\r\n`, version (u32, now 1), zero (u32), the file's number, the number
//!   of its first frame, where the file before ends, the chain before its first frame (2 x u64), xxh3-64 of these.
//! - A frame is 64 bytes of prefix (magic `MNFR`, header length u32, frame number u64, payload length u64, zero u64,
//!   chain 2 x u64, zero 2 x u64), a JSON header padded with spaces, and sections padded with zeros; all lengths are
//!   multiples of 64. The header lists each section's length and xxh3-128; the chain is the xxh3-128 of the chain
//!   before, the prefix without its chain, and the header. So each byte is covered, and no frame can be missing,
//!   doubled or moved unnoticed.
//! - Behind the last frame of a file that is being written there may be up to 1 MiB of zeros, which the next small frames are
//!   written over: their syncs then write neither the file's length nor where its blocks are. They are cut off when the log is
//!   closed or opened, or the next file begins.
//! - `WITNESS` has two records, at 0 and 4096, written in turn and synced after each frame: first file, its chain,
//!   last frame, its file, where that ends, its chain, checksum. A commit is acknowledged after that. The witness of an
//!   event log is written for each frame too, but synced a second later at most, 20 ms where no more events come: the
//!   record that is synced stays until then.
//!
//! On opening, everything up to the witness must be there and whole; one whole frame behind it is a commit that was
//! not acknowledged yet and counts, and so do all of an event log; an incomplete one is cut off if nothing follows it.
//! All else is [`OpenError::Damaged`].
//!
//! A store's folder has its log in `log` and one in `rows-ID` for each append table. The latter have no witness:
//! frames of the former say where they end. A frame of `log` is a commit: section 0 is its meta, the header lists
//! what it does (new chunks, dead rows, tombstones, tables); the first frame of each file has the catalog of tables,
//! so that older files can go. Chunks of keyed tables are three sections: Arrow IPC (uncompressed), hashes, and for
//! moved rows the commits that wrote them. A chunk has the types that its table's schema has in the commit of its frame;
//! where these have become wider since, it is widened as it is read.
//!
//! # Space
//!
//! Once what is dead exceeds what lives (and 64 MiB), each commit writes some live rows of the oldest file again (at
//! least 4 MiB, or as much as the commit itself has) until the file can be deleted; small chunks are joined in the
//! same way. Chunks have at most 32 Ki rows.

mod catalog;
mod clean;
mod edit;
mod error;
mod event_log;
mod folder;
mod hash;
mod index;
mod ipc;
mod keyed;
mod log;
mod mapping;
mod memory;
mod reader;
mod replay;
mod rope;
mod rows;
mod schemas;
mod store;

pub use error::{AppendError, CommitError, OpenError, ReadError, SnapshotError};
pub use event_log::{Appended, Entry, EventBounds, EventLog, EventReader, IdempotencyKey, LoggedEntry, Mark, Ticket};
pub use folder::DataFolder;
pub use hash::hash_columns;
pub use memory::Memory;
pub use reader::{Changed, ChangedKind, Changes, Reader, Rows, Snapshot, View};
pub use store::{Change, Commit, History, RowRef, Scan, Store, StoreOptions, Table, TableKind};

/// Microseconds since the epoch.
pub type Clock = fn() -> i64;

/// The machine's clock.
pub fn system_clock() -> i64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |age| age.as_micros() as i64)
}

/// The name of the row-id column (UInt64, the last) of an append table's batches.
pub const ID_COLUMN: &str = "__id";
