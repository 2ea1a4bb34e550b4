use axum::Json;
use axum::extract::State;
use coffer_domain::id::VaultId;
use coffer_domain::vault::Gate;
use coffer_platform::Scope;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::VaultView;
use crate::access::{Api, Caller, Routes};
use crate::api::page;
use crate::http::{JsonBody, PathId};
use crate::problem::Problem;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GateBody {
    /// automatic, allow-list, manual or hook.
    #[schema(example = "manual")]
    mode: String,
    /// With `hook` only: the KYC service, by https.
    hook_url: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct GatedVault {
    #[serde(flatten)]
    vault: VaultView,
    /// With `hook` only: the key of the calls' signatures (Standard Webhooks).
    #[serde(skip_serializing_if = "Option::is_none")]
    hook_secret: Option<String>,
}

/// Choose who decides that a pending wallet becomes active
///
/// Wallets that are pending go on waiting, for the new gate.
#[utoipa::path(put, path = "/v1/vaults/{id}/gate", tag = "vaults", request_body = GateBody,
    params(("id" = String, Path)), responses((status = 200, body = GatedVault)))]
pub(crate) async fn set_gate(
    State(api): State<Api>,
    caller: Caller,
    PathId(id): PathId<VaultId>,
    JsonBody(body): JsonBody<GateBody>,
) -> Result<Json<GatedVault>, Problem> {
    let gate = Gate {
        mode: page::parsed("mode", &body.mode)?,
        hook_url: body.hook_url,
    };
    let set = api.platform().set_gate(&caller, id, gate).await?;
    Ok(Json(GatedVault {
        vault: VaultView::from(&set.vault),
        hook_secret: set.hook_secret.map(|secret| secret.as_str().to_owned()),
    }))
}

pub(super) fn route(routes: Routes) -> Routes {
    routes.guarded(Scope::VaultsWrite, routes!(set_gate))
}
