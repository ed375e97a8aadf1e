//! What a disk holds after a power cut: file operations as the shim wrote them down, without those that were not synced.
//!
//! The model is what POSIX promises and no more: what was written to a file before its sync is there, its name is there
//! once the folder was synced, and of everything else any part may be there.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::random::Random;

const PAGE: usize = 4096;

/// What of the unsynced is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsynced {
    Nothing,
    /// Of each folder the first changes of names, of each file any pages.
    Some,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Node {
    Folder,
    File(usize),
}

type Names = BTreeMap<String, Node>;

enum NameChange {
    Set(String, Node),
    Remove(String),
    Move(String, String),
}

enum DataChange {
    Write(usize, Vec<u8>),
    Length(usize),
}

#[derive(Default)]
struct FileState {
    synced: Vec<u8>,
    /// By the number of their records.
    pending: Vec<(u64, DataChange)>,
}

/// Paths are relative; the folder itself is "".
#[derive(Default)]
pub struct Disk {
    names: Names,
    synced: Names,
    /// By the number of their records, with the folder that they change.
    pending: Vec<(u64, String, NameChange)>,
    files: Vec<FileState>,
    inodes: HashMap<u64, usize>,
    records: u64,
}

impl Disk {
    /// A folder, all of which is synced.
    pub fn of(folder: &Path) -> Result<Self> {
        let mut disk = Self::default();
        disk.load(folder, "")?;
        disk.synced = disk.names.clone();
        Ok(disk)
    }

    /// Takes in a journal; the end of one that breaks off inside a record is left out.
    pub fn replay(&mut self, journal: &[u8]) -> Result<()> {
        let mut rest = journal;
        while let Some((head, after)) = rest.split_at_checked(32) {
            let number = |at: usize| u64::from_le_bytes(head[at..at + 8].try_into().expect("eight bytes"));
            let (kind, length) = (number(0) as u32, (number(0) >> 32) as usize);
            let Some((payload, after)) = after.split_at_checked(length) else { break };
            self.record(kind, number(8), number(16), payload)?;
            self.records += 1;
            rest = after;
        }
        Ok(())
    }

    /// What is there after the power was cut.
    pub fn cut(&mut self, unsynced: Unsynced, random: &mut Random) {
        if unsynced == Unsynced::Some {
            let mut folders: BTreeMap<String, u64> = BTreeMap::new();
            for (_, folder, change) in std::mem::take(&mut self.pending) {
                // Each folder's changes break off somewhere.
                let left = folders.entry(folder).or_insert_with(|| random.below(6));
                if *left > 0 {
                    *left -= 1;
                    change.apply(&mut self.synced);
                }
            }
            for file in &mut self.files {
                for (_, change) in std::mem::take(&mut file.pending) {
                    change.apply_partly(&mut file.synced, random);
                }
            }
        }
        self.pending.clear();
        self.files.iter_mut().for_each(|file| file.pending.clear());
    }

    /// Makes the folder what the disk holds.
    pub fn write(&self, folder: &Path) -> Result<()> {
        fs::remove_dir_all(folder).with_context(|| format!("empty {}", folder.display()))?;
        fs::create_dir(folder)?;
        // A folder's name comes before those in it.
        for (path, node) in &self.synced {
            let path = folder.join(path);
            if !path.parent().is_some_and(Path::is_dir) {
                continue;
            }
            match node {
                Node::Folder => fs::create_dir(&path)?,
                Node::File(file) => fs::write(&path, &self.files[*file].synced)?,
            }
        }
        Ok(())
    }

    fn load(&mut self, folder: &Path, prefix: &str) -> Result<()> {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name().into_string().ok().context("names are plain")?;
            let path = format!("{prefix}{name}");
            if entry.file_type()?.is_dir() {
                self.names.insert(path.clone(), Node::Folder);
                self.load(&entry.path(), &format!("{path}/"))?;
            } else {
                let file = self.add_file(entry.metadata()?.ino());
                self.files[file].synced = fs::read(entry.path())?;
                self.names.insert(path, Node::File(file));
            }
        }
        Ok(())
    }

    fn add_file(&mut self, inode: u64) -> usize {
        self.files.push(FileState::default());
        self.inodes.insert(inode, self.files.len() - 1);
        self.files.len() - 1
    }

    fn record(&mut self, kind: u32, inode: u64, at: u64, payload: &[u8]) -> Result<()> {
        let text = || std::str::from_utf8(payload).context("paths are UTF-8").map(str::to_owned);
        let two = || text().map(|text| text.split_once('\0').map(|(a, b)| (a.to_owned(), b.to_owned())));
        match kind {
            CREATE => {
                let file = self.add_file(inode);
                self.change(NameChange::Set(text()?, Node::File(file)));
            }
            WRITE => self.pend(inode, DataChange::Write(at as usize, payload.to_vec()))?,
            TRUNCATE => self.pend(inode, DataChange::Length(at as usize))?,
            SYNC => self.sync(inode, at, &text()?)?,
            RENAME => {
                let (from, to) = two()?.context("two paths")?;
                self.change(NameChange::Move(from, to));
            }
            LINK => {
                let (from, to) = two()?.context("two paths")?;
                let node = *self.names.get(&from).with_context(|| format!("{from} is not there"))?;
                self.change(NameChange::Set(to, node));
            }
            UNLINK | RMDIR => {
                let (path, _) = two()?.context("two paths")?;
                self.change(NameChange::Remove(path));
            }
            MKDIR => {
                let (path, _) = two()?.context("two paths")?;
                self.change(NameChange::Set(path, Node::Folder));
            }
            other => bail!("a record of kind {other}"),
        }
        Ok(())
    }

    fn pend(&mut self, inode: u64, change: DataChange) -> Result<()> {
        let file = *self.inodes.get(&inode).with_context(|| format!("inode {inode} was never opened"))?;
        self.files[file].pending.push((self.records, change));
        Ok(())
    }

    fn change(&mut self, change: NameChange) {
        let folder = parent(change.path()).to_owned();
        change.apply(&mut self.names);
        self.pending.push((self.records, folder, change));
    }

    /// What was recorded before record `before` is durable.
    fn sync(&mut self, inode: u64, before: u64, path: &str) -> Result<()> {
        if path.is_empty() || self.names.get(path) == Some(&Node::Folder) {
            let (done, waiting) =
                std::mem::take(&mut self.pending).into_iter().partition(|(at, of, _)| *at < before && of == path);
            self.pending = waiting;
            let done: Vec<(u64, String, NameChange)> = done;
            for (_, _, change) in &done {
                change.apply(&mut self.synced);
            }
            return Ok(());
        }
        let file = *self.inodes.get(&inode).with_context(|| format!("{path} was never opened"))?;
        let FileState { synced, pending } = &mut self.files[file];
        while pending.first().is_some_and(|(at, _)| *at < before) {
            pending.remove(0).1.apply(synced);
        }
        Ok(())
    }
}

/// As the shim counts them.
const CREATE: u32 = 1;
const WRITE: u32 = 2;
const TRUNCATE: u32 = 3;
const SYNC: u32 = 4;
const RENAME: u32 = 5;
const UNLINK: u32 = 6;
const LINK: u32 = 7;
const MKDIR: u32 = 8;
const RMDIR: u32 = 9;

impl NameChange {
    fn path(&self) -> &str {
        match self {
            Self::Set(path, _) | Self::Remove(path) | Self::Move(_, path) => path,
        }
    }

    fn apply(&self, names: &mut Names) {
        match self {
            Self::Set(path, node) => drop(names.insert(path.clone(), *node)),
            Self::Remove(path) => drop(names.remove(path)),
            Self::Move(from, to) => {
                let below = format!("{from}/");
                let moved: Vec<String> =
                    names.keys().filter(|name| *name == from || name.starts_with(&below)).cloned().collect();
                for name in moved {
                    let node = names.remove(&name).expect("it was found");
                    names.insert(format!("{to}{}", &name[from.len()..]), node);
                }
            }
        }
    }
}

impl DataChange {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Write(at, new) => {
                bytes.resize(bytes.len().max(at + new.len()), 0);
                bytes[*at..at + new.len()].copy_from_slice(new);
            }
            Self::Length(length) => bytes.resize(*length, 0),
        }
    }

    /// Some pages of it, or none.
    fn apply_partly(&self, bytes: &mut Vec<u8>, random: &mut Random) {
        match self {
            Self::Length(_) if random.below(2) == 0 => self.apply(bytes),
            Self::Length(_) => {}
            Self::Write(at, new) => {
                for start in (0..new.len()).step_by(PAGE) {
                    if random.below(2) == 0 {
                        let part = new[start..new.len().min(start + PAGE)].to_vec();
                        Self::Write(at + start, part).apply(bytes);
                    }
                }
            }
        }
    }
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: u32, inode: u64, at: u64, payload: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&kind.to_le_bytes());
        bytes.extend_from_slice(&(payload.len() as u32).to_le_bytes());
        for number in [inode, at, 0] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(payload.as_bytes());
        bytes
    }

    /// What is on the disk after these, with nothing of the unsynced.
    fn after(records: &[Vec<u8>]) -> Vec<(String, String)> {
        let mut disk = Disk::default();
        disk.replay(&records.concat()).unwrap();
        disk.cut(Unsynced::Nothing, &mut Random::new(1));
        let text = |node: &Node| match node {
            Node::Folder => "/".to_owned(),
            Node::File(file) => String::from_utf8(disk.files[*file].synced.clone()).unwrap(),
        };
        disk.synced.iter().map(|(path, node)| (path.clone(), text(node))).collect()
    }

    #[test]
    fn only_what_was_synced_is_there() {
        let create = record(CREATE, 7, 0, "a");
        let write = |at, text| record(WRITE, 7, at, text);
        let sync = |before| record(SYNC, 7, before, "a");
        let sync_folder = |before| record(SYNC, 1, before, "");
        let rename = record(RENAME, 0, 0, "a\0b");
        let of = |path: &str, text: &str| (path.to_owned(), text.to_owned());
        assert_eq!(after(&[create.clone(), write(0, "one"), sync(2)]), [], "its name was not synced");
        assert_eq!(after(&[create.clone(), sync_folder(1), write(0, "one")]), [of("a", "")], "its bytes were not");
        let synced = [create, write(0, "one"), sync(2), sync_folder(3)].to_vec();
        let with = |more: &[Vec<u8>]| after(&[&synced[..], more].concat());
        assert_eq!(with(&[]), [of("a", "one")]);
        assert_eq!(with(&[write(1, "XX")]), [of("a", "one")]);
        assert_eq!(with(&[write(1, "XX"), write(3, "YY"), sync(5)]), [of("a", "oXX")], "written during the sync");
        assert_eq!(with(std::slice::from_ref(&rename)), [of("a", "one")]);
        assert_eq!(with(&[rename.clone(), sync_folder(5)]), [of("b", "one")]);
        assert_eq!(with(&[rename, sync_folder(4)]), [of("a", "one")], "renamed during the sync");
        assert_eq!(with(&[record(TRUNCATE, 7, 1, ""), sync(5)]), [of("a", "o")]);
        assert_eq!(with(&[record(UNLINK, 0, 0, "a\0a"), sync_folder(5)]), []);
        // A record that breaks off does not count.
        let mut torn = write(0, "XXX");
        torn.pop();
        assert_eq!(with(&[torn]), [of("a", "one")]);
    }

    #[test]
    fn a_folder_moves_with_what_is_in_it() {
        let records = [
            record(MKDIR, 0, 0, "d\0d"),
            record(CREATE, 7, 0, "d/a"),
            record(SYNC, 2, 2, "d"),
            record(SYNC, 1, 3, ""),
            record(RENAME, 0, 0, "d\0e"),
            record(SYNC, 1, 5, ""),
        ];
        let names: Vec<String> = after(&records).into_iter().map(|(path, _)| path).collect();
        assert_eq!(names, ["e", "e/a"]);
    }
}
