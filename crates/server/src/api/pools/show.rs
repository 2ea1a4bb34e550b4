use axum::Json;
use axum::extract::State;
use coffer_domain::id::VaultId;
use coffer_platform::Scope;
use utoipa_axum::routes;

use super::PoolView;
use crate::access::{Api, Caller, Routes};
use crate::http::PathId;
use crate::problem::Problem;

/// Show a vault's address pool
#[utoipa::path(get, path = "/v1/pools/{vault}", tag = "vaults", params(("vault" = String, Path)),
    responses((status = 200, body = PoolView)))]
pub(crate) async fn show_pool(
    State(api): State<Api>,
    caller: Caller,
    PathId(vault): PathId<VaultId>,
) -> Result<Json<PoolView>, Problem> {
    Ok(Json(api.platform().pool(&caller, vault).await?.into()))
}

pub(super) fn route(routes: Routes) -> Routes {
    routes.guarded(Scope::VaultsRead, routes!(show_pool))
}
