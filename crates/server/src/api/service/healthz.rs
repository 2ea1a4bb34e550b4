use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use crate::access::Routes;

#[derive(Serialize, ToSchema)]
pub(crate) struct Health {
    /// Always true: a process that is not alive does not answer.
    alive: bool,
    version: &'static str,
}

/// Is the process alive?
///
/// Asks nothing of the database or the signer, so that a supervisor does not restart a healthy process.
#[utoipa::path(get, path = "/healthz", tag = "service", responses((status = 200, body = Health)))]
pub(crate) async fn healthz() -> Json<Health> {
    Json(Health {
        alive: true,
        version: env!("CARGO_PKG_VERSION"),
    })
}

pub(super) fn route(routes: Routes) -> Routes {
    routes.open(routes!(healthz))
}
