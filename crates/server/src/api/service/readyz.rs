use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use crate::access::{Open, Routes};

#[derive(Serialize, ToSchema)]
pub(crate) struct Ready {
    ready: bool,
    /// By part: `store` takes a transaction, `signer` answers and is the pinned one, `audit` chains are whole.
    checks: BTreeMap<&'static str, bool>,
}

/// Can the process do its work?
///
/// Says which part fails; why is in the log, since this answer needs no key.
#[utoipa::path(get, path = "/readyz", tag = "service",
    responses((status = 200, body = Ready), (status = 503, description = "A check fails", body = Ready)))]
pub(crate) async fn readyz(State(open): State<Open>) -> (StatusCode, Json<Ready>) {
    let mut checks = BTreeMap::new();
    for (part, state) in open.readiness().await {
        if let Err(error) = &state {
            tracing::warn!(part, error, "not ready");
        }
        checks.insert(part, state.is_ok());
    }
    let ready = checks.values().all(|ok| *ok);
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(Ready { ready, checks }))
}

pub(super) fn route(routes: Routes) -> Routes {
    routes.open(routes!(readyz))
}
