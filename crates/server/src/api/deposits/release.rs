use axum::extract::State;
use axum::response::Response;
use coffer_domain::id::DepositId;
use coffer_platform::{DepositDecision, Scope};
use utoipa_axum::routes;

use super::decide::decide;
use super::{DepositDecisionBody, DepositView};
use crate::access::{Api, Caller, Routes};
use crate::http::{IdempotencyKey, JsonBody, PathId};
use crate::problem::Problem;

/// Credit a held deposit
///
/// Its block needs the confirmations that every credit needs.
#[utoipa::path(post, path = "/v1/deposits/{id}/release", tag = "deposits", request_body = DepositDecisionBody,
    params(("id" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 200, body = DepositView)))]
pub(crate) async fn release_deposit(
    State(api): State<Api>,
    caller: Caller,
    PathId(id): PathId<DepositId>,
    key: IdempotencyKey,
    JsonBody(body): JsonBody<DepositDecisionBody>,
) -> Result<Response, Problem> {
    decide(&api, &caller, (id, DepositDecision::Release), &body, &key).await
}

pub(super) fn route(routes: Routes) -> Routes {
    routes.guarded(Scope::DepositsWrite, routes!(release_deposit))
}
