//! A file's bytes as they were written, unpacked where its name says that it is packed.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

pub enum Input {
    Plain(File),
    Gzip(Box<MultiGzDecoder<BufReader<File>>>),
    Zstd(Box<zstd::Decoder<'static, BufReader<File>>>),
}

/// How many bytes are read from a packed file at once.
const BUFFER: usize = 256 * 1024;

impl Input {
    pub fn open(path: &Path) -> io::Result<Self> {
        Self::of(File::open(path)?, path)
    }

    /// A file that is open already, from its beginning.
    pub fn of(file: File, path: &Path) -> io::Result<Self> {
        let buffered = |file| BufReader::with_capacity(BUFFER, file);
        Ok(match path.extension().and_then(|e| e.to_str()) {
            Some("gz") => Self::Gzip(Box::new(MultiGzDecoder::new(buffered(file)))),
            Some("zst") => Self::Zstd(Box::new(zstd::Decoder::with_buffer(buffered(file))?)),
            _ => Self::Plain(file),
        })
    }

    pub fn is_packed(&self) -> bool {
        !matches!(self, Self::Plain(_))
    }

    /// Goes to an offset of the unpacked bytes, from the beginning.
    pub fn skip_to(&mut self, offset: u64) -> io::Result<()> {
        if let Self::Plain(file) = self {
            file.seek(SeekFrom::Start(offset))?;
            return Ok(());
        }
        let skipped = io::copy(&mut self.by_ref().take(offset), &mut io::sink())?;
        if skipped < offset {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "shorter than when it was read before"));
        }
        Ok(())
    }

    /// Appends up to `wanted` bytes and says how many. The standard library reads into memory that it need not fill with
    /// zeros first, but only from types of its own: so each of them by itself.
    pub fn append(&mut self, bytes: &mut Vec<u8>, wanted: u64) -> io::Result<usize> {
        match self {
            Self::Plain(file) => {
                let left = file.metadata()?.len().saturating_sub(file.stream_position()?);
                bytes.reserve(wanted.min(left) as usize);
                file.take(wanted).read_to_end(bytes)
            }
            packed => packed.take(wanted).read_to_end(bytes),
        }
    }
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(file) => file.read(buffer),
            Self::Gzip(decoder) => decoder.read(buffer),
            Self::Zstd(decoder) => decoder.read(buffer),
        }
    }
}
