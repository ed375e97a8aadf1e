//! Cuts a growing byte stream into complete records.

mod cells;
mod document;
#[cfg(test)]
mod tests;

use std::ops::Range;
use std::sync::Arc;

use manade_model::{CsvOptions, FileFormat};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::OVERSIZE_HEAD;
use cells::CellScan;
use document::DocumentScan;

/// Cuts the bytes of one file (or body) into complete records. It is given the bytes that it has not consumed yet, again
/// and with more behind them, and keeps what it must know between calls.
#[derive(Debug, Clone)]
pub struct Framer {
    format: FileFormat,
    max_event: u64,
    state: FramerState,
    /// How far beyond what is consumed bytes have been looked at, and what was found there.
    scanned: usize,
    scan: Scan,
    header: Option<Arc<[String]>>,
}

/// What a framer must know to go on at the place up to which it has consumed. Stored with the source's offset.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FramerState {
    /// CSV: the names in the header line, once it was read.
    header: Option<Vec<String>>,
    /// Whether the place of a byte order mark is behind.
    started: bool,
    scan: Scan,
    /// A record over the limit whose end has not come yet.
    skipped: Option<Skipped>,
}

/// What a framer knows of the record that it is in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Scan {
    document: DocumentScan,
    cells: CellScan,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Skipped {
    length: u64,
    head: Vec<u8>,
}

/// What one call of [`Framer::cut`] found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cut {
    /// Bytes at the front that are done with: the caller gives the rest again, with more behind it.
    pub consumed: usize,
    /// The part of the consumed bytes that is complete records: a chunk's data.
    pub records: Range<usize>,
    /// Where each record ends, from the start of `records`. Empty for NDJSON: records end at `\n`.
    pub ends: Vec<u32>,
    /// Records over the limit whose end was not there when the limit was passed; they are not in `records`. (Those that
    /// were are, and the decoder refuses them.)
    pub oversize: Vec<Oversize>,
    /// Bytes that are no record, and not in `records`.
    pub errors: Vec<FrameError>,
}

/// A record over `max_event`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Oversize {
    /// Where it starts, in bytes from the start of the `bytes` of this call; negative if it began in an earlier call.
    pub start: i64,
    /// Bytes, without the line end.
    pub length: u64,
    /// The first 64 KiB.
    pub head: Vec<u8>,
}

/// Bytes that cannot be cut into records. Of a JSON document, the rest of it is lost.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{reason}")]
pub struct FrameError {
    /// Where it starts, in bytes from the start of the `bytes` of this call; negative if it began in an earlier call.
    pub start: i64,
    /// Bytes that were there.
    pub length: u64,
    /// The first 64 KiB of them.
    pub head: Vec<u8>,
    pub reason: String,
}

/// What is known of the place where the given bytes end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Unknown,
    /// Nothing comes behind.
    Input,
    /// A record ends here, or one that is skipped goes on.
    Cut,
}

/// What comes next in a stream.
enum Next {
    /// A record ends here.
    End(usize),
    /// Up to here there is nothing that belongs to a record.
    Nothing(usize),
    /// The bytes end before the record does.
    More,
    Error(&'static str),
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

impl FramerState {
    /// Behind a header that was read elsewhere.
    pub fn after_header(header: Vec<String>) -> Self {
        Self { header: Some(header), started: true, ..Self::default() }
    }

    /// Of the same file at another place, where a record begins; not for JSON documents.
    pub fn at_record(&self) -> Self {
        Self { header: self.header.clone(), started: true, ..Self::default() }
    }
}

impl Framer {
    pub fn new(format: &FileFormat, max_event: u64) -> Self {
        Self::resume(format, max_event, FramerState::default())
    }

    /// Goes on where a framer with this state stood.
    pub fn resume(format: &FileFormat, max_event: u64, state: FramerState) -> Self {
        let header = state.header.clone().map(Arc::from);
        let scan = state.scan;
        Self { format: format.clone(), max_event, state, scanned: 0, scan, header }
    }

    /// To be stored with the offset up to which everything is consumed.
    pub fn state(&self) -> &FramerState {
        &self.state
    }

    /// CSV with a header: its names, once they were read. Of the records of a [`Cut`], and all later ones.
    pub fn header(&self) -> Option<&Arc<[String]>> {
        self.header.as_ref()
    }

    /// At `end_of_input` the last record needs no line end. More may follow all the same, after a file has grown.
    pub fn cut(&mut self, bytes: &[u8], end_of_input: bool) -> Cut {
        self.cut_to(bytes, if end_of_input { End::Input } else { End::Unknown })
    }

    /// Bytes that end where an earlier [`Framer::cut`] had consumed up to, which did know what comes behind them.
    pub fn cut_again(&mut self, bytes: &[u8]) -> Cut {
        self.cut_to(bytes, End::Cut)
    }

    fn cut_to(&mut self, bytes: &[u8], end: End) -> Cut {
        let mut start = 0;
        if !self.state.started {
            if bytes.is_empty() || (end == End::Unknown && bytes.len() < 3 && BYTE_ORDER_MARK.starts_with(bytes)) {
                return Cut::default();
            }
            self.state.started = true;
            start = if bytes.starts_with(BYTE_ORDER_MARK) { 3 } else { 0 };
        }
        match self.format.clone() {
            FileFormat::Ndjson => self.cut_lines(bytes, start, end),
            FileFormat::Json => self.cut_records(bytes, start, end, None),
            FileFormat::Csv(options) => self.cut_records(bytes, start, end, Some(&options)),
        }
    }

    fn cut_lines(&mut self, bytes: &[u8], mut start: usize, last: End) -> Cut {
        let mut cut = Cut::default();
        if self.state.skipped.is_some() {
            match memchr::memchr(b'\n', bytes) {
                Some(end) => {
                    self.end_skipped(&bytes[..end], &mut cut);
                    start = end + 1;
                }
                None => return self.skip(bytes, 0, last, cut),
            }
        }
        let from = start.max(self.scanned.min(bytes.len()));
        let end = memchr::memrchr(b'\n', &bytes[from..]).map_or(start, |at| from + at + 1);
        cut.records = start..end;
        if (bytes.len() - end) as u64 > self.max_event {
            return self.skip(bytes, end, last, cut);
        }
        if last != End::Unknown {
            cut.records.end = bytes.len();
        }
        cut.consumed = cut.records.end;
        self.scanned = bytes.len() - cut.consumed;
        cut
    }

    /// `csv`: otherwise a JSON document.
    fn cut_records(&mut self, bytes: &[u8], start: usize, last: End, csv: Option<&CsvOptions>) -> Cut {
        let mut cut = Cut { records: start..start, ..Cut::default() };
        let (mut start, mut from) = (start, start.max(self.scanned.min(bytes.len())));
        loop {
            let next = match csv {
                Some(options) => self.scan.cells.next(bytes, from, options),
                None => self.scan.document.next(bytes, from, last),
            };
            match next {
                Next::End(end) => {
                    self.take_record(bytes, start..end, csv, &mut cut);
                    (start, from) = (end, end);
                }
                Next::Nothing(end) => {
                    if cut.ends.is_empty() {
                        cut.records = end..end;
                    }
                    (start, from) = (end, end);
                }
                Next::More => break,
                Next::Error(reason) => {
                    self.fail(&bytes[start..], start, reason, &mut cut);
                    start = bytes.len();
                    break;
                }
            }
            self.state.scan = self.scan;
        }
        if self.state.skipped.is_some() || (bytes.len() - start) as u64 > self.max_event {
            self.state.scan = self.scan;
            return self.skip(bytes, start, last, cut);
        }
        if last != End::Unknown && csv.is_some() && start < bytes.len() {
            self.take_record(bytes, start..bytes.len(), csv, &mut cut);
            start = bytes.len();
            self.scan.cells = CellScan::default();
        }
        if start == bytes.len() {
            self.state.scan = self.scan;
        }
        cut.consumed = start;
        self.scanned = bytes.len() - start;
        cut
    }

    fn take_record(&mut self, bytes: &[u8], range: Range<usize>, csv: Option<&CsvOptions>, cut: &mut Cut) {
        if self.state.skipped.is_some() {
            self.end_skipped(&bytes[range.clone()], cut);
            cut.records = range.end..range.end;
            return;
        }
        if let Some(options) = csv.filter(|options| options.header && self.header.is_none()) {
            cut.records = range.end..range.end;
            match cells::header(&bytes[range.clone()], options) {
                Ok(names) if names.is_empty() => {}
                Ok(names) => self.set_header(names),
                Err(reason) => {
                    self.fail(&bytes[range.clone()], range.start, &reason, cut);
                    self.set_header(Vec::new());
                }
            }
            return;
        }
        cut.ends.push((range.end - cut.records.start) as u32);
        cut.records.end = range.end;
    }

    fn set_header(&mut self, names: Vec<String>) {
        self.header = Some(Arc::from(names.clone()));
        self.state.header = Some(names);
    }

    fn fail(&mut self, bytes: &[u8], start: usize, reason: &str, cut: &mut Cut) {
        let skipped = self.state.skipped.take().unwrap_or_default();
        let start = start as i64 - skipped.length as i64;
        let skipped = skipped.with(bytes);
        cut.errors.push(FrameError { start, length: skipped.length, head: skipped.head, reason: reason.to_owned() });
    }

    /// Takes all bytes from `start` as part of a record over the limit.
    fn skip(&mut self, bytes: &[u8], start: usize, last: End, mut cut: Cut) -> Cut {
        if last == End::Input {
            self.end_skipped_from(&bytes[start..], start, &mut cut);
            self.scan.cells = CellScan::default();
            self.state.scan = self.scan;
        } else {
            self.state.skipped = Some(self.state.skipped.take().unwrap_or_default().with(&bytes[start..]));
        }
        cut.consumed = bytes.len();
        self.scanned = 0;
        cut
    }

    /// `bytes`: the rest of the record, from the start of this call's bytes.
    fn end_skipped(&mut self, bytes: &[u8], cut: &mut Cut) {
        self.end_skipped_from(bytes, 0, cut);
        self.scanned = 0;
    }

    fn end_skipped_from(&mut self, bytes: &[u8], start: usize, cut: &mut Cut) {
        let skipped = self.state.skipped.take().unwrap_or_default();
        let start = start as i64 - skipped.length as i64;
        let skipped = skipped.with(bytes);
        cut.oversize.push(Oversize { start, length: skipped.length, head: skipped.head });
    }
}

impl Skipped {
    fn with(mut self, bytes: &[u8]) -> Self {
        let room = OVERSIZE_HEAD.saturating_sub(self.head.len()).min(bytes.len());
        self.head.extend_from_slice(&bytes[..room]);
        self.length += bytes.len() as u64;
        self
    }
}
