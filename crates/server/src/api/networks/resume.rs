use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use coffer_domain::id::NetworkId;
use coffer_domain::network::Network;
use coffer_platform::Scope;
use utoipa_axum::routes;

use super::NetworkView;
use crate::access::{Api, Caller, Routes};
use crate::api::once::{fingerprint, once, rendered, reply};
use crate::http::{IdempotencyKey, PathId};
use crate::problem::Problem;

/// Resume a network
///
/// A paused one at once. A frozen one when a second API key asks as well; the chain is then followed below what was
/// final.
#[utoipa::path(post, path = "/v1/networks/{id}/resume", tag = "networks",
    params(("id" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 200, body = NetworkView)))]
pub(crate) async fn resume_network(
    State(api): State<Api>,
    caller: Caller,
    PathId(id): PathId<NetworkId>,
    key: IdempotencyKey,
) -> Result<Response, Problem> {
    let render = |network: &Network| rendered(StatusCode::OK, &NetworkView::from(network));
    let once = once(&key, fingerprint(&[id.as_bytes()]), &render);
    let answer = api.platform().resume_network(&caller, id, once).await?;
    reply(answer, &render)
}

pub(super) fn route(routes: Routes) -> Routes {
    routes.guarded(Scope::NetworksWrite, routes!(resume_network))
}
