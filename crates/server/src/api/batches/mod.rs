//! Batches: wallets by the file.

mod cancel;
mod create;
mod events;
mod list;
mod pause;
mod results;
mod resume;
mod show;

pub(crate) use create::{accepted, upload_fingerprint};

use axum::http::StatusCode;
use axum::response::Response;
use coffer_domain::batch::{Batch, BatchState};
use coffer_domain::id::BatchId;
use coffer_platform::Caller;
use coffer_platform::batches::Control;
use serde::Serialize;
use utoipa::ToSchema;

use super::once::{fingerprint, once, rendered, reply};
use crate::access::{Api, Routes};
use crate::http::IdempotencyKey;
use crate::problem::Problem;
use coffer_domain::time::rfc3339;

pub(super) fn routes(routes: Routes) -> Routes {
    let routes = create::route(routes);
    let routes = list::route(routes);
    let routes = show::route(routes);
    let routes = results::route(routes);
    let routes = events::route(routes);
    let routes = pause::route(routes);
    let routes = resume::route(routes);
    cancel::route(routes)
}

#[derive(Serialize, ToSchema)]
#[schema(as = Batch)]
pub(crate) struct BatchView {
    #[schema(example = "bat_019376f2a8c07c5b8f1e2d3c4b5a6978")]
    id: String,
    vault_id: String,
    /// One of accepted, running, paused, completed, completed_with_errors, cancelled, failed.
    state: &'static str,
    /// Every kind of address that a row asks for: the columns of the results.
    #[schema(example = json!(["evm", "tron"]))]
    chains: Vec<&'static str>,
    /// skip or abort.
    on_error: &'static str,
    /// Row k has the index `first_index + k - 1`.
    first_index: u32,
    rows_total: u32,
    rows_created: u32,
    /// Rows whose external id had a wallet before.
    rows_existing: u32,
    rows_failed: u32,
    rows_done: u32,
    chunks_total: u32,
    chunks_done: u32,
    /// SHA-256 of the rows as they were sent, unpacked.
    content_sha256: String,
    created_at: String,
    started_at: Option<String>,
    finished_at: Option<String>,
    /// Over the time since it was started; null before the first rows.
    rows_per_second: Option<f64>,
    /// At that rate; null when there is none, or when nobody works on it.
    eta_seconds: Option<f64>,
}

impl BatchView {
    pub(crate) fn of(batch: &Batch, now_ms: i64) -> Self {
        let rate = rows_per_second(batch, now_ms);
        let left = f64::from(batch.rows_total.saturating_sub(batch.rows_done()));
        Self {
            id: batch.id.to_string(),
            vault_id: batch.vault.to_string(),
            state: batch.state.name(),
            chains: batch.kinds.iter().map(|kind| kind.name()).collect(),
            on_error: batch.on_error.name(),
            first_index: batch.first_index,
            rows_total: batch.rows_total,
            rows_created: batch.rows_created,
            rows_existing: batch.rows_existing,
            rows_failed: batch.rows_failed,
            rows_done: batch.rows_done(),
            chunks_total: batch.chunks_total,
            chunks_done: batch.chunks_done,
            content_sha256: hex::encode(batch.content_sha256),
            created_at: rfc3339(batch.created_at_ms),
            started_at: batch.started_at_ms.map(rfc3339),
            finished_at: batch.finished_at_ms.map(rfc3339),
            rows_per_second: rate,
            eta_seconds: rate
                .filter(|_| batch.state == BatchState::Running)
                .map(|rate| left / rate),
        }
    }
}

/// Pauses, resumes or cancels, which differ in nothing else.
async fn control(
    api: &Api,
    caller: &Caller,
    id: BatchId,
    control: Control,
    key: &IdempotencyKey,
) -> Result<Response, Problem> {
    let now_ms = api.now_ms();
    let render = move |batch: &Batch| rendered(StatusCode::OK, &BatchView::of(batch, now_ms));
    let once = once(key, fingerprint(&[id.as_bytes()]), &render);
    let answer = api
        .platform()
        .control_batch(caller, id, control, once)
        .await?;
    reply(answer, &render)
}

fn rows_per_second(batch: &Batch, now_ms: i64) -> Option<f64> {
    let elapsed_ms = batch.finished_at_ms.unwrap_or(now_ms) - batch.started_at_ms?;
    let elapsed_ms = u32::try_from(elapsed_ms.max(1)).unwrap_or(u32::MAX);
    let done = batch.rows_done();
    (done > 0).then(|| f64::from(done) * 1000.0 / f64::from(elapsed_ms))
}

#[cfg(test)]
mod tests;
