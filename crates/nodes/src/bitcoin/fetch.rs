//! A raw block from any one node: what does not verify is asked of the next.

use std::borrow::Cow;
use std::sync::Arc;

use coffer_chains::bitcoin::BitcoinError;
use coffer_chains::bitcoin::block::{self, Block};
use coffer_domain::block::BlockRef;
use futures_util::future::BoxFuture;
use serde_json::json;

use super::BitcoinSource;
use super::connect::hex_of;
use crate::NodeError;
use crate::json_rpc::{Node, decode};
use crate::quorum::Refusal;

impl From<BitcoinError> for Refusal {
    fn from(error: BitcoinError) -> Self {
        Self::Unbelievable(error.to_string())
    }
}

impl BitcoinSource {
    pub(super) async fn verified_block(&self, at: BlockRef) -> Result<Block, NodeError> {
        self.chain.connected().await?;
        let attempt = |node: Arc<Node>| -> BoxFuture<'_, Result<Block, Refusal>> {
            Box::pin(async move {
                let params = json!([hex_of(&at.hash), 0]);
                let answer = node.call("getblock", params).await?;
                let text: Cow<'_, str> = decode(&answer)?;
                let raw = alloy_primitives::hex::decode(text.as_bytes())
                    .map_err(|error| Refusal::Unbelievable(error.to_string()))?;
                Ok(block::read(&raw, at, self.network)?)
            })
        };
        self.chain.first_verified(at, "the block", &attempt).await
    }
}
