use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use coffer_platform::{Scope, SinkState};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::SinkView;
use crate::access::{Api, Caller, Routes};
use crate::api::once::{json_fingerprint, once, rendered, reply};
use crate::http::{IdempotencyKey, JsonBody, PathId};
use crate::problem::Problem;

#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RewindBody {
    /// The number of the last event that is not published again; 0 publishes everything again.
    #[schema(example = 4711)]
    to: u64,
}

/// Publish events again
///
/// Sets a sink back, so that it publishes every event behind `to` again, in order. The events keep their ids: whoever has
/// seen one knows it. For a consumer that lost its data, or a broker that lost its own.
#[utoipa::path(post, path = "/v1/sinks/{name}/rewind", tag = "events", request_body = RewindBody,
    params(("name" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 200, body = SinkView)))]
pub(crate) async fn rewind_sink(
    State(api): State<Api>,
    caller: Caller,
    PathId(name): PathId<String>,
    key: IdempotencyKey,
    JsonBody(body): JsonBody<RewindBody>,
) -> Result<Response, Problem> {
    let render = |state: &SinkState| rendered(StatusCode::OK, &SinkView::from(state));
    let once = once(&key, json_fingerprint(&name, &body), &render);
    let answer = api
        .platform()
        .rewind_sink(&caller, &name, body.to, once)
        .await?;
    reply(answer, &render)
}

pub(super) fn route(routes: Routes) -> Routes {
    routes.guarded(Scope::EventsWrite, routes!(rewind_sink))
}
