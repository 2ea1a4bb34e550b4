use axum::Json;
use axum::extract::State;
use coffer_domain::id::{DrillId, VaultId};
use coffer_platform::Scope;
use coffer_signing::DrillProof;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;
use utoipa_axum::routes;

use crate::access::{Api, Caller, Routes};
use crate::api::page;
use crate::http::{JsonBody, PathIds};
use crate::problem::Problem;

#[derive(Serialize, ToSchema)]
pub(crate) struct DrillPassed {
    drill_id: String,
    /// Always true: a drill that does not pass is a state_conflict that says what differs.
    passed: bool,
    /// Addresses compared.
    samples: usize,
}

/// Finish a restore drill with its proof
///
/// The first drill that passes opens the vault.
#[utoipa::path(post, path = "/v1/vaults/{id}/drills/{drill_id}/proof", tag = "vaults",
    request_body(content = Object, content_type = "application/json", description = "What `coffer-signer drill` wrote"),
    params(("id" = String, Path), ("drill_id" = String, Path)),
    responses((status = 200, body = DrillPassed)))]
pub(crate) async fn finish_drill(
    State(api): State<Api>,
    caller: Caller,
    PathIds(vault, drill): PathIds<VaultId, DrillId>,
    JsonBody(body): JsonBody<Box<RawValue>>,
) -> Result<Json<DrillPassed>, Problem> {
    let proof = DrillProof::from_json(body.get()).map_err(|error| page::invalid("proof", error))?;
    let drilled = api
        .platform()
        .finish_drill(&caller, vault, drill, &proof)
        .await?;
    Ok(Json(DrillPassed {
        drill_id: drilled.drill.to_string(),
        passed: true,
        samples: drilled.samples,
    }))
}

pub(super) fn route(routes: Routes) -> Routes {
    routes.guarded(Scope::VaultsWrite, routes!(finish_drill))
}
