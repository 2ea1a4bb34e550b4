/// Why what a node said of a block is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvmError {
    #[error("the {what} cannot be read: {reason}")]
    Malformed { what: &'static str, reason: String },
    /// A hash or a root that was computed is another than the one that was promised.
    #[error("the {what} give {found}, not {expected}")]
    Mismatch {
        what: &'static str,
        expected: String,
        found: String,
    },
}

impl EvmError {
    pub(crate) fn malformed(what: &'static str, reason: impl std::fmt::Display) -> Self {
        let reason = reason.to_string().chars().take(160).collect();
        Self::Malformed { what, reason }
    }
}

/// Refuses a computed value that differs.
pub(crate) fn same<T: PartialEq + std::fmt::Display>(
    what: &'static str,
    expected: T,
    found: T,
) -> Result<(), EvmError> {
    if expected == found {
        return Ok(());
    }
    Err(EvmError::Mismatch {
        what,
        expected: expected.to_string(),
        found: found.to_string(),
    })
}
