use axum::extract::State;
use axum::http::StatusCode;
use coffer_domain::id::ParkedMessageId;
use coffer_platform::Scope;
use utoipa_axum::routes;

use crate::access::{Api, Caller, Routes};
use crate::http::PathId;
use crate::problem::Problem;

/// Discard a parked message
///
/// It is gone then; the audit keeps its hash, source and code.
#[utoipa::path(delete, path = "/v1/parked-messages/{id}", tag = "batches", params(("id" = String, Path)),
    responses((status = 204)))]
pub(crate) async fn discard_parked_message(
    State(api): State<Api>,
    caller: Caller,
    PathId(id): PathId<ParkedMessageId>,
) -> Result<StatusCode, Problem> {
    api.platform().discard_parked(&caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) fn route(routes: Routes) -> Routes {
    routes.guarded(Scope::BatchesWrite, routes!(discard_parked_message))
}
