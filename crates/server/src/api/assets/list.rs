use axum::Json;
use axum::extract::State;
use coffer_platform::{AssetFilter, Scope};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use super::AssetView;
use crate::access::{Api, Caller, Routes};
use crate::api::page;
use crate::http::Query;
use crate::problem::Problem;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct AssetQuery {
    /// A network's id.
    network: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Assets {
    data: Vec<AssetView>,
}

/// List the allow-list of assets
#[utoipa::path(get, path = "/v1/assets", tag = "assets", params(AssetQuery),
    responses((status = 200, body = Assets)))]
pub(crate) async fn list_assets(
    State(api): State<Api>,
    caller: Caller,
    Query(query): Query<AssetQuery>,
) -> Result<Json<Assets>, Problem> {
    let filter = AssetFilter {
        network: page::filter("network", query.network.as_deref())?,
    };
    let assets = api.platform().assets(&caller, filter).await?;
    let data = assets.iter().map(AssetView::from).collect();
    Ok(Json(Assets { data }))
}

pub(super) fn route(routes: Routes) -> Routes {
    routes.guarded(Scope::NetworksRead, routes!(list_assets))
}
