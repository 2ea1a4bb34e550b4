use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use coffer_domain::asset::Asset;
use coffer_domain::id::AssetId;
use coffer_platform::Scope;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::AssetView;
use crate::access::{Api, Caller, Routes};
use crate::api::once::{json_fingerprint, once, rendered, reply};
use crate::http::{IdempotencyKey, JsonBody, PathId};
use crate::problem::Problem;

#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CloseBreakerBody {
    /// Kept in the audit chain.
    reason: String,
}

/// Close an asset's breaker
///
/// Deposits are credited again; if ledger and chain still differ, the next reconciliation trips it again.
#[utoipa::path(post, path = "/v1/assets/{id}/close-breaker", tag = "assets", request_body = CloseBreakerBody,
    params(("id" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 200, body = AssetView)))]
pub(crate) async fn close_breaker(
    State(api): State<Api>,
    caller: Caller,
    PathId(id): PathId<AssetId>,
    key: IdempotencyKey,
    JsonBody(body): JsonBody<CloseBreakerBody>,
) -> Result<Response, Problem> {
    let print = json_fingerprint(&id.to_string(), &body);
    let render = |asset: &Asset| rendered(StatusCode::OK, &AssetView::from(asset));
    let once = once(&key, print, &render);
    let answer = api
        .platform()
        .close_breaker(&caller, id, &body.reason, once)
        .await?;
    reply(answer, &render)
}

pub(super) fn route(routes: Routes) -> Routes {
    routes.guarded(Scope::NetworksWrite, routes!(close_breaker))
}
