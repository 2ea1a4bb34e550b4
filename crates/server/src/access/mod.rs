//! Who may call what: API keys, scopes, rate limits, and the only way to add a route.
//!
//! Default deny, by construction: a [`Routes`] takes an endpoint either with the scope that it needs
//! ([`Routes::guarded`]) or by the one list of endpoints that need no key ([`Routes::open`]). Handlers
//! of the first kind have the state [`Api`], which alone leads to the platform and to a [`Caller`];
//! those of the second have [`Open`], which does not, so an endpoint without a scope that touches an
//! organization's data does not compile. The OpenAPI document takes its security requirements from the
//! same call.
//!
//! An id of another organization is answered like one that does not exist: 404. A wrong key says
//! nothing about why: revoked, expired and unknown keys get the same 401.

mod guard;
mod rate;
mod routes;
mod token;

use std::sync::Arc;
use std::time::Duration;

use coffer_platform::{Clock, Platform};
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};

pub(crate) use guard::Caller;
pub(crate) use routes::{Routes, SECURITY_SCHEME};

use crate::config::{Config, ServerConfig};
use crate::http::Answers;
use rate::RateLimits;

/// What endpoints work with, handed in.
pub(crate) struct Parts {
    pub(crate) platform: Platform,
    pub(crate) config: Config,
    pub(crate) clock: Arc<dyn Clock>,
    /// Cancelled when the process is to stop; answers without an end of their own end then.
    pub(crate) stop: CancellationToken,
}

struct Shared {
    parts: Parts,
    rate_limits: RateLimits,
    answers: Answers,
}

/// The state of guarded endpoints.
#[derive(Clone)]
pub(crate) struct Api(Arc<Shared>);

impl Api {
    pub(crate) fn new(parts: Parts) -> Self {
        let rate_limits = RateLimits::new(&parts.config.rate_limit);
        Self(Arc::new(Shared {
            parts,
            rate_limits,
            answers: Answers::default(),
        }))
    }

    pub(crate) fn platform(&self) -> &Platform {
        &self.0.parts.platform
    }

    pub(crate) fn config(&self) -> &ServerConfig {
        &self.0.parts.config.server
    }

    pub(crate) fn now_ms(&self) -> i64 {
        self.0.parts.clock.now_ms()
    }

    pub(crate) fn stopping(&self) -> WaitForCancellationFuture<'_> {
        self.0.parts.stop.cancelled()
    }

    pub(crate) fn events_interval(&self) -> Duration {
        Duration::from_millis(self.config().events_interval_ms)
    }

    pub(crate) fn answers(&self) -> &Answers {
        &self.0.answers
    }

    fn rate_limits(&self) -> &RateLimits {
        &self.0.rate_limits
    }
}

/// The state of endpoints that need no key: enough to say how this process fares, nothing more.
#[derive(Clone)]
pub(crate) struct Open(Api);

impl Open {
    pub(crate) fn new(api: Api) -> Self {
        Self(api)
    }

    /// For `readyz` alone.
    pub(crate) async fn readiness(&self) -> Vec<(&'static str, Result<(), String>)> {
        self.0.platform().readiness().await
    }
}
