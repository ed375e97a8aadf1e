//! From hashes to rows: one index a table, shared by all its versions.
//!
//! The index always has the newest rows, also while a commit is being shown. A reader of an older version finds in the
//! [`Step`]s after its version which entries were taken out since.

use std::sync::{Arc, OnceLock};

use hashbrown::HashTable;
use parking_lot::{RwLock, RwLockReadGuard};

use crate::store::RowRef;

/// Locks are held for one shard at a time.
const SHARDS: usize = 256;

type Entry = (u64, RowRef);

#[derive(Debug)]
pub struct Index {
    shards: Vec<RwLock<HashTable<Entry>>>,
}

/// What a commit takes out of and puts into the index.
#[derive(Debug, Default)]
pub struct IndexEdit {
    pub removed: Vec<Entry>,
    pub added: Vec<Entry>,
}

/// The entries that a commit took out, and the commit after it.
#[derive(Debug, Default)]
pub struct Step {
    removed: Vec<Entry>,
    next: OnceLock<Arc<Step>>,
}

impl Drop for Step {
    fn drop(&mut self) {
        // A long chain must not be dropped by recursion.
        let mut next = self.next.take();
        while let Some(mut step) = next.and_then(Arc::into_inner) {
            next = step.next.take();
        }
    }
}

impl Default for Index {
    fn default() -> Self {
        Self { shards: (0..SHARDS).map(|_| RwLock::default()).collect() }
    }
}

impl Index {
    /// Probes with the rows that are newest now, ordered by probe.
    pub fn lookup(&self, hashes: &[u64]) -> Vec<(u32, RowRef)> {
        const NONE: RowRef = RowRef { chunk: u32::MAX, row: u32::MAX };
        let shards: Vec<RwLockReadGuard<'_, HashTable<Entry>>> = self.shards.iter().map(RwLock::read).collect();
        let mut found = vec![NONE; hashes.len()];
        let mut more = Vec::new();
        // Shard by shard, so that each shard's table stays in the processor's cache.
        for (shard, probes) in shards.iter().zip(by_shard(hashes.iter().copied().enumerate(), |(_, hash)| *hash)) {
            for (probe, hash) in probes {
                for (_, row) in shard.iter_hash(hash).filter(|entry| entry.0 == hash) {
                    match found[probe] {
                        NONE => found[probe] = *row,
                        _ => more.push((probe as u32, *row)),
                    }
                }
            }
        }
        let first = found.into_iter().enumerate().filter(|(_, row)| *row != NONE);
        let mut rows: Vec<_> = first.map(|(probe, row)| (probe as u32, row)).collect();
        if !more.is_empty() {
            rows.extend(more);
            rows.sort_unstable();
        }
        rows
    }

    /// All rows with a hash that may belong to the version after `step`; the caller leaves out those that do not.
    pub fn candidates(&self, hash: u64, step: &Step) -> Vec<RowRef> {
        let mut rows: Vec<RowRef> = {
            let shard = self.shards[shard_of(hash)].read();
            shard.iter_hash(hash).filter(|entry| entry.0 == hash).map(|entry| entry.1).collect()
        };
        let mut step = step.next.get();
        while let Some(later) = step {
            rows.extend(later.removed.iter().filter(|entry| entry.0 == hash).map(|entry| entry.1));
            step = later.next.get();
        }
        rows.sort_unstable();
        rows.dedup();
        rows
    }

    /// Goes on to a newer version; `step` is the present one's. Readers of versions up to `step` find all their rows at
    /// any moment.
    pub fn advance(&self, step: &Step, edit: IndexEdit) -> Arc<Step> {
        let next = Arc::new(Step { removed: edit.removed, next: OnceLock::new() });
        let set = step.next.set(Arc::clone(&next));
        debug_assert!(set.is_ok(), "one thread commits");
        let removed = by_shard(next.removed.iter().copied(), |entry| entry.0);
        let added = by_shard(edit.added.into_iter(), |entry| entry.0);
        for ((shard, removed), added) in self.shards.iter().zip(removed).zip(added) {
            if removed.is_empty() && added.is_empty() {
                continue;
            }
            let mut shard = shard.write();
            for entry in removed {
                if let Ok(found) = shard.find_entry(entry.0, |other| *other == entry) {
                    found.remove();
                }
            }
            for entry in added {
                shard.insert_unique(entry.0, entry, |entry| entry.0);
            }
        }
        next
    }
}

/// Bits that hashbrown uses neither for its buckets (lowest) nor for its tags (highest seven).
fn shard_of(hash: u64) -> usize {
    (hash >> 40) as usize % SHARDS
}

fn by_shard<T>(items: impl Iterator<Item = T>, hash: impl Fn(&T) -> u64) -> Vec<Vec<T>> {
    let each = items.size_hint().0 / SHARDS;
    let mut shards: Vec<Vec<T>> = (0..SHARDS).map(|_| Vec::with_capacity(each + each / 4)).collect();
    for item in items {
        shards[shard_of(hash(&item))].push(item);
    }
    shards
}
