use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use coffer_domain::id::VaultId;
use coffer_platform::Scope;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use crate::access::{Api, Caller, Routes};
use crate::http::{OptionalJsonBody, PathId};
use crate::problem::Problem;

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DrillBody {
    /// How many indexes to ask for, spread over those that were issued.
    samples: Option<u32>,
}

/// Start a restore drill
///
/// The answer is the challenge that `coffer-signer drill` takes on its standard input, where the backup is.
#[utoipa::path(post, path = "/v1/vaults/{id}/drills", tag = "vaults", request_body = DrillBody,
    params(("id" = String, Path)),
    responses((status = 201, description = "The challenge", body = Object, content_type = "application/json")))]
pub(crate) async fn start_drill(
    State(api): State<Api>,
    caller: Caller,
    PathId(id): PathId<VaultId>,
    OptionalJsonBody(body): OptionalJsonBody<DrillBody>,
) -> Result<impl IntoResponse, Problem> {
    let challenge = api
        .platform()
        .start_drill(&caller, id, body.samples)
        .await?;
    let content_type = [(header::CONTENT_TYPE, "application/json")];
    Ok((StatusCode::CREATED, content_type, challenge.to_json()))
}

pub(super) fn route(routes: Routes) -> Routes {
    routes.guarded(Scope::VaultsWrite, routes!(start_drill))
}
