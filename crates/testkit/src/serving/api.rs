//! The HTTP API as a customer's program would call it.

use std::time::Duration;

use anyhow::{Context, Result};
use reqwest::{Client, RequestBuilder, StatusCode};
use serde_json::Value;

/// A call that had no good answer.
#[derive(Debug)]
pub enum ApiError {
    /// No answer: the server is down, or went down. What became of the call is unknown.
    NoAnswer(String),
    Refused {
        status: u16,
        body: String,
    },
}

impl std::fmt::Display for ApiError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoAnswer(error) => write!(f, "no answer: {error}"),
            Self::Refused { status, body } => write!(f, "refused with {status}: {body}"),
        }
    }
}

impl std::error::Error for ApiError {}

pub struct Api {
    client: Client,
    url: String,
    token: String,
}

impl Api {
    /// # Errors
    /// When the client cannot be set up.
    pub fn new(url: &str, token: &str) -> Result<Self> {
        // Fails when it is installed already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(600))
            .build()
            .context("no HTTP client")?;
        Ok(Self {
            client,
            url: url.to_owned(),
            token: token.to_owned(),
        })
    }

    /// The same server with another key.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self {
            client: self.client.clone(),
            url: self.url.clone(),
            token: token.to_owned(),
        }
    }

    async fn send(&self, request: RequestBuilder) -> Result<(StatusCode, Vec<u8>), ApiError> {
        let no_answer = |error: reqwest::Error| ApiError::NoAnswer(format!("{error:?}"));
        let answer = request
            .bearer_auth(&self.token)
            .send()
            .await
            .map_err(no_answer)?;
        let status = answer.status();
        let body = answer.bytes().await.map_err(no_answer)?.to_vec();
        if status.is_success() {
            return Ok((status, body));
        }
        Err(ApiError::Refused {
            status: status.as_u16(),
            body: String::from_utf8_lossy(&body).into_owned(),
        })
    }

    async fn json(&self, request: RequestBuilder) -> Result<Value, ApiError> {
        let (_, body) = self.send(request).await?;
        serde_json::from_slice(&body)
            .map_err(|error| ApiError::NoAnswer(format!("an answer that is no JSON: {error}")))
    }

    /// # Errors
    /// See [`ApiError`]; so for all calls here.
    pub async fn get(&self, path: &str) -> Result<Value, ApiError> {
        self.json(self.client.get(format!("{}{path}", self.url)))
            .await
    }

    pub async fn get_bytes(&self, path: &str) -> Result<Vec<u8>, ApiError> {
        Ok(self
            .send(self.client.get(format!("{}{path}", self.url)))
            .await?
            .1)
    }

    pub async fn put(&self, path: &str, body: &Value) -> Result<Value, ApiError> {
        self.json(self.client.put(format!("{}{path}", self.url)).json(body))
            .await
    }

    pub async fn post(&self, path: &str, key: &str, body: &Value) -> Result<Value, ApiError> {
        self.json(
            self.client
                .post(format!("{}{path}", self.url))
                .header("idempotency-key", key)
                .json(body),
        )
        .await
    }

    pub async fn delete(&self, path: &str) -> Result<(), ApiError> {
        let request = self.client.delete(format!("{}{path}", self.url));
        self.send(request).await.map(drop)
    }

    /// Makes an API key; answers the key itself, which is shown once.
    pub async fn create_key(&self, name: &str, scopes: &[&str]) -> Result<String, ApiError> {
        let body = serde_json::json!({ "name": name, "scopes": scopes });
        let made = self
            .json(
                self.client
                    .post(format!("{}/v1/keys", self.url))
                    .json(&body),
            )
            .await?;
        let key = made["api_key"].as_str().map(str::to_owned);
        key.ok_or_else(|| ApiError::NoAnswer("a key without its text".to_owned()))
    }

    /// Sends a CSV file; answers the batch.
    pub async fn upload(&self, csv: Vec<u8>, chains: &str, key: &str) -> Result<Value, ApiError> {
        let request = self
            .client
            .post(format!(
                "{}/v1/batches?format=csv&chains={chains}",
                self.url
            ))
            .header("content-type", "text/csv")
            .header("idempotency-key", key)
            .body(csv);
        self.json(request).await
    }

    pub async fn results(&self, batch: &str) -> Result<Vec<u8>, ApiError> {
        self.get_bytes(&format!("/v1/batches/{batch}/results?format=csv"))
            .await
    }
}
