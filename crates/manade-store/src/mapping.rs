//! Sections of log files as memory: the operating system keeps what is used and drops what is not.
#![expect(unsafe_code, reason = "a mapped file is memory that others could change; log files are ours alone")]

use std::fs::File;

use arrow_buffer::Buffer;
use bytes::Bytes;
use memmap2::MmapOptions;

use crate::error::ReadError;
use crate::log::Place;

/// The section, verified once. It stays readable after the file is deleted.
pub fn map(place: &Place) -> Result<Buffer, ReadError> {
    let path = &place.file.path;
    let io = |source| ReadError::Io { path: path.clone(), source };
    let file = File::open(path).map_err(io)?;
    let mut options = MmapOptions::new();
    options.offset(place.offset).len(place.stored() as usize);
    // SAFETY: bytes of a log file up to its tip are never written again or cut off while a store holds the data
    // folder's lock; nobody else may write there. Sections that are mapped are before the tip.
    let mapped = unsafe { options.map(&file) }.map_err(io)?;
    place.verify(&mapped)?;
    Ok(Buffer::from(Bytes::from_owner(mapped)).slice_with_length(0, place.len as usize))
}
