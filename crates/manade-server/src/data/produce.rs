//! Runs a query on a thread that may block, and hands its answer over as it comes.

use std::io;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use bytes::Bytes;
use manade_pipeline::collection::{Collection, CollectionInfo, Freshness, ReadError, Rows};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use xxhash_rust::xxh3::xxh3_128;

use crate::engine::{Engine, EngineError};
use crate::formats::{Encoder, Format};
use crate::problem::Problem;
use crate::query::cursor;
use crate::query::plan::{Cast, Output, Plan};
use crate::values;

/// Bytes that a page may have and still be held until it is whole, so that its headers can say how many rows it has
/// and where the next one starts. A longer one is streamed.
const PAGE_BYTES: usize = 16 << 20;

/// The same for formats that give all rows.
const HEAD_BYTES: usize = 256 << 10;

/// Bytes of a streamed chunk.
const CHUNK_BYTES: usize = 64 << 10;

/// How often two snapshots are taken until they are of one commit: one for the rows, one to count them.
const SNAPSHOTS: usize = 5;

pub struct Job {
    pub engine: Engine,
    pub collection: Arc<dyn Collection>,
    pub info: Arc<CollectionInfo>,
    pub plan: Plan,
    pub format: Format,
    pub count: bool,
    /// Whatever decides the answer beside the commit.
    pub seed: String,
    /// The header's value, empty where there is none.
    pub if_none_match: String,
}

/// What is known when an answer begins.
pub struct Head {
    pub freshness: Freshness,
    pub etag: String,
    pub not_modified: bool,
    /// The body's beginning; all of it where the answer has ended.
    pub first: Vec<u8>,
    pub ended: Option<Ended>,
    /// Rows that match, where they were counted.
    pub total: Option<u64>,
}

pub struct Ended {
    pub rows: u64,
    /// The cursor of the next page, where there is one.
    pub next: Option<String>,
}

pub type HeadSender = oneshot::Sender<Result<Head, Problem>>;
pub type BodySender = mpsc::Sender<io::Result<Bytes>>;

/// Blocks until the answer is handed over or nobody wants it any more.
pub fn produce(job: &Job, runtime: &Handle, head: HeadSender, body: &BodySender) {
    let mut answer = Answer { job, runtime, head: Some(head), body };
    if let Err(problem) = answer.run() {
        answer.fail(problem);
    }
}

struct Answer<'a> {
    job: &'a Job,
    runtime: &'a Handle,
    /// Until the answer has begun.
    head: Option<HeadSender>,
    body: &'a BodySender,
}

/// Nothing is left to do: the reader went away.
struct Gone;

impl Answer<'_> {
    fn run(&mut self) -> Result<(), Problem> {
        let job = self.job;
        let freshness = job.collection.freshness();
        let (rows, counted) = snapshots(job)?;
        let commit = rows.commit();
        let freshness = Freshness { commit, ..freshness };
        let etag = format!("W/\"{:032x}\"", xxh3_128(format!("{commit}\0{}", job.seed).as_bytes()));
        let mut head = Head { freshness, etag, not_modified: false, first: Vec::new(), ended: None, total: None };
        if matches(&job.if_none_match, &head.etag) {
            head.not_modified = true;
            self.begin(head);
            return Ok(());
        }
        let batches = job.engine.rows(&job.plan, &job.info, rows, self.runtime).map_err(|e| problem_of(&e, job))?;
        let fields: Vec<_> = job.plan.output.iter().map(|output| (output.name.clone(), type_of(output))).collect();
        let mut encoder = Encoder::new(job.format, &fields).map_err(|error| unexpected(&error))?;
        let limit = job.plan.limit.unwrap_or(u64::MAX);
        let held = if job.format.is_paged() { PAGE_BYTES } else { HEAD_BYTES };
        let (mut out, mut last, mut more) = (Vec::new(), None, false);
        let mut head = Some(head);
        encoder.begin(&mut out);
        for batch in batches {
            let batch = batch.map_err(|error| problem_of(&error, job))?;
            let left = usize::try_from(limit - encoder.rows()).unwrap_or(usize::MAX);
            more |= batch.num_rows() > left;
            let batch = batch.slice(0, left.min(batch.num_rows()));
            if batch.num_rows() == 0 {
                continue;
            }
            // Rows are written in slices, so that what is held stays near its bound whatever a row's size is.
            for start in (0..batch.num_rows()).step_by(512) {
                let slice = batch.slice(start, 512.min(batch.num_rows() - start));
                let columns = &slice.columns()[..fields.len()];
                encoder.write(columns, slice.num_rows(), &mut out).map_err(|error| unexpected(&error))?;
                if head.is_some()
                    && out.len() > held
                    && let Some(mut head) = head.take()
                {
                    head.total = self.total(&counted, None)?;
                    head.first = std::mem::take(&mut out);
                    self.begin(head);
                }
                if head.is_none() && out.len() > CHUNK_BYTES && self.send(&mut out).is_err() {
                    return Ok(());
                }
            }
            last = Some(batch);
        }
        encoder.finish(&mut out).map_err(|error| unexpected(&error))?;
        let Some(mut head) = head else {
            // The reader may be gone; there is nothing more to do for it.
            let _ = self.send(&mut out);
            return Ok(());
        };
        let rows = encoder.rows();
        if matches!(job.format, Format::Object { .. }) && rows != 1 {
            return Err(not_one(rows));
        }
        head.total = self.total(&counted, (!more).then_some(rows))?;
        let next = last.filter(|_| more && job.plan.pages).map(|batch| next_cursor(job, &batch));
        head.first = out;
        head.ended = Some(Ended { rows, next });
        self.begin(head);
        Ok(())
    }

    /// The rows that match where they are asked for. `all`: the rows of an answer that reached the end.
    fn total(&self, counted: &Counted, all: Option<u64>) -> Result<Option<u64>, Problem> {
        let plan = &self.job.plan;
        let Some(rows) = counted.borrow_mut().take() else { return Ok(None) };
        match all {
            Some(rows) if plan.after.is_none() && (rows > 0 || plan.offset == 0) && plan.limit != Some(0) => {
                Ok(Some(plan.offset + rows))
            }
            _ => {
                let count = self.job.engine.count(plan, &self.job.info, rows, self.runtime);
                count.map(Some).map_err(|error| problem_of(&error, self.job))
            }
        }
    }

    fn begin(&mut self, head: Head) {
        if let Some(sender) = self.head.take() {
            // A reader that is gone shows when the first chunk is sent.
            let _ = sender.send(Ok(head));
        }
    }

    fn send(&self, out: &mut Vec<u8>) -> Result<(), Gone> {
        self.body.blocking_send(Ok(Bytes::from(std::mem::take(out)))).map_err(|_| Gone)
    }

    /// Says it in the status where the answer has not begun, and breaks the connection off where it has.
    fn fail(&mut self, problem: Problem) {
        match self.head.take() {
            Some(sender) => {
                let _ = sender.send(Err(problem));
            }
            None => {
                let _ = self.body.blocking_send(Err(io::Error::other(problem.message)));
            }
        }
    }
}

type Counted = std::cell::RefCell<Option<Box<dyn Rows>>>;

/// The rows, and the same rows again where they are to be counted.
fn snapshots(job: &Job) -> Result<(Box<dyn Rows>, Counted), Problem> {
    let take = || job.collection.snapshot().map_err(|error| read_problem(&error, &job.info.name));
    let mut rows = take()?;
    let mut counted = None;
    if job.count {
        for _ in 0..SNAPSHOTS {
            let again = take()?;
            let same = again.commit() == rows.commit();
            counted = Some(again);
            if same {
                break;
            }
            rows = take()?;
        }
    }
    Ok((rows, Counted::new(counted)))
}

fn type_of(output: &Output) -> arrow::datatypes::DataType {
    match &output.cast {
        Some(Cast::Text) => arrow::datatypes::DataType::Utf8View,
        Some(Cast::To(data_type)) => data_type.clone(),
        None => output.operand.compared_type().clone(),
    }
}

/// Of the batch's last row: it has the order's scalars behind the output's columns, and the key at its end.
fn next_cursor(job: &Job, batch: &RecordBatch) -> String {
    let row = batch.num_rows() - 1;
    let first = job.plan.output.len();
    let scalars = &batch.columns()[first..first + job.plan.order.len()];
    let values = scalars.iter().map(|scalar| {
        scalar.is_valid(row).then(|| {
            let mut text = Vec::new();
            values::write_text(scalar, row, &mut text);
            String::from_utf8_lossy(&text).into_owned()
        })
    });
    let key = batch.column(batch.num_columns() - 1).as_binary::<i32>().value(row);
    cursor::encode(&job.info.name, &job.plan.order, values.collect(), key)
}

/// `If-None-Match`: weak comparison, any of a list, or `*`.
fn matches(header: &str, etag: &str) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    header.split(',').any(|tag| tag.trim() == "*" || opaque(tag) == opaque(etag))
}

fn not_one(rows: u64) -> Problem {
    let status = axum::http::StatusCode::NOT_ACCEPTABLE;
    // postgrest-py and postgrest-js look for these words.
    Problem::new(status, "PGRST116", "Cannot coerce the result to a single JSON object")
        .with_details(format!("The result contains {rows} rows"))
}

fn problem_of(error: &EngineError, job: &Job) -> Problem {
    match error {
        EngineError::Memory => {
            let status = axum::http::StatusCode::BAD_REQUEST;
            Problem::new(status, "53200", "the query needs more memory than queries may take")
                .with_hint("order fewer rows: add a limit or a filter, or leave the order to the reader")
        }
        EngineError::Read(text) => {
            tracing::error!(collection = %job.info.name, error = %text, "cannot read a collection");
            Problem::internal()
        }
        EngineError::Failed(error) => {
            tracing::error!(collection = %job.info.name, %error, "a query failed");
            Problem::internal()
        }
    }
}

/// For a snapshot or a change feed that cannot be read.
pub fn read_problem(error: &ReadError, collection: &str) -> Problem {
    match error {
        ReadError::Gone { oldest } => {
            Problem::plain(axum::http::StatusCode::GONE, format!("changes before commit {oldest} are no longer kept"))
                .with_hint(format!("start again from the present rows: /data/{collection}/changes?snapshot=true"))
        }
        ReadError::Damaged(text) | ReadError::Failed(text) => {
            tracing::error!(%collection, error = %text, "cannot read a collection");
            Problem::internal()
        }
    }
}

fn unexpected(error: &dyn std::error::Error) -> Problem {
    tracing::error!(%error, "cannot encode an answer");
    Problem::internal()
}
