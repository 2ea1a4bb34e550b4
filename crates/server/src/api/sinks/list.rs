use axum::Json;
use axum::extract::State;
use coffer_platform::Scope;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::SinkView;
use crate::access::{Api, Caller, Routes};
use crate::problem::Problem;

#[derive(Serialize, ToSchema)]
pub(crate) struct SinkList {
    items: Vec<SinkView>,
}

/// List sinks
///
/// The message brokers that events have been published to, and how far each has come. Sinks are configured in the
/// server's configuration file.
#[utoipa::path(get, path = "/v1/sinks", tag = "events", responses((status = 200, body = SinkList)))]
pub(crate) async fn list_sinks(
    State(api): State<Api>,
    caller: Caller,
) -> Result<Json<SinkList>, Problem> {
    let states = api.platform().sinks(&caller).await?;
    Ok(Json(SinkList {
        items: states.iter().map(SinkView::from).collect(),
    }))
}

pub(super) fn route(routes: Routes) -> Routes {
    routes.guarded(Scope::EventsRead, routes!(list_sinks))
}
