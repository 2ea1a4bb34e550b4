//! Webhooks: the objects themselves. How far they were told is in [`crate::webhook_progress`].

use coffer_domain::event::EventPattern;
use coffer_domain::id::{ApiKeyId, OrganizationId, WebhookId};
use coffer_domain::webhook::{SendLimits, Webhook, WebhookState};

use crate::{Param, Row, Sealed, StoreError, Tx};

/// A webhook with its secrets, as they are stored: encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookRow {
    pub webhook: Webhook,
    pub secret: Vec<u8>,
    pub previous: Option<PreviousSecret>,
}

/// The secret before the last rotation, and until when it signs as well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreviousSecret {
    pub secret: Vec<u8>,
    pub until_ms: i64,
}

const COLUMNS: &str = "id, organization_id, url, description, types, state, reason, rate_per_second, concurrency, \
    secret, previous_secret, previous_until, created_by, created_at, version, seal";

fn limits(rate: Option<i64>, concurrency: u32) -> Result<SendLimits, StoreError> {
    let corrupt = || StoreError::Corrupt("limits that no webhook has".to_owned());
    let rate = rate.map(u32::try_from).transpose().map_err(|_| corrupt())?;
    SendLimits::try_new(rate, concurrency).ok_or_else(corrupt)
}

fn patterns(text: &str) -> Result<Vec<EventPattern>, StoreError> {
    let parse = |text: &str| {
        text.parse()
            .map_err(|_| StoreError::Corrupt("a pattern of no event type".to_owned()))
    };
    text.split(' ')
        .filter(|text| !text.is_empty())
        .map(parse)
        .collect()
}

/// The form in which patterns are stored and sealed.
#[must_use]
pub fn patterns_text(patterns: &[EventPattern]) -> String {
    let texts: Vec<String> = patterns.iter().map(ToString::to_string).collect();
    texts.join(" ")
}

fn read(row: &Row) -> Result<Sealed<WebhookRow>, StoreError> {
    let state = WebhookState::from_parts(&row.text(5)?, row.opt_text(6)?)
        .map_err(|error| StoreError::Corrupt(error.to_string()))?;
    let previous = match (row.opt_blob(10)?, row.opt_int(11)?) {
        (Some(secret), Some(until_ms)) => Some(PreviousSecret { secret, until_ms }),
        (None, None) => None,
        _ => return Err(StoreError::Corrupt("half a previous secret".to_owned())),
    };
    let webhook = Webhook {
        id: WebhookId::from_bytes(row.bytes(0)?),
        organization: OrganizationId::from_bytes(row.bytes(1)?),
        url: row.text(2)?,
        description: row.opt_text(3)?,
        types: patterns(&row.text(4)?)?,
        state,
        limits: limits(row.opt_int(7)?, row.u32(8)?)?,
        created_by: ApiKeyId::from_bytes(row.bytes(12)?),
        created_at_ms: row.int(13)?,
        version: row.u32(14)?,
    };
    Ok(Sealed {
        value: WebhookRow {
            webhook,
            secret: row.blob(9)?,
            previous,
        },
        seal: row.blob(15)?,
    })
}

pub async fn insert(tx: &mut Tx, sealed: &Sealed<WebhookRow>) -> Result<(), StoreError> {
    let row = &sealed.value;
    let webhook = &row.webhook;
    let previous = row.previous.as_ref();
    tx.execute(
        format!(
            "INSERT INTO webhooks ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)"
        ),
        &[
            Param::Blob(webhook.id.as_bytes()),
            Param::Blob(webhook.organization.as_bytes()),
            Param::Text(&webhook.url),
            Param::OptText(webhook.description.as_deref()),
            Param::Text(&patterns_text(&webhook.types)),
            Param::Text(webhook.state.name()),
            Param::OptText(webhook.state.reason()),
            Param::OptInt(webhook.limits.rate_per_second.map(i64::from)),
            Param::Int(i64::from(webhook.limits.concurrency)),
            Param::Blob(&row.secret),
            Param::OptBlob(previous.map(|previous| previous.secret.as_slice())),
            Param::OptInt(previous.map(|previous| previous.until_ms)),
            Param::Blob(webhook.created_by.as_bytes()),
            Param::Int(webhook.created_at_ms),
            Param::Int(i64::from(webhook.version)),
            Param::Blob(&sealed.seal),
        ],
    )
    .await?;
    Ok(())
}

/// Stores what may change of a webhook, if its version is still `expected_version`.
pub async fn update(
    tx: &mut Tx,
    sealed: &Sealed<WebhookRow>,
    expected_version: u32,
) -> Result<(), StoreError> {
    let row = &sealed.value;
    let webhook = &row.webhook;
    let previous = row.previous.as_ref();
    tx.execute_one(
        "UPDATE webhooks SET url = $1, description = $2, types = $3, state = $4, reason = $5, rate_per_second = $6, \
         concurrency = $7, secret = $8, previous_secret = $9, previous_until = $10, version = $11, seal = $12 \
         WHERE id = $13 AND version = $14",
        &[
            Param::Text(&webhook.url),
            Param::OptText(webhook.description.as_deref()),
            Param::Text(&patterns_text(&webhook.types)),
            Param::Text(webhook.state.name()),
            Param::OptText(webhook.state.reason()),
            Param::OptInt(webhook.limits.rate_per_second.map(i64::from)),
            Param::Int(i64::from(webhook.limits.concurrency)),
            Param::Blob(&row.secret),
            Param::OptBlob(previous.map(|previous| previous.secret.as_slice())),
            Param::OptInt(previous.map(|previous| previous.until_ms)),
            Param::Int(i64::from(webhook.version)),
            Param::Blob(&sealed.seal),
            Param::Blob(webhook.id.as_bytes()),
            Param::Int(i64::from(expected_version)),
        ],
        &webhook.id,
    )
    .await
}

pub async fn by_id(tx: &mut Tx, id: WebhookId) -> Result<Option<Sealed<WebhookRow>>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM webhooks WHERE id = $1");
    let row = tx
        .fetch_optional(sql, &[Param::Blob(id.as_bytes())])
        .await?;
    row.as_ref().map(read).transpose()
}

/// Like [`by_id`], and nobody else changes the webhook until this transaction ends.
pub async fn lock(tx: &mut Tx, id: WebhookId) -> Result<Option<Sealed<WebhookRow>>, StoreError> {
    let lock = tx.engine().for_update();
    let sql = format!("SELECT {COLUMNS} FROM webhooks WHERE id = $1{lock}");
    let row = tx
        .fetch_optional(sql, &[Param::Blob(id.as_bytes())])
        .await?;
    row.as_ref().map(read).transpose()
}

/// All of them, the deleted ones too.
pub async fn of_organization(
    tx: &mut Tx,
    organization: OrganizationId,
) -> Result<Vec<Sealed<WebhookRow>>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM webhooks WHERE organization_id = $1 ORDER BY id");
    let rows = tx
        .fetch(sql, &[Param::Blob(organization.as_bytes())])
        .await?;
    rows.iter().map(read).collect()
}
