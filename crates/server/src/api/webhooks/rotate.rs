use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use coffer_domain::id::WebhookId;
use coffer_domain::time::rfc3339;
use coffer_platform::webhooks::{OVERLAP_HOURS_DEFAULT, RotatedSecret};
use coffer_platform::{Answer, Scope};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use crate::access::{Api, Caller, Routes};
use crate::api::once::{json_fingerprint, once, rendered, reply};
use crate::http::{IdempotencyKey, JsonBody, PathId};
use crate::problem::Problem;

#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RotateBody {
    /// How long the old secret signs beside the new one; 0: not at all.
    #[schema(default = 24, maximum = 720)]
    overlap_hours: Option<u32>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = RotatedSecret)]
pub(crate) struct RotatedView {
    id: String,
    /// `whsec_…`, shown this once; null when the answer is given again.
    secret: Option<String>,
    previous_secret_until: String,
}

fn view(rotated: &RotatedSecret, secret: Option<String>) -> (u16, String) {
    let view = RotatedView {
        id: rotated.webhook.to_string(),
        secret,
        previous_secret_until: rfc3339(rotated.previous_until_ms),
    };
    rendered(StatusCode::OK, &view)
}

/// Give a webhook a new secret
///
/// For a while both sign, so that a receiver can change over. Rotating again ends the overlap with the oldest.
#[utoipa::path(post, path = "/v1/webhooks/{id}/rotate", tag = "webhooks", request_body = RotateBody,
    params(("id" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 200, body = RotatedView)))]
pub(crate) async fn rotate_webhook(
    State(api): State<Api>,
    caller: Caller,
    PathId(id): PathId<WebhookId>,
    key: IdempotencyKey,
    JsonBody(body): JsonBody<RotateBody>,
) -> Result<Response, Problem> {
    let print = json_fingerprint(&id.to_string(), &body);
    let kept = |rotated: &RotatedSecret| view(rotated, None);
    let once = once(&key, print, &kept);
    let hours = body.overlap_hours.unwrap_or(OVERLAP_HOURS_DEFAULT);
    let answer = api
        .platform()
        .rotate_webhook_secret(&caller, id, hours, once)
        .await?;
    let shown = |rotated: &RotatedSecret| view(rotated, Some(rotated.secret.to_string()));
    match answer {
        Answer::Executed(rotated) => reply(Answer::Executed(rotated), &shown),
        replayed => reply(replayed, &kept),
    }
}

pub(super) fn route(routes: Routes) -> Routes {
    routes.guarded(Scope::WebhooksWrite, routes!(rotate_webhook))
}
