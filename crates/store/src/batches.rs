//! Batches.

use coffer_domain::address::AddressKinds;
use coffer_domain::batch::{Batch, BatchState};
use coffer_domain::id::{ApiKeyId, BatchId, OrganizationId, VaultId};

use crate::{Param, Row, Sealed, StoreError, Tx};

const COLUMNS: &str = "id, organization_id, vault_id, state, kinds, on_error, first_index, rows_total, rows_created, \
    rows_existing, rows_failed, chunks_total, chunks_done, content_sha256, created_by, created_at, started_at, \
    finished_at, version, seal";

/// A batch as the database holds it; the seal covers both parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchRow {
    pub batch: Batch,
    pub version: u32,
}

fn read(row: &Row) -> Result<Sealed<BatchRow>, StoreError> {
    let kinds = AddressKinds::from_bits(row.int(4)?)
        .ok_or_else(|| StoreError::Corrupt("an unknown set of address kinds".to_owned()))?;
    let batch = Batch {
        id: BatchId::from_bytes(row.bytes(0)?),
        organization: OrganizationId::from_bytes(row.bytes(1)?),
        vault: VaultId::from_bytes(row.bytes(2)?),
        state: row.parsed(3)?,
        kinds,
        on_error: row.parsed(5)?,
        first_index: row.u32(6)?,
        rows_total: row.u32(7)?,
        rows_created: row.u32(8)?,
        rows_existing: row.u32(9)?,
        rows_failed: row.u32(10)?,
        chunks_total: row.u32(11)?,
        chunks_done: row.u32(12)?,
        content_sha256: row.bytes(13)?,
        created_by: ApiKeyId::from_bytes(row.bytes(14)?),
        created_at_ms: row.int(15)?,
        started_at_ms: row.opt_int(16)?,
        finished_at_ms: row.opt_int(17)?,
    };
    let version = row.u32(18)?;
    Ok(Sealed {
        value: BatchRow { batch, version },
        seal: row.blob(19)?,
    })
}

pub async fn insert(tx: &mut Tx, sealed: &Sealed<BatchRow>) -> Result<(), StoreError> {
    let BatchRow { batch, version } = &sealed.value;
    tx.execute(
        format!("INSERT INTO batches ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)"),
        &[
            Param::Blob(batch.id.as_bytes()),
            Param::Blob(batch.organization.as_bytes()),
            Param::Blob(batch.vault.as_bytes()),
            Param::Text(batch.state.name()),
            Param::Int(i64::from(batch.kinds.bits())),
            Param::Text(batch.on_error.name()),
            Param::Int(i64::from(batch.first_index)),
            Param::Int(i64::from(batch.rows_total)),
            Param::Int(i64::from(batch.rows_created)),
            Param::Int(i64::from(batch.rows_existing)),
            Param::Int(i64::from(batch.rows_failed)),
            Param::Int(i64::from(batch.chunks_total)),
            Param::Int(i64::from(batch.chunks_done)),
            Param::Blob(&batch.content_sha256),
            Param::Blob(batch.created_by.as_bytes()),
            Param::Int(batch.created_at_ms),
            Param::OptInt(batch.started_at_ms),
            Param::OptInt(batch.finished_at_ms),
            Param::Int(i64::from(*version)),
            Param::Blob(&sealed.seal),
        ],
    )
    .await?;
    Ok(())
}

/// Stores state and progress, if the version is still `expected_version`.
pub async fn update_progress(
    tx: &mut Tx,
    sealed: &Sealed<BatchRow>,
    expected_version: u32,
) -> Result<(), StoreError> {
    let BatchRow { batch, version } = &sealed.value;
    tx.execute_one(
            "UPDATE batches SET state = $1, rows_created = $2, rows_existing = $3, rows_failed = $4, chunks_done = $5, \
             started_at = $6, finished_at = $7, version = $8, seal = $9 WHERE id = $10 AND version = $11",
            &[
                Param::Text(batch.state.name()),
                Param::Int(i64::from(batch.rows_created)),
                Param::Int(i64::from(batch.rows_existing)),
                Param::Int(i64::from(batch.rows_failed)),
                Param::Int(i64::from(batch.chunks_done)),
                Param::OptInt(batch.started_at_ms),
                Param::OptInt(batch.finished_at_ms),
                Param::Int(i64::from(*version)),
                Param::Blob(&sealed.seal),
                Param::Blob(batch.id.as_bytes()),
                Param::Int(i64::from(expected_version)),
            ],
            &batch.id,
    )
    .await
}

pub async fn by_id(tx: &mut Tx, id: BatchId) -> Result<Option<Sealed<BatchRow>>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM batches WHERE id = $1");
    tx.fetch_optional(sql, &[Param::Blob(id.as_bytes())])
        .await?
        .as_ref()
        .map(read)
        .transpose()
}

/// Like [`by_id`], and nobody else changes the batch until this transaction ends.
pub async fn lock(tx: &mut Tx, id: BatchId) -> Result<Option<Sealed<BatchRow>>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM batches WHERE id = $1{}",
        tx.engine().for_update()
    );
    tx.fetch_optional(sql, &[Param::Blob(id.as_bytes())])
        .await?
        .as_ref()
        .map(read)
        .transpose()
}

/// One page of an organization's batches, the newest first, older than `before`.
pub async fn page(
    tx: &mut Tx,
    organization: OrganizationId,
    state: Option<BatchState>,
    before: Option<BatchId>,
    limit: u32,
) -> Result<Vec<Sealed<BatchRow>>, StoreError> {
    let before = before.map_or([0xff; 16], |id| *id.as_bytes());
    let mut sql =
        format!("SELECT {COLUMNS} FROM batches WHERE organization_id = $1 AND id < $2 AND $3 > 0");
    let mut params = vec![
        Param::Blob(organization.as_bytes()),
        Param::Blob(&before),
        Param::Int(i64::from(limit)),
    ];
    if let Some(state) = state {
        params.push(Param::Text(state.name()));
        sql.push_str(" AND state = $4");
    }
    sql.push_str(" ORDER BY id DESC LIMIT $3");
    tx.fetch(sql, &params).await?.iter().map(read).collect()
}
