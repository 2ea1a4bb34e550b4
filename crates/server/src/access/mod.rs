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
mod scope;
mod token;

use std::sync::Arc;

pub(crate) use guard::Caller;
pub(crate) use rate::RateLimits;
pub(crate) use routes::{Routes, SECURITY_SCHEME};
pub(crate) use scope::Scope;
pub(crate) use token::ApiToken;

use crate::config::Config;
use crate::platform::Platform;

/// The state of guarded endpoints.
#[derive(Clone)]
pub(crate) struct Api(Arc<Parts>);

struct Parts {
    platform: Platform,
    config: Config,
    rate_limits: RateLimits,
}

impl Api {
    pub(crate) fn new(platform: Platform, config: Config) -> Self {
        Self(Arc::new(Parts {
            rate_limits: RateLimits::new(&config.rate_limit),
            platform,
            config,
        }))
    }

    pub(crate) fn platform(&self) -> &Platform {
        &self.0.platform
    }

    pub(crate) fn config(&self) -> &crate::config::ServerConfig {
        &self.0.config.server
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
    pub(crate) async fn readiness(&self) -> crate::platform::Readiness {
        self.0.platform().readiness().await
    }
}
