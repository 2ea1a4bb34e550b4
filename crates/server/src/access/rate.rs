//! Rate limits: requests of one API key, and failed authentications from one address.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};

use coffer_domain::id::ApiKeyId;
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::config::RateLimitConfig;
use crate::problem::{Code, Problem};

/// Failures between two sweeps of addresses that have gone quiet, so that a scan from many
/// addresses does not grow the table for ever.
const SWEEP_EVERY: u64 = 1024;

pub(crate) struct RateLimits {
    keys: Option<DefaultKeyedRateLimiter<ApiKeyId>>,
    failures: Option<DefaultKeyedRateLimiter<IpAddr>>,
    failures_seen: AtomicU64,
    clock: DefaultClock,
}

impl RateLimits {
    pub(crate) fn new(config: &RateLimitConfig) -> Self {
        let requests = NonZeroU32::new(config.requests_per_second).map(|rate| {
            Quota::per_second(rate).allow_burst(NonZeroU32::new(config.burst).unwrap_or(rate))
        });
        let failures = NonZeroU32::new(config.failures_per_minute).map(Quota::per_minute);
        Self {
            keys: requests.map(RateLimiter::keyed),
            failures: failures.map(RateLimiter::keyed),
            failures_seen: AtomicU64::new(0),
            clock: DefaultClock::default(),
        }
    }

    /// Counts a request of a key that is known.
    pub(crate) fn request(&self, key: ApiKeyId) -> Result<(), Problem> {
        let Some(limiter) = &self.keys else {
            return Ok(());
        };
        limiter.check_key(&key).map_err(|until| {
            let wait = until.wait_time_from(self.clock.now());
            limited("this API key", wait)
        })
    }

    /// Counts a failed authentication. Only failures are limited: behind a proxy all clients have
    /// one address, and a caller with a valid key must not suffer for another's mistakes.
    pub(crate) fn failure(&self, address: IpAddr) -> Result<(), Problem> {
        let Some(limiter) = &self.failures else {
            return Ok(());
        };
        if self.failures_seen.fetch_add(1, Ordering::Relaxed) % SWEEP_EVERY == SWEEP_EVERY - 1 {
            limiter.retain_recent();
        }
        limiter.check_key(&network(address)).map_err(|until| {
            let wait = until.wait_time_from(self.clock.now());
            limited("calls without a valid API key", wait)
        })
    }
}

/// One customer of an IPv6 provider has a /64 at least, so single addresses say nothing.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let prefix = u128::from(v6) & !u128::from(u64::MAX);
            IpAddr::V6(prefix.into())
        }
        v4 => v4,
    }
}

fn limited(whose: &str, wait: std::time::Duration) -> Problem {
    metrics::counter!("coffer_http_rate_limited_total").increment(1);
    let seconds = wait.as_secs() + 1;
    Problem::new(
        Code::RateLimited,
        format_args!("the limit of {whose} is reached; try again in {seconds} s"),
    )
    .retry_after(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> RateLimits {
        RateLimits::new(&RateLimitConfig {
            requests_per_second: 1,
            burst: 2,
            failures_per_minute: 1,
        })
    }

    #[test]
    fn keys_do_not_share_a_limit() {
        let (limits, one, two) = (
            limits(),
            ApiKeyId::from_bytes([1; 16]),
            ApiKeyId::from_bytes([2; 16]),
        );
        assert!(limits.request(one).is_ok() && limits.request(one).is_ok());
        let problem = limits.request(one).expect_err("limited");
        assert_eq!(problem.code(), Code::RateLimited);
        assert!(limits.request(two).is_ok());
    }

    #[test]
    fn failures_count_by_network() {
        let limits = limits();
        let check = |address: &str, allowed: bool| {
            let address = address.parse().expect("address");
            assert_eq!(limits.failure(address).is_ok(), allowed, "{address}");
        };
        check("10.0.0.1", true);
        check("10.0.0.1", false);
        check("::ffff:10.0.0.1", false);
        check("10.0.0.2", true);
        check("2001:db8::1", true);
        check("2001:db8::ffff", false);
        check("2001:db8:1::1", true);
    }

    #[test]
    fn zero_is_no_limit() {
        let limits = RateLimits::new(&RateLimitConfig {
            requests_per_second: 0,
            burst: 0,
            failures_per_minute: 0,
        });
        let key = ApiKeyId::from_bytes([1; 16]);
        assert!((0..1000).all(|_| limits.request(key).is_ok()));
    }
}
