use axum::Json;
use axum::extract::State;
use coffer_domain::id::ReconciliationId;
use coffer_platform::Scope;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::{Assets, DifferenceView, ReconciliationView};
use crate::access::{Api, Caller, Routes};
use crate::http::PathId;
use crate::problem::Problem;

#[derive(Serialize, ToSchema)]
pub(crate) struct ReconciliationDetail {
    #[serde(flatten)]
    reconciliation: ReconciliationView,
    differences: Vec<DifferenceView>,
}

/// Show a reconciliation, with the addresses on which ledger and chain differ
#[utoipa::path(get, path = "/v1/reconciliations/{id}", tag = "reconciliations", params(("id" = String, Path)),
    responses((status = 200, body = ReconciliationDetail)))]
pub(crate) async fn show_reconciliation(
    State(api): State<Api>,
    caller: Caller,
    PathId(id): PathId<ReconciliationId>,
) -> Result<Json<ReconciliationDetail>, Problem> {
    let (line, differences) = api.platform().reconciliation(&caller, id).await?;
    let assets = Assets::of(&api, &caller).await?;
    let differences = differences
        .iter()
        .map(|one| assets.difference(line.asset, one))
        .collect::<Result<_, Problem>>()?;
    Ok(Json(ReconciliationDetail {
        reconciliation: assets.line(&line)?,
        differences,
    }))
}

pub(super) fn route(routes: Routes) -> Routes {
    routes.guarded(Scope::LedgerRead, routes!(show_reconciliation))
}
