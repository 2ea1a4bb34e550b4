use axum::Json;
use axum::extract::State;
use coffer_domain::id::NetworkId;
use coffer_platform::Scope;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use crate::access::{Api, Caller, Routes};
use crate::api::reconciliations::{Assets, ReconciliationView};
use crate::http::PathId;
use crate::problem::Problem;

#[derive(Serialize, ToSchema)]
pub(crate) struct ReconciliationLines {
    items: Vec<ReconciliationView>,
}

/// Reconcile a network now
///
/// At the last block taken: one line per asset. The same runs by itself after every block. Asking twice does no
/// harm, so there is no idempotency key. 503 with `nodes_unavailable` when too few nodes serve, or when the block
/// was reorganized away meanwhile; nothing is concluded then.
#[utoipa::path(post, path = "/v1/networks/{id}/reconcile", tag = "reconciliations", params(("id" = String, Path)),
    responses((status = 200, body = ReconciliationLines)))]
pub(crate) async fn reconcile_network(
    State(api): State<Api>,
    caller: Caller,
    PathId(id): PathId<NetworkId>,
) -> Result<Json<ReconciliationLines>, Problem> {
    let lines = api.platform().reconcile_now(&caller, id).await?;
    let assets = Assets::of(&api, &caller).await?;
    Ok(Json(ReconciliationLines {
        items: assets.lines(&lines)?,
    }))
}

pub(crate) fn route(routes: Routes) -> Routes {
    routes.guarded(Scope::NetworksWrite, routes!(reconcile_network))
}
