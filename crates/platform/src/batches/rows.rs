//! The rows of one chunk, as they are staged: compact JSON, sealed.

use coffer_domain::address::AddressKinds;
use coffer_domain::external_id::ExternalId;
use coffer_domain::id::BatchId;
use coffer_store::chunks::StagedChunk;
use serde::{Deserialize, Serialize};

use super::parse::{RowFault, RowRequest};
use crate::Error;
use crate::seal::{SealKeys, refused};

/// Large enough that a commit's sync costs little per row, small enough that progress shows and a crash
/// repeats little.
pub(crate) const ROWS_PER_CHUNK: u32 = 1000;
/// Behind the first rows of a long file, where progress shows anyway: the random pages of the index of external
/// ids are written once per commit, so that a commit of more rows writes less for each.
const ROWS_PER_LATE_CHUNK: u32 = 8192;
const EARLY_ROWS: u32 = 16_000;
/// A chunk of long rows ends earlier.
pub(crate) const BYTES_PER_CHUNK: usize = 1 << 20;

/// One row of the file: a request, or why it is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Row {
    Good(GoodRow),
    Bad {
        external_id: Option<String>,
        error: String,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GoodRow {
    pub external_id: ExternalId,
    pub label: Option<String>,
    pub metadata: Option<String>,
    pub kinds: AddressKinds,
}

/// Short names, because there may be ten million of them.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredRow {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    e: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    l: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    m: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    k: Option<u8>,
    /// Only on a bad row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    x: Option<String>,
}

/// What the results file says of a fault: code, place, reason.
pub(crate) fn fault_text(fault: &RowFault) -> String {
    let column = fault
        .column
        .as_ref()
        .map(|column| format!(", column {column}"))
        .unwrap_or_default();
    format!(
        "{}: line {}{column}: {}",
        fault.code, fault.line, fault.message
    )
}

/// Collects rows into chunks.
pub(crate) struct ChunkBuilder {
    batch: BatchId,
    default_kinds: AddressKinds,
    number: u32,
    first_row: u32,
    count: u32,
    json: Vec<u8>,
    /// Every kind that a good row asked for.
    kinds: AddressKinds,
}

impl ChunkBuilder {
    pub(crate) fn new(batch: BatchId, default_kinds: AddressKinds) -> Self {
        Self {
            batch,
            default_kinds,
            number: 0,
            first_row: 1,
            count: 0,
            json: Vec::new(),
            kinds: AddressKinds::default(),
        }
    }

    pub(crate) fn kinds(&self) -> AddressKinds {
        self.kinds
    }

    pub(crate) fn chunks(&self) -> u32 {
        self.number
    }

    /// Adds the next row; answers a chunk when one is full.
    pub(crate) fn push(
        &mut self,
        seals: &SealKeys,
        row: Result<RowRequest, RowFault>,
    ) -> Option<StagedChunk> {
        let stored = match row {
            Ok(request) => {
                let kinds = request.kinds.unwrap_or(self.default_kinds);
                self.kinds = self.kinds.union(kinds);
                StoredRow {
                    e: Some(request.external_id.as_str().to_owned()),
                    l: request.label,
                    m: request.metadata,
                    k: Some(kinds.bits()),
                    x: None,
                }
            }
            Err(fault) => StoredRow {
                x: Some(fault_text(&fault)),
                e: fault.external_id,
                l: None,
                m: None,
                k: None,
            },
        };
        serde_json::to_writer(&mut self.json, &stored)
            .expect("strings and a number have a JSON form");
        self.json.push(b'\n');
        self.count += 1;
        let limit = if self.first_row <= EARLY_ROWS {
            ROWS_PER_CHUNK
        } else {
            ROWS_PER_LATE_CHUNK
        };
        let full = self.count >= limit || self.json.len() >= BYTES_PER_CHUNK;
        if full { self.finish(seals) } else { None }
    }

    /// The chunk begun, if it has rows.
    pub(crate) fn finish(&mut self, seals: &SealKeys) -> Option<StagedChunk> {
        if self.count == 0 {
            return None;
        }
        let mut chunk = StagedChunk {
            batch: self.batch,
            number: self.number,
            first_row: self.first_row,
            row_count: self.count,
            rows_json: std::mem::take(&mut self.json),
            rows_seal: Vec::new(),
        };
        chunk.rows_seal = seals.seal_of(&chunk).to_vec();
        self.number += 1;
        self.first_row += self.count;
        self.count = 0;
        Some(chunk)
    }
}

/// The rows of a stored chunk, if its seal verifies.
pub(crate) fn open(seals: &SealKeys, chunk: &StagedChunk) -> Result<Vec<Row>, Error> {
    let broken = || {
        refused(format!(
            "the rows of chunk {} of {}",
            chunk.number, chunk.batch
        ))
    };
    if !seals.verifies(chunk, &chunk.rows_seal) {
        return Err(broken());
    }
    let rows: Option<Vec<Row>> = chunk
        .rows_json
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(read)
        .collect();
    rows.filter(|rows| rows.len() == chunk.row_count as usize)
        .ok_or_else(broken)
}

fn read(line: &[u8]) -> Option<Row> {
    let stored: StoredRow = serde_json::from_slice(line).ok()?;
    if let Some(error) = stored.x {
        return Some(Row::Bad {
            external_id: stored.e,
            error,
        });
    }
    Some(Row::Good(GoodRow {
        external_id: ExternalId::try_new(&stored.e?).ok()?,
        label: stored.l,
        metadata: stored.m,
        kinds: AddressKinds::from_bits(i64::from(stored.k?))?,
    }))
}

#[cfg(test)]
mod tests {
    use coffer_signing::SealKey;

    use super::*;

    #[test]
    fn rows_come_back_from_their_chunk_and_an_edited_chunk_is_refused() {
        let seals = SealKeys::derive(&SealKey::from_bytes([1; 32]));
        let mut builder = ChunkBuilder::new(BatchId::from_bytes([2; 16]), AddressKinds::ALL);
        let good = RowRequest {
            external_id: ExternalId::try_new("客户 \"1\"").expect("valid"),
            label: Some("a\nb".into()),
            metadata: Some("{\"a\":1}".into()),
            kinds: None,
        };
        let fault = RowFault {
            line: 3,
            column: Some("external_id".into()),
            code: "empty",
            message: "is empty".into(),
            external_id: None,
        };
        assert_eq!(builder.push(&seals, Ok(good.clone())), None);
        assert_eq!(builder.push(&seals, Err(fault)), None);
        let mut chunk = builder.finish(&seals).expect("has rows");
        let rows = open(&seals, &chunk).expect("opens");
        assert!(
            matches!(&rows[0], Row::Good(row) if row.external_id == good.external_id && row.kinds == AddressKinds::ALL)
        );
        assert!(
            matches!(&rows[1], Row::Bad { error, .. } if error == "empty: line 3, column external_id: is empty")
        );
        chunk.first_row = 2;
        assert!(open(&seals, &chunk).is_err());
    }

    #[test]
    fn chunks_have_a_limit() {
        let seals = SealKeys::derive(&SealKey::from_bytes([1; 32]));
        let mut builder = ChunkBuilder::new(BatchId::from_bytes([2; 16]), AddressKinds::ALL);
        let row = |n: u32| RowRequest {
            external_id: ExternalId::try_new(&n.to_string()).expect("valid"),
            label: None,
            metadata: None,
            kinds: None,
        };
        let full: Vec<_> = (0..2500)
            .filter_map(|n| builder.push(&seals, Ok(row(n))))
            .collect();
        assert_eq!(
            full.iter()
                .map(|chunk| (chunk.first_row, chunk.row_count))
                .collect::<Vec<_>>(),
            [(1, 1000), (1001, 1000)]
        );
        assert_eq!(
            builder
                .finish(&seals)
                .map(|chunk| (chunk.first_row, chunk.row_count)),
            Some((2001, 500))
        );
        let late: Vec<_> = (2500..30_000)
            .filter_map(|n| builder.push(&seals, Ok(row(n))))
            .map(|chunk| (chunk.first_row, chunk.row_count))
            .collect();
        assert_eq!(late[13..], [(15_501, 1000), (16_501, 8192)]);
    }
}
