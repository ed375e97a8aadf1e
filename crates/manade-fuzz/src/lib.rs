//! What is fuzzed: events, platform files, query strings. Each function takes any bytes and panics where something that
//! must hold does not; `targets` makes a program of each, `cargo xtask fuzz` runs them, and the tests run them over their
//! seeds.

use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_schema::{DataType, Field, TimeUnit};
use manade_events::{Chunk, Decoded, Decoder, DecoderOptions, Format, Framer, ingest};
use manade_model::{CsvOptions, EventSchema, FileFormat, PlatformFile, parse_fields};
use manade_pipeline::collection::{CollectionInfo, CollectionKind, OutputColumn};

#[cfg(test)]
mod tests;

const MAX_EVENT: u64 = 4096;

/// Every type that events have.
const SCHEMA: &str = "b boolean, t tinyint, i int, l bigint, f float, d double, n decimal(12, 3), s string, x binary, at timestamp, \
                      day date, o struct<a: int, p: struct<q: string>>, r array<struct<k: string, v: double>>, \
                      m map<string, array<int>>";
/// What CSV can hold of it.
const FLAT: &str =
    "b boolean, t tinyint, i int, l bigint, f float, d double, n decimal(12, 3), s string, at timestamp, day date";

struct Decoders {
    lines: Decoder,
    /// Of few columns, and with numbers in strings.
    few: Decoder,
    elements: Decoder,
    csv: Decoder,
}

static DECODERS: LazyLock<Decoders> = LazyLock::new(|| {
    let of = |schema: &str, format: Format, reads: Option<&[Vec<String>]>, coerce: bool| {
        let schema = EventSchema { fields: parse_fields(schema).expect("the schema is right") };
        let options = DecoderOptions { format, time: None, coerce, max_event: MAX_EVENT, meta: false };
        Decoder::new(&schema, reads, options).expect("the schema can be read")
    };
    let few = [vec!["l".to_owned()], vec!["o".to_owned(), "p".to_owned(), "q".to_owned()]];
    Decoders {
        lines: of(SCHEMA, Format::Lines, None, false),
        few: of(SCHEMA, Format::Lines, Some(&few), true),
        elements: of(SCHEMA, Format::Elements, None, false),
        csv: of(FLAT, Format::Csv(CSV), None, false),
    }
});

const CSV: CsvOptions = CsvOptions { delimiter: b',', quote: b'"', header: true };

/// The first byte chooses the format, the second where the rest is cut in two, and the rest is a file or a body.
pub fn events(input: &[u8]) {
    let Some((&[format, cut], bytes)) = input.split_first_chunk::<2>() else { return };
    let decoders = &*DECODERS;
    match format % 4 {
        0 => {
            file(bytes, usize::from(cut), &FileFormat::Ndjson, &decoders.lines);
            each_alone(bytes, &decoders.lines);
            read(&decoders.few, &Chunk { data: bytes.into(), ..Chunk::default() });
        }
        1 => file(bytes, usize::from(cut), &FileFormat::Json, &decoders.elements),
        2 => file(bytes, usize::from(cut), &FileFormat::Csv(CSV), &decoders.csv),
        _ => bodies(bytes, decoders),
    }
}

/// A file as a platform.
pub fn platform(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let parsed = manade_model::parse(&[PlatformFile { path: PathBuf::from("p.yaml"), text: text.to_owned() }]);
    // YAML has more line ends than Rust's `lines`, and an end of file behind the last.
    let lines = text.split(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']).count() + 1;
    for finding in &parsed.findings {
        let place = &finding.place;
        assert!((1..=lines).contains(&place.line) && place.column >= 1, "{finding} of {lines} lines");
        assert!(!finding.message.is_empty());
    }
}

/// A query string as that of a collection.
pub fn query(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    for kind in [CollectionKind::Keyed, CollectionKind::Append, CollectionKind::Top] {
        let info = CollectionInfo { kind, ..INFO.clone() };
        if let Err(message) = manade_server::check_query(text, &info) {
            assert!(!message.is_empty());
        }
    }
}

static INFO: LazyLock<CollectionInfo> = LazyLock::new(|| {
    let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let window = vec![Field::new("start", utc.clone(), true), Field::new("end", utc.clone(), true)];
    let columns = [
        ("key", DataType::Utf8View),
        ("n", DataType::Int64),
        ("mean", DataType::Float64),
        ("sum", DataType::Decimal128(12, 3)),
        ("at", utc),
        ("ok", DataType::Boolean),
        ("w", DataType::Struct(window.into())),
        ("list", DataType::new_list(DataType::Int32, true)),
        ("a b.c", DataType::Date32),
    ];
    let column = |(name, data_type): (&str, DataType)| OutputColumn { name: name.to_owned(), data_type };
    CollectionInfo {
        name: "rows".to_owned(),
        pipeline: "p".to_owned(),
        description: None,
        columns: columns.map(column).into(),
        kind: CollectionKind::Keyed,
        key: vec!["key".to_owned()],
        index: vec!["n".to_owned()],
    }
});

fn read(decoder: &Decoder, chunk: &Chunk) -> Decoded {
    let decoded = decoder.decode(chunk);
    assert_eq!(decoded.read, (decoded.rows.len() + decoded.dead.len()) as u64, "each record is a row or dead");
    assert_eq!(decoded.batch.num_rows(), decoded.rows.len());
    for span in decoded.rows.iter().chain(decoded.dead.iter().map(|dead| &dead.span)) {
        assert!((span.start + span.len) as usize <= chunk.data.len(), "a record is a part of its chunk");
    }
    decoded
}

/// A file's records are the same, read in one go or in two.
fn file(bytes: &[u8], cut: usize, format: &FileFormat, decoder: &Decoder) {
    let whole = records(&[bytes], format, decoder);
    let at = bytes.len() * cut / 256;
    let halves = records(&[&bytes[..at], &bytes[at..]], format, decoder);
    assert_eq!(whole, halves, "cut at {at}");
}

/// Rows of the parts of a file, and how many records are none.
fn records(parts: &[&[u8]], format: &FileFormat, decoder: &Decoder) -> (Vec<RecordBatch>, usize) {
    let mut framer = Framer::new(format, MAX_EVENT);
    let (mut waiting, mut rows, mut dead) = (Vec::new(), Vec::new(), 0);
    for (number, part) in parts.iter().enumerate() {
        waiting.extend_from_slice(part);
        let cut = framer.cut(&waiting, number + 1 == parts.len());
        assert!(cut.consumed <= waiting.len() && cut.records.end <= cut.consumed);
        let data = Buffer::from(&waiting[cut.records.clone()]);
        let chunk = Chunk { data, ends: cut.ends, header: framer.header().cloned(), ..Chunk::default() };
        if !chunk.data.is_empty() {
            let decoded = read(decoder, &chunk);
            rows.extend((0..decoded.batch.num_rows()).map(|row| decoded.batch.slice(row, 1)));
            dead += decoded.dead.len();
        }
        dead += cut.oversize.len() + cut.errors.len();
        waiting.drain(..cut.consumed);
    }
    (rows, dead)
}

/// A line means the same, whatever stands before and behind it.
fn each_alone(bytes: &[u8], decoder: &Decoder) {
    let whole = read(decoder, &Chunk { data: bytes.into(), ..Chunk::default() });
    let mut rows = 0;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let alone = read(decoder, &Chunk { data: line.into(), ..Chunk::default() });
        for row in 0..alone.batch.num_rows() {
            assert_eq!(alone.batch.slice(row, 1), whole.batch.slice(rows, 1), "row {rows}");
            rows += 1;
        }
    }
    assert_eq!(rows, whole.batch.num_rows());
}

/// What is accepted is read again as so many events.
fn bodies(bytes: &[u8], decoders: &Decoders) {
    let attributes = vec![("id".to_owned(), "1".to_owned()), ("source".to_owned(), "/s".to_owned())];
    let kinds = [
        ingest::BodyKind::Json,
        ingest::BodyKind::Ndjson,
        ingest::BodyKind::Csv(CSV),
        ingest::BodyKind::CloudEvent,
        ingest::BodyKind::CloudEvents,
        ingest::BodyKind::CloudEventBinary { attributes },
    ];
    for kind in kinds {
        match ingest::split(bytes, &kind) {
            Ok(accepted) => {
                let decoder = match accepted.format {
                    ingest::AcceptedFormat::Ndjson => &decoders.lines,
                    ingest::AcceptedFormat::Csv => &decoders.csv,
                };
                let (data, ends) = (Buffer::from(accepted.data), accepted.ends);
                let header = accepted.header.as_ref().map(Arc::clone);
                let decoded = read(decoder, &Chunk { data, ends, header, ..Chunk::default() });
                assert_eq!(decoded.read, u64::from(accepted.count), "{kind:?}");
            }
            Err(errors) => assert!(!errors.is_empty(), "{kind:?} is refused without a reason"),
        }
    }
}
