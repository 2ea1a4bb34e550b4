//! A liar's own chain: from some height on every block has another hash, and still fits.
//!
//! Each header gets other extra data, its parent's new hash, and where receipts are forged their root and bloom; then its hash is computed anew. Wherever the node names a block of that part, the new hash stands
//! instead, and questions by the new hash are answered. Only who compares with other nodes can tell.
//! Built as asked for, one header request per block; meant for the short chains of tests.

use std::collections::HashMap;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::forge;
use super::header::{header_hash, receipts_bloom, receipts_root};
use super::invent::Invention;
use super::lag::height_of;
use crate::anvil::Rpc;

/// What the liar made up so far. Blocks are known by their true hashes, so that it outlives a reorganization.
#[derive(Debug, Default)]
pub(super) struct Fork {
    shape: Shape,
    fake_headers: HashMap<String, Value>,
    true_hashes: HashMap<String, String>,
}

/// How the liar's chain differs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) from: u64,
    pub(super) forgery: Forgery,
}

/// What is made up besides, consistently.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Forgery {
    #[default]
    Nothing,
    /// Larger values, of all logs or of those about one address.
    Values(Option<String>),
    Invented(Invention),
}

impl Forgery {
    /// Applied to what lies in blocks from a height on.
    fn apply(&self, result: &mut Value, from: u64) {
        let forked = |item: &Value| height_of(item).is_some_and(|height| height >= from);
        match self {
            Self::Nothing => {}
            Self::Values(about) => {
                let items = match result {
                    Value::Array(items) => items.as_mut_slice(),
                    one => std::slice::from_mut(one),
                };
                let items = items.iter_mut().filter(|item| forked(item));
                items.for_each(|item| forge::forge_values(item, about.as_deref()));
            }
            Self::Invented(invention) => {
                let last = result.as_array().and_then(|items| items.last());
                if last.is_some_and(forked) {
                    invention.add_to(result);
                }
            }
        }
    }
}

impl Fork {
    /// Turns the liar's hashes in a request into those the node knows.
    pub(super) fn rewrite(&self, params: &mut Value) {
        each_text(params, &mut |text| {
            if let Some(hash) = self.true_hashes.get(text) {
                text.clone_from(hash);
            }
        });
    }

    /// Turns an answer of the node into the liar's.
    ///
    /// # Errors
    /// When the node cannot be asked for what is missing.
    pub(super) async fn tell(
        &mut self,
        upstream: &Rpc,
        shape: Shape,
        result: &mut Value,
    ) -> Result<()> {
        if self.shape != shape {
            *self = Self {
                shape,
                ..Self::default()
            };
        }
        for hash in blocks_named(result, self.shape.from) {
            self.fake(upstream, &hash).await?;
        }
        if !forge::is_block(result) {
            self.shape.forgery.apply(result, self.shape.from);
        }
        if let Some(fake) = result["hash"]
            .as_str()
            .and_then(|hash| self.fake_headers.get(hash))
        {
            for name in ["extraData", "receiptsRoot", "logsBloom"] {
                result[name] = fake[name].clone();
            }
        }
        each_text(result, &mut |text| {
            if let Some(hash) = self
                .fake_headers
                .get(text)
                .and_then(|fake| fake["hash"].as_str())
            {
                hash.clone_into(text);
            }
        });
        Ok(())
    }

    /// Makes up the block and all below it down to where the fork begins.
    async fn fake(&mut self, upstream: &Rpc, hash: &str) -> Result<()> {
        let mut missing = Vec::new();
        let mut next = hash.to_owned();
        while !self.fake_headers.contains_key(&next) {
            let params = json!([next, false]);
            let header = upstream.call("eth_getBlockByHash", params).await?;
            if height_of(&header).is_none_or(|height| height < self.shape.from) {
                break;
            }
            header["parentHash"]
                .as_str()
                .context("a parent")?
                .clone_into(&mut next);
            missing.push(header);
        }
        for mut header in missing.into_iter().rev() {
            let hash = header["hash"].as_str().context("a hash")?.to_owned();
            if self.shape.forgery != Forgery::Nothing {
                let mut receipts = upstream.call("eth_getBlockReceipts", json!([hash])).await?;
                self.shape.forgery.apply(&mut receipts, self.shape.from);
                let receipts = receipts.as_array().context("a block without receipts")?;
                header["receiptsRoot"] = json!(receipts_root(receipts)?);
                header["logsBloom"] = json!(receipts_bloom(receipts));
            }
            header["extraData"] = json!("0x616e6f74686572");
            let parent = header["parentHash"].as_str().unwrap_or_default();
            if let Some(fake) = self.fake_headers.get(parent) {
                header["parentHash"] = fake["hash"].clone();
            }
            let fake = header_hash(&header)?;
            header["hash"] = json!(fake);
            self.true_hashes.insert(fake, hash.clone());
            self.fake_headers.insert(hash, header);
        }
        Ok(())
    }
}

/// Hashes of the blocks from this height on that an answer is about.
fn blocks_named(result: &Value, from: u64) -> Vec<String> {
    let items = match result {
        Value::Array(items) => items.as_slice(),
        one => std::slice::from_ref(one),
    };
    // A block's parent may be the first of the fork, or just below it.
    let items = items
        .iter()
        .filter(|item| height_of(item).is_some_and(|height| height >= from));
    let mut hashes: Vec<String> = items
        .filter_map(|item| {
            let name = if forge::is_block(item) {
                "hash"
            } else {
                "blockHash"
            };
            item[name].as_str().map(str::to_owned)
        })
        .collect();
    hashes.sort();
    hashes.dedup();
    hashes
}

fn each_text(value: &mut Value, change: &mut impl FnMut(&mut String)) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| each_text(item, change)),
        Value::Object(fields) => fields
            .values_mut()
            .for_each(|field| each_text(field, change)),
        Value::String(text) => change(text),
        _ => {}
    }
}
