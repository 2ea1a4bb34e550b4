//! What can be wrong with a file, and with one row of it.

use std::io;

/// A fault of the whole file: nothing of it is accepted.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    #[error("line {line}, column {column}: {message}")]
    Malformed {
        line: u64,
        /// In bytes, from 1.
        column: u64,
        message: String,
    },
    #[error("the file is longer than {limit} bytes after decompression")]
    TooLarge { limit: u64 },
    #[error(
        "the row that starts in line {line} is longer than {limit} bytes; is a quote or bracket left open?"
    )]
    RowTooLong { line: u64, limit: usize },
    #[error("the file unpacks to more than {limit} times its size")]
    Bomb { limit: u64 },
    #[error("the file has more than {limit} rows; split it")]
    TooManyRows { limit: u32 },
    #[error("the header has {found} columns; at most {limit} are allowed")]
    TooManyColumns { found: usize, limit: usize },
    #[error("the file is {found}; send UTF-8 text")]
    UnsupportedEncoding { found: &'static str },
    #[error("the gzip data is damaged: {message}")]
    DamagedGzip { message: String },
    #[error("the header (line {line}) has no column {name:?}")]
    MissingColumn { line: u64, name: &'static str },
    #[error("line {line}: unknown column {name:?} in the header; known are {known}", known = KNOWN_COLUMNS.join(", "))]
    UnknownColumn { line: u64, name: String },
    #[error("line {line}: the header names column {name:?} twice")]
    DuplicateColumn { line: u64, name: String },
    #[error("the file has no rows")]
    Empty,
    #[error("the upload broke off: {0}")]
    Io(#[source] io::Error),
    #[error("reading was stopped")]
    Stopped,
}

pub(super) const KNOWN_COLUMNS: [&str; 4] = ["external_id", "label", "metadata", "chains"];

impl UploadError {
    /// Line and column, as far as the fault has them, for the answer's members of these names.
    #[must_use]
    pub fn position(&self) -> Option<(u64, Option<u64>)> {
        match self {
            Self::Malformed { line, column, .. } => Some((*line, Some(*column))),
            Self::RowTooLong { line, .. }
            | Self::MissingColumn { line, .. }
            | Self::UnknownColumn { line, .. }
            | Self::DuplicateColumn { line, .. } => Some((*line, None)),
            _ => None,
        }
    }
}

/// Why one row makes no wallet. The others of the file are not touched by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowFault {
    /// Where the row starts in the file, from 1.
    pub line: u64,
    pub column: Option<String>,
    pub code: &'static str,
    pub message: String,
    /// As sent, cut to 256 bytes; present when the row shows one.
    pub external_id: Option<String>,
}

/// A fault before it is known in which line and column it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Flaw {
    pub(super) code: &'static str,
    pub(super) message: String,
    /// Bytes into the text at hand.
    pub(super) offset: usize,
}

impl Flaw {
    pub(super) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self::at(0, code, message)
    }

    pub(super) fn at(offset: usize, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            offset,
        }
    }
}

/// A name from the file, shortened so that a message stays a message.
pub(super) fn shown(text: &str) -> String {
    clipped(text, 64)
}

pub(super) fn clipped(text: &str, max_bytes: usize) -> String {
    text[..text.floor_char_boundary(max_bytes)].to_owned()
}
