//! A platform in memory: collections whose rows and changes a test sets, and a log of what was ingested.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Schema};
use manade_model::{EventSchema, SparkType};
use manade_pipeline::ReplayAnswer;
use manade_pipeline::collection::{
    ChangeBatch, ChangeKind, Changes, Collection, CollectionInfo, CollectionKind, Freshness, KEY_COLUMN, OutputColumn,
    ReadError, RowBatches, Rows, ScanRequest,
};
use manade_pipeline::dead_letter::{DeadLetter, DeadLetterFilter, Stage};
use manade_pipeline::status::{PipelineCounters, PipelineState, PipelineStatus, ResultCounters, ResultStatus};
use manade_server::{
    Backend, ControlError, Health, IngestAnswer, IngestError, IngestInfo, IngestKeys, IngestRequest, IngestTicket, Kept,
};

pub struct Memory {
    info: Arc<CollectionInfo>,
    state: Mutex<State>,
    moved: Condvar,
}

struct State {
    version: u64,
    commit: u64,
    rows: RecordBatch,
    changes: Vec<ChangeBatch>,
    /// Changes up to this commit are gone.
    oldest: u64,
}

impl Memory {
    /// Rows of these columns; the keys are given, or count up.
    pub fn new(name: &str, kind: CollectionKind, columns: Vec<(&str, ArrayRef)>) -> Arc<Self> {
        let len = columns.first().map_or(0, |(_, array)| array.len());
        let info = CollectionInfo {
            name: name.to_owned(),
            pipeline: "flights".to_owned(),
            description: Some(format!("The {name}.")),
            columns: columns
                .iter()
                .map(|(name, array)| OutputColumn { name: (*name).to_owned(), data_type: array.data_type().clone() })
                .collect(),
            kind,
            key: Vec::new(),
            index: Vec::new(),
        };
        let arrays = columns.into_iter().map(|(_, array)| array).collect();
        let keys: Vec<[u8; 8]> = (0..len as u64).map(u64::to_be_bytes).collect();
        let rows = batch(&info, arrays, &keys);
        let state = State { version: 0, commit: 1, rows, changes: Vec::new(), oldest: 0 };
        Arc::new(Self { info: Arc::new(info), state: Mutex::new(state), moved: Condvar::new() })
    }

    /// One commit: these rows replace those with their keys, or are added; a deletion removes them.
    pub fn commit(&self, kind: ChangeKind, arrays: Vec<ArrayRef>, keys: &[u64]) {
        let keys: Vec<[u8; 8]> = keys.iter().map(|key| key.to_be_bytes()).collect();
        let rows = batch(&self.info, arrays, &keys);
        let mut state = self.state.lock().unwrap();
        state.commit += 1;
        let commit = state.commit;
        let kept = without(&state.rows, &keys);
        state.rows = match kind {
            ChangeKind::Delete => kept,
            _ => concat_batches(&rows.schema(), [&kept, &rows]).unwrap(),
        };
        // Only the last version of a row is kept.
        for change in &mut state.changes {
            change.rows = without(&change.rows, &keys);
        }
        state.changes.push(ChangeBatch { commit, kind, rows });
        self.moved.notify_all();
    }

    /// As if the result had begun anew.
    pub fn renew(&self) {
        self.state.lock().unwrap().version += 1;
    }

    /// Changes up to a commit are not kept, also where it is still to come.
    pub fn forget(&self, commit: u64) {
        let mut state = self.state.lock().unwrap();
        state.oldest = commit;
        state.changes.retain(|change| change.commit > commit);
    }
}

fn without(rows: &RecordBatch, keys: &[[u8; 8]]) -> RecordBatch {
    let column = rows.column(rows.num_columns() - 1).as_binary::<i32>().clone();
    let keep = (0..rows.num_rows()).map(|row| Some(!keys.iter().any(|key| key == column.value(row)))).collect();
    arrow::compute::filter_record_batch(rows, &keep).unwrap()
}

fn batch(info: &CollectionInfo, mut arrays: Vec<ArrayRef>, keys: &[[u8; 8]]) -> RecordBatch {
    let mut fields: Vec<Field> =
        info.columns.iter().map(|column| Field::new(&column.name, column.data_type.clone(), true)).collect();
    fields.push(Field::new(KEY_COLUMN, DataType::Binary, false));
    arrays.push(Arc::new(BinaryArray::from_iter_values(keys)));
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
}

struct MemoryRows {
    commit: u64,
    rows: RecordBatch,
}

impl Rows for MemoryRows {
    fn commit(&self) -> u64 {
        self.commit
    }

    /// In batches of 7 rows, so that answers cross their borders.
    fn scan(self: Box<Self>, _: &ScanRequest) -> RowBatches {
        let starts = (0..self.rows.num_rows()).step_by(7);
        Box::new(starts.map(move |start| Ok(self.rows.slice(start, 7.min(self.rows.num_rows() - start)))))
    }
}

impl Collection for Memory {
    fn info(&self) -> Arc<CollectionInfo> {
        Arc::clone(&self.info)
    }

    fn version(&self) -> u64 {
        self.state.lock().unwrap().version
    }

    fn freshness(&self) -> Freshness {
        let commit = self.state.lock().unwrap().commit;
        Freshness { commit, watermark: Some(978_307_200_000_000), newest: Some(978_307_800_500_000) }
    }

    fn count(&self) -> u64 {
        self.state.lock().unwrap().rows.num_rows() as u64
    }

    fn snapshot(&self) -> Result<Box<dyn Rows>, ReadError> {
        let state = self.state.lock().unwrap();
        Ok(Box::new(MemoryRows { commit: state.commit, rows: state.rows.clone() }))
    }

    fn changes(&self, since: u64) -> Result<Changes, ReadError> {
        let state = self.state.lock().unwrap();
        if since < state.oldest {
            return Err(ReadError::Gone { oldest: state.oldest });
        }
        let batches = state.changes.iter().filter(|change| change.commit > since && change.rows.num_rows() > 0);
        Ok(Changes { commit: state.commit, batches: batches.cloned().collect() })
    }

    fn wait_beyond(&self, commit: u64, timeout: Duration) -> u64 {
        let deadline = Instant::now() + timeout;
        let mut state = self.state.lock().unwrap();
        while state.commit <= commit {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state = self.moved.wait_timeout(state, left).unwrap().0;
        }
        state.commit
    }
}

#[derive(Default)]
pub struct Platform {
    pub collections: Vec<Arc<Memory>>,
    pub ingested: Mutex<Vec<String>>,
    pub keys: Mutex<HashMap<String, (u128, u64)>>,
    /// What the next ingest fails with.
    pub failure: Mutex<Option<IngestError>>,
    pub letters: Mutex<Vec<DeadLetter>>,
    pub backups: Mutex<Vec<PathBuf>>,
    pub unready: Mutex<Vec<String>>,
    pub generation: AtomicU64,
}

impl Platform {
    pub fn letter(id: u64, stage: Stage, reason: &str) -> DeadLetter {
        DeadLetter {
            id,
            stage,
            result: None,
            reason: reason.to_owned(),
            position: format!("event {id}"),
            time: 978_307_200_000_000,
            length: 3,
            raw: b"{x}".to_vec(),
        }
    }
}

impl Backend for Platform {
    fn pipelines(&self) -> Vec<PipelineStatus> {
        ["flights", "readings"].iter().filter_map(|name| self.pipeline(name)).collect()
    }

    fn pipeline(&self, name: &str) -> Option<PipelineStatus> {
        let (name, source) = match name {
            "flights" => ("flights", "file"),
            "readings" => ("readings", "http"),
            _ => return None,
        };
        let result = ResultStatus {
            name: "all_types".to_owned(),
            counters: ResultCounters { late: 1, failed: 2, selected: 30, written: 27, expired: 0 },
            rows: 27,
            watermark: Some(978_307_200_000_000),
            sinks: Vec::new(),
        };
        Some(PipelineStatus {
            name: name.to_owned(),
            state: PipelineState::Running,
            reason: None,
            source: source.to_owned(),
            counters: PipelineCounters { read: 33, processed: 30, dead: 3, expired: 0 },
            watermark: Some(978_307_200_000_000),
            newest: None,
            backlog: 7,
            results: if name == "flights" { vec![result] } else { Vec::new() },
            dead_letters: 3,
            feed: None,
        })
    }

    fn collections(&self) -> Vec<Arc<dyn Collection>> {
        self.collections.iter().map(|collection| Arc::clone(collection) as Arc<dyn Collection>).collect()
    }

    fn collection(&self, name: &str) -> Option<Arc<dyn Collection>> {
        self.collections().into_iter().find(|collection| collection.info().name == name)
    }

    fn ingests(&self) -> Vec<IngestInfo> {
        let field = |name: &str, data_type| manade_model::Field { name: name.to_owned(), data_type };
        let fields = vec![field("sensor", SparkType::String), field("value", SparkType::Double)];
        vec![IngestInfo { pipeline: "readings".to_owned(), schema: EventSchema { fields } }]
    }

    fn takes_events(&self, pipeline: &str) -> Result<(), IngestError> {
        match pipeline {
            "readings" => Ok(()),
            "flights" => Err(IngestError::NotHttp),
            _ => Err(IngestError::NoSuchPipeline),
        }
    }

    fn ingest(&self, pipeline: &str, request: IngestRequest) -> Result<IngestTicket, IngestError> {
        assert_eq!(pipeline, "readings");
        if let Some(failure) = self.failure.lock().unwrap().take() {
            return Err(failure);
        }
        let accepted = u64::from(request.accepted.count);
        let new = |event: usize, (key, hash): (String, u128), count: u64| {
            let mut keys = self.keys.lock().unwrap();
            match keys.get(&key) {
                Some((known, _)) if *known == hash => Ok(0),
                Some(_) => Err(IngestError::KeyReused { event }),
                None => {
                    keys.insert(key, (hash, count));
                    Ok(count)
                }
            }
        };
        let added = match request.keys {
            IngestKeys::None => accepted,
            IngestKeys::Request(key) => new(0, (key.key, key.body_hash), accepted)?,
            IngestKeys::Events(keys) => {
                let keys = keys.into_iter().enumerate();
                let counts: Result<Vec<u64>, _> = keys.map(|(at, key)| new(at, (key.key, key.body_hash), 1)).collect();
                counts?.iter().sum()
            }
        };
        if added == 0 && accepted > 0 {
            return Ok(Box::pin(std::future::ready(Ok(IngestAnswer { accepted, replayed: true }))));
        }
        self.ingested.lock().unwrap().push(String::from_utf8(request.accepted.data).unwrap());
        Ok(Box::pin(std::future::ready(Ok(IngestAnswer { accepted: added, replayed: false }))))
    }

    fn dead_letters(
        &self,
        pipeline: &str,
        filter: &DeadLetterFilter,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, ControlError> {
        self.pipeline(pipeline).ok_or(ControlError::NoSuchPipeline)?;
        let letters = self.letters.lock().unwrap();
        let wanted = letters.iter().filter(|letter| matches(letter, filter));
        Ok(wanted.filter(|letter| after.is_none_or(|after| letter.id > after)).take(limit).cloned().collect())
    }

    fn replay(&self, pipeline: &str, filter: &DeadLetterFilter) -> Result<ReplayAnswer, ControlError> {
        let replayed = self.drop_dead_letters(pipeline, filter)?;
        Ok(ReplayAnswer { replayed, failed: 0 })
    }

    fn kept(&self) -> Vec<Kept> {
        self.collections().into_iter().map(|collection| Kept::new(collection, false)).collect()
    }

    fn drop_collection(&self, _: Option<&str>, name: &str) -> Result<(), ControlError> {
        match self.collection(name) {
            Some(_) => Err(ControlError::Refused(format!("the result {name} is in the platform"))),
            None => Err(ControlError::NoSuchCollection),
        }
    }

    fn generation(&self) -> u64 {
        self.generation.load(Ordering::Relaxed)
    }

    fn backup(&self, to: &Path) -> Result<(), ControlError> {
        if to == Path::new("/taken") {
            return Err(ControlError::Refused("/taken is not empty".to_owned()));
        }
        self.backups.lock().unwrap().push(to.to_owned());
        Ok(())
    }

    fn drop_dead_letters(&self, pipeline: &str, filter: &DeadLetterFilter) -> Result<u64, ControlError> {
        self.pipeline(pipeline).ok_or(ControlError::NoSuchPipeline)?;
        let mut letters = self.letters.lock().unwrap();
        let before = letters.len();
        letters.retain(|letter| !matches(letter, filter));
        Ok((before - letters.len()) as u64)
    }

    fn health(&self) -> Health {
        let reasons = self.unready.lock().unwrap().clone();
        Health { ready: reasons.is_empty(), reasons }
    }
}

fn matches(letter: &DeadLetter, filter: &DeadLetterFilter) -> bool {
    filter.ids.as_ref().is_none_or(|ids| ids.contains(&letter.id))
        && filter.stage.is_none_or(|stage| stage == letter.stage)
        && filter.reason.as_ref().is_none_or(|reason| letter.reason.contains(reason))
}
