use std::time::Duration;

/// Why a node gave no answer that can be used. No variant holds a URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RpcError {
    #[error("cannot be reached: {0}")]
    Transport(String),
    #[error("HTTP status {status}")]
    Status {
        status: u16,
        retry_after: Option<Duration>,
    },
    #[error("the answer is not JSON-RPC: {0}")]
    NotJson(String),
    #[error("the answer is to another question")]
    WrongId,
    #[error("a batch came back without this answer")]
    Missing,
    #[error("a batch came back with two answers to one question")]
    Duplicate,
    #[error("error {code}: {message}")]
    Rpc { code: i64, message: String },
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
    #[error("no answer in time")]
    Timeout,
    #[error("rests for {} ms after failures", .0.as_millis())]
    Resting(Duration),
    /// Another chain id or another genesis block.
    #[error("is on another chain: {0}")]
    WrongChain(String),
    /// Well-formed, and not what it should be.
    #[error("{0}")]
    Unbelievable(String),
}

/// What a node says when it does not have a method; there is no one code for it.
const METHOD_NOT_FOUND: i64 = -32601;
const METHOD_NOT_SUPPORTED: i64 = -32004;
/// What EIP-1474 and geth say of something that is not there.
const RESOURCE_NOT_FOUND: i64 = -32001;
const EXECUTION_REVERTED: i64 = 3;

impl RpcError {
    /// The label of the metric.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Transport(_) => "transport",
            Self::Status { .. } => "status",
            Self::NotJson(_) => "not_json",
            Self::WrongId => "wrong_id",
            Self::Missing => "missing",
            Self::Duplicate => "duplicate",
            Self::Rpc { .. } => "rpc",
            Self::TooLarge(_) => "too_large",
            Self::Timeout => "timeout",
            Self::Resting(_) => "resting",
            Self::WrongChain(_) => "wrong_chain",
            Self::Unbelievable(_) => "unbelievable",
        }
    }

    /// Whether the same question may be answered if it is asked again at once.
    pub(crate) fn is_worth_repeating(&self) -> bool {
        match self {
            Self::Transport(_)
            | Self::NotJson(_)
            | Self::WrongId
            | Self::Missing
            | Self::Duplicate => true,
            Self::Status { status, .. } => matches!(status, 429 | 500 | 502 | 503 | 504),
            _ => false,
        }
    }

    /// Whether a smaller batch may get through.
    pub(crate) fn is_eased_by_less(&self) -> bool {
        match self {
            Self::TooLarge(_) | Self::Timeout | Self::Missing | Self::Duplicate => true,
            Self::Status { status, .. } => matches!(status, 400 | 413 | 429 | 500..=599),
            Self::Rpc { .. } | Self::NotJson(_) => true,
            _ => false,
        }
    }

    /// Whether another program may answer from now on, so that its chain must be looked at again.
    pub(crate) fn is_a_cut(&self) -> bool {
        !matches!(
            self,
            Self::Rpc { .. } | Self::TooLarge(_) | Self::Resting(_) | Self::Unbelievable(_)
        )
    }

    /// Whether the node will not give this to anybody, ever.
    pub(crate) fn is_unsupported(&self) -> bool {
        let Self::Rpc { code, message } = self else {
            return false;
        };
        let message = message.to_ascii_lowercase();
        let words = [
            "not found",
            "not supported",
            "unsupported",
            "not available",
            "does not exist",
            "not whitelisted",
            "disabled",
        ];
        matches!(*code, METHOD_NOT_FOUND | METHOD_NOT_SUPPORTED)
            || (message.contains("method") && words.iter().any(|word| message.contains(word)))
    }

    /// Whether the node does not have the block, or has it no more.
    pub(crate) fn is_gone(&self) -> bool {
        let Self::Rpc { code, message } = self else {
            return false;
        };
        let message = message.to_ascii_lowercase();
        let about_block = ["block", "header", "resource"]
            .iter()
            .any(|word| message.contains(word));
        let absent = ["not found", "unknown", "could not find", "not canonical"];
        *code == RESOURCE_NOT_FOUND
            || (about_block && absent.iter().any(|word| message.contains(word)))
    }

    /// Whether a contract refused the call, as it will on every node.
    pub(crate) fn is_reverted(&self) -> bool {
        matches!(self, Self::Rpc { code, message }
            if *code == EXECUTION_REVERTED || message.to_ascii_lowercase().contains("revert")
                || message.contains("invalid opcode") || message.contains("InvalidFEOpcode"))
    }
}

const TEXT_CHARS_MAX: usize = 160;

/// What a stranger wrote, in one line and not too long.
pub(crate) fn shortened(text: &str) -> String {
    let line = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    line.take(TEXT_CHARS_MAX).collect()
}
