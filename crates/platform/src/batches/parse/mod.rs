//! Reads an uploaded customers' file, row by row, in bounded memory.
//!
//! [`parse`] takes CSV, NDJSON or JSON, plain or gzip, and hands each data row to a callback as a
//! [`RowRequest`] or a [`RowFault`]. A fault of one row leaves the other rows good; a fault of the
//! whole file is an [`UploadError`], after which nothing that the callback saw may be kept.
//!
//! Rules that a caller can rely on:
//! - Text is UTF-8; a byte order mark is skipped; UTF-16/32, zip and undeclared gzip are refused.
//! - CSV: the header line decides between `,`, `;` and TAB; lines end in LF, CRLF or CR; `external_id`
//!   is required; `label`, `metadata`, `chains` are optional; any other column refuses the file.
//!   A quote left open refuses the file, since rows may be missing from it.
//! - NDJSON: a bad line is a row fault. JSON: a syntax error, or nesting beyond 32, refuses the file,
//!   because what follows it cannot be trusted; an element of the wrong shape is a row fault.
//! - Keys that occur twice and fields nobody knows are row faults, never "the last one wins".
//! - `metadata` becomes canonical: no spaces, keys sorted by UTF-16 units and strings escaped as
//!   in RFC 8785, but numbers exactly as sent (within i64, u64 or a finite f64).
//! - An `external_id` repeated in the file is a fault that names its first good row.
//! - The same bytes give the same answer, however the reader cuts them into pieces.
//!
//! Lines and columns count from 1; columns count bytes. Blank lines are no rows.
//!
//! Cost: one pass; up to 24 bytes for each row (to find repeated ids), plus one row and one 64 KiB block.
//! It does no SQL, no async, and does not know which ids already exist in the database.

mod csv;
mod error;
mod json;
mod row;
mod seen;
mod source;
mod value;

#[cfg(test)]
mod tests;

use std::io::Read;
use std::ops::ControlFlow;

use coffer_domain::address::AddressKinds;
use coffer_domain::external_id::ExternalId;

pub use error::{RowFault, UploadError};

use row::Rows;
use source::Source;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    Csv,
    Ndjson,
    Json,
}

impl Format {
    pub const ALL: [Self; 3] = [Self::Csv, Self::Ndjson, Self::Json];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Ndjson => "ndjson",
            Self::Json => "json",
        }
    }

    /// `csv`, `ndjson` or `json`, as in `?format=` and `--format`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }

    /// From a `Content-Type` header. Parameters are ignored: the text itself shows whether it is UTF-8.
    #[must_use]
    pub fn from_content_type(value: &str) -> Option<Self> {
        let essence = value.split(';').next().unwrap_or_default().trim();
        match essence.to_ascii_lowercase().as_str() {
            "text/csv" | "application/csv" | "text/tab-separated-values" => Some(Self::Csv),
            "application/x-ndjson" | "application/ndjson" | "application/jsonl" => {
                Some(Self::Ndjson)
            }
            "application/json" => Some(Self::Json),
            _ => None,
        }
    }

    /// From a file's name; the second value says whether it ends in `.gz`.
    #[must_use]
    pub fn from_file_name(name: &str) -> Option<(Self, bool)> {
        let name = name.to_ascii_lowercase();
        let (name, gzip) = match name.strip_suffix(".gz") {
            Some(inner) => (inner, true),
            None => (name.as_str(), false),
        };
        let format = match name.rsplit_once('.')?.1 {
            "csv" | "tsv" => Self::Csv,
            "ndjson" | "jsonl" => Self::Ndjson,
            "json" => Self::Json,
            _ => return None,
        };
        Some((format, gzip))
    }
}

/// What one upload may cost. Each limit refuses the whole file, those of a single field its row.
#[derive(Debug, Clone)]
pub struct Limits {
    /// After decompression.
    pub max_bytes: u64,
    /// Decompressed over compressed bytes, looked at once more than 1 MiB came out.
    pub max_ratio: u64,
    pub max_row_bytes: usize,
    pub max_rows: u32,
    pub max_columns: usize,
    pub max_label_bytes: usize,
    /// Of the canonical text.
    pub max_metadata_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_bytes: 2 << 30,
            max_ratio: 200,
            max_row_bytes: 1 << 20,
            max_rows: 10_000_000,
            max_columns: 64,
            max_label_bytes: 1024,
            max_metadata_bytes: 16 << 10,
        }
    }
}

/// One good row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowRequest {
    pub external_id: ExternalId,
    pub label: Option<String>,
    /// Canonical JSON text of an object.
    pub metadata: Option<String>,
    /// `None`: the batch's own kinds.
    pub kinds: Option<AddressKinds>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Good and faulty.
    pub rows: u32,
    pub faults: u32,
    /// SHA-256 over the bytes after decompression, so that a file keeps its hash however it was packed.
    pub content_sha256: [u8; 32],
}

/// Called with the row's number (from 1) and what it holds. `Break` ends the reading with
/// [`UploadError::Stopped`].
pub type OnRow<'a> = &'a mut dyn FnMut(u32, Result<RowRequest, RowFault>) -> ControlFlow<()>;

/// Reads the whole upload. Rows arrive in the file's order, before it is known whether the file as a
/// whole is good: on an error the caller drops what it has received.
pub fn parse(
    reader: impl Read,
    gzip: bool,
    format: Format,
    limits: &Limits,
    on_row: OnRow<'_>,
) -> Result<Summary, UploadError> {
    let mut source = Source::open(reader, gzip, limits)?;
    let mut rows = Rows::new(limits, on_row);
    match format {
        Format::Csv => csv::read(&mut source, &mut rows)?,
        Format::Ndjson => json::read_lines(&mut source, &mut rows)?,
        Format::Json => json::read_document(&mut source, &mut rows)?,
    }
    if rows.count() == 0 {
        return Err(UploadError::Empty);
    }
    Ok(Summary {
        rows: rows.count(),
        faults: rows.faults(),
        content_sha256: source.digest(),
    })
}
