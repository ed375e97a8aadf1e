//! Files that grow, move and vanish: every event is read once.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::rig::{Rig, append};

const SPEC: &str = "
source: { file: { path: in, follow: true } }
events: { schema: { n: bigint, pad: string } }
results:
  - { name: all, sql: SELECT n FROM events }
  - { name: sum, sql: 'SELECT n, count(*) AS times FROM events GROUP BY n' }
";

/// What happens to the folder, and the numbers that must be read because of it.
type Step = (fn(&Path), std::ops::Range<i64>);

/// Each step with the pipeline running, and each while it is stopped.
fn check(name: &str, steps: &[Step]) {
    for stopped in [false, true] {
        let mut rig = Rig::new(SPEC);
        let folder = rig.path("in");
        let mut expected: Vec<i64> = Vec::new();
        rig.start();
        for (at, (step, numbers)) in steps.iter().enumerate() {
            if stopped {
                rig.stop();
            }
            step(&folder);
            if stopped {
                rig.start();
            }
            expected.extend(numbers.clone());
            // Read after all the others, as it is the last by name.
            let marker = -1 - at as i64;
            append(&folder.join("zz.ndjson"), lines(marker..marker + 1).as_bytes());
            expected.push(marker);
            rig.until(&format!("{name}, step {at}"), |_| rig.rows("all").contains(&marker.to_string()));
        }
        let mut expected: Vec<String> = expected.iter().map(ToString::to_string).collect();
        expected.sort();
        let mode = if stopped { "stopped" } else { "running" };
        assert_eq!(rig.rows("all"), expected, "{name}, {mode}");
        let status = rig.until("all are counted", |status| status.counters.read >= expected.len() as u64);
        assert_eq!((status.counters.read, status.counters.dead), (expected.len() as u64, 0), "{name}, {mode}");
        let once: Vec<String> = expected.iter().map(|n| format!("{n} 1")).collect();
        assert_eq!(rig.rows("sum"), once, "{name}, {mode}");
    }
}

fn lines(numbers: std::ops::Range<i64>) -> String {
    numbers.map(|n| format!("{{\"n\": {n}}}\n")).collect()
}

/// Long enough that a copy is known as one.
fn long(numbers: std::ops::Range<i64>) -> String {
    numbers.map(|n| format!("{{\"n\": {n}, \"pad\": \"{}\"}}\n", "x".repeat(600))).collect()
}

fn put(path: &Path, text: &str) {
    append(path, text.as_bytes());
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn zstd(text: &str) -> Vec<u8> {
    zstd::encode_all(text.as_bytes(), 1).unwrap()
}

#[test]
fn a_file_that_grows_and_is_renamed() {
    check(
        "rename",
        &[
            (|dir| put(&dir.join("a.ndjson"), &lines(0..10)), 0..10),
            (|dir| put(&dir.join("a.ndjson"), &lines(10..20)), 10..20),
            (|dir| fs::rename(dir.join("a.ndjson"), dir.join("b.ndjson")).unwrap(), 0..0),
            (|dir| put(&dir.join("b.ndjson"), &lines(20..30)), 20..30),
            (
                |dir| {
                    put(&dir.join("b.ndjson"), &lines(30..40));
                    fs::rename(dir.join("b.ndjson"), dir.join("c.ndjson")).unwrap();
                    put(&dir.join("c.ndjson"), &lines(40..50));
                    put(&dir.join("b.ndjson"), &lines(50..60));
                },
                30..60,
            ),
            (|dir| put(&dir.join("b.ndjson"), &lines(60..70)), 60..70),
            (|dir| put(&dir.join("c.ndjson"), &lines(70..80)), 70..80),
        ],
    );
}

#[test]
fn a_file_that_is_truncated_and_written_again() {
    check(
        "truncate",
        &[
            (|dir| put(&dir.join("a.ndjson"), &lines(0..100)), 0..100),
            (
                |dir| {
                    File::create(dir.join("a.ndjson")).unwrap();
                    put(&dir.join("a.ndjson"), &lines(100..110));
                },
                100..110,
            ),
            // Longer than before, so that its length alone does not tell.
            (
                |dir| {
                    File::create(dir.join("a.ndjson")).unwrap().write_all(lines(110..300).as_bytes()).unwrap();
                },
                110..300,
            ),
            (|dir| put(&dir.join("a.ndjson"), &lines(300..310)), 300..310),
        ],
    );
}

#[test]
fn a_file_that_is_copied_then_truncated() {
    check(
        "copytruncate",
        &[
            // Of so few bytes, only that the other one was truncated tells a copy from another file.
            (|dir| put(&dir.join("b.ndjson"), &lines(1000..1010)), 1000..1010),
            (
                |dir| {
                    fs::copy(dir.join("b.ndjson"), dir.join("b.1.ndjson")).unwrap();
                    File::create(dir.join("b.ndjson")).unwrap().write_all(lines(1010..1012).as_bytes()).unwrap();
                },
                1010..1012,
            ),
            (|dir| put(&dir.join("a.ndjson"), &long(0..20)), 0..20),
            (
                |dir| {
                    fs::copy(dir.join("a.ndjson"), dir.join("a.1.ndjson")).unwrap();
                    File::create(dir.join("a.ndjson")).unwrap();
                },
                0..0,
            ),
            (|dir| put(&dir.join("a.ndjson"), &long(20..40)), 20..40),
            (
                |dir| {
                    put(&dir.join("a.ndjson"), &long(40..60));
                    fs::rename(dir.join("a.1.ndjson"), dir.join("a.2.ndjson")).unwrap();
                    fs::copy(dir.join("a.ndjson"), dir.join("a.1.ndjson")).unwrap();
                    File::create(dir.join("a.ndjson")).unwrap().write_all(long(60..80).as_bytes()).unwrap();
                },
                40..80,
            ),
            // A copy that takes longer than a look at the folder.
            (|dir| fs::write(dir.join("a.0.ndjson"), &long(60..80)[..500]).unwrap(), 0..0),
            (|dir| put(&dir.join("a.0.ndjson"), &long(60..80)[500..5000]), 0..0),
            (
                |dir| {
                    put(&dir.join("a.0.ndjson"), &long(60..80)[5000..]);
                    File::create(dir.join("a.ndjson")).unwrap().write_all(long(80..85).as_bytes()).unwrap();
                },
                80..85,
            ),
            (|dir| put(&dir.join("a.0.ndjson"), &long(85..90)), 85..90),
        ],
    );
}

/// Lines come while a log is copied, and between that and its truncation: they are in both files, or in one.
#[test]
fn a_log_that_is_rotated_while_it_is_written() {
    let mut rig = Rig::new(SPEC);
    rig.start();
    let log = rig.path("in").join("app.ndjson");
    let mut next = 0;
    let mut write = |path: &Path, count: i64| {
        put(path, &long(next..next + count));
        next += count;
    };
    let last_of = |log: &Path| {
        let lines = fs::read_to_string(log).unwrap();
        let last: serde_json::Value = serde_json::from_str(lines.lines().next_back().unwrap()).unwrap();
        last["n"].to_string()
    };
    write(&log, 20);
    for round in 0..4 {
        rig.until("the log is read", |_| rig.rows("all").contains(&last_of(&log)));
        let copy = log.with_file_name(format!("app.{round}.ndjson"));
        let whole = fs::read(&log).unwrap();
        let (first, rest) = whole.split_at(whole.len() / 2);
        append(&copy, first);
        let marker = -1 - round;
        put(&log.with_file_name("zz.ndjson"), &lines(marker..marker + 1));
        rig.until("the copy is half there", |_| rig.rows("all").contains(&marker.to_string()));
        append(&copy, rest);
        write(&log, 10);
        if round % 2 == 0 {
            // The copy has them too.
            let behind = fs::read(&log).unwrap().split_off(whole.len());
            append(&copy, &behind);
        } else {
            // They are only in the log, and read there.
            rig.until("the log is read", |_| rig.rows("all").contains(&last_of(&log)));
        }
        File::create(&log).unwrap();
        write(&log, 10);
    }
    rig.until("the last is read", |_| rig.rows("all").contains(&(next - 1).to_string()));
    put(&log.with_file_name("zzz.ndjson"), &lines(-100..-99));
    rig.until("what comes later is read", |_| rig.rows("all").contains(&"-100".to_owned()));
    let mut expected: Vec<String> = (0..next).chain(-4..0).chain([-100]).map(|n: i64| n.to_string()).collect();
    expected.sort();
    assert_eq!(rig.rows("all"), expected);
}

/// It holds what another one begins with, and no more: it waits for the rest, but not for ever.
#[test]
fn a_file_that_is_the_beginning_of_another() {
    let mut rig = Rig::new(SPEC);
    rig.start();
    rig.append("in/a.ndjson", long(0..20));
    rig.until_read(20);
    let begun = std::time::Instant::now();
    rig.append("in/b.ndjson", long(0..10));
    rig.until("it rests", |status| status.counters.read == 30);
    assert!(begun.elapsed() > std::time::Duration::from_secs(9), "it may be a copy in writing");
    rig.stop();
}

#[test]
fn a_file_that_is_replaced_or_deleted() {
    check(
        "replace",
        &[
            (|dir| put(&dir.join("a.ndjson"), &lines(0..50)), 0..50),
            (
                |dir| {
                    put(&dir.join("other"), &lines(50..150));
                    fs::rename(dir.join("other"), dir.join("a.ndjson")).unwrap();
                },
                50..150,
            ),
            (|dir| fs::remove_file(dir.join("a.ndjson")).unwrap(), 0..0),
            // Most file systems give it the number of the one before.
            (|dir| put(&dir.join("a.ndjson"), &lines(150..400)), 150..400),
            (
                |dir| {
                    fs::remove_file(dir.join("a.ndjson")).unwrap();
                    put(&dir.join("a.ndjson"), &lines(400..900));
                },
                400..900,
            ),
        ],
    );
}

/// However few bytes there are: a file that is gone has no copy, and its number may be another one's.
#[test]
fn a_file_that_begins_like_one_that_is_gone() {
    for stopped in [false, true] {
        let mut rig = Rig::new(SPEC);
        rig.start();
        let mut read = 0;
        // What happens, and the numbers that are to be read then.
        let steps: [Step; 5] = [
            (|dir| put(&dir.join("one.ndjson"), &lines(0..1)), 0..1),
            (|dir| put(&dir.join("two.ndjson"), &lines(0..2)), 0..2),
            (
                |dir| {
                    fs::remove_file(dir.join("two.ndjson")).unwrap();
                    put(&dir.join("three.ndjson"), &lines(0..3));
                },
                0..3,
            ),
            (
                |dir| {
                    fs::remove_file(dir.join("one.ndjson")).unwrap();
                    put(&dir.join("one.ndjson"), &lines(0..4));
                },
                0..4,
            ),
            (
                |dir| {
                    put(&dir.join("other"), &lines(0..1));
                    fs::rename(dir.join("other"), dir.join("three.ndjson")).unwrap();
                },
                0..1,
            ),
        ];
        for (step, numbers) in steps {
            if stopped {
                rig.stop();
            }
            step(&rig.path("in"));
            if stopped {
                rig.start();
            }
            read += numbers.count() as u64;
            rig.until_read(read);
        }
        assert_eq!(rig.rows("sum"), ["0 5", "1 3", "2 2", "3 1"], "stopped: {stopped}");
    }
}

/// A link is another name of a file, not a file.
#[test]
fn a_file_with_two_names() {
    check(
        "links",
        &[
            (
                |dir| {
                    put(&dir.join("app-1.ndjson"), &lines(0..10));
                    std::os::unix::fs::symlink(dir.join("app-1.ndjson"), dir.join("current.ndjson")).unwrap();
                    fs::hard_link(dir.join("app-1.ndjson"), dir.join("again.ndjson")).unwrap();
                },
                0..10,
            ),
            (|dir| put(&dir.join("current.ndjson"), &lines(10..20)), 10..20),
            (|dir| fs::remove_file(dir.join("app-1.ndjson")).unwrap(), 0..0),
            (|dir| put(&dir.join("again.ndjson"), &lines(20..30)), 20..30),
        ],
    );
}

#[test]
fn a_line_that_is_written_in_pieces() {
    check(
        "pieces",
        &[
            (|dir| put(&dir.join("a.ndjson"), "{\"n\": 1"), 0..0),
            (|dir| put(&dir.join("a.ndjson"), "0, \"pad\": \"é"), 0..0),
            (|dir| put(&dir.join("a.ndjson"), "\"}\n{\"n\": 11}"), 10..12),
            (|dir| put(&dir.join("a.ndjson"), "\n{\"n\": 12}\r"), 12..13),
            (|dir| put(&dir.join("a.ndjson"), "\n{\"n\": 13}\n"), 13..14),
            (|dir| put(&dir.join("b.csv"), "n,pad\n20,x\n2"), 20..21),
            (|dir| put(&dir.join("b.csv"), "1,\"y\n"), 0..0),
            (|dir| put(&dir.join("b.csv"), "z\"\n22,\n"), 21..23),
            (|dir| put(&dir.join("c.json"), "[{\"n\": 30}, {\"n\""), 30..31),
            (|dir| put(&dir.join("c.json"), ": 31}, {\"n\": 32}"), 31..32),
            (|dir| put(&dir.join("c.json"), "]"), 32..33),
        ],
    );
}

#[test]
fn packed_files_that_grow() {
    check(
        "packed",
        &[
            (|dir| append(&dir.join("a.ndjson.gz"), &[gzip(&lines(0..10)), gzip(&lines(10..20))].concat()), 0..20),
            (|dir| append(&dir.join("a.ndjson.gz"), &gzip(&lines(20..30))), 20..30),
            (|dir| append(&dir.join("b.ndjson.zst"), &[zstd(&lines(30..40)), zstd(&lines(40..50))].concat()), 30..50),
            (|dir| append(&dir.join("b.ndjson.zst"), &zstd(&lines(50..60))), 50..60),
            (|dir| fs::rename(dir.join("a.ndjson.gz"), dir.join("c.ndjson.gz")).unwrap(), 0..0),
            (|dir| append(&dir.join("c.ndjson.gz"), &gzip(&lines(60..70))), 60..70),
            (|dir| append(&dir.join("d.ndjson.gz"), &gzip(&long(70..170))[..200]), 0..0),
            (|dir| append(&dir.join("d.ndjson.gz"), &gzip(&long(70..170))[200..]), 70..170),
            (|dir| append(&dir.join("e.ndjson.zst"), &zstd(&long(170..270))[..40]), 0..0),
            (|dir| append(&dir.join("e.ndjson.zst"), &zstd(&long(170..270))[40..]), 170..270),
        ],
    );
}

#[test]
fn files_and_folders_that_appear() {
    check(
        "appear",
        &[
            (|dir| put(&dir.join("b.ndjson"), &lines(0..10)), 0..10),
            (|dir| put(&dir.join("a.ndjson"), &lines(10..20)), 10..20),
            (|dir| put(&dir.join("deep/er/c.jsonl"), &lines(20..30)), 20..30),
            (|dir| put(&dir.join(".hidden.ndjson"), "not read"), 0..0),
            (|dir| put(&dir.join("notes.txt"), "not read"), 0..0),
            (|dir| put(&dir.join("empty.ndjson"), ""), 0..0),
            (|dir| put(&dir.join("empty.ndjson"), &lines(30..31)), 30..31),
            (|dir| fs::rename(dir.join("deep"), dir.join("deeper")).unwrap(), 0..0),
            (|dir| put(&dir.join("deeper/er/c.jsonl"), &lines(31..40)), 31..40),
            (|dir| fs::remove_dir_all(dir.join("deeper")).unwrap(), 0..0),
            // The same lines in another file are other events.
            (|dir| put(&dir.join("d.ndjson"), &lines(40..50)), 40..50),
        ],
    );
}

/// A file is rotated while others are read, after it was found and before it was opened.
#[test]
fn a_file_that_is_rotated_while_it_waits() {
    for follow in ["true", "false"] {
        let mut rig = Rig::new(&SPEC.replace("follow: true", &format!("follow: {follow}")));
        rig.options.workers = 1;
        let folder = rig.path("in");
        // More than fits into the queues, so that the source thread has to wait.
        let wide = |n: i64| format!("{{\"n\": {n}, \"pad\": \"{}\"}}\n", "x".repeat(8_000));
        put(&folder.join("a.ndjson"), &(0..12_000).map(wide).collect::<String>());
        put(&folder.join("b.ndjson"), &lines(12_000..12_100));
        rig.start();
        rig.until("the files are found", |_| rig.status().counters.read > 0);
        fs::rename(folder.join("b.ndjson"), folder.join("b.1.ndjson")).unwrap();
        // A source that ends may have ended before another file appears.
        let end = if follow == "true" { 12_300 } else { 12_100 };
        if follow == "true" {
            put(&folder.join("b.ndjson"), &lines(12_100..end));
        }
        rig.until("all is read", |status| status.counters.read >= end as u64);
        let mut expected: Vec<String> = (0..end).map(|n: i64| n.to_string()).collect();
        expected.sort();
        assert!(rig.rows("all") == expected, "follow: {follow}");
    }
}

/// A folder that vanishes and comes back, with the pipeline running and stopped.
#[test]
fn a_folder_that_vanishes() {
    check(
        "folder",
        &[
            (|dir| put(&dir.join("a.ndjson"), &lines(0..10)), 0..10),
            (
                |dir| {
                    fs::rename(dir, dir.with_file_name("away")).unwrap();
                    fs::rename(dir.with_file_name("away"), dir).unwrap();
                    put(&dir.join("a.ndjson"), &lines(10..20));
                },
                10..20,
            ),
        ],
    );
}

/// All that can be unpacked before the damage is read; the rest is one dead letter.
#[test]
fn what_stands_before_damage_is_read() {
    type Damage = fn(Vec<u8>) -> Vec<u8>;
    // And how many events are read: of wrong bits, not those that are near.
    let junk: [(&str, Damage, usize); 3] = [
        ("zeros behind it", |packed| [packed, vec![0; 600]].concat(), 1000),
        ("text behind it", |packed| [packed, b"this is no member of the file".to_vec()].concat(), 1000),
        (
            "another checksum",
            |mut packed| {
                let at = packed.len() - 6;
                packed[at] ^= 1;
                packed
            },
            0,
        ),
    ];
    for (what, damage, read) in junk {
        let mut rig = Rig::new(SPEC);
        append(&rig.path("in").join("a.ndjson.gz"), &damage(gzip(&lines(0..1000))));
        rig.start();
        rig.until(what, |status| status.counters.dead == 1);
        assert_eq!(rig.rows("all").len(), read, "{what}");
        rig.stop();
        rig.start();
        put(&rig.path("in").join("b.ndjson"), &lines(1000..1010));
        rig.until(what, |_| rig.rows("all").len() == read + 10);
        assert_eq!(rig.status().counters.dead, 1, "{what}");
    }
}

/// A good file in the place of a damaged one is read on from there, however it comes there and wherever the damage was.
#[test]
fn a_damaged_file_is_mended() {
    type Mend = fn(&Path, &[u8]);
    let in_place: Mend = |path, good| fs::write(path, good).unwrap();
    let moved: Mend = |path, good| {
        fs::write(path.with_file_name("good"), good).unwrap();
        fs::rename(path.with_file_name("good"), path).unwrap();
    };
    let good = gzip(&lines(0..2000));
    for (what, mend, running) in [("in place", in_place, true), ("moved", moved, true), ("stopped", in_place, false)] {
        for at in [good.len() / 5, good.len() - 6] {
            let mut rig = Rig::new(SPEC);
            let path = rig.path("in").join("a.ndjson.gz");
            let mut bad = good.clone();
            bad[at..at + 4].iter_mut().for_each(|byte| *byte ^= 0xff);
            append(&path, &bad);
            rig.start();
            rig.until(what, |status| status.counters.dead >= 1);
            if !running {
                rig.stop();
            }
            // It is in writing for more than one look at the folder.
            File::create(&path).unwrap();
            if running {
                append(&rig.path("in").join("b.ndjson"), lines(-1..0).as_bytes());
                rig.until("the file is empty", |_| rig.rows("all").contains(&"-1".to_owned()));
            }
            mend(&path, &good);
            if !running {
                rig.start();
            }
            rig.until(what, |_| rig.rows("all").contains(&"1999".to_owned()));
            rig.append("in/z.ndjson", lines(5000..5001));
            rig.until("what comes later is read", |_| rig.rows("all").contains(&"5000".to_owned()));
            let rows = rig.rows("all");
            let once: std::collections::BTreeSet<&String> = rows.iter().collect();
            assert_eq!(rows.len(), once.len(), "{what}, damage at byte {at}: none is read twice");
        }
    }
}

/// What cannot be unpacked is one dead letter, and no reason not to read the others.
#[test]
fn a_packed_file_that_is_damaged() {
    let mut rig = Rig::new(SPEC);
    let folder = rig.path("in");
    rig.start();
    append(&folder.join("a.ndjson.gz"), b"this was never packed");
    append(&folder.join("b.ndjson.zst"), b"nor was this");
    put(&folder.join("c.ndjson"), &lines(0..10));
    rig.until("the others are read", |_| rig.rows("all").len() == 10);
    append(&folder.join("d.ndjson.gz"), &gzip(&lines(10..20)));
    rig.until("what comes later is read", |_| rig.rows("all").len() == 20);
    assert_eq!(rig.status().counters.dead, 2);
    rig.stop();
    rig.start();
    put(&folder.join("e.ndjson"), &lines(20..30));
    rig.until("what came while it was stopped is read", |_| rig.rows("all").len() == 30);
    assert_eq!(rig.status().counters.dead, 2);
}
