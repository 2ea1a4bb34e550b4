//! Deposits: value that blocks brought to wallets' addresses, or that waits for one, and what became of it.

mod decide;
mod list;
mod reject;
mod release;
mod show;
mod unconfirmed;

use coffer_domain::time::rfc3339;
use coffer_platform::{DepositView as Deposit, Followable, UnconfirmedView};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::amount::{AmountView, BlockView};
use crate::access::Routes;

pub(super) fn routes(routes: Routes) -> Routes {
    let routes = list::route(routes);
    let routes = unconfirmed::route(routes);
    let routes = show::route(routes);
    let routes = release::route(routes);
    reject::route(routes)
}

#[derive(Serialize, ToSchema)]
#[schema(as = Deposit)]
pub(crate) struct DepositView {
    #[schema(example = "dep_5d0c9a5b7d1e8f218b6e9c4d2a1f0e3c")]
    id: String,
    network_id: String,
    asset_id: String,
    /// CAIP-19.
    #[schema(example = "eip155:1/slip44:60")]
    asset: String,
    symbol: String,
    wallet_id: String,
    /// The customer, where the address belongs to one.
    external_id: Option<String>,
    address: String,
    /// Who sent it, where the chain says so.
    from: Option<String>,
    /// For value that no transaction of the block explains: the block's hash.
    transaction: String,
    /// Which movement inside the transaction.
    #[schema(example = "log:2")]
    part: String,
    /// What the address really gained; the only thing that is credited.
    #[serde(flatten)]
    gained: AmountView,
    /// What the chain's record of it says, in base units.
    face_units: String,
    /// Whether it is only in the nodes' mempools, or was: nothing of it is in the ledger. The deposit that follows
    /// has the same id.
    unconfirmed: bool,
    /// The block that includes it, or included it last; null of an unconfirmed one.
    block: Option<BlockView>,
    /// 0 when it is retracted or unconfirmed.
    confirmations: u64,
    /// How often a block has included it.
    inclusion: u32,
    /// detected, confirmed, finalized, retracted, rejected or held; of an unconfirmed one detected, included,
    /// replaced, double_spent or evicted.
    state: &'static str,
    /// Why it is held, rejected or retracted, or will not be credited as things stand.
    reason: Option<String>,
    /// Of an unconfirmed one: the transaction that took one of its inputs.
    replaced_by: Option<String>,
    /// The block that has that transaction.
    replaced_in: Option<BlockView>,
    detected_at: String,
    changed_at: String,
}

/// Why a person decided so; kept in the audit chain.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DepositDecisionBody {
    reason: String,
}

impl From<&Deposit> for DepositView {
    fn from(view: &Deposit) -> Self {
        let (deposit, asset) = (&view.deposit, &view.asset);
        let network = asset.name.chain.bitcoin_network();
        let text = |payload| coffer_chains::encode(payload, network);
        Self {
            id: deposit.id.to_string(),
            network_id: deposit.network.to_string(),
            asset_id: deposit.asset.to_string(),
            asset: asset.name.to_string(),
            symbol: asset.symbol.clone(),
            wallet_id: deposit.wallet.to_string(),
            external_id: view.external_id.clone(),
            address: text(&deposit.address),
            from: deposit.from.as_ref().map(text),
            transaction: deposit.movement.transaction.to_string(),
            part: deposit.movement.part.to_string(),
            gained: AmountView::of(deposit.units, asset.decimals),
            face_units: deposit.face_units.to_string(),
            unconfirmed: false,
            block: Some(deposit.block.into()),
            confirmations: view.confirmations,
            inclusion: deposit.inclusion,
            state: deposit.state.name(),
            reason: deposit.reason.clone(),
            replaced_by: None,
            replaced_in: None,
            detected_at: rfc3339(deposit.detected_at_ms),
            changed_at: rfc3339(deposit.changed_at_ms),
        }
    }
}

impl From<&UnconfirmedView> for DepositView {
    fn from(view: &UnconfirmedView) -> Self {
        let (one, asset) = (&view.unconfirmed, &view.asset);
        let network = asset.name.chain.bitcoin_network();
        let by = one.standing.replaced_by();
        Self {
            id: one.id.to_string(),
            network_id: one.network.to_string(),
            asset_id: one.asset.to_string(),
            asset: asset.name.to_string(),
            symbol: asset.symbol.clone(),
            wallet_id: one.wallet.to_string(),
            external_id: view.external_id.clone(),
            address: coffer_chains::encode(&one.address, network),
            from: None,
            transaction: one.movement.transaction.to_string(),
            part: one.movement.part.to_string(),
            gained: AmountView::of(one.units, asset.decimals),
            face_units: one.units.to_string(),
            unconfirmed: true,
            block: None,
            confirmations: 0,
            inclusion: 0,
            state: one.standing.state().name(),
            reason: one.standing.reason().map(str::to_owned),
            replaced_by: by.map(|by| by.to_string()),
            replaced_in: by.and(one.standing.settled_in()).map(BlockView::from),
            detected_at: rfc3339(one.detected_at_ms),
            changed_at: rfc3339(one.changed_at_ms),
        }
    }
}

impl From<&Followable> for DepositView {
    fn from(of: &Followable) -> Self {
        match of {
            Followable::Deposit(view) => Self::from(&**view),
            Followable::Unconfirmed(view) => Self::from(&**view),
        }
    }
}
