//! The answers of group D of the fault catalogue (F-047 to F-056, F-059), and the codecs' properties.
//!
//! The JSON and CSV cases are our own, in the manner of JSONTestSuite, csv-spectrum and the big list of
//! naughty strings; their number may not fall.

mod bounds;
mod csv_files;
mod json_files;
mod json_syntax;
mod properties;
mod texts;

use std::io::{self, Read, Write};
use std::ops::ControlFlow;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

type Row = Result<RowRequest, RowFault>;

fn parse_with(
    reader: impl Read,
    gzip: bool,
    format: Format,
    limits: &Limits,
) -> (Result<Summary, UploadError>, Vec<Row>) {
    let mut rows = Vec::new();
    let summary = parse(reader, gzip, format, limits, &mut |number, row| {
        rows.push(row);
        assert_eq!(number as usize, rows.len(), "rows are numbered from 1");
        ControlFlow::Continue(())
    });
    (summary, rows)
}

fn rows_of(format: Format, text: impl AsRef<[u8]>) -> Vec<Row> {
    let text = text.as_ref();
    let (summary, rows) = parse_with(text, false, format, &Limits::default());
    let shown = String::from_utf8_lossy(&text[..text.len().min(200)]).into_owned();
    let summary = summary.unwrap_or_else(|error| panic!("{shown:?}: {error}"));
    assert_eq!(summary.rows as usize, rows.len(), "{shown:?}");
    // However the wire cuts the bytes, the answer is the same.
    let (again, same) = parse_with(Dripping::new(text), false, format, &Limits::default());
    assert_eq!(again.expect("good in one piece"), summary, "{shown:?}");
    assert_eq!(same, rows, "{shown:?}");
    rows
}

fn refusal(format: Format, text: impl AsRef<[u8]>) -> String {
    let text = text.as_ref();
    let (summary, _) = parse_with(text, false, format, &Limits::default());
    let error = summary.expect_err("the file is refused").to_string();
    let (again, _) = parse_with(Dripping::new(text), false, format, &Limits::default());
    assert_eq!(again.expect_err("also in pieces").to_string(), error);
    error
}

/// The id of a good row, or line, column and code of a fault.
type Brief<'a> = Result<&'a str, (u64, Option<&'a str>, &'a str)>;

fn brief(rows: &[Row]) -> Vec<Brief<'_>> {
    rows.iter()
        .map(|row| match row {
            Ok(row) => Ok(row.external_id.as_str()),
            Err(fault) => Err((fault.line, fault.column.as_deref(), fault.code)),
        })
        .collect()
}

fn ids(rows: &[Row]) -> Vec<&str> {
    rows.iter()
        .map(|row| row.as_ref().expect("a good row").external_id.as_str())
        .collect()
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).expect("memory takes all");
    encoder.finish().expect("memory takes all")
}

/// Hands out one byte at a time, and is interrupted before each.
struct Dripping<'a> {
    rest: &'a [u8],
    interrupted: bool,
}

impl<'a> Dripping<'a> {
    fn new(rest: &'a [u8]) -> Self {
        Self {
            rest,
            interrupted: false,
        }
    }
}

impl Read for Dripping<'_> {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        self.interrupted = !self.interrupted;
        if self.interrupted {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let space = &mut space[..1];
        self.rest.read(space)
    }
}

#[test]
fn formats_are_known_by_name_type_and_file_name() {
    assert_eq!(Format::from_name("ndjson"), Some(Format::Ndjson));
    assert_eq!(Format::from_name("CSV"), None);
    assert_eq!(
        Format::from_content_type("Text/CSV; charset=utf-8"),
        Some(Format::Csv)
    );
    assert_eq!(
        Format::from_content_type("application/x-ndjson"),
        Some(Format::Ndjson)
    );
    assert_eq!(
        Format::from_content_type("application/json"),
        Some(Format::Json)
    );
    assert_eq!(Format::from_content_type("application/xml"), None);
    assert_eq!(
        Format::from_file_name("Kunden.CSV.gz"),
        Some((Format::Csv, true))
    );
    assert_eq!(
        Format::from_file_name("a.b.jsonl"),
        Some((Format::Ndjson, false))
    );
    assert_eq!(Format::from_file_name("customers"), None);
}

#[test]
fn the_callback_can_stop_the_reading() {
    let mut seen = 0;
    let result = parse(
        &b"external_id\na\nb\nc\n"[..],
        false,
        Format::Csv,
        &Limits::default(),
        &mut |number, _| {
            seen = number;
            if number == 2 {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        },
    );
    assert!(matches!(result, Err(UploadError::Stopped)));
    assert_eq!(seen, 2);
}

/// F-059: a file keeps its hash under another name and in another wrapping.
#[test]
fn the_hash_is_that_of_the_unpacked_bytes() {
    let text = b"\xEF\xBB\xBFexternal_id\na\n";
    let plain = parse_with(&text[..], false, Format::Csv, &Limits::default()).0;
    let packed = parse_with(&gzipped(text)[..], true, Format::Csv, &Limits::default()).0;
    let plain = plain.expect("good");
    assert_eq!(plain, packed.expect("good"));
    assert_eq!(
        hex::encode(plain.content_sha256),
        hex::encode(<sha2::Sha256 as sha2::Digest>::digest(text))
    );
    let other = parse_with(&text[3..], false, Format::Csv, &Limits::default()).0;
    assert_ne!(plain.content_sha256, other.expect("good").content_sha256);
}
