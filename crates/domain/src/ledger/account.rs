//! Accounts: whose, of which asset, for what; and their balances.

use ruint::aliases::U256;
use sha2::{Digest, Sha256};

use crate::id::{AssetId, LedgerAccountId, OrganizationId, WalletId};
use crate::vault::names;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    Debit,
    Credit,
}
names!(Side, "side", "debit or credit", { Debit = "debit", Credit = "credit" });

/// What an account stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AccountKind {
    /// What a wallet's address holds on the chain. Reconciled with the chain, unit by unit.
    Custody,
    /// What is owed to the customer of a wallet: posted is available, pending is on its way.
    Customer,
    /// Value that arrived and is owed to nobody yet: held and rejected deposits.
    Suspense,
    /// What a customer owes after a reversed deposit whose money was spent already.
    ReversalDue,
    /// Set aside for something under way, such as a withdrawal.
    Holding,
    /// Corrections that a person posted, each with its reason.
    Adjustment,
}
names!(AccountKind, "account kind", "custody, customer, suspense, reversal_due, holding or adjustment", {
    Custody = "custody", Customer = "customer", Suspense = "suspense", ReversalDue = "reversal_due",
    Holding = "holding", Adjustment = "adjustment",
});

impl AccountKind {
    /// The side on which the account grows.
    #[must_use]
    pub fn normal_side(self) -> Side {
        match self {
            Self::Custody | Self::ReversalDue => Side::Debit,
            Self::Customer | Self::Suspense | Self::Holding | Self::Adjustment => Side::Credit,
        }
    }

    /// Whether the account may stand on the other side than its own.
    #[must_use]
    pub fn may_be_overdrawn(self) -> bool {
        self == Self::Adjustment
    }
}

/// An account's identity; its id is computed from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AccountKey {
    pub organization: OrganizationId,
    pub asset: AssetId,
    pub kind: AccountKind,
    /// `None` for an account of the organization itself.
    pub wallet: Option<WalletId>,
}

impl AccountKey {
    #[must_use]
    pub fn id(&self) -> LedgerAccountId {
        let digest = Sha256::new()
            .chain_update(b"coffer ledger account id v1")
            .chain_update(self.organization.as_bytes())
            .chain_update(self.asset.as_bytes())
            .chain_update([self.kind as u8, u8::from(self.wallet.is_some())])
            .chain_update(self.wallet.as_ref().map_or(&[0; 16], WalletId::as_bytes))
            .finalize();
        LedgerAccountId::from_digest(&digest.into())
    }
}

/// Sums of all entries so far, by side and phase. They only grow, but for pending ones that were resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Balance {
    pub posted_debits: U256,
    pub posted_credits: U256,
    pub pending_debits: U256,
    pub pending_credits: U256,
}

/// A balance on a side; zero is a debit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Net {
    pub side: Side,
    pub units: U256,
}

impl Net {
    /// The difference of two sums.
    #[must_use]
    pub fn of(debits: U256, credits: U256) -> Self {
        if credits > debits {
            Self {
                side: Side::Credit,
                units: credits - debits,
            }
        } else {
            Self {
                side: Side::Debit,
                units: debits - credits,
            }
        }
    }

    /// So many units on `side`, or zero if it stands on the other one.
    #[must_use]
    pub fn on(&self, side: Side) -> U256 {
        if self.side == side {
            self.units
        } else {
            U256::ZERO
        }
    }
}

impl Balance {
    #[must_use]
    pub fn posted(&self) -> Net {
        Net::of(self.posted_debits, self.posted_credits)
    }

    /// Posted and pending together: for a custody account, what the chain must show. The sums fit: every
    /// entry was checked against overflow.
    #[must_use]
    pub fn position(&self) -> Net {
        Net::of(
            self.posted_debits.saturating_add(self.pending_debits),
            self.posted_credits.saturating_add(self.pending_credits),
        )
    }

    /// What may be spent of a customer's account: posted, less what is pending on the way out.
    #[must_use]
    pub fn available(&self) -> U256 {
        let out = self.posted_debits.saturating_add(self.pending_debits);
        self.posted_credits.saturating_sub(out)
    }
}

/// Where an account stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Head {
    /// Entries so far.
    pub version: u64,
    pub balance: Balance,
}
