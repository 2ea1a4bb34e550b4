//! The log of deliveries: one row for each attempt. It tells, and decides nothing, so its rows carry no seal.

use coffer_domain::id::WebhookId;
use coffer_domain::webhook::DeliveryResult;

use crate::{Param, Row, StoreError, Tx, bulk};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryRow {
    pub number: u64,
    pub event_seq: u64,
    pub event_id: String,
    pub event_type: String,
    pub subject: String,
    /// From 1.
    pub attempt: u32,
    pub result: DeliveryResult,
    pub status: Option<u16>,
    pub latency_ms: u64,
    pub error: Option<String>,
    pub excerpt: Option<String>,
    pub at_ms: i64,
}

#[derive(Debug, Clone, Default)]
pub struct Filter {
    pub result: Option<DeliveryResult>,
    pub event_seq: Option<u64>,
    pub subject: Option<String>,
}

const COLUMNS: [&str; 13] = [
    "webhook_id",
    "number",
    "event_seq",
    "event_id",
    "event_type",
    "subject",
    "attempt",
    "result",
    "status",
    "latency_ms",
    "error",
    "excerpt",
    "at",
];

fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn read(row: &Row) -> Result<DeliveryRow, StoreError> {
    let status = row.opt_int(8)?.map(u16::try_from).transpose();
    Ok(DeliveryRow {
        number: row.u64(1)?,
        event_seq: row.u64(2)?,
        event_id: row.text(3)?,
        event_type: row.text(4)?,
        subject: row.text(5)?,
        attempt: row.u32(6)?,
        result: row.parsed(7)?,
        status: status.map_err(|_| StoreError::Corrupt("a status of no HTTP answer".to_owned()))?,
        latency_ms: row.u64(9)?,
        error: row.opt_text(10)?,
        excerpt: row.opt_text(11)?,
        at_ms: row.int(12)?,
    })
}

pub async fn insert(
    tx: &mut Tx,
    webhook: WebhookId,
    rows: &[DeliveryRow],
) -> Result<(), StoreError> {
    let rows = rows.iter().map(|row| {
        vec![
            Param::Blob(webhook.as_bytes()),
            Param::Int(int(row.number)),
            Param::Int(int(row.event_seq)),
            Param::Text(&row.event_id),
            Param::Text(&row.event_type),
            Param::Text(&row.subject),
            Param::Int(i64::from(row.attempt)),
            Param::Text(row.result.name()),
            Param::OptInt(row.status.map(i64::from)),
            Param::Int(int(row.latency_ms)),
            Param::OptText(row.error.as_deref()),
            Param::OptText(row.excerpt.as_deref()),
            Param::Int(row.at_ms),
        ]
    });
    bulk::insert(tx, "webhook_deliveries", &COLUMNS, rows).await?;
    Ok(())
}

/// The latest first, below `before`.
pub async fn page(
    tx: &mut Tx,
    webhook: WebhookId,
    filter: &Filter,
    before: Option<u64>,
    limit: u32,
) -> Result<Vec<DeliveryRow>, StoreError> {
    let before = int(before.unwrap_or(u64::MAX));
    let mut params = vec![Param::Blob(webhook.as_bytes()), Param::Int(before)];
    let mut conditions = String::new();
    let mut add = |condition: &str, param| {
        params.push(param);
        conditions += &format!(" AND {condition} = ${}", params.len());
    };
    if let Some(result) = filter.result {
        add("result", Param::Text(result.name()));
    }
    if let Some(seq) = filter.event_seq {
        add("event_seq", Param::Int(int(seq)));
    }
    if let Some(subject) = &filter.subject {
        add("subject", Param::Text(subject));
    }
    params.push(Param::Int(i64::from(limit)));
    // Said in so many words, so that the index of these rows serves.
    let undelivered = match filter.result {
        Some(DeliveryResult::Failed | DeliveryResult::Parked) => " AND result <> 'delivered'",
        _ => "",
    };
    let sql = format!(
        "SELECT {} FROM webhook_deliveries WHERE webhook_id = $1 AND number < $2{conditions}{undelivered} \
         ORDER BY number DESC LIMIT ${}",
        COLUMNS.join(", "),
        params.len()
    );
    let rows = tx.fetch(sql, &params).await?;
    rows.iter().map(read).collect()
}

pub async fn by_number(
    tx: &mut Tx,
    webhook: WebhookId,
    number: u64,
) -> Result<Option<DeliveryRow>, StoreError> {
    let sql = format!(
        "SELECT {} FROM webhook_deliveries WHERE webhook_id = $1 AND number = $2",
        COLUMNS.join(", ")
    );
    let params = [Param::Blob(webhook.as_bytes()), Param::Int(int(number))];
    let row = tx.fetch_optional(sql, &params).await?;
    row.as_ref().map(read).transpose()
}

/// The highest number in the log; 0 when it is empty.
pub async fn last_number(tx: &mut Tx, webhook: WebhookId) -> Result<u64, StoreError> {
    let row = tx
        .fetch_optional(
            "SELECT number FROM webhook_deliveries WHERE webhook_id = $1 ORDER BY number DESC LIMIT 1",
            &[Param::Blob(webhook.as_bytes())],
        )
        .await?;
    row.map_or(Ok(0), |row| row.u64(0))
}

/// Removes rows below the number `keep_from`, and `older_than_ms` among the first `limit`; parked ones stay until their
/// webhook goes. Answers how many went.
pub async fn trim(
    tx: &mut Tx,
    webhook: WebhookId,
    (keep_from, older_than_ms): (u64, i64),
    limit: u32,
) -> Result<u64, StoreError> {
    tx.execute(
        "DELETE FROM webhook_deliveries WHERE webhook_id = $1 AND number IN \
         (SELECT number FROM webhook_deliveries WHERE webhook_id = $1 AND result <> 'parked' ORDER BY number LIMIT $2) \
         AND (number < $3 OR at < $4)",
        &[
            Param::Blob(webhook.as_bytes()),
            Param::Int(i64::from(limit)),
            Param::Int(int(keep_from)),
            Param::Int(older_than_ms),
        ],
    )
    .await
}

/// How many wait for a person.
pub async fn parked(tx: &mut Tx, webhook: WebhookId) -> Result<u64, StoreError> {
    let row = tx
        .fetch_optional(
            "SELECT count(*) FROM webhook_deliveries WHERE webhook_id = $1 AND result = 'parked' \
             AND result <> 'delivered'",
            &[Param::Blob(webhook.as_bytes())],
        )
        .await?;
    row.map_or(Ok(0), |row| row.u64(0))
}
