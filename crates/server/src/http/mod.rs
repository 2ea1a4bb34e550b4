//! HTTP as bytes and time: connections, limits, time-outs, and what every answer carries.
//!
//! Nothing here knows an endpoint. Guarantees: a connection costs bounded memory and time, whatever
//! its client sends or leaves unsent or unread; every answer of a handler, a refusal or a panic
//! included, has a request id and the security headers.
//!
//! HTTP/1.1 only, on purpose: no stream multiplexing, so no rapid reset (CVE-2023-44487) and no
//! flow control to attack. TLS and HTTP/2 belong to the proxy in front.
//!
//! What hyper itself refuses, a malformed request line or oversized headers, is answered before
//! any of our code runs: a bare 400 or 431 without these headers.

mod answers;
mod body;
mod connections;
mod envelope;
mod extract;
mod listener;
mod timed_io;

pub(crate) use answers::{Answers, IfNoneMatch, answer};
pub(crate) use body::{ClientBody, JsonBody, OptionalJsonBody};
pub(crate) use envelope::enveloped;
pub(crate) use extract::{IdempotencyKey, PathId, PathIds, Query};
pub(crate) use listener::{Peer, accept};

#[cfg(test)]
mod tests;
