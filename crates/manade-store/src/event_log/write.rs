//! The writing thread and what is dropped.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::keys::{Known, hashes};
use super::{Appended, Body, EntryRecord, Inner, Queued, State, Trouble, failure, micros};
use crate::error::CommitError;
use crate::log::Log;

/// How often old events are looked for, also while none come.
const CHECK: Duration = Duration::from_secs(5);

/// So long after the last frame the witness is synced, and so often while there is no such pause.
const IDLE: Duration = Duration::from_millis(20);
const BUSY: Duration = Duration::from_secs(1);

/// How often is tried whether the disk takes events again.
const PROBE: Duration = Duration::from_secs(1);

/// Bytes and entries that a frame takes at most (one entry may be larger).
const FRAME_BYTES: u64 = 16 << 20;
const FRAME_ENTRIES: usize = 16 << 10;

impl Inner {
    pub fn run(&self) {
        let (mut checked, mut witnessed) = (Instant::now(), Instant::now());
        while let Some(batch) = self.next_batch(checked + CHECK) {
            let files = self.state.lock().parts.len();
            if !batch.is_empty() {
                self.write(batch);
            }
            if witnessed.elapsed() >= BUSY {
                witnessed = Instant::now();
                self.witness();
            }
            if self.state.lock().parts.len() == files && checked.elapsed() < CHECK {
                continue;
            }
            checked = Instant::now();
            if let Err(error) = self.expire() {
                tracing::warn!(%error, "cannot drop old events yet");
            }
        }
    }

    /// Waits for entries, until `until` at the longest; `None` once the log is closed and everything is written.
    fn next_batch(&self, until: Instant) -> Option<Vec<Queued>> {
        let mut witnessed = !self.log.lock().is_ahead();
        let mut state = self.state.lock();
        while state.queue.is_empty() {
            if state.closed {
                drop(state);
                self.witness();
                return None;
            }
            let trouble = state.trouble.as_ref().map(|trouble| trouble.bytes);
            let wake = match (trouble, witnessed) {
                (Some(_), _) => until.min(Instant::now() + PROBE),
                (None, false) => until.min(Instant::now() + IDLE),
                (None, true) => until,
            };
            if !self.work.wait_until(&mut state, wake).timed_out() {
                continue;
            }
            if let Some(bytes) = trouble {
                // Who was told to come back may wait to hear that there is room again.
                drop(state);
                let probed = self.log.lock().probe(bytes);
                state = self.state.lock();
                state.went(probed.as_ref().err(), bytes);
            }
            if trouble.is_none() && !witnessed {
                drop(state);
                self.witness();
                witnessed = true;
                state = self.state.lock();
            }
            if Instant::now() >= until {
                break;
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
        Some(batch)
    }

    /// Syncs the witness, if frames are ahead of it.
    fn witness(&self) {
        if let Err(error) = self.log.lock().confirm() {
            tracing::warn!(%error, "cannot sync the witness of the event log yet");
        }
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
            if state.is_spanned((self.bounds.clock)(), &self.bounds) {
                log.end_file();
            }
            (state.next_event, state.time)
        };
        let mut payload = Vec::new();
        let mut known = Vec::new();
        let mut next = first;
        let mut body = Body { first, entries: Vec::with_capacity(batch.len()), marks: BTreeMap::new() };
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
                mark: entry.mark.clone(),
            });
            next += u64::from(entry.count);
        }
        let (_, places) = log.append(&body, vec![&payload])?;
        log.confirm_ahead()?;
        let mut state = self.state.lock();
        state.next_event = next;
        state.time = time;
        for (key, known) in known {
            state.keys.add(key, known, places[0].file.number);
        }
        state.keys.bound(time, &self.bounds);
        state.written(&places[0].file, &body, log.tip().end);
        Ok(first)
    }

    /// Drops files that are beyond the bounds and hold nothing that is needed. Idempotency keys and marks are kept: they
    /// are written again first.
    pub fn expire(&self) -> Result<(), CommitError> {
        let mut log = self.log.lock();
        let now = (self.bounds.clock)();
        self.end_old_file(&mut log, now)?;
        let (events, carried, marks, first_file) = {
            let state = self.state.lock();
            let oldest = state.time.max(now).saturating_sub(micros(self.bounds.age));
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
            (state.next_event, state.keys.carry(first_file), state.marks.clone(), first_file)
        };
        if !carried.is_empty() || !marks.is_empty() {
            let body = Body { first: events, entries: Vec::new(), marks };
            let (_, places) = log.append(&body, vec![&[], &carried])?;
            log.confirm()?;
            let mut state = self.state.lock();
            state.keys.carried(first_file, places[1].file.number);
            state.written(&places[1].file, &body, log.tip().end);
        }
        log.begin_with(first_file);
        log.confirm()?;
        let mut state = self.state.lock();
        while state.parts.front().is_some_and(|part| part.file.number < first_file) {
            state.parts.pop_front();
        }
        Ok(())
    }

    /// Where all that is kept is too old and not needed, no event would come to begin the file that takes the place of
    /// the last one: a frame without events does.
    fn end_old_file(&self, log: &mut Log, now: i64) -> Result<(), CommitError> {
        let body = {
            let state = self.state.lock();
            let oldest = state.time.max(now).saturating_sub(micros(self.bounds.age));
            let is_old = state.parts.back().is_some_and(|part| part.newest < oldest);
            if !is_old || !state.is_spanned(now, &self.bounds) || state.next_event > state.keep_from {
                return Ok(());
            }
            Body { first: state.next_event, entries: Vec::new(), marks: BTreeMap::new() }
        };
        log.end_file();
        let (_, places) = log.append(&body, vec![&[]])?;
        log.confirm()?;
        self.state.lock().written(&places[0].file, &body, log.tip().end);
        Ok(())
    }
}

impl State {
    /// Notes how writing so many bytes went; the log is told of what has changed by that, once.
    fn went(&mut self, error: Option<&CommitError>, bytes: u64) {
        let reason = error.map(describe);
        if self.trouble.as_ref().map(|trouble| &trouble.reason) != reason.as_ref() {
            if let Some(reason) = &reason {
                tracing::error!("{reason}; no events are accepted until it can be written");
            } else {
                tracing::info!("the disk can be written: events are accepted again");
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
