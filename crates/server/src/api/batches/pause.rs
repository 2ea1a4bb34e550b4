use axum::extract::State;
use axum::response::Response;
use coffer_domain::id::BatchId;
use coffer_platform::Scope;
use coffer_platform::batches::Control;
use utoipa_axum::routes;

use super::{BatchView, control};
use crate::access::{Api, Caller, Routes};
use crate::http::{IdempotencyKey, PathId};
use crate::problem::Problem;

/// Pause a batch
///
/// Chunks in hand are finished, no new ones begun.
#[utoipa::path(post, path = "/v1/batches/{id}/pause", tag = "batches",
    params(("id" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 200, body = BatchView)))]
pub(crate) async fn pause_batch(
    State(api): State<Api>,
    caller: Caller,
    PathId(id): PathId<BatchId>,
    key: IdempotencyKey,
) -> Result<Response, Problem> {
    control(&api, &caller, id, Control::Pause, &key).await
}

pub(super) fn route(routes: Routes) -> Routes {
    routes.guarded(Scope::BatchesWrite, routes!(pause_batch))
}
