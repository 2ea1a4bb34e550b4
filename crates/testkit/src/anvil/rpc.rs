//! JSON-RPC over HTTP, for whoever drives a test.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

/// An error that the node itself answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RpcError {
    pub method: String,
    pub code: i64,
    pub message: String,
}

impl std::fmt::Display for RpcError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            method,
            code,
            message,
        } = self;
        write!(f, "{method}: error {code}: {message}")
    }
}

impl std::error::Error for RpcError {}

/// A client that believes everything.
#[derive(Debug)]
pub struct Rpc {
    client: reqwest::Client,
    url: String,
    next_id: AtomicU64,
}

impl Rpc {
    /// # Panics
    /// When the HTTP client cannot be set up.
    #[must_use]
    pub fn new(url: &str) -> Self {
        // Fails when it is installed already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(60))
            .build();
        Self {
            client: client.expect("an HTTP client without special wishes"),
            url: url.to_owned(),
            next_id: AtomicU64::new(1),
        }
    }

    /// Status and body of one POST, whatever they are.
    ///
    /// # Errors
    /// When no whole answer comes.
    pub async fn post(&self, body: &Value) -> Result<(u16, String)> {
        self.post_bytes(serde_json::to_vec(body)?).await
    }

    /// The same with any bytes as the body.
    ///
    /// # Errors
    /// When no whole answer comes.
    pub async fn post_bytes(&self, body: Vec<u8>) -> Result<(u16, String)> {
        let request = self
            .client
            .post(&self.url)
            .header("content-type", "application/json");
        let answer = request.body(body).send().await.context("no answer")?;
        let status = answer.status().as_u16();
        Ok((status, answer.text().await.context("half an answer")?))
    }

    /// The result of one call.
    ///
    /// # Errors
    /// [`RpcError`] when the node answers with an error; another when its answer is no JSON-RPC.
    pub async fn call(&self, method: &str, params: Value) -> Result<Value> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let request = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        let (status, text) = self
            .post(&request)
            .await
            .with_context(|| method.to_owned())?;
        if status != 200 {
            bail!("{method}: status {status}");
        }
        let mut answer: Value = serde_json::from_str(&text)
            .with_context(|| format!("{method}: an answer that is no JSON"))?;
        if answer["id"] != json!(id) {
            bail!("{method}: an answer to call {}, not {id}", answer["id"]);
        }
        if let Some(error) = answer.get("error").filter(|error| !error.is_null()) {
            return Err(RpcError {
                method: method.to_owned(),
                code: error["code"].as_i64().unwrap_or_default(),
                message: error["message"].as_str().unwrap_or_default().to_owned(),
            }
            .into());
        }
        Ok(answer["result"].take())
    }

    /// Several calls in one body; the answers as they came.
    ///
    /// # Errors
    /// When the answer is no list.
    pub async fn batch(&self, calls: &[(&str, Value)]) -> Result<Vec<Value>> {
        let request = calls.iter().enumerate().map(|(id, (method, params))| {
            json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })
        });
        let (status, text) = self.post(&request.collect()).await?;
        if status != 200 {
            bail!("batch: status {status}");
        }
        serde_json::from_str(&text).context("a batch whose answer is no list")
    }
}

/// A quantity as JSON-RPC writes it.
#[must_use]
pub fn hex_number(value: u128) -> String {
    format!("{value:#x}")
}

/// Reads a quantity, or a word of up to 32 bytes whose value fits.
///
/// # Errors
/// When it is neither, or larger than 128 bits.
pub fn number(value: &Value) -> Result<u128> {
    let text = value.as_str().context("no quantity")?;
    let digits = text
        .strip_prefix("0x")
        .context("no 0x")?
        .trim_start_matches('0');
    if digits.is_empty() {
        return Ok(0);
    }
    u128::from_str_radix(digits, 16).with_context(|| format!("{text} is too much"))
}
