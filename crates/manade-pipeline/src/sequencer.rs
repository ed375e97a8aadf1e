//! Hands out watermarks in source order to workers that decode in parallel.
//!
//! A worker that has decoded chunk `n` waits for chunk `n - 1`'s largest event time, which another worker is about to
//! hand in, and gets the clocks as they stood before its own first event. So lateness is decided event by event in
//! source order, however the source was cut and whoever decoded it.

use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

use crate::progress::EventClock;

pub struct Sequencer {
    turn: Mutex<Turn>,
    passed: Condvar,
}

/// Held by a worker's thread: should it panic, nobody waits for its turn for ever.
pub struct TurnKeeper(pub Arc<Sequencer>);

impl Drop for TurnKeeper {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.close();
        }
    }
}

struct Turn {
    next: u64,
    /// By lane.
    clocks: Vec<EventClock>,
    closed: bool,
}

impl Sequencer {
    pub fn new(clocks: Vec<EventClock>) -> Self {
        Self { turn: Mutex::new(Turn { next: 0, clocks, closed: false }), passed: Condvar::new() }
    }

    /// Waits for the turn of chunk `number`, returns the lanes' clocks before it and moves those of `lanes` on to
    /// `newest` and by `events`. `None` when the pipeline stops.
    pub fn pass(&self, number: u64, lanes: &[usize], newest: Option<i64>, events: u64) -> Option<Vec<EventClock>> {
        let mut turn = self.turn.lock();
        while turn.next != number && !turn.closed {
            self.passed.wait(&mut turn);
        }
        if turn.closed {
            return None;
        }
        let before = lanes.iter().map(|lane| turn.clocks[*lane]).collect();
        for lane in lanes {
            turn.clocks[*lane].see(newest, events);
        }
        turn.next += 1;
        drop(turn);
        self.passed.notify_all();
        Some(before)
    }

    /// Windows up to `closed` were closed by the end of the source: what is replayed later is late for them.
    pub fn close_windows(&self, lane: usize, closed: Option<i64>) {
        let mut turn = self.turn.lock();
        turn.clocks[lane].closed = turn.clocks[lane].closed.max(closed);
    }

    /// Lets every waiting worker go.
    pub fn close(&self) {
        self.turn.lock().closed = true;
        self.passed.notify_all();
    }
}
