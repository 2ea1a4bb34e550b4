use axum::Json;
use axum::extract::State;
use coffer_domain::id::WebhookId;
use coffer_platform::Scope;
use utoipa_axum::routes;

use super::CheckView;
use crate::access::{Api, Caller, Routes};
use crate::http::PathId;
use crate::problem::Problem;

/// Send a webhook a test event
///
/// Of type `coffer.webhook.test`, signed like every other. What the receiver made of it is the answer.
#[utoipa::path(post, path = "/v1/webhooks/{id}/test", tag = "webhooks", params(("id" = String, Path)),
    responses((status = 200, body = CheckView)))]
pub(crate) async fn test_webhook(
    State(api): State<Api>,
    caller: Caller,
    PathId(id): PathId<WebhookId>,
) -> Result<Json<CheckView>, Problem> {
    let check = api.platform().test_webhook(&caller, id).await?;
    Ok(Json(CheckView::from(&check)))
}

pub(super) fn route(routes: Routes) -> Routes {
    routes.guarded(Scope::WebhooksWrite, routes!(test_webhook))
}
