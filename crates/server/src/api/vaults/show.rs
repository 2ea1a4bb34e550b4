use axum::Json;
use axum::extract::State;
use coffer_domain::id::VaultId;
use coffer_platform::Scope;
use utoipa_axum::routes;

use super::VaultView;
use crate::access::{Api, Caller, Routes};
use crate::http::PathId;
use crate::problem::Problem;

/// Show a vault
#[utoipa::path(get, path = "/v1/vaults/{id}", tag = "vaults", params(("id" = String, Path)),
    responses((status = 200, body = VaultView)))]
pub(crate) async fn show_vault(
    State(api): State<Api>,
    caller: Caller,
    PathId(id): PathId<VaultId>,
) -> Result<Json<VaultView>, Problem> {
    let vault = api.platform().vault(&caller, id).await?;
    Ok(Json(VaultView::from(&vault)))
}

pub(super) fn route(routes: Routes) -> Routes {
    routes.guarded(Scope::VaultsRead, routes!(show_vault))
}
