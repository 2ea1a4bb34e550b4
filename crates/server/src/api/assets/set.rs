use axum::Json;
use axum::extract::State;
use coffer_domain::asset::parse_decimal;
use coffer_domain::id::AssetId;
use coffer_platform::{AssetChange, Scope};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::AssetView;
use crate::access::{Api, Caller, Routes};
use crate::api::page;
use crate::http::{JsonBody, PathId};
use crate::problem::Problem;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AssetBody {
    #[schema(max_length = 32)]
    symbol: Option<String>,
    /// In the asset's decimals, exact.
    #[schema(example = "0.5")]
    deposit_minimum: Option<String>,
    /// Whether new deposits are looked for.
    enabled: Option<bool>,
    /// Why it is disabled.
    reason: Option<String>,
}

/// Change an asset of the allow-list
///
/// What is left out stays. Name and decimals never change, and a tripped breaker is not closed by this.
#[utoipa::path(put, path = "/v1/assets/{id}", tag = "assets", request_body = AssetBody,
    params(("id" = String, Path)), responses((status = 200, body = AssetView)))]
pub(crate) async fn set_asset(
    State(api): State<Api>,
    caller: Caller,
    PathId(id): PathId<AssetId>,
    JsonBody(body): JsonBody<AssetBody>,
) -> Result<Json<AssetView>, Problem> {
    let decimals = api.platform().asset(&caller, id).await?.decimals;
    let minimum = body
        .deposit_minimum
        .as_deref()
        .map(|text| parse_decimal(text, decimals))
        .transpose()
        .map_err(|error| page::invalid("deposit_minimum", error))?;
    let change = AssetChange {
        symbol: body.symbol,
        deposit_units_min: minimum,
        enabled: body.enabled,
        reason: body.reason,
    };
    let asset = api.platform().set_asset(&caller, id, change).await?;
    Ok(Json(AssetView::from(&asset)))
}

pub(super) fn route(routes: Routes) -> Routes {
    routes.guarded(Scope::NetworksWrite, routes!(set_asset))
}
