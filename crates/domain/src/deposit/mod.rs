//! A deposit: value that a block brought to a wallet's address, from its first sight to its credit, or back.
//!
//! Guarantees: the same movement is the same deposit in whichever block it is; each transition says what the
//! ledger has to post, under a source that names deposit, inclusion and step, so that a step posts once;
//! money that was credited and reorganized away is taken back by contra entries, and what the customer has
//! spent of it meanwhile becomes a debt. Nothing is deleted.
//! Deliberately not here: storage, blocks ([`crate::sync`]), and who may release or reject.

mod state;
#[cfg(test)]
mod tests;

use ruint::aliases::U256;
use sha2::{Digest, Sha256};

use crate::address::AddressPayload;
use crate::block::BlockRef;
use crate::id::{AssetId, DepositId, NetworkId, OrganizationId, WalletId};
use crate::ledger::{AccountKey, AccountKind};
use crate::movement::MovementId;
use crate::vault::names;

pub use state::{Funds, Outcome, TransitionError, Verdict};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DepositState {
    /// In a block, not yet credited.
    Detected,
    /// Credited; a reorganization could still take it back.
    Confirmed,
    /// Credited, in a block that stays.
    Finalized,
    /// Its block was reorganized away; its transaction may come again.
    Retracted,
    /// Never to be credited: below the minimum, or nothing was gained, or a person said so.
    Rejected,
    /// In a block; a person decides.
    Held,
}
names!(DepositState, "deposit state", "detected, confirmed, finalized, retracted, rejected or held", {
    Detected = "detected", Confirmed = "confirmed", Finalized = "finalized",
    Retracted = "retracted", Rejected = "rejected", Held = "held",
});

impl DepositState {
    pub const ALL: [Self; 6] = [
        Self::Detected,
        Self::Confirmed,
        Self::Finalized,
        Self::Retracted,
        Self::Rejected,
        Self::Held,
    ];
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deposit {
    pub id: DepositId,
    pub organization: OrganizationId,
    pub network: NetworkId,
    pub asset: AssetId,
    /// Computed from vault and index, so it is known even before the wallet is assigned to a customer.
    pub wallet: WalletId,
    pub address: AddressPayload,
    pub from: Option<AddressPayload>,
    pub movement: MovementId,
    /// What the chain's record of it says.
    pub face_units: U256,
    /// What the address really gained: what is credited.
    pub units: U256,
    /// The block that includes it, or included it last.
    pub block: BlockRef,
    /// How often a block has included it, from 1.
    pub inclusion: u32,
    pub state: DepositState,
    /// Why it is held, rejected or retracted.
    pub reason: Option<String>,
    pub detected_at_ms: i64,
    /// Time of the last change.
    pub changed_at_ms: i64,
    pub version: u32,
}

impl DepositId {
    #[must_use]
    pub fn of(network: NetworkId, movement: &MovementId, to: &AddressPayload) -> Self {
        let digest = Sha256::new()
            .chain_update(b"coffer deposit id v1")
            .chain_update(network.as_bytes())
            .chain_update(movement.transaction.0)
            .chain_update(movement.part.to_string())
            .chain_update([0])
            .chain_update(to.bytes())
            .finalize();
        Self::from_digest(&digest.into())
    }
}

impl Deposit {
    /// One of the accounts that its postings touch.
    #[must_use]
    pub fn account(&self, kind: AccountKind) -> AccountKey {
        AccountKey {
            organization: self.organization,
            asset: self.asset,
            kind,
            wallet: Some(self.wallet),
        }
    }

    /// Every account that its postings can touch.
    #[must_use]
    pub fn accounts(&self) -> [AccountKey; 4] {
        [
            AccountKind::Custody,
            AccountKind::Customer,
            AccountKind::Suspense,
            AccountKind::ReversalDue,
        ]
        .map(|kind| self.account(kind))
    }
}
