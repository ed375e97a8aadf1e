//! The platform that is crashed, and who feeds it: a file that grows and clients that push.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::Result;

use crate::http;
use crate::random::Random;

/// Every kind of result, over a file and over pushed events.
pub const PLATFORM: &str = include_str!("platform.yaml");

/// Collections of the pipeline over a file, and of that over pushed events.
pub const COLLECTIONS: [&str; 13] = [
    "all_read",
    "totals",
    "values",
    "windows",
    "closed",
    "sessions",
    "first",
    "by_window",
    "large_again",
    "all_pushed",
    "pushed_totals",
    "pushed_windows",
    "pushed_closed",
];

/// What the collections must hold, as far as it can be said without windows.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Expected {
    /// Ids of events that are no dead letters.
    pub ids: Vec<u64>,
    /// By key: events, sum of values.
    pub totals: BTreeMap<String, (u64, i64)>,
    /// Events that were given, dead letters among them.
    pub given: u64,
    pub dead: u64,
}

const KEYS: u64 = 40_000;
/// Lines that are written at once.
const LINES: u64 = 2_000;

/// One event's line, of about `millis`; every 500th is none. Some are behind the watermark.
fn line(random: &mut Random, id: u64, millis: u64, keys: u64, expected: &mut Expected, out: &mut String) {
    let (key, value) = (format!("k{}", random.below(keys)), random.below(2001) as i64 - 1000);
    expected.given += 1;
    if id % 500 == 499 {
        expected.dead += 1;
        let _ = writeln!(out, "{{\"id\":{id},\"k\":");
        return;
    }
    let late = if random.below(50) == 0 { 30_000 } else { 3_000 };
    let millis = 1_700_000_000_000 + millis - random.below(late);
    let text = random.next() % (1 << 40);
    let _ = writeln!(
        out,
        "{{\"id\":{id},\"k\":\"{key}\",\"v\":{value},\"t\":{millis},\"u\":\"{text:040x} of {key}, which is kept with its group\"}}"
    );
    expected.ids.push(id);
    let of = expected.totals.entry(key).or_default();
    *of = (of.0 + 1, of.1 + value);
}

/// Appends events to a file until there are enough.
pub fn write_file(path: &Path, events: u64, seed: u64) -> Result<Expected> {
    let (mut random, mut expected) = (Random::new(seed), Expected::default());
    let mut file = File::options().append(true).create(true).open(path)?;
    let mut id = 0;
    while id < events {
        let mut text = String::new();
        for _ in 0..LINES.min(events - id) {
            line(&mut random, id, id * 5, KEYS, &mut expected, &mut text);
            id += 1;
        }
        // Cut anywhere, as a program that logs does.
        let (first, rest) = text.as_bytes().split_at(random.below(text.len() as u64) as usize);
        file.write_all(first)?;
        file.write_all(rest)?;
        thread::sleep(Duration::from_millis(4));
    }
    Ok(expected)
}

/// Pushes requests until there are enough, each until it was accepted, with the same key: so exactly once.
pub fn push(
    port: u16,
    client: u64,
    requests: u64,
    seed: u64,
    pushed: &AtomicU64,
    stop: &AtomicBool,
) -> Result<Expected> {
    let (mut random, mut expected) = (Random::new(seed), Expected::default());
    for request in 0..requests {
        let mut body = String::new();
        let first = (client << 40) + request * 1000;
        for id in first..first + 1 + random.below(200) {
            // What is no JSON is refused, so it is not sent.
            let id = if id % 500 == 499 { id + 500_000_000 } else { id };
            line(&mut random, id, request * 200, 500, &mut expected, &mut body);
        }
        let key = format!("{client}-{request}");
        let headers = [("Content-Type", "application/x-ndjson"), ("Idempotency-Key", &key)];
        loop {
            let answer = http::post(port, "/ingest/pushed", &headers, body.as_bytes());
            match answer {
                Ok(answer) if answer.status == 202 => break,
                // In flight, full, or not up yet: the same request again.
                Ok(answer) if matches!(answer.status, 409 | 503) => {}
                Ok(answer) => anyhow::bail!("{} for a good request: {}", answer.status, answer.body),
                Err(_) => {}
            }
            if stop.load(Ordering::Relaxed) {
                anyhow::bail!("stopped before all was pushed");
            }
            thread::sleep(Duration::from_millis(5));
        }
        pushed.fetch_add(1, Ordering::Relaxed);
    }
    Ok(expected)
}

pub fn write_platform(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    fs::write(folder.join("platform.yaml"), PLATFORM)?;
    File::create(folder.join("events.ndjson"))?;
    Ok(())
}
