//! A wallet: one customer's container of addresses, and the states its gate leads it through.

use crate::address::{AddressKinds, AddressPayload};
use crate::external_id::ExternalId;
use crate::id::{ApiKeyId, BatchId, OrganizationId, VaultId, WalletId};
use crate::vault::names;

/// Born pending; active by its vault's gate. Addresses of a wallet that is not active are not shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WalletState {
    Pending,
    Active,
    Rejected,
}
names!(WalletState, "wallet state", "pending, active or rejected", {
    Pending = "pending", Active = "active", Rejected = "rejected",
});

/// What a gate can say of a wallet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    Activate,
    Reject,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a wallet that is {from} cannot be {wanted}")]
pub struct TransitionError {
    pub from: WalletState,
    pub wanted: &'static str,
}

impl WalletState {
    pub fn decide(self, decision: Decision) -> Result<Self, TransitionError> {
        match (self, decision) {
            (Self::Pending, Decision::Activate) => Ok(Self::Active),
            (Self::Pending, Decision::Reject) => Ok(Self::Rejected),
            (from, Decision::Activate) => Err(TransitionError {
                from,
                wanted: "activated",
            }),
            (from, Decision::Reject) => Err(TransitionError {
                from,
                wanted: "rejected",
            }),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wallet {
    pub id: WalletId,
    pub organization: OrganizationId,
    pub vault: VaultId,
    /// The last step of its addresses' derivation paths.
    pub index: u32,
    pub external_id: ExternalId,
    pub label: Option<String>,
    /// A JSON object, as text.
    pub metadata: Option<String>,
    pub state: WalletState,
    /// Why it was rejected, or a note on its activation.
    pub reason: Option<String>,
    /// One payload per kind asked for, in the order of the kinds.
    pub payloads: Vec<AddressPayload>,
    pub batch: Option<BatchId>,
    pub created_by: ApiKeyId,
    pub created_at_ms: i64,
    pub version: u32,
}

impl Wallet {
    #[must_use]
    pub fn kinds(&self) -> AddressKinds {
        self.payloads.iter().map(AddressPayload::kind).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_and_decision() {
        use Decision::{Activate, Reject};
        use WalletState::{Active, Pending, Rejected};
        let table = [
            (Pending, Activate, Some(Active)),
            (Pending, Reject, Some(Rejected)),
            (Active, Activate, None),
            (Active, Reject, None),
            (Rejected, Activate, None),
            (Rejected, Reject, None),
        ];
        for (from, decision, to) in table {
            assert_eq!(from.decide(decision).ok(), to, "{from} {decision:?}");
        }
        assert!("frozen".parse::<WalletState>().is_err());
    }
}
