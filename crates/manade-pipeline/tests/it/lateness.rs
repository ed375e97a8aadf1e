//! Late events and sessions, held against a plain computation, event by event.

use std::collections::BTreeMap;

use manade_pipeline::dead_letter::DeadLetterFilter;

use crate::rig::{Random, Rig};

const SECOND: i64 = 1_000_000;

/// What the reference is told of a result.
#[derive(Clone, Copy)]
enum Kind {
    Window { size: i64, slide: i64 },
    Session { gap: i64 },
}

struct Case {
    name: &'static str,
    sql: &'static str,
    kind: Kind,
}

const CASES: [Case; 4] = [
    Case {
        name: "tumbling",
        sql: "SELECT window(t, '10 seconds') AS w, k, count(*) AS n, sum(v) AS s FROM events GROUP BY 1, 2",
        kind: Kind::Window { size: 10, slide: 10 },
    },
    Case {
        name: "sliding",
        sql: "SELECT window(t, '10 seconds', '4 seconds') AS w, k, count(*) AS n, sum(v) AS s FROM events GROUP BY 1, 2",
        kind: Kind::Window { size: 10, slide: 4 },
    },
    Case {
        name: "sessions",
        sql: "SELECT session_window(t, '5 seconds') AS w, k, count(*) AS n, sum(v) AS s FROM events GROUP BY 1, 2",
        kind: Kind::Session { gap: 5 },
    },
    Case {
        name: "long_sessions",
        sql: "SELECT session_window(t, '20 seconds') AS w, k, count(*) AS n, sum(v) AS s FROM events GROUP BY 1, 2",
        kind: Kind::Session { gap: 20 },
    },
];

#[derive(Debug, Clone, Copy)]
struct Event {
    /// Seconds.
    t: i64,
    k: i64,
    v: i64,
}

/// Start, end, count and sum of a group; seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Group {
    start: i64,
    end: i64,
    n: i64,
    s: i64,
}

/// What a result must have after these events: its groups by key, and how many rows were late.
fn reference(events: &[Event], lateness: i64, kind: Kind) -> (BTreeMap<i64, Vec<Group>>, u64) {
    let mut groups: BTreeMap<i64, Vec<Group>> = BTreeMap::new();
    let mut late = 0;
    let mut newest: Option<i64> = None;
    for event in events {
        let watermark = newest.map(|newest| newest - lateness);
        let is_closed = |end: i64| watermark.is_some_and(|watermark| end <= watermark);
        let of_key = groups.entry(event.k).or_default();
        match kind {
            Kind::Window { size, slide } => {
                let last = event.t.div_euclid(slide) * slide;
                let starts = (0..).map(|i| last - i * slide).take_while(|start| event.t < start + size);
                for start in starts {
                    if is_closed(start + size) {
                        late += 1;
                        continue;
                    }
                    match of_key.iter_mut().find(|group| group.start == start) {
                        Some(group) => (group.n, group.s) = (group.n + 1, group.s + event.v),
                        None => of_key.push(Group { start, end: start + size, n: 1, s: event.v }),
                    }
                }
            }
            Kind::Session { gap } => {
                let mut own = Group { start: event.t, end: event.t + gap, n: 1, s: event.v };
                if is_closed(own.end) {
                    late += 1;
                } else {
                    // What it touches, an end that meets a start included, and what is touched because of that.
                    while let Some(at) =
                        of_key.iter().position(|g| !is_closed(g.end) && g.start <= own.end && own.start <= g.end)
                    {
                        let other = of_key.remove(at);
                        own.start = own.start.min(other.start);
                        own.end = own.end.max(other.end);
                        (own.n, own.s) = (own.n + other.n, own.s + other.s);
                    }
                    of_key.push(own);
                }
            }
        }
        newest = newest.max(Some(event.t));
    }
    (groups, late)
}

fn row(k: i64, group: &Group) -> String {
    let time = |seconds: i64| manade_pipeline::values::timestamp(seconds * SECOND);
    let Group { start, end, n, s } = group;
    format!("{{\"start\":\"{}\",\"end\":\"{}\"}} {k} {n} {s}", time(*start), time(*end))
}

fn spec(lateness: i64) -> String {
    let mut spec = format!(
        "source: {{ file: {{ path: in, follow: true }} }}\nevents:\n  schema:\n    t: {{ type: timestamp, format: \
         epoch_seconds }}\n    k: bigint\n    v: bigint\n  time: t\n  lateness: {lateness} seconds\nresults:\n"
    );
    for case in &CASES {
        spec += &format!("  - {{ name: {}, sql: \"{}\" }}\n", case.name, case.sql);
        spec += &format!("  - {{ name: {}_final, sql: \"{}\", emit: final }}\n", case.name, case.sql);
    }
    spec
}

/// Few keys and times that meet each other often.
fn events(random: &mut Random) -> Vec<Event> {
    let mut now = 1_000;
    let spread = 1 + random.below(40) as i64;
    let of = |_| {
        now += random.below(4) as i64 * i64::from(random.below(3) == 0) + 60 * i64::from(random.below(50) == 0);
        Event { t: now - random.below(spread as u64) as i64, k: random.below(2) as i64, v: random.below(9) as i64 }
    };
    (0..400).map(of).collect()
}

fn check(random: &mut Random) {
    let events = events(random);
    let lateness = [0, 3, 12][random.below(3) as usize];
    let mut rig = Rig::new(&spec(lateness));
    rig.options.workers = 1 + random.below(2) as usize;
    rig.start();
    let mut at = 0;
    while at < events.len() {
        let to = events.len().min(at + 1 + random.below(120) as usize);
        let lines = events[at..to].iter().map(|e| format!("{{\"t\":{},\"k\":{},\"v\":{}}}\n", e.t, e.k, e.v));
        rig.append("in/events.ndjson", lines.collect::<String>());
        at = to;
        rig.until_read(at as u64);
        if random.below(4) == 0 {
            rig.stop();
            rig.start();
        }
    }
    let newest = events.iter().map(|event| event.t).max().unwrap();
    for case in &CASES {
        let (groups, late) = reference(&events, lateness, case.kind);
        let all = || groups.iter().flat_map(|(k, groups)| groups.iter().map(move |group| (*k, group)));
        let mut expected: Vec<String> = all().map(|(k, group)| row(k, group)).collect();
        expected.sort();
        assert_eq!(rig.rows(case.name), expected, "{} with lateness {lateness}", case.name);
        let closed = all().filter(|(_, group)| group.end <= newest - lateness);
        let mut expected: Vec<String> = closed.map(|(k, group)| row(k, group)).collect();
        expected.sort();
        let name = format!("{}_final", case.name);
        assert_eq!(rig.rows(&name), expected, "{name} with lateness {lateness}");
        for result in rig.status().results.iter().filter(|r| r.name == case.name || r.name == name) {
            assert_eq!(result.counters.late, late, "late of {} with lateness {lateness}", result.name);
            assert_eq!(result.watermark, Some((newest - lateness) * SECOND), "watermark of {}", result.name);
        }
    }
}

#[test]
fn late_events_and_sessions_are_as_a_plain_computation_says() {
    let mut random = Random::seeded();
    let rounds = if std::env::var_os("MANADE_TEST_FAST").is_some() { 6 } else { 30 };
    for _ in 0..rounds {
        random.show();
        check(&mut random);
    }
}

/// With `late: keep`, each late event is one dead letter, whatever the number of windows that left it out.
#[test]
fn late_events_are_kept_once() {
    let mut rig = Rig::new(&spec(0).replace("events:\n", "events:\n  late: keep\n"));
    rig.start();
    rig.append("in/a.ndjson", "{\"t\":100,\"k\":1,\"v\":1}\n{\"t\":50,\"k\":1,\"v\":1}\n");
    rig.until_read(2);
    let letters = rig.pipeline().dead_letters(&DeadLetterFilter::default()).unwrap();
    let mut results: Vec<String> = letters.iter().filter_map(|letter| letter.result.clone()).collect();
    results.sort();
    let mut expected: Vec<String> =
        CASES.iter().flat_map(|case| [case.name.to_owned(), format!("{}_final", case.name)]).collect();
    expected.sort();
    assert_eq!(results, expected);
    // Of the sliding windows of this one, one is closed and one has counted it: a replay must not count it again.
    rig.append("in/a.ndjson", "{\"t\":95,\"k\":1,\"v\":1}\n");
    rig.until_read(3);
    let rows = |rig: &Rig| CASES.map(|case| rig.rows(case.name));
    let (before, letters) = (rows(&rig), rig.status().dead_letters);
    assert!(before[1][0].ends_with(" 1 2 2"), "{before:?}");
    for _ in 0..2 {
        rig.pipeline().replay(DeadLetterFilter::default()).unwrap();
        assert_eq!((rows(&rig), rig.status().dead_letters), (before.clone(), letters));
    }
}
