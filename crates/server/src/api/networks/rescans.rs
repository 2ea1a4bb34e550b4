use axum::Json;
use axum::extract::State;
use coffer_domain::id::NetworkId;
use coffer_platform::{Rescan, Scope};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use crate::access::{Api, Caller, Routes};
use crate::http::PathId;
use crate::problem::Problem;
use coffer_domain::time::rfc3339;

#[derive(Serialize, ToSchema)]
#[schema(as = Rescan)]
pub(crate) struct RescanView {
    #[schema(example = "rsc_019ab0c45d7a7c1e9d0f3b2a10c4e5f6")]
    id: String,
    network_id: String,
    first: u64,
    last: u64,
    /// running, waiting or finished.
    state: &'static str,
    /// What it waits for.
    reason: Option<String>,
    blocks_compared: u64,
    /// Blocks in which anything was not as recorded.
    blocks_differing: u64,
    /// Deposits that had been missed, and were posted now.
    deposits_found: u64,
    /// Deposits on record that the chain does not show. Left alone; a person must look into each.
    deposits_unexplained: u64,
    created_at: String,
    finished_at: Option<String>,
}

impl From<&Rescan> for RescanView {
    fn from(rescan: &Rescan) -> Self {
        Self {
            id: rescan.id.to_string(),
            network_id: rescan.network.to_string(),
            first: rescan.first.0,
            last: rescan.last.0,
            state: rescan.state(),
            reason: rescan.reason.clone(),
            blocks_compared: rescan.blocks_compared(),
            blocks_differing: rescan.blocks_differing,
            deposits_found: rescan.deposits_found,
            deposits_unexplained: rescan.deposits_unexplained,
            created_at: rfc3339(rescan.created_at_ms),
            finished_at: rescan.finished_at_ms.map(rfc3339),
        }
    }
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Rescans {
    items: Vec<RescanView>,
}

/// List a network's rescans
///
/// The latest first, at most 100.
#[utoipa::path(get, path = "/v1/networks/{id}/rescans", tag = "networks", params(("id" = String, Path)),
    responses((status = 200, body = Rescans)))]
pub(crate) async fn list_rescans(
    State(api): State<Api>,
    caller: Caller,
    PathId(id): PathId<NetworkId>,
) -> Result<Json<Rescans>, Problem> {
    let rescans = api.platform().rescans(&caller, id).await?;
    let items = rescans.iter().map(RescanView::from).collect();
    Ok(Json(Rescans { items }))
}

pub(super) fn route(routes: Routes) -> Routes {
    routes.guarded(Scope::NetworksRead, routes!(list_rescans))
}
