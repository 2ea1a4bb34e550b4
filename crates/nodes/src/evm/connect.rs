//! Whether a node is on our chain: asked at every connect, and again after every cut.

use alloy_primitives::{B256, U64};
use coffer_domain::block::BlockHash;
use futures_util::future::BoxFuture;
use serde::Deserialize;
use serde_json::json;

use crate::json_rpc::{Call, Node, RpcError, decode};
use crate::quorum::{Introduce, other_genesis};

#[derive(Deserialize)]
struct Named {
    hash: B256,
}

/// By chain id and genesis block.
pub(super) struct ById(pub(super) u64);

impl Introduce for ById {
    fn introduce<'a>(
        &'a self,
        node: &'a Node,
        known: Option<BlockHash>,
    ) -> BoxFuture<'a, Result<BlockHash, RpcError>> {
        Box::pin(ground(node, self.0, known))
    }
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
