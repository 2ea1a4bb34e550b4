//! How a node has been lately, and when it may be asked again. Pure but for the moments that are handed in.

use std::time::{Duration, Instant};

use super::Limits;
use super::error::RpcError;

/// The weight of the latest answer.
const WEIGHT: f64 = 0.1;
/// Failures in a row before the node is left alone for a while.
const FAILURES_BEFORE_REST: u32 = 3;
/// A node may ask for no longer rest than this.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);

#[derive(Debug, Clone)]
pub(super) struct Health {
    /// From 0 to 1.
    pub(super) score: f64,
    pub(super) latency_ms: Option<f64>,
    pub(super) last_error: Option<String>,
    failures: u32,
    rests_until: Option<Instant>,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            score: 1.0,
            latency_ms: None,
            last_error: None,
            failures: 0,
            rests_until: None,
        }
    }
}

impl Health {
    pub(super) fn succeed(&mut self, latency: Duration) {
        let latency_ms = latency.as_secs_f64() * 1000.0;
        self.score += WEIGHT * (1.0 - self.score);
        self.latency_ms = Some(match self.latency_ms {
            Some(before) => before + WEIGHT * (latency_ms - before),
            None => latency_ms,
        });
        self.failures = 0;
        self.rests_until = None;
    }

    /// `jitter` is uniform in [0, 1).
    pub(super) fn fail(&mut self, error: &RpcError, now: Instant, limits: &Limits, jitter: f64) {
        self.blame(&error.to_string());
        self.failures = self.failures.saturating_add(1);
        let asked = match error {
            RpcError::Status { retry_after, .. } => *retry_after,
            _ => None,
        };
        let own = (self.failures >= FAILURES_BEFORE_REST)
            .then(|| pause(limits, self.failures - FAILURES_BEFORE_REST, jitter));
        let rest = asked.map(|asked| asked.min(RETRY_AFTER_MAX)).max(own);
        self.rests_until = rest.map(|rest| now + rest);
    }

    /// Counts against the node without keeping it from being asked.
    pub(super) fn blame(&mut self, reason: &str) {
        self.score -= WEIGHT * self.score;
        self.last_error = Some(reason.to_owned());
    }

    pub(super) fn rest(&self, now: Instant) -> Option<Duration> {
        let rest = self.rests_until?.saturating_duration_since(now);
        (!rest.is_zero()).then_some(rest)
    }
}

/// Exponential back-off with full jitter: uniform between nothing and the doubled pause, so that many clients of a
/// node that comes back do not come back together.
pub(super) fn pause(limits: &Limits, failures: u32, jitter: f64) -> Duration {
    let doubled = limits.pause_base.saturating_mul(1 << failures.min(16));
    doubled
        .min(limits.pause_max)
        .mul_f64(jitter.clamp(0.0, 1.0))
}
