//! The audit chain: one per organization, appended in the transaction of each change.
//!
//! A record's hash covers its fields and the hash before it; a MAC under a key outside the database covers
//! the hash. Every change of a sealed object names the object's new version in its record, so the chain,
//! once verified, says which version of each object is the latest: [`Chains`] keeps that in memory, and an
//! older row that was put back is refused although its seal verifies. A tail that was cut is found by the
//! anchor, a small file outside the database.
//!
//! Guarantees: no change without its record; after a break is found, reads and writes of the organization
//! stop. A record that tells of new wallets carries the root of a Merkle tree over them, so that one of them can be
//! proven without the others ([`WalletProof`]). Cost: one record per change, and per chunk of a batch, not per wallet; a
//! byte of memory per wallet and 16 per run of wallets created together.

mod anchor;
mod birth;
mod chain;
mod changes;
mod merkle;
mod prove;
mod record;
#[cfg(test)]
mod tests;

pub use anchor::{Anchor, AnchorFile};
pub use birth::payloads_digest;
pub use chain::Chains;
pub(crate) use changes::{Changes, CreatedWallets};
pub use prove::WalletProof;
pub use record::{AuditHead, AuditRecord, ZERO_HASH, record_hash};
pub(crate) use record::{Entry, append};

use coffer_store::audit as rows;

use crate::{Caller, Error, Platform};

impl Platform {
    /// Records after `after`, in order, also of a chain that is broken: whoever investigates needs them.
    /// A record that was edited since this process verified it breaks the chain now.
    pub async fn audit_records(
        &self,
        caller: &Caller,
        after: u64,
        limit: u32,
    ) -> Result<Vec<AuditRecord>, Error> {
        let mut tx = self.0.db.read().await?;
        let rows = rows::page(&mut tx, caller.organization, after, limit).await?;
        self.0
            .chains
            .inspect(caller.organization, &rows, &self.0.seals);
        Ok(rows.into_iter().map(AuditRecord::from).collect())
    }

    /// The head as the database has it.
    pub async fn audit_head(&self, caller: &Caller) -> Result<AuditHead, Error> {
        let mut tx = self.0.db.read().await?;
        let head = rows::head(&mut tx, caller.organization).await?;
        let (seq, hash) = head.map_or((0, ZERO_HASH), |head| (head.seq, head.hash));
        Ok(AuditHead {
            organization: caller.organization,
            seq,
            hash,
        })
    }
}

impl From<rows::AuditRow> for AuditRecord {
    fn from(row: rows::AuditRow) -> Self {
        Self {
            seq: row.seq,
            at_ms: row.at_ms,
            actor: row.actor,
            action: row.action,
            object: row.object,
            payload: row.payload,
            prev_hash: row.prev_hash,
            hash: row.hash,
        }
    }
}
