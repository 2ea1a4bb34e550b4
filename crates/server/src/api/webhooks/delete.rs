use axum::extract::State;
use axum::http::StatusCode;
use coffer_domain::id::WebhookId;
use coffer_platform::Scope;
use utoipa_axum::routes;

use crate::access::{Api, Caller, Routes};
use crate::http::PathId;
use crate::problem::Problem;

/// Delete a webhook, for good
///
/// Its secrets, its place and its log of deliveries go with it.
#[utoipa::path(delete, path = "/v1/webhooks/{id}", tag = "webhooks", params(("id" = String, Path)),
    responses((status = 204)))]
pub(crate) async fn delete_webhook(
    State(api): State<Api>,
    caller: Caller,
    PathId(id): PathId<WebhookId>,
) -> Result<StatusCode, Problem> {
    api.platform().delete_webhook(&caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) fn route(routes: Routes) -> Routes {
    routes.guarded(Scope::WebhooksWrite, routes!(delete_webhook))
}
