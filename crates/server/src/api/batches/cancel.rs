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

/// Cancel a batch, for good
///
/// Wallets that were created stay; the other rows are reported as cancelled.
#[utoipa::path(post, path = "/v1/batches/{id}/cancel", tag = "batches",
    params(("id" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 200, body = BatchView)))]
pub(crate) async fn cancel_batch(
    State(api): State<Api>,
    caller: Caller,
    PathId(id): PathId<BatchId>,
    key: IdempotencyKey,
) -> Result<Response, Problem> {
    control(&api, &caller, id, Control::Cancel, &key).await
}

pub(super) fn route(routes: Routes) -> Routes {
    routes.guarded(Scope::BatchesWrite, routes!(cancel_batch))
}
