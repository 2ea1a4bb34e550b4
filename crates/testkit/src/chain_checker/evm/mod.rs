//! Ethereum and its like: what the proof asks of such a node.
//!
//! Movements are read from receipts and call traces, balances from the state at the tip's hash. Not here: whose an
//! address is, and what should have been credited. Cost: receipts and traces of every block that is not empty, and
//! two balances for each address that gained something in a block.

mod movements;

use anyhow::Result;
use ruint::aliases::U256;
use serde_json::{Value, json};

use super::chain::{Chain, Header, Tip};
use super::rpc::Rpc;
use super::tables::{Address, NetworkRow, Tables};
use super::values::{fixed, quantity, small};

/// Owner, token (or the chain's own coin), hash of the block.
type Asked<'a> = (&'a Address, Option<[u8; 20]>, [u8; 32]);

pub(super) struct Evm {
    rpc: Rpc,
}

impl Evm {
    /// Of addresses, as the database numbers them.
    pub(super) const KINDS: &'static [i64] = &[1];

    pub(super) fn new(rpc: Rpc) -> Self {
        Self { rpc }
    }

    pub(super) async fn chain_id(&self) -> Result<u64> {
        small(&self.rpc.one("eth_chainId", json!([])).await?)
    }

    pub(super) async fn height(&self) -> Result<u64> {
        small(&self.rpc.one("eth_blockNumber", json!([])).await?)
    }

    pub(super) async fn headers(&self, heights: &[u64]) -> Result<Vec<Option<Header>>> {
        let read = |block: &Value| {
            if block.is_null() {
                return Ok(None);
            }
            Ok(Some(Header {
                hash: fixed(&block["hash"])?,
                parent: fixed(&block["parentHash"])?,
                root: fixed(&block["receiptsRoot"])?,
            }))
        };
        self.blocks(heights).await?.iter().map(read).collect()
    }

    pub(super) async fn read(
        &self,
        tables: &Tables,
        network: &NetworkRow,
        tip: Tip,
    ) -> Result<Chain> {
        movements::read(tables, (self, network), tip).await
    }

    pub(super) async fn holdings(
        &self,
        tip: &Tip,
        token: Option<[u8; 20]>,
        addresses: &[&Address],
    ) -> Result<Vec<U256>> {
        let asked = addresses.iter().map(|address| (*address, token, tip.hash));
        self.balances(&asked.collect::<Vec<_>>()).await
    }

    /// Headers of the canonical chain with the transactions' hashes; `null` beyond the head.
    async fn blocks(&self, heights: &[u64]) -> Result<Vec<Value>> {
        let calls: Vec<(&str, Value)> = heights
            .iter()
            .map(|height| {
                (
                    "eth_getBlockByNumber",
                    json!([format!("{height:#x}"), false]),
                )
            })
            .collect();
        self.rpc.all(&calls).await
    }

    /// Whether a contract stands at an address with the block of that hash.
    pub(super) async fn has_code(&self, address: &[u8; 20], block: &[u8; 32]) -> Result<bool> {
        let address = format!("0x{}", hex::encode(address));
        let block = json!({ "blockHash": format!("0x{}", hex::encode(block)) });
        let code = self.rpc.one("eth_getCode", json!([address, block])).await?;
        Ok(code.as_str().is_some_and(|code| code.len() > 2))
    }

    /// What an address holds with the block of that hash: wei, or units of a token.
    async fn balances(&self, asked: &[Asked<'_>]) -> Result<Vec<U256>> {
        let calls: Vec<(&str, Value)> = asked
            .iter()
            .map(|(owner, token, block)| balance_call(owner, token.as_ref(), block))
            .collect();
        let answers = self.rpc.all(&calls).await?;
        // A contract that is not there yet answers nothing, which is zero.
        let read = |answer: &Value| match answer.as_str() {
            Some("0x") => Ok(U256::ZERO),
            _ => quantity(answer),
        };
        answers.iter().map(read).collect()
    }
}

fn balance_call(
    owner: &Address,
    token: Option<&[u8; 20]>,
    block: &[u8; 32],
) -> (&'static str, Value) {
    let owner = hex::encode(&owner.payload);
    let block = json!({ "blockHash": format!("0x{}", hex::encode(block)) });
    match token {
        None => ("eth_getBalance", json!([format!("0x{owner}"), block])),
        Some(token) => {
            // balanceOf(address), EIP-20.
            let data = format!("0x70a08231{owner:0>64}");
            let call = json!({ "to": format!("0x{}", hex::encode(token)), "data": data });
            ("eth_call", json!([call, block]))
        }
    }
}
