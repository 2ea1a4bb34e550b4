use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use coffer_domain::asset::{DECIMALS_MAX, parse_decimal};
use coffer_domain::id::NetworkId;
use coffer_platform::{AddedAsset, NewAsset, Scope};
use ruint::aliases::U256;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::AssetView;
use crate::access::{Api, Caller, Routes};
use crate::api::once::{json_fingerprint, once, rendered, reply};
use crate::api::page;
use crate::http::{IdempotencyKey, JsonBody, PathId};
use crate::problem::Problem;

#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewAssetBody {
    /// CAIP-19: `…/slip44:60` for the chain's own coin, `…/erc20:0x…` for a token.
    #[schema(example = "eip155:1/erc20:0x6B175474E89094C44Da98b954EedeAC495271d0F")]
    name: String,
    #[schema(example = "DAI", max_length = 32)]
    symbol: String,
    /// Must be what the contract says.
    #[schema(example = 18, maximum = 77)]
    decimals: u8,
    /// In the asset's decimals, exact; a deposit below it is rejected. Left out: none.
    #[schema(example = "0.5")]
    deposit_minimum: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = AddedAsset)]
pub(crate) struct AddedAssetView {
    #[serde(flatten)]
    asset: AssetView,
    /// What differs from the contract and was taken nevertheless.
    warnings: Vec<String>,
}

/// Put an asset on the allow-list
///
/// A token's decimals are read from its contract by the network's nodes and must be those given.
#[utoipa::path(post, path = "/v1/networks/{id}/assets", tag = "assets", request_body = NewAssetBody,
    params(("id" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 201, body = AddedAssetView)))]
pub(crate) async fn add_asset(
    State(api): State<Api>,
    caller: Caller,
    PathId(network): PathId<NetworkId>,
    key: IdempotencyKey,
    JsonBody(body): JsonBody<NewAssetBody>,
) -> Result<Response, Problem> {
    let print = json_fingerprint(&network.to_string(), &body);
    if body.decimals > DECIMALS_MAX {
        return Err(page::invalid(
            "decimals",
            format_args!("at most {DECIMALS_MAX}"),
        ));
    }
    let minimum = body
        .deposit_minimum
        .as_deref()
        .map(|text| parse_decimal(text, body.decimals))
        .transpose()
        .map_err(|error| page::invalid("deposit_minimum", error))?;
    let new = NewAsset {
        name: page::parsed("name", &body.name)?,
        symbol: body.symbol,
        decimals: body.decimals,
        deposit_units_min: minimum.unwrap_or(U256::ZERO),
    };
    let render = |added: &AddedAsset| {
        let view = AddedAssetView {
            asset: AssetView::from(&added.asset),
            warnings: added.warnings.clone(),
        };
        rendered(StatusCode::CREATED, &view)
    };
    let once = once(&key, print, &render);
    let answer = api
        .platform()
        .add_asset(&caller, network, new, once)
        .await?;
    reply(answer, &render)
}

pub(super) fn route(routes: Routes) -> Routes {
    routes.guarded(Scope::NetworksWrite, routes!(add_asset))
}
