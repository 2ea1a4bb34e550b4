//! Making a webhook: its URL is judged and called before anything is stored.

use coffer_domain::event::EventPattern;
use coffer_domain::id::WebhookId;
use coffer_domain::webhook::{SendLimits, Webhook, WebhookState};
use coffer_store::webhook_progress;
use coffer_store::webhooks::{self as rows, WebhookRow, patterns_text};
use zeroize::Zeroizing;

use super::rows::begun;
use super::{CheckResult, WebhookProgress, WebhookView};
use crate::audit::{Changes, Entry, append};
use crate::events::Outgoing;
use crate::outbound::signature::{SigningKey, secret_text};
use crate::transaction::transact;
use crate::{Answer, Caller, Error, Once, Platform, clock};

const OPERATION: &str = "webhooks.create";
/// Of one organization.
const WEBHOOKS_MAX: usize = 100;
const DESCRIPTION_CHARS_MAX: usize = 200;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewWebhook {
    pub url: String,
    pub description: Option<String>,
    /// Empty means all.
    pub types: Vec<EventPattern>,
    pub limits: SendLimits,
    /// The number of the last event that is not wanted; without it, the newest one now.
    pub after: Option<u64>,
    /// Whether somebody must answer at the URL now.
    pub check: bool,
}

/// A new webhook with the secret that signs its events, which is shown this once.
pub struct CreatedWebhook {
    pub view: WebhookView,
    /// `whsec_` and base64.
    pub secret: Zeroizing<String>,
    pub check: Option<CheckResult>,
}

impl Platform {
    /// The answer that is kept under an idempotency key must not hold the secret: who lost it rotates it.
    pub async fn create_webhook(
        &self,
        caller: &Caller,
        new: NewWebhook,
        once: Option<Once<'_, CreatedWebhook>>,
    ) -> Result<Answer<CreatedWebhook>, Error> {
        self.guard(caller.organization)?;
        if let Some(answer) = self.replay_now(caller, OPERATION, once.as_ref()).await? {
            return Ok(answer);
        }
        check_description(new.description.as_deref())?;
        let target = self.webhook_target(&new.url)?;
        let head = self.event_head(caller.organization).await?;
        let told_to = new.after.unwrap_or(head);
        if told_to > head {
            let text = format!("the newest event is {head}");
            return Err(Error::validation("after", text));
        }
        let secret = Zeroizing::new(clock::random::<32>(self.0.entropy.as_ref())?);
        let row = self.new_webhook(caller, &new, &secret)?;
        let check = if new.check {
            let keys = [SigningKey::new(secret.as_ref())];
            let sent = self.send_test(&row, &target, &keys);
            let result = sent.await?.map_err(|(error, _)| {
                Error::validation("url", format!("the test event could not be sent: {error}"))
            });
            Some(result?)
        } else {
            None
        };
        let created = CreatedWebhook {
            view: WebhookView {
                webhook: row.webhook.clone(),
                previous_secret_until_ms: None,
                progress: WebhookProgress::begun(told_to, head),
            },
            secret: secret_text(secret.as_ref()),
            check,
        };
        let replayed = transact!(self, tx, {
            if let Some(answer) = self.replay(tx, caller, OPERATION, once.as_ref()).await? {
                return Ok(Some(answer));
            }
            if self.webhook_rows(tx, caller.organization).await?.len() >= WEBHOOKS_MAX {
                let text = format!("an organization has at most {WEBHOOKS_MAX} webhooks");
                return Err(Error::StateConflict(text));
            }
            rows::insert(tx, &self.0.seals.seal(row.clone())).await?;
            let progress = self.0.seals.seal(begun(row.webhook.id, told_to));
            webhook_progress::insert(tx, &progress).await?;
            self.keep(tx, caller, OPERATION, once.as_ref(), &created)
                .await?;
            self.record_webhook(tx, &row, "webhook.created", &caller.actor())
                .await?;
            Ok(None)
        })?;
        self.0.webhooks_changed.notify_one();
        Ok(replayed.unwrap_or(Answer::Executed(created)))
    }

    fn new_webhook(
        &self,
        caller: &Caller,
        new: &NewWebhook,
        secret: &[u8; 32],
    ) -> Result<WebhookRow, Error> {
        let (now, random) = self.moment()?;
        let id = WebhookId::new_v7(now, random);
        let nonce = clock::random(self.0.entropy.as_ref())?;
        let webhook = Webhook {
            id,
            organization: caller.organization,
            url: new.url.clone(),
            description: new.description.clone(),
            types: new.types.clone(),
            state: WebhookState::Enabled,
            limits: new.limits,
            created_by: caller.key,
            created_at_ms: self.now_ms(),
            version: 1,
        };
        Ok(WebhookRow {
            webhook,
            secret: self.0.seals.encrypt_webhook_secret(id, nonce, secret),
            previous: None,
        })
    }

    /// The audit record of a change of a webhook. No system is told: events about webhooks, sent to webhooks, would
    /// have no end.
    pub(super) async fn record_webhook(
        &self,
        tx: &mut coffer_store::Tx,
        row: &WebhookRow,
        action: &'static str,
        actor: &str,
    ) -> Result<(), Error> {
        let webhook = &row.webhook;
        let entry = Entry {
            organization: webhook.organization,
            at_ms: self.now_ms(),
            actor,
            action,
            object: webhook.id.to_string(),
            changes: Changes::version(webhook.id, webhook.version),
            data: serde_json::json!({
                "url": webhook.url,
                "types": patterns_text(&webhook.types),
                "state": webhook.state.name(),
                "reason": webhook.state.reason(),
                "rate_per_second": webhook.limits.rate_per_second,
                "concurrency": webhook.limits.concurrency,
            }),
            events: Outgoing::none(),
        };
        append(tx, &self.0.seals, entry).await?;
        Ok(())
    }
}

pub(super) fn check_description(text: Option<&str>) -> Result<(), Error> {
    let fits = |text: &str| {
        text.chars().count() <= DESCRIPTION_CHARS_MAX && !text.chars().any(char::is_control)
    };
    if text.is_none_or(fits) {
        return Ok(());
    }
    let text = format!("give at most {DESCRIPTION_CHARS_MAX} characters on one line");
    Err(Error::validation("description", text))
}
