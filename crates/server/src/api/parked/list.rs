use axum::Json;
use axum::extract::State;
use coffer_platform::Scope;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use super::ParkedView;
use crate::access::{Api, Caller, Routes};
use crate::api::page;
use crate::http::Query;
use crate::problem::Problem;

/// Bodies are long; a page stays below some megabytes.
const PAGE_MAX: u32 = 50;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ParkedQuery {
    /// The name of a source.
    source: Option<String>,
    cursor: Option<String>,
    /// More than 50 count as 50.
    #[param(minimum = 1, maximum = 1000, default = 50)]
    limit: Option<u32>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct ParkedMessagePage {
    items: Vec<ParkedView>,
    next_cursor: Option<String>,
}

/// List parked messages
///
/// Messages of brokers that can never be worked on, each with its reason. The sender was answered the same, where it asked
/// for an answer. A message is mended by sending another; what is parked stays until it is discarded.
#[utoipa::path(get, path = "/v1/parked-messages", tag = "batches", params(ParkedQuery),
    responses((status = 200, body = ParkedMessagePage)))]
pub(crate) async fn list_parked_messages(
    State(api): State<Api>,
    caller: Caller,
    Query(query): Query<ParkedQuery>,
) -> Result<Json<ParkedMessagePage>, Problem> {
    let limit = page::limit(query.limit)?.min(PAGE_MAX);
    let after = page::cursor(query.cursor.as_deref())?;
    let found = api
        .platform()
        .parked_messages(&caller, query.source.as_deref(), after, limit)
        .await?;
    Ok(Json(ParkedMessagePage {
        items: found.items.iter().map(ParkedView::from).collect(),
        next_cursor: found.next.map(|id| id.to_string()),
    }))
}

pub(super) fn route(routes: Routes) -> Routes {
    routes.guarded(Scope::BatchesRead, routes!(list_parked_messages))
}
