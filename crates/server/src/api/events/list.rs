use axum::Json;
use axum::extract::State;
use coffer_platform::{CloudEvent, Scope};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::EventQuery;
use crate::access::{Api, Caller, Routes};
use crate::api::page;
use crate::http::Query;
use crate::problem::Problem;

#[derive(Serialize, ToSchema)]
pub(crate) struct EventPage {
    #[schema(value_type = Vec<CloudEvent<'static>>)]
    items: Vec<Box<RawValue>>,
    /// Where to go on, also from an empty page: keep it, and ask again later.
    #[schema(example = "4711")]
    next_cursor: String,
    /// Whether there were more events when this page was read. A page may be empty and still have more behind it
    /// when a filter passes over many.
    more: bool,
}

/// List events
///
/// The complete record of what other systems are told, in the order of commits, without gaps: whoever keeps the
/// `next_cursor` and asks again misses nothing, whatever became of webhooks and brokers.
#[utoipa::path(get, path = "/v1/events", tag = "events", params(EventQuery), responses((status = 200, body = EventPage)))]
pub(crate) async fn list_events(
    State(api): State<Api>,
    caller: Caller,
    Query(query): Query<EventQuery>,
) -> Result<Json<EventPage>, Problem> {
    let limit = page::limit(query.limit)?;
    let after = page::cursor(query.cursor.as_deref())?.unwrap_or(0);
    let filter = query.filter()?;
    let found = api
        .platform()
        .events(&caller, &filter, after, limit)
        .await?;
    let items = found
        .items
        .iter()
        .map(|event| RawValue::from_string(event.to_cloud_event()).map_err(Problem::internal));
    Ok(Json(EventPage {
        items: items.collect::<Result<_, _>>()?,
        next_cursor: found.next.to_string(),
        more: found.more,
    }))
}

pub(super) fn route(routes: Routes) -> Routes {
    routes.guarded(Scope::EventsRead, routes!(list_events))
}
