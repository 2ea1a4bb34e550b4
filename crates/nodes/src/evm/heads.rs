//! How far the chain has come, and which block stands at a height.

use std::sync::Arc;

use alloy_primitives::{B256, U64};
use coffer_chains::evm::block::header_hash;
use coffer_domain::block::{BlockHash, BlockHeight};
use coffer_domain::network::Finality;
use futures_util::future::BoxFuture;
use serde::Deserialize;
use serde_json::json;

use super::EvmSource;
use super::connect::check_chain_id;
use crate::json_rpc::{Call, Node, RpcError, decode};
use crate::quorum::Claim;
use crate::{Heads, NodeError};

#[derive(Deserialize)]
struct Numbered {
    number: U64,
}

#[derive(Deserialize)]
struct Named {
    hash: B256,
}

impl EvmSource {
    pub(super) async fn ask_heads(&self) -> Result<Heads, NodeError> {
        let question = |node: Arc<Node>| -> BoxFuture<'_, Result<Claim, RpcError>> {
            Box::pin(async move { self.claim(&node).await })
        };
        self.chain.heads(&question).await
    }

    async fn claim(&self, node: &Node) -> Result<Claim, RpcError> {
        self.chain.ready(node).await?;
        let mut calls = vec![
            Call::new("eth_chainId", json!([])),
            Call::new("eth_blockNumber", json!([])),
        ];
        if self.finality == Finality::Tag {
            calls.push(Call::new(
                "eth_getBlockByNumber",
                json!(["finalized", false]),
            ));
        }
        let mut answers = node.batch(&calls).await?.into_iter();
        let mut next = || answers.next().unwrap_or(Err(RpcError::Missing));
        // A balancer may send us to another program without any cut that we would notice.
        if let Err(error) = check_chain_id(decode(&next()?)?, self.chain_id) {
            node.set_on_chain(false);
            node.blame(&error);
            return Err(error);
        }
        let head: U64 = decode(&next()?)?;
        let head = BlockHeight(head.to::<u64>());
        node.set_head(head);
        // A chain that has finalized nothing yet answers null or an error of its own.
        let finalized = next()
            .ok()
            .and_then(|answer| decode::<Option<Numbered>>(&answer).ok()?);
        Ok(Claim {
            head,
            finalized: finalized.map(|block| BlockHeight(block.number.to::<u64>())),
        })
    }

    pub(super) async fn ask_hash(
        &self,
        height: BlockHeight,
    ) -> Result<Option<BlockHash>, NodeError> {
        let question = |node: Arc<Node>| -> BoxFuture<'_, Result<Option<BlockHash>, RpcError>> {
            Box::pin(async move { self.hash_at(&node, height).await })
        };
        self.chain.hash_at(height, &question).await
    }

    /// The hash that the header's fields give, and that the node must state as well.
    async fn hash_at(
        &self,
        node: &Node,
        height: BlockHeight,
    ) -> Result<Option<BlockHash>, RpcError> {
        self.chain.ready(node).await?;
        let params = json!([format!("{:#x}", height.0), false]);
        let answer = node.call("eth_getBlockByNumber", params).await;
        let answer = match answer {
            // Some nodes call a block that is not there yet an error.
            Err(error) if error.is_gone() => return Ok(None),
            answer => answer?,
        };
        let Some(named) = decode::<Option<Named>>(&answer)? else {
            return Ok(None);
        };
        let believed = header_hash(answer.get())
            .map_err(|error| error.to_string())
            .and_then(|(header, hash)| {
                if hash == named.hash && header.number == height.0 {
                    return Ok(BlockHash(hash.0));
                }
                Err(format!(
                    "its block {height} hashes to {hash}, not to {}",
                    named.hash
                ))
            });
        believed.map(Some).map_err(|reason| {
            let error = RpcError::Unbelievable(reason);
            node.blame(&error);
            error
        })
    }
}
