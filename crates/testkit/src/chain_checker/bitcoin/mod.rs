//! Bitcoin: what the proof asks of such a node.
//!
//! Movements and outputs are read from whole blocks as the node itself decodes them; what addresses hold, from its
//! set of unspent outputs. Not here: whose an address is, and what should have been credited; no hash, no work and
//! no signature is checked, because the node is believed. Cost: every block once, and one scan of that set.

mod blocks;

use std::collections::HashMap;

use anyhow::{Context, Result, ensure};
use ruint::aliases::U256;
use serde_json::{Value, json};

use super::chain::{Chain, Header, Tip};
use super::rpc::Rpc;
use super::tables::{Address, Tables};

/// Whole blocks in one body.
const BLOCKS_AT_ONCE: usize = 25;

pub(super) struct Bitcoin {
    rpc: Rpc,
}

impl Bitcoin {
    /// P2WPKH and P2TR, as the database numbers them.
    pub(super) const KINDS: &'static [i64] = &[3, 4];

    pub(super) fn new(rpc: Rpc) -> Self {
        Self { rpc }
    }

    /// The chain's name (CAIP-2: `bip122` and half of the genesis hash); `None` where it is no such node, or none
    /// that answers, of which the next question to it tells.
    pub(super) async fn name(rpc: &Rpc) -> Result<Option<String>> {
        let Ok(genesis) = rpc.one("getblockhash", json!([0])).await else {
            return Ok(None);
        };
        let hash = genesis.as_str().and_then(|hash| hash.get(..32));
        let hash = hash.with_context(|| format!("{genesis} is no hash"))?;
        Ok(Some(format!("bip122:{hash}")))
    }

    pub(super) async fn height(&self) -> Result<u64> {
        let count = self.rpc.one("getblockcount", json!([])).await?;
        count.as_u64().context("a height that is no number")
    }

    async fn hashes(&self, heights: impl Iterator<Item = u64>) -> Result<Vec<Value>> {
        let calls = heights.map(|height| ("getblockhash", json!([height])));
        self.rpc.all(&calls.collect::<Vec<_>>()).await
    }

    pub(super) async fn headers(&self, heights: &[u64]) -> Result<Vec<Option<Header>>> {
        let head = self.height().await?;
        let known = heights.iter().copied().filter(|height| *height <= head);
        let hashes = self.hashes(known).await?;
        let calls = hashes.iter().map(|hash| ("getblockheader", json!([hash])));
        let headers = self.rpc.all(&calls.collect::<Vec<_>>()).await?;
        let mut headers = headers.iter();
        let mut read = |height: &u64| {
            if *height > head {
                return Ok(None);
            }
            let header = headers.next().context("a header for each hash")?;
            let parent = &header["previousblockhash"];
            Ok(Some(Header {
                hash: hash(&header["hash"])?,
                parent: match parent {
                    Value::Null => [0; 32],
                    parent => hash(parent)?,
                },
                root: hash(&header["merkleroot"])?,
            }))
        };
        heights.iter().map(&mut read).collect()
    }

    pub(super) async fn read(&self, tables: &Tables, tip: Tip) -> Result<Chain> {
        let mut reader = blocks::Reader::new(tables, tip);
        let heights: Vec<u64> = (tip.first..=tip.height).collect();
        for some in heights.chunks(BLOCKS_AT_ONCE) {
            let hashes = self.hashes(some.iter().copied()).await?;
            let calls = hashes.iter().map(|hash| ("getblock", json!([hash, 2])));
            for block in self.rpc.all(&calls.collect::<Vec<_>>()).await? {
                reader.block(&block)?;
            }
        }
        Ok(reader.chain)
    }

    /// By the node's own set of unspent outputs where the tip is the node's, so that what came before the first
    /// block counts, too; else by what the blocks left unspent.
    pub(super) async fn holdings(
        &self,
        chain: &Chain,
        addresses: &[&Address],
    ) -> Result<Vec<U256>> {
        let mut held: HashMap<Vec<u8>, U256> = HashMap::new();
        let mut add = |script: Vec<u8>, units: U256| {
            let sum = held.entry(script).or_default();
            *sum = sum.saturating_add(units);
        };
        let best = self.rpc.one("getbestblockhash", json!([])).await?;
        if hash(&best)? == chain.tip.hash {
            let scripts = addresses.iter().map(|address| script(address));
            let wanted: Vec<String> = scripts
                .map(|script| format!("raw({})", hex::encode(script)))
                .collect();
            let scan = ("scantxoutset", json!(["start", wanted]));
            let scan = self.rpc.one(scan.0, scan.1).await?;
            ensure!(
                scan["success"] == json!(true) && scan["bestblock"] == best,
                "the node's scan of its outputs is of another block: {scan}"
            );
            for unspent in scan["unspents"].as_array().context("a list of outputs")? {
                add(bytes(&unspent["scriptPubKey"])?, sats(&unspent["amount"])?);
            }
        } else {
            let unspent = chain.outputs.values().filter(|one| one.spent.is_none());
            for output in unspent {
                add(script(&output.address), output.units);
            }
        }
        let of = |address: &&Address| held.get(&script(address)).copied().unwrap_or_default();
        Ok(addresses.iter().map(of).collect())
    }
}

/// The script that pays an address: version and program (BIP-141, BIP-341).
fn script(address: &Address) -> Vec<u8> {
    const OP_0: u8 = 0x00;
    const OP_1: u8 = 0x51;
    let version = if address.payload.len() == 20 {
        OP_0
    } else {
        OP_1
    };
    let length = u8::try_from(address.payload.len()).unwrap_or(u8::MAX);
    [&[version, length], &address.payload[..]].concat()
}

fn bytes(value: &Value) -> Result<Vec<u8>> {
    let text = value.as_str();
    let text = text.with_context(|| format!("{value} is no text"))?;
    Ok(hex::decode(text)?)
}

fn hash(value: &Value) -> Result<[u8; 32]> {
    let bytes = bytes(value)?;
    let length = bytes.len();
    <[u8; 32]>::try_from(bytes)
        .ok()
        .with_context(|| format!("a hash of {length} bytes"))
}

/// Coins with eight decimals. As a float they are off by less than a millionth of a satoshi, since all that there
/// will ever be is below 2^53 satoshis.
fn sats(amount: &Value) -> Result<U256> {
    let coins = amount
        .as_f64()
        .with_context(|| format!("{amount} is no amount"))?;
    let sats = (coins * 1e8).round();
    ensure!(
        (0.0..=21e14).contains(&sats),
        "{amount} is more than there is"
    );
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a whole number of that range"
    )]
    let sats = sats as u64;
    Ok(U256::from(sats))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_to_the_satoshi() {
        for (text, right) in [
            ("0.00000001", 1_u64),
            ("0.1", 10_000_000),
            ("49.99999999", 4_999_999_999),
            ("20999999.97690000", 2_099_999_997_690_000),
        ] {
            let amount: Value = serde_json::from_str(text).expect("a number");
            assert_eq!(sats(&amount).expect(text), U256::from(right), "{text}");
        }
        assert!(sats(&json!(-0.1)).is_err() && sats(&json!("1")).is_err());
    }
}
