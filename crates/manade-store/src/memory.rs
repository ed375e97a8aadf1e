//! How much memory the rows of keyed tables may take, over all stores of a process.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A bound in bytes that stores share. Cheap to clone; clones are the same bound.
#[derive(Debug, Clone)]
pub struct Memory(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    bytes: u64,
    used: AtomicU64,
}

/// One store's part of what is used; gives it back when it is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    memory: Memory,
    used: u64,
}

impl Memory {
    pub fn new(bytes: u64) -> Self {
        Self(Arc::new(Shared { bytes, used: AtomicU64::new(0) }))
    }

    pub fn unbounded() -> Self {
        Self::new(u64::MAX)
    }

    pub(crate) fn is_bounded(&self) -> bool {
        self.0.bytes != u64::MAX
    }

    /// What no store uses.
    pub(crate) fn left(&self) -> u64 {
        self.0.bytes.saturating_sub(self.0.used.load(Ordering::Relaxed))
    }
}

impl Share {
    pub fn of(memory: &Memory) -> Self {
        Self { memory: memory.clone(), used: 0 }
    }

    /// The store uses so much now. Says by how much all stores together are over the bound.
    pub fn set(&mut self, used: u64) -> u64 {
        let all = &self.memory.0.used;
        let now = if used >= self.used {
            all.fetch_add(used - self.used, Ordering::Relaxed) + (used - self.used)
        } else {
            all.fetch_sub(self.used - used, Ordering::Relaxed) - (self.used - used)
        };
        self.used = used;
        now.saturating_sub(self.memory.0.bytes)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.set(0);
    }
}
