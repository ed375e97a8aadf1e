//! Which files a path means, and which of them is which.
//!
//! A file is known by its inode, when it was made, and a hash of its beginning, so that it may be renamed while it is
//! read, and so that a truncated or replaced one is a new file although its name is old.

use std::fs::{self, File, Metadata};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use globset::{GlobBuilder, GlobMatcher};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::input::Input;

/// Bytes at the beginning, and before the place read to, that tell a file from another.
const PRINT: u64 = 1024;

/// What a source's path means: a file, a folder or a glob.
#[derive(Debug, Clone)]
pub struct Selection {
    base: PathBuf,
    glob: Option<GlobMatcher>,
}

/// Bytes that a file is recognised by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Print {
    /// Where they start.
    pub from: u64,
    pub len: u64,
    /// xxh3-64.
    pub hash: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum SelectError {
    #[error("`{pattern}` is not a valid glob: {reason}")]
    Glob { pattern: String, reason: String },
}

impl Selection {
    pub fn new(path: &Path) -> Result<Self, SelectError> {
        let text = path.to_string_lossy();
        if path.exists() || !text.contains(['*', '?', '[', '{']) {
            return Ok(Self { base: path.to_owned(), glob: None });
        }
        let bad = |e: globset::Error| SelectError::Glob { pattern: text.to_string(), reason: e.kind().to_string() };
        let glob = GlobBuilder::new(&text).literal_separator(true).build().map_err(bad)?.compile_matcher();
        let fixed = path.components().take_while(|c| !c.as_os_str().to_string_lossy().contains(['*', '?', '[', '{']));
        Ok(Self { base: fixed.collect(), glob: Some(glob) })
    }

    /// The file or folder that is looked at, or the fixed part of a glob.
    pub fn base(&self) -> &Path {
        &self.base
    }

    /// The files that are there now, sorted by path; hidden files and folders are left out, in a folder also files
    /// whose extension is not that of events.
    pub fn files(&self) -> io::Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        match fs::metadata(&self.base) {
            Ok(meta) if meta.is_dir() => walk(&self.base, &mut found)?,
            Ok(_) => found.push(self.base.clone()),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(e),
        }
        match &self.glob {
            Some(glob) => found.retain(|path| glob.is_match(path)),
            None => found.retain(|path| *path == self.base || has_event_extension(path)),
        }
        found.sort();
        Ok(found)
    }
}

/// `.ndjson`, `.jsonl`, `.json`, `.csv`, also before `.gz` and `.zst`.
pub fn event_extension(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?.to_ascii_lowercase();
    let name = name.strip_suffix(".gz").or(name.strip_suffix(".zst")).unwrap_or(&name);
    let extension = name.rsplit_once('.')?.1;
    matches!(extension, "ndjson" | "jsonl" | "json" | "csv").then(|| extension.to_owned())
}

fn has_event_extension(path: &Path) -> bool {
    event_extension(path).is_some()
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let path = entry.path();
        // A file that vanishes while its folder is read was never there.
        let Ok(meta) = fs::metadata(&path) else { continue };
        if meta.is_dir() && !entry.file_type()?.is_symlink() {
            walk(&path, found)?;
        } else if meta.is_file() {
            found.push(path);
        }
    }
    Ok(())
}

impl Print {
    /// Of the file's first bytes, 1 KiB at most.
    pub fn head(file: &mut File, meta: &Metadata) -> io::Result<Self> {
        Self::read(file, 0, meta.len().min(PRINT))
    }

    /// The bytes that [`Self::head`] is of.
    pub fn begin(file: &mut File) -> io::Result<Vec<u8>> {
        file.seek(SeekFrom::Start(0))?;
        let mut bytes = Vec::new();
        file.take(PRINT).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    pub fn hash(bytes: &[u8]) -> u64 {
        xxh3_64(bytes)
    }

    /// Of the file's last bytes, 1 KiB at most.
    pub fn end(file: &mut File, size: u64) -> io::Result<Self> {
        let len = size.min(PRINT);
        Self::read(file, size - len, len)
    }

    /// Of the bytes just before `end`, which are the last of `bytes`; 1 KiB at most.
    pub fn of_tail(bytes: &[u8], end: u64) -> Self {
        let len = bytes.len().min(PRINT as usize);
        let last = &bytes[bytes.len() - len..];
        Self { from: end - len as u64, len: len as u64, hash: xxh3_64(last) }
    }

    /// The file has these bytes at this place.
    pub fn matches(&self, file: &mut File) -> io::Result<bool> {
        Ok(Self::read(file, self.from, self.len)? == *self)
    }

    /// Of what a packed file holds up to an offset: its first bytes, 1 KiB at most.
    pub fn unpacked(path: &Path, until: u64) -> io::Result<Self> {
        let mut bytes = Vec::new();
        Input::open(path)?.take(PRINT.min(until)).read_to_end(&mut bytes)?;
        Ok(Self { from: 0, len: bytes.len() as u64, hash: xxh3_64(&bytes) })
    }

    /// And what is unpacked, from its beginning.
    pub fn matches_unpacked(&self, input: &mut Input) -> io::Result<bool> {
        input.skip_to(self.from)?;
        let mut bytes = Vec::new();
        input.take(self.len).read_to_end(&mut bytes)?;
        if (bytes.len() as u64) < self.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(xxh3_64(&bytes) == self.hash)
    }

    /// It could be longer now that the file has grown.
    pub fn is_short(&self) -> bool {
        self.len < PRINT
    }

    fn read(file: &mut File, from: u64, len: u64) -> io::Result<Self> {
        file.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        file.take(len).read_to_end(&mut bytes)?;
        Ok(Self { from, len: bytes.len() as u64, hash: xxh3_64(&bytes) })
    }
}

/// The number that the file system gives a file; once the file is deleted, it may be another one's.
pub fn inode(meta: &Metadata) -> (u64, u64) {
    (meta.dev(), meta.ino())
}

/// When the file was made, in nanoseconds since the epoch, where the file system knows it.
pub fn born(meta: &Metadata) -> Option<u64> {
    let since = meta.created().ok()?.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    u64::try_from(since.as_nanos()).ok()
}
