//! What the tests and benchmarks share: a whole installation in a temporary folder, on either engine.
//!
//! Real parts only: the `coffer-signer` program, SQLite files, databases made on a real PostgreSQL server.
//! A part that is missing is a failure that says what to do, never a test passed over.
//! Development only; nothing of this is in the product.

pub mod anvil;
pub mod bench;
pub mod bitcoind;
pub mod broker_proof;
mod brokers;
pub mod chain_checker;
pub mod chain_proof;
pub mod chain_show;
pub mod checker;
pub mod crash;
pub mod database;
pub mod double_source;
pub mod faults;
pub mod installation;
mod loopback;
pub mod lying_node;
pub mod programs;
pub mod receiver;
pub mod serving;
pub mod simulate;
mod wire;

pub use anvil::Anvil;
pub use brokers::BrokerServer;
pub use database::{Engine, TestDatabase};
pub use double_source::DoubleSource;
pub use faults::FaultySigner;
pub use installation::{Installation, MNEMONIC, ManualClock};
pub use lying_node::LyingNode;
pub use wire::{Passes, Way, Wire};
