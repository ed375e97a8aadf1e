//! Keeping a store small: forgetting old tombstones, joining small chunks, writing the live rows of the oldest log file
//! again so that it can be deleted.
//!
//! Each commit does a bounded part of it. Cleaning goes round the log in order, so whatever a deleted file said about
//! others, it said about older ones.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_select::concat::concat_batches;

use crate::catalog::Op;
use crate::edit::{CHUNK_ROWS, Edit};
use crate::error::{CommitError, ReadError};
use crate::index::IndexEdit;
use crate::keyed::{Keyed, Part};
use crate::log::{Log, failpoint};
use crate::rows::MovedRows;
use crate::store::{Contents, RowRef};

/// Bytes that a commit writes again at least, if there is need; more where the commit itself is larger.
const BUDGET: u64 = 4 << 20;
/// Chunks with fewer live rows are small.
const SMALL_ROWS: u32 = 8 << 10;
/// Small chunks of a table beyond which they are joined.
const SMALL_CHUNKS: usize = 64;

impl Edit {
    /// Does what is due and returns the file that the log is to begin with, if older ones hold nothing any more.
    pub fn maintain(&mut self, log: &Log, row_logs: &HashMap<u32, Log>) -> Result<Option<u64>, CommitError> {
        let names: Vec<String> = self.tables.keys().cloned().collect();
        let mut budget = BUDGET.max(self.payload.iter().map(|bytes| bytes.len() as u64).sum());
        for name in &names {
            self.forget(name)?;
            self.join_small(name, &mut budget)?;
            self.move_rows(name, row_logs, &mut budget)?;
        }
        let tip = log.tip();
        if tip.first_file == tip.file {
            return Ok(None);
        }
        let live: u64 = self.keyed_tables().map(live_bytes).sum();
        let waste = log.bytes().saturating_sub(live);
        if waste > live.max(log.file_bytes()) {
            failpoint("store::clean").map_err(|source| CommitError::io("clean", log.dir(), source))?;
            for name in &names {
                self.leave(name, tip.first_file, &mut budget)?;
            }
        }
        let files = self.keyed_tables().flat_map(|table| {
            let parts = table.parts.iter().map(|part| part.chunk.file());
            parts.chain(table.tombs.iter().map(|tomb| tomb.file))
        });
        let oldest = files.min().unwrap_or(tip.file).min(tip.file);
        Ok((oldest > tip.first_file).then_some(oldest))
    }

    /// Drops tombstones beyond the table's bounds.
    fn forget(&mut self, name: &str) -> Result<(), CommitError> {
        let time = self.time;
        let Some(Contents::Keyed(table)) = self.tables.get(name).map(|table| &table.contents) else { return Ok(()) };
        let age = i64::try_from(table.history.age.as_micros()).unwrap_or(i64::MAX);
        let due = |table: &Keyed| {
            let oldest = table.tombs.front()?;
            let old = table.tomb_rows > table.history.rows || oldest.time < time.saturating_sub(age);
            old.then(|| (oldest.commit, oldest.rows.num_rows() as u64))
        };
        if due(table).is_none() {
            return Ok(());
        }
        let table = self.keyed(name)?;
        while let Some((commit, rows)) = due(table) {
            table.tombs.pop_front();
            table.tomb_rows -= rows;
            table.forgotten = commit;
        }
        let (table, commit) = (table.id, table.forgotten);
        self.ops.push(Op::Forget { table, commit });
        Ok(())
    }

    fn join_small(&mut self, name: &str, budget: &mut u64) -> Result<(), CommitError> {
        let Some(Contents::Keyed(table)) = self.tables.get(name).map(|table| &table.contents) else { return Ok(()) };
        let small: Vec<&Part> = table.parts.iter().filter(|part| part.live < SMALL_ROWS).collect();
        if small.len() <= SMALL_CHUNKS {
            return Ok(());
        }
        let chunks = within(&small, budget);
        self.relocate(name, &chunks)
    }

    /// Joins the small chunks of an append table that gets rows, or moves chunks out of its log's oldest file if most of
    /// the log is of no use.
    fn move_rows(&mut self, name: &str, row_logs: &HashMap<u32, Log>, budget: &mut u64) -> Result<(), CommitError> {
        let Some(Contents::Append(table)) = self.tables.get(name).map(|table| &table.contents) else { return Ok(()) };
        let Some(log) = row_logs.get(&table.id).filter(|_| self.appends.contains_key(&table.id)) else { return Ok(()) };
        let damaged = |error: ReadError| CommitError::Damaged(error.into());
        let mut moved: Vec<MovedRows> = table.join().map_err(damaged)?.into_iter().collect();
        let (tip, live) = (log.tip(), table.bytes());
        let waste = log.bytes().saturating_sub(live);
        if moved.is_empty() && tip.first_file < tip.file && waste > live.max(log.file_bytes()) {
            moved = table.leave(tip.first_file, budget).map_err(damaged)?;
        }
        let id = table.id;
        self.moved.insert(id, moved);
        Ok(())
    }

    /// Moves a table's rows and tombstones out of a file, as far as the budget allows.
    fn leave(&mut self, name: &str, file: u64, budget: &mut u64) -> Result<(), CommitError> {
        let Some(Contents::Keyed(table)) = self.tables.get(name).map(|table| &table.contents) else { return Ok(()) };
        let parts: Vec<&Part> = table.parts.iter().filter(|part| part.chunk.file() == file).collect();
        let chunks = within(&parts, budget);
        let tombs: Vec<_> = table.tombs.iter().filter(|tomb| tomb.file == file).cloned().collect();
        for tomb in tombs {
            if *budget == 0 {
                break;
            }
            *budget = budget.saturating_sub(tomb.bytes);
            self.write_tomb(name, tomb)?;
        }
        self.relocate(name, &chunks)
    }

    /// Writes the live rows of chunks again, with the commits that wrote them first.
    fn relocate(&mut self, name: &str, chunks: &[u32]) -> Result<(), CommitError> {
        if chunks.is_empty() {
            return Ok(());
        }
        let arrow = |source| CommitError::Arrow { table: name.to_owned(), source };
        let table = self.keyed(name)?;
        let (mut batches, mut hashes, mut commits, mut removed) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for chunk in chunks {
            let part = table.parts.remove(table.part(*chunk).expect("only the table's chunks are moved"));
            batches.push(part.live_batch().map_err(arrow)?);
            for row in part.live_rows() {
                let hash = part.chunk.hashes[row as usize];
                hashes.push(hash);
                commits.push(part.chunk.commits.of(row as usize));
                removed.push((hash, RowRef { chunk: *chunk, row }));
            }
        }
        let (id, schema) = (table.id, Arc::clone(&table.schema));
        let edit: &mut IndexEdit = self.index.entry(id).or_default();
        edit.removed.append(&mut removed);
        let rows = concat_batches(&schema, &batches).map_err(arrow)?;
        for start in (0..rows.num_rows()).step_by(CHUNK_ROWS) {
            let end = rows.num_rows().min(start + CHUNK_ROWS);
            let part = rows.slice(start, end - start);
            self.write_chunk(name, &part, hashes[start..end].to_vec(), Some(commits[start..end].to_vec()))?;
        }
        self.ops.push(Op::Moved { table: id, chunks: chunks.to_vec() });
        Ok(())
    }

    fn keyed_tables(&self) -> impl Iterator<Item = &Keyed> {
        self.tables.values().filter_map(|table| match &table.contents {
            Contents::Keyed(table) => Some(table.as_ref()),
            Contents::Append(_) => None,
        })
    }
}

/// The first parts that the budget allows, at least one while there is any budget.
fn within(parts: &[&Part], budget: &mut u64) -> Vec<u32> {
    let mut chunks = Vec::new();
    for part in parts {
        if *budget == 0 {
            break;
        }
        *budget = budget.saturating_sub(part.live_bytes());
        chunks.push(part.chunk.id);
    }
    chunks
}

fn live_bytes(table: &Keyed) -> u64 {
    table.parts.iter().map(Part::live_bytes).sum::<u64>() + table.tombs.iter().map(|tomb| tomb.bytes).sum::<u64>()
}
