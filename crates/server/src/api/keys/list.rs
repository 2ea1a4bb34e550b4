use axum::Json;
use axum::extract::State;
use coffer_platform::Scope;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::ApiKeyView;
use crate::access::{Api, Caller, Routes};
use crate::problem::Problem;

#[derive(Serialize, ToSchema)]
pub(crate) struct ApiKeys {
    data: Vec<ApiKeyView>,
}

/// List the organization's API keys, revoked and expired ones included
#[utoipa::path(get, path = "/v1/keys", tag = "keys", responses((status = 200, body = ApiKeys)))]
pub(crate) async fn list_keys(
    State(api): State<Api>,
    caller: Caller,
) -> Result<Json<ApiKeys>, Problem> {
    let keys = api.platform().list_api_keys(&caller).await?;
    let data = keys.iter().map(ApiKeyView::from).collect();
    Ok(Json(ApiKeys { data }))
}

pub(super) fn route(routes: Routes) -> Routes {
    routes.guarded(Scope::KeysWrite, routes!(list_keys))
}
