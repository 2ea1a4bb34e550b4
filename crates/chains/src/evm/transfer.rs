//! Transfers of ERC-20 tokens, from logs.

use alloy_primitives::{Address, B256, U256, b256};

use super::receipt::Log;

/// What a token's event claims. Only the balances say whether it is true.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transfer {
    pub contract: Address,
    pub from: Address,
    pub to: Address,
    pub units: U256,
}

/// keccak256("Transfer(address,address,uint256)").
pub const TRANSFER: B256 =
    b256!("ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef");

/// `None` for every other log: the ERC-20 event has exactly two indexed addresses and one word of data, that
/// of ERC-721 a third indexed value, and some old tokens index nothing. A value of zero moves nothing; anybody
/// can make such a transfer in anybody's name.
#[must_use]
pub fn transfer(log: &Log) -> Option<Transfer> {
    let [event, from, to] = log.data.topics() else {
        return None;
    };
    let units = U256::from_be_bytes::<32>(log.data.data.as_ref().try_into().ok()?);
    if *event != TRANSFER || units.is_zero() {
        return None;
    }
    Some(Transfer {
        contract: log.address,
        from: address(from)?,
        to: address(to)?,
        units,
    })
}

/// An address fills the lower 20 bytes of a word; whatever else the upper ones hold is no address.
fn address(word: &B256) -> Option<Address> {
    let (upper, lower) = word.split_at(12);
    upper
        .iter()
        .all(|byte| *byte == 0)
        .then(|| Address::from_slice(lower))
}
