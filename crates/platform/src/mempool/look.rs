//! One look: what is asked, of whom, and the transaction that stores what it found.

use std::time::Duration;

use coffer_domain::block::BlockRef;
use coffer_domain::chain::ChainFamily;
use coffer_domain::id::{DepositId, NetworkId};
use coffer_domain::network::{Network, NetworkState};
use coffer_domain::unconfirmed::{Sight, Unconfirmed};
use coffer_nodes::{NodeError, Pooled, Scope, Tracked};
use coffer_store::{Tx, unconfirmed as rows};
use serde_json::json;

use super::Looked;
use super::plan::Planned;
use crate::audit::{Changes, Entry, append};
use crate::transaction::transact;
use crate::watch::{Owners, passed, scope_of};
use crate::{Error, Platform};

/// How long an evicted one is still asked about: what took its inputs may become known later than that it went.
const EVICTED_ASKED_FOR: Duration = Duration::from_secs(3600);
/// Asked about in one look.
const TRACKED_MAX: u32 = 12_000;
/// How long an ended one stays: as long as nodes keep what waits for a block.
const ENDED_KEPT: Duration = Duration::from_secs(14 * 24 * 3600);
const ENDED_MAX: u64 = 100_000;
/// Removed with one change.
const SWEPT_MAX: u32 = 1000;

/// What the mempools said while a block was our tip.
pub(super) struct Look {
    pub(super) tip: BlockRef,
    pub(super) found: Vec<Pooled>,
    pub(super) owners: Owners,
    pub(super) sights: Vec<(DepositId, Sight)>,
    unread: usize,
}

/// What is known before the nodes are asked.
struct Stand {
    network: Network,
    tip: Option<BlockRef>,
    tracked: Vec<Unconfirmed>,
}

impl Platform {
    pub(super) async fn look_at(&self, id: NetworkId) -> Result<(Network, Looked), Error> {
        let stand = self.mempool_stand(id).await?;
        self.guard(stand.network.organization)?;
        let waiting = |why: &str| Looked::Waiting(why.to_owned());
        let looked = match (stand.network.state, stand.tip) {
            (NetworkState::Paused | NetworkState::Frozen, _) => {
                waiting("the network is paused or frozen")
            }
            (NetworkState::Active, None) => waiting("no block was taken yet"),
            (NetworkState::Active, Some(tip)) => match self.ask_mempools(&stand, tip).await {
                Ok(Some(look)) => self.take_look(id, &look).await?,
                Ok(None) => Looked::Unsupported,
                Err(Error::Nodes(
                    error @ (NodeError::Elsewhere { .. } | NodeError::NoQuorum { .. }),
                )) => Looked::Waiting(error.to_string()),
                Err(error) => return Err(error),
            },
        };
        Ok((stand.network, looked))
    }

    async fn mempool_stand(&self, id: NetworkId) -> Result<Stand, Error> {
        let mut tx = self.0.db.read().await?;
        let network = self.network_in(&mut tx, id).await?;
        let tip = self.progress_in(&mut tx, id).await?.tip;
        let since = self.now_ms() - millis(EVICTED_ASKED_FOR);
        let found = rows::tracked(&mut tx, id, since, TRACKED_MAX).await?;
        let mut tracked = self.good_unconfirmed(found);
        tracked.retain(|one| one.network == id);
        Ok(Stand {
            network,
            tip,
            tracked,
        })
    }

    async fn ask_mempools(&self, stand: &Stand, tip: BlockRef) -> Result<Option<Look>, Error> {
        let network = &stand.network;
        let source = self.source(network)?;
        let mut tx = self.0.db.read().await?;
        let assets = scope_of(&self.asset_rows(&mut tx, network).await?);
        drop(tx);
        let family = network.chain.family().unwrap_or(ChainFamily::Evm);
        let watched = self.extend_watching(network.organization, family).await?;
        let scope = Scope {
            assets: &assets,
            watched: &watched,
        };
        let asked: Vec<Tracked> = stand
            .tracked
            .iter()
            .map(|one| Tracked {
                transaction: one.movement.transaction,
                inputs: one.inputs.clone(),
            })
            .collect();
        let Some(mempool) = source.mempool(tip, &scope, &asked).await? else {
            return Ok(None);
        };
        metrics::gauge!("coffer_mempool_unread", "network" => network.id.to_string())
            .set(f64::from(u32::try_from(mempool.unread).unwrap_or(u32::MAX)));
        let movements: Vec<_> = mempool
            .found
            .iter()
            .flat_map(|one| one.movements.iter().cloned())
            .collect();
        let owners = self.owners(&watched, &movements).await?;
        let ids = stand.tracked.iter().map(|one| one.id);
        Ok(Some(Look {
            tip,
            found: mempool.found,
            owners,
            sights: ids.zip(mempool.sights).collect(),
            unread: mempool.unread,
        }))
    }

    /// Stores what a look found, if the block beside which it was found is still the tip.
    async fn take_look(&self, id: NetworkId, look: &Look) -> Result<Looked, Error> {
        let mut tx = self.0.db.read().await?;
        let network = self.network_in(&mut tx, id).await?;
        // Most looks find nothing new, and need no lock for it.
        let planned = self.plan_look(&mut tx, &network, look).await?;
        drop(tx);
        planned.report(id);
        let unread = look.unread;
        if planned.is_empty() {
            return Ok(Looked::Seen { changed: 0, unread });
        }
        let changed = transact!(self, tx, { self.take_look_in(tx, id, look).await })?;
        passed("mempool.after_commit")?;
        Ok(match changed {
            Some(changed) => Looked::Seen { changed, unread },
            None => Looked::Waiting("the network moved on, or was stopped".to_owned()),
        })
    }

    async fn take_look_in(
        &self,
        tx: &mut Tx,
        id: NetworkId,
        look: &Look,
    ) -> Result<Option<usize>, Error> {
        let progress = self.lock_progress(tx, id).await?;
        let network = self.network_in(tx, id).await?;
        if progress.tip != Some(look.tip) || network.state != NetworkState::Active {
            return Ok(None);
        }
        self.follow(tx, network.organization).await?;
        let Planned { changed, .. } = self.plan_look(tx, &network, look).await?;
        if changed.is_empty() {
            return Ok(Some(0));
        }
        let stored = self.store_unconfirmed(tx, &network, changed).await?;
        let before = self.now_ms() - millis(ENDED_KEPT);
        rows::sweep(tx, id, before, (ENDED_MAX, SWEPT_MAX)).await?;
        let entry = Entry {
            organization: network.organization,
            at_ms: self.now_ms(),
            actor: "system",
            action: "mempool.seen",
            object: id.to_string(),
            changes: Changes::default(),
            data: json!({
                "tip": { "height": look.tip.height.0, "hash": look.tip.hash.to_string() },
                "unconfirmed": stored.said(),
            }),
            events: self.unconfirmed_told(tx, &network, &stored.rows).await?,
        };
        append(tx, &self.0.seals, entry).await?;
        passed("mempool.before_commit")?;
        Ok(Some(stored.rows.len()))
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
