//! How much is read at once: less where the SQL is slow, so that results which share the workers do not wait for each other,
//! commits come, and a crash costs little.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// What a chunk may take a worker, about.
const ABOUT: Duration = Duration::from_millis(100);

const LEAST: usize = 1024;
const FIRST: usize = 4 * 1024;
const MOST: usize = 4 * 1024 * 1024;

/// Shared by the reader and the workers.
pub struct Pace(AtomicUsize);

impl Pace {
    pub fn new() -> Self {
        Self(AtomicUsize::new(FIRST))
    }

    /// Bytes of the next chunk.
    pub fn bytes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// What a chunk's records took. Few that were quick say nothing about more; a part of a record that is too long has none,
    /// and takes no time.
    pub fn took(&self, bytes: usize, time: Duration) {
        let now = self.bytes();
        let bytes = if bytes == 0 { now } else { bytes };
        if time <= ABOUT && bytes < now / 2 {
            return;
        }
        let fitting = bytes as f64 * (ABOUT.as_secs_f64() / time.as_secs_f64().max(1e-6));
        self.0.store((fitting as usize).min(now * 2).clamp(LEAST, MOST), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_become_as_large_as_they_may_take() {
        let pace = Pace::new();
        for _ in 0..20 {
            pace.took(pace.bytes(), Duration::from_millis(1));
        }
        assert_eq!(pace.bytes(), MOST);
        pace.took(1000, Duration::from_millis(90));
        assert_eq!(pace.bytes(), MOST, "of few bytes, most of the time is not theirs");
        // A microsecond a byte.
        for _ in 0..20 {
            pace.took(pace.bytes(), Duration::from_micros(pace.bytes() as u64));
        }
        assert_eq!(pace.bytes(), 100_000);
        pace.took(1024, Duration::from_mins(1));
        assert_eq!(pace.bytes(), LEAST);
        pace.took(0, Duration::from_micros(1));
        assert_eq!(pace.bytes(), 2 * LEAST, "within a record that is too long");
    }
}
