//! Looking at webhooks, how far they are, and the log of their deliveries.

use coffer_domain::id::{DeliveryId, EventId, OrganizationId, WebhookId};
use coffer_domain::webhook::{DeliveryResult, Webhook};
use coffer_store::Tx;
use coffer_store::webhook_deliveries::{self as log, DeliveryRow};
use coffer_store::webhook_progress::ProgressRow;
use coffer_store::webhooks::WebhookRow;

use super::rows::open_events;
use crate::transaction::reread;
use crate::{Caller, Error, Platform};

/// Ids are computed from numbers, and found by computing those of the newest events again.
const EVENTS_LOOKED_THROUGH: u64 = 10_000_000;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookView {
    pub webhook: Webhook,
    /// Until then the secret before the last rotation signs, too.
    pub previous_secret_until_ms: Option<i64>,
    pub progress: WebhookProgress,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookProgress {
    /// Every event up to this number is delivered, parked, not wanted, or open.
    pub told_to: u64,
    /// Events beyond that; not all of them need be wanted.
    pub lag: u64,
    /// Events behind it that are tried again by themselves, and those that wait for them.
    pub open: u64,
    /// Deliveries that were given up.
    pub parked: u64,
    /// The first failure after the last success.
    pub failing_since_ms: Option<i64>,
    /// Nothing is sent before.
    pub paused_until_ms: Option<i64>,
    pub last_success_at_ms: Option<i64>,
    pub last_error: Option<String>,
}

impl WebhookProgress {
    pub(super) fn begun(told_to: u64, head: u64) -> Self {
        Self {
            told_to,
            lag: head - told_to,
            open: 0,
            parked: 0,
            failing_since_ms: None,
            paused_until_ms: None,
            last_success_at_ms: None,
            last_error: None,
        }
    }
}

/// One attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryView {
    pub id: DeliveryId,
    pub event_seq: u64,
    pub event_id: String,
    pub event_type: String,
    pub subject: String,
    pub attempt: u32,
    pub result: DeliveryResult,
    pub status: Option<u16>,
    pub latency_ms: u64,
    pub error: Option<String>,
    pub excerpt: Option<String>,
    pub at_ms: i64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeliveryFilter {
    pub result: Option<DeliveryResult>,
    pub event: Option<EventId>,
    pub subject: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryPage {
    /// The latest first.
    pub items: Vec<DeliveryView>,
    pub next: Option<u64>,
}

fn view(webhook: WebhookId, row: DeliveryRow) -> DeliveryView {
    DeliveryView {
        id: DeliveryId::of_number(webhook, row.number),
        event_seq: row.event_seq,
        event_id: row.event_id,
        event_type: row.event_type,
        subject: row.subject,
        attempt: row.attempt,
        result: row.result,
        status: row.status,
        latency_ms: row.latency_ms,
        error: row.error,
        excerpt: row.excerpt,
        at_ms: row.at_ms,
    }
}

fn progress_of(row: ProgressRow, head: u64, parked: u64) -> Result<WebhookProgress, Error> {
    let open = open_events(&row)?.len() as u64;
    Ok(WebhookProgress {
        told_to: row.told_to,
        lag: head.saturating_sub(row.told_to),
        open,
        parked,
        failing_since_ms: row.failing_since_ms,
        paused_until_ms: row.paused_until_ms,
        last_success_at_ms: row.last_success_at_ms,
        last_error: row.last_error,
    })
}

impl Platform {
    /// In the order in which they were made, without the deleted ones.
    pub async fn webhooks(&self, caller: &Caller) -> Result<Vec<WebhookView>, Error> {
        self.guard(caller.organization)?;
        let head = self.event_head(caller.organization).await?;
        reread!(self.try_webhooks(caller.organization, head))
    }

    async fn try_webhooks(
        &self,
        organization: OrganizationId,
        head: u64,
    ) -> Result<Vec<WebhookView>, Error> {
        let mut tx = self.0.db.read().await?;
        let mut views = Vec::new();
        for row in self.webhook_rows(&mut tx, organization).await? {
            views.push(self.webhook_view(&mut tx, row, head).await?);
        }
        Ok(views)
    }

    pub async fn webhook(&self, caller: &Caller, id: WebhookId) -> Result<WebhookView, Error> {
        self.guard(caller.organization)?;
        let head = self.event_head(caller.organization).await?;
        reread!(self.try_webhook(caller.organization, id, head))
    }

    async fn try_webhook(
        &self,
        organization: OrganizationId,
        id: WebhookId,
        head: u64,
    ) -> Result<WebhookView, Error> {
        let mut tx = self.0.db.read().await?;
        let row = self.webhook_row(&mut tx, organization, id).await?;
        self.webhook_view(&mut tx, row, head).await
    }

    async fn webhook_view(
        &self,
        tx: &mut Tx,
        row: WebhookRow,
        head: u64,
    ) -> Result<WebhookView, Error> {
        let id = row.webhook.id;
        let progress = self.progress_row(tx, id).await?;
        let parked = log::parked(tx, id).await?;
        Ok(WebhookView {
            progress: progress_of(progress, head, parked)?,
            previous_secret_until_ms: row
                .previous
                .map(|previous| previous.until_ms)
                .filter(|until| self.now_ms() < *until),
            webhook: row.webhook,
        })
    }

    /// The log of a webhook's deliveries, below the number `before`.
    pub async fn webhook_deliveries(
        &self,
        caller: &Caller,
        id: WebhookId,
        filter: &DeliveryFilter,
        (before, limit): (Option<u64>, u32),
    ) -> Result<DeliveryPage, Error> {
        self.guard(caller.organization)?;
        let event_seq = match filter.event {
            Some(event) => Some(self.event_number(caller.organization, event).await?),
            None => None,
        };
        let filter = log::Filter {
            result: filter.result,
            event_seq,
            subject: filter.subject.clone(),
        };
        let mut tx = self.0.db.read().await?;
        self.webhook_row(&mut tx, caller.organization, id).await?;
        let rows = log::page(&mut tx, id, &filter, before, limit).await?;
        let next = rows.last().map(|row| row.number);
        let next = next.filter(|_| rows.len() >= limit as usize);
        let items = rows.into_iter().map(|row| view(id, row)).collect();
        Ok(DeliveryPage { items, next })
    }

    /// The number of one of the newest events.
    pub(super) async fn event_number(
        &self,
        organization: OrganizationId,
        event: EventId,
    ) -> Result<u64, Error> {
        let head = self.event_head(organization).await?;
        let found = crate::blocking(move || {
            let last = head.saturating_sub(EVENTS_LOOKED_THROUGH);
            let mut numbers = (last + 1..=head).rev();
            numbers.find(|seq| EventId::of(organization, *seq) == event)
        });
        found.await?.ok_or_else(|| Error::not_found("event", event))
    }
}
