//! The HTTP API of Coffer, its access rules, its configuration, and [`serve`], which runs the whole.
//!
//! An endpoint is one file (`api/batches/create.rs`): its documentation, its handler, its JSON, its match from
//! the platform's errors to stable codes, its tests. It translates and decides nothing: what a call
//! does is the platform's.
//!
//! Guarantees: no endpoint without a scope, save the short list of `access::Routes::open`; every
//! refusal is a problem (RFC 9457) with a stable code; request bodies, headers, connections
//! and time are limited; uploads, results and events are streams, so memory does not grow with a batch.
//!
//! Deliberately not here: keys and seeds (nothing in this room can name one), SQL, decisions about
//! wallets, TLS (a proxy's task), and a global state besides the metrics recorder.

mod access;
mod api;
pub mod config;
mod http;
mod metrics;
mod openapi;
mod problem;
pub mod run;
mod sources;

/// What a receiver of webhooks needs to check what it receives.
pub mod receiving {
    pub use coffer_platform::outbound::signature::{ID_HEADER, SigningKey, verify};
    pub use coffer_platform::{Clock, SystemClock};
}

pub use openapi::openapi_json;
pub use run::{Announce, InitOptions, Initialized, ServeOptions, init, serve, serve_until};

/// What an address of any chain served here encodes; `None` for a text that is none.
#[must_use]
pub fn address_payload(text: &str) -> Option<Vec<u8>> {
    let address = coffer_chains::parse(text).ok()?;
    Some(address.payload.bytes().to_vec())
}
