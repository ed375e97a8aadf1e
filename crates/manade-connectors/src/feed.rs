//! Reading a source outside, in the background.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use manade_pipeline::status::FeedStatus;
use parking_lot::Mutex;
use tokio::runtime::Runtime;
use tokio::sync::watch;

/// Reads for one pipeline until it is dropped.
pub struct Feed {
    state: Arc<State>,
    stop: watch::Sender<bool>,
    /// Disconnected once reading has ended.
    ended: Receiver<()>,
}

#[derive(Default)]
pub(crate) struct State {
    trouble: Mutex<Option<String>>,
    ready: Mutex<Option<u64>>,
    pub received: AtomicU64,
    pub repeated: AtomicU64,
    pub unacknowledged: AtomicU64,
}

/// Becomes true once reading is to end.
pub(crate) type Stop = watch::Receiver<bool>;

impl Feed {
    pub(crate) fn start<F>(runtime: &Runtime, read: impl FnOnce(Arc<State>, Stop) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let state = Arc::new(State::default());
        let (stop, stopped) = watch::channel(false);
        let (running, ended) = channel();
        let read = read(Arc::clone(&state), stopped);
        runtime.spawn(async move {
            // Goes whichever way reading ends.
            let _running: Sender<()> = running;
            read.await;
        });
        Self { state, stop, ended }
    }

    pub fn status(&self) -> FeedStatus {
        FeedStatus {
            trouble: self.state.trouble.lock().clone(),
            received: self.state.received.load(Ordering::Relaxed),
            repeated: self.state.repeated.load(Ordering::Relaxed),
            unacknowledged: self.state.unacknowledged.load(Ordering::Relaxed),
            ready: *self.state.ready.lock(),
        }
    }
}

impl Drop for Feed {
    /// Blocks until what was received is acknowledged, or given up.
    fn drop(&mut self) {
        self.stop.send_replace(true);
        let _ = self.ended.recv();
    }
}

impl State {
    /// `None`: it reads.
    pub fn waits_for(&self, trouble: Option<String>) {
        *self.trouble.lock() = trouble;
    }

    pub fn ready(&self, messages: Option<u64>) {
        *self.ready.lock() = messages;
    }
}
