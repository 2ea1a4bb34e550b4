use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use coffer_domain::id::WebhookId;
use coffer_domain::webhook::Webhook;
use coffer_platform::Scope;
use coffer_platform::webhooks::WebhookView as Shown;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::WebhookView;
use crate::access::{Api, Caller, Routes};
use crate::api::once::{json_fingerprint, once, rendered, reply};
use crate::http::{IdempotencyKey, JsonBody, PathId};
use crate::problem::Problem;

#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DisableBody {
    /// Shown with the webhook, and kept in the audit chain.
    reason: String,
}

/// Disable a webhook
///
/// Nothing more is sent; its place among the events is kept.
#[utoipa::path(post, path = "/v1/webhooks/{id}/disable", tag = "webhooks", request_body = DisableBody,
    params(("id" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 200, body = WebhookView)))]
pub(crate) async fn disable_webhook(
    State(api): State<Api>,
    caller: Caller,
    PathId(id): PathId<WebhookId>,
    key: IdempotencyKey,
    JsonBody(body): JsonBody<DisableBody>,
) -> Result<Response, Problem> {
    let print = json_fingerprint(&id.to_string(), &body);
    let before = api.platform().webhook(&caller, id).await?;
    let render = switched(before);
    let once = once(&key, print, &render);
    let answer = api
        .platform()
        .disable_webhook(&caller, id, &body.reason, once)
        .await?;
    reply(answer, &render)
}

/// The webhook as it is now, with the progress that it had before.
pub(super) fn switched(before: Shown) -> impl Fn(&Webhook) -> (u16, String) + Send + Sync {
    move |webhook| {
        let mut view = before.clone();
        view.webhook = webhook.clone();
        view.progress.failing_since_ms = None;
        view.progress.paused_until_ms = None;
        rendered(StatusCode::OK, &WebhookView::from(&view))
    }
}

pub(super) fn route(routes: Routes) -> Routes {
    routes.guarded(Scope::WebhooksWrite, routes!(disable_webhook))
}
