//! The files that were read, found by number, by inode, and by what they begin with.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io;

use super::discover::{Print, inode};
use super::file::{KnownFile, is_packed};

/// Below this many bytes, a file that equals one which is still there is another file, not its copy.
const COPY: u64 = 4096;

/// Numbers grow; a folder may have a hundred thousand files, each looked for at each look at the folder.
pub struct KnownFiles {
    files: BTreeMap<u64, KnownFile>,
    /// The newest file that had the inode: one that was truncated stands before the one that it became.
    by_inode: HashMap<(u64, u64), u64>,
    /// By hash of the head, for each length of heads.
    by_head: BTreeMap<u64, HashMap<u64, BTreeSet<u64>>>,
}

impl KnownFiles {
    pub fn new(files: BTreeMap<u64, KnownFile>) -> Self {
        let mut known = Self { files: BTreeMap::new(), by_inode: HashMap::new(), by_head: BTreeMap::new() };
        for (number, file) in files {
            known.put(number, file);
        }
        known
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
        }
        self.by_head.entry(file.head.len).or_default().entry(file.head.hash).or_default().insert(number);
        self.by_inode.extend(file.inode.map(|inode| (inode, number)));
        self.files.insert(number, file);
    }

    /// The file is not there any more under its inode.
    pub fn lose(&mut self, number: u64) {
        let Some(file) = self.files.get_mut(&number) else { return };
        if let Some(inode) = file.inode.take()
            && self.by_inode.get(&inode) == Some(&number)
        {
            self.by_inode.remove(&inode);
        }
    }

    /// The file that a new one was copied from: it begins with the same bytes up to the place read to, and that other
    /// one was truncated, replaced or deleted since (copytruncate), or enough bytes are the same to be sure.
    pub fn original_of(&self, file: &mut File, size: u64) -> io::Result<Option<u64>> {
        let begin = Print::begin(file)?;
        let mut alike = BTreeSet::new();
        for (len, of_len) in self.by_head.range(..=begin.len() as u64) {
            alike.extend(of_len.get(&Print::hash(&begin[..*len as usize])).into_iter().flatten().copied());
        }
        for number in alike.into_iter().rev() {
            let known = &self.files[&number];
            if known.read == 0 || is_packed(&known.path) || size < known.read || !known.tail.matches(file)? {
                continue;
            }
            if known.read >= COPY || !still_there(known) {
                return Ok(Some(number));
            }
        }
        Ok(None)
    }
}

pub fn still_there(known: &KnownFile) -> bool {
    let there = || -> io::Result<bool> {
        let mut file = File::open(&known.path)?;
        let meta = file.metadata()?;
        Ok(Some(inode(&meta)) == known.inode && meta.len() >= known.read && known.head.matches(&mut file)?)
    };
    there().unwrap_or(false)
}
