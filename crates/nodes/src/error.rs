use coffer_domain::block::{BlockHash, BlockHeight};

/// What a caller can do differently about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NodeError {
    /// Fewer than k nodes answered, or fewer than k gave the same answer: wait; nothing is believed.
    #[error("only {agreeing} of the {quorum} nodes needed agree on {what}; {details}")]
    NoQuorum {
        what: String,
        agreeing: usize,
        quorum: usize,
        /// What each node said, shortened; no URL.
        details: String,
    },
    /// No node gave this block; it may have been reorganized away.
    #[error("no node has block {hash} at height {height} any more")]
    BlockGone {
        height: BlockHeight,
        hash: BlockHash,
    },
    /// Too few nodes have this block as their tip, and they tell of their tip alone: ask again at the next one.
    #[error(
        "the nodes are at another block than {hash} at height {height}, and tell this of their tip alone"
    )]
    Elsewhere {
        height: BlockHeight,
        hash: BlockHash,
    },
    /// Every node that answered gave a block that does not verify.
    #[error("no node gave a block {hash} that verifies: {reason}")]
    Unverifiable { hash: BlockHash, reason: String },
    /// Too few nodes are on the configured chain (chain id or genesis).
    #[error("{0}")]
    WrongChain(String),
    /// The configuration cannot be used.
    #[error("{0}")]
    Configuration(String),
}

impl NodeError {
    /// Whether waiting may cure it.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        !matches!(self, Self::Configuration(_))
    }
}
