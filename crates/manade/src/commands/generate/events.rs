//! The events that are sent: made up, or read from a file.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arrow::buffer::Buffer;
use manade_events::generate::{Generator, GeneratorOptions, Style};
use manade_events::{Chunk, Decoder, DecoderOptions, Format};
use manade_model::{FileFormat, MessageId, Pipeline, Source};
use manade_pipeline::plan::Plan;

use crate::args::Generate;
use crate::failure::{Context, Failure};

pub struct Events {
    origin: Origin,
    /// What no two runs have in common: ids begin with it.
    pub seed: u64,
}

enum Origin {
    Generated(Box<Generator>),
    File(Replay),
}

/// Some events, one a line.
pub struct Batch {
    pub lines: String,
    pub events: u64,
    /// Nothing comes behind them.
    pub is_last: bool,
}

/// A file's lines, as fast as they are asked for, or as their event times come.
struct Replay {
    lines: std::io::Lines<BufReader<Box<dyn Read>>>,
    /// A line that is not due yet.
    next: Option<String>,
    timing: Option<Timing>,
}

struct Timing {
    speed: f64,
    decoder: Decoder,
    /// The first event's time, microseconds since the epoch.
    first: Option<i64>,
}

impl Events {
    pub fn new(args: &Generate, plan: &Plan) -> Result<Self, Failure> {
        let seed = args.shape.seed.unwrap_or_else(|| now() as u64);
        let origin = match &args.from {
            Some(from) => Origin::File(Replay::open(from, args.speed, plan)?),
            None => Origin::Generated(Box::new(generator(args, plan, seed)?)),
        };
        Ok(Self { origin, seed })
    }

    /// The line that stands before all events of a CSV file.
    pub fn header(&self) -> Option<String> {
        match &self.origin {
            Origin::Generated(generator) => generator.header(),
            Origin::File(_) => None,
        }
    }

    /// So many at most; of a file that is replayed at a speed, those that are due so long after the first.
    pub fn next(&mut self, most: u64, elapsed: Duration) -> Result<Batch, Failure> {
        let mut batch = Batch { lines: String::new(), events: 0, is_last: false };
        match &mut self.origin {
            Origin::Generated(generator) => {
                while batch.events < most {
                    generator.append(now(), &mut batch.lines);
                    batch.events += 1;
                }
            }
            Origin::File(replay) => replay.fill(&mut batch, most, elapsed)?,
        }
        Ok(batch)
    }
}

impl Replay {
    fn open(from: &Path, speed: Option<f64>, plan: &Plan) -> Result<Self, Failure> {
        let format = manade_pipeline::format_by_name(from);
        if format != FileFormat::Ndjson {
            let failure = Failure::misuse(format!("{} is not replayed", from.display()));
            return Err(failure.with_hint("name a file with an event a line: .ndjson or .jsonl, also .gz and .zst"));
        }
        if style(plan)? != Style::Json {
            let failure =
                Failure::misuse(format!("`{}` reads CSV, and a file of JSON is replayed", plan.pipeline.name));
            return Err(failure.with_hint("copy a CSV file to where the pipeline reads instead"));
        }
        let file = manade_pipeline::unpacked(from).context(format!("cannot read {}", from.display()))?;
        let file: Box<dyn Read> = Box::new(file);
        let timing = speed.map(|speed| Timing::new(speed, plan)).transpose()?;
        Ok(Self { lines: BufReader::new(file).lines(), next: None, timing })
    }

    fn fill(&mut self, batch: &mut Batch, most: u64, elapsed: Duration) -> Result<(), Failure> {
        while batch.events < most {
            let Some(line) = self.next.take().map(Ok).or_else(|| self.lines.next()) else {
                batch.is_last = true;
                return Ok(());
            };
            let line = line.context("cannot read on in the file")?;
            if line.trim().is_empty() {
                continue;
            }
            if self.timing.as_mut().is_some_and(|timing| timing.due(&line) > elapsed) {
                self.next = Some(line);
                return Ok(());
            }
            batch.lines.push_str(&line);
            batch.lines.push('\n');
            batch.events += 1;
        }
        Ok(())
    }
}

impl Timing {
    fn new(speed: f64, plan: &Plan) -> Result<Self, Failure> {
        let events = &plan.pipeline.events;
        let Some(time) = &events.time else {
            let failure = Failure::misuse(format!("the events of `{}` have no time", plan.pipeline.name));
            return Err(failure.with_hint("name their column with `events.time`, or send them with --rate"));
        };
        let options = DecoderOptions {
            format: Format::Lines,
            time: Some(time.clone()),
            coerce: events.coerce,
            max_event: events.max_event,
            meta: false,
        };
        Ok(Self { speed, decoder: Decoder::new(&plan.schema, Some(&[]), options)?, first: None })
    }

    /// How long after the first event this one is sent; one without a time at once.
    fn due(&mut self, line: &str) -> Duration {
        let chunk = Chunk { data: Buffer::from(line.as_bytes()), ..Chunk::default() };
        let Some(time) = self.decoder.decode(&chunk).times.first().copied() else { return Duration::ZERO };
        let first = *self.first.get_or_insert(time);
        let behind = u64::try_from(time.saturating_sub(first)).unwrap_or(0);
        Duration::from_micros((behind as f64 / self.speed) as u64)
    }
}

fn generator(args: &Generate, plan: &Plan, seed: u64) -> Result<Generator, Failure> {
    let Pipeline { source, events, .. } = &plan.pipeline;
    let unique = match source {
        Source::RabbitMq(queue) => match &queue.id {
            Some(MessageId::Field(path)) => Some(path.clone()),
            _ => None,
        },
        Source::File(_) | Source::Http(_) => None,
    };
    let options = GeneratorOptions {
        seed,
        keys: args.shape.keys as u64,
        time: events.time.clone(),
        // A column of this name is one in most schemas.
        unique: unique.or_else(|| Some(vec!["id".to_owned()])),
        lateness: i64::try_from(events.lateness.as_micros()).unwrap_or(i64::MAX),
        late: args.shape.late,
        ragged: args.shape.ragged,
    };
    Ok(Generator::new(&plan.schema, style(plan)?, options)?)
}

/// As the source reads them.
fn style(plan: &Plan) -> Result<Style, Failure> {
    let Source::File(file) = &plan.pipeline.source else { return Ok(Style::Json) };
    match file.format.clone().unwrap_or_else(|| manade_pipeline::format_by_name(&file.path)) {
        FileFormat::Ndjson => Ok(Style::Json),
        FileFormat::Csv(options) => Ok(Style::Csv(options)),
        FileFormat::Json => {
            let failure = Failure::misuse(format!("`{}` reads JSON documents, which cannot grow", plan.pipeline.name));
            Err(failure.with_hint("let it read NDJSON: `format: ndjson`"))
        }
    }
}

/// Microseconds since the epoch.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}
