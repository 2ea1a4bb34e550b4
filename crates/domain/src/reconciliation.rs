//! Reconciliation as a pure comparison: what the ledger says that addresses hold, against what the chain says.
//!
//! Guarantees: addresses are compared one by one, so that a surplus on one never hides a lack on another; one base
//! unit is a difference. The sums are for people: they stop at the largest number, since a token contract may
//! claim anything, and they decide nothing.
//! Deliberately not here: at which block, and what follows from a difference.

use ruint::aliases::U256;
use sha2::{Digest, Sha256};

use crate::address::AddressPayload;
use crate::block::BlockRef;
use crate::id::{AssetId, NetworkId, OrganizationId, ReconciliationId, WalletId};
use crate::ledger::{Net, Side};
use crate::vault::names;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReconciliationState {
    /// Every compared address holds what the ledger says.
    Matched,
    Drift,
}
names!(ReconciliationState, "reconciliation state", "matched or drift", { Matched = "matched", Drift = "drift" });

/// An address on which ledger and chain differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Difference {
    pub wallet: WalletId,
    pub address: AddressPayload,
    pub ledger_units: U256,
    pub chain_units: U256,
}

impl Difference {
    /// How far apart the two are, whichever is larger.
    #[must_use]
    pub fn units(&self) -> U256 {
        self.ledger_units.abs_diff(self.chain_units)
    }
}

/// The ledger of one asset compared with the chain at one block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reconciliation {
    pub id: ReconciliationId,
    pub organization: OrganizationId,
    pub network: NetworkId,
    pub asset: AssetId,
    /// Both sides are as of the end of this block.
    pub block: BlockRef,
    /// Addresses that this round compared,
    pub addresses: u64,
    /// of so many that are watched.
    pub addresses_watched: u64,
    pub ledger_units: U256,
    pub chain_units: U256,
    pub differing: u64,
    /// Over the differences in the order of their wallets; see [`digest`].
    pub differences_sha256: [u8; 32],
    pub state: ReconciliationState,
    pub finished_at_ms: i64,
}

/// What a comparison found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    pub addresses: u64,
    pub ledger_units: U256,
    pub chain_units: U256,
    /// In the order of their wallets.
    pub differences: Vec<Difference>,
}

impl Comparison {
    #[must_use]
    pub fn state(&self) -> ReconciliationState {
        if self.differences.is_empty() {
            ReconciliationState::Matched
        } else {
            ReconciliationState::Drift
        }
    }

    /// All differences together, for alarms and gauges.
    #[must_use]
    pub fn differing_units(&self) -> U256 {
        self.differences
            .iter()
            .fold(U256::ZERO, |sum, one| sum.saturating_add(one.units()))
    }
}

/// Compares address by address: wallet, address, the custody account's position, the chain's balance. A custody
/// account that stands on the credit side owes what it never had; no balance on the chain makes that right.
#[must_use]
pub fn compare(
    compared: impl IntoIterator<Item = (WalletId, AddressPayload, Net, U256)>,
) -> Comparison {
    let mut comparison = Comparison {
        addresses: 0,
        ledger_units: U256::ZERO,
        chain_units: U256::ZERO,
        differences: Vec::new(),
    };
    for (wallet, address, position, chain_units) in compared {
        let ledger_units = position.on(Side::Debit);
        let overdrawn = !position.on(Side::Credit).is_zero();
        comparison.addresses += 1;
        comparison.ledger_units = comparison.ledger_units.saturating_add(ledger_units);
        comparison.chain_units = comparison.chain_units.saturating_add(chain_units);
        if overdrawn || ledger_units != chain_units {
            comparison.differences.push(Difference {
                wallet,
                address,
                ledger_units,
                chain_units,
            });
        }
    }
    comparison
        .differences
        .sort_unstable_by_key(|difference| difference.wallet);
    comparison
}

/// SHA-256 over differences, so that the line's seal covers them.
#[must_use]
pub fn digest(differences: &[Difference]) -> [u8; 32] {
    let mut hasher = Sha256::new_with_prefix(b"coffer reconciliation differences v1");
    for difference in differences {
        hasher.update(difference.wallet.as_bytes());
        hasher.update([difference.address.kind().code()]);
        hasher.update((difference.address.bytes().len() as u64).to_be_bytes());
        hasher.update(difference.address.bytes());
        hasher.update(difference.ledger_units.to_be_bytes::<32>());
        hasher.update(difference.chain_units.to_be_bytes::<32>());
    }
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::AddressKind;

    fn row(
        number: u8,
        debits: u64,
        credits: u64,
        chain: u64,
    ) -> (WalletId, AddressPayload, Net, U256) {
        let address = AddressPayload::try_new(AddressKind::Evm, &[number; 20]);
        (
            WalletId::from_bytes([number; 16]),
            address.expect("20 bytes"),
            Net::of(U256::from(debits), U256::from(credits)),
            U256::from(chain),
        )
    }

    #[test]
    fn equal_sums_hide_no_difference() {
        let matched = compare([row(1, 5, 0, 5), row(2, 0, 0, 0)]);
        assert_eq!(
            (matched.state(), matched.addresses),
            (ReconciliationState::Matched, 2)
        );
        let drift = compare([row(2, 5, 0, 4), row(1, 7, 2, 6), row(3, 9, 0, 9)]);
        assert_eq!(drift.state(), ReconciliationState::Drift);
        assert_eq!(drift.ledger_units, drift.chain_units);
        assert_eq!(drift.differing_units(), U256::from(2));
        let wallets: Vec<_> = drift.differences.iter().map(|one| one.wallet).collect();
        assert_eq!(
            wallets,
            [1, 2].map(|number| WalletId::from_bytes([number; 16]))
        );
    }

    #[test]
    fn an_overdrawn_custody_account_never_matches() {
        assert_eq!(
            compare([row(1, 0, 1, 0)]).state(),
            ReconciliationState::Drift
        );
    }

    #[test]
    fn claims_beyond_256_bits_do_not_overflow() {
        let most = |number| {
            let (wallet, address, net, _) = row(number, 0, 0, 0);
            (wallet, address, net, U256::MAX)
        };
        let drift = compare([most(1), most(2)]);
        assert_eq!(
            (drift.chain_units, drift.differing_units()),
            (U256::MAX, U256::MAX)
        );
        assert_eq!(drift.differences.len(), 2);
    }

    #[test]
    fn the_digest_covers_every_field() {
        let one = compare([row(1, 5, 0, 4)]).differences;
        for other in [row(2, 5, 0, 4), row(1, 6, 0, 4), row(1, 5, 0, 3)] {
            assert_ne!(digest(&one), digest(&compare([other]).differences));
        }
        assert_ne!(digest(&one), digest(&[]));
    }
}
