//! What tests make the node do.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::Bitcoind;

/// Satoshis of one bitcoin.
pub const COIN: u64 = 100_000_000;
/// Blocks after which the reward of one may be spent.
const MATURITY: u64 = 100;
const AGREE_WITHIN: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Of every transaction that the driver sends, in satoshis per virtual byte.
const FEE_RATE: u64 = 5;

/// An output of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    pub txid: String,
    pub vout: u32,
    pub sats: u64,
}

impl Bitcoind {
    /// An address of the node's own wallet.
    ///
    /// # Errors
    /// When the node refuses it.
    pub async fn new_address(&self) -> Result<String> {
        text(&self.wallet.call("getnewaddress", json!([])).await?)
    }

    /// Gives the wallet so many rewards that can be spent.
    ///
    /// # Errors
    /// When the node refuses it.
    pub async fn fund(&self, rewards: u64) -> Result<()> {
        self.mine(rewards + MATURITY).await?;
        Ok(())
    }

    /// Makes blocks with what is in the pool; answers their hashes.
    ///
    /// # Errors
    /// When the node refuses it.
    pub async fn mine(&self, blocks: u64) -> Result<Vec<String>> {
        self.mine_to(blocks, &self.own).await
    }

    /// The same, with the rewards to an address.
    ///
    /// # Errors
    /// When the node refuses it.
    pub async fn mine_to(&self, blocks: u64, address: &str) -> Result<Vec<String>> {
        let params = json!([blocks, address]);
        let hashes = self.rpc.call("generatetoaddress", params).await?;
        serde_json::from_value(hashes).context("no list of hashes")
    }

    /// Makes one block with these transactions alone, by id or as raw bytes in hexadecimal.
    ///
    /// # Errors
    /// When the node refuses it.
    pub async fn mine_only(&self, transactions: &[String]) -> Result<String> {
        self.mine_only_to(None, transactions).await
    }

    /// The same, with the reward to an address, or to the wallet's without one.
    ///
    /// # Errors
    /// When the node refuses it.
    pub async fn mine_only_to(
        &self,
        address: Option<&str>,
        transactions: &[String],
    ) -> Result<String> {
        let params = json!([address.unwrap_or(&self.own), transactions]);
        let block = self.rpc.call("generateblock", params).await?;
        text(&block["hash"])
    }

    /// Height and hash of the tip.
    ///
    /// # Errors
    /// When the node does not answer.
    pub async fn head(&self) -> Result<(u64, String)> {
        let info = self.rpc.call("getblockchaininfo", json!([])).await?;
        let height = info["blocks"].as_u64().context("no height")?;
        Ok((height, text(&info["bestblockhash"])?))
    }

    /// Sends from the wallet into the pool, replaceable; answers the transaction's id.
    ///
    /// # Errors
    /// When the node refuses it.
    pub async fn send(&self, address: &str, sats: u64) -> Result<String> {
        self.send_many(&[(address.to_owned(), sats)]).await
    }

    /// The same with many outputs at once.
    ///
    /// # Errors
    /// When the node refuses it.
    pub async fn send_many(&self, outputs: &[(String, u64)]) -> Result<String> {
        let outputs: Vec<Value> = outputs
            .iter()
            .map(|(address, sats)| json!({ address: coins(*sats) }))
            .collect();
        let params = json!({
            "outputs": outputs,
            "fee_rate": FEE_RATE,
            "options": { "replaceable": true },
        });
        let sent = self.wallet.call("send", params).await?;
        text(&sent["txid"])
    }

    /// A transaction that the wallet signed and nobody saw: inputs and outputs as given, the rest is the fee.
    ///
    /// # Errors
    /// When the node refuses it.
    pub async fn signed(&self, inputs: &[Output], outputs: &[(String, u64)]) -> Result<String> {
        let inputs: Vec<Value> = inputs
            .iter()
            .map(|input| json!({ "txid": input.txid, "vout": input.vout, "sequence": 0xffff_fffd_u32 }))
            .collect();
        let outputs: Vec<Value> = outputs
            .iter()
            .map(|(address, sats)| json!({ address: coins(*sats) }))
            .collect();
        let params = json!([inputs, outputs]);
        let raw = self.rpc.call("createrawtransaction", params).await?;
        let signed = self
            .wallet
            .call("signrawtransactionwithwallet", json!([raw]))
            .await?;
        if signed["complete"] != json!(true) {
            bail!("the wallet cannot sign it: {signed}");
        }
        text(&signed["hex"])
    }

    /// Puts a signed transaction into the pool; answers its id.
    ///
    /// # Errors
    /// When the node refuses it.
    pub async fn send_raw(&self, raw: &str) -> Result<String> {
        text(&self.rpc.call("sendrawtransaction", json!([raw])).await?)
    }

    /// Outputs of the wallet that can be spent, the largest first.
    ///
    /// # Errors
    /// When the node does not answer.
    pub async fn spendable(&self) -> Result<Vec<Output>> {
        let listed = self.wallet.call("listunspent", json!([])).await?;
        let listed = listed.as_array().context("no list of outputs")?;
        let mut outputs = Vec::with_capacity(listed.len());
        for one in listed {
            outputs.push(Output {
                txid: text(&one["txid"])?,
                vout: u32::try_from(one["vout"].as_u64().context("no vout")?)?,
                sats: sats(&one["amount"])?,
            });
        }
        outputs.sort_by_key(|output| std::cmp::Reverse(output.sats));
        Ok(outputs)
    }

    /// Takes a block and all above it back.
    ///
    /// # Errors
    /// When the node refuses it.
    pub async fn invalidate(&self, hash: &str) -> Result<()> {
        self.rpc.call("invalidateblock", json!([hash])).await?;
        Ok(())
    }

    /// The block at a height of the node's chain.
    ///
    /// # Errors
    /// When there is none.
    pub async fn hash_at(&self, height: u64) -> Result<String> {
        text(&self.rpc.call("getblockhash", json!([height])).await?)
    }

    /// Connects with another node and waits until both have the same tip.
    ///
    /// # Errors
    /// When they do not agree in time.
    pub async fn join(&self, other: &Self) -> Result<()> {
        for node in [self, other] {
            node.rpc.call("setnetworkactive", json!([true])).await?;
        }
        let params = json!([other.peer_address(), "onetry"]);
        self.rpc.call("addnode", params).await?;
        let deadline = Instant::now() + AGREE_WITHIN;
        loop {
            let (ours, theirs) = (self.head().await?, other.head().await?);
            if ours == theirs {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("two nodes do not agree: {ours:?} and {theirs:?}");
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Cuts every connection to other nodes.
    ///
    /// # Errors
    /// When the node refuses it.
    pub async fn part(&self) -> Result<()> {
        self.rpc.call("setnetworkactive", json!([false])).await?;
        let deadline = Instant::now() + AGREE_WITHIN;
        loop {
            let peers = self.rpc.call("getconnectioncount", json!([])).await?;
            if peers == json!(0) {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("the node keeps {peers} peers");
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

fn text(value: &Value) -> Result<String> {
    let text = value.as_str().map(str::to_owned);
    text.with_context(|| format!("no text: {value}"))
}

/// An amount as the node's calls take it, exactly: a text with eight decimals.
fn coins(sats: u64) -> String {
    format!("{}.{:08}", sats / COIN, sats % COIN)
}

/// Reads what the node prints, without a float in between.
fn sats(amount: &Value) -> Result<u64> {
    let printed = amount.to_string();
    let (whole, fraction) = printed.split_once('.').unwrap_or((&printed, ""));
    let digits = format!("{whole}{fraction:0<8}");
    digits
        .parse()
        .with_context(|| format!("no amount: {printed}"))
}
