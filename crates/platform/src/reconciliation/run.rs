//! The background: a task per network that compares whenever a block was taken.

use std::collections::HashMap;
use std::time::Duration;

use coffer_domain::id::NetworkId;
use coffer_domain::network::NetworkState;
use coffer_domain::reconciliation::Reconciliation;
use coffer_store::progress;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::Occasion;
use crate::{Error, Platform};

/// How often the list of networks is read again.
const NETWORKS_EVERY: Duration = Duration::from_secs(1);
/// How often a network is looked at for a new block. One look is one row by its key.
const LOOK_EVERY: Duration = Duration::from_millis(250);
const AFTER_FAILURE: Duration = Duration::from_secs(2);

impl Platform {
    /// Reconciles every network until `stop`. Several processes may: they say the same twice.
    pub async fn run_reconciler(&self, stop: CancellationToken) -> Result<(), Error> {
        let mut tasks: HashMap<NetworkId, JoinHandle<()>> = HashMap::new();
        while !stop.is_cancelled() {
            match self.networks_now().await {
                Ok(networks) => {
                    for network in networks {
                        if tasks.get(&network.id).is_none_or(JoinHandle::is_finished) {
                            let (platform, stop) = (self.clone(), stop.clone());
                            let task =
                                async move { platform.reconcile_loop(network.id, stop).await };
                            tasks.insert(network.id, tokio::spawn(task));
                        }
                    }
                }
                Err(error) => tracing::warn!(%error, "the networks could not be read"),
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(NETWORKS_EVERY) => {}
            }
        }
        for (network, task) in tasks {
            if let Err(error) = task.await {
                tracing::error!(%network, %error, "a reconciler ended early");
            }
        }
        Ok(())
    }

    async fn reconcile_loop(&self, network: NetworkId, stop: CancellationToken) {
        let mut told = String::new();
        while !stop.is_cancelled() {
            let step = tokio::select! {
                () = stop.cancelled() => return,
                step = self.reconcile_once(network) => step,
            };
            let pause = match step {
                Ok(_) => {
                    told.clear();
                    LOOK_EVERY
                }
                Err(error) => {
                    let why = error.to_string();
                    if why != told {
                        tracing::warn!(%network, why, "a reconciliation was abandoned");
                        told = why;
                    }
                    AFTER_FAILURE
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// A round, if a block was taken since the last one; `None` if there is nothing to compare. An asset that
    /// could not be compared is an error, and the next call tries again.
    pub async fn reconcile_once(
        &self,
        network: NetworkId,
    ) -> Result<Option<Vec<Reconciliation>>, Error> {
        let mut tx = self.0.db.read().await?;
        // Only a hint that there is work: the round reads and verifies it anew.
        let stored = progress::by_network(&mut tx, network).await?;
        let Some(tip) = stored.and_then(|stored| stored.value.tip) else {
            return Ok(None);
        };
        let done = self.0.reconciling.with(network, |memory| memory.done);
        let behind = done.map_or(0, |done| tip.height.0.saturating_sub(done.height.0));
        metrics::gauge!("coffer_reconciliation_lag_blocks", "network" => network.to_string())
            .set(behind as f64);
        if done == Some(tip) {
            return Ok(None);
        }
        let network = self.network_in(&mut tx, network).await?;
        drop(tx);
        if network.state != NetworkState::Active {
            return Ok(None);
        }
        let round = self.round(&network, Occasion::Block).await?;
        if let Some(error) = round.failed {
            return Err(error);
        }
        self.0
            .reconciling
            .with(network.id, |memory| memory.done = Some(round.tip));
        Ok(Some(round.lines))
    }
}
