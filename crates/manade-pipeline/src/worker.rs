//! A worker: decodes a chunk, learns its watermarks in turn, and runs every result's SQL over it.

use std::sync::Arc;
use std::time::Instant;

use arrow::array::{
    Array, ArrayRef, AsArray, RecordBatch, StructArray, TimestampMicrosecondArray, UInt32Array, UInt64Array,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use manade_events::{Chunk, DeadRecord, DecodeStage, Decoded, RecordSpan};
use manade_model::Late;
use manade_sql::{Input, SqlError, Stage as SqlStage, Window, Worker as SqlWorker};

use crate::bisect::bisect;
use crate::dead_letter::Stage;
use crate::job::{Dead, Done, DoneLane, DoneResult, Job, Part, RawFormat};
use crate::pace::Pace;
use crate::plan::{Decoders, Plan};
use crate::progress::EventClock;
use crate::sequencer::Sequencer;
use crate::source::{Origin, SourceChunk};

pub struct Worker {
    plan: Arc<Plan>,
    decoders: Arc<Decoders>,
    sequencer: Arc<Sequencer>,
    /// By lane: its results.
    lanes: Arc<Vec<Vec<usize>>>,
    pace: Arc<Pace>,
    /// By result; none for those that read an earlier result.
    sql: Vec<Option<SqlWorker>>,
}

/// A lane's view of a decoded chunk.
struct LaneEvents<'a> {
    decoded: &'a Decoded,
    before: EventClock,
    /// The watermark before each event; empty where no event is older than its watermark.
    watermarks: Vec<i64>,
    lateness: i64,
}

impl Worker {
    pub fn new(
        plan: Arc<Plan>,
        decoders: Arc<Decoders>,
        sequencer: Arc<Sequencer>,
        lanes: Arc<Vec<Vec<usize>>>,
        pace: Arc<Pace>,
    ) -> Result<Self, SqlError> {
        let sql_worker = |r: &crate::plan::PlannedResult| match r.query.input {
            Input::Events => r.query.worker().map(Some),
            Input::Result(_) => Ok(None),
        };
        let sql = plan.results.iter().map(sql_worker).collect::<Result<_, _>>()?;
        Ok(Self { plan, decoders, sequencer, lanes, pace, sql })
    }

    /// `None` when the pipeline stops meanwhile.
    pub fn run(&mut self, job: Job) -> Option<Done> {
        let begun = Instant::now();
        let decoded = match self.decoders.of(job.source.format) {
            Some(decoder) => decoder.decode(&job.source.chunk),
            None => undecodable(&job.source.chunk),
        };
        let newest = decoded.times.iter().max().copied();
        let (bad, size) = (job.source.bad.len() as u64, job.source.chunk.data.len() as u64);
        let decoding = begun.elapsed();
        let before = self.sequencer.pass(job.number, &job.lanes, newest, decoded.rows.len() as u64)?;
        let begun = Instant::now();
        let letters =
            Letters { source: &job.source, decoded: &decoded, max_event: self.plan.pipeline.events.max_event };
        let undecoded = letters.undecoded();
        let mut results = Vec::new();
        let mut lanes = Vec::new();
        for (lane, before) in job.lanes.iter().zip(before) {
            let mut clock = before;
            clock.see(newest, decoded.rows.len() as u64);
            lanes.push(DoneLane { lane: *lane, clock });
            let events = LaneEvents::new(&decoded, before, self.plan.lateness());
            let own = Arc::clone(&self.lanes);
            for result in own[*lane].iter().copied().filter(|r| job.only.as_ref().is_none_or(|only| only.contains(r))) {
                let Some(mut done) = self.run_result(result, &events, &job) else { continue };
                if !job.counts {
                    // The pipeline has counted the event. Its other results may have taken it, without the columns that
                    // only this one reads.
                    done.failed += undecoded.len() as u64;
                    done.dead.extend(undecoded.iter().cloned());
                }
                results.push(done);
            }
        }
        self.pace.took(size as usize, decoding + begun.elapsed());
        let dead = if job.counts { undecoded } else { Vec::new() };
        Some(Done {
            number: job.number,
            mark: job.source.mark,
            after: job.source.after,
            backlog: job.source.backlog,
            size,
            lanes,
            counts: job.counts,
            read: decoded.read + bad,
            rows: decoded.rows.len() as u64,
            dead,
            replayed: match &job.source.origin {
                Origin::Replay(ids) => Some(Arc::clone(ids)),
                _ => None,
            },
            results,
        })
    }

    /// `None` where the result does not read events.
    fn run_result(&mut self, result: usize, events: &LaneEvents<'_>, job: &Job) -> Option<DoneResult> {
        let query = Arc::clone(&self.plan.results[result].query);
        let sql = self.sql[result].as_mut()?;
        let mut done = DoneResult { result, parts: Vec::new(), dead: Vec::new(), failed: 0 };
        if events.decoded.rows.is_empty() {
            return Some(done);
        }
        let window = match &query.stage {
            SqlStage::Groups(groups) => groups.window,
            SqlStage::Rows => None,
        };
        let late = window.is_some() && !events.watermarks.is_empty();
        let sequence = query.sequence.then_some(events.before.events);
        let watermarks = late.then_some(&events.watermarks);
        let batch = with_hidden(&events.decoded.batch, &query.input_schema, watermarks, sequence);
        let max_event = self.plan.pipeline.events.max_event;
        let letters = Letters { source: &job.source, decoded: events.decoded, max_event };
        let (outputs, failed) = bisect(&query, sql, &job.tables, &batch, late);
        done.failed = failed.len() as u64;
        done.dead.extend(failed.into_iter().map(|(row, reason)| letters.of_row(row, Stage::Sql, reason)));
        // Late events carry the watermarks that stood when they came.
        let watermark = events.before.watermark(events.lateness);
        for output in outputs {
            if let (Late::Keep, Some(window)) = (self.plan.pipeline.events.late, window) {
                done.dead.extend(letters.late(&output.late, window, &events.watermarks));
            }
            done.parts.push(Part { watermark, output });
        }
        Some(done)
    }
}

/// `4 h 50 min`: the two largest units.
fn span(seconds: i64) -> String {
    let parts = [(seconds / 86_400, "d"), (seconds / 3_600 % 24, "h"), (seconds / 60 % 60, "min"), (seconds % 60, "s")];
    let first = parts.iter().position(|(count, _)| *count != 0).unwrap_or(parts.len() - 1);
    let shown = parts[first..].iter().take(2).filter(|(count, unit)| *count != 0 || *unit == parts[first].1);
    shown.map(|(count, unit)| format!("{count} {unit}")).collect::<Vec<_>>().join(" ")
}

impl<'a> LaneEvents<'a> {
    fn new(decoded: &'a Decoded, before: EventClock, lateness: i64) -> Self {
        let mut events = Self { decoded, before, watermarks: Vec::new(), lateness };
        let Some(oldest) = decoded.times.iter().min() else { return events };
        let mut after = before;
        after.see(decoded.times.iter().max().copied(), 0);
        if after.watermark(lateness).is_some_and(|watermark| *oldest <= watermark) {
            let (running, behind) = running_watermarks(&decoded.times, before, lateness);
            if behind {
                events.watermarks = running;
            }
        }
        events
    }
}

/// The columns that a query reads, and the hidden ones that it needs.
pub fn with_hidden(
    batch: &RecordBatch,
    schema: &SchemaRef,
    watermarks: Option<&Vec<i64>>,
    sequence: Option<u64>,
) -> RecordBatch {
    let rows = batch.num_rows();
    let mut columns: Vec<ArrayRef> = schema.fields().iter().map(|field| pick(batch, field)).collect();
    let mut fields: Vec<Arc<Field>> = schema.fields().iter().cloned().collect();
    if let Some(watermarks) = watermarks {
        let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        fields.push(Arc::new(Field::new(manade_sql::WATERMARK, utc, true)));
        columns.push(Arc::new(TimestampMicrosecondArray::from(watermarks.clone()).with_timezone("UTC")));
        fields.push(Arc::new(Field::new(manade_sql::ROW, DataType::UInt32, true)));
        columns.push(Arc::new(UInt32Array::from_iter_values(0..rows as u32)));
    }
    if let Some(first) = sequence {
        fields.push(Arc::new(Field::new(manade_sql::SEQUENCE, DataType::UInt64, true)));
        columns.push(Arc::new(UInt64Array::from_iter_values(first..first + rows as u64)));
    }
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)
        .expect("columns are picked by the schema's own fields")
}

/// The watermark before each event, and whether any event is not ahead of its own.
fn running_watermarks(times: &[i64], before: EventClock, lateness: i64) -> (Vec<i64>, bool) {
    let mut clock = before;
    let mut behind = false;
    let mut watermarks = Vec::with_capacity(times.len());
    for time in times {
        let watermark = clock.watermark(lateness).unwrap_or(i64::MIN);
        behind |= *time <= watermark;
        watermarks.push(watermark);
        clock.see(Some(*time), 0);
    }
    (watermarks, behind)
}

/// A column of the batch by name, structs narrowed to the fields that are asked for.
fn pick(batch: &RecordBatch, field: &Field) -> ArrayRef {
    let column = batch.column_by_name(field.name()).expect("the decoder reads what queries read");
    narrow(column, field.data_type())
}

fn narrow(column: &ArrayRef, wanted: &DataType) -> ArrayRef {
    let DataType::Struct(fields) = wanted else { return Arc::clone(column) };
    if column.data_type() == wanted {
        return Arc::clone(column);
    }
    let whole = column.as_struct();
    let child = |field: &Arc<Field>| {
        let child = whole.column_by_name(field.name()).expect("the decoder reads what queries read");
        narrow(child, field.data_type())
    };
    let children = fields.iter().map(child).collect();
    Arc::new(StructArray::new(fields.clone(), children, whole.nulls().cloned()))
}

/// Records in CSV, where the schema has nested types.
fn undecodable(chunk: &Chunk) -> Decoded {
    let mut start = 0;
    let mut dead = Vec::new();
    for end in &chunk.ends {
        let reason = "CSV cannot hold the nested types of the schema".to_owned();
        dead.push(DeadRecord { span: RecordSpan { start, len: end - start }, stage: DecodeStage::Decode, reason });
        start = *end;
    }
    let batch = RecordBatch::new_empty(Arc::new(Schema::empty()));
    Decoded { batch, times: Vec::new(), rows: Vec::new(), read: dead.len() as u64, dead }
}

/// Makes dead letters of a chunk's records.
struct Letters<'a> {
    source: &'a SourceChunk,
    decoded: &'a Decoded,
    max_event: u64,
}

/// Of an event that is too long, its beginning is kept.
const RAW: usize = 64 * 1024;

impl Letters<'_> {
    /// Of everything that is not an event of the schema, or has no event time.
    fn undecoded(&self) -> Vec<Dead> {
        let bad = self.source.bad.iter().map(|bad| Dead {
            stage: Stage::Decode,
            reason: bad.reason.clone(),
            position: match &self.source.origin {
                Origin::File { path, offset } => format!("{path}:{}", offset.saturating_add_signed(bad.at)),
                Origin::Log { first } => format!("event {first}"),
                Origin::Replay(_) => String::new(),
            },
            length: bad.length,
            raw: bad.raw.clone(),
            again: None,
            source: self.raw_format(0),
        });
        let dead = self.decoded.dead.iter().map(|dead| {
            let stage = match dead.stage {
                DecodeStage::Decode => Stage::Decode,
                DecodeStage::Time => Stage::Time,
            };
            self.letter(dead.span, stage, dead.reason.clone())
        });
        bad.chain(dead).collect()
    }

    /// Of rows that windows did not take. A sliding window may leave one out several times: it is told once.
    fn late(&self, rows: &[u32], window: Window, watermarks: &[i64]) -> Vec<Dead> {
        let mut rows: Vec<usize> = rows.iter().map(|row| *row as usize).collect();
        rows.dedup();
        let letter = |row: usize| {
            let (time, watermark) = (self.decoded.times[row], watermarks.get(row).copied().unwrap_or_default());
            let behind = span((watermark - time) / 1_000_000);
            let taken = window.last_end(time) > watermark;
            let which = if taken { "some of its windows were" } else { "its window was" };
            let reason = format!("{which} closed: the event is {behind} behind the watermark");
            let mut letter = self.of_row(row, Stage::Late, reason);
            letter.source.taken = taken;
            letter
        };
        rows.into_iter().map(letter).collect()
    }

    fn of_row(&self, row: usize, stage: Stage, reason: String) -> Dead {
        self.letter(self.decoded.rows[row], stage, reason)
    }

    fn letter(&self, span: RecordSpan, stage: Stage, reason: String) -> Dead {
        let rows_before = self.decoded.rows.partition_point(|r| r.start < span.start);
        let number = rows_before + self.decoded.dead.partition_point(|d| d.span.start < span.start);
        let (position, again) = match &self.source.origin {
            Origin::File { path, offset } => (format!("{path}:{}", offset + u64::from(span.start)), None),
            Origin::Log { first } => (format!("event {}", first + number as u64), None),
            Origin::Replay(ids) => (String::new(), ids.get(number).copied()),
        };
        let bytes = &self.source.chunk.data.as_slice()[span.start as usize..(span.start + span.len) as usize];
        let kept = if u64::from(span.len) > self.max_event { RAW.min(bytes.len()) } else { bytes.len() };
        let (length, raw) = (u64::from(span.len), bytes[..kept].to_vec());
        Dead { stage, reason, position, length, raw, again, source: self.raw_format(number) }
    }

    fn raw_format(&self, record: usize) -> RawFormat {
        let chunk = &self.source.chunk;
        RawFormat {
            format: self.source.format,
            header: chunk.header.as_ref().map(|header| header.to_vec()),
            meta: chunk.meta.as_ref().and_then(|meta| meta.get(record).cloned().flatten()),
            arrival: chunk.arrival,
            row: None,
            taken: false,
        }
    }
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
