use axum::Json;
use axum::extract::State;
use coffer_domain::id::VaultId;
use coffer_platform::Scope;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::PoolView;
use crate::access::{Api, Caller, Routes};
use crate::http::{JsonBody, PathId};
use crate::problem::Problem;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PoolBody {
    low: u32,
    #[schema(maximum = 1_000_000)]
    high: u32,
}

/// Set the watermarks of a vault's address pool
///
/// Entries above a lowered mark stay until they are taken.
#[utoipa::path(put, path = "/v1/pools/{vault}", tag = "vaults", request_body = PoolBody,
    params(("vault" = String, Path)), responses((status = 200, body = PoolView)))]
pub(crate) async fn set_pool(
    State(api): State<Api>,
    caller: Caller,
    PathId(vault): PathId<VaultId>,
    JsonBody(body): JsonBody<PoolBody>,
) -> Result<Json<PoolView>, Problem> {
    let pool = api
        .platform()
        .set_pool(&caller, vault, body.low, body.high)
        .await?;
    Ok(Json(pool.into()))
}

pub(super) fn route(routes: Routes) -> Routes {
    routes.guarded(Scope::VaultsWrite, routes!(set_pool))
}
