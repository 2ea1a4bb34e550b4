//! Whether a node is on our chain: asked at every connect, and again after every cut.

use std::sync::Arc;

use alloy_primitives::{B256, U64};
use coffer_domain::block::BlockHash;
use serde::Deserialize;
use serde_json::json;

use super::EvmSource;
use crate::NodeError;
use crate::json_rpc::{Call, Node, RpcError, decode};
use crate::quorum::{Rest, Said, agreed, largest_group};

#[derive(Deserialize)]
struct Named {
    hash: B256,
}

impl EvmSource {
    /// Asks all nodes anew. Fewer than k on one chain is an error, and the others are down until they are right.
    pub(super) async fn ground_all(&self) -> Result<BlockHash, NodeError> {
        let chain_id = self.chain_id;
        let known = self.genesis.get().copied();
        let question = move |node: Arc<Node>| -> futures_util::future::BoxFuture<'_, _> {
            Box::pin(async move { ground(&node, chain_id, known).await })
        };
        let quorum = self.panel.quorum;
        let enough = |said: &[Said<BlockHash>]| largest_group(&answers(said)) >= quorum;
        let said = self.panel.ask(&question, Rest::WaitedFor, &enough).await;
        let answers = answers(&said);
        let Some(genesis) = agreed(quorum, &answers).copied() else {
            let agreeing = largest_group(&answers);
            let wrong =
                |said: &&Said<BlockHash>| matches!(said.answer, Err(RpcError::WrongChain(_)));
            let error =
                self.panel
                    .no_quorum("the genesis block", agreeing, &said, &ToString::to_string);
            return Err(match said.iter().find(wrong) {
                Some(_) => NodeError::WrongChain(error.to_string()),
                None => error,
            });
        };
        let genesis = *self.genesis.get_or_init(|| genesis);
        for (node, said) in self.panel.nodes.iter().filter_map(|node| {
            let said = said.iter().find(|said| said.number == node.place.number)?;
            Some((node, said))
        }) {
            match &said.answer {
                Ok(found) if *found == genesis => node.set_on_chain(true),
                Ok(found) => node.blame(&other_genesis(*found)),
                Err(error @ RpcError::WrongChain(_)) => node.blame(error),
                Err(_) => {}
            }
        }
        Ok(genesis)
    }

    /// Before every question: a node that was cut off must show its chain again.
    pub(super) async fn ready(&self, node: &Node) -> Result<(), RpcError> {
        if node.is_on_chain() {
            return Ok(());
        }
        let Some(genesis) = self.genesis.get().copied() else {
            return Err(RpcError::WrongChain("it is not known yet which".to_owned()));
        };
        let grounded = ground(node, self.chain_id, Some(genesis)).await;
        match grounded {
            Ok(_) => {
                node.set_on_chain(true);
                Ok(())
            }
            Err(error) => {
                if matches!(error, RpcError::WrongChain(_)) {
                    node.blame(&error);
                }
                Err(error)
            }
        }
    }

    /// Learns the genesis block if it is not known: no question is asked before.
    pub(super) async fn connected(&self) -> Result<(), NodeError> {
        if self.genesis.get().is_none() {
            self.ground_all().await?;
        }
        Ok(())
    }
}

fn answers(said: &[Said<BlockHash>]) -> Vec<BlockHash> {
    let good = said.iter().filter_map(|said| said.answer.as_ref().ok());
    good.copied().collect()
}

/// The node's genesis block, if its chain id is right, and the genesis, where it is known.
async fn ground(
    node: &Node,
    chain_id: u64,
    known: Option<BlockHash>,
) -> Result<BlockHash, RpcError> {
    let calls = [
        Call::new("eth_chainId", json!([])),
        Call::new("eth_getBlockByNumber", json!(["0x0", false])),
    ];
    let answers: Vec<_> = node.batch(&calls).await?;
    let [id, genesis] = answers.try_into().map_err(|_| RpcError::Missing)?;
    check_chain_id(decode(&id?)?, chain_id)?;
    let genesis: Option<Named> = decode(&genesis?)?;
    let genesis = genesis.ok_or_else(|| RpcError::Unbelievable("it has no block 0".to_owned()))?;
    let found = BlockHash(genesis.hash.0);
    match known {
        Some(known) if known != found => Err(other_genesis(found)),
        _ => Ok(found),
    }
}

pub(super) fn check_chain_id(found: U64, expected: u64) -> Result<(), RpcError> {
    if found.to::<u64>() == expected {
        return Ok(());
    }
    let reason = format!("chain id {found} instead of {expected}");
    Err(RpcError::WrongChain(reason))
}

fn other_genesis(found: BlockHash) -> RpcError {
    RpcError::WrongChain(format!("its genesis block is {found}"))
}
