//! One node, asked by JSON-RPC 2.0 over HTTP.
//!
//! Guarantees: no redirect and no proxy is followed; an answer is counted while it arrives and refused beyond its
//! limit; an answer with another id, or none, is never taken for the right one; a URL and what it hides appear
//! in no error. Each node has its own health, its own batch size, and its own pause after failures.
//! Deliberately not here: what answers mean, and whether to believe them.

mod batch;
mod error;
mod health;
mod message;
mod node;

#[cfg(test)]
mod tests;

pub(crate) use error::RpcError;
pub(crate) use message::{Answer, Call};
pub(crate) use node::{Node, Place, decode};

use std::sync::Arc;
use std::time::Duration;

/// Uniform numbers, for jitter alone; `main` hands in the system's generator.
pub type Random = Arc<dyn Fn() -> u64 + Send + Sync>;

/// How patient and how greedy a node's client is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// For one HTTP exchange.
    pub request_timeout: Duration,
    /// For one question, with its repetitions.
    pub deadline: Duration,
    /// How long a late node is waited for when enough have answered a question for which all are wanted.
    pub grace: Duration,
    /// Of one HTTP answer.
    pub body_bytes_max: usize,
    pub batch_calls_max: usize,
    /// Exchanges per question, the first included.
    pub attempts_max: u32,
    /// The first pause after a failure; it doubles with each.
    pub pause_base: Duration,
    pub pause_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request_timeout: Duration::from_secs(10),
            deadline: Duration::from_secs(20),
            grace: Duration::from_millis(250),
            body_bytes_max: 64 << 20,
            batch_calls_max: 256,
            attempts_max: 3,
            pause_base: Duration::from_millis(100),
            pause_max: Duration::from_secs(5),
        }
    }
}
