//! From workers' outputs to one atomic commit: offsets, state, rows, counters, dead letters.
//!
//! Everything here happens on the pipeline's one merging thread, in source order.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch};
use arrow::compute::{concat_batches, filter_record_batch};
use arrow::datatypes::{Field, Schema, SchemaRef};
use manade_model::{Emit, Sink, Start};
use manade_sql::{Query, SqlError, TableSet};
use manade_store::{Change, Commit, Store, TableKind};

use crate::dead_letters::{self, DeadLetterBounds, DeadLetters};
use crate::groups::{GroupError, GroupState, HISTORY, Partial, rows_name};
use crate::job::{Dead, Done, DoneResult, Part};
use crate::outbox::Tails;
use crate::plan::Plan;
use crate::progress::Progress;
use crate::retain::Kept;
use crate::source::{self, Mark};
use crate::upstream::{Upstream, UpstreamRows, ids_of};

/// Turns batches of [`Done`] jobs into commits.
pub struct Committer {
    plan: Arc<Plan>,
    progress: Progress,
    dead: DeadLetters,
    results: Vec<ResultOut>,
    lanes: Arc<Vec<Vec<usize>>>,
    /// A result that reads older rows of another at the moment.
    catching_up: Option<usize>,
    /// Dead letters that are rows of earlier results, to be tried again in the commit that is built next.
    retries: Vec<dead_letters::Stored>,
    /// Rows that sinks do not take, by result, for the commit that is built next.
    refused: Vec<(Option<String>, Dead)>,
    tails: Arc<Tails>,
    /// Bytes of rows that are kept only because a sink does not have them yet, at most.
    max_outbox: u64,
    /// A sink for which more are kept, and why that is.
    held: Option<String>,
}

/// Rows of another result that are read at once where a result was added later.
const CATCH_UP: u64 = 256 * 1024;

/// What a result has not seen yet.
enum Fresh {
    /// From workers.
    Parts(Vec<Part>),
    /// Of the result that it reads.
    Rows(Vec<UpstreamRows>),
}

/// A commit in the making.
struct Draft<'a> {
    store: &'a Store,
    tables: &'a TableSet,
    progress: Progress,
    changes: Vec<(String, Change)>,
    /// Each with the result that it belongs to.
    dead: Vec<(Option<String>, Dead)>,
}

/// Where one result's rows go.
struct ResultOut {
    name: String,
    rows_schema: SchemaRef,
    groups: Option<GroupState>,
    /// Runs an earlier result's appended rows through this result's SQL.
    upstream: Option<Upstream>,
    /// Rows are appended: no aggregate, or `emit: final`.
    appends: bool,
    discards: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error("result {result}: {source}")]
    Group { result: String, source: GroupError },
    #[error("result {result}: {source}")]
    Sql { result: String, source: SqlError },
    #[error(transparent)]
    Arrow(#[from] arrow::error::ArrowError),
    #[error(transparent)]
    Read(#[from] manade_store::ReadError),
}

/// What is built and waits to be durable; the new progress counts only then.
pub struct Built {
    pub commit: Commit,
    progress: Progress,
}

impl Committer {
    pub fn new(
        plan: &Arc<Plan>,
        progress: Progress,
        lanes: &Arc<Vec<Vec<usize>>>,
        store: &Store,
        tails: &Arc<Tails>,
        max_outbox: u64,
    ) -> Result<Self, BuildError> {
        let failed = |i: usize, source| BuildError::Sql { result: plan.results[i].spec.name.to_string(), source };
        let out = |i: usize| result_out(plan, i).map_err(|e| failed(i, e));
        let results = (0..plan.results.len()).map(out).collect::<Result<_, _>>()?;
        let dead = DeadLetters::load(store, DeadLetterBounds::default())?;
        let (retries, refused) = Default::default();
        let (plan, lanes, tails) = (Arc::clone(plan), Arc::clone(lanes), Arc::clone(tails));
        let (catching_up, held) = (None, None);
        Ok(Self { plan, progress, dead, results, lanes, catching_up, retries, refused, tails, max_outbox, held })
    }

    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    pub fn dead_letters(&self) -> &DeadLetters {
        &self.dead
    }

    /// These go with the next commit.
    pub fn drop_dead_letters(&mut self, ids: Vec<u64>) {
        self.dead.dropped(ids);
    }

    /// These go with the next commit.
    pub fn retry(&mut self, letters: Vec<dead_letters::Stored>) {
        self.retries = letters;
    }

    /// Rows of a result that a sink does not take; they go with the next commit.
    pub fn refuse(&mut self, result: &str, letters: Vec<Dead>) {
        self.refused.extend(letters.into_iter().map(|letter| (Some(result.to_owned()), letter)));
    }

    /// Why reading rests, if it is to.
    pub fn held(&self) -> Option<String> {
        self.held.clone()
    }

    /// Builds the commit of these jobs, given in order. At `end`, the source has ended and open windows are closed.
    pub fn build(
        &mut self,
        store: &Store,
        dones: Vec<Done>,
        tables: &TableSet,
        end: bool,
    ) -> Result<Built, BuildError> {
        let mut draft = self.draft(store, tables);
        let mut parts: Vec<Vec<Part>> = self.results.iter().map(|_| Vec::new()).collect();
        let mut marks = Vec::new();
        for done in dones {
            take_in(&mut draft.progress, &done);
            for result in done.results {
                let index = result.result;
                parts[index].append(&mut draft.take(&self.results[index].name, result));
            }
            draft.dead.extend(done.dead.into_iter().map(|letter| (None, letter)));
            if done.counts && done.replayed.is_none() {
                let there: Vec<usize> = done.lanes.iter().map(|lane| lane.lane).collect();
                self.leave_letters(&mut draft, &there);
            }
            if let Some(ids) = &done.replayed {
                self.dead.tried(ids);
            }
            marks.push(done.mark);
        }
        if marks.iter().any(|mark| matches!(mark, Mark::File(_))) {
            draft.changes.extend(source::store::changes(store, &marks)?);
        }
        if end {
            self.end_windows(store, &mut draft.progress)?;
        }
        self.merge_results(&mut draft, parts)?;
        draft.dead.append(&mut self.refused);
        self.built(draft)
    }

    /// Results that lag behind read these events themselves, and have letters of their own then.
    fn leave_letters(&self, draft: &mut Draft<'_>, there: &[usize]) {
        let new = draft.dead.iter().filter(|(_, letter)| letter.again.is_none()).count() as u64;
        let next = draft.progress.next_dead_letter + new;
        let lagging = self.lanes.iter().enumerate().filter(|(lane, _)| !there.contains(lane));
        for index in lagging.flat_map(|(_, results)| results) {
            if let Some(of) = draft.progress.results.get_mut(&self.results[*index].name) {
                of.first_letter = next;
            }
        }
    }

    fn draft<'a>(&self, store: &'a Store, tables: &'a TableSet) -> Draft<'a> {
        let (mut progress, changes) = (self.progress.clone(), self.missing_tables(store));
        self.tails.note(&mut progress);
        Draft { store, tables, progress, changes, dead: Vec::new() }
    }

    fn built(&mut self, draft: Draft<'_>) -> Result<Built, BuildError> {
        let Draft { store, mut progress, mut changes, dead, .. } = draft;
        changes.extend(self.dead.changes(store, dead, &mut progress, manade_store::system_clock())?);
        Ok(Built::new(progress, changes))
    }

    /// How often the end of the source must be committed until results that read results have seen it too.
    pub fn depth(&self) -> usize {
        1 + self.results.iter().filter(|result| result.upstream.is_some()).count()
    }

    /// A part of what a result that reads an earlier one has not seen of it: it was added later. `None` when there is
    /// nothing of that kind.
    pub fn catch_up(&mut self, store: &Store, tables: &TableSet) -> Result<Option<Built>, BuildError> {
        let view = store.reader().view();
        for index in 0..self.results.len() {
            let Some(upstream) = &self.results[index].upstream else { continue };
            let from = self.results[upstream.from].name.clone();
            let Some(rows) = view.snapshot(&rows_name(&from)) else { continue };
            let name = self.results[index].name.clone();
            let first = match self.plan.results[index].spec.start {
                Start::Earliest => rows.row_ids().start,
                Start::Latest => rows.row_ids().end,
            };
            let seen = self.progress.results[&name].seen.unwrap_or(first);
            if seen >= rows.row_ids().end {
                continue;
            }
            let mut draft = self.draft(store, tables);
            let (mut batches, mut taken) = (Vec::new(), 0);
            for batch in rows.scan_from(seen) {
                let batch = batch?;
                taken += batch.num_rows() as u64;
                let rows = visible(&batch, &self.results[upstream.from].rows_schema)?;
                batches.push(UpstreamRows { rows, ids: ids_of(&batch), letters: Vec::new() });
                if taken >= CATCH_UP {
                    break;
                }
            }
            let of = draft.progress.results.get_mut(&name).expect("every result has progress");
            of.seen = Some(seen + taken);
            self.catching_up = Some(index);
            let merged = self.merge_one(&mut draft, index, Fresh::Rows(batches));
            self.catching_up = None;
            merged?;
            return self.built(draft).map(Some);
        }
        Ok(None)
    }

    /// What age and size bounds let go, where there is any.
    pub fn upkeep(&mut self, store: &Store) -> Result<Option<Built>, BuildError> {
        let now = manade_store::system_clock();
        let mut progress = self.progress.clone();
        let is_told = self.tails.are_ahead_of(&progress);
        self.tails.note(&mut progress);
        self.held = None;
        let mut changes = self.dead.changes(store, Vec::new(), &mut progress, now)?;
        for (index, planned) in self.plan.results.iter().enumerate() {
            let name = &self.results[index].name;
            let watermark = self.watermark_of(index, &progress, self.plan.lateness());
            let of = progress.results.get_mut(name).expect("every result has progress");
            let (retain, groups) = (planned.spec.retain, self.results[index].groups.as_ref());
            let last = of.sinks.iter().min_by_key(|(_, sink)| sink.told);
            let told = last.map(|(_, sink)| sink.told.unwrap_or_default());
            let kept = Kept { name, retain, groups, told };
            let failed = |source| BuildError::Group { result: name.clone(), source };
            let expired = kept.expire(store, &mut of.history, watermark, now).map_err(failed)?;
            if let Some((sink, _)) = last.filter(|_| expired.held > self.max_outbox) {
                self.held = Some(format!(
                    "{} bytes of the rows of {name} are kept only until {sink} has them: no more events are read",
                    expired.held
                ));
            }
            of.counters.expired += expired.rows;
            changes.extend(expired.changes);
        }
        if changes.is_empty() && !is_told {
            // What was noted of the time goes with the next commit.
            self.progress = progress;
            return Ok(None);
        }
        Ok(Some(Built::new(progress, changes)))
    }

    /// The commit is durable.
    pub fn done(&mut self, built: Progress) {
        self.progress = built;
    }

    fn missing_tables(&self, store: &Store) -> Vec<(String, Change)> {
        let mut missing = source::store::missing(store);
        missing.extend(DeadLetters::missing(store));
        for result in &self.results {
            if let Some(groups) = &result.groups {
                missing.extend(groups.missing(store));
            }
            let name = rows_name(&result.name);
            if result.appends && !result.discards && store.table(&name).is_none() {
                let schema = Arc::clone(&result.rows_schema);
                missing.push((name, Change::Create { kind: TableKind::Append, schema, history: HISTORY }));
            }
        }
        missing
    }

    /// The end of a source that ends, which every lane has reached: watermarks move behind every open window.
    fn end_windows(&self, store: &Store, progress: &mut Progress) -> Result<(), BuildError> {
        let mut closed = None;
        for out in &self.results {
            let Some(groups) = &out.groups else { continue };
            let failed = |source| BuildError::Group { result: out.name.clone(), source };
            let last = groups.last_end(store).map_err(failed)?;
            closed = closed.max(last);
        }
        for lane in &mut progress.lanes {
            lane.clock.closed = lane.clock.closed.max(closed);
        }
        Ok(())
    }

    fn merge_results(&mut self, draft: &mut Draft<'_>, mut parts: Vec<Vec<Part>>) -> Result<(), BuildError> {
        let mut retried = self.retried(draft.store)?;
        let mut appended: HashMap<usize, RecordBatch> = HashMap::new();
        for (index, own) in parts.iter_mut().enumerate() {
            let fresh = match &self.results[index].upstream {
                Some(upstream) => {
                    let mut rows: Vec<UpstreamRows> = Vec::new();
                    if let Some(batch) = appended.get(&upstream.from) {
                        rows.push(self.appended_rows(draft.store, upstream.from, batch));
                    }
                    let more: u64 = rows.iter().map(|batch| batch.rows.num_rows() as u64).sum();
                    let before = self.row_ids(draft.store, upstream.from).end;
                    let name = &self.results[index].name;
                    let of = draft.progress.results.get_mut(name).expect("every result has progress");
                    of.seen = Some(of.seen.unwrap_or(before) + more);
                    rows.extend(retried.remove(&index).unwrap_or_default());
                    Fresh::Rows(rows)
                }
                None => Fresh::Parts(std::mem::take(own)),
            };
            if let Some(batch) = self.merge_one(draft, index, fresh)? {
                appended.insert(index, batch);
            }
        }
        Ok(())
    }

    /// What a result appends in the commit that is built.
    fn appended_rows(&self, store: &Store, index: usize, rows: &RecordBatch) -> UpstreamRows {
        let next = self.row_ids(store, index).end;
        let kept = if self.results[index].discards { 0 } else { rows.num_rows() as u64 };
        UpstreamRows { rows: rows.clone(), ids: (next..next + kept).collect(), letters: Vec::new() }
    }

    fn row_ids(&self, store: &Store, index: usize) -> std::ops::Range<u64> {
        store.table(&rows_name(&self.results[index].name)).map(manade_store::Table::row_ids).unwrap_or_default()
    }

    /// Rows of earlier results that are tried again, by the result that reads them. Those that are no longer kept stay
    /// dead letters.
    fn retried(&mut self, store: &Store) -> Result<HashMap<usize, Vec<UpstreamRows>>, BuildError> {
        let mut wanted: HashMap<usize, BTreeMap<u64, u64>> = HashMap::new();
        for stored in std::mem::take(&mut self.retries) {
            let result = self.results.iter().position(|result| Some(&result.name) == stored.letter.result.as_ref());
            if let (Some(result), Some(row)) = (result, stored.source.row) {
                wanted.entry(result).or_default().insert(row, stored.letter.id);
            }
        }
        let mut retried: HashMap<usize, Vec<UpstreamRows>> = HashMap::new();
        for (index, letters) in wanted {
            let Some(upstream) = &self.results[index].upstream else { continue };
            let from = &self.results[upstream.from];
            let Some(kept) = store.reader().snapshot(&rows_name(&from.name)) else { continue };
            let (Some(first), Some(last)) = (letters.keys().next(), letters.keys().next_back()) else { continue };
            for batch in kept.scan_ids(*first..*last + 1) {
                let batch = batch?;
                let mask: BooleanArray = ids_of(&batch).iter().map(|id| Some(letters.contains_key(id))).collect();
                let batch = filter_record_batch(&batch, &mask)?;
                let ids = ids_of(&batch);
                let letters: Vec<u64> = ids.iter().map(|id| letters[id]).collect();
                self.dead.tried(&letters);
                let rows = visible(&batch, &from.rows_schema)?;
                if !ids.is_empty() {
                    retried.entry(index).or_default().push(UpstreamRows { rows, ids, letters });
                }
            }
        }
        Ok(retried)
    }

    /// Merges what is new for one result; returns the rows that it appends.
    fn merge_one(
        &mut self,
        draft: &mut Draft<'_>,
        index: usize,
        fresh: Fresh,
    ) -> Result<Option<RecordBatch>, BuildError> {
        let name = self.results[index].name.clone();
        let parts = match (fresh, &mut self.results[index].upstream) {
            (Fresh::Parts(parts), _) => parts,
            (Fresh::Rows(batches), Some(upstream)) => {
                let mut parts = Vec::new();
                for batch in batches {
                    let clock = &mut draft.progress.results.get_mut(&name).expect("every result has progress").clock;
                    let done = upstream.run(index, &batch, draft.tables, clock);
                    parts.append(&mut draft.take(&name, done));
                }
                parts
            }
            (Fresh::Rows(_), None) => Vec::new(),
        };
        let watermark = self.watermark_of(index, &draft.progress, self.plan.lateness());
        let result = &mut self.results[index];
        let of_result = draft.progress.results.get_mut(&name).expect("every result has progress");
        for part in &parts {
            of_result.counters.selected += part.output.selected;
            of_result.counters.late += part.output.late.len() as u64;
        }
        let rows = result.merge(draft.store, parts, watermark, &mut draft.changes)?;
        of_result.watermark = watermark;
        of_result.counters.written += rows.written;
        let appended = rows.appended.filter(|batch| batch.num_rows() > 0);
        if let Some(batch) = appended.as_ref().filter(|_| !result.discards) {
            draft.changes.push((rows_name(&name), Change::Append { rows: batch.clone() }));
        }
        Ok(appended)
    }

    /// A result that reads another has that one's watermark; while it catches up, that of the rows seen so far, which
    /// come in the order of their windows.
    fn watermark_of(&self, index: usize, progress: &Progress, lateness: i64) -> Option<i64> {
        if let Some(upstream) = &self.results[index].upstream {
            let above = self.watermark_of(upstream.from, progress, lateness);
            let seen = Upstream::seen(&progress.results[&self.results[index].name].clock);
            return if self.catching_up == Some(index) { above.min(seen) } else { above };
        }
        let lane = self.lanes.iter().position(|results| results.contains(&index))?;
        progress.lanes[lane].clock.watermark(lateness)
    }
}

impl Draft<'_> {
    /// Takes in what one result made of some rows, and gives its parts.
    fn take(&mut self, name: &str, done: DoneResult) -> Vec<Part> {
        let of = self.progress.results.get_mut(name).expect("every result has progress");
        of.counters.failed += done.failed;
        self.dead.extend(done.dead.into_iter().map(|letter| (Some(name.to_owned()), letter)));
        done.parts
    }
}

impl Built {
    fn new(progress: Progress, changes: Vec<(String, Change)>) -> Self {
        let meta = serde_json::to_vec(&progress).expect("progress is plain data");
        Self { commit: Commit { meta, changes }, progress }
    }

    pub fn into_parts(self) -> (Commit, Progress) {
        (self.commit, self.progress)
    }
}

struct Written {
    appended: Option<RecordBatch>,
    written: u64,
}

impl ResultOut {
    fn merge(
        &mut self,
        store: &Store,
        parts: Vec<Part>,
        watermark: Option<i64>,
        changes: &mut Vec<(String, Change)>,
    ) -> Result<Written, BuildError> {
        let Some(groups) = &mut self.groups else {
            let rows = parts.into_iter().flat_map(|part| part.output.rows);
            let rows = rows.map(|batch| visible(&batch, &self.rows_schema)).collect::<Result<Vec<_>, _>>()?;
            let rows = concat_batches(&self.rows_schema, &rows)?;
            return Ok(Written { written: rows.num_rows() as u64, appended: Some(rows) });
        };
        let partial = |part: Part| Partial { watermark: part.watermark, groups: part.output.groups };
        let partials: Vec<Partial> = parts.into_iter().map(partial).collect();
        let failed = |source| BuildError::Group { result: self.name.clone(), source };
        let merged = groups.merge(store, &partials, watermark).map_err(failed)?;
        changes.extend(merged.changes);
        let closed = merged.closed.map(|rows| visible(&rows, &self.rows_schema)).transpose()?;
        let written =
            if self.appends { closed.as_ref().map_or(0, |rows| rows.num_rows() as u64) } else { merged.updated };
        Ok(Written { appended: closed, written })
    }
}

fn take_in(progress: &mut Progress, done: &Done) {
    for lane in &done.lanes {
        progress.lanes[lane.lane].clock = lane.clock;
        if let Some(after) = done.after {
            progress.lanes[lane.lane].position = after;
        }
    }
    if done.counts {
        progress.counters.read += done.read;
        progress.counters.processed += done.rows;
        progress.counters.dead += done.read - done.rows;
    }
}

/// The visible columns, which stand first.
fn visible(rows: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, arrow::error::ArrowError> {
    let columns = typed(rows.columns(), schema)?;
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
}

/// Columns as the schema has them: functions differ in how they name the elements of a list.
pub fn typed(columns: &[ArrayRef], schema: &SchemaRef) -> Result<Vec<ArrayRef>, arrow::error::ArrowError> {
    let typed = |(column, field): (&ArrayRef, &Arc<Field>)| match field.data_type() {
        same if column.data_type() == same => Ok(Arc::clone(column)),
        other => arrow::compute::cast(column, other),
    };
    columns.iter().zip(schema.fields()).map(typed).collect()
}

/// The schema of a result's appended rows.
pub fn rows_schema(query: &Query) -> SchemaRef {
    let column = |c: &manade_sql::OutputColumn| Field::new(&c.name, c.data_type.clone(), true);
    Arc::new(Schema::new(query.columns.iter().map(column).collect::<Vec<_>>()))
}

fn result_out(plan: &Plan, index: usize) -> Result<ResultOut, SqlError> {
    let planned = &plan.results[index];
    let query = &planned.query;
    let name = planned.spec.name.to_string();
    let emit_final = planned.spec.emit == Emit::Final;
    let groups = GroupState::new(&name, query, emit_final)?;
    let upstream = Upstream::new(plan, index)?;
    Ok(ResultOut {
        appends: groups.is_none() || emit_final,
        discards: planned.spec.sinks == [Sink::Discard],
        rows_schema: rows_schema(query),
        name,
        groups,
        upstream,
    })
}
