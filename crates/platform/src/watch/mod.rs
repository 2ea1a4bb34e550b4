//! Following the chains: one loop per network, one transaction per block.
//!
//! Guarantees: a block is taken only when k nodes agree on its hash and it names the last block taken as its
//! parent, and undone only when they agree on another one at its height; block, deposits, ledger and progress
//! commit together, so a process killed anywhere goes on where the last commit ended; two processes that
//! follow one network get in each other's way and no further, since progress moves by compare-and-set. An
//! address is watched before it is issued: how many indexes a vault has given away is read after a block's
//! hash is known and before the block is searched. With too few nodes nothing is taken; a reorganization that
//! reaches below finality undoes nothing and freezes the network.
//! What is stored is believed as far as its seal goes. That a row is the latest of its object is shown by the
//! links of the blocks, by the tip's hash, and for deposits by the ledger, which posts a source once.
//! The audit chain has a record for each block that changed a deposit and for each that was undone. A block in
//! which nothing of ours happened leaves its coverage record alone: on a fast chain the audit would else
//! drown in records that say nothing, and the coverage record is sealed and linked by itself.
//! Deliberately not here: what nodes say and how it is verified (`coffer-nodes`), which step comes next
//! (`coffer_domain::sync`), and reconciliation.
//! Cost: at the tip three questions to k nodes and a block per block; while catching up blocks are fetched
//! ahead, a bounded number at once.

mod addresses;
mod apply;
mod coverage;
mod follow;
mod outputs;
mod records;
mod rescan;
mod set;
mod siphash;
mod store;
mod undo;
mod verdicts;

use std::collections::HashMap;
use std::time::Duration;

use coffer_domain::block::BlockRef;
use coffer_domain::id::NetworkId;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) use addresses::WatchedSets;
pub(crate) use apply::scope_of;
pub use coffer_store::rescans::Rescan;
pub use coverage::CoveredBlock;
pub(crate) use coverage::Verified;
pub use set::{Full, Place, WatchedSet};
pub(crate) use verdicts::Owners;

use crate::{Error, Platform};
use follow::Follower;

/// How often the list of networks is read again.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long a network that is paused or frozen, or whose step failed, is left alone.
const AFTER_FAILURE: Duration = Duration::from_secs(1);
const AFTER_RACE: Duration = Duration::from_millis(20);

#[derive(Debug, Clone, Copy)]
pub struct WatcherSettings {
    /// Blocks of one network fetched ahead while catching up.
    pub blocks_ahead: usize,
}

impl Default for WatcherSettings {
    fn default() -> Self {
        Self { blocks_ahead: 64 }
    }
}

/// What one step of following a network did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Followed {
    Took(BlockRef),
    Undid(BlockRef),
    /// Nothing can be done now, and why.
    Waiting(String),
    /// Two people must resume the network.
    Frozen,
    /// The chain has not grown.
    Idle,
}

impl Platform {
    /// Follows every network until `stop`. Several processes may: each block is taken by one of them.
    pub async fn run_watcher(
        &self,
        settings: WatcherSettings,
        stop: CancellationToken,
    ) -> Result<(), Error> {
        let mut tasks: HashMap<NetworkId, JoinHandle<()>> = HashMap::new();
        while !stop.is_cancelled() {
            match self.networks_now().await {
                Ok(networks) => {
                    for network in networks {
                        let ended = tasks.get(&network.id).is_none_or(JoinHandle::is_finished);
                        if ended {
                            let (platform, stop) = (self.clone(), stop.clone());
                            let both = async move {
                                tokio::join!(
                                    platform.follow_loop(network.id, settings, &stop),
                                    platform.rescan_loop(network.id, &stop),
                                    platform.mempool_loop(network.id, &stop),
                                );
                            };
                            tasks.insert(network.id, tokio::spawn(both));
                        }
                    }
                }
                Err(error) => tracing::warn!(%error, "the networks could not be read"),
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
        for (network, task) in tasks {
            if let Err(error) = task.await {
                tracing::error!(%network, %error, "a watcher ended early");
            }
        }
        Ok(())
    }

    /// One step of one network, with nothing fetched ahead.
    pub async fn follow_once(&self, network: NetworkId) -> Result<Followed, Error> {
        Follower::new(network, 1).step(self).await
    }

    async fn follow_loop(
        &self,
        network: NetworkId,
        settings: WatcherSettings,
        stop: &CancellationToken,
    ) {
        let mut follower = Follower::new(network, settings.blocks_ahead.max(1));
        let mut told = String::new();
        while !stop.is_cancelled() {
            // A step that is left half-way has committed or not; either way the next one finds out.
            let step = tokio::select! {
                () = stop.cancelled() => return,
                step = follower.step(self) => step,
            };
            let pause = match step {
                Ok(Followed::Took(_) | Followed::Undid(_)) => {
                    told.clear();
                    continue;
                }
                Ok(Followed::Idle) => {
                    told.clear();
                    follower.poll_interval()
                }
                Ok(Followed::Frozen) => AFTER_FAILURE,
                Ok(Followed::Waiting(why)) => {
                    tell_once(&mut told, network, why);
                    follower.poll_interval()
                }
                // Something changed between two reads; the next step sees it whole.
                Err(Error::Contended(_)) => {
                    follower.start_over();
                    AFTER_RACE
                }
                Err(error) => {
                    follower.start_over();
                    tell_once(&mut told, network, error.to_string());
                    AFTER_FAILURE
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = follower.hint() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    async fn rescan_loop(&self, network: NetworkId, stop: &CancellationToken) {
        let mut told = String::new();
        while !stop.is_cancelled() {
            let step = tokio::select! {
                () = stop.cancelled() => return,
                step = self.rescan_once(network) => step,
            };
            match step {
                Ok(true) => continue,
                Ok(false) => told.clear(),
                Err(error) => tell_once(&mut told, network, format!("rescan: {error}")),
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(AFTER_FAILURE) => {}
            }
        }
    }
}

/// The same reason is logged once, not at every poll.
pub(crate) fn tell_once(told: &mut String, network: NetworkId, why: String) {
    if *told != why {
        tracing::warn!(%network, why, "a network waits");
        *told = why;
    }
}

/// Passes a failpoint; `error` there becomes a database that cannot be reached.
pub(crate) fn passed(name: &'static str) -> Result<(), Error> {
    match coffer_failpoint::hit(name, "") {
        coffer_failpoint::Outcome::Continue => Ok(()),
        coffer_failpoint::Outcome::Fail => Err(Error::StoreUnavailable("failpoint".to_owned())),
    }
}
