//! What other systems are told: the types of events, and how they are chosen.
//!
//! A type is `<object>.<what happened>`; a pattern is a type or `<object>.*`. Each event has a number of its
//! organization, without gaps, in the order of commits: what was told of one object is in order, too.

use std::fmt;
use std::str::FromStr;

use crate::batch::BatchState;
use crate::deposit::DepositState;
use crate::vault::names;
use crate::wallet::Decision;

macro_rules! event_types {
    ($($variant:ident = $text:literal),* $(,)?) => {
        /// What happened. The text is part of the interface: one is never renamed.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum EventType { $($variant),* }

        names!(EventType, "event type", "a type from the documentation, such as deposit.confirmed", {
            $($variant = $text),*
        });

        impl EventType {
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];
        }
    };
}

event_types! {
    BatchAccepted = "batch.accepted",
    BatchProgressed = "batch.progressed",
    BatchPaused = "batch.paused",
    BatchResumed = "batch.resumed",
    BatchCancelled = "batch.cancelled",
    BatchCompleted = "batch.completed",
    BatchCompletedWithErrors = "batch.completed_with_errors",
    BatchFailed = "batch.failed",
    WalletCreated = "wallet.created",
    WalletActivated = "wallet.activated",
    WalletRejected = "wallet.rejected",
    DepositUnconfirmed = "deposit.unconfirmed",
    DepositDropped = "deposit.dropped",
    DepositDetected = "deposit.detected",
    DepositConfirmed = "deposit.confirmed",
    DepositFinalized = "deposit.finalized",
    DepositRetracted = "deposit.retracted",
    DepositRejected = "deposit.rejected",
    DepositHeld = "deposit.held",
    LedgerPosted = "ledger.posted",
    NetworkAdded = "network.added",
    NetworkChanged = "network.changed",
    NetworkPaused = "network.paused",
    NetworkResumeAsked = "network.resume_asked",
    NetworkResumed = "network.resumed",
    NetworkFrozen = "network.frozen",
    AssetAdded = "asset.added",
    AssetChanged = "asset.changed",
    AssetBreakerTripped = "asset.breaker_tripped",
    AssetBreakerClosed = "asset.breaker_closed",
    VaultCreated = "vault.created",
    VaultDrilled = "vault.drilled",
    VaultGateChanged = "vault.gate_changed",
    PoolChanged = "pool.changed",
    PoolFilled = "pool.filled",
    ReconciliationDrifted = "reconciliation.drifted",
    AlarmRaised = "alarm.raised",
}

impl EventType {
    /// The kind of object that it is about: the part before the dot.
    #[must_use]
    pub fn object(self) -> &'static str {
        self.name()
            .split_once('.')
            .map_or(self.name(), |(object, _)| object)
    }

    /// What a batch tells when it has come into a state; of a paused one that goes on it is
    /// [`Self::BatchResumed`].
    #[must_use]
    pub fn of_batch(state: BatchState) -> Self {
        match state {
            BatchState::Accepted => Self::BatchAccepted,
            BatchState::Running => Self::BatchProgressed,
            BatchState::Paused => Self::BatchPaused,
            BatchState::Completed => Self::BatchCompleted,
            BatchState::CompletedWithErrors => Self::BatchCompletedWithErrors,
            BatchState::Cancelled => Self::BatchCancelled,
            BatchState::Failed => Self::BatchFailed,
        }
    }

    #[must_use]
    pub fn of_decision(decision: Decision) -> Self {
        match decision {
            Decision::Activate => Self::WalletActivated,
            Decision::Reject => Self::WalletRejected,
        }
    }

    #[must_use]
    pub fn of_deposit(state: DepositState) -> Self {
        match state {
            DepositState::Detected => Self::DepositDetected,
            DepositState::Confirmed => Self::DepositConfirmed,
            DepositState::Finalized => Self::DepositFinalized,
            DepositState::Retracted => Self::DepositRetracted,
            DepositState::Rejected => Self::DepositRejected,
            DepositState::Held => Self::DepositHeld,
        }
    }
}

/// What a stored row of the outbox stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventForm {
    /// One event, with its own data.
    One,
    /// Runs of wallets, one event each.
    Wallets,
    /// A run of ledger transactions, one event each.
    Ledger,
}
names!(EventForm, "form of events", "one, wallets or ledger", {
    One = "one", Wallets = "wallets", Ledger = "ledger",
});

/// A text that chooses no events.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is neither an event type such as deposit.confirmed nor all of an object's such as deposit.*"
)]
pub struct PatternError(String);

/// One type, or all of an object's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventPattern {
    Type(EventType),
    /// The part before the dot.
    Object(&'static str),
}

impl EventPattern {
    #[must_use]
    pub fn matches(self, kind: EventType) -> bool {
        match self {
            Self::Type(wanted) => wanted == kind,
            Self::Object(object) => object == kind.object(),
        }
    }
}

impl FromStr for EventPattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let refused = || PatternError(text.chars().take(64).collect());
        match text.strip_suffix(".*") {
            Some(object) => EventType::ALL
                .iter()
                .map(|kind| kind.object())
                .find(|known| *known == object)
                .map(Self::Object)
                .ok_or_else(refused),
            None => text.parse().map(Self::Type).map_err(|_| refused()),
        }
    }
}

impl fmt::Display for EventPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Type(kind) => f.write_str(kind.name()),
            Self::Object(object) => write!(f, "{object}.*"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_choose_a_type_or_an_objects_all() {
        let check = |text: &str, kind, expected| {
            let pattern: EventPattern = text.parse().expect("a pattern");
            assert_eq!(pattern.matches(kind), expected, "{text}");
            assert_eq!(pattern.to_string(), text);
        };
        check("deposit.confirmed", EventType::DepositConfirmed, true);
        check("deposit.confirmed", EventType::DepositHeld, false);
        check("deposit.*", EventType::DepositHeld, true);
        check("deposit.*", EventType::WalletCreated, false);
        for text in [
            "",
            "*",
            "deposit",
            "deposit.",
            "deposits.*",
            "Deposit.held",
            ".*",
        ] {
            assert!(text.parse::<EventPattern>().is_err(), "{text}");
        }
    }

    #[test]
    fn every_type_reads_back_from_its_text() {
        for kind in EventType::ALL {
            assert_eq!(kind.name().parse(), Ok(*kind));
        }
    }
}
