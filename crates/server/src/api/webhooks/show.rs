use axum::Json;
use axum::extract::State;
use coffer_domain::id::WebhookId;
use coffer_platform::Scope;
use utoipa_axum::routes;

use super::WebhookView;
use crate::access::{Api, Caller, Routes};
use crate::http::PathId;
use crate::problem::Problem;

/// Show a webhook
#[utoipa::path(get, path = "/v1/webhooks/{id}", tag = "webhooks", params(("id" = String, Path)),
    responses((status = 200, body = WebhookView)))]
pub(crate) async fn show_webhook(
    State(api): State<Api>,
    caller: Caller,
    PathId(id): PathId<WebhookId>,
) -> Result<Json<WebhookView>, Problem> {
    let view = api.platform().webhook(&caller, id).await?;
    Ok(Json(WebhookView::from(&view)))
}

pub(super) fn route(routes: Routes) -> Routes {
    routes.guarded(Scope::WebhooksRead, routes!(show_webhook))
}
