//! Reading a log from its first file to its tip, verifying every frame.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use arrow_buffer::Buffer;
use serde::de::DeserializeOwned;

use super::frame::{
    ALIGN, FILE_HEADER, FileHeader, Header, HeaderFault, PREFIX, Prefix, Sum, VERSION, checksum, padded,
};
use super::{LogFile, Place};
use crate::error::{OpenError, ReadError};

/// A verified frame.
pub struct Frame<B> {
    pub number: u64,
    pub body: B,
    pub sections: Vec<Place>,
    pub file: Arc<LogFile>,
    /// Where its prefix begins.
    pub offset: u64,
    pub end: u64,
    pub chain: Sum,
    /// The whole file, if it was read.
    bytes: Option<Buffer>,
}

impl<B> Frame<B> {
    /// A section's bytes, from what was read already if possible; `None` where the frame has no such section.
    pub fn section(&self, at: usize) -> Option<Result<Buffer, ReadError>> {
        let place = self.sections.get(at)?;
        Some(match &self.bytes {
            Some(bytes) => Ok(bytes.slice_with_length(place.offset as usize, place.len as usize)),
            None => place.read(),
        })
    }
}

/// Bytes that are searched at a time.
const SEARCHED: u64 = 1 << 20;

/// How much of each frame is verified while replaying.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Prefix, header and all sections.
    Whole,
    /// Prefix and header; sections are verified when they are read.
    Headers,
}

pub struct Scanner {
    bytes: Bytes,
    pub file: Arc<LogFile>,
    pub header: FileHeader,
    /// Bytes of the file on disk.
    pub length: u64,
    depth: Depth,
}

enum Bytes {
    Whole(Buffer),
    File(File),
}

impl Scanner {
    /// Reads the file's header. `Err(None)` where the file is too short or its header garbled.
    pub fn open(file: Arc<LogFile>, depth: Depth) -> Result<Self, OpenError> {
        let path = &file.path;
        let io = |source| OpenError::io("read", path, source);
        let handle = File::open(path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => damaged(path, 0, "the file is missing"),
            _ => OpenError::io("open", path, source),
        })?;
        let length = handle.metadata().map_err(io)?.len();
        let bytes = match depth {
            Depth::Whole => Bytes::Whole(Buffer::from_vec(std::fs::read(path).map_err(io)?)),
            Depth::Headers => Bytes::File(handle),
        };
        let mut scanner = Self {
            bytes,
            header: FileHeader { number: 0, first_frame: 0, previous_end: 0, chain: [0; 2] },
            length,
            depth,
            file: Arc::clone(&file),
        };
        let Some(bytes) = scanner.bytes(0, FILE_HEADER as u64)? else {
            return Err(damaged(path, length, "the file is cut short"));
        };
        scanner.header = FileHeader::decode(&bytes).map_err(|fault| match fault {
            HeaderFault::Garbled => damaged(path, 0, "its header is garbled"),
            HeaderFault::Version(found) => {
                OpenError::Newer { path: path.clone(), found, known: VERSION, program: "unknown".into() }
            }
        })?;
        if scanner.header.number != file.number {
            return Err(damaged(path, 16, &format!("it is file {} under another name", scanner.header.number)));
        }
        Ok(scanner)
    }

    /// Whether something behind `offset` looks like the beginning of a frame after `number`.
    pub fn has_frame_after(&self, offset: u64, number: u64) -> Result<bool, OpenError> {
        let mut at = offset;
        while let Some(block) =
            self.bytes(at, SEARCHED.min(self.length.saturating_sub(at)))?.filter(|block| !block.is_empty())
        {
            let prefixes = block.chunks_exact(PREFIX).filter_map(Prefix::decode);
            // Not much after: what was torn may hold any bytes.
            if prefixes.into_iter().any(|prefix| prefix.number > number && prefix.number - number < 1 << 32) {
                return Ok(true);
            }
            at += block.len() as u64;
        }
        Ok(false)
    }

    /// The frame at `offset`, which must follow frame `number - 1` with `chain`.
    pub fn frame<B: DeserializeOwned>(&self, offset: u64, number: u64, chain: Sum) -> Result<Frame<B>, OpenError> {
        let path = &self.file.path;
        let fault = |at: u64, what: &str| damaged(path, at, what);
        let short = || fault(self.length, "the file is cut short");
        let prefix = self.bytes(offset, PREFIX as u64)?.ok_or_else(short)?;
        let prefix = Prefix::decode(&prefix).ok_or_else(|| fault(offset, "there is no frame where one must begin"))?;
        let end = offset.checked_add(prefix.len()).filter(|end| *end <= self.length).ok_or_else(short)?;
        let header = self.bytes(offset + PREFIX as u64, u64::from(prefix.header))?.ok_or_else(short)?;
        if prefix.number != number {
            return Err(fault(offset, &format!("frame {} stands where frame {number} belongs", prefix.number)));
        }
        if prefix.link(chain, &header) != prefix.chain {
            return Err(fault(offset, "the frame's checksum does not fit"));
        }
        let header: Header<B> = serde_json::from_slice(&header)
            .map_err(|error| fault(offset, &format!("its header is unknown: {error}")))?;
        let mut at = end - prefix.payload;
        let mut sections = Vec::with_capacity(header.sections.len());
        for section in &header.sections {
            let place = Place { file: Arc::clone(&self.file), offset: at, len: section.len, sum: section.sum };
            let stored = padded(section.len);
            if self.depth == Depth::Whole {
                let bytes = self.bytes(at, stored)?.ok_or_else(short)?;
                if checksum(&bytes) != section.sum {
                    return Err(fault(at, "the checksum of a section does not fit"));
                }
            }
            sections.push(place);
            at += stored;
        }
        if at != end {
            return Err(fault(offset, "the frame's sections do not fill it"));
        }
        let bytes = match &self.bytes {
            Bytes::Whole(bytes) => Some(bytes.clone()),
            Bytes::File(_) => None,
        };
        Ok(Frame {
            bytes,
            number,
            body: header.body,
            sections,
            file: Arc::clone(&self.file),
            offset,
            end,
            chain: prefix.chain,
        })
    }

    /// `None` beyond the file's end.
    fn bytes(&self, offset: u64, len: u64) -> Result<Option<std::borrow::Cow<'_, [u8]>>, OpenError> {
        let Some(end) = offset.checked_add(len).filter(|end| *end <= self.length) else { return Ok(None) };
        match &self.bytes {
            Bytes::Whole(bytes) => Ok(bytes.get(offset as usize..end as usize).map(Into::into)),
            Bytes::File(file) => {
                let mut bytes = vec![0; len as usize];
                file.read_exact_at(&mut bytes, offset)
                    .map_err(|source| OpenError::io("read", &self.file.path, source))?;
                Ok(Some(bytes.into()))
            }
        }
    }
}

pub fn damaged(path: &Path, offset: u64, what: &str) -> OpenError {
    OpenError::Damaged { path: path.to_owned(), offset, what: what.to_owned() }
}

const _: () = assert!(FILE_HEADER.is_multiple_of(ALIGN) && PREFIX.is_multiple_of(ALIGN));
