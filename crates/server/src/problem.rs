//! The one shape of every refusal: RFC 9457 `application/problem+json` with a stable `code`.
//!
//! A [`Code`] is a promise to clients: its name and status never change. `detail` is public text; whatever
//! is not for the caller's eyes goes to the log, with the request's id, and the caller gets `internal`.

use std::fmt::Display;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $status:ident, $title:literal;)*) => {
        /// What a client can tell apart.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Code { $($(#[$doc])* $variant),* }

        impl Code {
            pub(crate) const ALL: &[Self] = &[$(Self::$variant),*];

            pub(crate) fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            pub(crate) fn status(self) -> StatusCode {
                match self { $(Self::$variant => StatusCode::$status),* }
            }

            pub(crate) fn title(self) -> &'static str {
                match self { $(Self::$variant => $title),* }
            }
        }
    };
}

codes! {
    BadRequest = "bad_request", BAD_REQUEST, "The request cannot be read";
    Unauthorized = "unauthorized", UNAUTHORIZED, "An API key is needed";
    Forbidden = "forbidden", FORBIDDEN, "The API key lacks a scope";
    SameActor = "same_actor", FORBIDDEN, "Another caller has to decide";
    NotFound = "not_found", NOT_FOUND, "There is no such thing here";
    MethodNotAllowed = "method_not_allowed", METHOD_NOT_ALLOWED, "This path has no such method";
    RequestTimeout = "request_timeout", REQUEST_TIMEOUT, "The request came too slowly";
    StateConflict = "state_conflict", CONFLICT, "The object's state does not allow this";
    IdempotencyInProgress = "idempotency_in_progress", CONFLICT, "The first call with this key is still running";
    VaultAwaitingDrill = "vault_awaiting_drill", CONFLICT, "The vault has not passed a restore drill";
    IndexExhausted = "index_exhausted", CONFLICT, "The vault has too few indexes left";
    BodyTooLarge = "body_too_large", PAYLOAD_TOO_LARGE, "The body is too large";
    UnsupportedFormat = "unsupported_format", UNSUPPORTED_MEDIA_TYPE, "The body's format is not supported";
    Validation = "validation", UNPROCESSABLE_ENTITY, "A value is not valid";
    MalformedUpload = "malformed_upload", UNPROCESSABLE_ENTITY, "The upload is not well formed";
    IdempotencyConflict = "idempotency_conflict", UNPROCESSABLE_ENTITY, "The key was used for another request";
    RateLimited = "rate_limited", TOO_MANY_REQUESTS, "Too many requests";
    IntegrityViolation = "integrity_violation", INTERNAL_SERVER_ERROR, "A stored row's seal is broken";
    AuditBroken = "audit_broken", SERVICE_UNAVAILABLE, "The audit log cannot be trusted";
    SignerUnavailable = "signer_unavailable", SERVICE_UNAVAILABLE, "The signer cannot be reached";
    NodesUnavailable = "nodes_unavailable", SERVICE_UNAVAILABLE, "Too few nodes of the network agree";
    StoreUnavailable = "store_unavailable", SERVICE_UNAVAILABLE, "The database cannot be reached";
    Internal = "internal", INTERNAL_SERVER_ERROR, "Something failed here";
}

/// A refusal on its way to the client.
#[derive(Debug)]
pub(crate) struct Problem {
    code: Code,
    detail: String,
    extra: Map<String, Value>,
    retry_after_s: Option<u64>,
}

/// The members that every problem has; a code may add its own.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemView<'a> {
    /// A URI that names the kind of problem; it is not meant to be opened.
    #[schema(example = "https://coffer.invalid/problems/not_found")]
    r#type: String,
    title: &'a str,
    /// The HTTP status again.
    status: u16,
    /// What happened in this case, for a human.
    detail: &'a str,
    /// Stable; meant for programs.
    #[schema(example = "not_found")]
    code: &'a str,
    #[serde(flatten)]
    #[schema(ignore)]
    extra: &'a Map<String, Value>,
}

impl Problem {
    pub(crate) fn new(code: Code, detail: impl Display) -> Self {
        Self {
            code,
            detail: detail.to_string(),
            extra: Map::new(),
            retry_after_s: None,
        }
    }

    /// Logs what happened and tells the caller nothing of it. The request's span has its id.
    pub(crate) fn internal(private: impl Display) -> Self {
        tracing::error!(error = %private, "request failed");
        Self::new(
            Code::Internal,
            "the server's log has the reason, under this answer's X-Request-Id",
        )
    }

    /// As [`Self::internal`], for a part that is down and may come back.
    pub(crate) fn unavailable(code: Code, public: &str, private: impl Display) -> Self {
        tracing::warn!(error = %private, code = code.name(), "request refused");
        Self::new(code, public).retry_after(1)
    }

    pub(crate) fn with(mut self, member: &str, value: impl Into<Value>) -> Self {
        self.extra.insert(member.to_owned(), value.into());
        self
    }

    pub(crate) fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    pub(crate) fn code(&self) -> Code {
        self.code
    }

    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    fn view(&self) -> ProblemView<'_> {
        ProblemView {
            r#type: format!("https://coffer.invalid/problems/{}", self.code.name()),
            title: self.code.title(),
            status: self.code.status().as_u16(),
            detail: &self.detail,
            code: self.code.name(),
            extra: &self.extra,
        }
    }

    /// The same members, for an answer that does not go over HTTP.
    pub(crate) fn to_json(&self) -> Value {
        serde_json::to_value(self.view()).expect("a problem is texts and numbers")
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.code.status();
        let mut response = (status, Json(self.view())).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Bearer realm=\"coffer\""),
            );
        }
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_and_are_refusals() {
        let mut names: Vec<_> = Code::ALL.iter().map(|code| code.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Code::ALL.len());
        assert!(Code::ALL.iter().all(|code| code.status().as_u16() >= 400));
    }

    #[tokio::test]
    async fn a_problem_has_the_members_of_rfc_9457_and_its_own() {
        let response = Problem::new(Code::MalformedUpload, "line 3: a quote is not closed")
            .with("line", 3)
            .retry_after(7)
            .into_response();
        assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(response.headers()[header::RETRY_AFTER], "7");
        assert_eq!(
            response.headers()[header::CONTENT_TYPE],
            "application/problem+json"
        );
        let body = axum::body::to_bytes(response.into_body(), 10_000)
            .await
            .expect("body");
        let json: Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(json["code"], "malformed_upload");
        assert_eq!(json["status"], 422);
        assert_eq!(json["line"], 3);
        assert_eq!(
            json["type"],
            "https://coffer.invalid/problems/malformed_upload"
        );
    }
}
