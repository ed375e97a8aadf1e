//! A pipeline's own tests: given events run through the real pipeline in a folder of their own, and the rows that come
//! out are held against those that are expected.

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use manade_model::{FileFormat, FileSource, Name, PipelineTest, Place, Source};
use manade_store::Memory;
use serde_json::{Map, Value};

use crate::collection::{Collection, CollectionKind, ScanRequest};
use crate::dead_letter::DeadLetterFilter;
use crate::pipeline::{Pipeline, PipelineOptions};
use crate::plan::Plan;
use crate::reading::describe;
use crate::status::PipelineState;
use crate::values;

/// How one test went; it passed where there are no failures.
#[derive(Debug, Clone, PartialEq)]
pub struct TestOutcome {
    pub pipeline: String,
    pub name: String,
    pub place: Place,
    pub failures: Vec<String>,
}

type Row = Map<String, Value>;

/// A given event or row may take this long at the most.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs one test of a plan's pipeline.
pub fn run_test(plan: &Plan, test: &PipelineTest) -> TestOutcome {
    let failures = Scratch::new().map_err(|e| vec![format!("cannot make a temporary folder: {e}")]);
    let failures = failures.and_then(|scratch| check(plan, test, &scratch.path)).unwrap_or_else(|failures| failures);
    let (pipeline, name) = (plan.pipeline.name.to_string(), test.name.clone());
    TestOutcome { pipeline, name, place: test.place.clone(), failures }
}

fn check(plan: &Plan, test: &PipelineTest, folder: &Path) -> Result<Vec<String>, Vec<String>> {
    let failed = |e: &dyn std::error::Error| vec![describe(e)];
    let plan = given(plan, test, folder).map_err(|e| failed(&e))?;
    let options = PipelineOptions {
        workers: 1,
        memory: Memory::unbounded(),
        once: true,
        max_backlog: u64::MAX,
        max_outbox: u64::MAX,
    };
    let pipeline = Pipeline::start(&folder.join("data"), plan, &options).map_err(|e| failed(&e))?;
    let until = Instant::now() + PATIENCE;
    loop {
        let status = pipeline.status();
        match status.state {
            PipelineState::Finished => break,
            PipelineState::Failed | PipelineState::Waiting => {
                return Err(vec![status.reason.unwrap_or_else(|| "the pipeline has failed".to_owned())]);
            }
            _ if Instant::now() > until => return Err(vec!["the pipeline did not end within 30 s".to_owned()]),
            _ => std::thread::sleep(Duration::from_millis(2)),
        }
    }
    let mut failures = Vec::new();
    let dead = pipeline.dead_letters(&DeadLetterFilter::default()).map_err(|e| vec![e])?;
    for letter in dead {
        let event = String::from_utf8_lossy(&letter.raw).trim_end().to_owned();
        failures.push(format!("a given event is a dead letter: {} ({event})", letter.reason));
    }
    for (name, expected) in &test.expect {
        let found = pipeline.collections().iter().find(|c| c.info().name == name.as_str()).cloned();
        match found {
            Some(collection) => failures.extend(compare(name, collection, expected)),
            None => failures.push(format!("result {name} keeps no rows to compare")),
        }
    }
    pipeline.stop();
    Ok(failures)
}

/// The plan with the test's events and tables in place of its own.
fn given(plan: &Plan, test: &PipelineTest, folder: &Path) -> std::io::Result<Plan> {
    let events = folder.join("given.ndjson");
    fs::write(&events, lines(&test.given))?;
    let mut plan = plan.clone();
    plan.pipeline.source = Source::File(FileSource {
        path: events,
        place: test.place.clone(),
        format: Some(FileFormat::Ndjson),
        follow: false,
    });
    for (name, rows) in &test.tables {
        let path = folder.join(format!("{name}.ndjson"));
        fs::write(&path, lines(rows))?;
        for table in plan.tables.iter_mut().filter(|table| table.name == name.as_str()) {
            table.path.clone_from(&path);
            table.format = FileFormat::Ndjson;
        }
    }
    Ok(plan)
}

fn lines(rows: &[Row]) -> String {
    let line = |row: &Row| Value::Object(row.clone()).to_string() + "\n";
    rows.iter().map(line).collect()
}

/// All rows, in any order but that of a top-N result; only the columns that an expected row lists.
fn compare(name: &Name, collection: Arc<dyn Collection>, expected: &[Row]) -> Vec<String> {
    let info = collection.info();
    let rows = match rows(collection.as_ref()) {
        Ok(rows) => rows,
        Err(e) => return vec![format!("result {name} cannot be read: {}", describe(&e))],
    };
    let mut failures = Vec::new();
    let unknown = |row: &Row| row.keys().find(|key| !info.columns.iter().any(|c| c.name == **key)).cloned();
    for column in expected.iter().filter_map(unknown) {
        failures.push(format!("result {name} has no column `{column}`"));
    }
    let pairs: Vec<Option<usize>> = if info.kind == CollectionKind::Top {
        let in_place = |(place, want)| rows.get(place).filter(|row| fits(want, row)).map(|_| place);
        expected.iter().enumerate().map(in_place).collect()
    } else {
        matched(expected, &rows)
    };
    let missing: Vec<&Row> =
        expected.iter().zip(&pairs).filter(|(_, row)| row.is_none()).map(|(want, _)| want).collect();
    let left = rows.iter().enumerate().filter(|(row, _)| !pairs.contains(&Some(*row))).map(|(_, row)| row);
    if info.kind == CollectionKind::Top && !missing.is_empty() && is_reordered(expected, &rows) {
        let wrong = expected.iter().zip(&rows).enumerate().filter(|(_, (want, row))| !fits(want, row));
        failures.extend(wrong.map(|(place, (want, row))| {
            let (want, place, row) = (show(want), place + 1, show(&listed_of(row, expected)));
            format!("result {name}: the order differs: expected {want} in place {place}, found {row}")
        }));
        return failures;
    }
    failures.extend(missing.into_iter().map(|row| format!("result {name}: expected {}", show(row))));
    failures.extend(left.map(|row| format!("result {name}: did not expect {}", show(&listed_of(row, expected)))));
    failures
}

/// For each expected row one that fits it, each row once: as many as can be, by augmenting paths. A row that lists few
/// columns fits many, so it must not take what another one needs.
fn matched(expected: &[Row], rows: &[Row]) -> Vec<Option<usize>> {
    let (mut row_of, mut want_of) = (vec![None; expected.len()], vec![None; rows.len()]);
    for want in 0..expected.len() {
        // For each row that a path reaches, the expected row before it.
        let mut before: Vec<Option<usize>> = vec![None; rows.len()];
        let mut open = VecDeque::from([want]);
        let mut free = None;
        while let Some(at) = open.pop_front().filter(|_| free.is_none()) {
            for (row, found) in rows.iter().enumerate() {
                if before[row].is_some() || !fits(&expected[at], found) {
                    continue;
                }
                before[row] = Some(at);
                if let Some(taken_by) = want_of[row] {
                    open.push_back(taken_by);
                } else {
                    free = Some(row);
                    break;
                }
            }
        }
        while let Some(row) = free {
            let Some(at) = before[row] else { break };
            want_of[row] = Some(at);
            free = row_of[at].replace(row);
        }
    }
    row_of
}

/// Whether the rows are the expected ones but for their order.
fn is_reordered(expected: &[Row], rows: &[Row]) -> bool {
    expected.len() == rows.len() && matched(expected, rows).iter().all(Option::is_some)
}

/// The columns that any expected row lists; all where there is none.
fn listed_of(row: &Row, expected: &[Row]) -> Row {
    let mut row = row.clone();
    row.retain(|key, _| expected.iter().all(Row::is_empty) || expected.iter().any(|want| want.contains_key(key)));
    row
}

fn rows(collection: &dyn Collection) -> Result<Vec<Row>, crate::collection::ReadError> {
    let columns = collection.info().columns.clone();
    let mut rows = Vec::new();
    for batch in collection.snapshot()?.scan(&ScanRequest::default()) {
        let batch = batch?;
        for row in 0..batch.num_rows() {
            let cell = |(i, column): (usize, &crate::collection::OutputColumn)| {
                (column.name.clone(), values::json(batch.column(i), row))
            };
            rows.push(columns.iter().enumerate().map(cell).collect());
        }
    }
    Ok(rows)
}

fn fits(want: &Row, row: &Row) -> bool {
    want.iter().all(|(key, value)| row.get(key).is_some_and(|found| equal(value, found)))
}

/// Numbers by value (floats to 1e-9 relative), times as text that means the same.
fn equal(want: &Value, found: &Value) -> bool {
    match (want, found) {
        (Value::Number(a), Value::Number(b)) => match (a.as_f64(), b.as_f64()) {
            (Some(x), Some(y)) => a == b || (x - y).abs() <= 1e-9 * x.abs().max(y.abs()),
            _ => a == b,
        },
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        (Value::Object(a), Value::Object(b)) => a.iter().all(|(k, v)| b.get(k).is_some_and(|found| equal(v, found))),
        (Value::String(a), Value::String(b)) => a == b || moment(a).is_some_and(|a| Some(a) == moment(b)),
        _ => want == found,
    }
}

fn moment(text: &str) -> Option<i64> {
    manade_events::datetime::parse_iso(text)
}

fn show(row: &Row) -> String {
    Value::Object(row.clone()).to_string()
}

/// A folder that goes when it is no longer needed.
struct Scratch {
    path: PathBuf,
}

impl Scratch {
    fn new() -> std::io::Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("manade-test-{}-{number}", std::process::id()));
        fs::create_dir_all(&path)?;
        Ok(Self { path })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What stays behind is in the system's folder for temporary files.
        let _ = fs::remove_dir_all(&self.path);
    }
}
