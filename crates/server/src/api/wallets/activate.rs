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
use crate::http::{IdempotencyKey, OptionalJsonBody, PathId};
use crate::problem::Problem;

#[derive(Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ActivateBody {
    /// A note for the record.
    reason: Option<String>,
}

/// Activate a pending wallet
///
/// By a caller who did not create it. Its addresses are shown from now on.
#[utoipa::path(post, path = "/v1/wallets/{id}/activate", tag = "wallets", request_body = ActivateBody,
    params(("id" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 200, body = WalletView)))]
pub(crate) async fn activate_wallet(
    State(api): State<Api>,
    caller: Caller,
    PathId(id): PathId<WalletId>,
    key: IdempotencyKey,
    OptionalJsonBody(body): OptionalJsonBody<ActivateBody>,
) -> Result<Response, Problem> {
    let print = json_fingerprint(&id.to_string(), &body);
    let decision = (Decision::Activate, body.reason);
    decide(&api, &caller, id, decision, (&key, print)).await
}

pub(super) fn route(routes: Routes) -> Routes {
    routes.guarded(Scope::WalletsActivate, routes!(activate_wallet))
}
