//! Assets: the allow-list of what is credited.

mod add;
mod close_breaker;
mod list;
mod set;
mod show;

use coffer_domain::asset::{Asset, AssetKind, decimal_text};
use serde::Serialize;
use utoipa::ToSchema;

use crate::access::Routes;
use coffer_domain::time::rfc3339;

pub(super) fn routes(routes: Routes) -> Routes {
    let routes = add::route(routes);
    let routes = list::route(routes);
    let routes = show::route(routes);
    let routes = set::route(routes);
    close_breaker::route(routes)
}

#[derive(Serialize, ToSchema)]
#[schema(as = Asset)]
pub(crate) struct AssetView {
    #[schema(example = "ast_3f0c9a5b7d1e8f218b6e9c4d2a1f0e3c")]
    id: String,
    network_id: String,
    /// CAIP-19.
    #[schema(example = "eip155:1/erc20:0x6B175474E89094C44Da98b954EedeAC495271d0F")]
    name: String,
    /// native or token.
    kind: &'static str,
    symbol: String,
    decimals: u8,
    /// A deposit below this is rejected, its value kept in suspense.
    deposit_minimum: MinimumView,
    /// active; tripped: deposits are detected and not credited until a person closes the breaker; disabled: new
    /// deposits are not looked for.
    state: &'static str,
    reason: Option<String>,
    created_at: String,
    version: u32,
}

#[derive(Serialize, ToSchema)]
#[schema(as = DepositMinimum)]
pub(crate) struct MinimumView {
    /// Base units, as decimal text.
    #[schema(example = "1500000")]
    units: String,
    /// In the asset's decimals.
    #[schema(example = "1.5")]
    amount: String,
}

impl From<&Asset> for AssetView {
    fn from(asset: &Asset) -> Self {
        Self {
            id: asset.id.to_string(),
            network_id: asset.network.to_string(),
            name: asset.name.to_string(),
            kind: match asset.kind {
                AssetKind::Native => "native",
                AssetKind::Token(_) => "token",
            },
            symbol: asset.symbol.clone(),
            decimals: asset.decimals,
            deposit_minimum: MinimumView {
                units: asset.deposit_units_min.to_string(),
                amount: decimal_text(asset.deposit_units_min, asset.decimals),
            },
            state: asset.state.name(),
            reason: asset.reason.clone(),
            created_at: rfc3339(asset.created_at_ms),
            version: asset.version,
        }
    }
}
