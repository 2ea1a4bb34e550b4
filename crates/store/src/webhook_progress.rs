//! How far each webhook was told, under a lease: one process delivers a webhook at a time.

use coffer_domain::id::WebhookId;

use crate::{Param, Row, Sealed, StoreError, Tx};

/// The part that a seal covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgressRow {
    pub webhook: WebhookId,
    /// Every event up to this number is delivered, parked, not wanted, or open.
    pub told_to: u64,
    /// JSON, as sealed.
    pub open_events: String,
    pub failing_since_ms: Option<i64>,
    pub failures: u32,
    pub paused_until_ms: Option<i64>,
    pub last_success_at_ms: Option<i64>,
    pub last_error: Option<String>,
    /// Of the next row in the log of deliveries.
    pub next_number: u64,
    /// Grows with each change.
    pub moves: u64,
}

/// The right to deliver one webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    pub webhook: WebhookId,
    pub fence: i64,
}

const COLUMNS: &str = "webhook_id, told_to, open_events, failing_since, failures, paused_until, last_success_at, \
    last_error, next_number, moves, seal";

fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn read(row: &Row) -> Result<Sealed<ProgressRow>, StoreError> {
    let value = ProgressRow {
        webhook: WebhookId::from_bytes(row.bytes(0)?),
        told_to: row.u64(1)?,
        open_events: row.text(2)?,
        failing_since_ms: row.opt_int(3)?,
        failures: row.u32(4)?,
        paused_until_ms: row.opt_int(5)?,
        last_success_at_ms: row.opt_int(6)?,
        last_error: row.opt_text(7)?,
        next_number: row.u64(8)?,
        moves: row.u64(9)?,
    };
    Ok(Sealed {
        value,
        seal: row.blob(10)?,
    })
}

pub async fn insert(tx: &mut Tx, sealed: &Sealed<ProgressRow>) -> Result<(), StoreError> {
    let row = &sealed.value;
    tx.execute(
        format!(
            "INSERT INTO webhook_progress ({COLUMNS}, lease_until, fence) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 0, 0)"
        ),
        &[
            Param::Blob(row.webhook.as_bytes()),
            Param::Int(int(row.told_to)),
            Param::Text(&row.open_events),
            Param::OptInt(row.failing_since_ms),
            Param::Int(i64::from(row.failures)),
            Param::OptInt(row.paused_until_ms),
            Param::OptInt(row.last_success_at_ms),
            Param::OptText(row.last_error.as_deref()),
            Param::Int(int(row.next_number)),
            Param::Int(int(row.moves)),
            Param::Blob(&sealed.seal),
        ],
    )
    .await?;
    Ok(())
}

pub async fn by_id(tx: &mut Tx, id: WebhookId) -> Result<Option<Sealed<ProgressRow>>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM webhook_progress WHERE webhook_id = $1");
    let row = tx
        .fetch_optional(sql, &[Param::Blob(id.as_bytes())])
        .await?;
    row.as_ref().map(read).transpose()
}

/// Takes the lease of a webhook that nobody holds; `None` when somebody does, or there is no row.
pub async fn claim(
    tx: &mut Tx,
    id: WebhookId,
    owner: &[u8; 16],
    (now_ms, until_ms): (i64, i64),
) -> Result<Option<(Lease, Sealed<ProgressRow>)>, StoreError> {
    let sql = format!(
        "UPDATE webhook_progress SET lease_owner = $1, lease_until = $2, fence = fence + 1 \
         WHERE webhook_id = $3 AND lease_until <= $4 RETURNING {COLUMNS}, fence"
    );
    let row = tx
        .fetch_optional(
            sql,
            &[
                Param::Blob(owner),
                Param::Int(until_ms),
                Param::Blob(id.as_bytes()),
                Param::Int(now_ms),
            ],
        )
        .await?;
    row.map(|row| {
        let lease = Lease {
            webhook: id,
            fence: row.int(11)?,
        };
        Ok((lease, read(&row)?))
    })
    .transpose()
}

/// Takes the row from whoever holds its lease, and leaves it free; `None` when there is no row.
pub async fn take(
    tx: &mut Tx,
    id: WebhookId,
) -> Result<Option<(Lease, Sealed<ProgressRow>)>, StoreError> {
    // Every lease ends before the end of time.
    let (now, until) = (i64::MAX, 0);
    claim(tx, id, &[0; 16], (now, until)).await
}

/// Makes the lease last longer, and locks its row until the transaction ends; `false` when it was taken over.
pub async fn renew(tx: &mut Tx, lease: Lease, until_ms: i64) -> Result<bool, StoreError> {
    let changed = tx
        .execute(
            "UPDATE webhook_progress SET lease_until = $1 WHERE webhook_id = $2 AND fence = $3",
            &[
                Param::Int(until_ms),
                Param::Blob(lease.webhook.as_bytes()),
                Param::Int(lease.fence),
            ],
        )
        .await?;
    Ok(changed == 1)
}

/// Gives the lease back.
pub async fn release(tx: &mut Tx, lease: Lease) -> Result<(), StoreError> {
    renew(tx, lease, 0).await?;
    Ok(())
}

/// Stores a change; `false` when the row is not at the move before it, or the lease was taken over.
pub async fn update(
    tx: &mut Tx,
    sealed: &Sealed<ProgressRow>,
    fence: i64,
) -> Result<bool, StoreError> {
    let row = &sealed.value;
    let changed = tx
        .execute(
            "UPDATE webhook_progress SET told_to = $1, open_events = $2, failing_since = $3, failures = $4, \
             paused_until = $5, last_success_at = $6, last_error = $7, next_number = $8, moves = $9, seal = $10 \
             WHERE webhook_id = $11 AND fence = $12 AND moves = $13",
            &[
                Param::Int(int(row.told_to)),
                Param::Text(&row.open_events),
                Param::OptInt(row.failing_since_ms),
                Param::Int(i64::from(row.failures)),
                Param::OptInt(row.paused_until_ms),
                Param::OptInt(row.last_success_at_ms),
                Param::OptText(row.last_error.as_deref()),
                Param::Int(int(row.next_number)),
                Param::Int(int(row.moves)),
                Param::Blob(&sealed.seal),
                Param::Blob(row.webhook.as_bytes()),
                Param::Int(fence),
                Param::Int(int(row.moves.saturating_sub(1))),
            ],
        )
        .await?;
    Ok(changed == 1)
}

/// Removes what a deleted webhook leaves behind: whoever still delivers it has lost its lease with it.
pub async fn remove(tx: &mut Tx, id: WebhookId) -> Result<(), StoreError> {
    for table in [
        "webhook_progress",
        "webhook_redeliveries",
        "webhook_deliveries",
    ] {
        let sql = format!("DELETE FROM {table} WHERE webhook_id = $1");
        tx.execute(sql, &[Param::Blob(id.as_bytes())]).await?;
    }
    Ok(())
}
