use axum::Json;
use axum::extract::State;
use coffer_platform::Scope;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::WebhookView;
use crate::access::{Api, Caller, Routes};
use crate::problem::Problem;

#[derive(Serialize, ToSchema)]
pub(crate) struct Webhooks {
    data: Vec<WebhookView>,
}

/// List webhooks
#[utoipa::path(get, path = "/v1/webhooks", tag = "webhooks", responses((status = 200, body = Webhooks)))]
pub(crate) async fn list_webhooks(
    State(api): State<Api>,
    caller: Caller,
) -> Result<Json<Webhooks>, Problem> {
    let found = api.platform().webhooks(&caller).await?;
    let data = found.iter().map(WebhookView::from).collect();
    Ok(Json(Webhooks { data }))
}

pub(super) fn route(routes: Routes) -> Routes {
    routes.guarded(Scope::WebhooksRead, routes!(list_webhooks))
}
