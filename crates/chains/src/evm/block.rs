//! A block as `eth_getBlockByHash` gives it with whole transactions, checked against its hash.

use alloy_consensus::Header;
use alloy_consensus::proofs::{calculate_withdrawals_root, ordered_trie_root_encoded};
use alloy_eips::eip4895::Withdrawal;
use alloy_primitives::{Address, B256, U256};
use coffer_domain::block::{BlockHash, BlockHeight, BlockRef};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::error::{EvmError, same};
use super::transaction::Transaction;

/// A block whose header hashes to its hash, and whose transactions and withdrawals to the header's roots.
#[derive(Debug, Clone)]
pub struct Block {
    pub block: BlockRef,
    pub header: Header,
    pub transactions: Vec<Transaction>,
    pub withdrawals: Vec<Payout>,
}

/// A withdrawal of the consensus layer ([EIP-4895](https://eips.ethereum.org/EIPS/eip-4895)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Payout {
    /// Its place in the block, from 0.
    pub position: u32,
    pub to: Address,
    pub wei: U256,
}

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    transactions: Vec<&'a RawValue>,
    #[serde(default)]
    withdrawals: Option<Vec<Withdrawal>>,
}

const GWEI: u64 = 1_000_000_000;

/// Only the header's own fields count; the `hash` that the node states beside them is not looked at.
pub fn header_hash(json: &str) -> Result<(Header, B256), EvmError> {
    let header: Header =
        serde_json::from_str(json).map_err(|error| EvmError::malformed("header", error))?;
    let hash = header.hash_slow();
    Ok((header, hash))
}

/// Reads a block and checks that it is the one that was asked for.
pub fn read(json: &str, expected: BlockRef) -> Result<Block, EvmError> {
    let (header, hash) = header_hash(json)?;
    same("header's fields", B256::from(expected.hash.0), hash)?;
    same("header's fields", expected.height.0, header.number)?;
    let body: Body<'_> =
        serde_json::from_str(json).map_err(|error| EvmError::malformed("block", error))?;
    let transactions: Vec<Transaction> = body
        .transactions
        .iter()
        .map(|json| Transaction::read(json.get()))
        .collect::<Result<_, _>>()?;
    let encoded: Vec<&[u8]> = transactions.iter().map(Transaction::encoded).collect();
    let root = ordered_trie_root_encoded(&encoded);
    same("transactions", header.transactions_root, root)?;
    Ok(Block {
        block: expected,
        withdrawals: payouts(&header, body.withdrawals)?,
        header,
        transactions,
    })
}

fn payouts(header: &Header, withdrawals: Option<Vec<Withdrawal>>) -> Result<Vec<Payout>, EvmError> {
    let Some(expected) = header.withdrawals_root else {
        // Without a root nothing that a node adds here is covered by the hash.
        return Ok(Vec::new());
    };
    let withdrawals = withdrawals.unwrap_or_default();
    let found = calculate_withdrawals_root(&withdrawals);
    same("withdrawals", expected, found)?;
    let payout = |(position, withdrawal): (usize, &Withdrawal)| Payout {
        position: u32::try_from(position).unwrap_or(u32::MAX),
        to: withdrawal.address,
        wei: U256::from(withdrawal.amount) * U256::from(GWEI),
    };
    Ok(withdrawals.iter().enumerate().map(payout).collect())
}

impl Block {
    #[must_use]
    pub fn parent(&self) -> BlockHash {
        BlockHash(self.header.parent_hash.0)
    }

    /// The block below; `None` for the genesis block.
    #[must_use]
    pub fn parent_ref(&self) -> Option<BlockRef> {
        let height: BlockHeight = self.block.height.before()?;
        Some(BlockRef {
            height,
            hash: self.parent(),
        })
    }
}
