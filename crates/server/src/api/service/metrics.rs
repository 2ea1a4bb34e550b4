use axum::http::header;
use axum::response::IntoResponse;
use utoipa_axum::routes;

use crate::access::Routes;

/// Metrics in Prometheus' text format
///
/// Counts and times only: no ids, names or addresses are among the labels.
#[utoipa::path(get, path = "/metrics", tag = "service",
    responses((status = 200, body = String, content_type = "text/plain")))]
pub(crate) async fn metrics() -> impl IntoResponse {
    let text = crate::metrics::render();
    (
        [(
            header::CONTENT_TYPE,
            "text/plain; version=0.0.4; charset=utf-8",
        )],
        text,
    )
}

pub(super) fn route(routes: Routes) -> Routes {
    routes.open(routes!(metrics))
}
