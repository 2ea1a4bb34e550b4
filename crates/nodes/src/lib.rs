//! Clients of chain nodes: what k of n nodes say about a chain, and what can be verified without them.
//!
//! Guarantees: a block hash is answered only when k nodes gave it; a block's header hashes to that hash, and
//! its transactions and receipts to the header's roots, so that a single node cannot forge either; what no
//! root covers (balances, call traces) needs k nodes again. Fail-over never lowers k. Every answer has a
//! bounded size and a deadline.
//! Deliberately not here: what a movement means (platform), storage, and any choice that a person makes.
//! A chain family is one room beside `evm` that implements [`ChainSource`]; nothing else changes.

pub mod bitcoin;
mod error;
pub mod evm;
mod json_rpc;
pub mod quorum;
mod source;

pub use error::NodeError;
pub use json_rpc::{Limits, Random};
pub use source::{
    ChainSource, Heads, Mempool, NodeStatus, Pooled, Scope, TokenFacts, Tracked, Watched,
    WatchedAsset,
};
