use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use coffer_domain::webhook::CONCURRENCY_DEFAULT;
use coffer_platform::webhooks::{CreatedWebhook, NewWebhook};
use coffer_platform::{Answer, Scope};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::{CheckView, WebhookView, limits, patterns};
use crate::access::{Api, Caller, Routes};
use crate::api::once::{json_fingerprint, once, rendered, reply};
use crate::http::{IdempotencyKey, JsonBody};
use crate::problem::Problem;

#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewWebhookBody {
    /// https, and a public address unless the server's configuration allows others.
    #[schema(example = "https://hooks.example.com/coffer")]
    url: String,
    #[schema(max_length = 200)]
    description: Option<String>,
    /// Types and patterns such as `deposit.*`; left out or empty: all.
    #[serde(default)]
    types: Vec<String>,
    #[schema(minimum = 1, maximum = 100_000)]
    rate_per_second: Option<u32>,
    /// Sends under way at once.
    #[schema(minimum = 1, maximum = 256, default = 16)]
    concurrency: Option<u32>,
    /// The number of the last event that is not wanted: 0 sends all there ever were. Left out: the newest one now.
    after: Option<u64>,
    /// false: do not call the URL now.
    #[schema(default = true)]
    check: Option<bool>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = CreatedWebhook)]
pub(crate) struct CreatedWebhookView {
    #[serde(flatten)]
    webhook: WebhookView,
    /// `whsec_…`, shown this once; null when the answer is given again.
    secret: Option<String>,
    check: Option<CheckView>,
}

fn view(created: &CreatedWebhook, secret: Option<String>) -> (u16, String) {
    let view = CreatedWebhookView {
        webhook: WebhookView::from(&created.view),
        secret,
        check: created.check.as_ref().map(CheckView::from),
    };
    rendered(StatusCode::CREATED, &view)
}

/// Create a webhook
///
/// A signed test event is sent to the URL at once; somebody must answer, with whichever status. The answer holds the
/// secret that signs events, which is shown this once: an answer given again under the same `Idempotency-Key` does
/// not, and who lost it rotates it.
#[utoipa::path(post, path = "/v1/webhooks", tag = "webhooks", request_body = NewWebhookBody,
    params(("Idempotency-Key" = Option<String>, Header)),
    responses((status = 201, body = CreatedWebhookView)))]
pub(crate) async fn create_webhook(
    State(api): State<Api>,
    caller: Caller,
    key: IdempotencyKey,
    JsonBody(body): JsonBody<NewWebhookBody>,
) -> Result<Response, Problem> {
    let print = json_fingerprint("webhooks", &body);
    let new = NewWebhook {
        types: patterns(&body.types)?,
        limits: limits(
            body.rate_per_second,
            body.concurrency.unwrap_or(CONCURRENCY_DEFAULT),
        )?,
        url: body.url,
        description: body.description,
        after: body.after,
        check: body.check.unwrap_or(true),
    };
    let kept = |created: &CreatedWebhook| view(created, None);
    let once = once(&key, print, &kept);
    let answer = api.platform().create_webhook(&caller, new, once).await?;
    let shown = |created: &CreatedWebhook| view(created, Some(created.secret.to_string()));
    match answer {
        Answer::Executed(created) => reply(Answer::Executed(created), &shown),
        replayed => reply(replayed, &kept),
    }
}

pub(super) fn route(routes: Routes) -> Routes {
    routes.guarded(Scope::WebhooksWrite, routes!(create_webhook))
}
