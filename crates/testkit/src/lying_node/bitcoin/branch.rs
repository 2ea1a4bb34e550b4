//! A chain of a liar's own: true blocks whose rewards go to somebody else, each on the one before it, with work.

use std::collections::HashMap;

use anyhow::{Context, Result};
use bitcoin::{Block, BlockHash, consensus};
use serde_json::{Value, json};

use super::block;
use crate::anvil::Rpc;

/// What was invented so far.
#[derive(Default)]
pub(in super::super) struct Branch {
    from: u64,
    script: String,
    /// By height from `from` on: the hash of the true block, and the one in its place.
    blocks: Vec<(String, Block)>,
    /// Of the invented blocks, the true ones.
    truth: HashMap<String, String>,
}

impl Branch {
    /// Questions about blocks that only this liar knows are asked of the true ones.
    pub(in super::super) fn rewrite(&self, params: &mut Value) {
        let Some(first) = params.get_mut(0) else {
            return;
        };
        if let Some(hash) = first.as_str().and_then(|hash| self.truth.get(hash)) {
            *first = json!(hash);
        }
    }

    pub(super) async fn tell(
        &mut self,
        node: &Rpc,
        (from, script): (u64, &str),
        (method, params): (&str, &Value),
        result: &mut Value,
    ) -> Result<()> {
        if (self.from, self.script.as_str()) != (from, script) {
            *self = Self {
                from,
                script: script.to_owned(),
                ..Self::default()
            };
        }
        match method {
            "getblockhash" => {
                let height = params[0].as_u64().unwrap_or_default();
                if height >= from
                    && let Some(block) = self.block_at(node, height).await?
                {
                    *result = json!(block.block_hash().to_string());
                }
            }
            "getblock" => {
                let asked = params[0].as_str().unwrap_or_default();
                let place = self.blocks.iter().find(|(truth, _)| truth == asked);
                if let Some((_, block)) = place {
                    *result = json!(consensus::encode::serialize_hex(block));
                }
            }
            "getblockchaininfo" | "scantxoutset" => {
                let name = if method == "scantxoutset" {
                    "bestblock"
                } else {
                    "bestblockhash"
                };
                let best = result[name].as_str().unwrap_or_default();
                let place = self.blocks.iter().find(|(truth, _)| truth == best);
                if let Some((_, block)) = place {
                    result[name] = json!(block.block_hash().to_string());
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// `None` above the true chain's head.
    async fn block_at(&mut self, node: &Rpc, height: u64) -> Result<Option<&Block>> {
        let place = usize::try_from(height - self.from)?;
        while self.blocks.len() <= place {
            let next = self.from + self.blocks.len() as u64;
            let Ok(truth) = node.call("getblockhash", json!([next])).await else {
                return Ok(None);
            };
            let raw = node.call("getblock", json!([truth, 0])).await?;
            let raw = raw.as_str().context("a raw block")?;
            let block = consensus::encode::deserialize_hex(raw)?;
            let parent = self.blocks.last().map(|(_, block)| block.block_hash());
            let block = self.invented(block, parent).context("a reward")?;
            let truth = truth.as_str().context("a hash")?.to_owned();
            self.truth
                .insert(block.block_hash().to_string(), truth.clone());
            self.blocks.push((truth, block));
        }
        Ok(self.blocks.get(place).map(|(_, block)| block))
    }

    fn invented(&self, mut block: Block, parent: Option<BlockHash>) -> Option<Block> {
        block::reward(&mut block, &self.script)?;
        if let Some(parent) = parent {
            block.header.prev_blockhash = parent;
        }
        block.header.merkle_root = block.compute_merkle_root()?;
        // Two tries on average: it is regtest.
        while !block.header.target().is_met_by(block.block_hash()) {
            block.header.nonce = block.header.nonce.wrapping_add(1);
        }
        Some(block)
    }
}
