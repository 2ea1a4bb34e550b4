//! One round: the ledger's side from one snapshot, the chain's side at the same block, and the comparison.

use std::collections::HashMap;
use std::time::Duration;

use coffer_domain::address::AddressPayload;
use coffer_domain::asset::{Asset, AssetState};
use coffer_domain::block::BlockRef;
use coffer_domain::id::NetworkId;
use coffer_domain::ledger::{AccountKey, AccountKind, Net};
use coffer_domain::network::Network;
use coffer_domain::reconciliation::{Comparison, Reconciliation, ReconciliationState, compare};
use coffer_nodes::{ChainSource, NodeError};
use coffer_store::Tx;
use ruint::aliases::U256;

use super::Occasion;
use super::addresses::Targets;
use super::settle::Found;
use crate::transaction::reread;
use crate::{Caller, Error, Platform};

/// What differs is asked again after this pause, before it counts: a node that makes a block at this moment may
/// answer for the one before with the new one's state.
const AGAIN_AFTER: Duration = Duration::from_millis(300);

/// What the ledger says of one asset, in the order of the targets; `None` where there is no account.
struct Positions {
    asset: Asset,
    custody: Vec<Option<Net>>,
}

/// The ledger as it stands at a block.
struct LedgerSide {
    tip: BlockRef,
    positions: Vec<Positions>,
}

/// What came of a round.
pub(super) struct Round {
    pub(super) tip: BlockRef,
    pub(super) lines: Vec<Reconciliation>,
    /// Why an asset could not be compared; the others were.
    pub(super) failed: Option<Error>,
}

impl Platform {
    /// A round now, at the last block taken; answers a line per asset of the network.
    pub async fn reconcile_now(
        &self,
        caller: &Caller,
        network: NetworkId,
    ) -> Result<Vec<Reconciliation>, Error> {
        self.guard(caller.organization)?;
        let network = self.network(caller, network).await?;
        let round = self.round(&network, Occasion::Asked).await?;
        round.failed.map_or(Ok(round.lines), Err)
    }

    /// One round; what nodes could not serve is counted, whether it was one asset or all.
    pub(super) async fn round(
        &self,
        network: &Network,
        occasion: Occasion,
    ) -> Result<Round, Error> {
        let round = self.try_round(network, occasion).await;
        let abandoned = match &round {
            Ok(round) => round.failed.is_some(),
            Err(error) => matches!(error, Error::Nodes(_)),
        };
        if abandoned {
            let network = network.id.to_string();
            metrics::counter!("coffer_reconciliations_abandoned_total", "network" => network)
                .increment(1);
        }
        round
    }

    async fn try_round(&self, network: &Network, occasion: Occasion) -> Result<Round, Error> {
        let targets = self.targets(network).await?;
        let side = reread!(self.ledger_side(network, &targets))?;
        let source = self.source(network)?;
        let mut round = Round {
            tip: side.tip,
            lines: Vec::with_capacity(side.positions.len()),
            failed: None,
        };
        let now = self.now_ms();
        let upkeep = self
            .0
            .reconciling
            .with(network.id, |memory| memory.upkeep(occasion, now));
        for positions in side.positions {
            let compared = self
                .compare_asset(source.as_ref(), side.tip, &targets, positions)
                .await;
            let settled = match compared {
                Ok(found) => {
                    self.settle(network, &targets, found, (occasion, upkeep))
                        .await
                }
                Err(error) => Err(error),
            };
            match settled {
                Ok(line) => round.lines.push(line),
                // The block is gone for the other assets too.
                Err(error @ Error::Nodes(NodeError::BlockGone { .. })) => return Err(error),
                Err(error @ Error::Nodes(_)) => round.failed = Some(error),
                Err(other) => return Err(other),
            }
        }
        Ok(round)
    }

    async fn ledger_side(&self, network: &Network, targets: &Targets) -> Result<LedgerSide, Error> {
        let mut tx = self.0.db.read().await?;
        let progress = self.progress_in(&mut tx, network.id).await?;
        let tip = progress.tip.ok_or_else(|| {
            Error::StateConflict(format!("no block of {} was taken yet", network.id))
        })?;
        let mut positions = Vec::new();
        for asset in self.asset_rows(&mut tx, network).await? {
            if asset.state != AssetState::Disabled {
                let custody = self.custody(&mut tx, &asset, targets).await?;
                positions.push(Positions { asset, custody });
            }
        }
        Ok(LedgerSide { tip, positions })
    }

    /// The custody positions of the targets, each from a verified account.
    async fn custody(
        &self,
        tx: &mut Tx,
        asset: &Asset,
        targets: &Targets,
    ) -> Result<Vec<Option<Net>>, Error> {
        let ids: Vec<_> = targets
            .wallets
            .iter()
            .map(|wallet| {
                let key = AccountKey {
                    organization: asset.organization,
                    asset: asset.id,
                    kind: AccountKind::Custody,
                    wallet: Some(*wallet),
                };
                key.id()
            })
            .collect();
        let accounts = self
            .verified_accounts(tx, asset.organization, ids.clone())
            .await?;
        let position = |id| Some(accounts.get(id)?.head.balance.position());
        Ok(ids.iter().map(position).collect())
    }

    async fn compare_asset(
        &self,
        source: &dyn ChainSource,
        tip: BlockRef,
        targets: &Targets,
        positions: Positions,
    ) -> Result<Found, Error> {
        let Positions { asset, custody } = positions;
        let mut balances = read(source, tip, &asset, &targets.addresses).await?;
        let mut compared = comparison(targets, &custody, &balances);
        if compared.state() == ReconciliationState::Drift {
            tokio::time::sleep(AGAIN_AFTER).await;
            let differing: Vec<_> = compared.differences.iter().map(|one| one.address).collect();
            let again = read(source, tip, &asset, &differing).await?;
            let again: HashMap<_, _> = differing.into_iter().zip(again).collect();
            for (address, balance) in targets.addresses.iter().zip(&mut balances) {
                *balance = again.get(address).copied().unwrap_or(*balance);
            }
            compared = comparison(targets, &custody, &balances);
        }
        if compared.state() == ReconciliationState::Drift {
            confirm_block(source, tip).await?;
        }
        Ok(Found {
            asset,
            block: tip,
            comparison: compared,
            held: held(&custody, balances),
        })
    }
}

/// Balances at the end of a block, one per address.
async fn read(
    source: &dyn ChainSource,
    at: BlockRef,
    asset: &Asset,
    addresses: &[AddressPayload],
) -> Result<Vec<U256>, Error> {
    let balances = match addresses {
        [] => Vec::new(),
        addresses => source.balances(at, &asset.kind, addresses).await?,
    };
    if balances.len() == addresses.len() {
        return Ok(balances);
    }
    let text = format!("{} balances of {}", balances.len(), addresses.len());
    Err(Error::Internal(text))
}

fn comparison(targets: &Targets, custody: &[Option<Net>], balances: &[U256]) -> Comparison {
    let nothing = Net::of(U256::ZERO, U256::ZERO);
    let sides = custody.iter().zip(balances);
    let wallets = targets.wallets.iter().zip(&targets.addresses);
    compare(
        wallets
            .zip(sides)
            .map(|((wallet, address), (position, chain))| {
                (*wallet, *address, position.unwrap_or(nothing), *chain)
            }),
    )
}

/// Balances worth showing: of addresses that hold something or ever did.
fn held(custody: &[Option<Net>], balances: Vec<U256>) -> Vec<Option<U256>> {
    let worth = |(position, units): (&Option<Net>, U256)| {
        (position.is_some() || !units.is_zero()).then_some(units)
    };
    custody.iter().zip(balances).map(worth).collect()
}

/// A difference counts only on a block that k nodes still call theirs.
async fn confirm_block(source: &dyn ChainSource, block: BlockRef) -> Result<(), Error> {
    if source.agreed_hash(block.height).await? == Some(block.hash) {
        return Ok(());
    }
    Err(gone(block).into())
}

pub(super) fn gone(block: BlockRef) -> NodeError {
    NodeError::BlockGone {
        height: block.height,
        hash: block.hash,
    }
}
