//! What surrounds every request: its id, its log span, its metrics, the security headers, and a net for panics.

use std::any::Any;
use std::time::Instant;

use axum::Router;
use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use tower_http::catch_panic::CatchPanicLayer;
use tracing::Instrument;

use crate::problem::{Code, Problem};

static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Puts the envelope around `router`, with answers for paths and methods that it does not have.
pub(crate) fn enveloped(router: Router) -> Router {
    router
        .fallback(|| async { Problem::new(Code::NotFound, "no such path; GET /docs lists them") })
        .method_not_allowed_fallback(|| async {
            Problem::new(
                Code::MethodNotAllowed,
                "the Allow header lists this path's methods",
            )
        })
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn(envelope))
}

fn panicked(payload: Box<dyn Any + Send + 'static>) -> Response {
    let text = payload
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| payload.downcast_ref::<&str>().copied())
        .unwrap_or("no text");
    Problem::internal(format_args!("a handler panicked: {text}")).into_response()
}

async fn envelope(request: Request, next: Next) -> Response {
    let id = request_id(&request);
    let method = method_label(request.method());
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "none".to_owned(), |path| path.as_str().to_owned());
    let span = tracing::info_span!(
        "request",
        id = id.to_str().unwrap_or_default(),
        method,
        route,
        key = tracing::field::Empty
    );
    let begun = Instant::now();
    let is_chunked = request.headers().contains_key(header::TRANSFER_ENCODING);
    let mut response = async {
        let response = next.run(request).await;
        let elapsed_ms = begun.elapsed().as_millis();
        tracing::info!(status = response.status().as_u16(), elapsed_ms, "answered");
        response
    }
    .instrument(span)
    .await;
    count(method, route, response.status(), begun);
    furnish(&mut response, id);
    if is_chunked {
        // hyper takes a chunked body whatever Content-Length says beside it, and a proxy that counts
        // otherwise could be made to pass a hidden second request (RFC 9112, section 6.3). It
        // would have to come on this connection.
        let headers = response.headers_mut();
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// The client's own id when it is fit to be logged, else a new one.
fn request_id(request: &Request) -> HeaderValue {
    let sent = request.headers().get(&REQUEST_ID).filter(|id| {
        (1..=128).contains(&id.len())
            && id
                .as_bytes()
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
    });
    sent.cloned().unwrap_or_else(|| {
        HeaderValue::from_str(&uuid::Uuid::new_v4().simple().to_string())
            .expect("hexadecimal digits make a header")
    })
}

/// Of a bounded set, since a client may invent methods and each label costs memory.
fn method_label(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "DELETE" => "DELETE",
        _ => "other",
    }
}

fn count(method: &'static str, route: String, status: StatusCode, begun: Instant) {
    let labels = [
        ("method", method.to_owned()),
        ("route", route),
        ("status", status.as_str().to_owned()),
    ];
    metrics::counter!("coffer_http_requests_total", &labels).increment(1);
    metrics::histogram!("coffer_http_request_duration_seconds", &labels)
        .record(begun.elapsed().as_secs_f64());
}

fn furnish(response: &mut Response, id: HeaderValue) {
    let fixed = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ];
    let headers = response.headers_mut();
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // The documentation page sets its own.
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    headers
        .entry(header::CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static(
            "default-src 'none'; frame-ancestors 'none'",
        ));
    headers.insert(REQUEST_ID.clone(), id);
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::routing::get;
    use tower::ServiceExt;

    use super::*;

    async fn answer(request: axum::http::request::Builder) -> Response {
        async fn boom() -> &'static str {
            panic!("a secret detail")
        }
        let router = Router::new()
            .route("/fine", get(|| async { "fine" }))
            .route("/boom", get(boom));
        enveloped(router)
            .oneshot(request.body(Body::empty()).expect("request"))
            .await
            .expect("infallible")
    }

    async fn check(request: axum::http::request::Builder, status: u16, code: Option<&str>) {
        let response = answer(request).await;
        assert_eq!(response.status(), status);
        for name in ["x-request-id", "x-content-type-options", "cache-control"] {
            assert!(response.headers().contains_key(name), "{name}");
        }
        let body = axum::body::to_bytes(response.into_body(), 10_000)
            .await
            .expect("body");
        let text = String::from_utf8_lossy(&body).into_owned();
        assert!(!text.contains("secret detail"));
        if let Some(code) = code {
            assert!(text.contains(&format!("\"code\":\"{code}\"")), "{text}");
        }
    }

    #[tokio::test]
    async fn every_answer_is_furnished_and_every_refusal_is_a_problem() {
        let get = |path: &str| Request::get(path.to_owned());
        check(get("/fine"), 200, None).await;
        check(get("/none"), 404, Some("not_found")).await;
        check(get("//fine"), 404, Some("not_found")).await;
        check(Request::put("/fine"), 405, Some("method_not_allowed")).await;
        check(get("/boom"), 500, Some("internal")).await;
    }

    #[tokio::test]
    async fn a_clients_request_id_is_kept_when_it_is_harmless() {
        let kept = |sent: &'static str| async move {
            let response = answer(Request::get("/fine").header("x-request-id", sent)).await;
            response.headers()["x-request-id"] == sent
        };
        assert!(kept("call-7.A_b").await);
        assert!(!kept("a\tb").await);
        assert!(!kept("{\"level\":\"error\"}").await);
    }
}
