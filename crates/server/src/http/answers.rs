//! Answers given again: the bytes that a call was answered with, for as long as nothing was committed since.
//!
//! An answer is kept with the database's mark of its request and given again only under the same mark, which is
//! looked at for each request: so it is what a new reading and verifying would give, and what somebody edits in the
//! database is read anew. Each answer has an `ETag` over its bytes; who sends it back in `If-None-Match` gets
//! 304 without them. Bounded, and emptied when the mark changes.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Mutex, PoisonError};

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use coffer_domain::id::OrganizationId;
use coffer_platform::Mark;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::access::{Api, Caller};
use crate::problem::Problem;

const MAX_BYTES: usize = 16 << 20;

/// JSON and its tag.
#[derive(Clone)]
struct Answer {
    body: Bytes,
    tag: HeaderValue,
}

#[derive(Default)]
struct Kept {
    mark: Option<Mark>,
    bytes: usize,
    /// By whose they are and by what was asked.
    answers: HashMap<(OrganizationId, String), Answer>,
}

#[derive(Default)]
pub(crate) struct Answers(Mutex<Kept>);

impl Answers {
    fn at<T>(&self, mark: &Mark, work: impl FnOnce(&mut Kept) -> T) -> T {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.mark.as_ref() != Some(mark) {
            *kept = Kept {
                mark: Some(mark.clone()),
                ..Kept::default()
            };
        }
        work(&mut kept)
    }

    fn get(&self, mark: &Mark, name: &(OrganizationId, String)) -> Option<Answer> {
        self.at(mark, |kept| kept.answers.get(name).cloned())
    }

    fn keep(&self, mark: &Mark, name: (OrganizationId, String), answer: Answer) {
        self.at(mark, |kept| {
            let size = answer.body.len() + name.1.len();
            if kept.bytes + size <= MAX_BYTES {
                kept.bytes += size;
                kept.answers.insert(name, answer);
            }
        });
    }
}

/// The tags that the client has, as it sent them.
pub(crate) struct IfNoneMatch(Option<HeaderValue>);

impl IfNoneMatch {
    /// Tags are compared weakly (RFC 9110, section 13.1.2).
    fn has(&self, tag: &HeaderValue) -> bool {
        let sent = self.0.as_ref().and_then(|sent| sent.to_str().ok());
        let mut sent = sent.unwrap_or_default().split(',').map(str::trim);
        sent.any(|sent| sent == "*" || sent.trim_start_matches("W/").as_bytes() == tag.as_bytes())
    }
}

impl<S: Sync> FromRequestParts<S> for IfNoneMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(Self(parts.headers.get(header::IF_NONE_MATCH).cloned()))
    }
}

/// Answers `what` with the value that `read` gives, or with the bytes it was answered with under the same mark.
/// Only for what depends on the database and the caller's organization alone.
pub(crate) async fn answer<T: Serialize>(
    api: &Api,
    caller: &Caller,
    (what, client): (String, IfNoneMatch),
    read: impl Future<Output = Result<T, Problem>>,
) -> Result<Response, Problem> {
    let name = (caller.organization, what);
    let kept = caller
        .mark()
        .and_then(|mark| api.answers().get(mark, &name));
    if let Some(kept) = kept {
        // A chain that was found broken since, without a commit, locks the organization all the same.
        api.platform().check_organization(caller)?;
        return Ok(respond(kept, &client));
    }
    let value = read.await?;
    let body = Bytes::from(serde_json::to_vec(&value).map_err(Problem::internal)?);
    let tag = format!("\"{}\"", hex::encode(&Sha256::digest(&body)[..16]));
    let answer = Answer {
        body,
        tag: HeaderValue::try_from(tag).map_err(Problem::internal)?,
    };
    if let Some(mark) = caller.mark() {
        api.answers().keep(mark, name, answer.clone());
    }
    Ok(respond(answer, &client))
}

fn respond(answer: Answer, client: &IfNoneMatch) -> Response {
    let mut response = if client.has(&answer.tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let json = HeaderValue::from_static("application/json");
        ([(header::CONTENT_TYPE, json)], answer.body).into_response()
    };
    let headers = response.headers_mut();
    headers.insert(header::ETAG, answer.tag);
    // The client may keep it, and asks each time whether it still holds.
    let private = HeaderValue::from_static("private, no-cache");
    headers.insert(header::CACHE_CONTROL, private);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(sent: Option<&'static str>, expected: bool) {
        let tag = HeaderValue::from_static("\"ab\"");
        let client = IfNoneMatch(sent.map(HeaderValue::from_static));
        assert_eq!(client.has(&tag), expected, "{sent:?}");
    }

    #[test]
    fn tags_are_compared_whole_and_weakly() {
        check(None, false);
        check(Some(""), false);
        check(Some("\"ab\""), true);
        check(Some("W/\"ab\""), true);
        check(Some("\"x\", \"ab\""), true);
        check(Some("*"), true);
        check(Some("ab"), false);
        check(Some("\"abc\""), false);
    }
}
