//! Goes over a chunk's records: each gives a row or a dead record.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::builder::{MapBuilder, MapFieldNames, StringViewBuilder};
use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_buffer::Buffer;

use super::column::{Column, Structs};
use super::convert::Sink;
use super::{Decoder, Format, csv, fast, slow};
use crate::chunk::{Chunk, DeadRecord, DecodeStage, Decoded, RecordSpan};
use crate::json::{Kind, parse};
use crate::scan::skip_space;

const MICROS_PER_DAY: i64 = 86_400_000_000;

struct Rows<'a> {
    decoder: &'a Decoder,
    chunk: &'a Chunk,
    row: Structs,
    sink: Sink,
    times: Vec<i64>,
    spans: Vec<RecordSpan>,
    dead: Vec<DeadRecord>,
    /// The number in the chunk of each row's record, if `_meta` is read.
    numbers: Vec<u32>,
}

/// `try_fast`: otherwise every JSON record goes the slow way, which has the same meaning.
pub(crate) fn decode(decoder: &Decoder, chunk: &Chunk, try_fast: bool) -> Decoded {
    let data = chunk.data.as_slice();
    let expected = if chunk.ends.is_empty() { data.len() / 200 + 1 } else { chunk.ends.len() };
    let mut rows = Rows {
        decoder,
        chunk,
        row: Structs::new(&decoder.members, expected),
        sink: Sink { coerce: decoder.options.coerce, extra: Vec::new() },
        times: Vec::with_capacity(expected),
        spans: Vec::with_capacity(expected),
        dead: Vec::new(),
        numbers: Vec::new(),
    };
    let valid = simdutf8::basic::from_utf8(data).ok();
    let (elements, csv) = match &decoder.options.format {
        Format::Csv(options) => (false, Some(csv::Reader::new(decoder, chunk.header.as_deref(), options))),
        format => (*format == Format::Elements, None),
    };
    let mut read: u64 = 0;
    for_each_record(chunk, |range| {
        let mut trimmed = trim(data, range, csv.is_some());
        if elements && data[trimmed.clone()].starts_with(b",") {
            trimmed = trim(data, trimmed.start + 1..trimmed.end, false);
        }
        if trimmed.is_empty() {
            return;
        }
        let number = read as u32;
        read += 1;
        let span = RecordSpan { start: trimmed.start as u32, len: trimmed.len() as u32 };
        if trimmed.len() as u64 > decoder.options.max_event {
            let limit = decoder.options.max_event;
            rows.die(span, DecodeStage::Decode, format!("{} bytes are more than the limit of {limit}", trimmed.len()));
            return;
        }
        let text = match valid {
            Some(text) => text.get(trimmed),
            None => simdutf8::basic::from_utf8(&data[trimmed]).ok(),
        };
        let Some(text) = text else {
            rows.die(span, DecodeStage::Decode, "not valid UTF-8".to_owned());
            return;
        };
        match &csv {
            Some(reader) => rows.take_cells(reader, text, span, number),
            None => rows.take_event(text, span, number, try_fast),
        }
    });
    rows.finish(read)
}

fn for_each_record(chunk: &Chunk, mut take: impl FnMut(Range<usize>)) {
    let data = chunk.data.as_slice();
    let mut start = 0;
    if chunk.ends.is_empty() {
        for end in memchr::memchr_iter(b'\n', data) {
            take(start..end);
            start = end + 1;
        }
        if start < data.len() {
            take(start..data.len());
        }
    } else {
        for end in &chunk.ends {
            take(start..*end as usize);
            start = *end as usize;
        }
    }
}

/// Without the line end and a byte order mark; JSON also without white space around it. Empty: a blank line.
#[inline]
fn trim(data: &[u8], mut range: Range<usize>, csv: bool) -> Range<usize> {
    if data[range.clone()].starts_with(b"\xef\xbb\xbf") {
        range.start += 3;
    }
    let is_space = |byte: u8| if csv { matches!(byte, b'\r' | b'\n') } else { byte <= b' ' && byte != 0 };
    while range.end > range.start
        && is_space(data[range.end - 1])
        && matches!(data[range.end - 1], b' ' | b'\t' | b'\n' | b'\r')
    {
        range.end -= 1;
    }
    if !csv {
        range.start = skip_space(&data[..range.end], range.start);
    }
    range
}

impl Rows<'_> {
    #[inline]
    fn take_event(&mut self, text: &str, span: RecordSpan, number: u32, try_fast: bool) {
        let len = self.row.len;
        let extra = self.sink.extra.len();
        if try_fast {
            if fast::read(text, span.start, &mut self.row, &mut self.sink).is_ok() {
                self.keep(span, number);
                return;
            }
            self.row.truncate(len);
            self.sink.extra.truncate(extra);
        }
        match slow::read(text, span.start, &mut self.row, &mut self.sink) {
            Ok(()) => self.keep(span, number),
            Err(reason) => {
                self.row.truncate(len);
                self.sink.extra.truncate(extra);
                self.die(span, DecodeStage::Decode, reason);
            }
        }
    }

    fn take_cells(&mut self, reader: &csv::Reader, text: &str, span: RecordSpan, number: u32) {
        let len = self.row.len;
        let extra = self.sink.extra.len();
        match reader.read(text, span.start, &mut self.row, &mut self.sink) {
            Ok(()) => self.keep(span, number),
            Err(reason) => {
                self.row.truncate(len);
                self.sink.extra.truncate(extra);
                self.die(span, DecodeStage::Decode, reason);
            }
        }
    }

    /// The row was written; it stays if it has an event time.
    #[inline]
    fn keep(&mut self, span: RecordSpan, number: u32) {
        let time = match &self.decoder.time {
            None => self.chunk.arrival,
            Some(place) => match time_of(&self.row, place) {
                Some(time) => time,
                None => return self.drop_timeless(span),
            },
        };
        self.times.push(time);
        self.spans.push(span);
        if self.decoder.meta {
            self.numbers.push(number);
        }
    }

    #[cold]
    fn drop_timeless(&mut self, span: RecordSpan) {
        self.row.truncate(self.row.len - 1);
        let path = self.decoder.options.time.as_ref().map(|path| path.join(".")).unwrap_or_default();
        self.die(span, DecodeStage::Time, format!("the event time {path} is missing or null"));
    }

    #[cold]
    fn die(&mut self, span: RecordSpan, stage: DecodeStage, reason: String) {
        self.dead.push(DeadRecord { span, stage, reason });
    }

    fn finish(self, read: u64) -> Decoded {
        let Self { decoder, chunk, row, sink, times, spans, dead, numbers } = self;
        let buffers = [chunk.data.clone(), Buffer::from_vec(sink.extra)];
        let (mut arrays, _) = row.finish(&buffers);
        if decoder.meta {
            arrays.push(meta_column(chunk.meta.as_deref(), &numbers));
        }
        let options = RecordBatchOptions::new().with_row_count(Some(spans.len()));
        let batch = RecordBatch::try_new_with_options(decoder.schema.clone(), arrays, &options);
        let batch = batch.expect("columns are built to the schema");
        Decoded { batch, times, rows: spans, dead, read }
    }
}

/// The event time in microseconds of the last row.
#[inline]
fn time_of(row: &Structs, place: &[usize]) -> Option<i64> {
    let mut structs = row;
    for member in place {
        let last = structs.len - 1;
        match &structs.columns[*member] {
            Column::Struct(below) => structs = below,
            Column::Timestamp(plain, ..) if plain.nulls.is_valid(last) => return Some(plain.values[last]),
            Column::Date(plain, _) if plain.nulls.is_valid(last) => {
                return Some(i64::from(plain.values[last]) * MICROS_PER_DAY);
            }
            _ => return None,
        }
    }
    None
}

/// Attributes as a map of strings; null where there are none.
fn meta_column(meta: Option<&[Option<String>]>, numbers: &[u32]) -> ArrayRef {
    let names = MapFieldNames { entry: "entries".to_owned(), key: "key".to_owned(), value: "value".to_owned() };
    let mut map = MapBuilder::new(Some(names), StringViewBuilder::new(), StringViewBuilder::new());
    for number in numbers {
        let text = meta.and_then(|meta| meta.get(*number as usize)?.as_deref()).unwrap_or("null");
        let attributes = parse(text).ok();
        let Some(Kind::Object(list)) = attributes.as_ref().map(|value| &value.kind) else {
            map.append(false).expect("keys and values are pushed in pairs");
            continue;
        };
        for (key, value) in list {
            map.keys().append_value(key);
            match &value.kind {
                Kind::Null => map.values().append_null(),
                Kind::String(text) => map.values().append_value(text),
                _ => map.values().append_value(&text[value.span.clone()]),
            }
        }
        map.append(true).expect("keys and values are pushed in pairs");
    }
    Arc::new(map.finish())
}
