//! What a look changes: which payments are shown for the first time, and what became of the others.

use std::collections::{HashMap, HashSet};

use coffer_domain::asset::{Asset, AssetState};
use coffer_domain::deposit::DepositState;
use coffer_domain::id::{DepositId, NetworkId, WalletId};
use coffer_domain::movement::Movement;
use coffer_domain::network::Network;
use coffer_domain::unconfirmed::{Sight, Sighting, Unconfirmed};
use coffer_nodes::Pooled;
use coffer_store::{Tx, deposits, unconfirmed as rows};

use super::look::Look;
use super::store::Changed;
use crate::{Error, Platform};

/// Shown at one time.
const DETECTED_MAX: u64 = 10_000;
/// So that who floods one address leaves room for everybody else's.
const DETECTED_OF_WALLET_MAX: u64 = 100;
const NEW_PER_LOOK_MAX: usize = 500;
/// Inputs that are kept of one transaction, once for each of its outputs that pays us. One that spends more is as well
/// known by the first: who replaces it or double-spends only one of the others leaves it evicted.
const INPUTS_KEPT_MAX: usize = 100;

/// What a look changes, and how many payments there was no room for.
pub(super) struct Planned {
    pub(super) changed: Vec<Changed>,
    detected: u64,
    not_shown: usize,
}

impl Planned {
    pub(super) fn is_empty(&self) -> bool {
        self.changed.is_empty()
    }

    pub(super) fn report(&self, network: NetworkId) {
        #[expect(clippy::cast_precision_loss, reason = "both stay far below 2^53")]
        let (detected, not_shown) = (self.detected as f64, self.not_shown as f64);
        metrics::gauge!("coffer_unconfirmed_deposits", "network" => network.to_string())
            .set(detected);
        metrics::gauge!("coffer_unconfirmed_not_shown", "network" => network.to_string())
            .set(not_shown);
    }
}

/// A payment to an address of ours in a transaction that k nodes hold.
#[derive(Clone, Copy)]
struct Payment<'a> {
    id: DepositId,
    wallet: WalletId,
    movement: &'a Movement,
    of: &'a Pooled,
}

impl Platform {
    pub(super) async fn plan_look(
        &self,
        tx: &mut Tx,
        network: &Network,
        look: &Look,
    ) -> Result<Planned, Error> {
        let assets = self.asset_rows(tx, network).await?;
        let payments = payments(network.id, &assets, look);
        let pooled: HashSet<DepositId> = payments.iter().map(|payment| payment.id).collect();
        let asked = look.sights.iter().map(|(id, _)| *id);
        let mut ids: Vec<DepositId> = asked.chain(pooled.iter().copied()).collect();
        ids.sort_unstable();
        ids.dedup();
        let judged = self.judge_unconfirmed(rows::by_ids(tx, &ids).await?);
        let known: HashSet<DepositId> = judged
            .iter()
            .map(|judged| judged.as_ref().map_or_else(|id| *id, |one| one.id))
            .collect();
        let sights: HashMap<DepositId, Sight> = look.sights.iter().copied().collect();
        let now_ms = self.now_ms();
        let mut changed = Vec::new();
        for one in judged.into_iter().flatten() {
            let sight = if pooled.contains(&one.id) {
                Sight::Pooled
            } else {
                sights.get(&one.id).copied().unwrap_or(Sight::Unknown)
            };
            let version = one.version;
            if let Some(turned) = one.seen(sight, now_ms) {
                changed.push(Changed::of(turned, version));
            }
        }
        let new: Vec<Payment<'_>> = payments
            .into_iter()
            .filter(|payment| !known.contains(&payment.id))
            .collect();
        let new = self.without_deposits(tx, new).await?;
        let mut planned = Planned {
            changed,
            detected: rows::detected(tx, network.id).await?,
            not_shown: 0,
        };
        self.admit(tx, network, new, &mut planned).await?;
        Ok(planned)
    }

    /// Without those that a block of our chain has already: a node may tell of them late.
    async fn without_deposits<'a>(
        &self,
        tx: &mut Tx,
        mut payments: Vec<Payment<'a>>,
    ) -> Result<Vec<Payment<'a>>, Error> {
        let ids: Vec<DepositId> = payments.iter().map(|payment| payment.id).collect();
        let mut live = HashSet::new();
        for found in deposits::by_ids(tx, &ids).await? {
            match found {
                Ok(sealed) if sealed.value.state == DepositState::Retracted => {}
                Ok(sealed) => drop(live.insert(sealed.value.id)),
                Err((id, _)) => drop(live.insert(id)),
            }
        }
        payments.retain(|payment| !live.contains(&payment.id));
        Ok(payments)
    }

    /// As many as there is room for.
    async fn admit(
        &self,
        tx: &mut Tx,
        network: &Network,
        payments: Vec<Payment<'_>>,
        planned: &mut Planned,
    ) -> Result<(), Error> {
        let mut of_wallets: HashMap<WalletId, u64> = HashMap::new();
        let mut new = 0;
        for payment in payments {
            let wallet = payment.wallet;
            if let std::collections::hash_map::Entry::Vacant(place) = of_wallets.entry(wallet) {
                place.insert(rows::detected_of(tx, wallet).await?);
            }
            let of_wallet = of_wallets.entry(wallet).or_default();
            let has_room = new < NEW_PER_LOOK_MAX
                && planned.detected < DETECTED_MAX
                && *of_wallet < DETECTED_OF_WALLET_MAX;
            if !has_room {
                planned.not_shown += 1;
                continue;
            }
            new += 1;
            planned.detected += 1;
            *of_wallet += 1;
            let of = Sighting {
                organization: network.organization,
                network: network.id,
                wallet,
                now_ms: self.now_ms(),
            };
            let inputs = payment.of.inputs.iter().take(INPUTS_KEPT_MAX).copied();
            let first = Unconfirmed::first_seen(of, payment.movement, inputs.collect());
            planned.changed.push(Changed::new(first));
        }
        Ok(())
    }
}

/// What pays us in an asset that is looked for, and at least its minimum: dust is not worth a customer's attention,
/// and costs whoever sends it nothing before a block has it.
fn payments<'a>(network: NetworkId, assets: &[Asset], look: &'a Look) -> Vec<Payment<'a>> {
    let mut payments = Vec::new();
    for pooled in &look.found {
        for movement in &pooled.movements {
            let asset = assets.iter().find(|asset| {
                asset.id == movement.asset
                    && asset.state != AssetState::Disabled
                    && movement.face_units >= asset.deposit_units_min
                    && !movement.face_units.is_zero()
            });
            let owner = look.owners.get(&movement.to);
            if let (Some(_), Some(wallet)) = (asset, owner) {
                payments.push(Payment {
                    id: DepositId::of(network, &movement.id, &movement.to),
                    wallet: *wallet,
                    movement,
                    of: pooled,
                });
            }
        }
    }
    payments
}
