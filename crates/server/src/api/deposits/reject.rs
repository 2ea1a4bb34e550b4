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

/// Refuse a held deposit, for good
///
/// Its value stays in suspense.
#[utoipa::path(post, path = "/v1/deposits/{id}/reject", tag = "deposits", request_body = DepositDecisionBody,
    params(("id" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 200, body = DepositView)))]
pub(crate) async fn reject_deposit(
    State(api): State<Api>,
    caller: Caller,
    PathId(id): PathId<DepositId>,
    key: IdempotencyKey,
    JsonBody(body): JsonBody<DepositDecisionBody>,
) -> Result<Response, Problem> {
    decide(&api, &caller, (id, DepositDecision::Reject), &body, &key).await
}

pub(super) fn route(routes: Routes) -> Routes {
    routes.guarded(Scope::DepositsWrite, routes!(reject_deposit))
}
