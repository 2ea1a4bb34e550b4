//! The background: chunks of batches, pools, hooks, the audit anchor, the database's upkeep, leftovers.

use std::sync::Arc;
use std::time::Duration;

use coffer_store::{SILENT_FOR, SilentHosts, StoreError, chunks};
use futures_util::FutureExt as _;
use tokio_util::sync::CancellationToken;

use crate::audit::Anchor;
use crate::batches::Worked;
use crate::transaction::transact;
use crate::{Error, Platform};

/// How long an idle worker waits before it looks again, should nobody have told it of work.
const IDLE: Duration = Duration::from_millis(500);
const AFTER_FAILURE: Duration = Duration::from_secs(1);
const ANCHOR_EVERY: Duration = Duration::from_secs(1);
const FOLD_EVERY: Duration = Duration::from_millis(100);
const LOOK_FOR_SILENT_EVERY: Duration = Duration::from_secs(3);
const GAUGE_POOLS_EVERY: Duration = Duration::from_secs(15);
const COLLECT_EVERY: Duration = Duration::from_secs(300);
const HOOKS_EVERY: Duration = Duration::from_millis(500);
/// An upload that has added nothing for this long is dead.
const ORPHAN_AFTER_MS: i64 = 60 * 60 * 1000;

#[derive(Debug, Clone, Copy)]
pub struct WorkerSettings {
    /// Chunks worked on at once; one per core and one more is right, since one of them waits for the database.
    pub parallel_chunks: usize,
}

impl Platform {
    /// Runs until `stop`; each worker ends what it has in hand.
    pub async fn run_workers(
        &self,
        settings: WorkerSettings,
        stop: CancellationToken,
    ) -> Result<(), Error> {
        transact!(self, tx, {
            Ok(chunks::release_leases(tx, &self.0.instance).await?)
        })?;
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..settings.parallel_chunks.max(1) {
            let (platform, stop) = (self.clone(), stop.clone());
            tasks.spawn(async move { platform.chunk_loop(stop).await });
        }
        let (platform, stop_pools) = (self.clone(), stop.clone());
        tasks.spawn(async move { platform.pool_loop(stop_pools).await });
        let (platform, stop_hooks) = (self.clone(), stop.clone());
        tasks.spawn(async move { platform.hook_loop(stop_hooks).await });
        let (platform, stop_collector) = (self.clone(), stop.clone());
        tasks.spawn(async move { platform.collector_loop(stop_collector).await });
        while let Some(ended) = tasks.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a background worker ended early");
            }
        }
        Ok(())
    }

    async fn chunk_loop(&self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let told = self.0.work.notified();
            let pause = match self.work_on_chunks(&stop).await {
                Ok(Worked::Chunks) => continue,
                Ok(Worked::Nothing) => IDLE,
                Err(error) => {
                    tracing::warn!(%error, "no chunk could be taken");
                    AFTER_FAILURE
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = told => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    async fn pool_loop(&self, stop: CancellationToken) {
        let mut gauge = tokio::time::interval(GAUGE_POOLS_EVERY);
        while !stop.is_cancelled() {
            if gauge.tick().now_or_never().is_some()
                && let Err(error) = self.gauge_pools().await
            {
                tracing::warn!(%error, "the pools' levels could not be counted");
            }
            let pause = match self.fill_pools().await {
                Ok(0) => IDLE,
                Ok(_) => continue,
                Err(error) => {
                    tracing::warn!(%error, "a pool could not be filled");
                    AFTER_FAILURE
                }
            };
            stop.run_until_cancelled(tokio::time::sleep(pause)).await;
        }
    }

    async fn hook_loop(&self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            match self.ask_hooks().await {
                Ok(0) => {}
                Ok(_) => continue,
                Err(error) => tracing::warn!(%error, "hooks could not be asked"),
            }
            stop.run_until_cancelled(tokio::time::sleep(HOOKS_EVERY))
                .await;
        }
    }

    async fn collector_loop(&self, stop: CancellationToken) {
        loop {
            let before = self.now_ms() - ORPHAN_AFTER_MS;
            let collected: Result<u64, Error> =
                transact!(self, tx, { Ok(chunks::collect_orphans(tx, before).await?) });
            match collected {
                Ok(0) => {}
                Ok(count) => tracing::info!(count, "chunks of dead uploads were removed"),
                Err(error) => tracing::warn!(%error, "chunks of dead uploads could not be removed"),
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(COLLECT_EVERY) => {}
            }
        }
    }

    /// Keeps SQLite's log from growing long, and hosts that fell silent from holding locks on PostgreSQL; every process
    /// does this.
    pub async fn run_database_upkeep(&self, stop: CancellationToken) {
        let mut silent_hosts = self.0.db.silent_hosts();
        while !stop.is_cancelled() {
            let (done, pause) = match &mut silent_hosts {
                None => (self.0.db.fold_log().await, FOLD_EVERY),
                Some(hosts) => (end_silent(hosts).await, LOOK_FOR_SILENT_EVERY),
            };
            let pause = match done {
                Ok(()) => pause,
                Err(error) => {
                    tracing::warn!(%error, "the database's upkeep failed");
                    AFTER_FAILURE
                }
            };
            stop.run_until_cancelled(tokio::time::sleep(pause)).await;
        }
    }

    /// Follows the audit chains, writes the anchor and the gauges, once a second; every process does this.
    pub async fn run_anchor(&self, stop: CancellationToken) {
        let mut written = Vec::new();
        loop {
            if let Err(error) = self.anchor_once(&mut written).await {
                tracing::warn!(%error, "the audit anchor could not be written");
            }
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(ANCHOR_EVERY) => {}
            }
        }
        if let Err(error) = self.anchor_once(&mut written).await {
            tracing::warn!(%error, "the audit anchor could not be written at the end");
        }
    }

    async fn anchor_once(
        &self,
        written: &mut Vec<(coffer_domain::id::OrganizationId, u64)>,
    ) -> Result<(), Error> {
        self.verify_chains().await?;
        let mut tx = self.0.db.read().await?;
        let (open, oldest) = chunks::queue(&mut tx).await?;
        let organizations = coffer_store::organizations::all(&mut tx).await?;
        drop(tx);
        let now = self.now_ms();
        metrics::gauge!("coffer_queue_chunks").set(open as f64);
        metrics::gauge!("coffer_queue_age_seconds")
            .set(oldest.map_or(0.0, |at| (now - at).max(0) as f64 / 1000.0));
        let mut anchors = Vec::new();
        let organizations_seen: Vec<_> = organizations.iter().map(|seen| seen.id).collect();
        for organization in organizations {
            let head = self.0.chains.head(organization.id);
            // A broken chain's head is not anchored: the anchor in place is the evidence.
            let sound = self.0.chains.check(organization.id).is_ok();
            metrics::gauge!("coffer_audit_broken").set(if sound { 0.0 } else { 1.0 });
            if !sound {
                return Ok(());
            }
            anchors.push(Anchor {
                organization: organization.id,
                seq: head.seq,
                hash: head.hash,
                at_ms: now,
            });
        }
        // An organization whose row was removed keeps its anchor: it is the evidence.
        let kept = self
            .0
            .anchor
            .read()
            .map_err(|error| Error::Internal(error.to_string()))?;
        anchors.extend(
            kept.into_iter()
                .filter(|kept| !organizations_seen.contains(&kept.organization)),
        );
        let heads: Vec<_> = anchors
            .iter()
            .map(|anchor| (anchor.organization, anchor.seq))
            .collect();
        if heads != *written {
            let file = Arc::new(self.0.anchor.clone());
            crate::blocking(move || file.write(&anchors))
                .await?
                .map_err(|error| Error::Internal(error.to_string()))?;
            *written = heads;
        }
        Ok(())
    }
}

async fn end_silent(hosts: &mut SilentHosts) -> Result<(), StoreError> {
    let ended = hosts.end_transactions(SILENT_FOR).await?;
    if ended > 0 {
        metrics::counter!("coffer_silent_transactions_ended_total").increment(ended);
        tracing::warn!(
            ended,
            "transactions whose host fell silent were ended, and their locks with them; look for a host that hangs or \
             that the network does not reach"
        );
    }
    Ok(())
}
