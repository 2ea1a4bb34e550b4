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

/// Go on with a paused batch
///
/// On a batch that is running it changes nothing.
#[utoipa::path(post, path = "/v1/batches/{id}/resume", tag = "batches",
    params(("id" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 200, body = BatchView)))]
pub(crate) async fn resume_batch(
    State(api): State<Api>,
    caller: Caller,
    PathId(id): PathId<BatchId>,
    key: IdempotencyKey,
) -> Result<Response, Problem> {
    control(&api, &caller, id, Control::Resume, &key).await
}

pub(super) fn route(routes: Routes) -> Routes {
    routes.guarded(Scope::BatchesWrite, routes!(resume_batch))
}
