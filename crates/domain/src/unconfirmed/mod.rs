//! An unconfirmed deposit: value that a transaction in the nodes' mempools would bring to a wallet's address.
//!
//! Guarantees: it has the id of the deposit that follows when a block includes its transaction, so that one id is
//! followed from first sight to credit; it is never more than shown, since nothing here can name the ledger. Only a
//! block settles it, and only taking that block back unsettles it: what mempools say later, or said earlier and told
//! late, changes nothing that a block has decided. Each method says what changes, and `None` when nothing does; none of
//! them can fail, because a mere sighting must never stop a chain.
//! Deliberately not here: whose mempools were asked and how many agree, storage, and the deposit itself
//! ([`crate::deposit`]).

#[cfg(test)]
mod tests;

use ruint::aliases::U256;

use crate::address::AddressPayload;
use crate::block::{BlockRef, TransactionHash};
use crate::id::{AssetId, DepositId, NetworkId, OrganizationId, WalletId};
use crate::movement::{Movement, MovementId};
use crate::output::OutputId;
use crate::vault::names;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UnconfirmedState {
    Detected,
    Included,
    Replaced,
    DoubleSpent,
    Evicted,
}
names!(
    UnconfirmedState,
    "state of an unconfirmed deposit",
    "detected, included, replaced, double_spent or evicted",
    {
        Detected = "detected", Included = "included", Replaced = "replaced",
        DoubleSpent = "double_spent", Evicted = "evicted",
    }
);

impl UnconfirmedState {
    pub const ALL: [Self; 5] = [
        Self::Detected,
        Self::Included,
        Self::Replaced,
        Self::DoubleSpent,
        Self::Evicted,
    ];
}

/// Where its transaction stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// In the mempools of k nodes.
    Detected,
    /// A block has it: the deposit of the same id goes on.
    Included(BlockRef),
    /// The mempools of k nodes have another transaction that spends one of its inputs.
    Replaced { by: TransactionHash },
    /// A block has another transaction that spends one of its inputs, be it the same payment under another id.
    DoubleSpent {
        by: TransactionHash,
        block: BlockRef,
    },
    /// The mempools of k nodes are without it, and nothing is known that spends its inputs. It may come back.
    Evicted,
}

impl Standing {
    #[must_use]
    pub fn state(self) -> UnconfirmedState {
        match self {
            Self::Detected => UnconfirmedState::Detected,
            Self::Included(_) => UnconfirmedState::Included,
            Self::Replaced { .. } => UnconfirmedState::Replaced,
            Self::DoubleSpent { .. } => UnconfirmedState::DoubleSpent,
            Self::Evicted => UnconfirmedState::Evicted,
        }
    }

    /// The transaction that took its inputs.
    #[must_use]
    pub fn replaced_by(self) -> Option<TransactionHash> {
        match self {
            Self::Replaced { by } | Self::DoubleSpent { by, .. } => Some(by),
            Self::Detected | Self::Included(_) | Self::Evicted => None,
        }
    }

    /// The block that settled it.
    #[must_use]
    pub fn settled_in(self) -> Option<BlockRef> {
        match self {
            Self::Included(block) | Self::DoubleSpent { block, .. } => Some(block),
            Self::Detected | Self::Replaced { .. } | Self::Evicted => None,
        }
    }

    /// Why it will not be credited as things stand.
    #[must_use]
    pub fn reason(self) -> Option<&'static str> {
        match self {
            Self::Detected | Self::Included(_) => None,
            Self::Replaced { .. } => {
                Some("another transaction that spends one of its inputs took its place")
            }
            Self::DoubleSpent { .. } => {
                Some("a block has another transaction that spends one of its inputs")
            }
            Self::Evicted => Some("the nodes dropped its transaction; it may come back"),
        }
    }
}

/// What the mempools of k nodes say of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    Pooled,
    /// They are without it, and name the same transaction that spends one of its inputs.
    Replaced(TransactionHash),
    /// They are without it.
    Gone,
    /// Too few say the same: nothing is known.
    Unknown,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unconfirmed {
    pub id: DepositId,
    pub organization: OrganizationId,
    pub network: NetworkId,
    pub asset: AssetId,
    pub wallet: WalletId,
    pub address: AddressPayload,
    pub movement: MovementId,
    pub units: U256,
    /// Outputs that its transaction spends; of very many the first ones.
    pub inputs: Vec<OutputId>,
    pub standing: Standing,
    pub detected_at_ms: i64,
    /// Time of the last change.
    pub changed_at_ms: i64,
    pub version: u32,
}

/// Whose an unconfirmed deposit is, and since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sighting {
    pub organization: OrganizationId,
    pub network: NetworkId,
    pub wallet: WalletId,
    pub now_ms: i64,
}

impl Unconfirmed {
    /// At first sight, in the mempools of k nodes.
    #[must_use]
    pub fn first_seen(of: Sighting, movement: &Movement, inputs: Vec<OutputId>) -> Self {
        Self {
            id: DepositId::of(of.network, &movement.id, &movement.to),
            organization: of.organization,
            network: of.network,
            asset: movement.asset,
            wallet: of.wallet,
            address: movement.to,
            movement: movement.id,
            units: movement.face_units,
            inputs,
            standing: Standing::Detected,
            detected_at_ms: of.now_ms,
            changed_at_ms: of.now_ms,
            version: 1,
        }
    }

    /// What it becomes by what the mempools say.
    #[must_use]
    pub fn seen(self, sight: Sight, now_ms: i64) -> Option<Self> {
        use Standing::{Detected, DoubleSpent, Evicted, Included, Replaced};
        let standing = match (self.standing, sight) {
            (Included(_) | DoubleSpent { .. }, _) | (_, Sight::Unknown) => return None,
            (_, Sight::Pooled) => Detected,
            (_, Sight::Replaced(by)) => Replaced { by },
            // What took its inputs last stays the best answer to what became of it.
            (Replaced { by }, Sight::Gone) => Replaced { by },
            (Detected | Evicted, Sight::Gone) => Evicted,
        };
        self.turned(standing, now_ms)
    }

    /// What it becomes by a block. `spender` says which transaction of the block spends an output, if any does.
    #[must_use]
    pub fn settled(
        self,
        block: BlockRef,
        spender: &dyn Fn(&OutputId) -> Option<TransactionHash>,
        now_ms: i64,
    ) -> Option<Self> {
        let own = self.movement.transaction;
        let spenders: Vec<_> = self.inputs.iter().filter_map(spender).collect();
        let other = spenders.iter().find(|by| **by != own);
        let standing = match other {
            Some(by) => Standing::DoubleSpent { by: *by, block },
            None if spenders.is_empty() => return None,
            None => Standing::Included(block),
        };
        self.turned(standing, now_ms)
    }

    /// What it becomes when a block is taken back. Whether mempools have it again is for them to say: until k of
    /// them do, it is not claimed.
    #[must_use]
    pub fn unsettled(self, block: BlockRef, now_ms: i64) -> Option<Self> {
        if self.standing.settled_in() != Some(block) {
            return None;
        }
        self.turned(Standing::Evicted, now_ms)
    }

    fn turned(mut self, standing: Standing, now_ms: i64) -> Option<Self> {
        if self.standing == standing {
            return None;
        }
        self.standing = standing;
        self.changed_at_ms = now_ms;
        self.version += 1;
        Some(self)
    }
}
