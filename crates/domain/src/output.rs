//! Outputs of Bitcoin-like chains: value that is spent as a whole, and our own record of what is unspent.
//!
//! Guarantees: an output is spent by one transaction of the chain that is followed, and a block that is taken
//! back gives back what it spent; each step says what it found wrong instead of going on.
//! Deliberately not here: whose an output is (the watcher), and its credit (`deposit`).

use std::fmt;

use ruint::aliases::U256;

use crate::address::AddressPayload;
use crate::block::{BlockHeight, BlockRef, TransactionHash};
use crate::id::{AssetId, NetworkId, WalletId};
use crate::movement::COINBASE_MATURITY;

/// An output by its transaction and its place in it, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OutputId {
    pub transaction: TransactionHash,
    pub number: u32,
}

impl fmt::Display for OutputId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.transaction, self.number)
    }
}

/// An output that a transaction of a block spends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Spend {
    pub output: OutputId,
    pub by: TransactionHash,
}

/// By what an output was spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spent {
    pub by: TransactionHash,
    pub block: BlockRef,
}

/// An output that pays a wallet of ours, in a block of the chain that is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Output {
    pub network: NetworkId,
    pub id: OutputId,
    pub asset: AssetId,
    pub wallet: WalletId,
    pub address: AddressPayload,
    pub units: U256,
    /// The block that made it.
    pub block: BlockRef,
    pub is_coinbase: bool,
    pub spent: Option<Spent>,
    pub version: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OutputError {
    /// Two transactions of one chain spend it: one of the blocks, or the record, is not the chain's.
    #[error("output {output} is spent by {first} already and cannot be spent by {second}")]
    SpentTwice {
        output: OutputId,
        first: TransactionHash,
        second: TransactionHash,
    },
    /// Something takes back a spend that is not on record.
    #[error("output {0} is not spent in the block that is taken back")]
    NotSpentThere(OutputId),
}

impl Output {
    /// Confirmations when the head is at `head`.
    #[must_use]
    pub fn confirmations_at(&self, head: BlockHeight) -> u64 {
        self.block.height.confirmations_at(head)
    }

    /// Whether the block above `head` could spend it.
    #[must_use]
    pub fn is_spendable_at(&self, head: BlockHeight) -> bool {
        let needed = if self.is_coinbase {
            COINBASE_MATURITY
        } else {
            1
        };
        self.spent.is_none() && self.confirmations_at(head) >= needed
    }

    /// Spent by a transaction of `block`; by the same one again changes nothing.
    pub fn spend(mut self, by: TransactionHash, block: BlockRef) -> Result<Self, OutputError> {
        let spent = Spent { by, block };
        match self.spent {
            Some(known) if known == spent => Ok(self),
            Some(known) => Err(OutputError::SpentTwice {
                output: self.id,
                first: known.by,
                second: by,
            }),
            None => {
                self.spent = Some(spent);
                self.version += 1;
                Ok(self)
            }
        }
    }

    /// The block that spent it was taken back.
    pub fn restore(mut self, block: BlockRef) -> Result<Self, OutputError> {
        if self.spent.is_none_or(|spent| spent.block != block) {
            return Err(OutputError::NotSpentThere(self.id));
        }
        self.spent = None;
        self.version += 1;
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::AddressKind;
    use crate::block::BlockHash;

    fn block(height: u64) -> BlockRef {
        BlockRef {
            height: BlockHeight(height),
            hash: BlockHash([u8::try_from(height).expect("small"); 32]),
        }
    }

    fn output(is_coinbase: bool) -> Output {
        Output {
            network: NetworkId::from_bytes([1; 16]),
            id: OutputId {
                transaction: TransactionHash([2; 32]),
                number: 3,
            },
            asset: AssetId::from_bytes([4; 16]),
            wallet: WalletId::from_bytes([5; 16]),
            address: AddressPayload::try_new(AddressKind::BitcoinP2tr, &[6; 32]).expect("32 bytes"),
            units: U256::from(7),
            block: block(10),
            is_coinbase,
            spent: None,
            version: 1,
        }
    }

    #[test]
    fn an_output_is_spent_once_and_given_back_with_its_block() {
        let (by, other) = (TransactionHash([8; 32]), TransactionHash([9; 32]));
        let spent = output(false).spend(by, block(11)).expect("unspent");
        assert_eq!(spent.spend(by, block(11)), Ok(spent));
        assert_eq!(
            spent.spend(other, block(12)),
            Err(OutputError::SpentTwice {
                output: spent.id,
                first: by,
                second: other
            })
        );
        assert!(spent.restore(block(12)).is_err());
        let back = spent.restore(block(11)).expect("spent there");
        assert_eq!((back.spent, back.version), (None, 3));
        assert_eq!(
            back.restore(block(11)),
            Err(OutputError::NotSpentThere(back.id))
        );
    }

    #[test]
    fn a_coinbase_matures_a_hundred_blocks_later() {
        let at = |height| BlockHeight(height);
        assert!(!output(false).is_spendable_at(at(9)));
        assert!(output(false).is_spendable_at(at(10)));
        assert!(!output(true).is_spendable_at(at(108)));
        assert!(output(true).is_spendable_at(at(109)));
        let spent = output(false).spend(TransactionHash([8; 32]), block(11));
        assert!(!spent.expect("unspent").is_spendable_at(at(200)));
    }
}
