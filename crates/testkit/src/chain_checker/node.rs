//! The node, asked as plainly as can be.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::values::{quantity, small};
use ruint::aliases::U256;

/// Calls in one body.
const BATCH: usize = 100;

/// Owner, token (or the chain's own coin), hash of the block.
pub(super) type Asked = ([u8; 20], Option<[u8; 20]>, [u8; 32]);

pub(super) struct Node {
    client: reqwest::Client,
    url: String,
}

impl Node {
    pub(super) fn new(url: &str) -> Self {
        // Fails when it is installed already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(120))
            .build()
            .expect("an HTTP client without special wishes");
        Self {
            client,
            url: url.to_owned(),
        }
    }

    /// The results in the order of the calls; an error of one is an error of all.
    pub(super) async fn all(&self, calls: &[(&str, Value)]) -> Result<Vec<Value>> {
        let mut results = Vec::with_capacity(calls.len());
        for some in calls.chunks(BATCH) {
            results.extend(self.batch(some).await?);
        }
        Ok(results)
    }

    async fn batch(&self, calls: &[(&str, Value)]) -> Result<Vec<Value>> {
        let body: Vec<Value> = calls
            .iter()
            .enumerate()
            .map(|(id, (method, params))| {
                json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })
            })
            .collect();
        let answer = self
            .client
            .post(&self.url)
            .json(&body)
            .send()
            .await
            .with_context(|| format!("the node at {} does not answer", self.url))?;
        let answers: Vec<Value> = answer
            .json()
            .await
            .context("the node answers no list of results")?;
        ensure!(
            answers.len() == calls.len(),
            "{} answers to {} calls",
            answers.len(),
            calls.len()
        );
        let mut results = vec![Value::Null; calls.len()];
        for mut answer in answers {
            let id = answer["id"]
                .as_u64()
                .and_then(|id| usize::try_from(id).ok());
            let id = id.filter(|id| *id < calls.len());
            let id = id.context("an answer to a call that was not made")?;
            if let Some(error) = answer.get("error").filter(|error| !error.is_null()) {
                bail!("{} {}: {error}", calls[id].0, calls[id].1);
            }
            results[id] = answer["result"].take();
        }
        Ok(results)
    }

    async fn one(&self, method: &str, params: Value) -> Result<Value> {
        let mut results = self.batch(&[(method, params)]).await?;
        results.pop().context("no result")
    }

    pub(super) async fn chain_id(&self) -> Result<u64> {
        small(&self.one("eth_chainId", json!([])).await?)
    }

    pub(super) async fn height(&self) -> Result<u64> {
        small(&self.one("eth_blockNumber", json!([])).await?)
    }

    /// Headers of the canonical chain with the transactions' hashes; `null` beyond the head.
    pub(super) async fn blocks(&self, heights: &[u64]) -> Result<Vec<Value>> {
        let calls: Vec<(&str, Value)> = heights
            .iter()
            .map(|height| {
                (
                    "eth_getBlockByNumber",
                    json!([format!("{height:#x}"), false]),
                )
            })
            .collect();
        self.all(&calls).await
    }

    /// Whether a contract stands at an address with the block of that hash.
    pub(super) async fn has_code(&self, address: &[u8; 20], block: &[u8; 32]) -> Result<bool> {
        let address = format!("0x{}", hex::encode(address));
        let block = json!({ "blockHash": format!("0x{}", hex::encode(block)) });
        let code = self.one("eth_getCode", json!([address, block])).await?;
        Ok(code.as_str().is_some_and(|code| code.len() > 2))
    }

    /// What an address holds with the block of that hash: wei, or units of a token.
    pub(super) async fn balances(&self, asked: &[Asked]) -> Result<Vec<U256>> {
        let calls: Vec<(&str, Value)> = asked
            .iter()
            .map(|(owner, token, block)| balance_call(owner, token.as_ref(), block))
            .collect();
        let answers = self.all(&calls).await?;
        // A contract that is not there yet answers nothing, which is zero.
        let read = |answer: &Value| match answer.as_str() {
            Some("0x") => Ok(U256::ZERO),
            _ => quantity(answer),
        };
        answers.iter().map(read).collect()
    }
}

fn balance_call(
    owner: &[u8; 20],
    token: Option<&[u8; 20]>,
    block: &[u8; 32],
) -> (&'static str, Value) {
    let owner = hex::encode(owner);
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
