//! Collections as readers see them: columns, freshness, rows, changes.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use datafusion::scalar::ScalarValue;

/// The rows that a result keeps.
pub trait Collection: Send + Sync {
    fn info(&self) -> Arc<CollectionInfo>;

    /// What its commits are of: it is another once the result began anew, or an edit changed what its rows show. A commit
    /// of one version means nothing in another.
    fn version(&self) -> u64;

    fn freshness(&self) -> Freshness;

    /// How many rows the newest commit has; groups that HAVING leaves out count too.
    fn count(&self) -> u64;

    /// The rows of the newest commit.
    fn snapshot(&self) -> Result<Box<dyn Rows>, ReadError>;

    /// What changed after commit `since`: each row's last version, in commit order.
    fn changes(&self, since: u64) -> Result<Changes, ReadError>;

    /// Blocks until a commit after `commit` is visible, or `timeout` has passed; returns the newest commit.
    fn wait_beyond(&self, commit: u64, timeout: Duration) -> u64;
}

/// One commit's rows; they do not change while they are read.
pub trait Rows: Send {
    fn commit(&self) -> u64;

    /// Batches of all visible columns in order, then [`KEY_COLUMN`].
    fn scan(self: Box<Self>, request: &ScanRequest) -> RowBatches;
}

pub type RowBatches = Box<dyn Iterator<Item = Result<RecordBatch, ReadError>> + Send>;

/// Binary: unique in the collection, stable while the row is there; for append collections it grows with the row.
pub const KEY_COLUMN: &str = "__key";

#[derive(Debug, Clone, PartialEq)]
pub struct CollectionInfo {
    /// The result's name.
    pub name: String,
    pub pipeline: String,
    pub description: Option<String>,
    pub columns: Vec<OutputColumn>,
    pub kind: CollectionKind,
    /// Visible columns that together are unique; empty where there are none.
    pub key: Vec<String>,
    /// Columns with a fast equality filter.
    pub index: Vec<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct OutputColumn {
    /// As the query writes it.
    pub name: String,
    pub data_type: DataType,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CollectionKind {
    /// One row a group, updated in place.
    Keyed,
    /// Rows are only added.
    Append,
    /// The first rows of an order, in that order.
    Top,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Freshness {
    pub commit: u64,
    /// Microseconds since the epoch.
    pub watermark: Option<i64>,
    /// Event time of the newest event, microseconds since the epoch.
    pub newest: Option<i64>,
}

/// What a reader wants; a hint that lets a collection leave out rows which cannot match.
#[derive(Debug, Clone, Default)]
pub struct ScanRequest {
    /// Visible column and the value that it must equal.
    pub equals: Vec<(usize, ScalarValue)>,
}

#[derive(Debug, Clone)]
pub struct Changes {
    /// Resume from here.
    pub commit: u64,
    pub batches: Vec<ChangeBatch>,
}

#[derive(Debug, Clone)]
pub struct ChangeBatch {
    pub commit: u64,
    pub kind: ChangeKind,
    /// Visible columns, then [`KEY_COLUMN`]; of a deleted row only its key's columns are known, the others are null.
    pub rows: RecordBatch,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    Upsert,
    Append,
    Delete,
}

#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("changes before commit {oldest} are no longer kept")]
    Gone { oldest: u64 },
    #[error("damaged data: {0}")]
    Damaged(String),
    #[error("{0}")]
    Failed(String),
}
