//! Reconciliations: does the ledger equal the chain, asset by asset, at a named block?

mod list;
mod show;

use std::collections::HashMap;

use coffer_domain::address::BitcoinNetwork;
use coffer_domain::asset::Asset;
use coffer_domain::chain::ChainFamily;
use coffer_domain::id::AssetId;
use coffer_domain::reconciliation::{Difference, Reconciliation};
use coffer_platform::{AssetFilter, Caller};
use serde::Serialize;
use utoipa::ToSchema;

use super::amount::{AmountView, BlockView};
use crate::access::{Api, Routes};
use crate::problem::Problem;
use coffer_domain::time::rfc3339;

pub(super) fn routes(routes: Routes) -> Routes {
    let routes = list::route(routes);
    show::route(routes)
}

/// One asset at one block. `matched` means that every compared address holds what the ledger says; the sums are
/// over the compared addresses, and stop at the largest 256-bit number.
#[derive(Serialize, ToSchema)]
#[schema(as = Reconciliation)]
pub(crate) struct ReconciliationView {
    #[schema(example = "rec_019ab0c45d7a7c1e9d0f3b2a10c4e5f6")]
    id: String,
    network_id: String,
    asset_id: String,
    #[schema(example = "eip155:1/slip44:60")]
    asset: String,
    symbol: String,
    block: BlockView,
    /// Addresses compared,
    addresses: u64,
    /// of so many. Very large sets are compared in turns.
    addresses_watched: u64,
    ledger: AmountView,
    chain: AmountView,
    /// Addresses on which the two differ.
    differing: u64,
    /// matched or drift.
    state: &'static str,
    finished_at: String,
}

/// An address on which ledger and chain differ.
#[derive(Serialize, ToSchema)]
#[schema(as = ReconciliationDifference)]
pub(crate) struct DifferenceView {
    wallet_id: String,
    address: String,
    ledger: AmountView,
    chain: AmountView,
}

/// Names and decimals of the caller's assets.
pub(crate) struct Assets(HashMap<AssetId, Asset>);

impl Assets {
    pub(crate) async fn of(api: &Api, caller: &Caller) -> Result<Self, Problem> {
        let assets = api
            .platform()
            .assets(caller, AssetFilter::default())
            .await?;
        Ok(Self(
            assets.into_iter().map(|asset| (asset.id, asset)).collect(),
        ))
    }

    fn get(&self, id: AssetId) -> Result<&Asset, Problem> {
        let missing = || Problem::internal("a reconciliation of an asset that is not listed");
        self.0.get(&id).ok_or_else(missing)
    }

    pub(crate) fn line(&self, line: &Reconciliation) -> Result<ReconciliationView, Problem> {
        let asset = self.get(line.asset)?;
        Ok(ReconciliationView {
            id: line.id.to_string(),
            network_id: line.network.to_string(),
            asset_id: line.asset.to_string(),
            asset: asset.name.to_string(),
            symbol: asset.symbol.clone(),
            block: line.block.into(),
            addresses: line.addresses,
            addresses_watched: line.addresses_watched,
            ledger: AmountView::of(line.ledger_units, asset.decimals),
            chain: AmountView::of(line.chain_units, asset.decimals),
            differing: line.differing,
            state: line.state.name(),
            finished_at: rfc3339(line.finished_at_ms),
        })
    }

    pub(crate) fn lines(
        &self,
        lines: &[Reconciliation],
    ) -> Result<Vec<ReconciliationView>, Problem> {
        lines.iter().map(|line| self.line(line)).collect()
    }

    fn difference(&self, asset: AssetId, one: &Difference) -> Result<DifferenceView, Problem> {
        let asset = self.get(asset)?;
        let decimals = asset.decimals;
        let family = asset.name.chain.family();
        let network = family.map_or(BitcoinNetwork::Mainnet, ChainFamily::bitcoin_network);
        Ok(DifferenceView {
            wallet_id: one.wallet.to_string(),
            address: coffer_chains::encode(&one.address, network),
            ledger: AmountView::of(one.ledger_units, decimals),
            chain: AmountView::of(one.chain_units, decimals),
        })
    }
}
