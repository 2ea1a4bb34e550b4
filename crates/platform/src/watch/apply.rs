//! Taking a block: one transaction from its compare-and-set to its audit record.

use std::sync::Arc;
use std::time::Instant;

use coffer_domain::asset::{Asset, AssetState};
use coffer_domain::block::BlockHeight;
use coffer_domain::deposit::{Deposit, DepositState};
use coffer_domain::id::{AssetId, DepositId, NetworkId};
use coffer_domain::ledger::AccountKey;
use coffer_domain::movement::{COINBASE_MATURITY, ObservedBlock};
use coffer_domain::network::{Network, NetworkState};
use coffer_domain::sync::{self, Age, Change, Place, follows};
use coffer_nodes::WatchedAsset;
use coffer_store::blocks::{self, BlockRow};
use coffer_store::deposits::Detected;
use coffer_store::progress::Progress;
use coffer_store::{Tx, deposits as rows};
use serde_json::json;

use super::passed;
use super::store::{Planned, Record};
use super::verdicts::Owners;
use crate::seal::refused;
use crate::transaction::transact;
use crate::{Error, Platform};

/// Deposits that one block credits or finalizes at most, per asset; the rest come with the next one.
const MATURING_MAX: u32 = 5000;

/// A block that was fetched, and what it was searched for.
#[derive(Debug, Clone)]
pub(super) struct Ready {
    pub(super) block: ObservedBlock,
    /// The assets that were looked for.
    pub(super) assets: Arc<Vec<WatchedAsset>>,
    pub(super) owners: Owners,
    /// What k nodes call final.
    pub(super) finalized: Option<BlockHeight>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Applied {
    Took,
    /// What the block was fetched for is no more so: fetch it again.
    Stale(&'static str),
}

/// The assets that are looked for: those not taken off the list.
pub(crate) fn scope_of(assets: &[Asset]) -> Vec<WatchedAsset> {
    let listed = assets
        .iter()
        .filter(|asset| asset.state != AssetState::Disabled);
    watched_assets(listed)
}

/// As a source is told of them, in the order of their ids.
pub(super) fn watched_assets<'a>(assets: impl IntoIterator<Item = &'a Asset>) -> Vec<WatchedAsset> {
    let mut watched: Vec<_> = assets
        .into_iter()
        .map(|asset| WatchedAsset {
            id: asset.id,
            kind: asset.kind,
        })
        .collect();
    watched.sort_unstable_by_key(|asset| asset.id);
    watched
}

/// The assets whose breakers let deposits through.
fn creditable(assets: &[Asset]) -> Vec<AssetId> {
    let active = assets
        .iter()
        .filter(|asset| asset.state == AssetState::Active);
    active.map(|asset| asset.id).collect()
}

fn stale(
    network: &Network,
    progress: &Progress,
    assets: &[Asset],
    ready: &Ready,
) -> Option<&'static str> {
    let next = progress.tip.map(|tip| tip.height.next());
    if network.state != NetworkState::Active {
        Some("the network is paused or frozen")
    } else if !follows(progress.tip.as_ref(), ready.block.parent)
        || next.is_some_and(|next| next != ready.block.block.height)
    {
        Some("another process moved the network on")
    } else if scope_of(assets) != *ready.assets {
        Some("the list of assets was changed")
    } else {
        None
    }
}

/// How old deposits must be when the head is at `head`.
pub(super) fn age_at(network: &Network, head: BlockHeight, finalized: Option<BlockHeight>) -> Age {
    Age {
        head,
        confirmations: u64::from(network.settings.confirmations.get()),
        finalized,
    }
}

/// The highest height whose deposits have their confirmations.
fn confirmed_to(age: Age) -> Option<BlockHeight> {
    (age.head.0 + 1)
        .checked_sub(age.confirmations)
        .map(BlockHeight)
}

impl Platform {
    /// Takes the block, if it still follows the tip and was searched for what is on the lists now.
    pub(super) async fn apply_block(
        &self,
        network: NetworkId,
        ready: &Ready,
    ) -> Result<Applied, Error> {
        let started = Instant::now();
        let (applied, changed) = transact!(self, tx, { self.apply_in(tx, network, ready).await })?;
        if applied == Applied::Took {
            passed("block.after_commit")?;
            metrics::histogram!("coffer_block_seconds").record(started.elapsed());
            self.count_changes(network, &ready.block, &changed);
        }
        Ok(applied)
    }

    async fn apply_in(
        &self,
        tx: &mut Tx,
        id: NetworkId,
        ready: &Ready,
    ) -> Result<(Applied, Vec<Deposit>), Error> {
        let block = ready.block.block;
        let progress = self.lock_progress(tx, id).await?;
        let network = self.network_in(tx, id).await?;
        let assets = self.asset_rows(tx, &network).await?;
        if let Some(why) = stale(&network, &progress, &assets, ready) {
            return Ok((Applied::Stale(why), Vec::new()));
        }
        let finalized = sync::finalized(
            network.settings.finality,
            block.height,
            ready.finalized,
            progress.finalized,
        );
        let age = age_at(&network, block.height, finalized);
        let planned = self.plan(tx, (&network, &assets), ready, age).await?;
        let row = BlockRow {
            network: id,
            block,
            parent: ready.block.parent,
            unix_s: ready.block.unix_s,
            transactions: ready.block.transactions,
            logs: ready.block.logs,
            movements: u32::try_from(planned.included).unwrap_or(u32::MAX),
            root: ready.block.root,
            applied_at_ms: self.now_ms(),
        };
        blocks::insert(tx, &self.0.seals.seal(row)).await?;
        let spent = self
            .record_outputs(tx, id, &ready.block, (&ready.owners, &assets))
            .await?;
        self.move_progress(tx, progress, Some(block), finalized)
            .await?;
        let settled = self.settle_unconfirmed(tx, &network, &ready.block).await?;
        let record = match spent {
            0 => Record::of("block.applied", block),
            spent => Record::of("block.applied", block).with("outputs_spent", json!(spent)),
        };
        let record = record.settling(settled);
        let changed = self.store_planned(tx, &network, planned, record).await?;
        passed("block.before_commit")?;
        Ok((Applied::Took, changed))
    }

    /// What the block does: to its own deposits, and to those that have grown old enough with it.
    pub(super) async fn plan(
        &self,
        tx: &mut Tx,
        (network, assets): (&Network, &[Asset]),
        ready: &Ready,
        age: Age,
    ) -> Result<Planned, Error> {
        self.follow(tx, network.organization).await?;
        let place = Place {
            organization: network.organization,
            network: network.id,
            now_ms: self.now_ms(),
        };
        let movements = &ready.block.movements;
        let known = self.known_deposits(tx, network, ready).await?;
        let maturing = self.maturing(tx, network, assets, age).await?;
        let mut planned = Planned::over(known.iter().chain(&maturing));
        if known.is_empty() && maturing.is_empty() && movements.is_empty() {
            return Ok(planned);
        }
        let lists = (&ready.owners, assets);
        let attributions = self
            .attribute(tx, network.organization, lists, movements)
            .await?;
        let mut accounts: Vec<AccountKey> = known
            .iter()
            .chain(&maturing)
            .flat_map(Deposit::accounts)
            .collect();
        accounts.extend(attributions.accounts(network.organization));
        let mut book = self
            .book_of(tx, network.organization, accounts, &maturing)
            .await?;
        let known = known.into_iter().map(|own| (own.id, own)).collect();
        let attribute = |movement: &_| attributions.of(movement);
        let included = sync::include(place, &ready.block, known, &attribute, &mut book)?;
        planned.included = included.deposits.len();
        let candidates: Vec<_> = maturing
            .into_iter()
            .chain(included.deposits.iter().cloned())
            .collect();
        let active = creditable(assets);
        let may_credit = |deposit: &Deposit| active.contains(&deposit.asset);
        let matured = sync::mature(candidates, age, &may_credit, place.now_ms, &mut book)?;
        for Change { deposits, posted } in [included, matured] {
            planned.change.deposits.extend(deposits);
            planned.change.posted.extend(posted);
        }
        Ok(planned)
    }

    /// The deposits of the block's movements that exist already: retracted ones that come again.
    async fn known_deposits(
        &self,
        tx: &mut Tx,
        network: &Network,
        ready: &Ready,
    ) -> Result<Vec<Deposit>, Error> {
        let ids: Vec<DepositId> = ready
            .block
            .movements
            .iter()
            .filter(|movement| ready.owners.contains_key(&movement.to))
            .map(|movement| DepositId::of(network.id, &movement.id, &movement.to))
            .collect();
        let found = rows::by_ids(tx, &ids).await?;
        let known = self.open_deposits(tx, found).await?;
        // The block is not on record, so nothing of it may be; else a row was moved or removed.
        match known
            .iter()
            .find(|deposit| deposit.state != DepositState::Retracted)
        {
            Some(deposit) => Err(refused(format!("{}, included twice", deposit.id))),
            None => Ok(known),
        }
    }

    /// Older deposits that this head credits or finalizes.
    async fn maturing(
        &self,
        tx: &mut Tx,
        network: &Network,
        assets: &[Asset],
        age: Age,
    ) -> Result<Vec<Deposit>, Error> {
        let active = creditable(assets);
        let coinbase = Age {
            confirmations: age.confirmations.max(COINBASE_MATURITY),
            ..age
        };
        let detected = Detected {
            others: confirmed_to(age),
            coinbases: confirmed_to(coinbase),
        };
        let detected = (detected, &active[..]);
        let found = rows::open(tx, network.id, detected, age.finalized, MATURING_MAX).await?;
        self.open_deposits(tx, found).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn confirmations_count_the_block_itself() {
        let age = |head, confirmations| Age {
            head: BlockHeight(head),
            confirmations,
            finalized: None,
        };
        assert_eq!(confirmed_to(age(10, 1)), Some(BlockHeight(10)));
        assert_eq!(confirmed_to(age(10, 3)), Some(BlockHeight(8)));
        assert_eq!(confirmed_to(age(1, 3)), None);
    }
}
