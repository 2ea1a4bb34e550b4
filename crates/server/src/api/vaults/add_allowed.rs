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
pub(crate) struct AllowListAdded {
    /// Ids that were not on the list before.
    added: u32,
    /// Pending wallets that became active by it.
    activated: u32,
}

/// Put external ids on the allow-list
///
/// Where the vault's gate is `allow-list`, their pending wallets become active in the same step.
#[utoipa::path(put, path = "/v1/vaults/{id}/allow-list", tag = "vaults", request_body = ExternalIdsBody,
    params(("id" = String, Path)), responses((status = 200, body = AllowListAdded)))]
pub(crate) async fn add_allowed(
    State(api): State<Api>,
    caller: Caller,
    PathId(id): PathId<VaultId>,
    JsonBody(body): JsonBody<ExternalIdsBody>,
) -> Result<Json<AllowListAdded>, Problem> {
    let change = api.platform().allow(&caller, id, &body.parsed()?).await?;
    Ok(Json(AllowListAdded {
        added: change.changed,
        activated: change.activated,
    }))
}

pub(super) fn route(routes: Routes) -> Routes {
    routes.guarded(Scope::VaultsWrite, routes!(add_allowed))
}
