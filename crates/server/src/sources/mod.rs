//! Sources: batches of wallets that come in as messages of a broker, a door beside HTTP.
//!
//! A message is worked on as if its sender had called `POST /v1/batches` with the API key that the configuration maps the
//! subject to: the same parser, limits, scopes, expiry and revocation, and the same idempotency, so that a message delivered five
//! times, or sent by HTTP too, makes one batch. Where a public key is configured every message must be signed.
//! Guarantees: a message is acknowledged only after its batch is durable, or after it is parked with a reason because it
//! can never be worked on; whatever waiting may cure is put back with a delay. Answers go only to places that
//! begin as configured, or else any sender could make us write to any subject.
//! Deliberately not here: the brokers' clients (`brokers`), and parking (`platform`).

mod command;
mod file;
mod run;
mod sender;
mod work;

use std::path::PathBuf;
use std::sync::Arc;

use coffer_brokers::SourceConnector;

pub(crate) use run::run;
pub(crate) use sender::Sender;

/// One source of the configuration.
#[derive(Clone)]
pub(crate) struct SourceSettings {
    pub(crate) name: String,
    pub(crate) senders: Vec<Sender>,
    pub(crate) reply_prefix: Option<String>,
    pub(crate) files: Option<PathBuf>,
    pub(crate) parked_max: u64,
    pub(crate) connector: Arc<dyn SourceConnector>,
}
