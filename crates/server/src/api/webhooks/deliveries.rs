use axum::Json;
use axum::extract::State;
use coffer_domain::id::WebhookId;
use coffer_domain::time::rfc3339;
use coffer_platform::Scope;
use coffer_platform::webhooks::{DeliveryFilter, DeliveryView as Delivery};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use crate::access::{Api, Caller, Routes};
use crate::api::page;
use crate::http::{PathId, Query};
use crate::problem::Problem;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct DeliveryQuery {
    /// delivered, failed or parked.
    result: Option<String>,
    /// An event's id.
    event: Option<String>,
    /// An object's id.
    subject: Option<String>,
    cursor: Option<String>,
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u32>,
}

/// One attempt to deliver one event.
#[derive(Serialize, ToSchema)]
#[schema(as = Delivery)]
pub(crate) struct DeliveryView {
    #[schema(example = "dlv_5d0c9a5b7d1e8f218b6e9c4d2a1f0e3c")]
    id: String,
    event_id: String,
    /// The event's number.
    event_sequence: u64,
    #[schema(example = "deposit.confirmed")]
    event_type: String,
    subject: String,
    attempt: u32,
    /// delivered; failed: it is tried again; parked: it was tried for three days, and waits for a redelivery.
    result: &'static str,
    /// Of the receiver's answer.
    status: Option<u16>,
    latency_ms: u64,
    /// status, redirect, gone, forbidden_address, no_such_host, no_connection, tls, timeout or broke_off.
    error: Option<String>,
    /// The beginning of an answer that was no success.
    excerpt: Option<String>,
    at: String,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct DeliveryPage {
    items: Vec<DeliveryView>,
    next_cursor: Option<String>,
}

impl From<Delivery> for DeliveryView {
    fn from(delivery: Delivery) -> Self {
        Self {
            id: delivery.id.to_string(),
            event_id: delivery.event_id,
            event_sequence: delivery.event_seq,
            event_type: delivery.event_type,
            subject: delivery.subject,
            attempt: delivery.attempt,
            result: delivery.result.name(),
            status: delivery.status,
            latency_ms: delivery.latency_ms,
            error: delivery.error,
            excerpt: delivery.excerpt,
            at: rfc3339(delivery.at_ms),
        }
    }
}

/// List a webhook's deliveries
///
/// Every attempt, the latest first: of the last seven days, and at most 100,000; parked ones stay.
#[utoipa::path(get, path = "/v1/webhooks/{id}/deliveries", tag = "webhooks",
    params(("id" = String, Path), DeliveryQuery), responses((status = 200, body = DeliveryPage)))]
pub(crate) async fn list_deliveries(
    State(api): State<Api>,
    caller: Caller,
    PathId(id): PathId<WebhookId>,
    Query(query): Query<DeliveryQuery>,
) -> Result<Json<DeliveryPage>, Problem> {
    let filter = DeliveryFilter {
        result: page::filter("result", query.result.as_deref())?,
        event: page::filter("event", query.event.as_deref())?,
        subject: query.subject,
    };
    let limit = page::limit(query.limit)?;
    let before = page::cursor(query.cursor.as_deref())?;
    let found = api
        .platform()
        .webhook_deliveries(&caller, id, &filter, (before, limit))
        .await?;
    Ok(Json(DeliveryPage {
        items: found.items.into_iter().map(DeliveryView::from).collect(),
        next_cursor: found.next.map(|number| number.to_string()),
    }))
}

pub(super) fn route(routes: Routes) -> Routes {
    routes.guarded(Scope::WebhooksRead, routes!(list_deliveries))
}
