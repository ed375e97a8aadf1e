//! Wakes change feeds: one blocking waiter a collection, however many clients follow it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::backend::Backend;

/// How long a waiter sleeps in a collection before it looks whether anyone still follows.
const ROUND: Duration = Duration::from_millis(500);

/// Between two looks at a collection whose pipeline does not run.
const RESTING: Duration = Duration::from_millis(100);

#[derive(Default)]
pub struct Feeds {
    waiters: Arc<Mutex<HashMap<String, watch::Sender<u64>>>>,
}

impl Feeds {
    /// The newest commit of a collection, as it moves. The channel closes when the collection is gone.
    pub fn follow(&self, backend: &Arc<dyn Backend>, name: &str, commit: u64) -> watch::Receiver<u64> {
        let mut waiters = self.waiters.lock();
        if let Some(sender) = waiters.get(name) {
            return sender.subscribe();
        }
        let (sender, receiver) = watch::channel(commit);
        waiters.insert(name.to_owned(), sender);
        let (waiters, backend, name) = (Arc::clone(&self.waiters), Arc::clone(backend), name.to_owned());
        // It ends by itself within a round once nobody follows.
        drop(tokio::task::spawn_blocking(move || wait(&waiters, backend.as_ref(), &name, commit)));
        receiver
    }
}

fn wait(waiters: &Mutex<HashMap<String, watch::Sender<u64>>>, backend: &dyn Backend, name: &str, mut commit: u64) {
    let mut generation = backend.generation();
    loop {
        // Looked up each round: a reload may have put another collection under the name.
        let collection = backend.collection(name);
        if let Some(collection) = &collection {
            let (before, began) = (commit, Instant::now());
            commit = collection.wait_beyond(before, ROUND);
            if commit <= before && began.elapsed() < ROUND {
                // Its pipeline does not run: nobody would be waited for.
                std::thread::sleep(RESTING);
            }
        }
        let mut waiters = waiters.lock();
        let followed = waiters.get(name).is_some_and(|sender| sender.receiver_count() > 0);
        if collection.is_none() || !followed {
            waiters.remove(name);
            return;
        }
        if let Some(sender) = waiters.get(name) {
            // Who follows looks whether an edit has put another collection under the name.
            let edited = std::mem::replace(&mut generation, backend.generation()) != generation;
            sender.send_if_modified(|seen| std::mem::replace(seen, commit) != commit || edited);
        }
    }
}
