//! The ledger as it is stored: posting into it, reading it, and proving that nobody else wrote to it.
//!
//! Guarantees: posting is serial per organization, and what is posted commits with its cause and its audit record; a
//! head is used only if its seal verifies and its account's last entry says the same; a source posts once. Every
//! transaction is hashed with its entries and the hash before it ([`transaction_hash`]), and sealed; the end of
//! that chain is sealed too, and named in the audit record of each change that posted ([`LedgerMark`]).
//! Deliberately not here: the rules (`domain::ledger`), and when deposits post (`watch`).
//! Cost: per transaction about half a kilobyte hashed and a MAC; per account touched by a batch one look-up, one MAC
//! verified and one made.

mod funds;
mod hash;
mod load;
mod post;
mod read;
mod verify;

use std::fmt;

use coffer_domain::id::OrganizationId;
use coffer_domain::ledger::{Balance, LedgerError};
use coffer_store::ledger::{Account, LedgerHead, TransactionRow};
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use crate::seal::{Fields, Sealable};

pub use funds::{NewAdjustment, NewHold, Recorded, Transfer, Transferred};
pub use hash::transaction_hash;
pub use read::{
    AccountFilter, AssetTotals, KindTotals, LedgerAccount, LedgerEntry, LedgerPage,
    LedgerTransaction, Statement, Totals,
};
pub use verify::{AssetSums, LedgerReport};

/// The end of an organization's ledger after a posting. As JSON `{"ledger_seq":…,"ledger_hash":"…"}`, to be part
/// of the data of the audit record beside it (`#[serde(flatten)]`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LedgerMark {
    /// Transactions so far.
    pub seq: u64,
    /// The last one's hash; zeros before the first.
    pub hash: [u8; 32],
}

impl Serialize for LedgerMark {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("LedgerMark", 2)?;
        fields.serialize_field("ledger_seq", &self.seq)?;
        fields.serialize_field("ledger_hash", &hex::encode(self.hash))?;
        fields.end()
    }
}

impl LedgerMark {
    /// The mark in an audit record's payload, if it has one.
    pub(crate) fn of_payload(payload: &str) -> Option<Self> {
        // Few records have one, and most payloads are long.
        if !payload.contains("\"ledger_seq\"") {
            return None;
        }
        let value: serde_json::Value = serde_json::from_str(payload).ok()?;
        let data = value.get("data")?;
        let hash = hex::decode(data.get("ledger_hash")?.as_str()?).ok()?;
        Some(Self {
            seq: data.get("ledger_seq")?.as_u64()?,
            hash: hash.try_into().ok()?,
        })
    }
}

impl fmt::Display for LedgerMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.seq, hex::encode(self.hash))
    }
}

/// How refusals name the ledger as a whole.
fn name_of(organization: OrganizationId) -> String {
    format!("the ledger of {organization}")
}

/// Whether an error says that a source posted before: what it wanted is done.
#[must_use]
pub fn is_repeated(error: &crate::Error) -> bool {
    matches!(error, crate::Error::Ledger(LedgerError::Repeated(_)))
}

fn sums(fields: &mut Fields, balance: &Balance) {
    for sum in [
        balance.posted_debits,
        balance.posted_credits,
        balance.pending_debits,
        balance.pending_credits,
    ] {
        fields.bytes(&sum.to_be_bytes::<32>());
    }
}

impl Sealable for Account {
    const TAG: &'static str = "ledger account v1";

    fn fields(&self, fields: &mut Fields) {
        let key = &self.key;
        fields
            .bytes(key.id().as_bytes())
            .bytes(key.organization.as_bytes())
            .bytes(key.asset.as_bytes())
            .text(key.kind.name())
            .bytes(key.wallet.as_ref().map_or(&[][..], |id| id.as_bytes()))
            .int(i64::try_from(self.head.version).unwrap_or(i64::MAX));
        sums(fields, &self.head.balance);
    }
}

/// The hash covers every other field and the entries.
impl Sealable for TransactionRow {
    const TAG: &'static str = "ledger transaction v1";

    fn fields(&self, fields: &mut Fields) {
        fields
            .bytes(self.organization.as_bytes())
            .int(i64::try_from(self.seq).unwrap_or(i64::MAX))
            .bytes(&self.hash);
    }
}

impl Sealable for LedgerHead {
    const TAG: &'static str = "ledger head v1";

    fn fields(&self, fields: &mut Fields) {
        fields
            .bytes(self.organization.as_bytes())
            .int(i64::try_from(self.seq).unwrap_or(i64::MAX))
            .int(self.at_ms)
            .bytes(&self.hash);
    }
}
