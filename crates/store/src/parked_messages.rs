//! Messages from brokers that could not be worked on, with the reason.

use coffer_domain::id::{OrganizationId, ParkedMessageId};

use crate::{Param, Row, Sealed, StoreError, Tx};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParkedMessage {
    pub id: ParkedMessageId,
    pub organization: OrganizationId,
    pub source: String,
    pub subject: String,
    /// Stable; that of a problem.
    pub code: String,
    pub reason: String,
    /// Its beginning.
    pub body: Vec<u8>,
    /// Of the whole body.
    pub body_sha256: [u8; 32],
    pub body_bytes: u64,
    /// How often it came.
    pub times: u64,
    pub first_at_ms: i64,
    pub last_at_ms: i64,
    pub version: u64,
}

const COLUMNS: &str = "id, organization_id, source, subject, code, reason, body, body_sha256, body_bytes, times, \
                       first_at, last_at, version, seal";

/// Locked until this transaction ends.
pub async fn lock(
    tx: &mut Tx,
    id: ParkedMessageId,
) -> Result<Option<Sealed<ParkedMessage>>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM parked_messages WHERE id = $1{}",
        tx.engine().for_update()
    );
    let row = tx
        .fetch_optional(sql, &[Param::Blob(id.as_bytes())])
        .await?;
    row.as_ref().map(read).transpose()
}

/// Up to `limit`, by id, behind `after`.
pub async fn page(
    tx: &mut Tx,
    organization: OrganizationId,
    source: Option<&str>,
    after: Option<ParkedMessageId>,
    limit: u32,
) -> Result<Vec<Sealed<ParkedMessage>>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM parked_messages WHERE organization_id = $1 AND id > $2 AND (source = $3 OR $4 = 1) \
         ORDER BY id LIMIT $5"
    );
    let from: &[u8] = after.as_ref().map_or(&[], |id| id.as_bytes());
    let rows = tx
        .fetch(
            sql,
            &[
                Param::Blob(organization.as_bytes()),
                Param::Blob(from),
                Param::Text(source.unwrap_or_default()),
                Param::Int(i64::from(source.is_none())),
                Param::Int(i64::from(limit)),
            ],
        )
        .await?;
    rows.iter().map(read).collect()
}

pub async fn count(
    tx: &mut Tx,
    organization: OrganizationId,
    source: &str,
) -> Result<u64, StoreError> {
    let sql = "SELECT COUNT(*) FROM parked_messages WHERE organization_id = $1 AND source = $2";
    let key = [Param::Blob(organization.as_bytes()), Param::Text(source)];
    let row = tx.fetch_optional(sql, &key).await?;
    row.map_or(Ok(0), |row| row.u64(0))
}

/// Stores it, in place of the same message parked before.
pub async fn put(tx: &mut Tx, sealed: &Sealed<ParkedMessage>) -> Result<(), StoreError> {
    let parked = &sealed.value;
    let int = |value: u64| {
        i64::try_from(value).map_err(|_| StoreError::Corrupt("a number beyond 2^63".to_owned()))
    };
    tx.execute(
        "DELETE FROM parked_messages WHERE id = $1",
        &[Param::Blob(parked.id.as_bytes())],
    )
    .await?;
    tx.execute(
        format!(
            "INSERT INTO parked_messages ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)"
        ),
        &[
            Param::Blob(parked.id.as_bytes()),
            Param::Blob(parked.organization.as_bytes()),
            Param::Text(&parked.source),
            Param::Text(&parked.subject),
            Param::Text(&parked.code),
            Param::Text(&parked.reason),
            Param::Blob(&parked.body),
            Param::Blob(&parked.body_sha256),
            Param::Int(int(parked.body_bytes)?),
            Param::Int(int(parked.times)?),
            Param::Int(parked.first_at_ms),
            Param::Int(parked.last_at_ms),
            Param::Int(int(parked.version)?),
            Param::Blob(&sealed.seal),
        ],
    )
    .await?;
    Ok(())
}

pub async fn remove(tx: &mut Tx, id: ParkedMessageId) -> Result<(), StoreError> {
    let sql = "DELETE FROM parked_messages WHERE id = $1";
    tx.execute(sql, &[Param::Blob(id.as_bytes())]).await?;
    Ok(())
}

fn read(row: &Row) -> Result<Sealed<ParkedMessage>, StoreError> {
    Ok(Sealed {
        value: ParkedMessage {
            id: ParkedMessageId::from_bytes(row.bytes(0)?),
            organization: OrganizationId::from_bytes(row.bytes(1)?),
            source: row.text(2)?,
            subject: row.text(3)?,
            code: row.text(4)?,
            reason: row.text(5)?,
            body: row.blob(6)?,
            body_sha256: row.bytes(7)?,
            body_bytes: row.u64(8)?,
            times: row.u64(9)?,
            first_at_ms: row.int(10)?,
            last_at_ms: row.int(11)?,
            version: row.u64(12)?,
        },
        seal: row.blob(13)?,
    })
}
