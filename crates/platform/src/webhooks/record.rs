//! Writing down what was sent: the log, the place, the open events and a redelivery's place, in one transaction under
//! the lease.

use std::time::Duration;

use coffer_store::webhook_deliveries::{self as log, DeliveryRow};
use coffer_store::webhook_progress::{self, Lease, ProgressRow};
use coffer_store::webhook_redeliveries::{self, Redelivery};
use coffer_store::{Sealed, Tx};

use crate::seal::refused;
use crate::transaction::transact;
use crate::watch::passed;
use crate::{Error, Platform};

/// How long a webhook is held without a sign of life.
pub(super) const LEASE_MS: i64 = 15_000;
/// Rows of the log that are kept of one webhook, parked ones apart,
const LOG_ROWS_MAX: u64 = 100_000;
/// and for how long.
const LOG_MS: i64 = 7 * 24 * 60 * 60 * 1000;
const AFTER_FAILURE: Duration = Duration::from_millis(500);

/// What is written at once.
pub(super) struct Report {
    pub(super) lease: Lease,
    /// As it is after this, with the move after the one stored.
    pub(super) progress: ProgressRow,
    pub(super) log: Vec<DeliveryRow>,
    pub(super) redelivery: Option<Redelivery>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    Done,
    /// Another process has the webhook now, or it was changed: nothing was written.
    LeaseLost,
}

impl Platform {
    /// Writes until it is written, the lease is lost or the data is refused: what was sent cannot be unsent, so a
    /// database that is away is waited for.
    pub(super) async fn write_report(&self, report: Report) -> Result<Written, Error> {
        let progress = self.0.seals.seal(report.progress.clone());
        let redelivery = report.redelivery.clone();
        let redelivery = redelivery.map(|redelivery| self.0.seals.seal(redelivery));
        loop {
            match self
                .try_write(&report, &progress, redelivery.as_ref())
                .await
            {
                Err(error) if error.is_transient() => {
                    tracing::warn!(webhook = %report.lease.webhook, %error, "deliveries wait to be written down");
                    tokio::time::sleep(AFTER_FAILURE).await;
                }
                other => return other,
            }
        }
    }

    async fn try_write(
        &self,
        report: &Report,
        progress: &Sealed<ProgressRow>,
        redelivery: Option<&Sealed<Redelivery>>,
    ) -> Result<Written, Error> {
        let webhook = report.lease.webhook;
        let written = transact!(self, tx, {
            let until = self.now_ms() + LEASE_MS;
            if !webhook_progress::renew(tx, report.lease, until).await? {
                return Ok(Written::LeaseLost);
            }
            if !webhook_progress::update(tx, progress, report.lease.fence).await? {
                return self.explain(tx, progress).await;
            }
            log::insert(tx, webhook, &report.log).await?;
            if let Some(redelivery) = redelivery {
                keep_place(tx, redelivery).await?;
            }
            self.trim_log(tx, report).await?;
            passed("webhook.before_commit")?;
            Ok(Written::Done)
        })?;
        passed("webhook.after_commit")?;
        Ok(written)
    }

    /// The lease is ours and the row is not at the move before: it was written already, by a commit whose answer was
    /// lost, or somebody put an older row back.
    async fn explain(&self, tx: &mut Tx, progress: &Sealed<ProgressRow>) -> Result<Written, Error> {
        let id = progress.value.webhook;
        let stored = webhook_progress::by_id(tx, id).await?;
        match stored {
            Some(stored) if stored == *progress => Ok(Written::Done),
            _ => Err(refused(format!("the progress of {id}"))),
        }
    }

    /// As much as this report adds, so that the log does not grow beyond its bounds.
    async fn trim_log(&self, tx: &mut Tx, report: &Report) -> Result<(), Error> {
        let limit = u32::try_from(report.log.len() * 2)
            .unwrap_or(u32::MAX)
            .max(100);
        let keep_from = report.progress.next_number.saturating_sub(LOG_ROWS_MAX);
        let older_than = self.now_ms() - LOG_MS;
        log::trim(tx, report.lease.webhook, (keep_from, older_than), limit).await?;
        Ok(())
    }
}

async fn keep_place(tx: &mut Tx, redelivery: &Sealed<Redelivery>) -> Result<(), Error> {
    if redelivery.value.looked_to >= redelivery.value.last_seq {
        webhook_redeliveries::remove(tx, redelivery.value.id).await?;
    } else {
        webhook_redeliveries::moved(tx, redelivery).await?;
    }
    Ok(())
}
