//! Webhooks as they are stored: sealed, at their latest version, none missing; and how far they were told.

use coffer_domain::id::{OrganizationId, WebhookId};
use coffer_domain::webhook::WebhookState;
use coffer_store::webhook_progress::{self, ProgressRow};
use coffer_store::webhook_redeliveries::Redelivery;
use coffer_store::webhooks::{self as rows, WebhookRow, patterns_text};
use coffer_store::{Sealed, Tx};

use super::queue::{Health, OpenEvent, Queue};
use crate::freshness::Versioned;
use crate::outbound::signature::SigningKey;
use crate::seal::{Fields, Sealable, refused};
use crate::{Error, Platform};

impl Sealable for WebhookRow {
    const TAG: &'static str = "webhook v1";

    fn fields(&self, fields: &mut Fields) {
        let webhook = &self.webhook;
        let previous = self.previous.as_ref();
        fields
            .bytes(webhook.id.as_bytes())
            .bytes(webhook.organization.as_bytes())
            .text(&webhook.url)
            .opt_text(webhook.description.as_deref())
            .text(&patterns_text(&webhook.types))
            .text(webhook.state.name())
            .opt_text(webhook.state.reason())
            .opt_int(webhook.limits.rate_per_second.map(i64::from))
            .int(i64::from(webhook.limits.concurrency))
            .bytes(&self.secret)
            .bytes(previous.map_or(&[][..], |previous| &previous.secret))
            .opt_int(previous.map(|previous| previous.until_ms))
            .bytes(webhook.created_by.as_bytes())
            .int(webhook.created_at_ms)
            .int(i64::from(webhook.version));
    }
}

fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

impl Sealable for ProgressRow {
    const TAG: &'static str = "webhook progress v1";

    fn fields(&self, fields: &mut Fields) {
        fields
            .bytes(self.webhook.as_bytes())
            .int(number(self.told_to))
            .text(&self.open_events)
            .opt_int(self.failing_since_ms)
            .int(i64::from(self.failures))
            .opt_int(self.paused_until_ms)
            .opt_int(self.last_success_at_ms)
            .opt_text(self.last_error.as_deref())
            .int(number(self.next_number))
            .int(number(self.moves));
    }
}

impl Sealable for Redelivery {
    const TAG: &'static str = "webhook redelivery v1";

    fn fields(&self, fields: &mut Fields) {
        fields
            .bytes(self.id.as_bytes())
            .bytes(self.webhook.as_bytes())
            .int(number(self.first_seq))
            .int(number(self.last_seq))
            .opt_text(self.subject.as_deref())
            .opt_int(self.from_ms)
            .opt_int(self.until_ms)
            .int(number(self.looked_to))
            .bytes(self.created_by.as_bytes())
            .int(self.created_at_ms);
    }
}

/// The progress of a webhook that was told up to `told_to`.
pub(super) fn begun(webhook: WebhookId, told_to: u64) -> ProgressRow {
    ProgressRow {
        webhook,
        told_to,
        open_events: "[]".to_owned(),
        failing_since_ms: None,
        failures: 0,
        paused_until_ms: None,
        last_success_at_ms: None,
        last_error: None,
        next_number: 1,
        moves: 1,
    }
}

pub(super) fn open_events(row: &ProgressRow) -> Result<Vec<OpenEvent>, Error> {
    serde_json::from_str(&row.open_events)
        .map_err(|_| Error::Internal(format!("the open events of {} cannot be read", row.webhook)))
}

/// The stored form of open events.
pub(super) fn written<E: serde::Serialize>(events: &[E]) -> Result<String, Error> {
    serde_json::to_string(events).map_err(|error| Error::Internal(error.to_string()))
}

pub(super) fn queue_of(row: &ProgressRow) -> Result<Queue, Error> {
    let health = Health::restored(row.failing_since_ms, row.failures, row.paused_until_ms);
    Ok(Queue::new(row.told_to, open_events(row)?, health))
}

impl Platform {
    /// Every webhook of an organization that is not deleted. One row that was edited, put back or hidden refuses all:
    /// events that somebody waits for would go unsent.
    pub(super) async fn webhook_rows(
        &self,
        tx: &mut Tx,
        organization: OrganizationId,
    ) -> Result<Vec<WebhookRow>, Error> {
        let known = self.0.chains.known(organization, WebhookId::PREFIX);
        let mut found = Vec::new();
        for sealed in rows::of_organization(tx, organization).await? {
            found.push(self.open_webhook(tx, sealed).await?);
        }
        for id in known {
            let id: WebhookId = id.parse().map_err(|_| refused(id))?;
            if !found.iter().any(|row| row.webhook.id == id) {
                return Err(self.vanished(Versioned::Webhook(id)).await?);
            }
        }
        found.retain(|row| row.webhook.state != WebhookState::Deleted);
        Ok(found)
    }

    async fn open_webhook(
        &self,
        tx: &mut Tx,
        sealed: Sealed<WebhookRow>,
    ) -> Result<WebhookRow, Error> {
        let row = self
            .0
            .seals
            .open(sealed, |row| row.webhook.id.to_string())?;
        let webhook = &row.webhook;
        let object = Versioned::Webhook(webhook.id);
        self.check_version(tx, webhook.organization, object, webhook.version)
            .await?;
        Ok(row)
    }

    async fn own_webhook(
        &self,
        tx: &mut Tx,
        organization: OrganizationId,
        id: WebhookId,
        sealed: Option<Sealed<WebhookRow>>,
    ) -> Result<WebhookRow, Error> {
        let sealed = sealed.filter(|sealed| sealed.value.webhook.organization == organization);
        let sealed = sealed.ok_or_else(|| self.absent(organization, "webhook", id))?;
        let row = self.open_webhook(tx, sealed).await?;
        match row.webhook.state {
            WebhookState::Deleted => Err(Error::not_found("webhook", id)),
            _ => Ok(row),
        }
    }

    pub(super) async fn webhook_row(
        &self,
        tx: &mut Tx,
        organization: OrganizationId,
        id: WebhookId,
    ) -> Result<WebhookRow, Error> {
        let sealed = rows::by_id(tx, id).await?;
        self.own_webhook(tx, organization, id, sealed).await
    }

    /// Nobody else changes the webhook until this transaction ends.
    pub(super) async fn lock_webhook(
        &self,
        tx: &mut Tx,
        organization: OrganizationId,
        id: WebhookId,
    ) -> Result<WebhookRow, Error> {
        let sealed = rows::lock(tx, id).await?;
        self.own_webhook(tx, organization, id, sealed).await
    }

    /// Stores a webhook that was changed under its lock: next version, new seal.
    pub(super) async fn store_webhook(
        &self,
        tx: &mut Tx,
        mut row: WebhookRow,
    ) -> Result<WebhookRow, Error> {
        let expected = row.webhook.version;
        row.webhook.version += 1;
        let sealed = self.0.seals.seal(row);
        rows::update(tx, &sealed, expected).await?;
        Ok(sealed.value)
    }

    /// How far a webhook was told. That there is no such row of a live webhook is somebody's doing.
    pub(super) async fn progress_row(
        &self,
        tx: &mut Tx,
        id: WebhookId,
    ) -> Result<ProgressRow, Error> {
        let sealed = webhook_progress::by_id(tx, id).await?;
        let sealed = sealed.ok_or_else(|| refused(format!("the progress of {id}")))?;
        self.open_webhook_progress(sealed)
    }

    pub(super) fn open_webhook_progress(
        &self,
        sealed: Sealed<ProgressRow>,
    ) -> Result<ProgressRow, Error> {
        let name = |row: &ProgressRow| format!("the progress of {}", row.webhook);
        self.0.seals.open(sealed, name)
    }

    /// The keys that sign now: the latest first, the one before it while both are valid.
    pub(super) fn signing_keys(
        &self,
        row: &WebhookRow,
        now_ms: i64,
    ) -> Result<Vec<SigningKey>, Error> {
        let id = row.webhook.id;
        let key = |stored: &[u8]| -> Result<SigningKey, Error> {
            Ok(SigningKey::new(
                &self.0.seals.decrypt_webhook_secret(id, stored)?,
            ))
        };
        let mut keys = vec![key(&row.secret)?];
        if let Some(previous) = row.previous.as_ref().filter(|old| now_ms < old.until_ms) {
            keys.push(key(&previous.secret)?);
        }
        Ok(keys)
    }
}
