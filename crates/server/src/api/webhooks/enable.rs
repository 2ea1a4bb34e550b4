use axum::extract::State;
use axum::response::Response;
use coffer_domain::id::WebhookId;
use coffer_platform::Scope;
use utoipa_axum::routes;

use super::WebhookView;
use crate::access::{Api, Caller, Routes};
use crate::api::once::{fingerprint, once, reply};
use crate::http::{IdempotencyKey, PathId};
use crate::problem::Problem;

/// Enable a webhook
///
/// It goes on where it stopped; nothing that happened meanwhile is left out.
#[utoipa::path(post, path = "/v1/webhooks/{id}/enable", tag = "webhooks",
    params(("id" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 200, body = WebhookView)))]
pub(crate) async fn enable_webhook(
    State(api): State<Api>,
    caller: Caller,
    PathId(id): PathId<WebhookId>,
    key: IdempotencyKey,
) -> Result<Response, Problem> {
    let print = fingerprint(&[id.to_string().as_bytes()]);
    let before = api.platform().webhook(&caller, id).await?;
    let render = super::disable::switched(before);
    let once = once(&key, print, &render);
    let answer = api.platform().enable_webhook(&caller, id, once).await?;
    reply(answer, &render)
}

pub(super) fn route(routes: Routes) -> Routes {
    routes.guarded(Scope::WebhooksWrite, routes!(enable_webhook))
}
