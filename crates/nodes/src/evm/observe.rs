//! What a block brought to watched addresses.

use std::collections::BTreeMap;

use alloy_primitives::Address;
use coffer_chains::evm::block::Block;
use coffer_chains::evm::receipt::Receipt;
use coffer_chains::evm::{address_of, payload};
use coffer_domain::asset::AssetKind;
use coffer_domain::block::BlockRef;
use coffer_domain::id::AssetId;
use coffer_domain::movement::{Movement, ObservedBlock};

use super::EvmSource;
use crate::{NodeError, Scope, Watched};

/// A block that verified, and what is looked for in it.
pub(super) struct Seen<'a> {
    pub(super) block: Block,
    pub(super) receipts: Vec<Receipt>,
    pub(super) watched: &'a dyn Watched,
    pub(super) native: Option<AssetId>,
    pub(super) tokens: BTreeMap<Address, AssetId>,
}

/// A movement and where it stands in the block's execution.
pub(super) struct Placed {
    pub(super) order: Order,
    pub(super) movement: Movement,
}

/// Transactions in their order; within one the calls, then the logs; what no transaction brought comes last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Order {
    Call(usize, u32),
    Log(usize, u32),
    Reward(u32),
    Difference(Address),
}

impl Order {
    fn key(self) -> (usize, Self) {
        match self {
            Self::Call(transaction, _) | Self::Log(transaction, _) => (transaction, self),
            Self::Reward(_) | Self::Difference(_) => (usize::MAX, self),
        }
    }
}

impl Seen<'_> {
    pub(super) fn is_watched(&self, address: Address) -> bool {
        self.watched.contains(&payload(address))
    }
}

impl EvmSource {
    pub(super) async fn observe(
        &self,
        at: BlockRef,
        scope: &Scope<'_>,
    ) -> Result<ObservedBlock, NodeError> {
        self.chain.connected().await?;
        let block = self.verified_block(at).await?;
        let receipts = self.verified_receipts(&block).await?;
        let mut seen = Seen {
            block,
            receipts,
            watched: scope.watched,
            native: None,
            tokens: BTreeMap::new(),
        };
        for asset in scope.assets {
            match asset.kind {
                AssetKind::Native => seen.native = Some(asset.id),
                AssetKind::Token(contract) => {
                    let contract = address_of(&contract);
                    seen.tokens
                        .extend(contract.map(|contract| (contract, asset.id)));
                }
            }
        }
        let mut placed = self.token_movements(&seen).await?;
        placed.extend(self.native_movements(&seen).await?);
        placed.sort_by_key(|placed| placed.order.key());
        let logs = seen.receipts.iter().map(|receipt| receipt.logs.len());
        Ok(ObservedBlock {
            block: at,
            parent: seen.block.parent(),
            unix_s: seen.block.header.timestamp,
            transactions: counted(seen.block.transactions.len()),
            logs: counted(logs.sum()),
            root: seen.block.header.receipts_root.0,
            movements: placed.into_iter().map(|placed| placed.movement).collect(),
            spends: Vec::new(),
        })
    }
}

/// A block's gas pays for less than a billion of anything.
fn counted(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
