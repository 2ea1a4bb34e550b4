//! One round: the ledger's side from one snapshot, the chain's side at the same block, and the comparison.

use std::collections::HashMap;
use std::time::Duration;

use coffer_domain::address::AddressPayload;
use coffer_domain::asset::{Asset, AssetState};
use coffer_domain::block::BlockRef;
use coffer_domain::chain::ChainFamily;
use coffer_domain::id::{NetworkId, WalletId};
use coffer_domain::ledger::{AccountKey, AccountKind, Net};
use coffer_domain::network::Network;
use coffer_domain::reconciliation::{Comparison, Reconciliation, ReconciliationState, compare};
use coffer_nodes::{ChainSource, NodeError};
use coffer_store::{Tx, outputs};
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
    /// What our own record of unspent outputs says, where the chain has outputs.
    recorded: Option<Vec<U256>>,
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
                let has_outputs = matches!(network.chain.family(), Some(ChainFamily::Bitcoin(_)));
                let recorded = if has_outputs {
                    Some(self.recorded(&mut tx, &asset, targets).await?)
                } else {
                    None
                };
                positions.push(Positions {
                    asset,
                    custody,
                    recorded,
                });
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

    /// What the wallets' unspent outputs are worth together, by our own record of the blocks up to the tip.
    async fn recorded(
        &self,
        tx: &mut Tx,
        asset: &Asset,
        targets: &Targets,
    ) -> Result<Vec<U256>, Error> {
        let found = outputs::unspent(tx, asset.id, &targets.wallets).await?;
        let mut held: HashMap<WalletId, U256> = HashMap::new();
        for output in self.open_outputs(found)? {
            let sum = held.entry(output.wallet).or_default();
            *sum = sum.saturating_add(output.units);
        }
        let of = |wallet| held.get(wallet).copied().unwrap_or_default();
        Ok(targets.wallets.iter().map(of).collect())
    }

    async fn compare_asset(
        &self,
        source: &dyn ChainSource,
        tip: BlockRef,
        targets: &Targets,
        positions: Positions,
    ) -> Result<Found, Error> {
        let Positions {
            asset,
            custody,
            recorded,
        } = positions;
        let read = read_all(source, tip, &asset, targets).await;
        let mut balances = match (read, &recorded) {
            (Ok(balances), _) => balances,
            // The nodes went on; our own record is of this very block.
            (Err(Error::Nodes(NodeError::Elsewhere { .. })), Some(recorded)) => recorded.clone(),
            (Err(error), _) => return Err(error),
        };
        let mut compared = comparison(targets, &custody, &balances);
        if compared.state() == ReconciliationState::Drift {
            tokio::time::sleep(AGAIN_AFTER).await;
            let again = read_all(source, tip, &asset, targets).await;
            balances = match (again, &recorded) {
                (Ok(balances), _) => balances,
                (Err(Error::Nodes(NodeError::Elsewhere { .. })), Some(recorded)) => {
                    recorded.clone()
                }
                (Err(error), _) => return Err(error),
            };
            compared = comparison(targets, &custody, &balances);
        }
        if let Some(recorded) = recorded
            && compared.state() == ReconciliationState::Matched
        {
            // A record that says something else than ledger and chain is as wrong as they would be.
            compared = comparison(targets, &custody, &recorded);
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

/// What the addresses of each wallet hold together.
async fn read_all(
    source: &dyn ChainSource,
    at: BlockRef,
    asset: &Asset,
    targets: &Targets,
) -> Result<Vec<U256>, Error> {
    let balances = read(source, at, asset, &targets.addresses).await?;
    let together = |balances: &[U256]| {
        let balances = balances.iter();
        balances.fold(U256::ZERO, |sum, one| sum.saturating_add(*one))
    };
    Ok(balances.chunks(targets.per_wallet).map(together).collect())
}

/// A wallet is named by the first of its addresses.
fn comparison(targets: &Targets, custody: &[Option<Net>], balances: &[U256]) -> Comparison {
    let nothing = Net::of(U256::ZERO, U256::ZERO);
    let sides = custody.iter().zip(balances);
    let addresses = targets.addresses.iter().step_by(targets.per_wallet);
    let wallets = targets.wallets.iter().zip(addresses);
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
