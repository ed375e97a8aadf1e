//! What a sink outside is still to be told of a result's rows.
//!
//! A transactional outbox without a second copy of the rows: they are committed once, to the collection, and all that is
//! stored beside them is how far each sink has been told ([`SinkProgress`]), a commit for rows that change, a row's number
//! for rows that are appended. What a sink has is noted with whatever is committed next, so after a crash some rows are told
//! again; sinks write so that this is harmless. Rows that the sink refuses for good become dead letters in the same commit
//! that notes it.
//!
//! A reader that comes from so far back that the collection no longer knows what changed begins anew: with all present
//! rows, and the removal of what is older. Appended rows are not dropped before they were told
//! ([`retain`](crate::retain)).

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, AsArray, RecordBatch};
use crossbeam_channel::{RecvTimeoutError, Sender, bounded};
use manade_model::OutsideSink;
use parking_lot::Mutex;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use crate::collection::{ChangeKind, Collection, CollectionInfo, CollectionKind, ReadError, RowBatches, ScanRequest};
use crate::dead_letter::Stage;
use crate::engine::Command;
use crate::job::{Dead, RawFormat};
use crate::plan::Plan;
use crate::progress::{Progress, SinkProgress};
use crate::status::{PipelineStatus, SinkStatus};
use crate::values;
use crate::view::{ChangeBatches, ResultCollection};

/// Refused rows that wait in memory to be noted together with how far the sink was told.
const REFUSED: usize = 1_000;

/// How far every sink of a pipeline was told; shared by those who tell and by the merging thread, which notes it.
#[derive(Default)]
pub struct Tails(Mutex<BTreeMap<TailKey, SinkProgress>>);

/// The results of a pipeline, for their sinks outside.
pub(crate) struct Sinks {
    pub results: Vec<Arc<ResultCollection>>,
    pub tails: Arc<Tails>,
}

/// Result and sink.
type TailKey = (String, String);

/// Rows of one result for one sink, in the order in which they are to be written.
pub struct Outbox {
    result: String,
    sink: OutsideSink,
    collection: Arc<ResultCollection>,
    tails: Arc<Tails>,
    commands: Sender<Command>,
    at: At,
    /// The commit at which it was looked for something to read.
    seen: Option<u64>,
    /// As it is noted, or will be.
    tail: SinkProgress,
    /// Not noted yet.
    refused: Vec<Dead>,
    /// Appended rows before it were taken, and may not be written yet.
    taken: Option<u64>,
}

/// What the outbox is reading.
enum At {
    Rest,
    /// Changes up to a commit.
    Changes(u64, Peekable<ChangeBatches>),
    /// All rows of a commit.
    All(u64, Peekable<RowBatches>),
    /// All rows of a commit were written.
    Removal(u64),
    /// Appended rows.
    Rows(Peekable<RowBatches>, u64),
}

/// Rows to be written together.
#[derive(Debug, Clone)]
pub struct Portion {
    pub kind: PortionKind,
    /// Visible columns, then [`KEY_COLUMN`](crate::collection::KEY_COLUMN); of deleted rows only the key's are known.
    pub rows: RecordBatch,
    /// Grows with each change of a row, also where a dropped result is computed again.
    pub revision: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortionKind {
    Upsert,
    Delete,
    Append,
    /// No rows: what is of an earlier revision is no longer there.
    RemoveOlder,
}

/// A row that a sink does not take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedRow {
    /// Of the portion.
    pub row: usize,
    pub reason: String,
}

#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    #[error("the pipeline has stopped")]
    Stopped,
    #[error("{0}")]
    NotNoted(String),
}

impl Portion {
    /// The same for a row that is told again, another one for every other row and revision of the result.
    pub fn identity(&self, row: usize) -> u128 {
        xxh3_128(&[&[self.kind as u8][..], &self.revision.to_be_bytes(), self.key(row)].concat())
    }

    /// Of an appended row.
    pub fn number(&self, row: usize) -> Option<u64> {
        self.key(row).try_into().ok().map(u64::from_be_bytes)
    }

    /// Of a group, what its columns `GROUP BY` are; of an appended row its number. Empty without either.
    pub fn key(&self, row: usize) -> &[u8] {
        key_at(&self.rows, row).unwrap_or_default()
    }
}

impl Tails {
    pub fn new(progress: &Progress) -> Self {
        let of = |(result, of): (&String, &crate::progress::ResultProgress)| -> Vec<_> {
            of.sinks.iter().map(|(sink, tail)| ((result.clone(), sink.clone()), tail.clone())).collect()
        };
        Self(Mutex::new(progress.results.iter().flat_map(of).collect()))
    }

    /// Writes into progress how far sinks were told.
    pub fn note(&self, progress: &mut Progress) {
        for ((result, sink), tail) in &*self.0.lock() {
            if let Some(noted) = progress.results.get_mut(result).and_then(|of| of.sinks.get_mut(sink)) {
                *noted = tail.clone();
            }
        }
    }

    /// Whether progress lacks something that is worth a commit. That a sink has seen commits which changed nothing for it is
    /// not: noting that is a commit too.
    pub fn are_ahead_of(&self, progress: &Progress) -> bool {
        self.0.lock().iter().any(|((result, sink), tail)| {
            let noted = progress.results.get(result).and_then(|of| of.sinks.get(sink));
            noted.is_some_and(|noted| {
                (noted.delivered, noted.refused, noted.told.is_some())
                    != (tail.delivered, tail.refused, tail.told.is_some())
            })
        })
    }

    pub fn get(&self, result: &str, sink: &str) -> SinkProgress {
        self.0.lock().get(&(result.to_owned(), sink.to_owned())).cloned().unwrap_or_default()
    }

    pub fn set(&self, result: &str, sink: &str, tail: SinkProgress) {
        self.0.lock().insert((result.to_owned(), sink.to_owned()), tail);
    }
}

impl Sinks {
    pub fn outboxes(&self, plan: &Plan, commands: &Sender<Command>) -> Vec<Outbox> {
        let mut outboxes = Vec::new();
        for result in &plan.results {
            let name = result.spec.name.as_str();
            let Some(collection) = self.result(name) else { continue };
            for sink in &result.spec.outside {
                let (collection, tails) = (Arc::clone(collection), Arc::clone(&self.tails));
                outboxes.push(Outbox::new(name, sink.clone(), collection, tails, commands.clone()));
            }
        }
        outboxes
    }

    /// How the sinks stand now.
    pub fn fill(&self, status: &mut PipelineStatus) {
        for result in status.results.iter_mut().filter(|result| !result.sinks.is_empty()) {
            let collection = self.result(&result.name);
            for sink in &mut result.sinks {
                let tail = self.tails.get(&result.name, &sink.name);
                (sink.delivered, sink.refused) = (tail.delivered, tail.refused);
                sink.waiting = collection.map_or(0, |collection| collection.count_since(tail.told));
            }
        }
    }

    /// Whether they have all rows that are committed.
    pub fn are_told(&self, plan: &Plan) -> bool {
        plan.results.iter().all(|result| {
            let name = result.spec.name.as_str();
            result.spec.outside.iter().all(|sink| {
                let told = self.tails.get(name, &sink.name()).told;
                told.is_some() && self.result(name).is_none_or(|collection| collection.count_since(told) == 0)
            })
        })
    }

    fn result(&self, name: &str) -> Option<&Arc<ResultCollection>> {
        self.results.iter().find(|collection| collection.info().name == name)
    }
}

impl Outbox {
    pub(crate) fn new(
        result: &str,
        sink: OutsideSink,
        collection: Arc<ResultCollection>,
        tails: Arc<Tails>,
        commands: Sender<Command>,
    ) -> Self {
        let mut tail = tails.get(result, &sink.name());
        // What left the first rows of an order before is not known any more.
        if collection.info().kind == CollectionKind::Top {
            tail.told = None;
        }
        let (result, refused) = (result.to_owned(), Vec::new());
        Self { result, sink, collection, tails, commands, at: At::Rest, seen: None, tail, refused, taken: None }
    }

    pub fn sink(&self) -> &OutsideSink {
        &self.sink
    }

    pub fn info(&self) -> Arc<CollectionInfo> {
        self.collection.info()
    }

    /// Another one for a result that was dropped and is computed again, and for every other result.
    pub fn generation(&self) -> u64 {
        xxh3_64(format!("{}\0{}\0{}", self.info().pipeline, self.result, self.collection.began()).as_bytes())
    }

    /// What is to be written next, once the portion before is [`done`](Self::done); waits for it for so long.
    pub fn next(&mut self, wait: Duration) -> Result<Option<Portion>, ReadError> {
        if matches!(self.at, At::Rest) && !self.begin(wait)? {
            return Ok(None);
        }
        let (began, empty) =
            (self.collection.began(), || RecordBatch::new_empty(Arc::new(arrow::datatypes::Schema::empty())));
        let revision = |commit: u64| began.saturating_add(i64::try_from(commit).unwrap_or(i64::MAX));
        let next: Option<Result<Portion, ReadError>> = match &mut self.at {
            At::Rest => return Ok(None),
            At::Changes(_, batches) => batches.next().map(|batch| {
                let batch = batch?;
                let kind = match batch.kind {
                    ChangeKind::Delete => PortionKind::Delete,
                    ChangeKind::Upsert | ChangeKind::Append => PortionKind::Upsert,
                };
                Ok(Portion { kind, rows: batch.rows, revision: revision(batch.commit) })
            }),
            At::All(commit, batches) => {
                let of = revision(*commit);
                batches.next().map(|rows| Ok(Portion { kind: PortionKind::Upsert, rows: rows?, revision: of }))
            }
            At::Removal(commit) => {
                let revision = revision(*commit);
                Some(Ok(Portion { kind: PortionKind::RemoveOlder, rows: empty(), revision }))
            }
            At::Rows(batches, _) => {
                batches.next().map(|rows| Ok(Portion { kind: PortionKind::Append, rows: rows?, revision: revision(0) }))
            }
        };
        match next {
            Some(Ok(portion)) => Ok(Some(portion)),
            // It is read again, from what is noted.
            Some(Err(error)) => {
                self.at = At::Rest;
                Err(error)
            }
            None => Ok(None),
        }
    }

    /// The last portion was written: so many rows of it, and all but the refused ones.
    pub fn done(&mut self, portion: &Portion, written: u64, refused: &[RefusedRow]) -> Result<(), OutboxError> {
        let letters = refused.iter().map(|refused| self.letter(portion, refused));
        let letters: Vec<Dead> = letters.collect();
        self.refused.extend(letters);
        self.tail.delivered += written;
        self.tail.refused += refused.len() as u64;
        if let At::Rows(_, next) = &mut self.at {
            *next = last_row(&portion.rows).map_or(*next, |row| row + 1);
        }
        if matches!(self.at, At::Removal(_)) {
            self.end();
        }
        self.settle();
        self.note()
    }

    /// The last portion was taken but for the refused rows, to be written together with others: what is next is behind it.
    /// Of appended rows only.
    pub fn taken(&mut self, portion: &Portion, refused: &[RefusedRow]) {
        let letters: Vec<Dead> = refused.iter().map(|refused| self.letter(portion, refused)).collect();
        self.tail.refused += letters.len() as u64;
        self.refused.extend(letters);
        if let At::Rows(batches, next) = &mut self.at {
            *next = last_row(&portion.rows).map_or(*next, |row| row + 1);
            self.taken = Some(*next);
            if batches.peek().is_none() {
                self.at = At::Rest;
            }
        }
    }

    /// Of the rows that were [taken](Self::taken), those before this one are written, so many of them.
    pub fn done_before(&mut self, end: u64, written: u64) -> Result<(), OutboxError> {
        self.tail.delivered += written;
        self.tail.told = self.tail.told.max(Some(end));
        self.note()
    }

    /// What was taken and is not done is next once more.
    pub fn take_again(&mut self) {
        self.tail.refused -= self.refused.drain(..).len() as u64;
        self.taken = None;
        self.at = At::Rest;
        self.seen = None;
    }

    /// Finds what is to be read; `false` where there is nothing.
    fn begin(&mut self, wait: Duration) -> Result<bool, ReadError> {
        let appends = self.collection.appends();
        let told = self.tail.told;
        if let Some(seen) = self.seen.filter(|seen| *seen == self.collection.commit()) {
            self.collection.wait_beyond(seen, wait);
        }
        self.seen = Some(self.collection.commit());
        self.at = match told {
            _ if appends => {
                let first = self.taken.or(told).unwrap_or_default();
                let (end, batches) = self.collection.rows_from(first);
                if end > first { At::Rows(batches.peekable(), first) } else { At::Rest }
            }
            None => self.all()?,
            Some(told) => match self.collection.feed(told) {
                Ok((commit, _)) if commit <= told => At::Rest,
                Ok((commit, batches)) => At::Changes(commit, batches.peekable()),
                Err(ReadError::Gone { .. }) => {
                    tracing::warn!(
                        result = %self.result, sink = %self.sink.name(),
                        "what changed since the sink was written last is no longer known: all rows are sent anew"
                    );
                    self.all()?
                }
                Err(error) => return Err(error),
            },
        };
        self.settle();
        // Without anything to write, there is nothing to be refused or noted at once; what is refused is noted with the rows.
        if self.refused.is_empty() {
            self.tails.set(&self.result, &self.sink.name(), self.tail.clone());
        }
        Ok(!matches!(self.at, At::Rest))
    }

    fn all(&mut self) -> Result<At, ReadError> {
        self.tail.told = None;
        // Where this was begun before, they are refused again.
        self.tail.refused -= self.refused.drain(..).len() as u64;
        let rows = self.collection.snapshot()?;
        let commit = rows.commit();
        Ok(At::All(commit, rows.scan(&ScanRequest::default()).peekable()))
    }

    /// Goes over to what comes next where all of something was written, and says how far the sink is.
    fn settle(&mut self) {
        match &mut self.at {
            At::Rest | At::Removal(_) => {}
            At::Changes(commit, batches) => match batches.peek() {
                None => self.end(),
                // Those before are whole.
                Some(Ok(next)) => {
                    let before = next.commit.saturating_sub(1).min(*commit);
                    self.tail.told = self.tail.told.max(Some(before));
                }
                Some(Err(_)) => {}
            },
            At::All(commit, batches) => {
                let commit = *commit;
                if batches.peek().is_none() {
                    self.at = At::Removal(commit);
                }
            }
            At::Rows(batches, next) => {
                if self.taken.is_none() {
                    self.tail.told = self.tail.told.max(Some(*next));
                }
                if batches.peek().is_none() {
                    self.at = At::Rest;
                }
            }
        }
    }

    fn end(&mut self) {
        if let At::Changes(commit, _) | At::Removal(commit) = &self.at {
            self.tail.told = self.tail.told.max(Some(*commit));
        }
        self.at = At::Rest;
    }

    /// Has it noted how far the sink is, with the rows that it refused in the same commit. [`Self::done`] does it by itself;
    /// where it could not, it is to be tried again.
    pub fn note(&mut self) -> Result<(), OutboxError> {
        let (result, sink, tail) = (self.result.clone(), self.sink.name(), self.tail.clone());
        let is_on_the_way = matches!(self.at, At::All(..) | At::Removal(_)) && self.refused.len() < REFUSED;
        if self.refused.is_empty() || is_on_the_way {
            if self.refused.is_empty() {
                self.tails.set(&result, &sink, tail);
            }
            return Ok(());
        }
        let (reply, answer) = bounded(1);
        let command = Command::Refused { result, sink, tail, letters: self.refused.clone(), reply };
        self.commands.send(command).map_err(|_| OutboxError::Stopped)?;
        match answer.recv_timeout(Duration::from_mins(1)) {
            Ok(Ok(())) => self.refused.clear(),
            Ok(Err(reason)) => return Err(OutboxError::NotNoted(reason)),
            // It may still be noted, and is not to be twice.
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return Err(OutboxError::Stopped),
        }
        Ok(())
    }

    fn letter(&self, portion: &Portion, refused: &RefusedRow) -> Dead {
        let info = self.info();
        let names = info.columns.iter().map(|column| column.name.clone());
        let cells = portion.rows.columns().iter().map(|column| values::json(column, refused.row));
        let object: serde_json::Map<String, serde_json::Value> = names.zip(cells).collect();
        let raw = serde_json::to_vec(&object).expect("rows are plain data");
        let row = portion.number(refused.row).filter(|_| portion.kind == PortionKind::Append);
        Dead {
            stage: Stage::Sink,
            reason: format!("{}: {}", self.sink.name(), refused.reason),
            position: match row {
                Some(row) => format!("row {row} of {}", self.result),
                None => format!("a row of {}", self.result),
            },
            length: raw.len() as u64,
            raw,
            again: None,
            source: RawFormat { taken: true, ..RawFormat::default() },
        }
    }
}

/// How sinks of a result stand.
pub(crate) fn statuses(
    sinks: &BTreeMap<String, SinkProgress>,
    waiting: impl Fn(Option<u64>) -> u64,
) -> Vec<SinkStatus> {
    let status = |(name, of): (&String, &SinkProgress)| SinkStatus {
        name: name.clone(),
        delivered: of.delivered,
        refused: of.refused,
        waiting: waiting(of.told),
        trouble: None,
    };
    sinks.iter().map(status).collect()
}

fn key_at(rows: &RecordBatch, row: usize) -> Option<&[u8]> {
    let keys = rows.columns().last()?.as_binary_opt::<i32>()?;
    (row < keys.len()).then(|| keys.value(row))
}

/// The number of the last of appended rows.
fn last_row(rows: &RecordBatch) -> Option<u64> {
    let key = key_at(rows, rows.num_rows().checked_sub(1)?)?;
    key.try_into().ok().map(u64::from_be_bytes)
}
