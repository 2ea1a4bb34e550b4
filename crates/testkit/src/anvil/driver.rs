//! What a test makes the chain do.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::{Anvil, hex_number, number};

/// A signed transaction, and where in the new blocks of a reorganization it goes: 0 is the lowest.
#[derive(Debug, Clone)]
pub struct Placed {
    pub raw: String,
    pub block: u64,
}

const REACH_WITHIN: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// Enough for any contract of the tests that is not asked to flood.
pub(super) const GAS: u128 = 3_000_000;
/// 20 gwei, far above the base fee of a chain that is nearly empty.
const FEE: u128 = 20_000_000_000;

impl Anvil {
    /// Makes `count` blocks; pending transactions go into the first.
    ///
    /// # Errors
    /// When the node refuses; so for all functions here.
    pub async fn mine(&self, count: u64) -> Result<()> {
        match count {
            0 => {}
            1 => drop(self.rpc.call("evm_mine", json!([])).await?),
            _ => drop(
                self.rpc
                    .call("anvil_mine", json!([hex_number(count.into())]))
                    .await?,
            ),
        }
        Ok(())
    }

    /// Exchanges the last `depth` blocks by others, empty but for `transactions`.
    pub async fn reorg(&self, depth: u64, transactions: &[Placed]) -> Result<()> {
        let pairs: Vec<Value> = transactions
            .iter()
            .map(|placed| json!([placed.raw, placed.block]))
            .collect();
        self.rpc.call("anvil_reorg", json!([depth, pairs])).await?;
        Ok(())
    }

    /// Takes the head back by `depth` blocks; nothing comes in their place.
    pub async fn rollback(&self, depth: u64) -> Result<()> {
        self.rpc.call("anvil_rollback", json!([depth])).await?;
        Ok(())
    }

    /// A mark to which [`Self::revert`] goes back, once.
    pub async fn snapshot(&self) -> Result<Value> {
        self.rpc.call("evm_snapshot", json!([])).await
    }

    pub async fn revert(&self, snapshot: &Value) -> Result<()> {
        if self.rpc.call("evm_revert", json!([snapshot])).await? != json!(true) {
            bail!("there is no snapshot {snapshot}");
        }
        Ok(())
    }

    pub async fn height(&self) -> Result<u64> {
        let height = number(&self.rpc.call("eth_blockNumber", json!([])).await?)?;
        Ok(u64::try_from(height)?)
    }

    /// Waits until the head is as high: the node that mines by itself does so after it has answered.
    pub async fn reach(&self, height: u64) -> Result<()> {
        let deadline = Instant::now() + REACH_WITHIN;
        while self.height().await? < height {
            if Instant::now() > deadline {
                bail!(
                    "there is no block {height} after {} s",
                    REACH_WITHIN.as_secs()
                );
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// A block by height, its transactions as hashes.
    pub async fn block(&self, height: u64) -> Result<Value> {
        let params = json!([hex_number(height.into()), false]);
        let block = self.rpc.call("eth_getBlockByNumber", params).await?;
        if block.is_null() {
            bail!("there is no block {height}");
        }
        Ok(block)
    }

    pub async fn head(&self) -> Result<Value> {
        self.block(self.height().await?).await
    }

    /// Wei at the head.
    pub async fn balance(&self, address: &str) -> Result<u128> {
        number(
            &self
                .rpc
                .call("eth_getBalance", json!([address, "latest"]))
                .await?,
        )
    }

    /// `None` for a transaction that is in no block.
    pub async fn receipt(&self, transaction: &str) -> Result<Option<Value>> {
        let receipt = self
            .rpc
            .call("eth_getTransactionReceipt", json!([transaction]))
            .await?;
        Ok(Some(receipt).filter(|receipt| !receipt.is_null()))
    }

    /// A transaction from an account of the node's; answers its hash. It is pending until a block is made.
    /// `fields` may hold whatever `eth_sendTransaction` takes, and needs neither gas nor fees.
    pub async fn send(&self, from: &str, fields: Value) -> Result<String> {
        let transaction = filled(from, fields)?;
        let hash = self
            .rpc
            .call("eth_sendTransaction", json!([transaction]))
            .await?;
        Ok(hash.as_str().context("no transaction hash")?.to_owned())
    }

    pub async fn send_native(&self, from: &str, to: &str, wei: u128) -> Result<String> {
        self.send(from, json!({ "to": to, "value": hex_number(wei) }))
            .await
    }

    /// The bytes of a signed transaction with the account's next nonce, which nobody has sent yet. The accounts are
    /// the ten that every development node has; the node signs for them.
    pub async fn sign(&self, from: &str, fields: Value) -> Result<String> {
        let mut transaction = filled(from, fields)?;
        if transaction.get("nonce").is_none() {
            let params = json!([from, "pending"]);
            transaction["nonce"] = self.rpc.call("eth_getTransactionCount", params).await?;
        }
        transaction["chainId"] = self.rpc.call("eth_chainId", json!([])).await?;
        let raw = self
            .rpc
            .call("eth_signTransaction", json!([transaction]))
            .await?;
        Ok(raw.as_str().context("no signed transaction")?.to_owned())
    }

    /// The number that the next transaction of `from` needs, after those that are pending.
    pub async fn nonce(&self, from: &str) -> Result<u128> {
        let params = json!([from, "pending"]);
        number(&self.rpc.call("eth_getTransactionCount", params).await?)
    }

    /// Answers the hash.
    pub async fn send_raw(&self, raw: &str) -> Result<String> {
        let hash = self
            .rpc
            .call("eth_sendRawTransaction", json!([raw]))
            .await?;
        Ok(hash.as_str().context("no transaction hash")?.to_owned())
    }

    /// Who gets the priority fees of the blocks from now on: a deposit that no transaction tells of.
    pub async fn set_coinbase(&self, address: &str) -> Result<()> {
        self.rpc.call("anvil_setCoinbase", json!([address])).await?;
        Ok(())
    }

    /// Sets the code at an address, without a transaction.
    pub async fn set_code(&self, address: &str, code: &str) -> Result<()> {
        self.rpc
            .call("anvil_setCode", json!([address, code]))
            .await?;
        Ok(())
    }
}

fn filled(from: &str, mut fields: Value) -> Result<Value> {
    let map = fields
        .as_object_mut()
        .context("the fields of a transaction are an object")?;
    map.insert("from".to_owned(), json!(from));
    for (name, value) in [
        ("gas", GAS),
        ("maxFeePerGas", FEE),
        ("maxPriorityFeePerGas", 1),
    ] {
        map.entry(name).or_insert_with(|| json!(hex_number(value)));
    }
    Ok(fields)
}
