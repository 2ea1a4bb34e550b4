//! Sending again what lies before a webhook's place: one event, an object's, or a range. Also events from before the
//! webhook was made.
//!
//! What is asked for is written down; the notifier works through it. Of one object the events come in order again, and
//! newer ones wait for them.

use coffer_domain::id::{DeliveryId, EventId, RedeliveryId, WebhookId};
use coffer_store::webhook_deliveries as log;
use coffer_store::webhook_redeliveries::{self as rows, Redelivery};

use crate::audit::{Changes, Entry, append};
use crate::events::Outgoing;
use crate::transaction::transact;
use crate::{Answer, Caller, Error, Once, Platform};

const OPERATION: &str = "webhooks.redeliver";
/// Waiting at one webhook.
const WAITING_MAX: usize = 50;

/// What is to be sent again. All that is given must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RedeliveryRange {
    pub event: Option<EventId>,
    pub delivery: Option<DeliveryId>,
    pub subject: Option<String>,
    /// Numbers of events, both included.
    pub first_seq: Option<u64>,
    pub last_seq: Option<u64>,
    pub from_ms: Option<i64>,
    /// Not included.
    pub until_ms: Option<i64>,
}

/// What will be looked through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskedRedelivery {
    pub id: RedeliveryId,
    pub first_seq: u64,
    pub last_seq: u64,
}

impl Platform {
    pub async fn redeliver(
        &self,
        caller: &Caller,
        id: WebhookId,
        range: &RedeliveryRange,
        once: Option<Once<'_, AskedRedelivery>>,
    ) -> Result<Answer<AskedRedelivery>, Error> {
        self.guard(caller.organization)?;
        if let Some(answer) = self.replay_now(caller, OPERATION, once.as_ref()).await? {
            return Ok(answer);
        }
        if *range == RedeliveryRange::default() {
            let text = "name an event, a delivery, an object, or a range of numbers or times";
            return Err(Error::validation("range", text));
        }
        let (first_seq, last_seq) = self.bounds(caller, id, range).await?;
        let (now, random) = self.moment()?;
        let asked = AskedRedelivery {
            id: RedeliveryId::new_v7(now, random),
            first_seq,
            last_seq,
        };
        let wanted = Redelivery {
            id: asked.id,
            webhook: id,
            first_seq,
            last_seq,
            subject: range.subject.clone(),
            from_ms: range.from_ms,
            until_ms: range.until_ms,
            looked_to: first_seq.saturating_sub(1),
            created_by: caller.key,
            created_at_ms: self.now_ms(),
        };
        let sealed = self.0.seals.seal(wanted);
        let answer = transact!(self, tx, {
            if let Some(answer) = self.replay(tx, caller, OPERATION, once.as_ref()).await? {
                return Ok(answer);
            }
            let row = self.lock_webhook(tx, caller.organization, id).await?;
            if rows::of_webhook(tx, id).await?.len() >= WAITING_MAX {
                let text = format!("{WAITING_MAX} redeliveries of this webhook wait already");
                return Err(Error::StateConflict(text));
            }
            rows::insert(tx, &sealed).await?;
            self.keep(tx, caller, OPERATION, once.as_ref(), &asked)
                .await?;
            let entry = Entry {
                organization: caller.organization,
                at_ms: self.now_ms(),
                actor: &caller.actor(),
                action: "webhook.redelivery_asked",
                object: row.webhook.id.to_string(),
                changes: Changes::default(),
                data: serde_json::json!({
                    "redelivery": asked.id.to_string(), "first": first_seq, "last": last_seq,
                    "subject": range.subject, "from": range.from_ms, "until": range.until_ms,
                }),
                events: Outgoing::none(),
            };
            append(tx, &self.0.seals, entry).await?;
            Ok(Answer::Executed(asked.clone()))
        })?;
        self.0.webhooks_changed.notify_one();
        Ok(answer)
    }

    /// The numbers to look through. What was not told yet comes by itself.
    async fn bounds(
        &self,
        caller: &Caller,
        id: WebhookId,
        range: &RedeliveryRange,
    ) -> Result<(u64, u64), Error> {
        let told_to = {
            let mut tx = self.0.db.read().await?;
            self.webhook_row(&mut tx, caller.organization, id).await?;
            self.progress_row(&mut tx, id).await?.told_to
        };
        let (mut first, mut last) = (range.first_seq.unwrap_or(1).max(1), told_to);
        last = last.min(range.last_seq.unwrap_or(u64::MAX));
        let mut only = Vec::new();
        if let Some(event) = range.event {
            only.push(self.event_number(caller.organization, event).await?);
        }
        if let Some(delivery) = range.delivery {
            only.push(self.delivered_event(id, delivery).await?);
        }
        for seq in only {
            first = first.max(seq);
            last = last.min(seq);
        }
        if first > last {
            let text =
                format!("it names no event up to {told_to}; later ones are sent by themselves");
            return Err(Error::validation("range", text));
        }
        Ok((first, last))
    }

    async fn delivered_event(&self, webhook: WebhookId, id: DeliveryId) -> Result<u64, Error> {
        let missing = || Error::not_found("delivery", id);
        let number = id.number_in(webhook).ok_or_else(missing)?;
        let mut tx = self.0.db.read().await?;
        let row = log::by_number(&mut tx, webhook, number).await?;
        Ok(row.ok_or_else(missing)?.event_seq)
    }
}
