//! A batch's rows in chunks: staged, leased with a fencing token, done.
//!
//! The rows themselves are in a table of their own (`chunk_rows`), since they are large and never change. Rows that are
//! gone read as none at all, which no seal covers.

use coffer_domain::id::BatchId;

use crate::{Param, StoreError, Tx, bulk};

/// A chunk as it is staged while the file arrives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StagedChunk {
    pub batch: BatchId,
    pub number: u32,
    /// Rows count from 1.
    pub first_row: u32,
    pub row_count: u32,
    pub rows_json: Vec<u8>,
    pub rows_seal: Vec<u8>,
}

/// A chunk in a worker's hands. `fence` must still be the row's when the work is committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeasedChunk {
    pub chunk: StagedChunk,
    pub attempts: u32,
    pub fence: i64,
}

/// A chunk for reading results: its rows, and its outcome once it is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadChunk {
    pub chunk: StagedChunk,
    pub outcome: Option<(String, Vec<u8>)>,
}

pub async fn stage(tx: &mut Tx, chunks: &[StagedChunk], now_ms: i64) -> Result<(), StoreError> {
    let columns = ["batch_id", "number", "rows_json", "rows_seal"];
    let rows = chunks.iter().map(|chunk| {
        vec![
            Param::Blob(chunk.batch.as_bytes()),
            Param::Int(i64::from(chunk.number)),
            Param::Blob(&chunk.rows_json),
            Param::Blob(&chunk.rows_seal),
        ]
    });
    bulk::insert(tx, "chunk_rows", &columns, rows).await?;
    let columns = [
        "batch_id",
        "number",
        "first_row",
        "row_count",
        "state",
        "attempts",
        "not_before",
        "lease_until",
        "fence",
        "staged_at",
    ];
    let rows = chunks.iter().map(|chunk| {
        vec![
            Param::Blob(chunk.batch.as_bytes()),
            Param::Int(i64::from(chunk.number)),
            Param::Int(i64::from(chunk.first_row)),
            Param::Int(i64::from(chunk.row_count)),
            Param::Text("ready"),
            Param::Int(0),
            Param::Int(0),
            Param::Int(0),
            Param::Int(0),
            Param::Int(now_ms),
        ]
    });
    bulk::insert(tx, "batch_chunks", &columns, rows).await?;
    Ok(())
}

/// How many chunks of an upload, or of a batch, are there.
pub async fn count(tx: &mut Tx, batch: BatchId) -> Result<u32, StoreError> {
    let row = tx
        .fetch_optional(
            "SELECT count(*) FROM batch_chunks WHERE batch_id = $1",
            &[Param::Blob(batch.as_bytes())],
        )
        .await?;
    row.map_or(Ok(0), |row| row.u32(0))
}

/// Removes the chunks of an upload that came to nothing.
pub async fn discard(tx: &mut Tx, batch: BatchId) -> Result<u64, StoreError> {
    let unwanted = "WHERE batch_id = $1 AND NOT EXISTS (SELECT 1 FROM batches WHERE id = $1)";
    let batch = [Param::Blob(batch.as_bytes())];
    tx.execute(format!("DELETE FROM chunk_rows {unwanted}"), &batch)
        .await?;
    tx.execute(format!("DELETE FROM batch_chunks {unwanted}"), &batch)
        .await
}

/// Removes staged chunks whose upload died: no batch, and nothing added since `staged_before_ms`.
pub async fn collect_orphans(tx: &mut Tx, staged_before_ms: i64) -> Result<u64, StoreError> {
    let orphans = "WHERE batch_id IN (SELECT c.batch_id FROM batch_chunks c \
         WHERE c.state = 'ready' AND NOT EXISTS (SELECT 1 FROM batches b WHERE b.id = c.batch_id) \
         GROUP BY c.batch_id HAVING max(c.staged_at) < $1)";
    let before = [Param::Int(staged_before_ms)];
    tx.execute(format!("DELETE FROM chunk_rows {orphans}"), &before)
        .await?;
    tx.execute(format!("DELETE FROM batch_chunks {orphans}"), &before)
        .await
}

/// Leases the next chunk that is due, of the oldest batch that runs.
pub async fn claim(
    tx: &mut Tx,
    owner: &[u8; 16],
    now_ms: i64,
    lease_until_ms: i64,
) -> Result<Option<LeasedChunk>, StoreError> {
    let sql = format!(
        "UPDATE batch_chunks SET state = 'leased', fence = fence + 1, attempts = attempts + 1, lease_owner = $1, \
         lease_until = $2 WHERE (batch_id, number) = (SELECT c.batch_id, c.number FROM batch_chunks c \
         JOIN batches b ON b.id = c.batch_id WHERE b.state IN ('accepted', 'running') AND c.state <> 'done' AND \
         ((c.state = 'ready' AND c.not_before <= $3) OR (c.state = 'leased' AND c.lease_until <= $3)) \
         ORDER BY c.batch_id, c.number LIMIT 1{}) \
         RETURNING batch_id, number, first_row, row_count, attempts, fence",
        tx.engine().skip_locked("c")
    );
    let params = [
        Param::Blob(owner),
        Param::Int(lease_until_ms),
        Param::Int(now_ms),
    ];
    let Some(row) = tx.fetch_optional(sql, &params).await? else {
        return Ok(None);
    };
    let rows = tx
        .fetch_optional(
            "SELECT rows_json, rows_seal FROM chunk_rows WHERE batch_id = $1 AND number = $2",
            &[Param::Blob(&row.bytes::<16>(0)?), Param::Int(row.int(1)?)],
        )
        .await?;
    let (rows_json, rows_seal) = match rows {
        Some(rows) => (rows.blob(0)?, rows.blob(1)?),
        None => Default::default(),
    };
    Ok(Some(LeasedChunk {
        chunk: StagedChunk {
            batch: BatchId::from_bytes(row.bytes(0)?),
            number: row.u32(1)?,
            first_row: row.u32(2)?,
            row_count: row.u32(3)?,
            rows_json,
            rows_seal,
        },
        attempts: row.u32(4)?,
        fence: row.int(5)?,
    }))
}

/// Locks the chunk if the lease with `fence` still holds; `false` when another worker has taken it over.
pub async fn lock_lease(
    tx: &mut Tx,
    batch: BatchId,
    number: u32,
    fence: i64,
) -> Result<bool, StoreError> {
    let sql = format!(
        "SELECT fence FROM batch_chunks WHERE batch_id = $1 AND number = $2 AND state = 'leased' AND fence = $3{}",
        tx.engine().for_update()
    );
    let params = [
        Param::Blob(batch.as_bytes()),
        Param::Int(i64::from(number)),
        Param::Int(fence),
    ];
    Ok(tx.fetch_optional(sql, &params).await?.is_some())
}

/// Ends a leased chunk with its outcome; the lease must have been locked in this transaction.
pub async fn finish(
    tx: &mut Tx,
    batch: BatchId,
    number: u32,
    outcome: (&str, &[u8]),
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE batch_chunks SET state = 'done', outcome = $1, outcome_seal = $2, last_error = NULL \
         WHERE batch_id = $3 AND number = $4",
        &[
            Param::Text(outcome.0),
            Param::Blob(outcome.1),
            Param::Blob(batch.as_bytes()),
            Param::Int(i64::from(number)),
        ],
    )
    .await?;
    Ok(())
}

/// Gives a leased chunk back, to be tried again from `not_before_ms` on. Without `counted` the attempt
/// does not bring the chunk nearer to its last one.
pub async fn give_back(
    tx: &mut Tx,
    leased: &LeasedChunk,
    retry: &Retry<'_>,
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE batch_chunks SET state = 'ready', not_before = $1, last_error = $2, attempts = $3 \
         WHERE batch_id = $4 AND number = $5 AND state = 'leased' AND fence = $6",
        &[
            Param::Int(retry.not_before_ms),
            Param::Text(retry.error),
            Param::Int(i64::from(retry.attempts)),
            Param::Blob(leased.chunk.batch.as_bytes()),
            Param::Int(i64::from(leased.chunk.number)),
            Param::Int(leased.fence),
        ],
    )
    .await?;
    Ok(())
}

/// When and with what count a chunk is tried again.
#[derive(Debug, Clone, Copy)]
pub struct Retry<'a> {
    pub not_before_ms: i64,
    pub attempts: u32,
    pub error: &'a str,
}

/// Voids the leases that an earlier run of this same instance left behind.
pub async fn release_leases(tx: &mut Tx, owner: &[u8; 16]) -> Result<u64, StoreError> {
    tx.execute(
        "UPDATE batch_chunks SET state = 'ready' WHERE state = 'leased' AND state <> 'done' AND lease_owner = $1",
        &[Param::Blob(owner)],
    )
    .await
}

pub async fn read(
    tx: &mut Tx,
    batch: BatchId,
    number: u32,
) -> Result<Option<ReadChunk>, StoreError> {
    let row = tx
        .fetch_optional(
            "SELECT c.first_row, c.row_count, r.rows_json, r.rows_seal, c.outcome, c.outcome_seal \
             FROM batch_chunks c LEFT JOIN chunk_rows r ON r.batch_id = c.batch_id AND r.number = c.number \
             WHERE c.batch_id = $1 AND c.number = $2",
            &[Param::Blob(batch.as_bytes()), Param::Int(i64::from(number))],
        )
        .await?;
    row.map(|row| {
        let outcome = match (row.opt_text(4)?, row.opt_blob(5)?) {
            (Some(text), Some(seal)) => Some((text, seal)),
            (None, None) => None,
            _ => {
                return Err(StoreError::Corrupt(
                    "a chunk's outcome without its seal".to_owned(),
                ));
            }
        };
        Ok(ReadChunk {
            chunk: StagedChunk {
                batch,
                number,
                first_row: row.u32(0)?,
                row_count: row.u32(1)?,
                rows_json: row.opt_blob(2)?.unwrap_or_default(),
                rows_seal: row.opt_blob(3)?.unwrap_or_default(),
            },
            outcome,
        })
    })
    .transpose()
}

/// Open chunks of live batches, and the time the oldest of them was staged.
pub async fn queue(tx: &mut Tx) -> Result<(i64, Option<i64>), StoreError> {
    let row = tx
        .fetch_optional(
            "SELECT count(*), min(c.staged_at) FROM batch_chunks c JOIN batches b ON b.id = c.batch_id \
             WHERE c.state <> 'done' AND b.state IN ('accepted', 'running')",
            &[],
        )
        .await?;
    row.map_or(Ok((0, None)), |row| Ok((row.int(0)?, row.opt_int(1)?)))
}
