use axum::extract::State;
use axum::response::Response;
use coffer_domain::id::WalletId;
use coffer_domain::wallet::Decision;
use coffer_platform::Scope;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::WalletView;
use super::decide::decide;
use crate::access::{Api, Caller, Routes};
use crate::api::once::json_fingerprint;
use crate::http::{IdempotencyKey, JsonBody, PathId};
use crate::problem::Problem;

#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RejectBody {
    /// Why; kept with the wallet and in the audit log.
    reason: String,
}

/// Reject a pending wallet, for good
///
/// By a caller who did not create it. Its addresses are never shown.
#[utoipa::path(post, path = "/v1/wallets/{id}/reject", tag = "wallets", request_body = RejectBody,
    params(("id" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 200, body = WalletView)))]
pub(crate) async fn reject_wallet(
    State(api): State<Api>,
    caller: Caller,
    PathId(id): PathId<WalletId>,
    key: IdempotencyKey,
    JsonBody(body): JsonBody<RejectBody>,
) -> Result<Response, Problem> {
    let print = json_fingerprint(&id.to_string(), &body);
    let decision = (Decision::Reject, Some(body.reason));
    decide(&api, &caller, id, decision, (&key, print)).await
}

pub(super) fn route(routes: Routes) -> Routes {
    routes.guarded(Scope::WalletsActivate, routes!(reject_wallet))
}
