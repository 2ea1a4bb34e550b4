use axum::Json;
use axum::extract::State;
use coffer_platform::Scope;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::NetworkView;
use crate::access::{Api, Caller, Routes};
use crate::problem::Problem;

#[derive(Serialize, ToSchema)]
pub(crate) struct Networks {
    data: Vec<NetworkView>,
}

/// List networks
#[utoipa::path(get, path = "/v1/networks", tag = "networks", responses((status = 200, body = Networks)))]
pub(crate) async fn list_networks(
    State(api): State<Api>,
    caller: Caller,
) -> Result<Json<Networks>, Problem> {
    let networks = api.platform().networks(&caller).await?;
    let data = networks.iter().map(NetworkView::from).collect();
    Ok(Json(Networks { data }))
}

pub(super) fn route(routes: Routes) -> Routes {
    routes.guarded(Scope::NetworksRead, routes!(list_networks))
}
