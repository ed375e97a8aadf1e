//! An open file: cuts what it holds into chunks of complete records and goes on where it stopped when it grows.

use std::fs::File;
use std::io;
use std::path::Path;

use arrow::buffer::Buffer;
use manade_events::{Chunk, Cut, Framer, FramerState};
use manade_model::FileFormat;

use super::discover::Print;
use super::file::record_format;
use super::input::Input;
use super::{BadInput, RecordFormat};

/// Bytes before damage that may have been unpacked wrongly: so many are held back until those behind them are unpacked.
const SUSPECT: usize = 64 * 1024;

/// What to do with a last line that has no new line yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Last {
    /// It is a record.
    Take,
    /// It is a record once it is a whole JSON object, as more can then only be a mistake.
    WhenWhole,
}

pub struct OpenFile {
    input: Input,
    framer: Framer,
    format: RecordFormat,
    /// Bytes that were read and are not cut yet; the first stands at `offset`.
    carry: Vec<u8>,
    offset: u64,
    tail: Print,
    /// What was met behind the bytes that were read.
    damage: Option<io::Error>,
}

/// Records of one file, in a row.
pub struct Piece {
    pub chunk: Chunk,
    pub format: RecordFormat,
    /// Of the chunk's first byte, unpacked.
    pub offset: u64,
    pub bad: Vec<BadInput>,
}

impl OpenFile {
    /// Opens a file at an offset where a record begins, with the framer's state there.
    pub fn open(
        file: File,
        path: &Path,
        format: &FileFormat,
        max_event: u64,
        offset: u64,
        state: FramerState,
    ) -> io::Result<Self> {
        let mut input = Input::of(file, path)?;
        input.skip_to(offset)?;
        let framer = Framer::resume(format, max_event, state);
        Ok(Self {
            input,
            framer,
            format: record_format(format),
            carry: Vec::new(),
            offset,
            tail: Print::default(),
            damage: None,
        })
    }

    /// Where the next record begins, in unpacked bytes.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    pub fn is_packed(&self) -> bool {
        self.input.is_packed()
    }

    /// The bytes before [`Self::offset`], to know the file again.
    pub fn tail(&self) -> Print {
        self.tail
    }

    /// What [`Self::open`] needs to go on here.
    pub fn state(&self) -> FramerState {
        self.framer.state().clone()
    }

    /// The next records, about so many bytes; `None` where there are none (yet).
    pub fn read(&mut self, last: Last, at_once: usize) -> io::Result<Option<Piece>> {
        let mut bytes = std::mem::take(&mut self.carry);
        loop {
            let wanted = at_once as u64;
            let end = self.fill(&mut bytes, wanted)? < wanted;
            let kept = if self.is_packed() && !end { SUSPECT } else { 0 };
            let sure = bytes.len().saturating_sub(kept);
            let cut = self.framer.cut(&bytes[..sure], end && last == Last::Take && self.damage.is_none());
            if cut.consumed > 0 {
                return Ok(Some(self.piece(bytes, cut)));
            }
            if end {
                let piece = self.last(bytes, last);
                return self.damage.take_if(|_| piece.is_none()).map_or(Ok(piece), Err);
            }
        }
    }

    /// The records up to `until`, where [`Self::read`] had stopped before; `None` where there are none.
    pub fn read_again(&mut self, until: u64) -> io::Result<Option<Piece>> {
        let mut bytes = Vec::new();
        let got = self.fill(&mut bytes, until.saturating_sub(self.offset))?;
        let cut = if self.offset + got == until {
            self.framer.cut_again(&bytes)
        } else {
            // The file is shorter than it was.
            self.framer.cut(&bytes, true)
        };
        Ok((cut.consumed > 0).then(|| self.piece(bytes, cut)))
    }

    /// Reads up to `wanted` bytes more. A packed file that ends in the middle may be still in writing; what stands before
    /// damage is read before that is told, unless it may be a part of it.
    fn fill(&mut self, bytes: &mut Vec<u8>, wanted: u64) -> io::Result<u64> {
        if let Some(damage) = self.damage.take() {
            return Err(damage);
        }
        match self.input.append(bytes, wanted) {
            Ok(got) => Ok(got as u64),
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof && self.input.is_packed() => Ok(0),
            Err(e) if self.input.is_packed() => {
                let suspect = if is_garbled(&e) { SUSPECT } else { 0 };
                bytes.truncate(bytes.len().saturating_sub(suspect));
                if bytes.is_empty() {
                    return Err(e);
                }
                self.damage = Some(e);
                Ok(0)
            }
            Err(e) => Err(e),
        }
    }

    fn last(&mut self, bytes: Vec<u8>, last: Last) -> Option<Piece> {
        let whole = last == Last::WhenWhole && self.format == RecordFormat::Lines && is_whole(&bytes);
        if !whole {
            self.carry = bytes;
            return None;
        }
        let cut = self.framer.cut(&bytes, true);
        Some(self.piece(bytes, cut))
    }

    fn piece(&mut self, mut bytes: Vec<u8>, cut: Cut) -> Piece {
        let offset = self.offset + cut.records.start as u64;
        self.carry = bytes.split_off(cut.consumed);
        self.offset += cut.consumed as u64;
        self.tail = Print::of_tail(&bytes, self.offset);
        let bad = bad_inputs(&cut);
        let data = Buffer::from_vec(bytes).slice_with_length(cut.records.start, cut.records.len());
        let header = self.framer.header().cloned();
        let chunk = Chunk { data, ends: cut.ends, arrival: manade_store::system_clock(), header, meta: None };
        Piece { chunk, format: self.format, offset, bad }
    }
}

/// Bits are wrong, which may have been unpacked to something for a while. What stands behind a whole member or frame says
/// nothing about the bytes before. Only their texts tell the errors apart.
fn is_garbled(error: &io::Error) -> bool {
    let text = error.to_string();
    !(text.contains("invalid gzip header") || text.contains("Unknown frame descriptor"))
}

fn is_whole(line: &[u8]) -> bool {
    let line = line.trim_ascii();
    line.starts_with(b"{") && serde_json::from_slice::<serde::de::IgnoredAny>(line).is_ok()
}

/// What a framer found to be no record, placed from the first of its records on.
pub fn bad_inputs(cut: &Cut) -> Vec<BadInput> {
    let first = cut.records.start as i64;
    let oversize = cut.oversize.iter().map(|o| BadInput {
        at: o.start - first,
        length: o.length,
        raw: o.head.clone(),
        reason: format!("the event has {} bytes, more than `maxEvent` allows", o.length),
    });
    let errors = cut.errors.iter().map(|e| BadInput {
        at: e.start - first,
        length: e.length,
        raw: e.head.clone(),
        reason: e.reason.clone(),
    });
    oversize.chain(errors).collect()
}
