//! The trade's words as types: ids, address kinds, wallets, batches, vaults, gates.
//!
//! Everything here is pure: no async, no SQL, no HTTP, no clock, no randomness. Time and
//! random bytes are arguments, so a seeded simulator can drive every state machine.
//! Types have no serde: the API, the signer's wire and the database rows each own their shape.

pub mod address;
pub mod asset;
pub mod batch;
pub mod block;
pub mod chain;
pub mod deposit;
pub mod event;
pub mod external_id;
pub mod id;
pub mod ledger;
pub mod movement;
pub mod network;
pub mod output;
pub mod reconciliation;
pub mod sync;
pub mod time;
pub mod unconfirmed;
pub mod vault;
pub mod wallet;
pub mod webhook;
