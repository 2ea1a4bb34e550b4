use axum::Json;
use axum::extract::State;
use coffer_platform::{ReconciliationFilter, Scope};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use super::{Assets, ReconciliationView};
use crate::access::{Api, Caller, Routes};
use crate::api::page;
use crate::http::Query;
use crate::problem::Problem;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ReconciliationQuery {
    network: Option<String>,
    asset: Option<String>,
    /// matched or drift.
    state: Option<String>,
    cursor: Option<String>,
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u32>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct ReconciliationPage {
    items: Vec<ReconciliationView>,
    next_cursor: Option<String>,
}

/// List reconciliations
///
/// The newest first. Of matched ones older than an hour the last of each hour is kept; one with a difference
/// stays for ever.
#[utoipa::path(get, path = "/v1/reconciliations", tag = "reconciliations", params(ReconciliationQuery),
    responses((status = 200, body = ReconciliationPage)))]
pub(crate) async fn list_reconciliations(
    State(api): State<Api>,
    caller: Caller,
    Query(query): Query<ReconciliationQuery>,
) -> Result<Json<ReconciliationPage>, Problem> {
    let filter = ReconciliationFilter {
        network: page::filter("network", query.network.as_deref())?,
        asset: page::filter("asset", query.asset.as_deref())?,
        state: page::filter("state", query.state.as_deref())?,
    };
    let limit = page::limit(query.limit)?;
    let before = page::cursor(query.cursor.as_deref())?;
    let found = api
        .platform()
        .reconciliations(&caller, &filter, before, limit)
        .await?;
    let assets = Assets::of(&api, &caller).await?;
    Ok(Json(ReconciliationPage {
        items: assets.lines(&found.items)?,
        next_cursor: found.next.map(|id| id.to_string()),
    }))
}

pub(super) fn route(routes: Routes) -> Routes {
    routes.guarded(Scope::LedgerRead, routes!(list_reconciliations))
}
