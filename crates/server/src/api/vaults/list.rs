use axum::Json;
use axum::extract::State;
use coffer_platform::Scope;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::VaultView;
use crate::access::{Api, Caller, Routes};
use crate::problem::Problem;

#[derive(Serialize, ToSchema)]
pub(crate) struct Vaults {
    data: Vec<VaultView>,
}

/// List vaults
#[utoipa::path(get, path = "/v1/vaults", tag = "vaults", responses((status = 200, body = Vaults)))]
pub(crate) async fn list_vaults(
    State(api): State<Api>,
    caller: Caller,
) -> Result<Json<Vaults>, Problem> {
    let vaults = api.platform().vaults(&caller).await?;
    let data = vaults.iter().map(VaultView::from).collect();
    Ok(Json(Vaults { data }))
}

pub(super) fn route(routes: Routes) -> Routes {
    routes.guarded(Scope::VaultsRead, routes!(list_vaults))
}
