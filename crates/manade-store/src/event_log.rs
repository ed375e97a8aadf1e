//! The durable log of pushed events.
//!
//! One thread writes: whatever waits when it is free goes into one frame and one sync. A frame's header lists its
//! entries, its first section has their bytes (events, then meta, entry after entry), its second the idempotency keys
//! that were carried over from a file that is about to be dropped (56 bytes each). An entry that was read from somewhere
//! says how far: whoever reads goes on from there, so that nothing is read twice or left out whenever it is cut off.

mod keys;
mod read;
mod write;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use serde::{Deserialize, Serialize};

use self::keys::{Keys, Known};
pub use self::read::EventReader;
use crate::Clock;
use crate::error::{AppendError, CommitError, OpenError};
use crate::log::{Authority, Depth, Frame, Log, LogFile, LogOptions, Sum, create_dirs};

#[derive(Debug, Clone)]
pub struct EventBounds {
    /// Events older than this are dropped, whole files at a time, if they are not needed any more. A file is ended once
    /// it spans an eighth of this ([`EventBounds::span`]), so that none of its events is kept for much longer.
    pub age: Duration,
    /// Bytes on disk beyond which the oldest files are dropped; where these are still needed, appends are refused
    /// ([`AppendError::Full`]).
    pub bytes: u64,
    /// Bytes that may wait for the disk before [`AppendError::Full`].
    pub queue_bytes: u64,
    pub file_bytes: u64,
    /// How long and how many idempotency keys are known.
    pub key_age: Duration,
    pub keys: usize,
    pub clock: Clock,
}

impl Default for EventBounds {
    fn default() -> Self {
        Self {
            age: Duration::from_hours(24),
            bytes: 16 << 30,
            queue_bytes: 64 << 20,
            file_bytes: 64 << 20,
            key_age: Duration::from_hours(24),
            keys: 10_000_000,
            clock: crate::system_clock,
        }
    }
}

impl EventBounds {
    /// Microseconds between the first and the last event of a file at most.
    fn span(&self) -> i64 {
        micros((self.age / 8).max(LEAST_SPAN))
    }
}

/// Shorter spans would have idempotency keys written again too often.
const LEAST_SPAN: Duration = Duration::from_mins(1);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    pub key: String,
    pub body_hash: u128,
}

/// One request's events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub events: Vec<u8>,
    /// The caller's code for how `events` is to be read.
    pub format: u8,
    /// Events in it.
    pub count: u32,
    pub meta: Option<Vec<u8>>,
    pub key: Option<IdempotencyKey>,
    /// Where reading goes on behind this entry.
    pub mark: Option<Mark>,
    /// Microseconds since the epoch.
    pub accepted_at: i64,
}

/// A place in something outside that is read in order, like a partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// What is read.
    pub of: String,
    pub at: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// Number of the entry's first event; events are numbered from 0.
    pub first_event: u64,
    pub count: u32,
    /// The same key and body were accepted before; nothing was added.
    pub replayed: bool,
}

/// An entry as read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedEntry {
    pub first_event: u64,
    pub count: u32,
    pub format: u8,
    pub accepted_at: i64,
    pub events: bytes::Bytes,
    pub meta: Option<bytes::Bytes>,
}

/// Cheap to clone; the last clone's drop writes what is queued and ends the writing thread.
#[derive(Debug, Clone)]
pub struct EventLog {
    owner: Arc<Owner>,
}

#[derive(Debug)]
struct Owner {
    inner: Arc<Inner>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Inner {
    bounds: EventBounds,
    /// Locked while writing; before `state` where both are needed.
    log: Mutex<Log>,
    state: Mutex<State>,
    /// Something is queued, or the log is closed.
    work: Condvar,
    /// The durable end has moved, or the log is closed.
    durable: Condvar,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Queued>,
    queued_bytes: u64,
    closed: bool,
    /// The next event's number among the durable ones.
    next_event: u64,
    /// Events from here on are still needed.
    keep_from: u64,
    /// The newest time of acceptance; never falls.
    time: i64,
    parts: VecDeque<Part>,
    keys: Keys,
    /// The last ones that are durable, by what is read.
    marks: BTreeMap<String, u64>,
    /// Since the disk refused events, until it takes some again.
    trouble: Option<Trouble>,
}

#[derive(Debug)]
struct Trouble {
    reason: String,
    /// Of the events that were refused last.
    bytes: u64,
}

/// A file of the log.
#[derive(Debug, Clone)]
struct Part {
    file: Arc<LogFile>,
    first_event: u64,
    /// The durable end.
    end: u64,
    /// When its oldest entry was accepted; `None` while it has none.
    oldest: Option<i64>,
    /// When its newest entry was accepted.
    newest: i64,
}

#[derive(Debug)]
struct Queued {
    entry: Entry,
    slot: Arc<Slot>,
}

/// Where the writing thread leaves an entry's outcome.
#[derive(Debug, Default)]
struct Slot(Mutex<Outcome>);

#[derive(Debug, Default)]
struct Outcome {
    result: Option<Result<Appended, AppendError>>,
    /// Of whoever waits for it.
    waker: Option<Waker>,
}

/// The body of a frame's header.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    /// The number of the first event.
    first: u64,
    entries: Vec<EntryRecord>,
    /// Carried over from a file that is about to be dropped.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    marks: BTreeMap<String, u64>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EntryRecord {
    count: u32,
    format: u8,
    at: i64,
    /// Bytes of the events, and of the meta if there is one.
    events: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    meta: Option<u64>,
    /// Hashes of the idempotency key and of the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<(Sum, Sum)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mark: Option<Mark>,
}

impl EventLog {
    pub fn open(dir: &Path, bounds: EventBounds) -> Result<Self, OpenError> {
        let mut state = State::default();
        let options = LogOptions {
            authority: Authority::LaggingWitness,
            depth: Depth::Headers,
            file_bytes: bounds.file_bytes,
            read_only: false,
        };
        let log = Log::open(dir, options, |frame| state.replay(frame, &bounds))?;
        if state.parts.is_empty() {
            state.parts.extend(log.active_file().map(|(file, end)| Part {
                file,
                first_event: 0,
                end,
                oldest: None,
                newest: 0,
            }));
        }
        let inner = Arc::new(Inner {
            bounds,
            log: Mutex::new(log),
            state: Mutex::new(state),
            work: Condvar::new(),
            durable: Condvar::new(),
        });
        let writer = Arc::clone(&inner);
        let thread = std::thread::Builder::new().name("event-log".into()).spawn(move || writer.run());
        let thread = thread.map_err(|source| OpenError::io("start the writing thread of", dir, source))?;
        Ok(Self { owner: Arc::new(Owner { inner, thread: Mutex::new(Some(thread)) }) })
    }

    /// Queues a request's entries, all or none; they are durable once the ticket says so. An entry whose key
    /// was accepted before, or is an earlier entry's, is left out.
    pub fn append(&self, entries: Vec<Entry>) -> Result<Ticket, AppendError> {
        let inner = &self.owner.inner;
        let mut state = inner.state.lock();
        if state.closed {
            return Err(AppendError::Stopped);
        }
        let (new, known) = state.new_ones(entries)?;
        let bytes: u64 = new.iter().map(Entry::bytes).sum();
        let queue_full = !state.queue.is_empty() && state.queued_bytes + bytes > inner.bounds.queue_bytes;
        if !new.is_empty() && (queue_full || state.disk_full(&inner.bounds)) {
            return Err(AppendError::Full);
        }
        let mut slots = Vec::with_capacity(new.len());
        state.queued_bytes += bytes;
        for entry in new {
            if let Some(key) = &entry.key {
                state.keys.begin(key);
            }
            let slot = Arc::new(Slot::default());
            slots.push(Arc::clone(&slot));
            state.queue.push_back(Queued { entry, slot });
        }
        inner.work.notify_one();
        Ok(Ticket { slots: slots.into_iter(), new: None, known })
    }

    /// Reads durable entries from the one with event `from` on (or from the oldest kept).
    pub fn read(&self, from: u64) -> EventReader {
        EventReader::new(Arc::clone(&self.owner.inner), from)
    }

    /// Number of the oldest kept event and of the next one to be accepted durably.
    pub fn events(&self) -> std::ops::Range<u64> {
        let state = self.owner.inner.state.lock();
        state.parts.front().map_or(0, |part| part.first_event)..state.next_event
    }

    /// Where reading goes on in what is called so; durable, and kept however long nothing comes from there.
    pub fn mark(&self, of: &str) -> Option<u64> {
        self.owner.inner.state.lock().marks.get(of).copied()
    }

    /// Bytes on disk.
    pub fn bytes(&self) -> u64 {
        self.owner.inner.state.lock().bytes()
    }

    /// Blocks until event number `event` is durable, the log is closed, or `timeout` has passed; returns the next
    /// number.
    pub fn wait_for(&self, event: u64, timeout: Duration) -> u64 {
        let inner = &self.owner.inner;
        let until = Instant::now() + timeout;
        let mut state = inner.state.lock();
        while state.next_event <= event && !state.closed && !inner.durable.wait_until(&mut state, until).timed_out() {}
        state.next_event
    }

    /// Why the disk takes no events at the moment.
    pub fn trouble(&self) -> Option<String> {
        self.owner.inner.state.lock().trouble.as_ref().map(|trouble| trouble.reason.clone())
    }

    /// Says that events below `event` are not needed any more; until then nothing is dropped. Bounds apply to those.
    pub fn keep_from(&self, event: u64) {
        let mut state = self.owner.inner.state.lock();
        state.keep_from = state.keep_from.max(event);
    }

    /// Drops what is beyond the bounds and not needed; also done as files are ended.
    pub fn expire(&self) -> Result<(), AppendError> {
        self.owner.inner.expire().map_err(|error| failure(&error))
    }

    /// Copies the durable entries into `target`, an empty or new folder. All are read: a copy with damage would be found
    /// when it is needed.
    pub fn backup_to(&self, target: &Path) -> Result<(), CommitError> {
        let io = |source| CommitError::io("write", target, source);
        create_dirs(target).map_err(io)?;
        if std::fs::read_dir(target).map_err(io)?.next().is_some() {
            return Err(io(std::io::ErrorKind::DirectoryNotEmpty.into()));
        }
        let end = self.events().end;
        let mut entries = self.read(self.events().start);
        while entries.position() < end {
            if entries.next().transpose().map_err(CommitError::Unreadable)?.is_none() {
                break;
            }
        }
        self.owner.inner.log.lock().copy_to(target)
    }

    /// Writes what is queued and ends the thread; later appends are refused.
    pub fn close(&self) {
        self.owner.close();
    }
}

impl Owner {
    fn close(&self) {
        self.inner.state.lock().closed = true;
        self.inner.work.notify_all();
        self.inner.durable.notify_all();
        if let Some(thread) = self.thread.lock().take()
            && thread.join().is_err()
        {
            tracing::error!("the event log's thread panicked");
        }
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.close();
    }
}

/// The promise of an answer: ready once the entries are durable or one has failed. Tells of the new ones; where all
/// were accepted before, of these.
#[derive(Debug)]
#[must_use = "the entries are not durable yet"]
pub struct Ticket {
    /// Of the new entries that are not known to be durable.
    slots: std::vec::IntoIter<Arc<Slot>>,
    /// Those that are, together.
    new: Option<Appended>,
    /// What was accepted before, together.
    known: Option<Appended>,
}

impl Future for Ticket {
    type Output = Result<Appended, AppendError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        while let Some(slot) = self.slots.as_slice().first() {
            match slot.poll(context) {
                Poll::Ready(Ok(appended)) => {
                    self.slots.next();
                    add(&mut self.new, appended);
                }
                other => return other,
            }
        }
        let none = Appended { first_event: 0, count: 0, replayed: false };
        Poll::Ready(Ok(self.new.or(self.known).unwrap_or(none)))
    }
}

impl Slot {
    fn poll(&self, context: &Context<'_>) -> Poll<Result<Appended, AppendError>> {
        let mut outcome = self.0.lock();
        if let Some(result) = outcome.result.take() {
            return Poll::Ready(result);
        }
        outcome.waker = Some(context.waker().clone());
        Poll::Pending
    }

    fn fill(&self, result: Result<Appended, AppendError>) {
        let mut outcome = self.0.lock();
        outcome.result = Some(result);
        let waker = outcome.waker.take();
        drop(outcome);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

fn add(sum: &mut Option<Appended>, one: Appended) {
    match sum {
        Some(sum) => sum.count += one.count,
        None => *sum = Some(one),
    }
}

impl Entry {
    fn bytes(&self) -> u64 {
        (self.events.len() + self.meta.as_ref().map_or(0, Vec::len)) as u64
    }
}

impl State {
    fn bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.end).sum()
    }

    /// Beyond the bound, and what could be dropped is still needed.
    fn disk_full(&self, bounds: &EventBounds) -> bool {
        self.bytes() > bounds.bytes && self.parts.get(1).is_none_or(|second| second.first_event > self.keep_from)
    }

    /// Entries that were not accepted before; and those that were, together.
    fn new_ones(&self, entries: Vec<Entry>) -> Result<(Vec<Entry>, Option<Appended>), AppendError> {
        let (mut new, mut known) = (Vec::with_capacity(entries.len()), None);
        let mut bodies: HashMap<String, u128> = HashMap::new();
        for (at, entry) in entries.into_iter().enumerate() {
            let Some(key) = &entry.key else {
                new.push(entry);
                continue;
            };
            match bodies.insert(key.key.clone(), key.body_hash) {
                Some(hash) if hash == key.body_hash => continue,
                Some(_) => return Err(AppendError::KeyReused { entry: at }),
                None => {}
            }
            match self.keys.find(key, at)? {
                Some(Known { first_event, count, .. }) => {
                    add(&mut known, Appended { first_event, count, replayed: true });
                }
                None => new.push(entry),
            }
        }
        Ok((new, known))
    }

    fn replay(&mut self, frame: Frame<Body>, bounds: &EventBounds) -> Result<(), OpenError> {
        let body = &frame.body;
        let count: u64 = body.entries.iter().map(|entry| u64::from(entry.count)).sum();
        if let Some(carried) = frame.section(1) {
            self.keys.restore(&carried?, frame.file.number);
        }
        let mut first_event = body.first;
        for entry in &body.entries {
            self.time = self.time.max(entry.at);
            if let Some((key, hash)) = entry.key {
                self.keys.add(key, Known { hash, first_event, count: entry.count, at: self.time }, frame.file.number);
            }
            first_event += u64::from(entry.count);
        }
        self.keys.bound(self.time, bounds);
        self.next_event = body.first + count;
        self.written(&frame.file, body, frame.end);
        Ok(())
    }

    /// A frame was added to a file.
    fn written(&mut self, file: &Arc<LogFile>, body: &Body, end: u64) {
        self.marks.extend(body.marks.clone());
        let marks = body.entries.iter().filter_map(|entry| entry.mark.clone());
        self.marks.extend(marks.map(|Mark { of, at }| (of, at)));
        let oldest = body.entries.first().map(|entry| entry.at);
        if let Some(part) = self.parts.back_mut().filter(|part| part.file.number == file.number) {
            (part.end, part.oldest, part.newest) = (end, part.oldest.or(oldest), self.time);
        } else {
            let file = Arc::clone(file);
            self.parts.push_back(Part { file, first_event: body.first, end, oldest, newest: self.time });
        }
    }

    /// The file that is written to spans all that a file may.
    fn is_spanned(&self, now: i64, bounds: &EventBounds) -> bool {
        let oldest = self.parts.back().and_then(|part| part.oldest);
        oldest.is_some_and(|oldest| now.saturating_sub(oldest) >= bounds.span())
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

fn failure(error: &CommitError) -> AppendError {
    match error {
        CommitError::DiskFull { .. } => AppendError::DiskFull,
        other => AppendError::Failed(write::describe(other)),
    }
}
