//! Bodies that are sent packed.

use std::io::{self, Read};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    Gzip,
    Zstd,
}

#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    #[error("it cannot be unpacked")]
    Damaged(#[source] io::Error),
    #[error("unpacked it has more than {limit} bytes")]
    TooLarge { limit: u64 },
}

impl Packing {
    /// By the name of a content encoding; `None` for one that is not known.
    pub fn named(name: &str) -> Option<Self> {
        match name.trim().to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => Some(Self::Gzip),
            "zstd" => Some(Self::Zstd),
            _ => None,
        }
    }
}

/// Blocks; `limit`: bytes of the result.
pub fn unpack(bytes: &[u8], packing: Packing, limit: u64) -> Result<Vec<u8>, UnpackError> {
    let mut unpacked = Vec::new();
    let read = match packing {
        Packing::Gzip => flate2::read::MultiGzDecoder::new(bytes).take(limit + 1).read_to_end(&mut unpacked),
        Packing::Zstd => zstd::stream::read::Decoder::with_buffer(bytes)
            .and_then(|decoder| decoder.take(limit + 1).read_to_end(&mut unpacked)),
    };
    match read {
        Err(error) => Err(UnpackError::Damaged(error)),
        Ok(_) if unpacked.len() as u64 > limit => Err(UnpackError::TooLarge { limit }),
        Ok(_) => Ok(unpacked),
    }
}
