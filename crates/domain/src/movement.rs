//! What a block did to watched addresses, chain-neutral: each room of `chains` and `nodes` gives these.

use std::fmt;
use std::str::FromStr;

use ruint::aliases::U256;

use crate::address::AddressPayload;
use crate::block::{BlockHash, BlockRef, TransactionHash};
use crate::id::AssetId;
use crate::output::Spend;
use crate::vault::UnknownName;

/// Which movement inside its transaction. The number is counted within the transaction, because a log's
/// index within its block changes when another block includes the transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Part {
    /// The nth log of the transaction's receipt, from 0.
    Log(u32),
    /// The nth call frame in depth-first order; 0 is the transaction itself.
    Call(u32),
    /// The nth output of a Bitcoin-like transaction.
    Output(u32),
    /// The nth output of the transaction that pays a block's maker. The chain lets nobody spend it before its block
    /// has [`COINBASE_MATURITY`] blocks above it, so it is not credited earlier either.
    Coinbase(u32),
    /// A block reward or a withdrawal of the consensus layer (EIP-4895), by its index in the block. The
    /// transaction hash is then the block's.
    Reward(u32),
    /// A gain that no transaction explains, where the node offers no traces. The transaction hash is then
    /// the block's and the number is the address's first four bytes.
    Difference(u32),
}

/// Blocks above the one that made it that a coinbase's output needs before a next block may spend it.
pub const COINBASE_MATURITY: u64 = 100;

impl Part {
    /// Confirmations without which the chain does not let the value be spent.
    #[must_use]
    pub fn confirmations_min(self) -> u64 {
        match self {
            Self::Coinbase(_) => COINBASE_MATURITY,
            _ => 1,
        }
    }

    /// The number of the output that it is, where it is one.
    #[must_use]
    pub fn output(self) -> Option<u32> {
        match self {
            Self::Output(number) | Self::Coinbase(number) => Some(number),
            _ => None,
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, number) = match self {
            Self::Log(number) => ("log", number),
            Self::Call(number) => ("call", number),
            Self::Output(number) => ("output", number),
            Self::Coinbase(number) => ("coinbase", number),
            Self::Reward(number) => ("reward", number),
            Self::Difference(number) => ("difference", number),
        };
        write!(f, "{name}:{number}")
    }
}

impl FromStr for Part {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        let refused = || UnknownName {
            what: "part of a transaction",
            text: text.chars().take(64).collect(),
            expected: "log:N, call:N, output:N, coinbase:N, reward:N or difference:N",
        };
        let (name, number) = text.split_once(':').ok_or_else(refused)?;
        let number = number.parse().map_err(|_| refused())?;
        match name {
            "log" => Ok(Self::Log(number)),
            "call" => Ok(Self::Call(number)),
            "output" => Ok(Self::Output(number)),
            "coinbase" => Ok(Self::Coinbase(number)),
            "reward" => Ok(Self::Reward(number)),
            "difference" => Ok(Self::Difference(number)),
            _ => Err(refused()),
        }
    }
}

/// The identity of a movement: the same in whichever block its transaction ends up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MovementId {
    pub transaction: TransactionHash,
    pub part: Part,
}

impl fmt::Display for MovementId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.transaction, self.part)
    }
}

/// Value that came to a watched address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Movement {
    pub id: MovementId,
    pub asset: AssetId,
    pub from: Option<AddressPayload>,
    pub to: AddressPayload,
    /// What the chain's record of it says, such as the value of a Transfer event.
    pub face_units: U256,
    /// What the balance of `to` really gained by it; the only thing that is credited.
    pub gained_units: U256,
}

/// A block whose header, transactions and receipts were verified against its hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedBlock {
    pub block: BlockRef,
    pub parent: BlockHash,
    pub unix_s: u64,
    pub transactions: u32,
    pub logs: u32,
    /// The root of the receipts (EVM) or of the transactions (Bitcoin), from the verified header.
    pub root: [u8; 32],
    /// In the order in which the chain executed them.
    pub movements: Vec<Movement>,
    /// Every output that the block spends, whoever's; empty where value has no outputs.
    pub spends: Vec<Spend>,
}

/// Parts what an address really gained in a block among the movements that claim to have brought it: in
/// proportion to their face values, rounded down, the rest to the last. No movement gets more than its face.
///
/// `gained` is the balance after the block, less the balance before it, plus what left the address.
#[must_use]
pub fn attribute(faces: &[U256], gained: U256) -> Vec<U256> {
    let total = faces
        .iter()
        .try_fold(U256::ZERO, |sum, face| sum.checked_add(*face));
    if total.is_some_and(|total| total <= gained) {
        return faces.to_vec();
    }
    // Claims beyond 256 bits are lies; proportions are then taken of the largest number there is.
    let total = total.unwrap_or(U256::MAX);
    let mut left = gained;
    let mut shares: Vec<U256> = Vec::with_capacity(faces.len());
    for face in faces {
        let share = proportion(*face, gained, total).min(left);
        left -= share;
        shares.push(share);
    }
    for (share, face) in shares.iter_mut().zip(faces).rev() {
        let more = left.min(*face - (*share).min(*face));
        *share += more;
        left -= more;
    }
    shares
}

/// `face × gained ÷ total` without losing the upper half of the product.
fn proportion(face: U256, gained: U256, total: U256) -> U256 {
    use ruint::aliases::U512;
    if total.is_zero() {
        return U256::ZERO;
    }
    let product = U512::from(face) * U512::from(gained);
    let quotient = product / U512::from(total);
    quotient.saturating_to::<U256>().min(face)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn attributed(faces: &[u64], gained: u64) -> Vec<u64> {
        let faces: Vec<_> = faces.iter().copied().map(U256::from).collect();
        let shares = attribute(&faces, U256::from(gained));
        shares.iter().map(|share| share.to::<u64>()).collect()
    }

    #[test]
    fn credit_is_what_the_balance_gained() {
        assert_eq!(attributed(&[100], 100), [100]);
        // A fee on transfer.
        assert_eq!(attributed(&[100], 98), [98]);
        // An event without a movement.
        assert_eq!(attributed(&[100], 0), [0]);
        // A rebasing token's own gain is nobody's deposit.
        assert_eq!(attributed(&[100], 150), [100]);
        assert_eq!(attributed(&[30, 70], 99), [29, 70]);
        assert_eq!(attributed(&[1, 1, 1], 2), [0, 1, 1]);
        assert_eq!(attributed(&[], 5), Vec::<u64>::new());
    }

    #[test]
    fn claims_that_overflow_get_no_more_than_the_gain() {
        let shares = attribute(&[U256::MAX, U256::MAX, U256::from(5)], U256::from(9));
        let sum = shares.iter().fold(U256::ZERO, |sum, share| sum + *share);
        assert_eq!(sum, U256::from(9));
    }

    #[test]
    fn parts_print_and_parse() {
        for part in [
            Part::Log(3),
            Part::Call(0),
            Part::Output(7),
            Part::Coinbase(1),
            Part::Reward(1),
            Part::Difference(u32::MAX),
        ] {
            assert_eq!(part.to_string().parse(), Ok(part));
        }
        assert!("log".parse::<Part>().is_err() && "log:-1".parse::<Part>().is_err());
    }

    fn any_units() -> impl Strategy<Value = U256> {
        prop_oneof![
            (0_u64..20).prop_map(U256::from),
            any::<[u8; 32]>().prop_map(U256::from_be_bytes),
            Just(U256::MAX),
        ]
    }

    proptest! {
        #[test]
        fn shares_are_the_gain_and_no_more_than_the_faces(
            faces in prop::collection::vec(any_units(), 0..6),
            gained in any_units(),
        ) {
            use ruint::aliases::U512;
            let shares = attribute(&faces, gained);
            prop_assert_eq!(shares.len(), faces.len());
            for (share, face) in shares.iter().zip(&faces) {
                prop_assert!(share <= face);
            }
            let sum = |all: &[U256]| all.iter().fold(U512::ZERO, |sum, units| sum + U512::from(*units));
            prop_assert_eq!(sum(&shares), sum(&faces).min(U512::from(gained)));
        }
    }
}
