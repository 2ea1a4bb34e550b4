//! The audit chain's records and heads, as bytes; what they mean and how they link is `platform`'s.

use coffer_domain::id::OrganizationId;

use crate::{Db, Param, Row, StoreError, Tx};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    pub organization: OrganizationId,
    pub seq: u64,
    pub at_ms: i64,
    pub actor: String,
    pub action: String,
    pub object: String,
    /// JSON, exactly as hashed.
    pub payload: String,
    pub prev_hash: [u8; 32],
    pub hash: [u8; 32],
    pub mac: [u8; 32],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    pub seq: u64,
    pub hash: [u8; 32],
    /// The number of the newest event.
    pub events: u64,
}

fn seq(value: i64) -> Result<u64, StoreError> {
    u64::try_from(value)
        .map_err(|_| StoreError::Corrupt(format!("the audit sequence number {value}")))
}

fn int(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}

/// The head of an organization's chain, locked until the transaction ends; `None` for an empty chain.
pub async fn lock_head(
    tx: &mut Tx,
    organization: OrganizationId,
) -> Result<Option<Head>, StoreError> {
    let lock = tx.engine().for_update();
    fetch_head(tx, organization, lock).await
}

/// The head as it is now, outside of a transaction.
pub async fn look_head(db: &Db, organization: OrganizationId) -> Result<Option<Head>, StoreError> {
    let params = [Param::Blob(organization.as_bytes())];
    let rows = db.look(HEAD, &params).await?;
    rows.first().map(read_head).transpose()
}

pub async fn head(tx: &mut Tx, organization: OrganizationId) -> Result<Option<Head>, StoreError> {
    fetch_head(tx, organization, "").await
}

const HEAD: &str = "SELECT seq, hash, event_seq FROM audit_heads WHERE organization_id = $1";

async fn fetch_head(
    tx: &mut Tx,
    organization: OrganizationId,
    lock: &str,
) -> Result<Option<Head>, StoreError> {
    let sql = format!("{HEAD}{lock}");
    let row = tx
        .fetch_optional(sql, &[Param::Blob(organization.as_bytes())])
        .await?;
    row.as_ref().map(read_head).transpose()
}

fn read_head(row: &Row) -> Result<Head, StoreError> {
    Ok(Head {
        seq: seq(row.int(0)?)?,
        hash: row.bytes(1)?,
        events: row.u64(2)?,
    })
}

/// Appends a record and moves the head to it; `events` is the newest event's number with it.
pub async fn append(tx: &mut Tx, record: &AuditRow, events: u64) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO audit_records (organization_id, seq, at, actor, action, object, payload, prev_hash, hash, mac) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        &[
            Param::Blob(record.organization.as_bytes()),
            Param::Int(int(record.seq)),
            Param::Int(record.at_ms),
            Param::Text(&record.actor),
            Param::Text(&record.action),
            Param::Text(&record.object),
            Param::Text(&record.payload),
            Param::Blob(&record.prev_hash),
            Param::Blob(&record.hash),
            Param::Blob(&record.mac),
        ],
    )
    .await?;
    tx.execute(
        "INSERT INTO audit_heads (organization_id, seq, hash, event_seq) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (organization_id) DO UPDATE SET seq = excluded.seq, hash = excluded.hash, event_seq = excluded.event_seq",
        &[
            Param::Blob(record.organization.as_bytes()),
            Param::Int(int(record.seq)),
            Param::Blob(&record.hash),
            Param::Int(int(events)),
        ],
    )
    .await?;
    tx.note_appended(record.clone());
    Ok(())
}

fn read(row: &Row) -> Result<AuditRow, StoreError> {
    Ok(AuditRow {
        organization: OrganizationId::from_bytes(row.bytes(0)?),
        seq: seq(row.int(1)?)?,
        at_ms: row.int(2)?,
        actor: row.text(3)?,
        action: row.text(4)?,
        object: row.text(5)?,
        payload: row.text(6)?,
        prev_hash: row.bytes(7)?,
        hash: row.bytes(8)?,
        mac: row.bytes(9)?,
    })
}

/// Records with a sequence number above `after`, in order.
pub async fn page(
    tx: &mut Tx,
    organization: OrganizationId,
    after: u64,
    limit: u32,
) -> Result<Vec<AuditRow>, StoreError> {
    let rows = tx
        .fetch(
            "SELECT organization_id, seq, at, actor, action, object, payload, prev_hash, hash, mac FROM audit_records \
             WHERE organization_id = $1 AND seq > $2 ORDER BY seq LIMIT $3",
            &[Param::Blob(organization.as_bytes()), Param::Int(int(after)), Param::Int(i64::from(limit))],
        )
        .await?;
    rows.iter().map(read).collect()
}
