//! Checks the body of a request before any of it is accepted.

mod cloud_event;
#[cfg(test)]
mod tests;
mod unpack;

use std::sync::Arc;

use manade_model::{CsvOptions, FileFormat};

pub use self::unpack::{Packing, UnpackError, unpack};

use crate::decoder::{csv_cells, describe};
use crate::framer::Framer;
use crate::scan::{Fault, TOO_DEEP, check_behind, check_event, loose_end, next_element, skip_space, value_end};

/// What a body says that it is, by its `Content-Type` and headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BodyKind {
    /// `application/json`: one object, or an array of objects.
    Json,
    /// `application/x-ndjson`: an object a line.
    Ndjson,
    Csv(CsvOptions),
    /// `application/cloudevents+json`: one CloudEvent with its data.
    CloudEvent,
    /// `application/cloudevents-batch+json`: an array of CloudEvents.
    CloudEvents,
    /// A CloudEvent in binary mode: the body is the data (JSON), the attributes came as `ce-` headers (names without
    /// the prefix).
    CloudEventBinary {
        attributes: Vec<(String, String)>,
    },
}

/// Events that are to be made durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    pub data: Vec<u8>,
    pub format: AcceptedFormat,
    pub count: u32,
    /// CloudEvents attributes as a JSON object an event.
    pub meta: Option<Vec<Option<String>>>,
    /// CSV: where each record ends in `data`; otherwise empty.
    pub ends: Vec<u32>,
    /// CSV: the names in the header line, which is not in `data`.
    pub header: Option<Arc<[String]>>,
    /// Each CloudEvent's `source` and `id`; otherwise empty.
    pub identities: Vec<(String, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AcceptedFormat {
    /// One event a line.
    Ndjson,
    Csv,
}

/// Why a line (of an array: an element) is not an event at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineError {
    /// 1-based.
    pub line: usize,
    pub reason: String,
}

/// The events of a body; or, where any of them is none, all that are none.
///
/// An event that nests too deeply is one all the same: it becomes a dead letter.
pub fn split(body: &[u8], kind: &BodyKind) -> Result<Accepted, Vec<LineError>> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    match kind {
        BodyKind::Ndjson => split_lines(body),
        BodyKind::Json => split_document(utf8(body)?),
        BodyKind::Csv(options) => split_csv(body, options),
        BodyKind::CloudEvent => cloud_event::structured(utf8(body)?),
        BodyKind::CloudEvents => cloud_event::batch(utf8(body)?),
        BodyKind::CloudEventBinary { attributes } => cloud_event::binary(utf8(body)?, attributes),
    }
}

impl Accepted {
    /// An event a line.
    pub fn lines(data: Vec<u8>, count: usize) -> Self {
        let format = AcceptedFormat::Ndjson;
        Self { data, format, count: count as u32, meta: None, ends: Vec::new(), header: None, identities: Vec::new() }
    }
}

fn one_error(line: usize, reason: impl Into<String>) -> Vec<LineError> {
    vec![LineError { line, reason: reason.into() }]
}

fn utf8(body: &[u8]) -> Result<&str, Vec<LineError>> {
    simdutf8::compat::from_utf8(body).map_err(|error| {
        let line = lines(&body[..error.valid_up_to()]) + 1;
        one_error(line, "not valid UTF-8")
    })
}

/// Line ends.
fn lines(bytes: &[u8]) -> usize {
    memchr::memchr_iter(b'\n', bytes).count()
}

fn split_lines(body: &[u8]) -> Result<Accepted, Vec<LineError>> {
    let valid = simdutf8::basic::from_utf8(body).is_ok();
    let mut errors = Vec::new();
    let mut count = 0;
    let mut start = 0;
    let ends = memchr::memchr_iter(b'\n', body).chain(std::iter::once(body.len()));
    for (index, end) in ends.enumerate() {
        let line = &body[start.min(end)..end];
        start = end + 1;
        if line.iter().all(|byte| matches!(byte, b' ' | b'\t' | b'\r')) {
            continue;
        }
        count += 1;
        if let Some(reason) = check_line(line, valid) {
            errors.push(LineError { line: index + 1, reason });
        }
    }
    if errors.is_empty() { Ok(Accepted::lines(body.to_vec(), count)) } else { Err(errors) }
}

/// Why a line is no event.
fn check_line(line: &[u8], valid: bool) -> Option<String> {
    if !valid && simdutf8::basic::from_utf8(line).is_err() {
        return Some("not valid UTF-8".to_owned());
    }
    match check_event(line) {
        Ok(()) => None,
        Err(fault) if fault.what == TOO_DEEP => None,
        Err(fault) => Some(describe(&fault, &String::from_utf8_lossy(line))),
    }
}

fn split_document(text: &str) -> Result<Accepted, Vec<LineError>> {
    let b = text.as_bytes();
    let start = skip_space(b, 0);
    if start == b.len() {
        return Ok(Accepted::lines(Vec::new(), 0));
    }
    if b[start] != b'[' {
        let end = element_end(text, start, 1)?;
        check_behind(b, end).map_err(|_| {
            one_error(1, "text behind the event: several events are an array, or lines of application/x-ndjson")
        })?;
        let mut data = Vec::with_capacity(end + 1);
        push_line(&b[start..end], &mut data);
        return Ok(Accepted::lines(data, 1));
    }
    let (elements, errors) = elements(text, start)?;
    if !errors.is_empty() {
        return Err(errors);
    }
    let mut data = Vec::with_capacity(b.len() + 1);
    for element in &elements {
        push_line(element.as_bytes(), &mut data);
    }
    Ok(Accepted::lines(data, elements.len()))
}

/// The objects of an array, and the elements that are none. `start`: of the opening bracket.
fn elements(text: &str, start: usize) -> Result<(Vec<&str>, Vec<LineError>), Vec<LineError>> {
    let b = text.as_bytes();
    let mut i = skip_space(b, start + 1);
    let (mut elements, mut errors) = (Vec::new(), Vec::new());
    let mut end = i + 1;
    let mut done = b.get(i) == Some(&b']');
    let mut index = 0;
    while !done {
        index += 1;
        if b.get(i).is_some_and(|c| *c != b'{') && value_end(b, i, 1).is_ok() {
            errors.push(LineError { line: index, reason: "not a JSON object".to_owned() });
            end = value_end(b, i, 1).unwrap_or(i);
        } else {
            end = element_end(text, i, index)?;
            elements.push(&text[i..end]);
        }
        (i, done) = next_element(b, end).map_err(|fault| one_error(index, described(&fault, text)))?;
        end = i;
    }
    check_behind(b, end).map_err(|_| one_error(index.max(1), "text behind the array"))?;
    Ok((elements, errors))
}

/// Where the object at `start` ends.
fn element_end(text: &str, start: usize, index: usize) -> Result<usize, Vec<LineError>> {
    let b = text.as_bytes();
    if b.get(start) != Some(&b'{') {
        return Err(one_error(index, "not a JSON object"));
    }
    match value_end(b, start, 0) {
        Err(fault) if fault.what == TOO_DEEP => {
            loose_end(b, start).ok_or_else(|| one_error(index, "the object does not end"))
        }
        end => end.map_err(|fault| one_error(index, described(&fault, text))),
    }
}

/// A fault and where in a document of several lines it is.
fn described(fault: &Fault, text: &str) -> String {
    let before = text.get(..fault.at.min(text.len())).unwrap_or(text);
    match before.rfind('\n') {
        None => describe(fault, text),
        Some(end) => {
            let column = before[end + 1..].chars().count() + 1;
            format!("{} (line {}, column {column})", fault.what, lines(before.as_bytes()) + 1)
        }
    }
}

/// Line ends stand only between tokens, where a blank does as well.
fn push_line(element: &[u8], data: &mut Vec<u8>) {
    data.extend(element.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }));
    data.push(b'\n');
}

fn split_csv(body: &[u8], options: &CsvOptions) -> Result<Accepted, Vec<LineError>> {
    let mut framer = Framer::new(&FileFormat::Csv(options.clone()), u64::MAX);
    let cut = framer.cut(body, true);
    if let Some(error) = cut.errors.into_iter().next() {
        return Err(one_error(1, error.reason));
    }
    let data = &body[cut.records.clone()];
    let mut errors = Vec::new();
    let mut line = 1 + lines(&body[..cut.records.start]);
    let (mut start, mut count) = (0, 0);
    for end in &cut.ends {
        let record = &data[start..*end as usize];
        start = *end as usize;
        let reason = match simdutf8::basic::from_utf8(record) {
            Ok(text) => {
                // The decoder takes a byte order mark from each record, and leaves out what is empty then.
                let text = text.strip_prefix('\u{feff}').unwrap_or(text).trim_end_matches(['\r', '\n']);
                count += usize::from(!text.is_empty());
                if text.is_empty() { None } else { csv_cells(text, options).err() }
            }
            Err(_) => Some("not valid UTF-8".to_owned()),
        };
        errors.extend(reason.map(|reason| LineError { line, reason }));
        line += lines(record);
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let header = framer.header().cloned();
    let accepted = Accepted::lines(data.to_vec(), count);
    Ok(Accepted { format: AcceptedFormat::Csv, ends: cut.ends, header, ..accepted })
}
