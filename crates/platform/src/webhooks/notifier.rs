//! The notifier: sees to it that every enabled webhook is delivered by exactly one process.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use coffer_domain::id::WebhookId;
use coffer_domain::webhook::WebhookState;
use coffer_store::organizations;
use coffer_store::webhooks::WebhookRow;
use coffer_store::{webhook_deliveries, webhook_progress};
use tokio::task::{Id, JoinSet};
use tokio_util::sync::CancellationToken;

use super::deliver::{Delivery, Ended};
use super::record::LEASE_MS;
use crate::transaction::{reread, transact};
use crate::watch::passed;
use crate::{Error, Platform, clock};

const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A webhook that could not be delivered for a reason of ours is taken up again after this time.
const AFTER_FAILURE_MS: i64 = 5_000;

/// A webhook in this process's hands.
struct Running {
    version: u32,
    stop: CancellationToken,
    task: Id,
}

struct Notifier {
    platform: Platform,
    /// Of this run of this process.
    owner: [u8; 16],
    running: HashMap<WebhookId, Running>,
    tasks: JoinSet<(WebhookRow, Result<Ended, Error>)>,
    count: Arc<AtomicUsize>,
    not_before_ms: HashMap<WebhookId, i64>,
}

impl Platform {
    /// Delivers webhooks until `stop`; what is under way then is waited for.
    pub async fn run_notifier(&self, stop: CancellationToken) -> Result<(), Error> {
        let mut notifier = Notifier {
            platform: self.clone(),
            owner: clock::random(self.0.entropy.as_ref())?,
            running: HashMap::new(),
            tasks: JoinSet::new(),
            count: Arc::default(),
            not_before_ms: HashMap::new(),
        };
        while !stop.is_cancelled() {
            let changed = self.0.webhooks_changed.notified();
            if let Err(error) = notifier.look(&stop).await {
                tracing::warn!(%error, "webhooks could not be looked at");
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = changed => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
                Some(ended) = notifier.tasks.join_next_with_id(), if !notifier.tasks.is_empty() => {
                    notifier.ended(ended).await;
                }
            }
        }
        while let Some(ended) = notifier.tasks.join_next_with_id().await {
            notifier.ended(ended).await;
        }
        Ok(())
    }

    async fn enabled_webhooks(&self) -> Result<Vec<WebhookRow>, Error> {
        let organizations = organizations::all(&mut self.0.db.read().await?).await?;
        let mut found = Vec::new();
        for organization in organizations {
            if self.guard(organization.id).is_err() {
                continue;
            }
            match reread!(self.try_enabled(&organization.id)) {
                Ok(rows) => found.extend(rows),
                // Said and counted where it was refused; other organizations go on.
                Err(Error::Integrity { .. } | Error::AuditBroken { .. }) => {}
                Err(other) => return Err(other),
            }
        }
        Ok(found)
    }

    async fn try_enabled(
        &self,
        organization: &coffer_domain::id::OrganizationId,
    ) -> Result<Vec<WebhookRow>, Error> {
        let head = self.event_head(*organization).await?;
        let mut tx = self.0.db.read().await?;
        let mut enabled = Vec::new();
        for row in self.webhook_rows(&mut tx, *organization).await? {
            match self.show_webhook(&mut tx, &row, head).await {
                Ok(()) if row.webhook.state == WebhookState::Enabled => enabled.push(row),
                // A progress that was edited stops its own webhook alone.
                Ok(()) | Err(Error::Integrity { .. }) => {}
                Err(other) => return Err(other),
            }
        }
        Ok(enabled)
    }

    async fn show_webhook(
        &self,
        tx: &mut coffer_store::Tx,
        row: &WebhookRow,
        head: u64,
    ) -> Result<(), Error> {
        let id = row.webhook.id;
        let progress = self.progress_row(tx, id).await?;
        let open = super::rows::open_events(&progress)?.len();
        let gauge = |name: &'static str, value: f64| {
            metrics::gauge!(name, "webhook" => id.to_string()).set(value);
        };
        let disabled = row.webhook.state != WebhookState::Enabled;
        let failing = progress.failing_since_ms.is_some() && !disabled;
        gauge("coffer_webhook_disabled", f64::from(u8::from(disabled)));
        gauge("coffer_webhook_failing", f64::from(u8::from(failing)));
        gauge(
            "coffer_webhook_lag_events",
            float(head.saturating_sub(progress.told_to)),
        );
        gauge("coffer_webhook_open_events", float(open as u64));
        Ok(())
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a gauge is a float; counts of events stay below 2^53"
)]
fn float(value: u64) -> f64 {
    value as f64
}

impl Notifier {
    /// Takes up webhooks that nobody delivers, and lets go of those that were changed.
    async fn look(&mut self, stop: &CancellationToken) -> Result<(), Error> {
        let enabled = self.platform.enabled_webhooks().await?;
        for (id, running) in &self.running {
            let same =
                |row: &WebhookRow| row.webhook.id == *id && row.webhook.version == running.version;
            if !enabled.iter().any(same) {
                running.stop.cancel();
            }
        }
        let now = self.platform.now_ms();
        for row in enabled {
            let id = row.webhook.id;
            let rests = self
                .not_before_ms
                .get(&id)
                .is_some_and(|until| now < *until);
            if !rests && !self.running.contains_key(&id) && !stop.is_cancelled() {
                self.take_up(row, stop).await?;
            }
        }
        Ok(())
    }

    async fn take_up(&mut self, row: WebhookRow, stop: &CancellationToken) -> Result<(), Error> {
        let (id, owner) = (row.webhook.id, self.owner);
        let platform = self.platform.clone();
        let claimed = transact!(platform, tx, {
            let now = platform.now_ms();
            let claimed = webhook_progress::claim(tx, id, &owner, (now, now + LEASE_MS)).await?;
            let logged = webhook_deliveries::last_number(tx, id).await?;
            Ok(claimed.map(|(lease, sealed)| (lease, sealed, logged)))
        })?;
        let Some((lease, sealed, logged)) = claimed else {
            return Ok(());
        };
        passed("webhook.claimed")?;
        let delivery = platform
            .open_webhook_progress(sealed)
            .and_then(|mut progress| {
                // Of a progress put back the numbers in the log are taken already.
                progress.next_number = progress.next_number.max(logged + 1);
                let held = (lease, progress);
                Delivery::new(&platform, row.clone(), held, Arc::clone(&self.count))
            });
        let delivery = match delivery {
            Ok(delivery) => delivery,
            Err(error) => {
                self.rest(&row, &error);
                return Ok(());
            }
        };
        let (version, stop) = (row.webhook.version, stop.child_token());
        let until = stop.clone();
        self.count.fetch_add(1, Ordering::Relaxed);
        let handle = self.tasks.spawn(async move {
            let ended = delivery.run(until).await;
            (row, ended)
        });
        let task = handle.id();
        self.running.insert(
            id,
            Running {
                version,
                stop,
                task,
            },
        );
        Ok(())
    }

    fn rest(&mut self, row: &WebhookRow, error: &Error) {
        tracing::warn!(webhook = %row.webhook.id, %error, "a webhook cannot be delivered");
        let until = self.platform.now_ms() + AFTER_FAILURE_MS;
        self.not_before_ms.insert(row.webhook.id, until);
    }

    async fn ended(
        &mut self,
        ended: Result<(Id, (WebhookRow, Result<Ended, Error>)), tokio::task::JoinError>,
    ) {
        self.count.fetch_sub(1, Ordering::Relaxed);
        let (task, outcome) = match ended {
            Ok((task, outcome)) => (task, Some(outcome)),
            Err(error) => {
                tracing::error!(%error, "delivering a webhook ended early");
                (error.id(), None)
            }
        };
        self.running.retain(|_, running| running.task != task);
        let Some((row, outcome)) = outcome else {
            return;
        };
        let reason = match outcome {
            Ok(Ended::Stopped | Ended::LeaseLost) => return,
            Ok(Ended::Gone) => "the receiver answered 410 Gone",
            Ok(Ended::Hopeless) => "nothing could be delivered for three days",
            Err(error) => return self.rest(&row, &error),
        };
        let webhook = &row.webhook;
        let disabled = self
            .platform
            .disable_by_itself(webhook.organization, webhook.id, reason);
        if let Err(error) = disabled.await {
            self.rest(&row, &error);
        }
    }
}
