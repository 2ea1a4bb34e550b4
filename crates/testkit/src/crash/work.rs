//! What the client of a run does.

use serde_json::{Value, json};

use super::input::Input;
use super::life::Work;
use crate::serving::{Api, ApiError};

pub const CHAINS: &str = "evm,tron,bitcoin,bitcoin-taproot,solana";
const FINAL: [&str; 5] = [
    "completed",
    "completed_with_errors",
    "cancelled",
    "failed",
    "paused",
];

/// Uploads a file, waits for its batch, fetches the results.
pub(super) struct BatchWork<'a> {
    pub input: &'a Input,
    /// The batch as last seen.
    pub batch: Option<Value>,
    pub results: Option<Vec<u8>>,
}

impl<'a> BatchWork<'a> {
    #[must_use]
    pub(super) fn new(input: &'a Input) -> Self {
        Self {
            input,
            batch: None,
            results: None,
        }
    }
}

impl Work for BatchWork<'_> {
    async fn step(&mut self, api: &Api) -> Result<bool, ApiError> {
        let Some(id) = self
            .batch
            .as_ref()
            .map(|batch| batch["id"].as_str().unwrap_or_default().to_owned())
        else {
            self.batch = Some(
                api.upload(self.input.csv.clone(), CHAINS, "the-one-upload")
                    .await?,
            );
            return Ok(false);
        };
        if self.results.is_some() {
            return Ok(true);
        }
        let batch = api.get(&format!("/v1/batches/{id}")).await?;
        let ended = batch["state"]
            .as_str()
            .is_some_and(|state| FINAL.contains(&state));
        self.batch = Some(batch);
        if ended {
            self.results = Some(api.results(&id).await?);
        }
        Ok(ended)
    }
}

/// Fills the pool, takes single wallets from it, and decides on one by a second key.
pub(super) struct WalletsWork {
    vault: String,
    /// The second key, made on an undisturbed server.
    second_token: String,
    place: usize,
    answers: Vec<Value>,
}

impl WalletsWork {
    #[must_use]
    pub(super) fn new(vault: &str, second_token: &str) -> Self {
        Self {
            vault: vault.to_owned(),
            second_token: second_token.to_owned(),
            place: 0,
            answers: Vec::new(),
        }
    }

    /// What two runs must agree on.
    #[must_use]
    pub(super) fn outcome(&self) -> Vec<u8> {
        let lines = self.answers.iter().map(|wallet| {
            let of = |name: &str| wallet[name].clone();
            json!([
                of("id"),
                of("external_id"),
                of("state"),
                of("index"),
                of("addresses"),
                of("version")
            ])
            .to_string()
        });
        lines.collect::<Vec<_>>().join("\n").into_bytes()
    }

    async fn assign(&mut self, api: &Api, external_id: &str) -> Result<(), ApiError> {
        let wallet = api
            .post(
                "/v1/wallets",
                external_id,
                &json!({ "external_id": external_id }),
            )
            .await?;
        self.answers.push(wallet);
        Ok(())
    }
}

impl Work for WalletsWork {
    async fn step(&mut self, api: &Api) -> Result<bool, ApiError> {
        let (pool, gate) = (
            format!("/v1/pools/{}", self.vault),
            format!("/v1/vaults/{}/gate", self.vault),
        );
        match self.place {
            0 => drop(api.put(&pool, &json!({ "low": 600, "high": 1000 })).await?),
            1 if api.get(&pool).await?["level"].as_u64() < Some(1000) => return Ok(false),
            1 => {}
            2 => self.assign(api, "single-1").await?,
            3 => self.assign(api, "single-2").await?,
            4 => drop(api.put(&gate, &json!({ "mode": "manual" })).await?),
            5 => self.assign(api, "single-3").await?,
            6 => {
                let id = self
                    .answers
                    .last()
                    .map(|wallet| wallet["id"].as_str().unwrap_or_default().to_owned());
                let path = format!("/v1/wallets/{}/activate", id.unwrap_or_default());
                let second = api.with_token(&self.second_token);
                let wallet = second
                    .post(&path, "activate-3", &json!({ "reason": "papers seen" }))
                    .await?;
                self.answers.push(wallet);
            }
            _ => return Ok(true),
        }
        self.place += 1;
        Ok(false)
    }
}
