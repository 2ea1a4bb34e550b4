use axum::Json;
use axum::extract::State;
use coffer_domain::id::WalletId;
use coffer_platform::{OnChain, Scope, WalletBalance};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use crate::access::{Api, Caller, Routes};
use crate::api::amount::{AmountView, BlockView};
use crate::http::PathId;
use crate::problem::Problem;

/// What the wallet has of one asset by the ledger; beside it a copy of what the chain showed.
#[derive(Serialize, ToSchema)]
#[schema(as = WalletBalance)]
pub(crate) struct BalanceView {
    asset_id: String,
    #[schema(example = "eip155:1/slip44:60")]
    asset: String,
    symbol: String,
    /// Credited, and not set aside.
    available: AmountView,
    /// Detected, and not yet credited.
    pending: AmountView,
    /// Set aside for something under way.
    held: AmountView,
    /// Owed after a credit was reorganized away whose money was spent.
    reversal_due: AmountView,
    /// Null when the chain was not read yet, or nothing was ever there.
    on_chain: Option<OnChainView>,
}

/// A copy for showing, as old as it says; nothing is decided by it.
#[derive(Serialize, ToSchema)]
#[schema(as = OnChainBalance)]
pub(crate) struct OnChainView {
    #[serde(flatten)]
    amount: AmountView,
    block: BlockView,
    age_ms: i64,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct WalletBalances {
    items: Vec<BalanceView>,
}

impl From<WalletBalance> for BalanceView {
    fn from(balance: WalletBalance) -> Self {
        let decimals = balance.asset.decimals;
        let amount = |units| AmountView::of(units, decimals);
        let shown = |on_chain: OnChain| OnChainView {
            amount: amount(on_chain.units),
            block: on_chain.block.into(),
            age_ms: on_chain.age_ms,
        };
        Self {
            asset_id: balance.asset.id.to_string(),
            asset: balance.asset.name.to_string(),
            available: amount(balance.available),
            pending: amount(balance.pending),
            held: amount(balance.held),
            reversal_due: amount(balance.reversal_due),
            on_chain: balance.on_chain.map(shown),
            symbol: balance.asset.symbol,
        }
    }
}

/// Show a wallet's balances
///
/// A line per asset of the allow-list that the wallet has an address for.
#[utoipa::path(get, path = "/v1/wallets/{id}/balances", tag = "wallets", params(("id" = String, Path)),
    responses((status = 200, body = WalletBalances)))]
pub(crate) async fn wallet_balances(
    State(api): State<Api>,
    caller: Caller,
    PathId(id): PathId<WalletId>,
) -> Result<Json<WalletBalances>, Problem> {
    let balances = api.platform().wallet_balances(&caller, id).await?;
    Ok(Json(WalletBalances {
        items: balances.into_iter().map(BalanceView::from).collect(),
    }))
}

pub(super) fn route(routes: Routes) -> Routes {
    routes.guarded(Scope::WalletsRead, routes!(wallet_balances))
}
