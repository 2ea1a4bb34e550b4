//! Webhooks: URLs that an organization's events are sent to.

mod create;
mod delete;
mod deliveries;
mod disable;
mod enable;
mod list;
mod redeliver;
mod rotate;
mod set;
mod show;
mod test;

use coffer_domain::event::EventPattern;
use coffer_domain::time::rfc3339;
use coffer_domain::webhook::{SendLimits, WebhookState};
use coffer_platform::webhooks::{CheckResult, WebhookView as Webhook};
use serde::Serialize;
use utoipa::ToSchema;

use super::page;
use crate::access::Routes;
use crate::problem::Problem;

pub(super) fn routes(routes: Routes) -> Routes {
    let routes = create::route(routes);
    let routes = list::route(routes);
    let routes = show::route(routes);
    let routes = set::route(routes);
    let routes = delete::route(routes);
    let routes = rotate::route(routes);
    let routes = test::route(routes);
    let routes = enable::route(routes);
    let routes = disable::route(routes);
    let routes = redeliver::route(routes);
    deliveries::route(routes)
}

#[derive(Serialize, ToSchema)]
#[schema(as = Webhook)]
pub(crate) struct WebhookView {
    #[schema(example = "whk_019376f2a8c07c5b8f1e2d3c4b5a6978")]
    id: String,
    url: String,
    description: Option<String>,
    /// Types and patterns; none means all.
    #[schema(example = json!(["deposit.*", "wallet.created"]))]
    types: Vec<String>,
    /// enabled; failing: it is enabled and nothing gets through; disabled: nothing is sent, its place is kept.
    state: &'static str,
    /// Why it is disabled.
    reason: Option<String>,
    /// Left out: no limit.
    rate_per_second: Option<u32>,
    concurrency: u32,
    /// Until then the secret before the last rotation signs, too.
    previous_secret_until: Option<String>,
    progress: ProgressView,
    created_at: String,
    version: u32,
}

#[derive(Serialize, ToSchema)]
#[schema(as = WebhookProgress)]
pub(crate) struct ProgressView {
    /// Every event up to this number is delivered, parked, not wanted, or tried again by itself.
    told_to: u64,
    /// Events beyond that.
    lag: u64,
    /// Events behind it that are tried again by themselves, and those that wait for them.
    open: u64,
    /// Deliveries that were given up after three days.
    parked: u64,
    failing_since: Option<String>,
    /// Nothing is sent before.
    paused_until: Option<String>,
    last_success_at: Option<String>,
    last_error: Option<String>,
}

impl From<&Webhook> for WebhookView {
    fn from(view: &Webhook) -> Self {
        let (webhook, progress) = (&view.webhook, &view.progress);
        let state = match &webhook.state {
            WebhookState::Enabled if progress.failing_since_ms.is_some() => "failing",
            state => state.name(),
        };
        Self {
            id: webhook.id.to_string(),
            url: webhook.url.clone(),
            description: webhook.description.clone(),
            types: webhook.types.iter().map(ToString::to_string).collect(),
            state,
            reason: webhook.state.reason().map(str::to_owned),
            rate_per_second: webhook.limits.rate_per_second,
            concurrency: webhook.limits.concurrency,
            previous_secret_until: view.previous_secret_until_ms.map(rfc3339),
            progress: ProgressView {
                told_to: progress.told_to,
                lag: progress.lag,
                open: progress.open,
                parked: progress.parked,
                failing_since: progress.failing_since_ms.map(rfc3339),
                paused_until: progress.paused_until_ms.map(rfc3339),
                last_success_at: progress.last_success_at_ms.map(rfc3339),
                last_error: progress.last_error.clone(),
            },
            created_at: rfc3339(webhook.created_at_ms),
            version: webhook.version,
        }
    }
}

/// What the receiver made of a test event.
#[derive(Serialize, ToSchema)]
#[schema(as = WebhookCheck)]
pub(crate) struct CheckView {
    /// Whether it answered with 2xx.
    success: bool,
    status: Option<u16>,
    /// forbidden_address, no_such_host, no_connection, tls, timeout or broke_off.
    error: Option<&'static str>,
    latency_ms: u64,
    /// The beginning of an answer that was no success.
    excerpt: Option<String>,
}

impl From<&CheckResult> for CheckView {
    fn from(check: &CheckResult) -> Self {
        Self {
            success: check.is_success(),
            status: check.status,
            error: check.error,
            latency_ms: check.latency_ms,
            excerpt: check.excerpt.clone(),
        }
    }
}

fn patterns(texts: &[String]) -> Result<Vec<EventPattern>, Problem> {
    texts
        .iter()
        .map(|text| page::parsed("types", text))
        .collect()
}

fn limits(rate_per_second: Option<u32>, concurrency: u32) -> Result<SendLimits, Problem> {
    SendLimits::try_new(rate_per_second, concurrency).ok_or_else(|| {
        page::invalid(
            "concurrency",
            "give 1 to 256, and a rate_per_second of 1 to 100000 or none",
        )
    })
}
