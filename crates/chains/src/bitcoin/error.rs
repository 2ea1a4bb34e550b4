/// Why what a node said of a block is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BitcoinError {
    #[error("the {what} cannot be read: {reason}")]
    Malformed { what: &'static str, reason: String },
    /// A hash or a root that was computed is another than the one that was promised.
    #[error("the {what} give {found}, not {expected}")]
    Mismatch {
        what: &'static str,
        expected: String,
        found: String,
    },
    #[error(
        "the proof of work is less than the network's limit or the block's own target asks for"
    )]
    Work,
    /// It hashes as it should, and yet it is none of the chain's blocks.
    #[error("{0}")]
    Impossible(&'static str),
}

impl BitcoinError {
    pub(super) fn malformed(what: &'static str, reason: impl std::fmt::Display) -> Self {
        let reason = reason.to_string().chars().take(160).collect();
        Self::Malformed { what, reason }
    }
}

/// Refuses a computed value that differs.
pub(super) fn same<T: PartialEq + std::fmt::Display>(
    what: &'static str,
    expected: &T,
    found: &T,
) -> Result<(), BitcoinError> {
    if expected == found {
        return Ok(());
    }
    Err(BitcoinError::Mismatch {
        what,
        expected: expected.to_string(),
        found: found.to_string(),
    })
}
