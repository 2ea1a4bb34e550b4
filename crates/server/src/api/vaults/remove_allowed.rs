use axum::Json;
use axum::extract::State;
use coffer_domain::id::VaultId;
use coffer_platform::Scope;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::ExternalIdsBody;
use crate::access::{Api, Caller, Routes};
use crate::http::{JsonBody, PathId};
use crate::problem::Problem;

#[derive(Serialize, ToSchema)]
pub(crate) struct AllowListRemoved {
    /// Ids that were on the list.
    removed: u32,
}

/// Take external ids off the allow-list
///
/// Wallets that are active stay so.
#[utoipa::path(delete, path = "/v1/vaults/{id}/allow-list", tag = "vaults", request_body = ExternalIdsBody,
    params(("id" = String, Path)), responses((status = 200, body = AllowListRemoved)))]
pub(crate) async fn remove_allowed(
    State(api): State<Api>,
    caller: Caller,
    PathId(id): PathId<VaultId>,
    JsonBody(body): JsonBody<ExternalIdsBody>,
) -> Result<Json<AllowListRemoved>, Problem> {
    let change = api
        .platform()
        .disallow(&caller, id, &body.parsed()?)
        .await?;
    Ok(Json(AllowListRemoved {
        removed: change.changed,
    }))
}

pub(super) fn route(routes: Routes) -> Routes {
    routes.guarded(Scope::VaultsWrite, routes!(remove_allowed))
}
