//! What sinks outside are told of a result's rows, through crashes and refusals.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use arrow::array::AsArray;
use manade_pipeline::dead_letter::{DeadLetterFilter, Stage};
use manade_pipeline::outbox::{Outbox, Portion, PortionKind, RefusedRow};
use manade_pipeline::status::PipelineState;
use manade_pipeline::values;

use crate::rig::Rig;

const SPEC: &str = "
source: { file: { path: in, follow: true } }
events: { schema: 'k bigint, v bigint' }
results:
  - name: sums
    sql: SELECT k, sum(v) AS s FROM events GROUP BY k HAVING sum(v) < 100
    sinks: [mongodb: { connection: store, database: d, collection: sums }]
  - name: rows
    sql: SELECT k, v FROM events
    sinks: [mongodb: { connection: store, database: d, collection: rows }]
";

/// Holds what it is told, as a sink does: of revisions the newest, of appended rows each once.
#[derive(Default)]
struct Sink {
    rows: BTreeMap<Vec<u8>, (i64, String)>,
    /// Rows that were there when they were told.
    repeated: usize,
    portions: Vec<PortionKind>,
    /// By what is to tell them apart: key, revision and kind.
    identities: BTreeMap<u128, (Vec<u8>, i64, PortionKind)>,
}

impl Sink {
    fn take(&mut self, portion: &Portion) {
        self.portions.push(portion.kind);
        if portion.kind == PortionKind::RemoveOlder {
            self.rows.retain(|_, (revision, _)| *revision >= portion.revision);
            return;
        }
        let (keys, visible) = portion.rows.columns().split_last().expect("rows have a key");
        for row in 0..portion.rows.num_rows() {
            let key = keys.as_binary::<i32>().value(row).to_vec();
            let told = (key.clone(), portion.revision, portion.kind);
            let known = self.identities.entry(portion.identity(row)).or_insert_with(|| told.clone());
            assert_eq!(*known, told, "two messages have one identity");
            let is_newer = self.rows.get(&key).is_some_and(|(revision, _)| *revision > portion.revision);
            assert!(!is_newer, "an older revision was told");
            if portion.kind == PortionKind::Delete {
                self.rows.remove(&key);
                continue;
            }
            let cells = visible.iter().map(|column| values::json(column, row).to_string());
            let text = cells.collect::<Vec<_>>().join(" ");
            self.repeated += usize::from(self.rows.insert(key, (portion.revision, text)).is_some());
        }
    }

    fn rows(&self) -> Vec<String> {
        let mut rows: Vec<String> = self.rows.values().map(|(_, row)| row.clone()).collect();
        rows.sort();
        rows
    }
}

fn outbox(rig: &Rig, result: &str) -> Outbox {
    let all = rig.pipeline().outboxes();
    all.into_iter().find(|outbox| outbox.info().name == result).unwrap_or_else(|| panic!("no outbox of {result}"))
}

/// Tells a sink what there is now.
fn tell(outbox: &mut Outbox, sink: &mut Sink) {
    let end = Instant::now() + Duration::from_mins(1);
    let mut idle = 0;
    while idle < 2 {
        assert!(Instant::now() < end, "the sink is not told all");
        match outbox.next(Duration::from_millis(5)).unwrap() {
            Some(portion) => {
                sink.take(&portion);
                outbox.done(&portion, portion.rows.num_rows() as u64, &[]).unwrap();
                idle = 0;
            }
            None => idle += 1,
        }
    }
}

fn lines(from: u64, to: u64, value: u64) -> String {
    (from..to).map(|k| format!("{{\"k\": {k}, \"v\": {value}}}\n")).collect()
}

#[test]
fn a_crash_before_it_is_noted_tells_rows_again_and_nothing_else() {
    let mut rig = Rig::new(SPEC);
    rig.start();
    let (mut sums, mut rows) = (Sink::default(), Sink::default());
    rig.append("in/a.ndjson", lines(0, 100, 1));
    rig.until_read(100);
    tell(&mut outbox(&rig, "sums"), &mut sums);
    tell(&mut outbox(&rig, "rows"), &mut rows);
    assert_eq!((sums.rows(), rows.rows()), (rig.rows("sums"), rig.rows("rows")));
    // Nothing was committed since, so nothing of it is noted.
    rig.crash();
    rig.start();
    rig.append("in/a.ndjson", lines(50, 150, 99));
    rig.until_read(200);
    tell(&mut outbox(&rig, "sums"), &mut sums);
    tell(&mut outbox(&rig, "rows"), &mut rows);
    assert_eq!((sums.rows(), rows.rows()), (rig.rows("sums"), rig.rows("rows")));
    assert_eq!(sums.rows.len(), 100, "HAVING takes 50 away");
    assert!([0, 100].contains(&rows.repeated), "{} rows were repeated", rows.repeated);
    // A stop notes what was told.
    rig.stop();
    rig.start();
    let before = (sums.portions.len(), rows.portions.len());
    tell(&mut outbox(&rig, "sums"), &mut sums);
    tell(&mut outbox(&rig, "rows"), &mut rows);
    assert_eq!((sums.portions.len(), rows.portions.len()), before, "nothing is told again");
    assert!(rig.pipeline().is_drained());
}

/// What is refused is a dead letter once, noted together with how far the sink was told.
#[test]
fn refused_rows_are_dead_letters() {
    let mut rig = Rig::new(SPEC);
    rig.start();
    rig.append("in/a.ndjson", lines(0, 10, 1));
    rig.until_read(10);
    let mut told = outbox(&rig, "rows");
    let portion = told.next(Duration::from_secs(5)).unwrap().unwrap();
    let refused = RefusedRow { row: 3, reason: "no".to_owned() };
    told.done(&portion, 9, &[refused]).unwrap();
    rig.crash();
    rig.start();
    let mut sink = Sink::default();
    tell(&mut outbox(&rig, "rows"), &mut sink);
    assert!(sink.rows.is_empty(), "{:?}", sink.rows());
    let letters = rig.pipeline().dead_letters(&DeadLetterFilter::default()).unwrap();
    let [letter] = &letters[..] else { panic!("{letters:?}") };
    assert_eq!((letter.stage, letter.result.as_deref()), (Stage::Sink, Some("rows")));
    assert_eq!((letter.reason.as_str(), letter.position.as_str()), ("mongodb:store/d.rows: no", "row 3 of rows"));
    assert_eq!(String::from_utf8_lossy(&letter.raw), r#"{"k":3,"v":1}"#);
    let status = rig.status();
    assert_eq!(status.counters.dead, 0, "the event was processed");
    let sink = &status.results.iter().find(|result| result.name == "rows").unwrap().sinks[0];
    assert_eq!((sink.delivered, sink.refused, sink.waiting), (9, 1, 0));
    // It is not an event that could be tried again.
    let answer = rig.pipeline().replay(DeadLetterFilter::default()).unwrap();
    assert_eq!((answer.replayed, answer.failed), (1, 1));
}

/// A sink that gathers rows is told them again until they are done, and what it refuses is noted with that.
#[test]
fn taken_rows_are_told_again_until_they_are_done() {
    let mut rig = Rig::new(SPEC);
    rig.start();
    rig.append("in/a.ndjson", lines(0, 100, 1));
    rig.until_read(100);
    let wait = Duration::from_millis(5);
    let mut gathering = outbox(&rig, "rows");
    let mut taken = 0;
    while let Some(portion) = gathering.next(wait).unwrap() {
        assert_eq!(portion.number(0), Some(taken));
        taken += portion.rows.num_rows() as u64;
        let refused = RefusedRow { row: 0, reason: "no".to_owned() };
        gathering.taken(&portion, &[refused]);
    }
    assert_eq!(taken, 100);
    gathering.take_again();
    let again = gathering.next(wait).unwrap().unwrap();
    assert_eq!(again.number(0), Some(0));
    gathering.taken(&again, &[]);
    gathering.done_before(40, 40).unwrap();
    // After a stop it begins behind what is done.
    rig.stop();
    rig.start();
    let letters = |rig: &Rig| rig.pipeline().dead_letters(&DeadLetterFilter::default()).unwrap();
    assert!(letters(&rig).is_empty(), "what was given up is no letter");
    let mut other = outbox(&rig, "rows");
    let rest = other.next(wait).unwrap().unwrap();
    assert_eq!(rest.number(0), Some(40));
    other.taken(&rest, &[RefusedRow { row: 0, reason: "no".to_owned() }]);
    assert!(letters(&rig).is_empty(), "it is not done");
    other.done_before(100, 59).unwrap();
    let [letter] = &letters(&rig)[..] else { panic!() };
    assert_eq!(letter.position, "row 40 of rows");
    let status = rig.status();
    let sink = &status.results.iter().find(|result| result.name == "rows").unwrap().sinks[0];
    assert_eq!((sink.delivered, sink.refused, sink.waiting), (99, 1, 0));
}

/// A sink that is added later begins with the rows that are there, unless it is not to; an edited query sends all anew.
#[test]
fn a_new_sink_begins_with_all_rows() {
    let mut rig = Rig::new(SPEC);
    rig.spec = SPEC.replace("sinks:", "# ");
    rig.start();
    rig.append("in/a.ndjson", lines(0, 10, 1));
    rig.until_read(10);
    rig.stop();
    rig.spec = SPEC.to_owned();
    rig.start();
    let (mut sums, mut rows) = (Sink::default(), Sink::default());
    // What is left of a result that had been dropped.
    sums.rows.insert(b"old".to_vec(), (1, "old".to_owned()));
    tell(&mut outbox(&rig, "sums"), &mut sums);
    tell(&mut outbox(&rig, "rows"), &mut rows);
    assert_eq!((sums.rows(), rows.rows()), (rig.rows("sums"), rig.rows("rows")));
    assert_eq!(sums.portions.last(), Some(&PortionKind::RemoveOlder));
    rig.stop();
    rig.spec = SPEC.replace("< 100", "< 2").replace("sum(v) AS s", "sum(v) * 10 AS s");
    rig.start();
    tell(&mut outbox(&rig, "sums"), &mut sums);
    assert_eq!(sums.rows(), rig.rows("sums"));
    assert!(sums.rows().contains(&"1 10".to_owned()));
    rig.stop();
    rig.spec = SPEC
        .replace("collection: sums", "collection: later, backfill: false")
        .replace("collection: rows", "collection: later_rows, backfill: false");
    rig.start();
    rig.append("in/a.ndjson", lines(9, 12, 1));
    rig.until_read(13);
    let (mut sums, mut rows) = (Sink::default(), Sink::default());
    tell(&mut outbox(&rig, "sums"), &mut sums);
    tell(&mut outbox(&rig, "rows"), &mut rows);
    assert_eq!(sums.rows(), ["10 1", "11 1", "9 2"]);
    assert_eq!(rows.rows(), ["10 1", "11 1", "9 1"]);
}

/// Appended rows are kept until they were told; with too many of them no more events are read.
#[test]
fn untold_rows_are_kept_up_to_a_bound() {
    let spec = "
source: { file: { path: in, follow: true } }
events: { schema: 'k bigint' }
results:
  - name: log
    sql: SELECT k, sha2(string(k), 256) AS s FROM events
    retain: 20 KiB
    sinks: [mongodb: { connection: store, database: d, collection: log }]
";
    let lines = |from: u64, to: u64| (from..to).map(|k| format!("{{\"k\": {k}}}\n")).collect::<String>();
    let mut rig = Rig::new(spec);
    rig.options.max_outbox = 100 << 10;
    rig.start();
    rig.append("in/a.ndjson", lines(0, 1_000));
    rig.until_read(1_000);
    let mut told = outbox(&rig, "log");
    let first = told.next(Duration::from_secs(5)).unwrap().unwrap();
    rig.append("in/a.ndjson", lines(1_000, 10_000));
    rig.until("reading rests", |status| status.state == PipelineState::Waiting);
    let status = rig.status();
    assert_eq!((status.results[0].counters.expired, status.results[0].rows), (0, 10_000));
    assert!(status.reason.unwrap().contains("kept only until mongodb:store/d.log has them"));
    rig.append("in/a.ndjson", lines(10_000, 10_001));
    let mut sink = Sink::default();
    sink.take(&first);
    told.done(&first, 1_000, &[]).unwrap();
    tell(&mut told, &mut sink);
    rig.until("reading goes on", |status| status.counters.read == 10_001);
    rig.until("rows are dropped", |status| status.results[0].counters.expired > 5_000);
    tell(&mut told, &mut sink);
    assert_eq!(sink.rows.len(), 10_001);
}
