//! Idempotency keys: what was accepted lately under which key.

use std::collections::{BTreeMap, HashMap, VecDeque};

use super::{EventBounds, IdempotencyKey};
use crate::error::AppendError;
use crate::log::{Sum, checksum};

/// What is known of a key whose entry is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// Of the body.
    pub hash: Sum,
    pub first_event: u64,
    pub count: u32,
    /// Microseconds since the epoch.
    pub at: i64,
}

#[derive(Debug, Default)]
pub struct Keys {
    known: HashMap<Sum, Known>,
    /// Oldest first.
    order: VecDeque<Sum>,
    /// The keys that a file of the log has, also some that are not known any more; and in which file a key stands.
    by_file: BTreeMap<u64, Vec<Sum>>,
    /// The body's hash of what is queued or being written.
    in_flight: HashMap<Sum, Sum>,
}

/// Bytes of a carried key: seven u64, little-endian.
const CARRIED: usize = 56;

impl Keys {
    /// `entry`: whose key it is, for an error.
    pub fn find(&self, key: &IdempotencyKey, entry: usize) -> Result<Option<Known>, AppendError> {
        let (key, hash) = hashes(key);
        match (self.known.get(&key), self.in_flight.get(&key)) {
            (Some(known), _) if known.hash == hash => Ok(Some(*known)),
            (None, Some(other)) if *other == hash => Err(AppendError::InFlight { entry }),
            (None, None) => Ok(None),
            _ => Err(AppendError::KeyReused { entry }),
        }
    }

    pub fn begin(&mut self, key: &IdempotencyKey) {
        let (key, hash) = hashes(key);
        self.in_flight.insert(key, hash);
    }

    pub fn end(&mut self, key: &IdempotencyKey) {
        self.in_flight.remove(&hashes(key).0);
    }

    /// Remembers a key that stands in a file.
    pub fn add(&mut self, key: Sum, known: Known, file: u64) {
        if self.known.insert(key, known).is_none() {
            self.order.push_back(key);
        }
        self.by_file.entry(file).or_default().push(key);
    }

    /// Forgets what is too old or too much.
    pub fn bound(&mut self, now: i64, bounds: &EventBounds) {
        let age = i64::try_from(bounds.key_age.as_micros()).unwrap_or(i64::MAX);
        while let Some(known) = self.order.front().and_then(|key| self.known.get(key)) {
            if self.order.len() <= bounds.keys && known.at >= now.saturating_sub(age) {
                break;
            }
            if let Some(key) = self.order.pop_front() {
                self.known.remove(&key);
            }
        }
    }

    /// The known keys of the files before `first`, as bytes.
    pub fn carry(&self, first: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        for key in self.by_file.range(..first).flat_map(|(_, keys)| keys) {
            if let Some(known) = self.known.get(key) {
                let [event, count, at] = [known.first_event, u64::from(known.count), known.at as u64];
                let fields = [key[0], key[1], known.hash[0], known.hash[1], event, count, at];
                bytes.extend(fields.iter().flat_map(|field| field.to_le_bytes()));
            }
        }
        bytes
    }

    /// The keys of the files before `first` stand in file `to` now.
    pub fn carried(&mut self, first: u64, to: u64) {
        let kept = self.by_file.split_off(&first);
        let old = std::mem::replace(&mut self.by_file, kept).into_values().flatten();
        let known = &self.known;
        self.by_file.entry(to).or_default().extend(old.filter(|key| known.contains_key(key)));
    }

    /// Takes keys back that were carried into a file; they are older than any other.
    pub fn restore(&mut self, bytes: &[u8], file: u64) {
        for record in bytes.chunks_exact(CARRIED).rev() {
            let field = |at: usize| u64::from_le_bytes(record[at * 8..at * 8 + 8].try_into().expect("eight bytes"));
            let key = [field(0), field(1)];
            let known = Known {
                hash: [field(2), field(3)],
                first_event: field(4),
                count: field(5) as u32,
                at: field(6) as i64,
            };
            if let std::collections::hash_map::Entry::Vacant(entry) = self.known.entry(key) {
                entry.insert(known);
                self.order.push_front(key);
            }
            self.by_file.entry(file).or_default().push(key);
        }
    }
}

/// Of the key and of the body.
pub fn hashes(key: &IdempotencyKey) -> (Sum, Sum) {
    (checksum(key.key.as_bytes()), [(key.body_hash >> 64) as u64, key.body_hash as u64])
}
