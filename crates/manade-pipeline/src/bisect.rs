//! Runs SQL over a batch; where it fails, over halves of it, until the rows that make it fail are alone.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use arrow::array::RecordBatch;
use manade_sql::{Query, StageOutput, TableSet, Worker};

pub struct Bisect<'a> {
    query: &'a Query,
    sql: &'a mut Worker,
    tables: &'a TableSet,
    late: bool,
    /// In the order of the rows.
    pub outputs: Vec<StageOutput>,
    /// Row in the batch, and why.
    pub failed: Vec<(usize, String)>,
}

impl<'a> Bisect<'a> {
    /// `late` as [`Worker::run`] has it.
    pub fn run(
        query: &'a Query,
        sql: &'a mut Worker,
        tables: &'a TableSet,
        batch: &RecordBatch,
        late: bool,
    ) -> (Vec<StageOutput>, Vec<(usize, String)>) {
        let mut run = Self { query, sql, tables, late, outputs: Vec::new(), failed: Vec::new() };
        run.part(batch, 0);
        (run.outputs, run.failed)
    }

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

/// What a thread said when it panicked.
pub fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic".to_owned())
}

/// `4 h 50 min`: the two largest units.
fn span(seconds: i64) -> String {
    let parts = [(seconds / 86_400, "d"), (seconds / 3_600 % 24, "h"), (seconds / 60 % 60, "min"), (seconds % 60, "s")];
    let first = parts.iter().position(|(count, _)| *count != 0).unwrap_or(parts.len() - 1);
    let shown = parts[first..].iter().take(2).filter(|(count, unit)| *count != 0 || *unit == parts[first].1);
    shown.map(|(count, unit)| format!("{count} {unit}")).collect::<Vec<_>>().join(" ")
}

/// Why a window did not take a row. A sliding window may leave it out several times: it is told once.
pub fn late_rows(late: &[u32], times: &[i64], watermarks: &[i64]) -> Vec<(usize, String)> {
    let mut rows: Vec<usize> = late.iter().map(|row| *row as usize).collect();
    rows.dedup();
    let reason = |row: usize| {
        let behind = watermarks.get(row).copied().unwrap_or_default() - times[row];
        (row, format!("its window was closed: the event is {} behind the watermark", span(behind / 1_000_000)))
    };
    rows.into_iter().map(reason).collect()
}

#[cfg(test)]
mod tests {
    use super::span;

    #[test]
    fn spans_have_two_units() {
        let cases = [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (61, "1 min 1 s"),
            (17_400, "4 h 50 min"),
            (86_405, "1 d"),
            (90_000, "1 d 1 h"),
        ];
        for (seconds, expect) in cases {
            assert_eq!(span(seconds), expect);
        }
    }
}
