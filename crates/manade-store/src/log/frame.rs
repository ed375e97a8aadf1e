//! The bytes of log files: file headers, frames, sections.

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

/// Everything in a file begins at a multiple of this, so that Arrow buffers can be used in place.
pub const ALIGN: usize = 64;
pub const FILE_HEADER: usize = 64;
pub const PREFIX: usize = 64;
/// The version of the layout in this module.
pub const VERSION: u32 = 1;
const FILE_MAGIC: &[u8; 8] = b"MANADE\r\n";
const FRAME_MAGIC: u32 = u32::from_le_bytes(*b"MNFR");

/// A 128-bit checksum, high half first.
pub type Sum = [u64; 2];

pub fn checksum(bytes: &[u8]) -> Sum {
    halves(xxh3_128(bytes))
}

fn halves(sum: u128) -> Sum {
    [(sum >> 64) as u64, sum as u64]
}

pub fn padded(len: u64) -> u64 {
    len.next_multiple_of(ALIGN as u64)
}

/// A payload section: `len` bytes, then zeros up to [`ALIGN`]; `sum` covers both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Section {
    pub len: u64,
    pub sum: Sum,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileHeader {
    pub number: u64,
    /// The number of the first frame in it.
    pub first_frame: u64,
    /// Where the file before ends.
    pub previous_end: u64,
    /// The chain of the last frame before.
    pub chain: Sum,
}

#[derive(Debug, PartialEq, Eq)]
pub enum HeaderFault {
    Garbled,
    Version(u32),
}

impl FileHeader {
    pub fn encode(&self) -> [u8; FILE_HEADER] {
        let mut bytes = [0; FILE_HEADER];
        bytes[..8].copy_from_slice(FILE_MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        let fields = [self.number, self.first_frame, self.previous_end, self.chain[0], self.chain[1]];
        for (at, field) in fields.iter().enumerate() {
            bytes[16 + at * 8..24 + at * 8].copy_from_slice(&field.to_le_bytes());
        }
        let sum = checksum(&bytes[..56])[1];
        bytes[56..].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, HeaderFault> {
        if bytes.len() < FILE_HEADER || &bytes[..8] != FILE_MAGIC || number(bytes, 56) != checksum(&bytes[..56])[1] {
            return Err(HeaderFault::Garbled);
        }
        let version = number(bytes, 8) as u32;
        if version != VERSION {
            return Err(HeaderFault::Version(version));
        }
        let [number, first_frame, previous_end, high, low] = [16, 24, 32, 40, 48].map(|at| number(bytes, at));
        Ok(Self { number, first_frame, previous_end, chain: [high, low] })
    }
}

/// The fixed part of a frame. On disk: magic u32, header length u32, frame number u64, payload length u64, zero u64,
/// chain 2 x u64, zero 2 x u64; little-endian. The header, JSON padded with spaces to [`ALIGN`], follows, then the
/// payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prefix {
    pub header: u32,
    pub number: u64,
    pub payload: u64,
    pub chain: Sum,
}

impl Prefix {
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let head = number(bytes, 0);
        let zeros = [24, 48, 56].map(|at| number(bytes, at));
        let prefix = Self {
            header: (head >> 32) as u32,
            number: number(bytes, 8),
            payload: number(bytes, 16),
            chain: [number(bytes, 32), number(bytes, 40)],
        };
        let aligned = prefix.header.is_multiple_of(ALIGN as u32) && prefix.payload.is_multiple_of(ALIGN as u64);
        (head as u32 == FRAME_MAGIC && zeros == [0; 3] && aligned).then_some(prefix)
    }

    pub fn len(&self) -> u64 {
        PREFIX as u64 + u64::from(self.header) + self.payload
    }

    fn encode(&self) -> [u8; PREFIX] {
        let mut bytes = [0; PREFIX];
        bytes[..4].copy_from_slice(&FRAME_MAGIC.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.header.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.number.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.payload.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.chain[0].to_le_bytes());
        bytes[40..48].copy_from_slice(&self.chain[1].to_le_bytes());
        bytes
    }

    /// The chain that this prefix and header give after the frame whose chain is `previous`.
    pub fn link(&self, previous: Sum, header: &[u8]) -> Sum {
        let mut hasher = Xxh3::new();
        for half in previous {
            hasher.update(&half.to_le_bytes());
        }
        let fixed = Self { chain: [0; 2], ..*self }.encode();
        hasher.update(&fixed);
        hasher.update(header);
        halves(hasher.digest128())
    }
}

#[derive(Serialize, Deserialize)]
pub struct Header<B> {
    pub sections: Vec<Section>,
    pub body: B,
}

/// A frame ready to be written; sections are borrowed.
pub struct Encoded<'a> {
    /// Prefix and header.
    pub head: Vec<u8>,
    pub payload: Vec<&'a [u8]>,
    pub sections: Vec<Section>,
    pub chain: Sum,
}

impl Encoded<'_> {
    pub fn len(&self) -> u64 {
        self.head.len() as u64 + self.sections.iter().map(|section| padded(section.len)).sum::<u64>()
    }
}

pub fn encode<'a, B: Serialize>(number: u64, previous: Sum, body: &B, payload: Vec<&'a [u8]>) -> Encoded<'a> {
    let sections: Vec<Section> =
        payload.iter().map(|bytes| Section { len: bytes.len() as u64, sum: section_sum(bytes) }).collect();
    let header = Header { sections, body };
    let mut json = serde_json::to_vec(&header).expect("headers are plain data with string keys");
    json.resize(json.len().next_multiple_of(ALIGN), b' ');
    let sections = header.sections;
    let payload_len = sections.iter().map(|section| padded(section.len)).sum();
    let mut prefix = Prefix { header: json.len() as u32, number, payload: payload_len, chain: [0; 2] };
    prefix.chain = prefix.link(previous, &json);
    let mut head = prefix.encode().to_vec();
    head.append(&mut json);
    Encoded { head, payload, sections, chain: prefix.chain }
}

/// The checksum of a section's bytes and their padding.
fn section_sum(bytes: &[u8]) -> Sum {
    let rest = bytes.len() % ALIGN;
    if rest == 0 {
        return checksum(bytes);
    }
    let mut hasher = Xxh3::new();
    hasher.update(bytes);
    hasher.update(&[0; ALIGN][rest..]);
    halves(hasher.digest128())
}

fn number(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}
