//! Delivering one webhook, for as long as its lease is held.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use coffer_domain::webhook::DeliveryResult;
use coffer_store::webhook_deliveries::DeliveryRow;
use coffer_store::webhook_progress::{self, Lease, ProgressRow};
use coffer_store::webhook_redeliveries::{self, Redelivery};
use coffer_store::webhooks::WebhookRow;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio_util::sync::CancellationToken;

use super::queue::{Message, Queue, Verdict, WINDOW};
use super::record::{LEASE_MS, Report, Written};
use super::rows::{queue_of, written};
use super::send::{Received, Sender, Sent};
use super::throttle::Throttle;
use crate::events::{EventFilter, EventPage};
use crate::transaction::transact;
use crate::{Error, Platform, clock};

/// Events of all webhooks in memory, beyond a few for each.
const MESSAGES_MAX: usize = 65_536;
const MESSAGES_MIN: usize = 64;
const PAGE: u32 = 500;
/// How often what was sent is written down, at most, unless there is much of it.
const WRITE_EVERY_MS: i64 = 100;
const WRITE_AT_ROWS: usize = 2_000;
/// With more that is not written down, nothing more is sent.
const UNWRITTEN_MAX: usize = 8_000;
/// A sign of life without anything to write.
const RENEW_EVERY_MS: i64 = LEASE_MS / 3;
/// New redeliveries, another process's events and a clock that was set are noticed within this time.
const LOOK_EVERY: Duration = Duration::from_millis(500);
const LOOK_EVERY_MS: i64 = 500;
const PUT_BACK_MS: i64 = 1_000;

type Reading = Pin<Box<dyn Future<Output = Result<EventPage, Error>> + Send>>;
type Writing = Pin<Box<dyn Future<Output = Result<Written, Error>> + Send>>;
type Looking = Pin<Box<dyn Future<Output = Result<Option<Redelivery>, Error>> + Send>>;
type Sending = Pin<Box<dyn Future<Output = Sent> + Send>>;

/// Why delivering ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// It was told to.
    Stopped,
    LeaseLost,
    /// The receiver says that it is gone for good.
    Gone,
    /// Nothing got through for as long as an event is tried.
    Hopeless,
}

pub(super) struct Delivery {
    platform: Platform,
    row: WebhookRow,
    filter: EventFilter,
    lease: Lease,
    /// As it is stored.
    progress: ProgressRow,
    queue: Queue,
    sender: Arc<Sender>,
    throttle: Throttle,
    /// How many webhooks share the memory.
    running: Arc<AtomicUsize>,
    log: Vec<DeliveryRow>,
    last_success_at_ms: Option<i64>,
    last_error: Option<String>,
    written_at_ms: i64,
    redelivery: Option<Redelivery>,
    /// The redelivery has moved since it was written down.
    redelivery_moved: bool,
    looked_at_ms: i64,
    /// There was nothing more to read.
    at_end: bool,
    ended: Option<Ended>,
}

impl Delivery {
    pub(super) fn new(
        platform: &Platform,
        row: WebhookRow,
        (lease, progress): (Lease, ProgressRow),
        running: Arc<AtomicUsize>,
    ) -> Result<Self, Error> {
        let now = platform.now_ms();
        Ok(Self {
            queue: queue_of(&progress)?,
            sender: Arc::new(Sender::new(platform, &row, now)?),
            throttle: Throttle::new(row.webhook.limits.rate_per_second, now),
            filter: EventFilter {
                types: row.webhook.types.clone(),
                subject: None,
            },
            platform: platform.clone(),
            lease,
            last_success_at_ms: progress.last_success_at_ms,
            last_error: progress.last_error.clone(),
            progress,
            row,
            running,
            log: Vec::new(),
            written_at_ms: now,
            redelivery: None,
            redelivery_moved: false,
            looked_at_ms: 0,
            at_end: false,
            ended: None,
        })
    }

    /// Until it is stopped or cannot go on; what is under way then is waited for and written down.
    pub(super) async fn run(self, stop: CancellationToken) -> Result<Ended, Error> {
        let (platform, lease) = (self.platform.clone(), self.lease);
        let ended = self.deliver(stop).await;
        // A lease that was lost is not given back; the fence says whose it is.
        transact!(platform, tx, {
            Ok(webhook_progress::release(tx, lease).await?)
        })?;
        ended
    }

    async fn deliver(mut self, stop: CancellationToken) -> Result<Ended, Error> {
        let mut sends: FuturesUnordered<Sending> = FuturesUnordered::new();
        let (mut reading, mut reopening): (Option<Reading>, Option<Reading>) = (None, None);
        let mut writing: Option<Writing> = None;
        let mut looking: Option<Looking> = None;
        loop {
            let now = self.platform.now_ms();
            if stop.is_cancelled() {
                self.ended.get_or_insert(Ended::Stopped);
            }
            if self.ended.is_none() {
                self.start_sends(&mut sends, now);
                reading = reading.or_else(|| self.start_reading());
                // A write under way may yet take a finished redelivery away.
                if writing.is_none() {
                    looking = looking.or_else(|| self.start_looking(now));
                }
                reopening = reopening.or_else(|| self.start_reopening());
            }
            writing = writing.or_else(|| self.start_writing(now));
            if self.ended.is_some() && sends.is_empty() && writing.is_none() {
                return Ok(self.ended.unwrap_or(Ended::Stopped));
            }
            tokio::select! {
                Some(sent) = sends.next(), if !sends.is_empty() => self.landed(sent)?,
                Some(page) = ready(&mut reading) => self.read(page?),
                Some(page) = ready(&mut reopening) => self.reopen(page?),
                Some(found) = ready(&mut looking) => self.redelivery = found?,
                Some(done) = ready(&mut writing) => {
                    if done? == Written::LeaseLost {
                        return Ok(Ended::LeaseLost);
                    }
                }
                () = stop.cancelled(), if self.ended.is_none() => {}
                () = tokio::time::sleep(self.nap(now)) => {}
            }
        }
    }

    fn share(&self) -> usize {
        let others = self.running.load(Ordering::Relaxed).max(1);
        (MESSAGES_MAX / others).clamp(MESSAGES_MIN, WINDOW)
    }

    fn start_sends(&mut self, sends: &mut FuturesUnordered<Sending>, now: i64) {
        let most = self.row.webhook.limits.concurrency as usize;
        while self.queue.under_way() < most
            && self.log.len() < UNWRITTEN_MAX
            && self.throttle.is_open(now)
            && let Some(turn) = self.queue.next(now)
        {
            self.throttle.sent();
            sends.push(Box::pin(Arc::clone(&self.sender).send(turn)));
        }
        if self.queue.health().is_hopeless(now) {
            self.ended = Some(Ended::Hopeless);
        }
    }

    /// The next events, as soon as there are any. Only half a window is read at once, so that reading and sending overlap.
    fn start_reading(&self) -> Option<Reading> {
        let share = self.share();
        let held = WINDOW - self.queue.room();
        if held * 2 > share {
            return None;
        }
        let limit = u32::try_from(share - held).unwrap_or(PAGE).min(PAGE);
        let (platform, organization) = (self.platform.clone(), self.row.webhook.organization);
        let (filter, after, wait) = (self.filter.clone(), self.queue.read_to(), self.at_end);
        Some(Box::pin(async move {
            if wait {
                tokio::select! {
                    () = platform.event_news(organization, after) => {}
                    () = tokio::time::sleep(LOOK_EVERY) => {}
                }
            }
            platform
                .events_of(organization, &filter, after, limit)
                .await
        }))
    }

    fn read(&mut self, page: EventPage) {
        let now = self.platform.now_ms();
        let messages: Vec<Message> = page.items.iter().map(Message::from).collect();
        self.at_end = !page.more;
        self.queue.read(messages, page.next, now);
    }

    /// Whether somebody wants something again.
    fn start_looking(&mut self, now: i64) -> Option<Looking> {
        if self.redelivery.is_some() || now - self.looked_at_ms < LOOK_EVERY_MS {
            return None;
        }
        self.looked_at_ms = now;
        let (platform, id) = (self.platform.clone(), self.row.webhook.id);
        Some(Box::pin(async move {
            let mut tx = platform.0.db.read().await?;
            let found = webhook_redeliveries::of_webhook(&mut tx, id).await?;
            let name = |redelivery: &Redelivery| redelivery.id.to_string();
            let first = found.into_iter().next();
            first
                .map(|sealed| platform.0.seals.open(sealed, name))
                .transpose()
        }))
    }

    fn start_reopening(&self) -> Option<Reading> {
        let wanted = self.redelivery.as_ref()?;
        let room = u32::try_from(self.queue.open_room()).unwrap_or(PAGE);
        let left = wanted.last_seq.saturating_sub(wanted.looked_to);
        if room == 0 || left == 0 || self.redelivery_moved {
            return None;
        }
        let limit = room.min(PAGE).min(u32::try_from(left).unwrap_or(PAGE));
        let filter = EventFilter {
            types: self.filter.types.clone(),
            subject: wanted.subject.clone(),
        };
        let (platform, organization) = (self.platform.clone(), self.row.webhook.organization);
        let after = wanted.looked_to;
        Some(Box::pin(async move {
            platform
                .events_of(organization, &filter, after, limit)
                .await
        }))
    }

    fn reopen(&mut self, page: EventPage) {
        let now = self.platform.now_ms();
        let Some(wanted) = &mut self.redelivery else {
            return;
        };
        let asked = page.items.iter().filter(|event| {
            event.seq <= wanted.last_seq
                && wanted.from_ms.is_none_or(|from| event.at_ms >= from)
                && wanted.until_ms.is_none_or(|until| event.at_ms < until)
        });
        for event in asked {
            self.queue.reopen(Message::from(event), now);
        }
        wanted.looked_to = page.next.max(wanted.looked_to);
        self.redelivery_moved = true;
    }

    fn landed(&mut self, sent: Sent) -> Result<(), Error> {
        let now = self.platform.now_ms();
        let (message, received) = match sent.outcome {
            Ok(answered) => answered,
            Err(error) => {
                tracing::warn!(webhook = %self.row.webhook.id, %error, "an event could not be sent");
                self.queue.put_back(sent.seq, now + PUT_BACK_MS);
                return Ok(());
            }
        };
        let verdict = match received.outcome() {
            Some(outcome) => {
                let random = u64::from_le_bytes(clock::random(self.platform.0.entropy.as_ref())?);
                self.queue.answered(sent.seq, outcome, now, random)
            }
            None => {
                self.queue.put_back(sent.seq, now);
                self.ended.get_or_insert(Ended::Gone);
                Verdict::Again
            }
        };
        let result = match verdict {
            Verdict::Delivered => DeliveryResult::Delivered,
            Verdict::Again => DeliveryResult::Failed,
            Verdict::Parked => DeliveryResult::Parked,
        };
        metrics::counter!("coffer_webhook_deliveries_total", "result" => result.name())
            .increment(1);
        metrics::histogram!("coffer_webhook_delivery_seconds").record(sent.latency.as_secs_f64());
        let mut row = DeliveryRow {
            number: self.progress.next_number,
            event_seq: message.seq,
            event_id: message.id.clone(),
            event_type: message.kind.clone(),
            subject: message.subject.clone(),
            attempt: sent.attempt,
            result,
            status: None,
            latency_ms: u64::try_from(sent.latency.as_millis()).unwrap_or(u64::MAX),
            error: None,
            excerpt: None,
            at_ms: sent.at_ms,
        };
        self.note(&mut row, received, now);
        self.progress.next_number += 1;
        self.log.push(row);
        Ok(())
    }

    fn note(&mut self, row: &mut DeliveryRow, received: Received, now: i64) {
        match received {
            Received::Success { status } => {
                row.status = Some(status);
                self.last_success_at_ms = Some(now);
                self.last_error = None;
            }
            Received::Gone => {
                row.status = Some(410);
                row.error = Some("gone".to_owned());
            }
            Received::Failure {
                status,
                error,
                excerpt,
                pause_ms: _,
            } => {
                row.status = status;
                row.error = Some(error.to_owned());
                row.excerpt = excerpt;
                self.last_error = Some(match status {
                    Some(status) => format!("the answer's status is {status}"),
                    None => error.to_owned(),
                });
            }
        }
    }

    /// What is to be stored now, if that differs from what is.
    fn due_progress(&mut self) -> Result<Option<ProgressRow>, Error> {
        self.queue.settle();
        let health = self.queue.health();
        let next = ProgressRow {
            webhook: self.row.webhook.id,
            told_to: self.queue.told_to(),
            open_events: written(&self.queue.open_events())?,
            failing_since_ms: health.failing_since_ms,
            failures: health.failures,
            paused_until_ms: health.paused_until_ms,
            last_success_at_ms: self.last_success_at_ms,
            last_error: self.last_error.clone(),
            next_number: self.progress.next_number,
            moves: self.progress.moves,
        };
        let changed = !self.log.is_empty() || self.redelivery_moved || next != self.progress;
        Ok(changed.then(|| ProgressRow {
            moves: next.moves + 1,
            ..next
        }))
    }

    fn start_writing(&mut self, now: i64) -> Option<Writing> {
        let waited = now - self.written_at_ms;
        let due =
            waited >= WRITE_EVERY_MS || self.log.len() >= WRITE_AT_ROWS || self.ended.is_some();
        if !due {
            return None;
        }
        let progress = match self.due_progress() {
            Ok(Some(progress)) => progress,
            Ok(None) if waited < RENEW_EVERY_MS || self.ended.is_some() => return None,
            Ok(None) => ProgressRow {
                moves: self.progress.moves + 1,
                ..self.progress.clone()
            },
            Err(error) => return Some(Box::pin(async move { Err(error) })),
        };
        self.progress = progress.clone();
        self.written_at_ms = now;
        let report = Report {
            lease: self.lease,
            progress,
            log: std::mem::take(&mut self.log),
            redelivery: self.redelivery.clone().filter(|_| self.redelivery_moved),
        };
        self.redelivery_moved = false;
        let finished = |wanted: &Redelivery| wanted.looked_to >= wanted.last_seq;
        if self.redelivery.as_ref().is_some_and(finished) {
            self.redelivery = None;
        }
        let platform = self.platform.clone();
        Some(Box::pin(async move { platform.write_report(report).await }))
    }

    /// How long nothing can be due.
    fn nap(&self, now: i64) -> Duration {
        let mut wait = LOOK_EVERY_MS;
        if !self.log.is_empty() || self.redelivery_moved {
            wait = wait.min(self.written_at_ms + WRITE_EVERY_MS - now);
        }
        let has_room = self.queue.under_way() < self.row.webhook.limits.concurrency as usize;
        if let Some(wake) = self
            .queue
            .wake_at_ms(now)
            .filter(|_| has_room && self.ended.is_none())
        {
            wait = wait.min((wake - now).max(self.throttle.wait_ms()));
        }
        Duration::from_millis(u64::try_from(wait.max(1)).unwrap_or(1))
    }
}

/// The value of a future that may not be there, once; never, if it is not.
async fn ready<T>(future: &mut Option<Pin<Box<dyn Future<Output = T> + Send>>>) -> Option<T> {
    match future.as_mut() {
        Some(running) => {
            let value = running.await;
            *future = None;
            Some(value)
        }
        None => std::future::pending().await,
    }
}
