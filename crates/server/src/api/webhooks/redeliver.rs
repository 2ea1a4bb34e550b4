use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use coffer_domain::id::WebhookId;
use coffer_platform::Scope;
use coffer_platform::webhooks::{AskedRedelivery, RedeliveryRange};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use crate::access::{Api, Caller, Routes};
use crate::api::ledger::moment;
use crate::api::once::{json_fingerprint, once, rendered, reply};
use crate::api::page;
use crate::http::{IdempotencyKey, JsonBody, PathId};
use crate::problem::Problem;

/// All that is given must hold.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RedeliverBody {
    #[schema(example = "evt_3f0c9a5b7d1e8f218b6e9c4d2a1f0e3c")]
    event: Option<String>,
    #[schema(example = "dlv_5d0c9a5b7d1e8f218b6e9c4d2a1f0e3c")]
    delivery: Option<String>,
    /// An object's id.
    subject: Option<String>,
    /// The number of the first event,
    first: Option<u64>,
    /// and of the last.
    last: Option<u64>,
    /// RFC 3339.
    #[schema(example = "2026-11-28T00:00:00Z")]
    from: Option<String>,
    /// RFC 3339; not included.
    until: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Redelivery)]
pub(crate) struct RedeliveryView {
    #[schema(example = "rdl_019376f2a8c07c5b8f1e2d3c4b5a6978")]
    id: String,
    /// Events with these numbers are looked through.
    first: u64,
    last: u64,
}

impl RedeliverBody {
    fn range(&self) -> Result<RedeliveryRange, Problem> {
        let time = |field, text: &Option<String>| {
            let text = text.as_deref();
            text.map(|text| moment::parsed(field, text)).transpose()
        };
        Ok(RedeliveryRange {
            event: page::filter("event", self.event.as_deref())?,
            delivery: page::filter("delivery", self.delivery.as_deref())?,
            subject: self.subject.clone(),
            first_seq: self.first,
            last_seq: self.last,
            from_ms: time("from", &self.from)?,
            until_ms: time("until", &self.until)?,
        })
    }
}

/// Send events again
///
/// One event, the events of an object, or a range of numbers or times, in their order; newer events of the same
/// objects wait for them. Only what the webhook wants is sent, also from before it was made; what is still to come comes
/// by itself.
#[utoipa::path(post, path = "/v1/webhooks/{id}/redeliver", tag = "webhooks", request_body = RedeliverBody,
    params(("id" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 202, body = RedeliveryView)))]
pub(crate) async fn redeliver_webhook(
    State(api): State<Api>,
    caller: Caller,
    PathId(id): PathId<WebhookId>,
    key: IdempotencyKey,
    JsonBody(body): JsonBody<RedeliverBody>,
) -> Result<Response, Problem> {
    let print = json_fingerprint(&id.to_string(), &body);
    let range = body.range()?;
    let render = |asked: &AskedRedelivery| {
        let view = RedeliveryView {
            id: asked.id.to_string(),
            first: asked.first_seq,
            last: asked.last_seq,
        };
        rendered(StatusCode::ACCEPTED, &view)
    };
    let once = once(&key, print, &render);
    let answer = api.platform().redeliver(&caller, id, &range, once).await?;
    reply(answer, &render)
}

pub(super) fn route(routes: Routes) -> Routes {
    routes.guarded(Scope::WebhooksWrite, routes!(redeliver_webhook))
}
