//! A node, asked as plainly as can be.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

/// Calls in one body.
const BATCH: usize = 100;

pub(super) struct Rpc {
    client: reqwest::Client,
    url: String,
}

impl Rpc {
    /// `user:password@` in the URL is sent as its login; `#FILE` at its end names a file that holds one, such as
    /// the cookie of a Bitcoin node.
    pub(super) fn new(url: &str) -> Result<Self> {
        let url = with_login(url)?;
        // Fails when it is installed already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(120))
            .build()
            .expect("an HTTP client without special wishes");
        Ok(Self { client, url })
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

    pub(super) async fn one(&self, method: &str, params: Value) -> Result<Value> {
        let mut results = self.batch(&[(method, params)]).await?;
        results.pop().context("no result")
    }
}

fn with_login(url: &str) -> Result<String> {
    let Some((plain, file)) = url.split_once('#') else {
        return Ok(url.to_owned());
    };
    let login = std::fs::read_to_string(file)
        .with_context(|| format!("the login in {file} cannot be read"))?;
    let (scheme, place) = plain
        .split_once("://")
        .with_context(|| format!("{plain} is no URL"))?;
    Ok(format!("{scheme}://{}@{place}", login.trim()))
}
