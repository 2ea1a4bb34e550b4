//! The decoded bytes of an upload: unpacked, counted, hashed, checked for their encoding.

use std::io::{self, ErrorKind, Read};

use flate2::read::MultiGzDecoder;
use sha2::{Digest, Sha256};

use super::Limits;
use super::error::UploadError;

const BLOCK_BYTES: usize = 64 << 10;
/// A small file may well be made of one letter; the ratio says nothing before this much came out.
const RATIO_FROM_BYTES: u64 = 1 << 20;

pub(super) struct Source<R: Read> {
    input: Input<R>,
    block: Vec<u8>,
    start: usize,
    end: usize,
    digest: Sha256,
    decoded_bytes: u64,
    max_bytes: u64,
    max_ratio: u64,
}

impl<R: Read> Source<R> {
    /// Reads the first bytes, refuses what is not UTF-8 text, and skips a byte order mark.
    pub(super) fn open(reader: R, gzip: bool, limits: &Limits) -> Result<Self, UploadError> {
        let counted = Counted {
            reader,
            bytes: 0,
            failed: false,
        };
        let mut source = Self {
            input: if gzip {
                Input::Gzip(Box::new(MultiGzDecoder::new(counted)))
            } else {
                Input::Plain(counted)
            },
            block: vec![0; BLOCK_BYTES],
            start: 0,
            end: 0,
            digest: Sha256::new(),
            decoded_bytes: 0,
            max_bytes: limits.max_bytes,
            max_ratio: limits.max_ratio,
        };
        while source.unread().len() < 4 && source.extend()? {}
        if let Some(found) = foreign_encoding(source.unread()) {
            return Err(UploadError::UnsupportedEncoding { found });
        }
        if source.unread().starts_with(b"\xEF\xBB\xBF") {
            source.consume(3);
        }
        Ok(source)
    }

    pub(super) fn unread(&self) -> &[u8] {
        &self.block[self.start..self.end]
    }

    pub(super) fn consume(&mut self, count: usize) {
        self.start += count;
    }

    /// The unread bytes, read anew when there are none; empty at the end of the file.
    pub(super) fn chunk(&mut self) -> Result<&[u8], UploadError> {
        if self.start == self.end {
            self.extend()?;
        }
        Ok(self.unread())
    }

    /// Reads more behind the unread bytes. `false` at the end of the file.
    pub(super) fn extend(&mut self) -> Result<bool, UploadError> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
        if self.end == self.block.len() {
            if self.start == 0 {
                self.block.resize(2 * self.end, 0);
            } else {
                self.block.copy_within(self.start..self.end, 0);
                (self.start, self.end) = (0, self.end - self.start);
            }
        }
        let read = self.read_block()?;
        self.digest.update(&self.block[self.end..self.end + read]);
        self.end += read;
        self.decoded_bytes += read as u64;
        if self.decoded_bytes > self.max_bytes {
            return Err(UploadError::TooLarge {
                limit: self.max_bytes,
            });
        }
        let Input::Gzip(decoder) = &self.input else {
            return Ok(read > 0);
        };
        let allowed = decoder.get_ref().bytes.saturating_mul(self.max_ratio);
        if self.decoded_bytes > RATIO_FROM_BYTES.max(allowed) {
            return Err(UploadError::Bomb {
                limit: self.max_ratio,
            });
        }
        Ok(read > 0)
    }

    fn read_block(&mut self) -> Result<usize, UploadError> {
        let space = &mut self.block[self.end..];
        loop {
            let error = match self.input.read(space) {
                Ok(read) => return Ok(read),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => error,
            };
            return Err(match &self.input {
                Input::Gzip(decoder)
                    if !decoder.get_ref().failed && error.kind() != ErrorKind::UnexpectedEof =>
                {
                    UploadError::DamagedGzip {
                        message: error.to_string(),
                    }
                }
                _ => UploadError::Io(error),
            });
        }
    }

    pub(super) fn digest(self) -> [u8; 32] {
        self.digest.finalize().into()
    }
}

enum Input<R: Read> {
    Plain(Counted<R>),
    /// Several members in a row are one file, as in gzip(1); anything else behind a member is damage.
    Gzip(Box<MultiGzDecoder<Counted<R>>>),
}

impl<R: Read> Read for Input<R> {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(reader) => reader.read(space),
            Self::Gzip(decoder) => decoder.read(space),
        }
    }
}

/// Counts what came over the wire, and remembers whether an error was the wire's or the decoder's.
struct Counted<R> {
    reader: R,
    bytes: u64,
    failed: bool,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        match self.reader.read(space) {
            Ok(read) => {
                self.bytes += read as u64;
                Ok(read)
            }
            Err(error) => {
                self.failed |= error.kind() != ErrorKind::Interrupted;
                Err(error)
            }
        }
    }
}

fn foreign_encoding(first: &[u8]) -> Option<&'static str> {
    match first {
        [0xFF, 0xFE, 0, 0, ..] | [0, 0, 0xFE, 0xFF, ..] => Some("UTF-32"),
        [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] => Some("UTF-16"),
        // No text in ASCII or UTF-8 has a NUL among its first two characters; wide encodings do.
        [0, ..] | [_, 0, ..] => Some("UTF-16 or UTF-32 without a mark, or binary"),
        [0x1F, 0x8B, ..] => {
            Some("gzip data that was not announced as such (Content-Encoding: gzip)")
        }
        [b'P', b'K', 3, 4, ..] => Some("a zip archive or a spreadsheet workbook"),
        _ => None,
    }
}
