use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use coffer_domain::block::BlockHeight;
use coffer_domain::id::NetworkId;
use coffer_platform::{Rescan, Scope};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::rescans::RescanView;
use crate::access::{Api, Caller, Routes};
use crate::api::once::{json_fingerprint, once, rendered, reply};
use crate::http::{IdempotencyKey, JsonBody, PathId};
use crate::problem::Problem;

#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RescanBody {
    first: u64,
    last: u64,
}

/// Read a range of blocks again
///
/// In the background, by the hashes on record. What was missed is credited now; what was right stays as it is.
#[utoipa::path(post, path = "/v1/networks/{id}/rescan", tag = "networks", request_body = RescanBody,
    params(("id" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 202, body = RescanView)))]
pub(crate) async fn rescan_network(
    State(api): State<Api>,
    caller: Caller,
    PathId(id): PathId<NetworkId>,
    key: IdempotencyKey,
    JsonBody(body): JsonBody<RescanBody>,
) -> Result<Response, Problem> {
    let print = json_fingerprint(&id.to_string(), &body);
    let render = |rescan: &Rescan| rendered(StatusCode::ACCEPTED, &RescanView::from(rescan));
    let once = once(&key, print, &render);
    let range = (BlockHeight(body.first), BlockHeight(body.last));
    let answer = api
        .platform()
        .request_rescan(&caller, id, range, once)
        .await?;
    reply(answer, &render)
}

pub(super) fn route(routes: Routes) -> Routes {
    routes.guarded(Scope::NetworksWrite, routes!(rescan_network))
}
