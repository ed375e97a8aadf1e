//! Where pushed events go in: the pipeline's durable log, unless too many wait in it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use manade_events::ingest::{Accepted, AcceptedFormat};
use manade_store::{AppendError, Entry, EventLog, IdempotencyKey, Ticket, system_clock};

use crate::source::log::{CSV, LINES};

/// Cheap to clone. Once the pipeline is stopped it takes nothing more.
#[derive(Clone)]
pub struct Inbox {
    pub(crate) log: EventLog,
    /// The main lane's position as of the last commit.
    pub(crate) consumed: Arc<AtomicU64>,
    pub(crate) max_backlog: u64,
}

impl Inbox {
    /// Queues entries, all or none; they are durable once the ticket says so.
    pub fn append(&self, entries: Vec<Entry>) -> Result<Ticket, AppendError> {
        if self.waiting() > self.max_backlog {
            return Err(AppendError::Full);
        }
        self.log.append(entries)
    }

    /// Where reading goes on in what is called so, see [`manade_store::Mark`].
    pub fn mark(&self, of: &str) -> Option<u64> {
        self.log.mark(of)
    }

    /// Accepted events that are not processed yet.
    pub fn waiting(&self) -> u64 {
        self.log.events().end.saturating_sub(self.consumed.load(Ordering::Relaxed))
    }
}

/// Events that were checked as an entry of the log, accepted now.
pub fn entry(accepted: Accepted, key: Option<IdempotencyKey>) -> Entry {
    let (format, meta) = match accepted.format {
        AcceptedFormat::Ndjson => (LINES, accepted.meta.map(|meta| meta_lines(&meta))),
        AcceptedFormat::Csv => {
            let header: Vec<&String> = accepted.header.iter().flat_map(|names| names.iter()).collect();
            (CSV, serde_json::to_vec(&header).ok())
        }
    };
    Entry { events: accepted.data, format, count: accepted.count, meta, key, mark: None, accepted_at: system_clock() }
}

/// A JSON object or an empty line a record.
fn meta_lines(meta: &[Option<String>]) -> Vec<u8> {
    let lines: Vec<&str> = meta.iter().map(|of| of.as_deref().unwrap_or_default()).collect();
    lines.join("\n").into_bytes()
}
