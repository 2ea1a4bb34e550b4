//! A batch of wallets: its states, and the arithmetic of its rows, indexes and chunks.
//!
//! Row k (from 1) has the index `first_index + k - 1`, whoever works on it and however often. Rows that
//! create nothing leave their index unused for ever.

use crate::address::AddressKinds;
use crate::id::{ApiKeyId, BatchId, OrganizationId, VaultId};
use crate::vault::names;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchState {
    Accepted,
    Running,
    Paused,
    Completed,
    CompletedWithErrors,
    Cancelled,
    /// A bad row under `on_error=abort`: nothing was created.
    Failed,
}
names!(BatchState, "batch state",
    "accepted, running, paused, completed, completed_with_errors, cancelled or failed", {
    Accepted = "accepted", Running = "running", Paused = "paused", Completed = "completed",
    CompletedWithErrors = "completed_with_errors", Cancelled = "cancelled", Failed = "failed",
});

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchEvent {
    ChunkDone,
    /// The last chunk is done; whether any row failed.
    AllDone {
        any_failed: bool,
    },
    Pause,
    Resume,
    Cancel,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a batch that is {from} does not take {event:?}")]
pub struct TransitionError {
    pub from: BatchState,
    pub event: BatchEvent,
}

impl BatchState {
    /// No event leads out of it.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(
            self,
            Self::Completed | Self::CompletedWithErrors | Self::Cancelled | Self::Failed
        )
    }

    pub fn apply(self, event: BatchEvent) -> Result<Self, TransitionError> {
        match (self, event) {
            (Self::Accepted | Self::Running, BatchEvent::ChunkDone | BatchEvent::Resume) => {
                Ok(Self::Running)
            }
            // A chunk that was in hand when the batch was paused may still finish.
            (Self::Paused, BatchEvent::ChunkDone | BatchEvent::Pause) => Ok(Self::Paused),
            (Self::Paused, BatchEvent::Resume) => Ok(Self::Running),
            (Self::Accepted | Self::Running | Self::Paused, BatchEvent::AllDone { any_failed }) => {
                Ok(if any_failed {
                    Self::CompletedWithErrors
                } else {
                    Self::Completed
                })
            }
            (Self::Accepted | Self::Running, BatchEvent::Pause) => Ok(Self::Paused),
            (Self::Accepted | Self::Running | Self::Paused, BatchEvent::Cancel) => {
                Ok(Self::Cancelled)
            }
            (from, event) => Err(TransitionError { from, event }),
        }
    }
}

/// What a bad row does to the rest of its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnError {
    Skip,
    Abort,
}
names!(OnError, "on_error", "skip or abort", { Skip = "skip", Abort = "abort" });

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    pub id: BatchId,
    pub organization: OrganizationId,
    pub vault: VaultId,
    pub state: BatchState,
    /// Every kind that any row asks for: the columns of its results.
    pub kinds: AddressKinds,
    pub on_error: OnError,
    pub first_index: u32,
    pub rows_total: u32,
    pub rows_created: u32,
    pub rows_existing: u32,
    pub rows_failed: u32,
    pub chunks_total: u32,
    pub chunks_done: u32,
    /// SHA-256 of the rows as they were sent, after content decoding.
    pub content_sha256: [u8; 32],
    pub created_by: ApiKeyId,
    pub created_at_ms: i64,
    pub started_at_ms: Option<i64>,
    pub finished_at_ms: Option<i64>,
}

impl Batch {
    #[must_use]
    pub fn rows_done(&self) -> u32 {
        self.rows_created + self.rows_existing + self.rows_failed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_and_event() {
        use BatchEvent as E;
        use BatchState as S;
        let states = [
            S::Accepted,
            S::Running,
            S::Paused,
            S::Completed,
            S::CompletedWithErrors,
            S::Cancelled,
            S::Failed,
        ];
        let check = |event: E, expected: [Option<S>; 7]| {
            let got = states.map(|state| state.apply(event).ok());
            assert_eq!(got, expected, "{event:?}");
        };
        let none = [None; 4];
        let row = |live: [Option<S>; 3]| {
            [
                live[0], live[1], live[2], none[0], none[1], none[2], none[3],
            ]
        };
        check(
            E::ChunkDone,
            row([Some(S::Running), Some(S::Running), Some(S::Paused)]),
        );
        check(
            E::AllDone { any_failed: false },
            row([Some(S::Completed); 3]),
        );
        check(
            E::AllDone { any_failed: true },
            row([Some(S::CompletedWithErrors); 3]),
        );
        check(E::Pause, row([Some(S::Paused); 3]));
        check(E::Resume, row([Some(S::Running); 3]));
        check(E::Cancel, row([Some(S::Cancelled); 3]));
        assert!("done".parse::<BatchState>().is_err());
    }
}
