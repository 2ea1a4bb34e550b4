use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use coffer_domain::id::NetworkId;
use coffer_domain::network::Network;
use coffer_platform::Scope;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::NetworkView;
use crate::access::{Api, Caller, Routes};
use crate::api::once::{json_fingerprint, once, rendered, reply};
use crate::http::{IdempotencyKey, JsonBody, PathId};
use crate::problem::Problem;

#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PauseBody {
    reason: String,
}

/// Pause a network
///
/// No block is taken until it is resumed.
#[utoipa::path(post, path = "/v1/networks/{id}/pause", tag = "networks", request_body = PauseBody,
    params(("id" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 200, body = NetworkView)))]
pub(crate) async fn pause_network(
    State(api): State<Api>,
    caller: Caller,
    PathId(id): PathId<NetworkId>,
    key: IdempotencyKey,
    JsonBody(body): JsonBody<PauseBody>,
) -> Result<Response, Problem> {
    let print = json_fingerprint(&id.to_string(), &body);
    let render = |network: &Network| rendered(StatusCode::OK, &NetworkView::from(network));
    let once = once(&key, print, &render);
    let answer = api
        .platform()
        .pause_network(&caller, id, &body.reason, once)
        .await?;
    reply(answer, &render)
}

pub(super) fn route(routes: Routes) -> Routes {
    routes.guarded(Scope::NetworksWrite, routes!(pause_network))
}
