//! What frames of a store's log say, as JSON.

use serde::{Deserialize, Serialize};

use crate::log::Tip;

/// The body of a frame's header. Numbers named `section` count the frame's sections; section 0 is the commit's meta.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Body {
    /// Microseconds since the epoch; never falls.
    pub time: i64,
    /// In the first frame of a file: the tables as they were before this frame.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catalog: Option<Catalog>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ops: Vec<Op>,
    /// Where the logs of append tables end, of those that changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tips: Vec<(u32, Tip)>,
}

#[derive(Debug, Default, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Catalog {
    pub next_table: u32,
    pub tables: Vec<TableRecord>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableRecord {
    pub id: u32,
    pub name: String,
    /// An IPC message in hexadecimal.
    pub schema: String,
    /// Append: wider ones, each with the commit from which on rows are written with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub widened: Vec<(u64, String)>,
    pub shape: Shape,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Shape {
    Keyed {
        next_chunk: u32,
        forgotten: u64,
        history_rows: u64,
        history_us: u64,
    },
    Append {
        first: u64,
        #[serde(default)]
        forgotten: u64,
        tip: Option<Tip>,
    },
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Op {
    Create(TableRecord),
    Drop {
        table: u32,
    },
    /// The table's schema from this commit on.
    Widen {
        table: u32,
        schema: String,
    },
    /// New rows: sections `section` (rows), the next (hashes) and, if `moved`, the one after (commits).
    Chunk {
        table: u32,
        chunk: u32,
        rows: u32,
        moved: bool,
        section: usize,
    },
    /// Rows that are dead from here on: pairs of u32 (chunk, row).
    Kill {
        table: u32,
        section: usize,
    },
    /// The chunks' live rows are in moved chunks.
    Moved {
        table: u32,
        chunks: Vec<u32>,
    },
    /// An IPC stream of deleted keys; the same id again: it was moved.
    Tombs {
        table: u32,
        id: u32,
        commit: u64,
        time: i64,
        section: usize,
    },
    Forget {
        table: u32,
        commit: u64,
    },
    /// Rows of an append table below are gone, the last of which commit `forgotten` wrote.
    Expire {
        table: u32,
        before: u64,
        #[serde(default)]
        forgotten: u64,
    },
}

/// The body of a frame in an append table's log. Its sections are those of the moved chunks, then one a new chunk.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RowsBody {
    pub commit: u64,
    /// The id of the first new row, and each new chunk's rows.
    pub first: u64,
    pub rows: Vec<u32>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub moved: Vec<MovedRecord>,
}

/// A chunk in place of those that had its rows: section rows, and if there are several commits, section commits (pairs
/// of u64: commit, how many of the rows).
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MovedRecord {
    pub first: u64,
    pub rows: u32,
    /// How often its rows were joined.
    pub level: u8,
    /// The oldest and the newest commit that wrote its rows.
    pub commits: (u64, u64),
}
