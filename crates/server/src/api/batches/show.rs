use axum::Json;
use axum::extract::State;
use coffer_domain::id::BatchId;
use coffer_platform::Scope;
use utoipa_axum::routes;

use super::BatchView;
use crate::access::{Api, Caller, Routes};
use crate::http::PathId;
use crate::problem::Problem;

/// Show a batch, with its progress
#[utoipa::path(get, path = "/v1/batches/{id}", tag = "batches", params(("id" = String, Path)),
    responses((status = 200, body = BatchView)))]
pub(crate) async fn show_batch(
    State(api): State<Api>,
    caller: Caller,
    PathId(id): PathId<BatchId>,
) -> Result<Json<BatchView>, Problem> {
    let batch = api.platform().batch(&caller, id).await?;
    Ok(Json(BatchView::of(&batch, api.now_ms())))
}

pub(super) fn route(routes: Routes) -> Routes {
    routes.guarded(Scope::BatchesRead, routes!(show_batch))
}
