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
use crate::json_rpc::{Call, Node, RpcError};
use crate::quorum::Said;

/// Why one node did not give it.
enum Refusal {
    Gone,
    Failed(RpcError),
    Unbelievable(String),
}

impl From<RpcError> for Refusal {
    fn from(error: RpcError) -> Self {
        if error.is_gone() {
            return Self::Gone;
        }
        Self::Failed(error)
    }
}

impl From<EvmError> for Refusal {
    fn from(error: EvmError) -> Self {
        Self::Unbelievable(error.to_string())
    }
}

type Attempt<'a, T> = dyn Fn(Arc<Node>) -> BoxFuture<'a, Result<T, Refusal>> + Sync + 'a;

impl EvmSource {
    pub(super) async fn verified_block(&self, at: BlockRef) -> Result<Block, NodeError> {
        let attempt = |node: Arc<Node>| -> BoxFuture<'_, Result<Block, Refusal>> {
            Box::pin(async move {
                let params = json!([at.hash.to_string(), true]);
                let answer = node.call("eth_getBlockByHash", params).await?;
                Ok(block::read(present(&answer)?, at)?)
            })
        };
        self.first_verified(at, "the block", &attempt).await
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
        self.first_verified(block.block, "the receipts", &attempt)
            .await
    }

    /// The first that verifies, the healthiest node first.
    async fn first_verified<'a, T>(
        &'a self,
        at: BlockRef,
        what: &str,
        attempt: &Attempt<'a, T>,
    ) -> Result<T, NodeError> {
        let mut nodes = self.panel.nodes.clone();
        nodes.sort_by(|a, b| b.health().total_cmp(&a.health()));
        let mut gone = 0;
        let mut unbelievable = None;
        let mut said: Vec<Said<()>> = Vec::new();
        for node in nodes {
            let number = node.place.number;
            let answer = match self.ready(&node).await {
                Ok(()) => attempt(Arc::clone(&node)).await,
                Err(error) => Err(Refusal::Failed(error)),
            };
            let error = match answer {
                Ok(found) => return Ok(found),
                Err(Refusal::Gone) => {
                    gone += 1;
                    RpcError::Unbelievable("it does not have the block".to_owned())
                }
                Err(Refusal::Failed(error)) => error,
                Err(Refusal::Unbelievable(reason)) => {
                    let error = RpcError::Unbelievable(reason.clone());
                    node.blame(&error);
                    unbelievable = Some(reason);
                    error
                }
            };
            let answer = Err(error);
            said.push(Said { number, answer });
        }
        match unbelievable {
            Some(reason) if gone < self.panel.quorum => Err(NodeError::Unverifiable {
                hash: at.hash,
                reason,
            }),
            _ if gone > 0 => Err(NodeError::BlockGone {
                height: at.height,
                hash: at.hash,
            }),
            _ => {
                let what = format!("{what} {at}");
                Err(self.panel.no_quorum(&what, 0, &said, &|()| String::new()))
            }
        }
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
