use axum::Json;
use axum::extract::State;
use coffer_domain::id::AssetId;
use coffer_platform::Scope;
use utoipa_axum::routes;

use super::AssetView;
use crate::access::{Api, Caller, Routes};
use crate::http::PathId;
use crate::problem::Problem;

/// Show an asset
#[utoipa::path(get, path = "/v1/assets/{id}", tag = "assets", params(("id" = String, Path)),
    responses((status = 200, body = AssetView)))]
pub(crate) async fn show_asset(
    State(api): State<Api>,
    caller: Caller,
    PathId(id): PathId<AssetId>,
) -> Result<Json<AssetView>, Problem> {
    let asset = api.platform().asset(&caller, id).await?;
    Ok(Json(AssetView::from(&asset)))
}

pub(super) fn route(routes: Routes) -> Routes {
    routes.guarded(Scope::NetworksRead, routes!(show_asset))
}
