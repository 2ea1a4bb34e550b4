//! What is posted: legs that balance, with the source that they come from.

use ruint::aliases::U256;
use sha2::{Digest, Sha256};

use super::{AccountKey, Side};
use crate::id::{LedgerTransactionId, OrganizationId};
use crate::vault::names;

/// What kind of thing posted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SourceKind {
    Deposit,
    Hold,
    Transfer,
    Adjustment,
}
names!(SourceKind, "ledger source", "deposit, hold, transfer or adjustment", {
    Deposit = "deposit", Hold = "hold", Transfer = "transfer", Adjustment = "adjustment",
});

/// Where a transaction comes from. One source posts once.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Source {
    pub kind: SourceKind,
    pub id: String,
}

impl Source {
    #[must_use]
    pub fn transaction_id(&self, organization: OrganizationId) -> LedgerTransactionId {
        let digest = Sha256::new()
            .chain_update(b"coffer ledger transaction id v1")
            .chain_update(organization.as_bytes())
            .chain_update(self.kind.name())
            .chain_update([0])
            .chain_update(&self.id)
            .finalize();
        LedgerTransactionId::from_digest(&digest.into())
    }
}

/// One line: an amount on one side of one account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leg {
    pub account: AccountKey,
    pub side: Side,
    pub units: U256,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Counts at once.
    Posted,
    /// Announced; to be posted or voided later, as a whole.
    Pending,
    /// Makes a pending transaction count. It has that one's legs and none of its own.
    Post { of: LedgerTransactionId },
    /// Takes a pending transaction back. It has that one's legs and none of its own.
    Void { of: LedgerTransactionId },
}

impl Phase {
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Posted => "posted",
            Self::Pending => "pending",
            Self::Post { .. } => "post",
            Self::Void { .. } => "void",
        }
    }

    /// The pending transaction that this one resolves.
    #[must_use]
    pub fn resolves(&self) -> Option<LedgerTransactionId> {
        match self {
            Self::Posted | Self::Pending => None,
            Self::Post { of } | Self::Void { of } => Some(*of),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction {
    pub organization: OrganizationId,
    pub source: Source,
    pub phase: Phase,
    /// Empty for [`Phase::Post`] and [`Phase::Void`].
    pub legs: Vec<Leg>,
}

impl Transaction {
    #[must_use]
    pub fn id(&self) -> LedgerTransactionId {
        self.source.transaction_id(self.organization)
    }
}
