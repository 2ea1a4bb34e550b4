use coffer_domain::id::{OrganizationId, VaultId};
use coffer_signing::SignerError;
use coffer_store::StoreError;

use crate::transaction::lost_race;

/// What a use case can answer instead of its value; one variant per thing a caller can do differently.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("there is no {what} {id}")]
    NotFound { what: &'static str, id: String },
    #[error("{field}: {message}")]
    Validation {
        field: &'static str,
        message: String,
    },
    /// The upload as a whole cannot be taken; nothing of it was kept.
    #[error(transparent)]
    Upload(#[from] crate::batches::parse::UploadError),
    /// The same idempotency key came with another request.
    #[error(
        "idempotency key {key:?} was used for another request; use a new key for a new request"
    )]
    IdempotencyConflict { key: String },
    #[error("the request with this idempotency key is still being worked on as {id}")]
    IdempotencyInProgress { id: String },
    /// The object's state does not allow this.
    #[error("{0}")]
    StateConflict(String),
    #[error("the caller who created a wallet cannot activate or reject it; use another API key")]
    SameActor,
    /// One person cannot resume a frozen network.
    #[error(
        "a frozen network is resumed by two people; the second needs another API key than the first"
    )]
    SecondPerson,
    #[error(
        "vault {0} issues no address before its first passed restore drill; run `coffer vault drill {0}`"
    )]
    VaultAwaitingDrill(VaultId),
    #[error("{0}")]
    IndexExhausted(String),
    /// A stored object is not what this program stored. It is not served.
    #[error(
        "{object} was changed outside Coffer and is refused; see docs/runbook.md, \"A row is refused\""
    )]
    Integrity { object: String },
    /// The audit chain does not verify: reads and writes of the organization stop.
    #[error("the audit chain of {organization} is broken: {reason}")]
    AuditBroken {
        organization: OrganizationId,
        reason: String,
    },
    #[error("the signer cannot serve: {0}")]
    Signer(#[from] SignerError),
    /// Too few nodes of a network answer, or too few agree.
    #[error("the network's nodes cannot serve: {0}")]
    Nodes(#[from] coffer_nodes::NodeError),
    /// The ledger refuses a posting: a defect here, or accounts that were changed outside Coffer.
    #[error("the ledger refuses: {0}")]
    Ledger(#[from] coffer_domain::ledger::LedgerError),
    /// The database is down, full or overloaded: try again.
    #[error("the database cannot serve now: {0}")]
    StoreUnavailable(String),
    /// Too many transactions collided on the same objects: try again.
    #[error("too many changes to the same objects at once: {0}")]
    Contended(String),
    #[error("internal error: {0}")]
    Internal(String),
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Corrupt(what) => Self::Integrity {
                object: format!("a row ({what})"),
            },
            error if lost_race(&error) => Self::Contended(error.to_string()),
            error if error.is_transient() => Self::StoreUnavailable(error.to_string()),
            error => Self::Internal(error.to_string()),
        }
    }
}

impl From<coffer_domain::sync::SyncError> for Error {
    fn from(error: coffer_domain::sync::SyncError) -> Self {
        use coffer_domain::sync::SyncError;
        match error {
            SyncError::Ledger(error) => Self::Ledger(error),
            SyncError::Transition(error) => Self::Internal(error.to_string()),
            SyncError::IncludedTwice(id) => crate::seal::refused(format!("{id}, included twice")),
        }
    }
}

impl Error {
    pub(crate) fn not_found(what: &'static str, id: impl ToString) -> Self {
        Self::NotFound {
            what,
            id: id.to_string(),
        }
    }

    pub(crate) fn validation(field: &'static str, message: impl ToString) -> Self {
        Self::Validation {
            field,
            message: message.to_string(),
        }
    }

    /// The same for another caller whose work failed in the same step.
    pub(crate) fn again(&self) -> Self {
        match self {
            Self::NotFound { what, id } => Self::not_found(what, id),
            Self::IdempotencyConflict { key } => Self::IdempotencyConflict { key: key.clone() },
            Self::StateConflict(text) => Self::StateConflict(text.clone()),
            Self::VaultAwaitingDrill(vault) => Self::VaultAwaitingDrill(*vault),
            Self::IndexExhausted(text) => Self::IndexExhausted(text.clone()),
            Self::Integrity { object } => Self::Integrity {
                object: object.clone(),
            },
            Self::AuditBroken {
                organization,
                reason,
            } => Self::AuditBroken {
                organization: *organization,
                reason: reason.clone(),
            },
            Self::Signer(SignerError::Unreachable(text)) => {
                SignerError::Unreachable(text.clone()).into()
            }
            Self::StoreUnavailable(text) => Self::StoreUnavailable(text.clone()),
            Self::Contended(text) => Self::Contended(text.clone()),
            other => Self::Internal(other.to_string()),
        }
    }

    /// Whether waiting may cure it. Everything else fails again the same way.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        if let Self::Nodes(error) = self {
            return error.is_transient();
        }
        matches!(
            self,
            Self::StoreUnavailable(_)
                | Self::Contended(_)
                | Self::Signer(SignerError::Unreachable(_))
        )
    }
}
