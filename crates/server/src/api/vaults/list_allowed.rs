use axum::Json;
use axum::extract::State;
use coffer_domain::id::VaultId;
use coffer_platform::Scope;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use crate::access::{Api, Caller, Routes};
use crate::api::page;
use crate::http::{PathId, Query};
use crate::problem::Problem;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct AllowedQuery {
    cursor: Option<String>,
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u32>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct AllowedPage {
    /// External ids, in no order that means anything.
    data: Vec<String>,
    next_cursor: Option<String>,
}

/// The external ids that the allow-list gate lets through
#[utoipa::path(get, path = "/v1/vaults/{id}/allow-list", tag = "vaults",
    params(("id" = String, Path), AllowedQuery), responses((status = 200, body = AllowedPage)))]
pub(crate) async fn list_allowed(
    State(api): State<Api>,
    caller: Caller,
    PathId(id): PathId<VaultId>,
    Query(query): Query<AllowedQuery>,
) -> Result<Json<AllowedPage>, Problem> {
    let limit = page::limit(query.limit)?;
    let mut after = [0; 16];
    if let Some(cursor) = &query.cursor {
        hex::decode_to_slice(cursor, &mut after)
            .map_err(|_| page::invalid("cursor", "pass a next_cursor as it was given"))?;
    }
    let found = api.platform().allow_list(&caller, id, after, limit).await?;
    let is_full = found.len() == limit as usize;
    let last = found.last().filter(|_| is_full);
    Ok(Json(AllowedPage {
        next_cursor: last.map(|(key, _)| hex::encode(key)),
        data: found.into_iter().map(|(_, id)| id).collect(),
    }))
}

pub(super) fn route(routes: Routes) -> Routes {
    routes.guarded(Scope::VaultsRead, routes!(list_allowed))
}
