//! `GET /data/{collection}/changes`: server-sent events (<https://html.spec.whatwg.org/multipage/server-sent-events.html>).
//!
//! Every event has an id to resume from: `commit` behind the last row of a commit, `before.commit.key` within one, and
//! `s.commit.key` within the present rows that `snapshot=true` begins with, each followed by `@` and the collection's
//! version. Resuming within a commit goes on behind that row where it is still there, and sends the commit again where it is
//! not: a row may come twice, none is missed.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch};
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use axum::http::{Response, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use manade_pipeline::collection::{ChangeBatch, ChangeKind, Collection, CollectionKind, ReadError, ScanRequest};
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};

use crate::app::App;
use crate::data::{freshness_headers, read_problem};
use crate::formats::object;
use crate::problem::Problem;
use crate::values;

#[cfg(test)]
mod tests;

/// Bytes of events that are handed over together.
const CHUNK_BYTES: usize = 64 << 10;

/// Chunks of a snapshot that wait for a slow reader.
const CHUNKS: usize = 4;

/// Where a client stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Position {
    /// All of this commit was sent.
    After(u64),
    /// All of the commits up to `after` was sent, and of `commit` the rows up to this key.
    Within { after: u64, commit: u64, key: Vec<u8> },
    /// Of the snapshot at a commit, rows up to this key were sent.
    Snapshot { commit: u64, key: Vec<u8> },
}

pub async fn changes(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    RawQuery(raw): RawQuery,
    headers: HeaderMap,
) -> Result<Response<Body>, Problem> {
    let generation = app.backend.generation();
    let collection = app.collection(&name)?;
    let snapshot = wants_snapshot(raw.as_deref().unwrap_or_default())?;
    let freshness = collection.freshness();
    let resumed = headers.get("last-event-id").map(|value| {
        let text = value.to_str().unwrap_or_default();
        // A position ahead of the data belongs to data that was there before a backup was restored.
        let position = Position::parse(text, collection.version());
        let position = position.filter(|position| position.since() <= freshness.commit);
        position.ok_or_else(|| unknown_position(text, &name))
    });
    let resumed = resumed.transpose()?;
    let start = Start { resumed, snapshot, commit: freshness.commit, generation };
    let permit = app.query_permit().await?;
    let first = Arc::clone(&collection);
    let check = start.clone();
    let checked = tokio::task::spawn_blocking(move || check.verify(first.as_ref()));
    checked.await.map_err(|_| Problem::internal())?.map_err(|error| read_problem(&error, &name))?;
    let feed = Feed::new(&app, collection, start, permit);
    let stream = futures::stream::unfold(feed, |mut feed| async move {
        let chunk = feed.next().await?;
        Some((chunk, feed))
    });
    let mut response = Response::new(Body::from_stream(stream));
    freshness_headers(freshness, response.headers_mut());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // Asks proxies not to gather events.
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    Ok(response)
}

fn wants_snapshot(raw: &str) -> Result<bool, Problem> {
    let mut snapshot = false;
    for (key, value) in form_urlencoded::parse(raw.as_bytes()) {
        match (key.as_ref(), value.as_ref()) {
            ("snapshot", "true") => snapshot = true,
            ("snapshot", "false") => snapshot = false,
            ("snapshot", _) => return Err(Problem::syntax("\"snapshot\" is true or false")),
            _ => {
                return Err(Problem::syntax(format!("a change feed has no parameter \"{key}\""))
                    .with_hint("it takes snapshot=true; rows are not filtered"));
            }
        }
    }
    Ok(snapshot)
}

fn unknown_position(text: &str, name: &str) -> Problem {
    Problem::plain(StatusCode::GONE, format!("\"{text}\" is not an event of this feed"))
        .with_hint(format!("start again from the present rows: /data/{name}/changes?snapshot=true"))
}

impl Position {
    /// `None` where it is none of this version of the collection.
    pub fn parse(id: &str, version: u64) -> Option<Self> {
        let (text, of) = id.rsplit_once('@')?;
        if of != format!("{version:x}") {
            return None;
        }
        let mut parts = text.split('.');
        let position = match (parts.next()?, parts.next(), parts.next()) {
            ("s", Some(commit), Some(key)) => {
                Self::Snapshot { commit: commit.parse().ok()?, key: URL_SAFE_NO_PAD.decode(key).ok()? }
            }
            (after, Some(commit), Some(key)) => Self::Within {
                after: after.parse().ok()?,
                commit: commit.parse().ok()?,
                key: URL_SAFE_NO_PAD.decode(key).ok()?,
            },
            (commit, None, None) => Self::After(commit.parse().ok()?),
            _ => return None,
        };
        parts.next().is_none().then_some(position)
    }

    /// The commit up to which all was sent.
    fn since(&self) -> u64 {
        match self {
            Self::After(commit) | Self::Snapshot { commit, .. } | Self::Within { after: commit, .. } => *commit,
        }
    }

    fn id(&self, version: u64) -> String {
        match self {
            Self::After(commit) => format!("{commit}@{version:x}"),
            Self::Within { after, commit, key } => {
                format!("{after}.{commit}.{}@{version:x}", URL_SAFE_NO_PAD.encode(key))
            }
            Self::Snapshot { commit, key } => format!("s.{commit}.{}@{version:x}", URL_SAFE_NO_PAD.encode(key)),
        }
    }
}

/// What a client asked for, and the newest commit and the backend's generation when it did.
#[derive(Debug, Clone)]
struct Start {
    resumed: Option<Position>,
    snapshot: bool,
    commit: u64,
    generation: u64,
}

impl Start {
    /// Blocks. `Gone` where the changes since the client's position are no longer kept.
    fn verify(&self, collection: &dyn Collection) -> Result<(), ReadError> {
        let Some(position) = &self.resumed else { return Ok(()) };
        if let Position::Snapshot { key, .. } = position
            && collection.info().kind == CollectionKind::Append
        {
            follows(collection, key)?;
        }
        collection.changes(position.since()).map(|_| ())
    }
}

/// An append collection's rows are numbered: those behind a key are all there, or it is too old.
fn follows(collection: &dyn Collection, key: &[u8]) -> Result<(), ReadError> {
    let number = |key: &[u8]| key.try_into().map(u64::from_be_bytes).ok();
    let rows = collection.snapshot()?;
    let oldest = rows.commit();
    let first = rows.scan(&ScanRequest::default()).next().transpose()?.filter(|rows| rows.num_rows() > 0);
    match first.and_then(|rows| number(self::key(&rows, 0))).zip(number(key)) {
        Some((first, sent)) if first > sent + 1 => Err(ReadError::Gone { oldest }),
        _ => Ok(()),
    }
}

/// One client's feed: a state machine that gives the next chunk of events.
struct Feed {
    app: Arc<App>,
    collection: Arc<dyn Collection>,
    /// Of the backend when the collection was looked up.
    generation: u64,
    shown: Arc<Shown>,
    position: Position,
    pending: VecDeque<Bytes>,
    /// While the present rows are sent.
    snapshot: Option<mpsc::Receiver<Result<(Bytes, Position), ReadError>>>,
    commits: watch::Receiver<u64>,
    stop: watch::Receiver<bool>,
    started: bool,
}

impl Feed {
    /// `permit`: held until the present rows are read.
    fn new(app: &Arc<App>, collection: Arc<dyn Collection>, start: Start, permit: OwnedSemaphorePermit) -> Self {
        let info = collection.info();
        let commits = app.feeds.follow(&app.backend, &info.name, start.commit);
        let stop = app.stop.subscribe();
        let (behind, snapshot) = match (&start.resumed, start.snapshot) {
            (Some(Position::Snapshot { commit, key }), _) => {
                // Rows of a keyed collection may have moved, so that all are sent again; an append collection's rows
                // are in the order of their keys.
                let behind = (info.kind == CollectionKind::Append).then(|| key.clone());
                (behind, Some(*commit))
            }
            (None, true) => (None, Some(start.commit)),
            _ => (None, None),
        };
        let resent = matches!(start.resumed, Some(Position::Snapshot { .. })) && info.kind != CollectionKind::Append;
        let snapshot = snapshot.map(|since| {
            let (sender, receiver) = mpsc::channel(CHUNKS);
            let collection = Arc::clone(&collection);
            // Its end shows in the channel.
            drop(tokio::task::spawn_blocking(move || {
                let _permit = permit;
                let task = Present { collection, behind, since: resent.then_some(since) };
                task.send(&sender);
            }));
            receiver
        });
        let position = start.resumed.unwrap_or(Position::After(start.commit));
        Self {
            shown: Arc::new(Shown::of(collection.as_ref())),
            app: Arc::clone(app),
            collection,
            generation: start.generation,
            position,
            pending: VecDeque::new(),
            snapshot,
            commits,
            stop,
            started: false,
        }
    }

    /// `None` ends the stream: the server stops, the collection is gone, or the client fell too far behind, which it
    /// learns when it comes back.
    async fn next(&mut self) -> Option<std::io::Result<Bytes>> {
        if !self.started {
            self.started = true;
            let mut hello = b": changes\n".to_vec();
            if self.snapshot.is_none() {
                self.shown.mark(&self.position, &mut hello);
            } else {
                hello.push(b'\n');
            }
            return Some(Ok(Bytes::from(hello)));
        }
        loop {
            if *self.stop.borrow() {
                return None;
            }
            if let Some(chunk) = self.pending.pop_front() {
                return Some(Ok(chunk));
            }
            if let Some(snapshot) = &mut self.snapshot {
                match snapshot.recv().await {
                    Some(Ok((chunk, position))) => {
                        self.position = position;
                        return Some(Ok(chunk));
                    }
                    Some(Err(_)) => return None,
                    None => self.snapshot = None,
                }
            }
            if self.read().await? {
                continue;
            }
            tokio::select! {
                moved = self.commits.changed() => moved.ok()?,
                _ = self.stop.changed() => return None,
                () = tokio::time::sleep(self.app.options.heartbeat) => return Some(Ok(Bytes::from_static(b": \n\n"))),
            }
        }
    }

    /// An edited platform has another collection under the name. Where its rows look different, the feed ends: a client
    /// that comes back with its last id goes on with the new ones, or hears that they are others.
    fn look_up(&mut self) -> Option<()> {
        let generation = self.app.backend.generation();
        if generation != self.generation {
            let (old, new) = (self.collection.info(), self.app.backend.collection(&self.collection.info().name)?);
            let alike = new.info().columns == old.columns
                && new.info().kind == old.kind
                && new.info().key == old.key
                && new.version() == self.collection.version();
            self.collection = alike.then_some(new)?;
            self.generation = generation;
        }
        Some(())
    }

    /// Reads what changed since the position; false where nothing did.
    async fn read(&mut self) -> Option<bool> {
        // What comes from here on will be seen as a change of the channel.
        self.commits.mark_unchanged();
        self.look_up()?;
        let permit = self.app.query_permit().await.ok()?;
        let (collection, position, shown) =
            (Arc::clone(&self.collection), self.position.clone(), Arc::clone(&self.shown));
        let read = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            read_changes(collection.as_ref(), &position, &shown)
        });
        let (chunks, position) = read.await.ok()?.ok()?;
        self.position = position;
        self.pending.extend(chunks);
        Some(!self.pending.is_empty())
    }
}

/// Blocks; the events since a position, in chunks, and the position behind them.
fn read_changes(
    collection: &dyn Collection,
    position: &Position,
    shown: &Shown,
) -> Result<(Vec<Bytes>, Position), ReadError> {
    let (since, skip) = match position {
        Position::After(commit) | Position::Snapshot { commit, .. } => (*commit, None),
        Position::Within { after, commit, key } => (*after, Some((*commit, key.as_slice()))),
    };
    let changes = collection.changes(since)?;
    let mut writer = Writer { shown, chunks: Vec::new(), out: Vec::new() };
    let mut batches = changes.batches.as_slice();
    let mut before = since;
    while let Some(first) = batches.first() {
        let commit = first.commit;
        let len = batches.iter().take_while(|batch| batch.commit == commit).count();
        let (of_commit, rest) = batches.split_at(len);
        let skip = skip.filter(|(begun, _)| *begun == commit).map(|(_, key)| key);
        writer.commit(of_commit, before, skip);
        before = commit;
        batches = rest;
    }
    let end = Position::After(changes.commit.max(before));
    Ok((writer.finish(), end))
}

struct Writer<'a> {
    shown: &'a Shown,
    chunks: Vec<Bytes>,
    out: Vec<u8>,
}

impl Writer<'_> {
    /// The rows of one commit, behind the row with key `skip` where it is among them.
    fn commit(&mut self, batches: &[ChangeBatch], before: u64, skip: Option<&[u8]>) {
        let Some(commit) = batches.first().map(|batch| batch.commit) else { return };
        let rows: usize = batches.iter().map(|batch| batch.rows.num_rows()).sum();
        let keys = || batches.iter().flat_map(|batch| (0..batch.rows.num_rows()).map(|row| key(&batch.rows, row)));
        let skipped = skip.and_then(|skip| keys().position(|key| key == skip)).map_or(0, |at| at + 1);
        let mut at = 0;
        for batch in batches {
            for row in 0..batch.rows.num_rows() {
                at += 1;
                if at <= skipped {
                    continue;
                }
                let position = if at == rows {
                    Position::After(commit)
                } else {
                    Position::Within { after: before, commit, key: key(&batch.rows, row).to_vec() }
                };
                self.shown.event(batch.kind, &position, &batch.rows, row, &mut self.out);
                if self.out.len() > CHUNK_BYTES {
                    self.chunks.push(Bytes::from(std::mem::take(&mut self.out)));
                }
            }
        }
    }

    fn finish(mut self) -> Vec<Bytes> {
        if !self.out.is_empty() {
            self.chunks.push(Bytes::from(self.out));
        }
        self.chunks
    }
}

/// The present rows, sent from a thread that may block.
struct Present {
    collection: Arc<dyn Collection>,
    /// Leave out rows up to this key.
    behind: Option<Vec<u8>>,
    /// Follow with the changes since this commit: rows that were sent before and have gone meanwhile.
    since: Option<u64>,
}

impl Present {
    fn send(&self, sender: &mpsc::Sender<Result<(Bytes, Position), ReadError>>) {
        if let Err(error) = self.rows(sender) {
            // A reader that is gone does not hear it.
            let _ = sender.blocking_send(Err(error));
        }
    }

    fn rows(&self, sender: &mpsc::Sender<Result<(Bytes, Position), ReadError>>) -> Result<(), ReadError> {
        let info = self.collection.info();
        let shown = Shown::of(self.collection.as_ref());
        let kind = if info.kind == CollectionKind::Append { ChangeKind::Append } else { ChangeKind::Upsert };
        let rows = self.collection.snapshot()?;
        let commit = rows.commit();
        let mut out = Vec::new();
        for batch in rows.scan(&ScanRequest::default()) {
            let batch = batch?;
            for row in 0..batch.num_rows() {
                let key = key(&batch, row);
                if self.behind.as_deref().is_some_and(|behind| key <= behind) {
                    continue;
                }
                let position = Position::Snapshot { commit, key: key.to_vec() };
                shown.event(kind, &position, &batch, row, &mut out);
                if out.len() > CHUNK_BYTES {
                    let chunk = (Bytes::from(std::mem::take(&mut out)), position);
                    if sender.blocking_send(Ok(chunk)).is_err() {
                        return Ok(());
                    }
                }
            }
        }
        // The feed goes on from the snapshot's commit, or from the one that the client began with.
        let end = Position::After(self.since.unwrap_or(commit));
        shown.mark(&end, &mut out);
        // A reader that is gone needs nothing more.
        let _ = sender.blocking_send(Ok((Bytes::from(out), end)));
        Ok(())
    }
}

/// How a collection's events look.
struct Shown {
    /// Of the columns, as members of an object begin.
    names: Vec<Vec<u8>>,
    version: u64,
}

impl Shown {
    fn of(collection: &dyn Collection) -> Self {
        let info = collection.info();
        let quoted = info.columns.iter().map(|column| {
            let mut out = Vec::new();
            values::write_string(&column.name, &mut out);
            out.push(b':');
            out
        });
        Self { names: quoted.collect(), version: collection.version() }
    }

    /// An id without an event: the client stores it.
    fn mark(&self, position: &Position, out: &mut Vec<u8>) {
        out.extend_from_slice(format!("id: {}\n\n", position.id(self.version)).as_bytes());
    }

    fn event(&self, kind: ChangeKind, position: &Position, rows: &RecordBatch, row: usize, out: &mut Vec<u8>) {
        let (kind, id) = (kind_name(kind), position.id(self.version));
        out.extend_from_slice(format!("event: {kind}\nid: {id}\ndata: ").as_bytes());
        let visible: &[ArrayRef] = &rows.columns()[..rows.num_columns() - 1];
        object(&self.names, visible, row, false, out);
        out.extend_from_slice(b"\n\n");
    }
}

fn kind_name(kind: ChangeKind) -> &'static str {
    match kind {
        ChangeKind::Upsert => "upsert",
        ChangeKind::Append => "append",
        ChangeKind::Delete => "delete",
    }
}

fn key(rows: &RecordBatch, row: usize) -> &[u8] {
    rows.column(rows.num_columns() - 1).as_binary::<i32>().value(row)
}
