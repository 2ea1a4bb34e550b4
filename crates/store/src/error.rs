/// A uniqueness rule of the schema that a statement broke.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Constraint {
    ExternalId,
    WalletId,
    Address,
    IdempotencyKey,
    /// Another writer appended to the same audit chain first.
    AuditSequence,
    /// A source that posted before.
    LedgerTransaction,
    /// A pending transaction that was resolved before.
    LedgerResolution,
    /// A place in the ledger's hash chain that is taken.
    LedgerSequence,
    /// A version of an account that has its entry already.
    LedgerEntry,
    /// An account that has its head already.
    LedgerAccount,
    Other(String),
}

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("a row with the same {0:?} exists already")]
    Conflict(Constraint),
    /// Serialization failure, deadlock or a busy database: run the whole transaction again.
    #[error("the transaction lost against another one: {0}")]
    Retry(String),
    /// The connection was lost while committing: look up by key whether it happened.
    #[error("the outcome of a commit is unknown: {0}")]
    CommitUnknown(String),
    /// Down, full, or out of connections: try again later.
    #[error("the database cannot be used now: {0}")]
    Unavailable(String),
    /// A row that this program cannot have written.
    #[error("the database holds {0}")]
    Corrupt(String),
    #[error(
        "the database's schema is version {found}, this program knows {known}; use a newer program"
    )]
    NewerSchema { found: i64, known: i64 },
    #[error("migration {0} was changed after it had been applied to this database")]
    ChangedMigration(String),
    #[error("unsafe database setting: {0}")]
    UnsafeSetting(String),
    #[error("database: {0}")]
    Other(String),
}

impl StoreError {
    /// Whether the same call may succeed later without anybody changing it.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Retry(_) | Self::CommitUnknown(_) | Self::Unavailable(_)
        )
    }
}
