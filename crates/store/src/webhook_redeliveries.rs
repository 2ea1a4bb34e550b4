//! Ranges of events that a caller wants sent again.

use coffer_domain::id::{ApiKeyId, RedeliveryId, WebhookId};

use crate::{Param, Row, Sealed, StoreError, Tx};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redelivery {
    pub id: RedeliveryId,
    pub webhook: WebhookId,
    /// Numbers of events, both included.
    pub first_seq: u64,
    pub last_seq: u64,
    pub subject: Option<String>,
    pub from_ms: Option<i64>,
    pub until_ms: Option<i64>,
    /// The last number looked at.
    pub looked_to: u64,
    pub created_by: ApiKeyId,
    pub created_at_ms: i64,
}

const COLUMNS: &str = "id, webhook_id, first_seq, last_seq, subject, from_at, until_at, looked_to, created_by, \
    created_at, seal";

fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn read(row: &Row) -> Result<Sealed<Redelivery>, StoreError> {
    let value = Redelivery {
        id: RedeliveryId::from_bytes(row.bytes(0)?),
        webhook: WebhookId::from_bytes(row.bytes(1)?),
        first_seq: row.u64(2)?,
        last_seq: row.u64(3)?,
        subject: row.opt_text(4)?,
        from_ms: row.opt_int(5)?,
        until_ms: row.opt_int(6)?,
        looked_to: row.u64(7)?,
        created_by: ApiKeyId::from_bytes(row.bytes(8)?),
        created_at_ms: row.int(9)?,
    };
    Ok(Sealed {
        value,
        seal: row.blob(10)?,
    })
}

pub async fn insert(tx: &mut Tx, sealed: &Sealed<Redelivery>) -> Result<(), StoreError> {
    let wanted = &sealed.value;
    tx.execute(
        format!(
            "INSERT INTO webhook_redeliveries ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
        ),
        &[
            Param::Blob(wanted.id.as_bytes()),
            Param::Blob(wanted.webhook.as_bytes()),
            Param::Int(int(wanted.first_seq)),
            Param::Int(int(wanted.last_seq)),
            Param::OptText(wanted.subject.as_deref()),
            Param::OptInt(wanted.from_ms),
            Param::OptInt(wanted.until_ms),
            Param::Int(int(wanted.looked_to)),
            Param::Blob(wanted.created_by.as_bytes()),
            Param::Int(wanted.created_at_ms),
            Param::Blob(&sealed.seal),
        ],
    )
    .await?;
    Ok(())
}

/// In the order in which they were asked for.
pub async fn of_webhook(
    tx: &mut Tx,
    webhook: WebhookId,
) -> Result<Vec<Sealed<Redelivery>>, StoreError> {
    let sql =
        format!("SELECT {COLUMNS} FROM webhook_redeliveries WHERE webhook_id = $1 ORDER BY id");
    let rows = tx.fetch(sql, &[Param::Blob(webhook.as_bytes())]).await?;
    rows.iter().map(read).collect()
}

pub async fn moved(tx: &mut Tx, sealed: &Sealed<Redelivery>) -> Result<(), StoreError> {
    tx.execute_one(
        "UPDATE webhook_redeliveries SET looked_to = $1, seal = $2 WHERE id = $3",
        &[
            Param::Int(int(sealed.value.looked_to)),
            Param::Blob(&sealed.seal),
            Param::Blob(sealed.value.id.as_bytes()),
        ],
        &sealed.value.id,
    )
    .await
}

pub async fn remove(tx: &mut Tx, id: RedeliveryId) -> Result<(), StoreError> {
    tx.execute(
        "DELETE FROM webhook_redeliveries WHERE id = $1",
        &[Param::Blob(id.as_bytes())],
    )
    .await?;
    Ok(())
}
