//! The database: one SQL text for SQLite and PostgreSQL, migrations, rows ↔ domain values.
//!
//! Guarantees: a [`Tx`] that is dropped is rolled back; a COMMIT once begun is never cancelled; a broken
//! constraint, a serialization failure and a lost commit are told apart in [`StoreError`]; a schema
//! newer than this program is refused.
//! Deliberately not here: seals and audit rules (`platform` makes and checks them; this room stores
//! their bytes), and any decision. SQL that the engines do not share lives in `dialect.rs`, or in the file of what one
//! engine alone needs.
//! Cost: SQLite has one writer at a time; bulk inserts go through [`bulk`].

pub mod addresses;
pub mod allow_list;
pub mod api_keys;
pub mod assets;
pub mod audit;
pub mod batches;
pub mod blocks;
pub mod bulk;
pub mod chunks;
mod db;
pub mod deposits;
mod dialect;
pub mod drills;
mod error;
pub mod events;
pub mod hook_jobs;
pub mod idempotency;
pub mod ledger;
mod mark;
mod migrate;
pub mod networks;
pub mod organizations;
pub mod outputs;
pub mod parked_messages;
pub mod pools;
pub mod progress;
pub mod reconciliations;
pub mod rescans;
mod row;
mod send_at_once;
mod silent_hosts;
pub mod sink_cursors;
pub mod snapshots;
mod sqlite;
mod tx;
pub mod unconfirmed;
pub mod units;
pub mod vaults;
pub mod versions;
pub mod wallets;
pub mod webhook_deliveries;
pub mod webhook_progress;
pub mod webhook_redeliveries;
pub mod webhooks;

pub use db::{Db, Engine};
pub use error::{Constraint, StoreError};
pub use mark::Mark;
pub use row::{Param, Row};
pub use silent_hosts::{SILENT_FOR, SilentHosts};
pub use tx::Tx;

/// A stored value with the MAC that `platform` put on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed<T> {
    pub value: T,
    pub seal: Vec<u8>,
}
