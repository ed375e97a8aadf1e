//! The writing thread and what is dropped.

use std::time::Duration;

use super::keys::{Known, hashes};
use super::{Appended, Body, EntryRecord, Inner, Queued, State, Trouble, failure};
use crate::error::CommitError;

/// How often is tried whether the disk takes events again.
const PROBE: Duration = Duration::from_secs(1);

/// Bytes and entries that a frame takes at most (one entry may be larger).
const FRAME_BYTES: u64 = 16 << 20;
const FRAME_ENTRIES: usize = 16 << 10;

impl Inner {
    pub fn run(&self) {
        loop {
            let batch = self.next_batch();
            if batch.is_empty() {
                return;
            }
            let files = self.state.lock().parts.len();
            self.write(batch);
            if self.state.lock().parts.len() != files
                && let Err(error) = self.expire()
            {
                tracing::warn!(%error, "cannot drop old events yet");
            }
        }
    }

    /// Waits for entries; empty once the log is closed and everything is written.
    fn next_batch(&self) -> Vec<Queued> {
        let mut state = self.state.lock();
        while state.queue.is_empty() && !state.closed {
            match state.trouble.as_ref().map(|trouble| trouble.bytes) {
                None => self.work.wait(&mut state),
                // Who was told to come back may wait to hear that there is room again.
                Some(bytes) if self.work.wait_for(&mut state, PROBE).timed_out() => {
                    drop(state);
                    let probed = self.log.lock().probe(bytes);
                    state = self.state.lock();
                    state.went(probed.as_ref().err(), bytes);
                }
                Some(_) => {}
            }
        }
        let mut batch = Vec::new();
        let mut bytes = 0;
        while let Some(queued) = state.queue.pop_front_if(|queued| {
            batch.is_empty() || (batch.len() < FRAME_ENTRIES && bytes + queued.entry.bytes() <= FRAME_BYTES)
        }) {
            bytes += queued.entry.bytes();
            batch.push(queued);
        }
        batch
    }

    fn write(&self, batch: Vec<Queued>) {
        let bytes: u64 = batch.iter().map(|queued| queued.entry.bytes()).sum();
        let outcome = self.append(&batch);
        let mut state = self.state.lock();
        state.went(outcome.as_ref().err(), bytes);
        let outcome = outcome.map_err(|error| failure(&error));
        state.queued_bytes -= bytes;
        for queued in &batch {
            if let Some(key) = &queued.entry.key {
                state.keys.end(key);
            }
        }
        drop(state);
        self.durable.notify_all();
        let mut first_event = outcome.as_ref().copied().unwrap_or(0);
        for Queued { entry, slot } in batch {
            let appended = |first_event| Appended { first_event, count: entry.count, replayed: false };
            slot.fill(outcome.clone().map(|_| appended(first_event)));
            first_event += u64::from(entry.count);
        }
    }

    /// Writes one frame and shows it; returns its first event's number.
    fn append(&self, batch: &[Queued]) -> Result<u64, CommitError> {
        let mut log = self.log.lock();
        let (first, mut time) = {
            let state = self.state.lock();
            (state.next_event, state.time)
        };
        let mut payload = Vec::new();
        let mut known = Vec::new();
        let mut next = first;
        let mut body = Body { first, entries: Vec::with_capacity(batch.len()) };
        for Queued { entry, .. } in batch {
            payload.extend_from_slice(&entry.events);
            payload.extend_from_slice(entry.meta.as_deref().unwrap_or_default());
            time = time.max(entry.accepted_at);
            let key = entry.key.as_ref().map(hashes);
            if let Some((key, hash)) = key {
                known.push((key, Known { hash, first_event: next, count: entry.count, at: time }));
            }
            body.entries.push(EntryRecord {
                count: entry.count,
                format: entry.format,
                at: entry.accepted_at,
                events: entry.events.len() as u64,
                meta: entry.meta.as_ref().map(|meta| meta.len() as u64),
                key,
            });
            next += u64::from(entry.count);
        }
        let (_, places) = log.append(&body, vec![&payload])?;
        log.confirm()?;
        let mut state = self.state.lock();
        state.next_event = next;
        state.time = time;
        for (key, known) in known {
            state.keys.add(key, known, places[0].file.number);
        }
        state.keys.bound(time, &self.bounds);
        state.written(&places[0].file, first, log.tip().end);
        Ok(first)
    }

    /// Drops files that are beyond the bounds and hold nothing that is needed. Idempotency keys are kept: they are
    /// written again first.
    pub fn expire(&self) -> Result<(), CommitError> {
        let mut log = self.log.lock();
        let now = (self.bounds.clock)();
        let (events, carried, first_file) = {
            let state = self.state.lock();
            let age = i64::try_from(self.bounds.age.as_micros()).unwrap_or(i64::MAX);
            let oldest = state.time.max(now).saturating_sub(age);
            let mut bytes = state.bytes();
            let mut drop = 0;
            for (part, next) in state.parts.iter().zip(state.parts.iter().skip(1)) {
                let due = bytes > self.bounds.bytes || part.newest < oldest;
                if !due || next.first_event > state.keep_from {
                    break;
                }
                bytes -= part.end;
                drop += 1;
            }
            if drop == 0 {
                return Ok(());
            }
            let first_file = state.parts[drop].file.number;
            (state.next_event, state.keys.carry(first_file), first_file)
        };
        if !carried.is_empty() {
            let body = Body { first: events, entries: Vec::new() };
            let (_, places) = log.append(&body, vec![&[], &carried])?;
            log.confirm()?;
            let mut state = self.state.lock();
            state.keys.carried(first_file, places[1].file.number);
            state.written(&places[1].file, events, log.tip().end);
        }
        log.begin_with(first_file);
        log.confirm()?;
        let mut state = self.state.lock();
        while state.parts.front().is_some_and(|part| part.file.number < first_file) {
            state.parts.pop_front();
        }
        Ok(())
    }
}

impl State {
    /// Notes how writing so many bytes went; the log is told of what has changed by that, once.
    fn went(&mut self, error: Option<&CommitError>, bytes: u64) {
        let reason = error.map(describe);
        if self.trouble.as_ref().map(|trouble| &trouble.reason) != reason.as_ref() {
            match &reason {
                Some(reason) => tracing::error!("{reason}; no events are accepted until it can be written"),
                None => tracing::info!("the disk can be written: events are accepted again"),
            }
        }
        self.trouble = reason.map(|reason| Trouble { reason, bytes });
    }
}

/// With its cause.
pub fn describe(error: &CommitError) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
