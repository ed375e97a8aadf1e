//! What a file's first events look like.

use std::collections::HashSet;
use std::path::Path;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::buffer::Buffer;
use arrow::compute::{max, min};
use arrow::datatypes::{DataType, Int64Type};
use manade_events::{Chunk, Decoder, DecoderOptions, Format, Framer, InferError, Inferred, infer};
use manade_model::{CsvOptions, EventSchema, Field, FileFormat, SparkType, TimeFormat};

use crate::failure::{Context, Failure};

#[cfg(test)]
mod tests;

/// Bytes that are looked at.
const BYTES: u64 = 4 << 20;
const MAX_EVENT: u64 = 16 << 20;

/// Most values of a column to group by.
const GROUPS: usize = 1_000;

pub struct Sample {
    pub schema: EventSchema,
    /// Columns that the schema cannot have.
    pub left_out: Vec<String>,
    /// `None`: what the file's extension says.
    pub format: Option<FileFormat>,
    /// Events that were read.
    pub events: usize,
    /// The column with the event time.
    pub time: Option<String>,
    /// A text column with few values.
    pub group: Option<String>,
}

impl Sample {
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let readable = "name a file of events: .ndjson, .json or .csv, also .gz and .zst";
        if path.is_dir() {
            return Err(Failure::misuse(format!("{} is a folder", path.display())).with_hint(readable));
        }
        let bytes = manade_pipeline::sample(path, BYTES).context(format!("cannot read {}", path.display()));
        let bytes = bytes.map_err(|failure| failure.with_hint(readable))?;
        let by_name = manade_pipeline::format_by_name(path);
        let format = delimited(&by_name, &bytes);
        let is_whole = (bytes.len() as u64) < BYTES;
        let sample = Self::of(&bytes, &format, is_whole);
        let hint = match &sample {
            Err(InferError::Twice { .. }) => "rename one of them in the file",
            _ => readable,
        };
        let sample = sample.context(format!("cannot make a schema of {}", path.display()));
        let mut sample = sample.map_err(|failure| failure.with_hint(hint))?;
        sample.format = (format != by_name).then_some(format);
        Ok(sample)
    }

    /// `is_whole`: the last record needs no end.
    fn of(bytes: &[u8], format: &FileFormat, is_whole: bool) -> Result<Self, InferError> {
        let Inferred { mut schema, left_out } = infer(bytes, format)?;
        let batch = decode(bytes, format, &schema, is_whole);
        if let Some(batch) = &batch {
            for (at, field) in schema.fields.iter_mut().enumerate() {
                epoch(field, batch, at);
            }
        }
        let time = time(&schema);
        let group = batch.as_ref().and_then(|batch| group(&schema, batch));
        let events = batch.map_or(0, |batch| batch.num_rows());
        Ok(Self { schema, left_out, format: None, events, time, group })
    }
}

/// CSV's delimiter is the one that its first line has most of.
fn delimited(format: &FileFormat, bytes: &[u8]) -> FileFormat {
    let FileFormat::Csv(options) = format else { return format.clone() };
    let line = String::from_utf8_lossy(bytes.split(|byte| *byte == b'\n').next().unwrap_or_default());
    let count = |delimiter: u8| line.matches(char::from(delimiter)).count();
    let others = [b';', b'\t', b'|'].into_iter().map(|other| (count(other), other));
    match others.max_by_key(|(count, _)| *count) {
        Some((found, delimiter)) if found > count(options.delimiter) => {
            FileFormat::Csv(CsvOptions { delimiter, ..options.clone() })
        }
        _ => format.clone(),
    }
}

fn decode(bytes: &[u8], format: &FileFormat, schema: &EventSchema, is_whole: bool) -> Option<RecordBatch> {
    let mut framer = Framer::new(format, MAX_EVENT);
    let cut = framer.cut(bytes, is_whole);
    let chunk = Chunk {
        data: Buffer::from(&bytes[cut.records]),
        ends: cut.ends,
        arrival: 0,
        header: framer.header().cloned(),
        meta: None,
    };
    let format = match format {
        FileFormat::Ndjson => Format::Lines,
        FileFormat::Json => Format::Elements,
        FileFormat::Csv(options) => Format::Csv(options.clone()),
    };
    let options = DecoderOptions { format, time: None, coerce: false, max_event: MAX_EVENT, meta: false };
    let decoder = Decoder::new(schema, None, options).ok()?;
    Some(decoder.decode(&chunk).batch)
}

/// A whole number that is called like a time and lies in this century's seconds, milliseconds or microseconds is one.
fn epoch(field: &mut Field, batch: &RecordBatch, column: usize) {
    const EPOCHS: [(i64, TimeFormat); 3] =
        [(1, TimeFormat::EpochSeconds), (1_000, TimeFormat::EpochMillis), (1_000_000, TimeFormat::EpochMicros)];
    let name = field.name.to_lowercase();
    let is_named = ["time", "date", "epoch"].iter().any(|word| name.contains(word))
        || ["ts", "at"].iter().any(|word| name == *word || name.ends_with(&format!("_{word}")));
    let values = batch.column(column);
    if !is_named || field.data_type != SparkType::Long || *values.data_type() != DataType::Int64 {
        return;
    }
    let values = values.as_primitive::<Int64Type>();
    let (Some(least), Some(most)) = (min(values), max(values)) else { return };
    // 2000-01-01 to 2100-01-01.
    let fits = |unit: &i64| least >= 946_684_800 * unit && most < 4_102_444_800 * unit;
    if let Some((_, format)) = EPOCHS.into_iter().find(|(unit, _)| fits(unit)) {
        field.data_type = SparkType::Timestamp(format);
    }
}

/// The first timestamp, else the first date.
fn time(schema: &EventSchema) -> Option<String> {
    let usable = || schema.fields.iter().filter(|field| is_usable(&field.name));
    let is_timestamp = |t: &SparkType| matches!(t, SparkType::Timestamp(_) | SparkType::TimestampNtz(_));
    let found = usable().find(|field| is_timestamp(&field.data_type));
    let found = found.or_else(|| usable().find(|field| matches!(field.data_type, SparkType::Date(_))));
    found.map(|field| field.name.clone())
}

/// The text column with fewest values, where they are far fewer than events.
fn group(schema: &EventSchema, batch: &RecordBatch) -> Option<String> {
    let most = GROUPS.min(batch.num_rows() / 2);
    let mut best: Option<(usize, &str)> = None;
    for (field, values) in schema.fields.iter().zip(batch.columns()) {
        let Some(values) = values.as_string_view_opt() else { continue };
        let distinct = values.iter().flatten().collect::<HashSet<_>>().len();
        if distinct >= 2 && distinct <= most && is_usable(&field.name) && best.is_none_or(|(least, _)| distinct < least)
        {
            best = Some((distinct, &field.name));
        }
    }
    best.map(|(_, name)| name.to_owned())
}

/// A name that can stand on one line.
fn is_usable(name: &str) -> bool {
    !name.contains(char::is_control) && !name.is_empty()
}
