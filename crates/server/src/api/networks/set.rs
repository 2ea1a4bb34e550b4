use axum::Json;
use axum::extract::State;
use coffer_domain::id::NetworkId;
use coffer_platform::Scope;
use utoipa_axum::routes;

use super::NetworkView;
use super::settings::SettingsBody;
use crate::access::{Api, Caller, Routes};
use crate::http::{JsonBody, PathId};
use crate::problem::Problem;

/// Replace a network's settings
///
/// Its chain and genesis block never change, and `start_height` not once a block was taken. Other nodes are asked for
/// their genesis block first. Believing more easily (a smaller quorum, fewer confirmations, another finality) is
/// recorded under a name of its own.
#[utoipa::path(put, path = "/v1/networks/{id}", tag = "networks", request_body = SettingsBody,
    params(("id" = String, Path)), responses((status = 200, body = NetworkView)))]
pub(crate) async fn set_network(
    State(api): State<Api>,
    caller: Caller,
    PathId(id): PathId<NetworkId>,
    JsonBody(body): JsonBody<SettingsBody>,
) -> Result<Json<NetworkView>, Problem> {
    let settings = body.parsed()?;
    let network = api.platform().set_network(&caller, id, settings).await?;
    Ok(Json(NetworkView::from(&network)))
}

pub(super) fn route(routes: Routes) -> Routes {
    routes.guarded(Scope::NetworksWrite, routes!(set_network))
}
