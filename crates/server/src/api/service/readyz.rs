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
    checks: Checks,
}

/// Each is true when the part answers and can be trusted.
#[derive(Serialize, ToSchema)]
pub(crate) struct Checks {
    /// The database takes a transaction.
    store: bool,
    /// The signer answers, and is the one that is pinned.
    signer: bool,
    /// The audit chain's end is whole.
    audit: bool,
}

/// Can the process do its work?
#[utoipa::path(get, path = "/readyz", tag = "service",
    responses((status = 200, body = Ready), (status = 503, description = "One of the checks fails", body = Ready)))]
pub(crate) async fn readyz(State(open): State<Open>) -> (StatusCode, Json<Ready>) {
    let state = open.readiness().await;
    let ready = state.store && state.signer && state.audit;
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let checks = Checks {
        store: state.store,
        signer: state.signer,
        audit: state.audit,
    };
    (status, Json(Ready { ready, checks }))
}

pub(super) fn route(routes: Routes) -> Routes {
    routes.open(routes!(readyz))
}
