//! Changing, disabling, enabling and deleting a webhook.

use coffer_domain::event::EventPattern;
use coffer_domain::id::{OrganizationId, WebhookId};
use coffer_domain::webhook::{SendLimits, Webhook, WebhookState};
use coffer_store::Tx;
use coffer_store::webhook_progress;

use super::create::check_description;
use super::rows::{open_events, written};
use crate::networks::checked_reason;
use crate::seal::refused;
use crate::transaction::transact;
use crate::{Answer, Caller, Error, Once, Platform};

const ENABLE: &str = "webhooks.enable";
const DISABLE: &str = "webhooks.disable";

/// What of a webhook is to change; `None` stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WebhookChange {
    pub url: Option<String>,
    pub description: Option<String>,
    pub types: Option<Vec<EventPattern>>,
    pub limits: Option<SendLimits>,
}

impl Platform {
    /// A new URL gets what was not delivered to the old one.
    pub async fn set_webhook(
        &self,
        caller: &Caller,
        id: WebhookId,
        change: WebhookChange,
    ) -> Result<(), Error> {
        self.guard(caller.organization)?;
        check_description(change.description.as_deref())?;
        if let Some(url) = &change.url {
            self.webhook_target(url)?;
        }
        transact!(self, tx, {
            let before = self.lock_webhook(tx, caller.organization, id).await?;
            let mut row = before.clone();
            let webhook = &mut row.webhook;
            if let Some(url) = &change.url {
                webhook.url.clone_from(url);
            }
            if let Some(description) = &change.description {
                webhook.description = Some(description.clone()).filter(|text| !text.is_empty());
            }
            if let Some(types) = &change.types {
                webhook.types.clone_from(types);
            }
            webhook.limits = change.limits.unwrap_or(webhook.limits);
            if row == before {
                return Ok(());
            }
            let moved = row.webhook.url != before.webhook.url;
            let row = self.store_webhook(tx, row).await?;
            if moved {
                self.forget_failures(tx, id).await?;
            }
            self.record_webhook(tx, &row, "webhook.set", &caller.actor())
                .await
        })?;
        self.0.webhooks_changed.notify_one();
        Ok(())
    }

    /// Nothing more is sent; the place among the events is kept.
    pub async fn disable_webhook(
        &self,
        caller: &Caller,
        id: WebhookId,
        reason: &str,
        once: Option<Once<'_, Webhook>>,
    ) -> Result<Answer<Webhook>, Error> {
        let reason = checked_reason(reason)?;
        let state = WebhookState::Disabled {
            reason: reason.to_owned(),
        };
        self.switch(caller, id, (DISABLE, "webhook.disabled", state), once)
            .await
    }

    /// Goes on where it stopped.
    pub async fn enable_webhook(
        &self,
        caller: &Caller,
        id: WebhookId,
        once: Option<Once<'_, Webhook>>,
    ) -> Result<Answer<Webhook>, Error> {
        let change = (ENABLE, "webhook.enabled", WebhookState::Enabled);
        self.switch(caller, id, change, once).await
    }

    async fn switch(
        &self,
        caller: &Caller,
        id: WebhookId,
        (operation, action, state): (&'static str, &'static str, WebhookState),
        once: Option<Once<'_, Webhook>>,
    ) -> Result<Answer<Webhook>, Error> {
        self.guard(caller.organization)?;
        let answer = transact!(self, tx, {
            if let Some(answer) = self.replay(tx, caller, operation, once.as_ref()).await? {
                return Ok(answer);
            }
            let mut row = self.lock_webhook(tx, caller.organization, id).await?;
            let changes = row.webhook.state.name() != state.name();
            if changes {
                row.webhook.state = state.clone();
                row = self.store_webhook(tx, row).await?;
                self.forget_failures(tx, id).await?;
            }
            self.keep(tx, caller, operation, once.as_ref(), &row.webhook)
                .await?;
            if changes {
                self.record_webhook(tx, &row, action, &caller.actor())
                    .await?;
            }
            Ok(Answer::Executed(row.webhook))
        })?;
        self.0.webhooks_changed.notify_one();
        Ok(answer)
    }

    /// For good. Its row stays behind without its secrets, what it was told does not.
    pub async fn delete_webhook(&self, caller: &Caller, id: WebhookId) -> Result<(), Error> {
        self.guard(caller.organization)?;
        transact!(self, tx, {
            let mut row = self.lock_webhook(tx, caller.organization, id).await?;
            row.webhook.state = WebhookState::Deleted;
            row.secret = Vec::new();
            row.previous = None;
            let row = self.store_webhook(tx, row).await?;
            webhook_progress::remove(tx, id).await?;
            self.record_webhook(tx, &row, "webhook.deleted", &caller.actor())
                .await
        })?;
        self.0.webhooks_changed.notify_one();
        Ok(())
    }

    /// The notifier's own decision: a receiver that is gone, or was silent for too long.
    pub(super) async fn disable_by_itself(
        &self,
        organization: OrganizationId,
        id: WebhookId,
        reason: &str,
    ) -> Result<(), Error> {
        transact!(self, tx, {
            let mut row = self.lock_webhook(tx, organization, id).await?;
            if row.webhook.state != WebhookState::Enabled {
                return Ok(());
            }
            row.webhook.state = WebhookState::Disabled {
                reason: reason.to_owned(),
            };
            let row = self.store_webhook(tx, row).await?;
            self.record_webhook(tx, &row, "webhook.disabled", "notifier")
                .await
        })?;
        tracing::warn!(webhook = %id, reason, "a webhook was disabled");
        Ok(())
    }

    /// Takes the webhook out of the hands of whoever delivers it, and lets it begin without its history of failures.
    async fn forget_failures(&self, tx: &mut Tx, id: WebhookId) -> Result<(), Error> {
        let taken = webhook_progress::take(tx, id).await?;
        let (lease, sealed) = taken.ok_or_else(|| refused(format!("the progress of {id}")))?;
        let mut progress = self.open_webhook_progress(sealed)?;
        let mut open = open_events(&progress)?;
        for event in &mut open {
            event.not_before_ms = 0;
            event.first_failed_ms = None;
        }
        progress.open_events = written(&open)?;
        progress.failing_since_ms = None;
        progress.failures = 0;
        progress.paused_until_ms = None;
        progress.moves += 1;
        let sealed = self.0.seals.seal(progress);
        webhook_progress::update(tx, &sealed, lease.fence).await?;
        Ok(())
    }
}
