//! The double-entry ledger as a pure core: accounts, transactions, and the book that posts them.
//!
//! Guarantees: per transaction and asset, debits equal credits; entries are only ever added, each with the
//! account's version and its balance after it, so that a balance can be read at any moment; a pending
//! transaction is resolved once, posted or voided; a source posts once; an account that may not be
//! overdrawn is not. A refused transaction changes nothing.
//! Deliberately not here: storage, time and the audit chain. `platform` loads the accounts that a batch of
//! transactions touches into a [`Book`], posts, and stores what came out in one database transaction.
//! Cost: a hash lookup and a few 256-bit additions per leg.

mod account;
mod book;
mod debt;
mod rules;
#[cfg(test)]
mod tests;
mod transaction;

pub use account::{AccountKey, AccountKind, Balance, Head, Net, Side};
pub use book::{Book, Entry, EntryPhase, LedgerError, Posted};
pub use rules::{Posting, RULES, Rule, RulePhase, rule};
pub use transaction::{Leg, Phase, Source, SourceKind, Transaction};
