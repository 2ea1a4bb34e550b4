//! A block and its receipts from any one node: what does not verify is asked of the next.

use std::sync::Arc;

use coffer_chains::evm::EvmError;
use coffer_chains::evm::block::{self, Block};
use coffer_chains::evm::receipt::{self, Receipt};
use coffer_domain::block::BlockRef;
use futures_util::future::BoxFuture;
use serde_json::json;
use serde_json::value::RawValue;

use super::EvmSource;
use crate::NodeError;
use crate::json_rpc::{Call, Node};
use crate::quorum::Refusal;

impl From<EvmError> for Refusal {
    fn from(error: EvmError) -> Self {
        Self::Unbelievable(error.to_string())
    }
}

impl EvmSource {
    pub(super) async fn verified_block(&self, at: BlockRef) -> Result<Block, NodeError> {
        let attempt = |node: Arc<Node>| -> BoxFuture<'_, Result<Block, Refusal>> {
            Box::pin(async move {
                let params = json!([at.hash.to_string(), true]);
                let answer = node.call("eth_getBlockByHash", params).await?;
                Ok(block::read(present(&answer)?, at)?)
            })
        };
        self.chain.first_verified(at, "the block", &attempt).await
    }

    pub(super) async fn verified_receipts(&self, block: &Block) -> Result<Vec<Receipt>, NodeError> {
        let root = block.header.receipts_root;
        let count = block.transactions.len();
        if count == 0 {
            return receipt::read("[]", root, 0).map_err(|error| NodeError::Unverifiable {
                hash: block.block.hash,
                reason: error.to_string(),
            });
        }
        let attempt = |node: Arc<Node>| -> BoxFuture<'_, Result<Vec<Receipt>, Refusal>> {
            Box::pin(async move {
                let answer = receipts(&node, block).await?;
                Ok(receipt::read(present(&answer)?, root, count)?)
            })
        };
        self.chain
            .first_verified(block.block, "the receipts", &attempt)
            .await
    }
}

fn present(answer: &RawValue) -> Result<&str, Refusal> {
    match answer.get() {
        "null" => Err(Refusal::Gone),
        text => Ok(text),
    }
}

/// All receipts of a block, one by one where the node does not give them together.
async fn receipts(node: &Node, block: &Block) -> Result<Box<RawValue>, Refusal> {
    let params = json!([block.block.hash.to_string()]);
    match node.call("eth_getBlockReceipts", params).await {
        Err(error) if error.is_unsupported() => {}
        answer => return Ok(answer?),
    }
    let calls = block
        .transactions
        .iter()
        .map(|tx| Call::new("eth_getTransactionReceipt", json!([tx.hash.to_string()])));
    let calls: Vec<Call> = calls.collect();
    let mut all = String::from("[");
    for answer in node.batch(&calls).await? {
        let answer = answer?;
        if all.len() > 1 {
            all.push(',');
        }
        all.push_str(present(&answer)?);
    }
    all.push(']');
    RawValue::from_string(all).map_err(|error| Refusal::Unbelievable(error.to_string()))
}
