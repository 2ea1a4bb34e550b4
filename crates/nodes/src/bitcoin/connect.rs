//! Whether a node is on our chain: asked at every connect, and again after every cut.

use coffer_domain::address::BitcoinNetwork;
use coffer_domain::block::BlockHash;
use futures_util::future::BoxFuture;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use crate::json_rpc::{Node, RpcError, decode};
use crate::quorum::{Introduce, other_genesis};

/// By the network's name and the genesis block, whose hash the chain's own name begins.
pub(super) struct ByName {
    pub(super) network: BitcoinNetwork,
    pub(super) genesis: String,
}

#[derive(Deserialize)]
pub(super) struct Info {
    chain: String,
    pub(super) blocks: u64,
}

impl Introduce for ByName {
    fn introduce<'a>(
        &'a self,
        node: &'a Node,
        known: Option<BlockHash>,
    ) -> BoxFuture<'a, Result<BlockHash, RpcError>> {
        Box::pin(async move {
            // One by one: a node that lacks one of them must say which.
            let info = node.call("getblockchaininfo", json!([])).await?;
            check_name(&decode(&info)?, self.network)?;
            let genesis = node.call("getblockhash", json!([0])).await?;
            let found = hash(&genesis)?;
            let named = hex_of(&found).starts_with(&self.genesis);
            if !named || known.is_some_and(|known| known != found) {
                return Err(other_genesis(found));
            }
            Ok(found)
        })
    }
}

pub(super) fn check_name(info: &Info, network: BitcoinNetwork) -> Result<(), RpcError> {
    let names: &[&str] = match network {
        BitcoinNetwork::Mainnet => &["main"],
        BitcoinNetwork::Testnet => &["test", "testnet4"],
        BitcoinNetwork::Signet => &["signet"],
        BitcoinNetwork::Regtest => &["regtest"],
    };
    if names.contains(&info.chain.as_str()) {
        return Ok(());
    }
    let found: String = info.chain.chars().take(16).collect();
    Err(RpcError::WrongChain(format!(
        "it calls its chain {found:?}, not {}",
        names.join(" or ")
    )))
}

/// A hash as nodes write and read it: without `0x`.
pub(super) fn hex_of(hash: &BlockHash) -> String {
    alloy_primitives::hex::encode(hash.0)
}

/// Reads what [`hex_of`] writes.
pub(super) fn hash(answer: &RawValue) -> Result<BlockHash, RpcError> {
    let text: String = decode(answer)?;
    let mut bytes = [0; 32];
    alloy_primitives::hex::decode_to_slice(&text, &mut bytes)
        .map_err(|_| RpcError::Unbelievable("a hash that is none".to_owned()))?;
    Ok(BlockHash(bytes))
}
