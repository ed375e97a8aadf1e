//! A result's rows as a collection: stored states become visible rows when they are read.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, BooleanArray, RecordBatch, StructArray, new_null_array};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, UInt64Type};
use arrow::error::ArrowError;
use arrow_row::{RowConverter, SortField};
use datafusion::scalar::ScalarValue;
use manade_model::{Emit, Sink};
use manade_sql::{Groups, KeyPart, Query, RowReader, SqlError, Stage, StateTable};
use manade_store::{Changed, ChangedKind, Reader, Snapshot, View};
use parking_lot::Mutex;
use xxhash_rust::xxh3::xxh3_64;

use crate::collection::{
    ChangeBatch, ChangeKind, Changes, Collection, CollectionInfo, CollectionKind, Freshness, KEY_COLUMN, OutputColumn,
    ReadError, RowBatches, Rows, ScanRequest,
};
use crate::commit::{rows_schema, typed};
use crate::groups::{rows_name, state_name};
use crate::lookup::{self, Lookups, is_indexable};
use crate::progress::{Definition, Progress, ResultProgress};

mod entries;
mod feed;
mod ranking;

use self::feed::TopFeed;
use self::ranking::Ranking;

/// One result's rows in a store.
pub struct ResultCollection {
    info: Arc<CollectionInfo>,
    version: u64,
    /// When the result began, which is before any of its commits; microseconds since the epoch.
    began: i64,
    reader: Reader,
    shape: Arc<Shape>,
    lateness: i64,
    top: Mutex<TopFeed>,
    /// As of the commit that was asked about last.
    fresh: Mutex<Option<Freshness>>,
}

/// How stored rows become visible ones.
struct Shape {
    result: String,
    query: Arc<Query>,
    schema: SchemaRef,
    appends: bool,
    /// Visible columns that rows are found by.
    indexed: Vec<usize>,
    lookups: Mutex<Lookups>,
    /// Of a top-N result, at its last look.
    ranking: Mutex<Option<Ranking>>,
    /// Row readers that are not in use.
    idle: Mutex<Vec<RowReader>>,
}

impl ResultCollection {
    /// `None` where the result keeps no rows.
    pub fn new(pipeline: &str, progress: &ResultProgress, query: Arc<Query>, reader: Reader) -> Option<Self> {
        let definition = &progress.definition;
        let info = info_of(pipeline, definition, &query)?;
        let appends = info.kind == CollectionKind::Append;
        // Rows that were appended stay as they are.
        let shown = if appends { "" } else { definition.sql.as_str() };
        let version = xxh3_64(format!("{}\0{shown}", progress.began).as_bytes());
        let schema = rows_schema(&query);
        let column = |name: &String| query.columns.iter().position(|column| column.name == *name);
        let indexed = definition.index.iter().filter_map(column);
        let indexed = indexed.filter(|column| is_indexable(schema.field(*column).data_type())).collect();
        let (lookups, ranking, idle) = Default::default();
        let shape = Shape { result: definition.name.clone(), query, schema, appends, indexed, lookups, ranking, idle };
        let top = Mutex::new(TopFeed::default());
        let fresh = Mutex::new(None);
        let (info, shape, lateness) = (Arc::new(info), Arc::new(shape), progress.lateness);
        let began = progress.began;
        Some(Self { info, version, began, reader, shape, lateness, top, fresh })
    }
}

/// What a result's collection is; `None` where the result keeps no rows.
pub fn info_of(pipeline: &str, definition: &Definition, query: &Query) -> Option<CollectionInfo> {
    if definition.sinks == [Sink::Discard] {
        return None;
    }
    let appends = matches!(query.stage, Stage::Rows) || definition.emit == Emit::Final;
    let kind = match &query.stage {
        _ if appends => CollectionKind::Append,
        Stage::Groups(Groups { top: Some(_), .. }) => CollectionKind::Top,
        _ => CollectionKind::Keyed,
    };
    let column = |c: &manade_sql::OutputColumn| OutputColumn { name: c.name.clone(), data_type: c.data_type.clone() };
    Some(CollectionInfo {
        name: definition.name.clone(),
        pipeline: pipeline.to_owned(),
        description: definition.description.clone(),
        columns: query.columns.iter().map(column).collect(),
        kind,
        key: if appends { Vec::new() } else { query.key.clone() },
        index: definition.index.clone(),
    })
}

impl Collection for ResultCollection {
    fn info(&self) -> Arc<CollectionInfo> {
        Arc::clone(&self.info)
    }

    fn version(&self) -> u64 {
        self.version
    }

    fn freshness(&self) -> Freshness {
        let view = self.reader.view();
        let mut fresh = self.fresh.lock();
        if let Some(known) = fresh.filter(|known| known.commit == view.commit()) {
            return known;
        }
        let mut freshness = Freshness { commit: view.commit(), watermark: None, newest: None };
        let progress = view.meta().and_then(|meta| serde_json::from_slice::<Progress>(meta).ok());
        if let Some(progress) = progress {
            let lane = progress.lanes.iter().find(|lane| lane.results.contains(&self.info.name));
            if let Some(lane) = lane.or(progress.lanes.first()) {
                freshness.newest = lane.clock.newest;
                freshness.watermark = lane.clock.watermark(self.lateness);
            }
        }
        *fresh = Some(freshness);
        freshness
    }

    fn count(&self) -> u64 {
        let emit = if self.shape.appends { Emit::Final } else { Emit::Updates };
        row_count(&self.reader.view(), &self.info.name, &self.shape.query, emit)
    }

    fn snapshot(&self) -> Result<Box<dyn Rows>, ReadError> {
        Ok(Box::new(ResultRows { shape: Arc::clone(&self.shape), view: self.reader.view() }))
    }

    fn changes(&self, since: u64) -> Result<Changes, ReadError> {
        let (commit, batches) = self.feed(since)?;
        Ok(Changes { commit, batches: batches.collect::<Result<_, _>>()? })
    }

    fn wait_beyond(&self, commit: u64, timeout: Duration) -> u64 {
        self.reader.wait_beyond(commit, timeout)
    }
}

/// Changes in commit order.
pub type ChangeBatches = Box<dyn Iterator<Item = Result<ChangeBatch, ReadError>> + Send>;

impl ResultCollection {
    /// What changed after commit `since`, read as it is taken, and the commit up to which it is told.
    pub fn feed(&self, since: u64) -> Result<(u64, ChangeBatches), ReadError> {
        let view = self.reader.view();
        let commit = view.commit();
        if self.info.kind == CollectionKind::Top {
            let Changes { commit, batches } = self.top_changes(&view, since)?;
            return Ok((commit, Box::new(batches.into_iter().map(Ok))));
        }
        let Some(snapshot) = view.snapshot(&self.table()) else { return Ok((commit, Box::new(std::iter::empty()))) };
        let changes = snapshot.changes(since).map_err(|e| match e {
            manade_store::SnapshotError::TooOld { oldest } => ReadError::Gone { oldest },
            manade_store::SnapshotError::Read(e) => read_error(&e),
        })?;
        let shape = Arc::clone(&self.shape);
        let batches = changes.flat_map(move |changed| {
            let batches = changed.map_err(|e| read_error(&e)).and_then(|changed| shape.told(&view, changed));
            batches.map_or_else(|e| vec![Err(e)], |batches| batches.into_iter().map(Ok).collect())
        });
        Ok((commit, Box::new(batches)))
    }

    /// Appended rows from one on, and the number that comes next.
    pub fn rows_from(&self, row: u64) -> (u64, RowBatches) {
        let Some(rows) = self.reader.snapshot(&rows_name(&self.info.name)) else {
            return (row, Box::new(std::iter::empty()));
        };
        let shape = Arc::clone(&self.shape);
        let batches = rows.scan_from(row).map(move |batch| shape.appended(&batch.map_err(|e| read_error(&e))?));
        (rows.row_ids().end, Box::new(batches))
    }

    /// How many rows a reader does not have yet that has come to a commit, or to a row where rows are appended.
    pub fn count_since(&self, told: Option<u64>) -> u64 {
        let Some(table) = self.reader.snapshot(&self.table()) else { return 0 };
        match told {
            _ if self.shape.appends => table.row_ids().end - told.unwrap_or_default().max(table.row_ids().start),
            Some(commit) => table.count_since(commit),
            None => table.rows(),
        }
    }

    pub fn commit(&self) -> u64 {
        self.reader.commit()
    }

    pub fn began(&self) -> i64 {
        self.began
    }

    pub fn appends(&self) -> bool {
        self.shape.appends
    }

    fn table(&self) -> String {
        if self.shape.appends { rows_name(&self.info.name) } else { state_name(&self.info.name, 0) }
    }

    /// All readers of a commit share one look at its rows.
    fn top_changes(&self, view: &View, since: u64) -> Result<Changes, ReadError> {
        let mut top = self.top.lock();
        if top.is_behind(view.commit()) {
            top.look(view.commit(), self.shape.top(view)?)?;
        }
        match top.changes(since)? {
            Some(changes) => Ok(changes),
            None => self.shape.top_since(view, since),
        }
    }
}

/// How many rows a result's collection has now.
pub fn row_count(view: &View, name: &str, query: &Query, emit: Emit) -> u64 {
    let appends = matches!(query.stage, Stage::Rows) || emit == Emit::Final;
    let table = if appends { rows_name(name) } else { state_name(name, 0) };
    let rows = view.snapshot(&table).map_or(0, |table| table.rows());
    match &query.stage {
        Stage::Groups(Groups { top: Some(top), .. }) => rows.min(top.limit as u64),
        _ => rows,
    }
}

struct ResultRows {
    shape: Arc<Shape>,
    view: View,
}

impl Rows for ResultRows {
    fn commit(&self) -> u64 {
        self.view.commit()
    }

    fn scan(self: Box<Self>, request: &ScanRequest) -> RowBatches {
        let Self { shape, view } = *self;
        if shape.appends {
            let Some(rows) = view.snapshot(&rows_name(&shape.result)) else { return Box::new(std::iter::empty()) };
            let found = match shape.blocks(&rows, request) {
                Ok(Some(ranges)) => Box::new(ranges.into_iter().flat_map(move |ids| rows.scan_ids(ids))),
                Ok(None) => rows.scan(),
                Err(e) => return Box::new(std::iter::once(Err(e))),
            };
            return Box::new(found.map(move |batch| shape.appended(&batch.map_err(|e| read_error(&e))?)));
        }
        match shape.read(&view, request) {
            Ok(batches) => batches,
            Err(e) => Box::new(std::iter::once(Err(e))),
        }
    }
}

impl Shape {
    fn told(&self, view: &View, changed: Changed) -> Result<Vec<ChangeBatch>, ReadError> {
        let Changed { commit, kind, rows } = changed;
        match kind {
            ChangedKind::Append => {
                Ok(vec![ChangeBatch { commit, kind: ChangeKind::Append, rows: self.appended(&rows)? }])
            }
            ChangedKind::Delete => {
                Ok(vec![ChangeBatch { commit, kind: ChangeKind::Delete, rows: self.only_keys(&rows)? }])
            }
            ChangedKind::Upsert => self.upserts(view, commit, &rows),
        }
    }

    fn main(&self) -> &StateTable {
        match &self.query.stage {
            Stage::Groups(groups) => &groups.main,
            Stage::Rows => unreachable!("only grouped results have states"),
        }
    }

    fn groups(&self) -> &Groups {
        match &self.query.stage {
            Stage::Groups(groups) => groups,
            Stage::Rows => unreachable!("only grouped results have states"),
        }
    }

    fn read(self: Arc<Self>, view: &View, request: &ScanRequest) -> Result<RowBatches, ReadError> {
        if self.groups().top.is_some() {
            return Ok(Box::new(std::iter::once(self.top(view))));
        }
        let Some(main) = view.snapshot(&state_name(&self.result, 0)) else { return Ok(Box::new(std::iter::empty())) };
        let wanted = self.key_filters(request);
        let found = match self.look_up(&main, &wanted)? {
            Some(group) => Some(group),
            None => self.groups_found(view, &main, request)?,
        };
        if let Some(found) = found {
            let found = Self::matching(found, &wanted)?;
            let entries = self.entries_of(view, &found)?;
            return Ok(Box::new(std::iter::once(self.visible(&found, &entries))));
        }
        let batches = self.parts(view, &main).map(move |part| {
            let (batch, entries) = part?;
            self.visible(&Self::matching(batch, &wanted)?, &entries)
        });
        Ok(Box::new(batches))
    }

    /// Equality filters on visible columns that show a key column: this one and the value.
    fn key_filters(&self, request: &ScanRequest) -> Vec<(usize, ScalarValue)> {
        let typed = |(column, value): &(usize, ScalarValue)| {
            let key = self.query.key_parts.iter().find_map(|(visible, part)| match part {
                KeyPart::Column(key) if visible == column => Some(*key),
                _ => None,
            })?;
            (value.data_type() == *self.main().schema.field(key).data_type()).then(|| (key, value.clone()))
        };
        request.equals.iter().filter_map(typed).collect()
    }

    /// The one group, where every key column's value is given.
    fn look_up(&self, main: &Snapshot, wanted: &[(usize, ScalarValue)]) -> Result<Option<RecordBatch>, ReadError> {
        let columns = self.main().lookup_columns();
        if columns.is_empty() || columns.len() != self.main().key_columns {
            return Ok(None);
        }
        let mut values: Vec<ArrayRef> = Vec::new();
        for column in &columns {
            let Some((_, value)) = wanted.iter().find(|(key, _)| key == column) else { return Ok(None) };
            values.push(value.to_array().map_err(|e| ReadError::Failed(e.to_string()))?);
        }
        let hash = manade_store::hash_columns(&values, 1)[0];
        main.lookup(hash).map(Some).map_err(|e| read_error(&e))
    }

    /// An indexed column that the request fixes, by its number among them, and the value.
    fn indexed(&self, request: &ScanRequest) -> Option<(usize, ArrayRef)> {
        request.equals.iter().find_map(|(column, value)| {
            let at = self.indexed.iter().position(|indexed| indexed == column)?;
            let is_typed = value.data_type() == *self.schema.field(*column).data_type() && !value.is_null();
            Some((at, value.to_array().ok().filter(|_| is_typed)?))
        })
    }

    /// The groups that may have the value of an indexed column; `None` where a scan is as good.
    fn groups_found(
        self: &Arc<Self>,
        view: &View,
        main: &Snapshot,
        request: &ScanRequest,
    ) -> Result<Option<RecordBatch>, ReadError> {
        let key = self.main().lookup_columns();
        let Some((column, value)) = self.indexed(request).filter(|_| !key.is_empty()) else { return Ok(None) };
        let mut lookups = self.lookups.lock();
        if lookups.is_worn(main.rows()) {
            *lookups = Lookups::default();
        }
        let changes = match lookups.reached() {
            // It may not have seen what this view shows: values that were there only for a while.
            Some((commit, _)) if commit > main.commit() => return Ok(None),
            Some((commit, _)) => main.changes(commit).ok(),
            None => None,
        };
        let visible = self.schema.fields().len();
        let add = |lookups: &mut Lookups, batch: &RecordBatch, entries: &[RecordBatch]| -> Result<(), ReadError> {
            let rows = self.with_reader(|reader| reader.rows(batch, entries))?;
            let columns =
                typed(&rows.columns()[..visible], &self.schema).map_err(|e| ReadError::Failed(e.to_string()))?;
            let values: Vec<ArrayRef> = self.indexed.iter().map(|column| Arc::clone(&columns[*column])).collect();
            let keys: Vec<ArrayRef> = key.iter().map(|column| Arc::clone(rows.column(visible + column))).collect();
            lookups.add(&values, &manade_store::hash_columns(&keys, rows.num_rows()));
            Ok(())
        };
        if let Some(changes) = changes {
            for changed in changes {
                let changed = changed.map_err(|e| read_error(&e))?;
                if changed.kind == ChangedKind::Upsert {
                    add(&mut lookups, &changed.rows, &self.entries_of(view, &changed.rows)?)?;
                }
            }
        } else {
            lookups.begin(self.indexed.len());
            for part in self.parts(view, main) {
                let (batch, entries) = part?;
                add(&mut lookups, &batch, &entries)?;
            }
        }
        lookups.reach(main.commit(), 0);
        let found = lookups.find(column, &value);
        if found.len() as u64 > main.rows() / 4 + 1 {
            return Ok(None);
        }
        main.lookup_all(&found).map(Some).map_err(|e| read_error(&e))
    }

    /// Ids of the appended rows that may have the value of an indexed column.
    fn blocks(&self, rows: &Snapshot, request: &ScanRequest) -> Result<Option<Vec<Range<u64>>>, ReadError> {
        let Some((column, value)) = self.indexed(request) else { return Ok(None) };
        let mut lookups = self.lookups.lock();
        let next = lookups.reached().map(|(_, row)| row);
        if next.is_none() {
            lookups.begin(self.indexed.len());
        }
        for batch in rows.scan_from(next.unwrap_or_default()) {
            let batch = batch.map_err(|e| read_error(&e))?;
            let ids = batch.column(self.schema.fields().len()).as_primitive::<UInt64Type>();
            lookups.add(&lookup::values_of(&batch, &self.indexed), &lookup::blocks(ids.values()));
        }
        lookups.reach(rows.commit(), rows.row_ids().end);
        Ok(Some(lookup::ranges(&lookups.find(column, &value))))
    }

    fn matching(batch: RecordBatch, wanted: &[(usize, ScalarValue)]) -> Result<RecordBatch, ReadError> {
        let failed = |e: ArrowError| ReadError::Failed(e.to_string());
        let mut batch = batch;
        for (key, value) in wanted {
            let value = value.to_scalar().map_err(|e| ReadError::Failed(e.to_string()))?;
            let mask = arrow::compute::kernels::cmp::eq(batch.column(*key), &value).map_err(failed)?;
            batch = filter_record_batch(&batch, &mask).map_err(failed)?;
        }
        Ok(batch)
    }

    fn visible(&self, main: &RecordBatch, entries: &[RecordBatch]) -> Result<RecordBatch, ReadError> {
        let rows = self.with_reader(|reader| reader.rows(main, entries))?;
        self.keyed(&rows)
    }

    fn with_reader<T>(&self, run: impl FnOnce(&mut RowReader) -> Result<T, SqlError>) -> Result<T, ReadError> {
        let idle = self.idle.lock().pop();
        let failed = |e: SqlError| ReadError::Failed(e.to_string());
        let mut reader = match idle {
            Some(reader) => reader,
            None => self.query.row_reader().map_err(failed)?,
        };
        let result = run(&mut reader).map_err(failed)?;
        self.idle.lock().push(reader);
        Ok(result)
    }

    /// Visible columns, then the group key columns as one binary key.
    fn keyed(&self, rows: &RecordBatch) -> Result<RecordBatch, ReadError> {
        let visible = self.schema.fields().len();
        self.with_key(&rows.columns()[..visible], &keys_of(&rows.columns()[visible..], rows.num_rows())?)
    }

    fn with_key(&self, visible: &[ArrayRef], keys: &BinaryArray) -> Result<RecordBatch, ReadError> {
        let mut columns = typed(visible, &self.schema).map_err(|e| ReadError::Failed(e.to_string()))?;
        columns.push(Arc::new(keys.clone()));
        RecordBatch::try_new(self.keyed_schema(), columns).map_err(|e| ReadError::Failed(e.to_string()))
    }

    /// Visible columns and the key.
    fn keyed_schema(&self) -> SchemaRef {
        let mut fields: Vec<Arc<Field>> = self.schema.fields().iter().cloned().collect();
        fields.push(Arc::new(Field::new(KEY_COLUMN, DataType::Binary, false)));
        Arc::new(Schema::new(fields))
    }

    /// Appended rows: the key is the row's number.
    fn appended(&self, rows: &RecordBatch) -> Result<RecordBatch, ReadError> {
        let visible = self.schema.fields().len();
        let ids = rows.column(visible).as_primitive::<UInt64Type>();
        let keys = BinaryArray::from_iter_values(ids.values().iter().map(|id| id.to_be_bytes()));
        self.with_key(&rows.columns()[..visible], &keys)
    }

    /// Changed groups: those that are visible, and those that HAVING leaves out now.
    fn upserts(&self, view: &View, commit: u64, main: &RecordBatch) -> Result<Vec<ChangeBatch>, ReadError> {
        let rows = self.visible(main, &self.entries_of(view, main)?)?;
        let mut batches = Vec::new();
        if rows.num_rows() < main.num_rows() {
            let key_columns = self.main().key_columns;
            let visible = keys_of(&main.columns()[..key_columns], main.num_rows())?;
            let shown: std::collections::HashSet<&[u8]> =
                rows.column(rows.num_columns() - 1).as_binary::<i32>().iter().flatten().collect();
            let hidden: BooleanArray = visible.iter().map(|key| key.map(|key| !shown.contains(key))).collect();
            let gone = filter_record_batch(main, &hidden).map_err(|e| ReadError::Failed(e.to_string()))?;
            let rows = self.only_keys(&gone)?;
            batches.push(ChangeBatch { commit, kind: ChangeKind::Delete, rows });
        }
        if rows.num_rows() > 0 {
            batches.push(ChangeBatch { commit, kind: ChangeKind::Upsert, rows });
        }
        Ok(batches)
    }

    /// Rows of which only the key is known.
    fn only_keys(&self, groups: &RecordBatch) -> Result<RecordBatch, ReadError> {
        let key_columns = self.main().key_columns;
        let keys = keys_of(&groups.columns()[..key_columns], groups.num_rows())?;
        let known = |visible: usize| self.query.key_parts.iter().find(|(column, _)| *column == visible);
        let column = |(visible, field): (usize, &Arc<Field>)| match known(visible) {
            Some((_, part)) => self.key_part(groups, *part, field.data_type()),
            None => Ok(new_null_array(field.data_type(), groups.num_rows())),
        };
        let visible = self.schema.fields().iter().enumerate().map(column);
        let visible = visible.collect::<Result<Vec<_>, _>>().map_err(|e| ReadError::Failed(e.to_string()))?;
        self.with_key(&visible, &keys)
    }

    /// A visible column that shows a part of the groups' key.
    fn key_part(&self, groups: &RecordBatch, part: KeyPart, data_type: &DataType) -> Result<ArrayRef, ArrowError> {
        let column = |key: usize| Arc::clone(groups.column(key));
        let start = || self.main().window_start.map(column);
        let end = || self.main().window_ends(groups).map(|ends| Arc::new(ends) as ArrayRef);
        let shown = match part {
            KeyPart::Column(key) => Some(column(key)),
            KeyPart::WindowEnd => end(),
            KeyPart::Window => start().zip(end()).map(|(start, end)| window(start, end, data_type)).transpose()?,
        };
        Ok(shown.unwrap_or_else(|| new_null_array(data_type, groups.num_rows())))
    }
}

/// Null where the window was left out of the row's grouping set.
fn window(start: ArrayRef, end: ArrayRef, data_type: &DataType) -> Result<ArrayRef, ArrowError> {
    let DataType::Struct(fields) = data_type else {
        return Err(ArrowError::SchemaError(format!("a window is no {data_type}")));
    };
    let left_out = start.nulls().cloned();
    let bounds = typed(&[start, end], &Arc::new(Schema::new(fields.clone())))?;
    Ok(Arc::new(StructArray::try_new(fields.clone(), bounds, left_out)?))
}

/// Group keys as bytes that compare as the keys do.
fn keys_of(columns: &[ArrayRef], rows: usize) -> Result<BinaryArray, ReadError> {
    if columns.is_empty() {
        return Ok(BinaryArray::from_iter_values(std::iter::repeat_n(b"", rows)));
    }
    let failed = |e: ArrowError| ReadError::Failed(e.to_string());
    let fields = columns.iter().map(|c| SortField::new(c.data_type().clone())).collect();
    let converted = RowConverter::new(fields).and_then(|c| c.convert_columns(columns)).map_err(failed)?;
    Ok(BinaryArray::from_iter_values(converted.iter().map(|row| row.data().to_vec())))
}

fn read_error(error: &manade_store::ReadError) -> ReadError {
    match error {
        manade_store::ReadError::Damaged { .. } => ReadError::Damaged(error.to_string()),
        other => ReadError::Failed(crate::reading::describe(other)),
    }
}
