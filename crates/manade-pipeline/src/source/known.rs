//! The files that were read, found by number, by inode, and by what they begin with.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::discover::{Print, inode};
use super::file::{KnownFile, is_packed};

/// A file that begins with as many bytes of another one is a copy of it.
const COPY: u64 = 4096;

/// A file that has not changed for so long is not being copied any more.
pub const REST: Duration = Duration::from_secs(10);

/// The same for one of fewer bytes than [`COPY`].
const SHORT_REST: Duration = Duration::from_secs(1);

/// Files that a short one may be a copy of.
const NEAR: usize = 100;

/// Numbers grow; a folder may have a hundred thousand files, each looked for at each look at the folder.
pub struct KnownFiles {
    files: BTreeMap<u64, KnownFile>,
    /// The newest file that had the inode: one that was truncated stands before the one that it became.
    by_inode: HashMap<(u64, u64), u64>,
    /// By hash of the head, for each length of heads.
    by_head: BTreeMap<u64, HashMap<u64, BTreeSet<u64>>>,
    /// Those that could not be unpacked when they were last read, by path.
    damaged: HashMap<PathBuf, u64>,
}

impl KnownFiles {
    pub fn new(files: BTreeMap<u64, KnownFile>) -> Self {
        let mut known = Self {
            files: BTreeMap::new(),
            by_inode: HashMap::new(),
            by_head: BTreeMap::new(),
            damaged: HashMap::new(),
        };
        for (number, file) in files {
            known.put(number, file);
        }
        known
    }

    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    pub fn find(&self, number: u64) -> Option<&KnownFile> {
        self.files.get(&number)
    }

    /// A file that is known to be there.
    pub fn get(&self, number: u64) -> &KnownFile {
        &self.files[&number]
    }

    pub fn with_inode(&self, inode: (u64, u64)) -> Option<u64> {
        self.by_inode.get(&inode).copied()
    }

    /// The file at this path, where it could not be unpacked.
    pub fn damaged_at(&self, path: &Path) -> Option<u64> {
        self.damaged.get(path).copied()
    }

    pub fn add(&mut self, file: KnownFile) -> u64 {
        let number = self.files.keys().next_back().map_or(0, |last| last + 1);
        self.put(number, file);
        number
    }

    pub fn put(&mut self, number: u64, file: KnownFile) {
        if let Some(before) = self.files.get(&number) {
            let head = before.head;
            let of_len = self.by_head.get_mut(&head.len);
            if let Some(numbers) = of_len.and_then(|of_len| of_len.get_mut(&head.hash)) {
                numbers.remove(&number);
            }
            self.damaged.retain(|_, damaged| *damaged != number);
        }
        if file.damaged.is_some() {
            self.damaged.insert(file.path.clone(), number);
        }
        self.by_head.entry(file.head.len).or_default().entry(file.head.hash).or_default().insert(number);
        self.by_inode.extend(file.inode.map(|inode| (inode, number)));
        self.files.insert(number, file);
    }

    /// The file was truncated: what has its inode now is another one.
    pub fn lose(&mut self, number: u64) {
        self.damaged.retain(|_, damaged| *damaged != number);
        let Some(file) = self.files.get_mut(&number) else { return };
        if let Some(inode) = file.inode.take()
            && self.by_inode.get(&inode) == Some(&number)
        {
            self.by_inode.remove(&inode);
        }
    }

    /// The file that a new one at `path` was copied from: it begins with the same bytes up to the place read to. These
    /// are enough to be sure, or that other one is at its place and was truncated (copytruncate).
    pub fn original_of(&self, path: &Path, file: &mut File, size: u64) -> io::Result<Option<u64>> {
        for number in self.alike(file)?.into_iter().rev() {
            let known = &self.files[&number];
            if known.read == 0 || is_packed(&known.path) || size < known.read || !known.tail.matches(file)? {
                continue;
            }
            if known.read >= COPY || (known.path != path && was_truncated(known)) {
                return Ok(Some(number));
            }
        }
        Ok(None)
    }

    /// The file whose copy a new one is: all that it holds stands in the other one too, which is read. Where it is shorter
    /// than what was read, or so short that it may just begin alike, only while it may be in writing.
    pub fn copied_from(&self, path: &Path, file: &mut File, meta: &fs::Metadata) -> io::Result<Option<u64>> {
        let size = meta.len();
        if size < COPY && !changed_within(meta, SHORT_REST) {
            return Ok(None);
        }
        let print = Print::end(file, size)?;
        let mut others: Vec<u64> = self.alike(file)?.into_iter().rev().collect();
        if print.is_short() {
            // It has not all of what others are known by. They are looked at: not many, and near.
            let near = self.files.iter().rev().filter(|(_, known)| known.path.parent() == path.parent());
            others.extend(near.map(|(number, _)| *number).take(NEAR));
        }
        for number in others {
            let known = &self.files[&number];
            let is_other = known.inode.is_some_and(|of| of != inode(meta)) && !is_packed(&known.path);
            let is_copy = if size < known.read { changed_within(meta, REST) } else { size >= COPY && known.read > 0 };
            if is_other && is_copy && still_there(known) && print.matches(&mut File::open(&known.path)?)? {
                return Ok(Some(number));
            }
        }
        Ok(None)
    }

    /// Files that begin with the same bytes.
    fn alike(&self, file: &mut File) -> io::Result<BTreeSet<u64>> {
        let begin = Print::begin(file)?;
        let mut alike = BTreeSet::new();
        for (len, of_len) in self.by_head.range(..=begin.len() as u64) {
            alike.extend(of_len.get(&Print::hash(&begin[..*len as usize])).into_iter().flatten().copied());
        }
        Ok(alike)
    }
}

pub fn changed_within(meta: &fs::Metadata, time: Duration) -> bool {
    meta.modified().is_ok_and(|at| at.elapsed().is_ok_and(|age| age < time))
}

pub fn still_there(known: &KnownFile) -> bool {
    let there = || -> io::Result<bool> {
        let mut file = File::open(&known.path)?;
        let meta = file.metadata()?;
        Ok(known.is(&meta) && meta.len() >= known.read && known.head.matches(&mut file)?)
    };
    there().unwrap_or(false)
}

/// Another file would have another inode, or none.
fn was_truncated(known: &KnownFile) -> bool {
    let Ok(meta) = fs::metadata(&known.path) else { return false };
    known.inode.is_none() || (known.is(&meta) && !still_there(known))
}
