//! Counts, in results that only pass through, the rows that the server would not show because their
//! stored wallet was changed behind its back. Constant memory for CSV, one line for NDJSON.

use serde::Deserialize;

use crate::args::ResultsFormat;
use crate::error::Failure;

const REFUSED: &[u8] = b"refused";
/// Of `row,external_id,status,…`.
const STATUS_COLUMN: usize = 2;
/// No row is longer; one that is cannot be one of ours.
const LINE_LIMIT_BYTES: usize = 1 << 20;

pub(crate) enum RefusedRows {
    Csv(Csv),
    Ndjson(Ndjson),
}

/// RFC 4180, as far as telling fields apart takes it.
#[derive(Default)]
pub(crate) struct Csv {
    count: u64,
    column: usize,
    is_quoted: bool,
    status: Vec<u8>,
}

#[derive(Default)]
pub(crate) struct Ndjson {
    count: u64,
    line: Vec<u8>,
}

#[derive(Deserialize)]
struct Row<'a> {
    #[serde(borrow)]
    status: std::borrow::Cow<'a, str>,
}

impl RefusedRows {
    pub(crate) fn new(format: ResultsFormat) -> Self {
        match format {
            ResultsFormat::Csv => Self::Csv(Csv::default()),
            ResultsFormat::Ndjson => Self::Ndjson(Ndjson::default()),
        }
    }

    pub(crate) fn feed(&mut self, piece: &[u8]) {
        match self {
            Self::Csv(csv) => piece.iter().for_each(|byte| csv.take(*byte)),
            Self::Ndjson(ndjson) => ndjson.take(piece),
        }
    }

    pub(crate) fn count(&self) -> u64 {
        match self {
            Self::Csv(csv) => csv.count,
            Self::Ndjson(ndjson) => ndjson.count,
        }
    }
}

impl Csv {
    fn take(&mut self, byte: u8) {
        match byte {
            // A doubled quote closes and opens again, which comes to the same.
            b'"' => self.is_quoted = !self.is_quoted,
            b',' if !self.is_quoted => self.column += 1,
            b'\n' if !self.is_quoted => {
                self.count += u64::from(self.status == REFUSED);
                self.column = 0;
                self.status.clear();
            }
            _ if self.column == STATUS_COLUMN && self.status.len() <= REFUSED.len() => {
                self.status.push(byte);
            }
            _ => {}
        }
    }
}

impl Ndjson {
    fn take(&mut self, piece: &[u8]) {
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            if self.line.len() <= LINE_LIMIT_BYTES {
                self.line.extend_from_slice(part);
            }
            if part.ends_with(b"\n") {
                let row = serde_json::from_slice::<Row>(&self.line);
                let is_refused = row.is_ok_and(|row| row.status.as_bytes() == REFUSED);
                self.count += u64::from(is_refused);
                self.line.clear();
            }
        }
    }
}

/// Results with refused rows are written, and are no success.
pub(crate) fn no_success(refused: u64) -> Result<(), Failure> {
    if refused == 0 {
        return Ok(());
    }
    Err(Failure::integrity(
        format!("{refused} row(s) are marked refused: the seal of their wallet is broken"),
        "these wallets were changed behind the server's back: keep the database as it is, and run `coffer audit verify`",
    )
    .with("rows_refused", refused))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(format: ResultsFormat, text: &str, expected: u64) {
        for size in [1, 3, 7, text.len()] {
            let mut rows = RefusedRows::new(format);
            text.as_bytes()
                .chunks(size)
                .for_each(|piece| rows.feed(piece));
            assert_eq!(rows.count(), expected, "in pieces of {size}: {text}");
        }
    }

    #[test]
    fn csv_rows_are_counted_by_their_status_alone() {
        let header = "row,external_id,status,wallet_id,index,evm,error\n";
        let of = |rows: &str| format!("{header}{rows}");
        check(ResultsFormat::Csv, &of("1,a,created,wal_1,0,0x,\n"), 0);
        check(
            ResultsFormat::Csv,
            &of("1,a,refused,,,,x\n2,b,refused,,,,x\n"),
            2,
        );
        check(
            ResultsFormat::Csv,
            &of("1,\"a,\"\"b\"\"\n,refused,\",refused,,,,\r\n"),
            1,
        );
        check(ResultsFormat::Csv, &of("1,refused,created,,,,\n"), 0);
        check(
            ResultsFormat::Csv,
            &of("1,\"x\n2,b,refused,\n\",created,,,,refused\n"),
            0,
        );
        check(ResultsFormat::Csv, &of("1,a,refused too,,,,\n"), 0);
    }

    #[test]
    fn ndjson_rows_are_counted_by_their_status_alone() {
        let refused = "{\"row\":1,\"status\":\"refused\"}\n";
        check(ResultsFormat::Ndjson, &refused.repeat(3), 3);
        let other = "{\"row\":1,\"external_id\":\"\\\"status\\\":\\\"refused\\\"\",\"status\":\"created\"}\n";
        check(ResultsFormat::Ndjson, &format!("{other}{refused}"), 1);
    }

    #[test]
    fn refused_rows_are_an_integrity_violation() {
        assert!(no_success(0).is_ok());
        assert_eq!(no_success(1).expect_err("no success").exit_code(), 5);
    }
}
