//! The audit chain: one per organization, appended in the transaction of each change.
//!
//! A record's hash covers its fields and the hash before it; a MAC under a key outside the database covers
//! the hash. Every change of a sealed object names the object's new version in its record, so the chain,
//! once verified, says which version of each object is the latest: [`Chains`] keeps that in memory, and an
//! older row that was put back is refused although its seal verifies. A tail that was cut is found by the
//! anchor, a small file outside the database.
//!
//! Guarantees: no change without its record; after a break is found, reads and writes of the organization
//! stop. Cost: one record per change, and per chunk of a batch, not per wallet; a byte of memory per wallet.

mod anchor;
mod chain;
mod changes;
mod record;
#[cfg(test)]
mod tests;

pub use anchor::{Anchor, AnchorFile};
pub use chain::Chains;
pub(crate) use changes::{Changes, CreatedWallets};
pub use record::{AuditHead, AuditRecord, ZERO_HASH, record_hash};
pub(crate) use record::{Entry, append};
