//! The events that are measured with: files of NDJSON, made once and kept in the cache folder. The same seed gives the same
//! bytes on every machine.
//!
//! The auction events have the shape of Nexmark (<https://datalab.snu.ac.kr/nexmark>, the Apache Beam variant): 1 person :
//! 3 auctions : 46 bids, 10,000 events a second of event time, half of the bids on hot auctions, three quarters by hot
//! bidders.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::random::Random;
use crate::report;

const FILES: u64 = 8;
const SEED: u64 = 42;
/// Part of the folders' names: a change of what is generated needs another one.
const VERSION: u32 = 1;

/// A folder with auction events.
pub fn nexmark(cache: &Path, count: u64) -> Result<PathBuf> {
    let mut auctions = Auctions::new();
    folder(cache, &format!("nexmark-{count}"), count, |out, number| auctions.write(out, number))
}

/// A folder with events `{"key":..,"value":..}` whose keys are uniformly random among `keys`.
pub fn uniform(cache: &Path, count: u64, keys: u64) -> Result<PathBuf> {
    let mut random = Random::new(SEED);
    folder(cache, &format!("uniform-{count}-{keys}"), count, |out, _| {
        writeln!(out, r#"{{"key":{},"value":{}}}"#, random.below(keys), random.below(1_000_000))
    })
}

/// A folder with events `{"id":..,"category":..,"price":..,"title":".."}`: an id each, 100 to a category.
pub fn items(cache: &Path, count: u64) -> Result<PathBuf> {
    let mut random = Random::new(SEED);
    let categories = (count / 100).max(1);
    folder(cache, &format!("items-{count}"), count, |out, id| {
        let (category, price, title) = (id % categories, random.below(1_000_000), random.letters(24));
        writeln!(out, r#"{{"id":{id},"category":{category},"price":{price},"title":"{title}"}}"#)
    })
}

/// Makes the folder unless it is there. It gets its name when it is complete.
fn folder(
    cache: &Path,
    name: &str,
    count: u64,
    mut event: impl FnMut(&mut BufWriter<File>, u64) -> std::io::Result<()>,
) -> Result<PathBuf> {
    let complete = cache.join(format!("{name}-v{VERSION}"));
    if complete.is_dir() {
        return Ok(complete);
    }
    report::say(&format!("writing {count} events to {}", complete.display()));
    let unfinished = cache.join(format!("{name}-unfinished"));
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished).with_context(|| format!("empty {}", unfinished.display()))?;
    }
    fs::create_dir_all(&unfinished).with_context(|| format!("create {}", unfinished.display()))?;
    for file in 0..FILES {
        let path = unfinished.join(format!("part-{file:02}.ndjson"));
        let mut out = BufWriter::new(File::create(&path).with_context(|| format!("create {}", path.display()))?);
        for number in count * file / FILES..count * (file + 1) / FILES {
            event(&mut out, number).with_context(|| format!("write {}", path.display()))?;
        }
        out.flush().with_context(|| format!("write {}", path.display()))?;
    }
    fs::rename(&unfinished, &complete).with_context(|| format!("name {}", complete.display()))?;
    Ok(complete)
}

struct Auctions {
    random: Random,
    words: Vec<String>,
    texts: Vec<String>,
}

const START_MILLIS: i64 = 1_700_000_000_000;
const EVENTS_A_SECOND: i64 = 10_000;
const FIRST_ID: i64 = 1000;
const HOT_CHANNELS: [&str; 4] = ["Google", "Facebook", "Baidu", "Apple"];

impl Auctions {
    fn new() -> Self {
        let mut random = Random::new(SEED);
        let words = (0..5000).map(|_| random.letters(24)).collect();
        let texts = (0..1000).map(|_| random.letters(200)).collect();
        Self { random, words, texts }
    }

    fn write(&mut self, out: &mut impl Write, number: u64) -> std::io::Result<()> {
        let at = START_MILLIS + number as i64 * 1000 / EVENTS_A_SECOND;
        match number % 50 {
            0 => self.person(out, number, at),
            1..=3 => self.auction(out, number, at),
            _ => self.bid(out, number, at),
        }
    }

    fn person(&self, out: &mut impl Write, number: u64, at: i64) -> std::io::Result<()> {
        let (id, word, extra) = (FIRST_ID + epoch(number), self.word(number), self.word(number * 7));
        write!(
            out,
            r#"{{"event_type":0,"ts":{at},"person":{{"id":{id},"name":"Peter Jones","emailAddress":"{word}@x.com","#
        )?;
        writeln!(out, r#""creditCard":"1111 2222 3333 4444","city":"Kent","state":"OR","extra":"{extra}"}}}}"#)
    }

    fn auction(&mut self, out: &mut impl Write, number: u64, at: i64) -> std::io::Result<()> {
        let (first, more) = (self.price(), self.price());
        let seller = FIRST_ID + (epoch(number) - self.below(1000)).max(0);
        let category = 10 + self.below(5);
        let (id, reserve, expires) = (FIRST_ID + last_auction(number), first + more, at + 20_000);
        let (name, description, extra) = (self.word(number), self.text(number), self.text(number * 3));
        write!(
            out,
            r#"{{"event_type":1,"ts":{at},"auction":{{"id":{id},"itemName":"{name}","description":"{description}","#
        )?;
        write!(out, r#""initialBid":{first},"reserve":{reserve},"expires":{expires},"seller":{seller},"#)?;
        writeln!(out, r#""category":{category},"extra":"{extra}"}}}}"#)
    }

    fn bid(&mut self, out: &mut impl Write, number: u64, at: i64) -> std::io::Result<()> {
        let (last, epoch) = (last_auction(number), epoch(number));
        let hot = self.random.unit() < 0.5;
        let auction = FIRST_ID + if hot { last / 100 * 100 } else { (last - 100).max(0) + self.below(111) };
        let hot = self.random.unit() < 0.75;
        let bidder = FIRST_ID + if hot { epoch / 100 * 100 + 1 } else { (epoch - 1000).max(0) + self.below(1010) };
        let price = self.price();
        write!(
            out,
            r#"{{"event_type":2,"ts":{at},"bid":{{"auction":{auction},"bidder":{bidder},"price":{price},"channel":""#
        )?;
        if self.random.unit() < 0.5 {
            write!(out, "{}", HOT_CHANNELS[self.below(4) as usize])?;
        } else {
            write!(out, "channel-{}", self.below(10_000))?;
        }
        let (item, extra) = (number % 99_999, self.word(number));
        write!(out, r#"","url":"https://www.nexmark.com/abcde/fghij/klmno/item.htm?query=1&channel_id={item}","#)?;
        writeln!(out, r#""extra":"{extra}"}}}}"#)
    }

    /// In cents, from 1 to a million in whole, small ones as often as large ones.
    fn price(&mut self) -> i64 {
        (10_f64.powf(self.random.unit() * 6.0) * 100.0).round() as i64
    }

    fn below(&mut self, end: u64) -> i64 {
        self.random.below(end) as i64
    }

    fn word(&self, number: u64) -> &str {
        &self.words[number as usize % self.words.len()]
    }

    fn text(&self, number: u64) -> &str {
        &self.texts[number as usize % self.texts.len()]
    }
}

/// Each has one person, three auctions and 46 bids.
fn epoch(number: u64) -> i64 {
    (number / 50) as i64
}

/// The newest auction at an event; before the first one it is -1.
fn last_auction(number: u64) -> i64 {
    match number % 50 {
        0 => epoch(number) * 3 - 1,
        offset => epoch(number) * 3 + (offset as i64 - 1).min(2),
    }
}

#[cfg(test)]
mod tests;
