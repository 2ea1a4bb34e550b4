//! A webhook: where an organization's events are sent, which of them, and how fast.

use crate::event::EventPattern;
use crate::id::{ApiKeyId, OrganizationId, WebhookId};
use crate::vault::names;

/// Sends under way at once, unless told otherwise.
pub const CONCURRENCY_DEFAULT: u32 = 16;
pub const CONCURRENCY_MAX: u32 = 256;
pub const RATE_PER_SECOND_MAX: u32 = 100_000;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    pub id: WebhookId,
    pub organization: OrganizationId,
    pub url: String,
    pub description: Option<String>,
    /// Empty means all.
    pub types: Vec<EventPattern>,
    pub state: WebhookState,
    pub limits: SendLimits,
    pub created_by: ApiKeyId,
    pub created_at_ms: i64,
    pub version: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SendLimits {
    /// `None` is no limit.
    pub rate_per_second: Option<u32>,
    /// Sends under way at once.
    pub concurrency: u32,
}

impl SendLimits {
    /// `None` for numbers outside their bounds.
    #[must_use]
    pub fn try_new(rate_per_second: Option<u32>, concurrency: u32) -> Option<Self> {
        let rate = rate_per_second.is_none_or(|rate| (1..=RATE_PER_SECOND_MAX).contains(&rate));
        (rate && (1..=CONCURRENCY_MAX).contains(&concurrency)).then_some(Self {
            rate_per_second,
            concurrency,
        })
    }
}

impl Default for SendLimits {
    fn default() -> Self {
        Self {
            rate_per_second: None,
            concurrency: CONCURRENCY_DEFAULT,
        }
    }
}

/// A deleted one keeps its row, so that a row taken away behind Coffer's back is told from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WebhookState {
    Enabled,
    /// Nothing is sent; its place among the events is kept.
    Disabled {
        reason: String,
    },
    Deleted,
}

impl WebhookState {
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Disabled { .. } => "disabled",
            Self::Deleted => "deleted",
        }
    }

    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Disabled { reason } => Some(reason),
            Self::Enabled | Self::Deleted => None,
        }
    }

    /// From its stored parts; a combination that no state has is an error.
    pub fn from_parts(name: &str, reason: Option<String>) -> Result<Self, UnknownWebhookState> {
        match (name, reason) {
            ("enabled", None) => Ok(Self::Enabled),
            ("disabled", Some(reason)) => Ok(Self::Disabled { reason }),
            ("deleted", None) => Ok(Self::Deleted),
            _ => Err(UnknownWebhookState(name.chars().take(40).collect())),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no state of a webhook")]
pub struct UnknownWebhookState(String);

/// What became of one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeliveryResult {
    Delivered,
    /// It will be tried again.
    Failed,
    /// It was tried for three days, and waits for a person.
    Parked,
}

names!(DeliveryResult, "result of a delivery", "delivered, failed or parked", {
    Delivered = "delivered", Failed = "failed", Parked = "parked",
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_come_back_from_their_parts_and_nothing_else_does() {
        let disabled = WebhookState::Disabled {
            reason: "410 Gone".to_owned(),
        };
        for state in [WebhookState::Enabled, disabled, WebhookState::Deleted] {
            let reason = state.reason().map(str::to_owned);
            assert_eq!(WebhookState::from_parts(state.name(), reason), Ok(state));
        }
        for (name, reason) in [
            ("enabled", Some("x")),
            ("disabled", None),
            ("gone", None),
            ("", None),
        ] {
            let reason = reason.map(str::to_owned);
            assert!(WebhookState::from_parts(name, reason).is_err(), "{name}");
        }
    }

    #[test]
    fn limits_have_bounds() {
        assert!(SendLimits::try_new(None, 1).is_some());
        assert!(SendLimits::try_new(Some(RATE_PER_SECOND_MAX), CONCURRENCY_MAX).is_some());
        for (rate, concurrency) in [(Some(0), 1), (None, 0), (None, CONCURRENCY_MAX + 1)] {
            assert!(SendLimits::try_new(rate, concurrency).is_none());
        }
    }
}
