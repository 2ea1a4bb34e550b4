//! `Idempotency-Key`: what makes two requests the same, and the answer that is kept.

use std::sync::Arc;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use coffer_platform::{Answer, Once, OwnedOnce};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::http::IdempotencyKey;
use crate::problem::Problem;

/// How an endpoint answers its value.
type Render<'a, T> = dyn Fn(&T) -> (u16, String) + Send + Sync + 'a;

/// Status and JSON text.
pub(crate) fn rendered(status: StatusCode, view: &impl Serialize) -> (u16, String) {
    let text = serde_json::to_string(view).expect("views are structs of strings and numbers");
    (status.as_u16(), text)
}

/// SHA-256 over the parts of a request that make it what it is; each part with its length, so that two lists never
/// run into one another. A JSON body is taken as parsed: the order of its members and its spaces do not matter.
pub(crate) fn fingerprint(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new_with_prefix(b"coffer request v1");
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// The fingerprint of a call to `object` with a JSON body.
pub(crate) fn json_fingerprint(object: &str, body: &impl Serialize) -> [u8; 32] {
    let body = serde_json::to_vec(body).expect("bodies were parsed from JSON");
    fingerprint(&[object.as_bytes(), &body])
}

pub(crate) fn once<'a, T>(
    key: &'a IdempotencyKey,
    fingerprint: [u8; 32],
    render: &'a Render<'a, T>,
) -> Option<Once<'a, T>> {
    let key = key.0.as_deref()?;
    Some(Once {
        key,
        fingerprint,
        render,
    })
}

/// As [`once`], for an effect that is committed together with those of other calls.
pub(crate) fn owned_once<T>(
    key: IdempotencyKey,
    fingerprint: [u8; 32],
    render: &Arc<coffer_platform::Render<T>>,
) -> Option<OwnedOnce<T>> {
    Some(OwnedOnce {
        key: key.0?,
        fingerprint,
        render: Arc::clone(render),
    })
}

/// The first answer, or that first answer again, then marked `Idempotency-Replayed: true`.
pub(crate) fn reply<T>(answer: Answer<T>, render: &Render<'_, T>) -> Result<Response, Problem> {
    let ((status, body), replayed) = match answer {
        Answer::Executed(value) => (render(&value), false),
        Answer::Replayed { status, body } => ((status, body), true),
    };
    let status = StatusCode::from_u16(status).map_err(Problem::internal)?;
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    if replayed {
        headers.insert("idempotency-replayed", HeaderValue::from_static("true"));
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::fingerprint;

    #[test]
    fn parts_do_not_run_together() {
        assert_ne!(fingerprint(&[b"ab", b"c"]), fingerprint(&[b"a", b"bc"]));
        assert_ne!(fingerprint(&[b"ab"]), fingerprint(&[b"ab", b""]));
    }
}
