//! The witness: what the log's end was when the last frame became durable.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::frame::{Sum, VERSION, checksum};
use super::sync_dir;
use crate::error::OpenError;

const MAGIC: u64 = u64::from_le_bytes(*b"MANADEWT");
/// A slot has a block of its own, so that a torn write leaves the other whole.
const SLOT: u64 = 4096;
const USED: usize = 96;
pub const WITNESS: &str = "WITNESS";

/// The extent of a log's frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tip {
    /// The oldest file, and the chain before its first frame.
    pub first_file: u64,
    pub first_chain: Sum,
    /// The last frame's number (0: none), its file, where it ends, its chain.
    pub frame: u64,
    pub file: u64,
    pub end: u64,
    pub chain: Sum,
}

#[derive(Debug)]
pub struct Witness {
    path: PathBuf,
    file: File,
    /// Counts writes; its lowest bit is the slot.
    sequence: u64,
}

impl Witness {
    pub fn create(dir: &Path, tip: &Tip) -> Result<Self, OpenError> {
        let path = dir.join(WITNESS);
        let new = dir.join("WITNESS.new");
        let write = || {
            let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&new)?;
            file.set_len(2 * SLOT)?;
            file.write_all_at(&encode(0, tip), 0)?;
            file.write_all_at(&encode(1, tip), SLOT)?;
            file.sync_all()?;
            std::fs::rename(&new, &path)?;
            sync_dir(dir)?;
            Ok(file)
        };
        let file = write().map_err(|source| OpenError::io("create", &path, source))?;
        Ok(Self { path, file, sequence: 1 })
    }

    /// `None` where there is no witness.
    pub fn open(dir: &Path, writable: bool) -> Result<Option<(Self, Tip)>, OpenError> {
        let path = dir.join(WITNESS);
        let file = match OpenOptions::new().read(true).write(writable).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(OpenError::io("open", &path, source)),
        };
        let length = file.metadata().map_err(|source| OpenError::io("read", &path, source))?.len();
        if length != 2 * SLOT {
            let what = format!("it has {length} bytes instead of {}", 2 * SLOT);
            return Err(OpenError::Damaged { path, offset: length.min(2 * SLOT), what });
        }
        let mut slots = [None; 2];
        for (at, slot) in slots.iter_mut().enumerate() {
            let mut bytes = [0; USED];
            file.read_exact_at(&mut bytes, at as u64 * SLOT).map_err(|source| OpenError::io("read", &path, source))?;
            *slot = decode(&bytes, &path)?.filter(|(sequence, _)| sequence % 2 == at as u64);
        }
        let newest = slots.into_iter().flatten().max_by_key(|(sequence, _)| *sequence);
        let Some((sequence, tip)) = newest else {
            return Err(OpenError::Damaged { path, offset: 0, what: "neither of its two records is whole".into() });
        };
        Ok(Some((Self { path, file, sequence }, tip)))
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes without a sync. The other record, which is synced, stays until [`Witness::write`].
    pub fn note(&mut self, tip: &Tip) -> io::Result<()> {
        let next = self.sequence + 1;
        self.file.write_all_at(&encode(next, tip), (next % 2) * SLOT)
    }

    /// Writes and syncs. After an error the record on disk may be the old or the new one; the next call writes the
    /// same slot again.
    pub fn write(&mut self, tip: &Tip) -> io::Result<()> {
        let next = self.sequence + 1;
        self.file.write_all_at(&encode(next, tip), (next % 2) * SLOT)?;
        self.file.sync_data()?;
        self.sequence = next;
        Ok(())
    }
}

/// Little-endian: magic, version (u32) and zero (u32), sequence, the tip's eight numbers, checksum.
fn encode(sequence: u64, tip: &Tip) -> [u8; USED] {
    let fields = [
        MAGIC,
        u64::from(VERSION),
        sequence,
        tip.first_file,
        tip.first_chain[0],
        tip.first_chain[1],
        tip.frame,
        tip.file,
        tip.end,
        tip.chain[0],
        tip.chain[1],
    ];
    let mut bytes = [0; USED];
    for (at, field) in fields.iter().enumerate() {
        bytes[at * 8..at * 8 + 8].copy_from_slice(&field.to_le_bytes());
    }
    let sum = checksum(&bytes[..88])[1];
    bytes[88..].copy_from_slice(&sum.to_le_bytes());
    bytes
}

fn decode(bytes: &[u8; USED], path: &Path) -> Result<Option<(u64, Tip)>, OpenError> {
    let field = |at: usize| u64::from_le_bytes(bytes[at * 8..at * 8 + 8].try_into().expect("eight bytes"));
    if field(0) != MAGIC || field(11) != checksum(&bytes[..88])[1] {
        return Ok(None);
    }
    let found = field(1) as u32;
    if found != VERSION {
        return Err(OpenError::Newer { path: path.to_owned(), found, known: VERSION, program: "unknown".into() });
    }
    let tip = Tip {
        first_file: field(3),
        first_chain: [field(4), field(5)],
        frame: field(6),
        file: field(7),
        end: field(8),
        chain: [field(9), field(10)],
    };
    Ok(Some((field(2), tip)))
}
