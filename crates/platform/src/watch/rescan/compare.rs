//! A block as it is on the chain, beside what was recorded of it.

use std::collections::{BTreeMap, BTreeSet};

use coffer_domain::address::AddressPayload;
use coffer_domain::deposit::Deposit;
use coffer_domain::id::AssetId;
use coffer_domain::movement::{Movement, MovementId};
use coffer_store::blocks::BlockRow;
use ruint::aliases::U256;

use crate::watch::apply::Ready;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Compared {
    /// Movements to addresses of ours that no deposit records.
    pub(super) missing: Vec<Movement>,
    /// Deposits that the block does not show, or shows with another amount.
    pub(super) unexplained: u64,
    pub(super) header_differs: bool,
}

impl Compared {
    /// The deposits on record cannot be believed.
    pub(super) fn refused() -> Self {
        Self {
            unexplained: 1,
            ..Self::default()
        }
    }

    pub(super) fn differs(&self) -> bool {
        self.header_differs || self.unexplained > 0 || !self.missing.is_empty()
    }
}

type Received = BTreeMap<MovementId, U256>;

/// `stored` are all deposits that the block includes by our record.
pub(super) fn compare(ready: &Ready, row: &BlockRow, stored: &[Deposit]) -> Compared {
    let block = &ready.block;
    let mut compared = Compared {
        header_differs: (block.parent, block.unix_s, block.root)
            != (row.parent, row.unix_s, row.root)
            || (block.transactions, block.logs) != (row.transactions, row.logs),
        ..Compared::default()
    };
    let ours = |movement: &&Movement| ready.owners.contains_key(&movement.to);
    let mut shown: BTreeMap<(AssetId, AddressPayload), Received> = BTreeMap::new();
    for movement in block.movements.iter().filter(ours) {
        let key = (movement.asset, movement.to);
        shown
            .entry(key)
            .or_default()
            .insert(movement.id, movement.gained_units);
    }
    let mut recorded: BTreeMap<(AssetId, AddressPayload), Received> = BTreeMap::new();
    for deposit in stored {
        let key = (deposit.asset, deposit.address);
        recorded
            .entry(key)
            .or_default()
            .insert(deposit.movement, deposit.units);
    }
    let mut missing = BTreeSet::new();
    let none = Received::new();
    for key in shown.keys().chain(recorded.keys()).collect::<BTreeSet<_>>() {
        let (shown, recorded) = (
            shown.get(key).unwrap_or(&none),
            recorded.get(key).unwrap_or(&none),
        );
        if sum(shown) == sum(recorded) && (!recorded.is_empty() || shown.is_empty()) {
            continue;
        }
        let wrong = recorded
            .iter()
            .filter(|(id, units)| shown.get(*id) != Some(*units))
            .count();
        if wrong > 0 {
            compared.unexplained += wrong as u64;
        } else {
            let ids = shown.keys().filter(|id| !recorded.contains_key(*id));
            missing.extend(ids.map(|id| (*id, key.1)));
        }
    }
    compared.missing = block
        .movements
        .iter()
        .filter(|movement| missing.contains(&(movement.id, movement.to)))
        .cloned()
        .collect();
    compared
}

fn sum(received: &Received) -> Option<U256> {
    let mut units = received.values();
    units.try_fold(U256::ZERO, |sum, units| sum.checked_add(*units))
}
