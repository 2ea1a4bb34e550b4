//! The ledger's rows: accounts with their heads, transactions, entries, and the end of each hash chain.
//!
//! Guarantees: transactions and entries are only ever inserted here; a head is changed only from the version that
//! was read, else the race is lost; a source that posts twice, a pending transaction that is resolved twice and
//! an entry whose place is taken break a unique index each, with a [`crate::Constraint`] of its own.
//! Deliberately not here: what may be posted (`domain::ledger`), hashes and seals (`platform`).
//! Cost: posting is one multi-row statement (COPY on PostgreSQL) per table; keys are sorted, so that
//! each index page is touched once.

mod pages;
mod post;
mod read;
mod rows;

pub use pages::{
    Filter, account_ids, count_entries, entries_after, transactions_after, transactions_at,
    versions_at,
};
pub use post::{insert_accounts, insert_entries, insert_transactions, set_head, update_accounts};
pub use read::{
    Resolved, accounts, entries_at, hashes, head, known_transactions, lock_head, resolved,
    transactions,
};
pub use rows::{Account, EntryKey, EntryRow, LedgerHead, TransactionRow};
