use std::sync::OnceLock;

use axum::http::header;
use axum::response::IntoResponse;
use utoipa_axum::routes;

use crate::access::Routes;

/// This document
#[utoipa::path(get, path = "/openapi.json", tag = "service",
    responses((status = 200, description = "OpenAPI 3.1", content_type = "application/json")))]
pub(crate) async fn openapi() -> impl IntoResponse {
    static DOCUMENT: OnceLock<String> = OnceLock::new();
    let text = DOCUMENT.get_or_init(crate::openapi_json).as_str();
    ([(header::CONTENT_TYPE, "application/json")], text)
}

pub(super) fn route(routes: Routes) -> Routes {
    routes.open(routes!(openapi))
}
