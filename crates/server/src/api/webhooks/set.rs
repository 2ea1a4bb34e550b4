use axum::Json;
use axum::extract::State;
use coffer_domain::id::WebhookId;
use coffer_platform::Scope;
use coffer_platform::webhooks::WebhookChange;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::{WebhookView, limits, patterns};
use crate::access::{Api, Caller, Routes};
use crate::http::{JsonBody, PathId};
use crate::problem::Problem;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WebhookBody {
    url: Option<String>,
    /// An empty text takes it away.
    #[schema(max_length = 200)]
    description: Option<String>,
    /// An empty list means all.
    types: Option<Vec<String>>,
    /// 0: no limit.
    #[schema(maximum = 100_000)]
    rate_per_second: Option<u32>,
    #[schema(minimum = 1, maximum = 256)]
    concurrency: Option<u32>,
}

/// Change a webhook
///
/// What is left out stays. A new URL gets what was not delivered to the old one.
#[utoipa::path(put, path = "/v1/webhooks/{id}", tag = "webhooks", request_body = WebhookBody,
    params(("id" = String, Path)), responses((status = 200, body = WebhookView)))]
pub(crate) async fn set_webhook(
    State(api): State<Api>,
    caller: Caller,
    PathId(id): PathId<WebhookId>,
    JsonBody(body): JsonBody<WebhookBody>,
) -> Result<Json<WebhookView>, Problem> {
    let now = api.platform().webhook(&caller, id).await?.webhook.limits;
    let rate = match body.rate_per_second {
        Some(0) => None,
        Some(rate) => Some(rate),
        None => now.rate_per_second,
    };
    let change = WebhookChange {
        url: body.url,
        description: body.description,
        types: body.types.as_deref().map(patterns).transpose()?,
        limits: Some(limits(rate, body.concurrency.unwrap_or(now.concurrency))?),
    };
    api.platform().set_webhook(&caller, id, change).await?;
    let view = api.platform().webhook(&caller, id).await?;
    Ok(Json(WebhookView::from(&view)))
}

pub(super) fn route(routes: Routes) -> Routes {
    routes.guarded(Scope::WebhooksWrite, routes!(set_webhook))
}
