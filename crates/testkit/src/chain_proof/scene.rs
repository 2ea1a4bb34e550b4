//! One chain, three nodes before it, one installation that watches it.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::host::Host;
use super::stage::{Family, Stage};
use crate::Engine;
use crate::chain_checker;
use crate::crash::Input;
use crate::lying_node::LyingNode;
use crate::serving::{Programs, Template};

/// Longer than anything takes that works.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);
pub const CONFIRMATIONS: u64 = 3;

/// What a proof runs on.
#[derive(Debug, Clone)]
pub struct Ground {
    pub family: Family,
    pub programs: Programs,
    pub engine: Engine,
    /// The server to make databases on; for PostgreSQL.
    pub server_url: Option<String>,
    pub wallets: u32,
    /// Confirmations until a block stays.
    pub finality: u64,
}

pub(super) struct Wallet {
    pub(super) id: String,
    /// In the order of the family's columns.
    pub(super) addresses: Vec<String>,
}

impl Wallet {
    pub(super) fn address(&self) -> &str {
        &self.addresses[0]
    }
}

pub(super) struct Scene<S> {
    pub(super) stage: S,
    pub(super) nodes: Vec<LyingNode>,
    pub(super) host: Host,
    pub(super) wallets: Vec<Wallet>,
    /// The path of the network's endpoint.
    pub(super) network: String,
    /// A second administrator's key.
    pub(super) second: String,
    /// The height at which the set-up ended; nothing goes below it.
    pub(super) base: u64,
    template: Template,
    calls: u64,
}

impl<S: Stage> Scene<S> {
    pub(super) async fn set(ground: &Ground) -> Result<Self> {
        let stage = S::start().await?;
        let mut nodes = Vec::new();
        for url in stage.node_urls() {
            nodes.push(LyingNode::start(&url).await?);
        }
        let server = ground.server_url.as_deref();
        let template = Template::make(&ground.programs, ground.engine, server).await?;
        let site = template.copy().await?;
        let host = Host::start(&ground.programs, site).await?;
        let mut scene = Self {
            base: stage.head().await?.0,
            stage,
            nodes,
            host,
            wallets: Vec::new(),
            network: String::new(),
            second: String::new(),
            template,
            calls: 0,
        };
        scene.make_wallets(ground.wallets).await?;
        scene.add_network(ground.finality).await?;
        for (name, symbol, decimals) in scene.stage.assets() {
            scene.add_asset(&name, symbol, decimals).await?;
        }
        Ok(scene)
    }

    async fn make_wallets(&mut self, count: u32) -> Result<()> {
        let input = Input::clean(count);
        let api = self.host.alive().await?;
        let batch = api.upload(input.csv, S::KINDS, "wallets").await?;
        let id = batch["id"].as_str().context("a batch has an id")?;
        let path = format!("/v1/batches/{id}");
        self.host
            .wait(&path, PATIENCE, |batch| batch["state"] == "completed")
            .await?;
        let results = self.host.alive().await?.results(id).await?;
        let mut reader = csv::Reader::from_reader(results.as_slice());
        let header = reader.headers()?.clone();
        let column = |name: &str| {
            let found = header.iter().position(|column| column == name);
            found.with_context(|| format!("the results have no column {name}"))
        };
        let id = column("wallet_id")?;
        let columns: Result<Vec<usize>> = S::COLUMNS.iter().map(|name| column(name)).collect();
        let columns = columns?;
        for record in reader.records() {
            let record = record?;
            self.wallets.push(Wallet {
                id: record[id].to_owned(),
                addresses: columns
                    .iter()
                    .map(|column| record[*column].to_owned())
                    .collect(),
            });
        }
        ensure!(self.wallets.len() == count as usize, "wallets are missing");
        self.stage.set_wallets(&self.wallets)?;
        let api = self.host.alive().await?;
        self.second = api.create_key("second", &["admin"]).await?;
        Ok(())
    }

    async fn add_network(&mut self, finality: u64) -> Result<()> {
        let nodes: Vec<Value> = self
            .nodes
            .iter()
            .map(|node| json!({ "rpc": node.url() }))
            .collect();
        let body = json!({
            "chain": S::CHAIN,
            "name": "proof",
            "nodes": nodes,
            "quorum": 2,
            "confirmations": CONFIRMATIONS,
            "finality": { "rule": "depth", "blocks": finality },
            "start_height": 1,
            "poll_interval_ms": 50,
        });
        let network = self.post("/v1/networks", &body).await?;
        let id = network["id"].as_str().context("a network has an id")?;
        self.network = format!("/v1/networks/{id}");
        Ok(())
    }

    /// Answers the asset's id.
    pub(super) async fn add_asset(
        &mut self,
        name: &str,
        symbol: &str,
        decimals: u8,
    ) -> Result<String> {
        let path = format!("{}/assets", self.network);
        let name = format!("{}/{name}", S::CHAIN);
        let body = json!({ "name": name, "symbol": symbol, "decimals": decimals });
        let asset = self.post(&path, &body).await?;
        Ok(asset["id"]
            .as_str()
            .context("an asset has an id")?
            .to_owned())
    }

    pub(super) async fn post(&mut self, path: &str, body: &Value) -> Result<Value> {
        self.calls += 1;
        let key = format!("call-{}", self.calls);
        self.host.post(path, body, (&key, None)).await
    }

    /// Until the installation stands where the chain stands.
    pub(super) async fn caught_up(&mut self) -> Result<Value> {
        let (_, hash) = self.stage.head().await?;
        let path = self.network.clone();
        let stands = |network: &Value| {
            let reached = network["progress"]["hash"].as_str().unwrap_or_default();
            reached.trim_start_matches("0x") == hash
        };
        self.host.wait(&path, PATIENCE, stands).await
    }

    /// Blocks until the last deposit has its confirmations; then everything stops, and the checker judges.
    pub(super) async fn judged(&mut self) -> Result<chain_checker::Report> {
        for node in &self.nodes {
            node.be_honest();
        }
        self.stage.mine(CONFIRMATIONS + 1).await?;
        self.at_rest(&self.checking()).await
    }

    /// What the checker says of the installation as it is, once that has caught up and stopped.
    pub(super) async fn at_rest(
        &mut self,
        checking: &chain_checker::Options,
    ) -> Result<chain_checker::Report> {
        self.caught_up().await?;
        self.host.stop().await?;
        chain_checker::check(checking).await
    }

    pub(super) fn checking(&self) -> chain_checker::Options {
        chain_checker::Options {
            database_url: self.host.site.database_url.clone(),
            nodes: vec![self.stage.truth()],
            at_head: true,
            ..chain_checker::Options::default()
        }
    }

    /// Until a breaker has tripped.
    pub(super) async fn tripped(&mut self) -> Result<()> {
        let any = |assets: &Value| {
            let mut assets = assets["data"].as_array().into_iter().flatten();
            assets.any(|asset| asset["state"] == "tripped")
        };
        self.host.wait("/v1/assets", PATIENCE, any).await?;
        Ok(())
    }

    /// A person closes every breaker that has tripped; answers how many.
    pub(super) async fn close_breakers(&mut self) -> Result<u32> {
        let assets = self.host.get("/v1/assets").await?;
        let mut closed = 0;
        for asset in assets["data"].as_array().into_iter().flatten() {
            if asset["state"] == "tripped" {
                let id = asset["id"].as_str().unwrap_or_default();
                let path = format!("/v1/assets/{id}/close-breaker");
                let reason = json!({ "reason": "the next comparison matched" });
                self.post(&path, &reason).await?;
                closed += 1;
            }
        }
        Ok(closed)
    }

    pub(super) async fn done(self) {
        let Host { site, .. } = self.host;
        self.template.discard(site).await;
    }
}
