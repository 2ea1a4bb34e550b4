use axum::Json;
use axum::extract::State;
use coffer_domain::batch::BatchState;
use coffer_platform::Scope;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use super::BatchView;
use crate::access::{Api, Caller, Routes};
use crate::api::page;
use crate::http::Query;
use crate::problem::Problem;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct BatchQuery {
    /// One of the states of a batch.
    state: Option<String>,
    cursor: Option<String>,
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u32>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct BatchPage {
    data: Vec<BatchView>,
    next_cursor: Option<String>,
}

/// List batches, newest first
#[utoipa::path(get, path = "/v1/batches", tag = "batches", params(BatchQuery),
    responses((status = 200, body = BatchPage)))]
pub(crate) async fn list_batches(
    State(api): State<Api>,
    caller: Caller,
    Query(query): Query<BatchQuery>,
) -> Result<Json<BatchPage>, Problem> {
    let parse = |text| page::parsed::<BatchState>("state", text);
    let state = query.state.as_deref().map(parse).transpose()?;
    let limit = page::limit(query.limit)?;
    let after = page::cursor(query.cursor.as_deref())?;
    let found = api.platform().batches(&caller, state, after, limit).await?;
    let now_ms = api.now_ms();
    Ok(Json(BatchPage {
        next_cursor: found.next.map(|id| id.to_string()),
        data: found
            .items
            .iter()
            .map(|batch| BatchView::of(batch, now_ms))
            .collect(),
    }))
}

pub(super) fn route(routes: Routes) -> Routes {
    routes.guarded(Scope::BatchesRead, routes!(list_batches))
}
