//! Runs SQL over a batch; where it fails, over halves of it, until the rows that make it fail are alone.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use arrow::array::RecordBatch;
use manade_sql::{Query, StageOutput, TableSet, Worker};

/// Outputs in the order of the rows, and the rows that failed, by number, with the reason. `late` as [`Worker::run`] has
/// it.
pub fn bisect(
    query: &Query,
    sql: &mut Worker,
    tables: &TableSet,
    batch: &RecordBatch,
    late: bool,
) -> (Vec<StageOutput>, Vec<(usize, String)>) {
    let mut run = Bisect { query, sql, tables, late, outputs: Vec::new(), failed: Vec::new() };
    run.part(batch, 0);
    (run.outputs, run.failed)
}

/// What a thread said when it panicked.
pub fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic".to_owned())
}

struct Bisect<'a> {
    query: &'a Query,
    sql: &'a mut Worker,
    tables: &'a TableSet,
    late: bool,
    outputs: Vec<StageOutput>,
    failed: Vec<(usize, String)>,
}

impl Bisect<'_> {
    fn part(&mut self, batch: &RecordBatch, from: usize) {
        match self.attempt(batch) {
            Ok(output) => self.outputs.push(output),
            Err(reason) if batch.num_rows() <= 1 => self.failed.push((from, reason)),
            Err(_) => {
                let half = batch.num_rows() / 2;
                self.part(&batch.slice(0, half), from);
                self.part(&batch.slice(half, batch.num_rows() - half), from + half);
            }
        }
    }

    /// A function that panics on a value is no reason to end: the event is dead, and what it left behind is thrown away.
    fn attempt(&mut self, batch: &RecordBatch) -> Result<StageOutput, String> {
        match catch_unwind(AssertUnwindSafe(|| self.sql.run(batch, self.tables, self.late))) {
            Ok(output) => output.map_err(|e| e.to_string()),
            Err(panic) => {
                *self.sql = self.query.worker().map_err(|e| e.to_string())?;
                Err(format!("a mistake in the program: {}", panic_text(panic.as_ref())))
            }
        }
    }
}
