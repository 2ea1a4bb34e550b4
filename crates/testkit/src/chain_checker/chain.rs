//! What a node's chain says, whatever its family: headers, movements to addresses of ours, outputs.

use std::collections::{BTreeMap, HashMap};

use ruint::aliases::U256;

use super::tables::Address;

#[derive(Debug, Clone, Copy)]
pub(super) struct Tip {
    /// The lowest block that is looked at.
    pub first: u64,
    pub height: u64,
    pub hash: [u8; 32],
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Header {
    pub hash: [u8; 32],
    /// Of the first block of all: zeros.
    pub parent: [u8; 32],
    /// Of the receipts, or of the transactions where there are none.
    pub root: [u8; 32],
}

#[derive(Debug, Clone)]
pub(super) struct Movement {
    pub height: i64,
    pub hash: [u8; 32],
    /// `None` for the chain's own coin.
    pub token: Option<[u8; 20]>,
    pub face: U256,
}

/// What a block's row says that it holds: transactions, and logs or outputs.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    pub transactions: i64,
    pub logs: i64,
}

/// An output to an address of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Output {
    pub address: Address,
    pub units: U256,
    pub height: i64,
    pub hash: Vec<u8>,
    pub is_coinbase: bool,
    /// Transaction, height and block that spend it.
    pub spent: Option<(Vec<u8>, i64, Vec<u8>)>,
}

/// Transaction, part, receiver.
pub(super) type MovementKey = ([u8; 32], String, Address);
/// Height, receiver, asset.
pub(super) type GainKey = (i64, Address, Option<[u8; 20]>);
/// Transaction and number.
pub(super) type OutputKey = ([u8; 32], i64);

pub(super) struct Chain {
    pub tip: Tip,
    pub blocks: BTreeMap<i64, Counts>,
    pub movements: HashMap<MovementKey, Movement>,
    /// What the address really gained in the block; `None` when it lost.
    pub gains: HashMap<GainKey, Option<U256>>,
    /// Empty where value has no outputs.
    pub outputs: HashMap<OutputKey, Output>,
}
