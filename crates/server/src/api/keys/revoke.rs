use axum::extract::State;
use axum::http::StatusCode;
use coffer_domain::id::ApiKeyId;
use coffer_platform::Scope;
use utoipa_axum::routes;

use crate::access::{Api, Caller, Routes};
use crate::http::PathId;
use crate::problem::Problem;

/// Revoke an API key, for good
///
/// Revoking it again changes nothing.
#[utoipa::path(delete, path = "/v1/keys/{id}", tag = "keys", params(("id" = String, Path)),
    responses((status = 204)))]
pub(crate) async fn revoke_key(
    State(api): State<Api>,
    caller: Caller,
    PathId(id): PathId<ApiKeyId>,
) -> Result<StatusCode, Problem> {
    api.platform().revoke_api_key(&caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) fn route(routes: Routes) -> Routes {
    routes.guarded(Scope::KeysWrite, routes!(revoke_key))
}
