//! One chain, three nodes before it, one installation that watches it.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::driver::Payer;
use super::host::Host;
use crate::Engine;
use crate::anvil::{self, Anvil};
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
    pub(super) address: String,
}

pub(super) struct Scene {
    pub(super) anvil: Anvil,
    pub(super) nodes: Vec<LyingNode>,
    pub(super) host: Host,
    pub(super) wallets: Vec<Wallet>,
    /// The path of the network's endpoint.
    pub(super) network: String,
    /// A second administrator's key.
    pub(super) second: String,
    pub(super) payer: Payer,
    /// The height at which the set-up ended; nothing goes below it.
    pub(super) base: u64,
    template: Template,
    calls: u64,
}

impl Scene {
    pub(super) async fn set(ground: &Ground) -> Result<Self> {
        let anvil = Anvil::start(&anvil::Options::default()).await?;
        let payer = Payer::set_up(&anvil).await?;
        let mut nodes = Vec::new();
        for _ in 0..3 {
            nodes.push(LyingNode::start(anvil.url()).await?);
        }
        let server = ground.server_url.as_deref();
        let template = Template::make(&ground.programs, ground.engine, server).await?;
        let site = template.copy().await?;
        let host = Host::start(&ground.programs, site).await?;
        let mut scene = Self {
            anvil,
            nodes,
            host,
            wallets: Vec::new(),
            network: String::new(),
            second: String::new(),
            payer,
            base: 0,
            template,
            calls: 0,
        };
        scene.base = scene.anvil.height().await?;
        scene.make_wallets(ground.wallets).await?;
        scene.add_network(ground.finality).await?;
        let native = "slip44:60".to_owned();
        scene.add_asset(&native, "ETH", 18).await?;
        let token = format!("erc20:{}", scene.payer.token.address);
        scene.add_asset(&token, "USDX", 6).await?;
        Ok(scene)
    }

    async fn make_wallets(&mut self, count: u32) -> Result<()> {
        let input = Input::clean(count);
        let api = self.host.alive().await?;
        let batch = api.upload(input.csv, "evm", "wallets").await?;
        let id = batch["id"].as_str().context("a batch has an id")?;
        let path = format!("/v1/batches/{id}");
        self.host
            .wait(&path, PATIENCE, |batch| batch["state"] == "completed")
            .await?;
        let results = self.host.alive().await?.results(id).await?;
        let mut reader = csv::Reader::from_reader(results.as_slice());
        let header = reader.headers()?.clone();
        let column = |name: &str| header.iter().position(|column| column == name);
        let (id, evm) = (column("wallet_id"), column("evm"));
        let (id, evm) = (id.context("wallet_id")?, evm.context("evm")?);
        for record in reader.records() {
            let record = record?;
            self.wallets.push(Wallet {
                id: record[id].to_owned(),
                address: record[evm].to_owned(),
            });
        }
        ensure!(self.wallets.len() == count as usize, "wallets are missing");
        let addresses = self.wallets.iter().map(|wallet| wallet.address.clone());
        self.payer.wallets = addresses.collect();
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
            "chain": "eip155:31337",
            "name": "anvil",
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
        let name = format!("eip155:31337/{name}");
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
        let head = self.anvil.head().await?;
        let hash = head["hash"].clone();
        let path = self.network.clone();
        self.host
            .wait(&path, PATIENCE, |network| {
                network["progress"]["hash"] == hash
            })
            .await
    }

    /// Blocks until the last deposit has its confirmations; then everything stops, and the checker judges.
    pub(super) async fn judged(&mut self) -> Result<chain_checker::Report> {
        for node in &self.nodes {
            node.be_honest();
        }
        self.anvil.mine(CONFIRMATIONS + 1).await?;
        self.caught_up().await?;
        self.host.stop().await?;
        chain_checker::check(&self.checking()).await
    }

    pub(super) fn checking(&self) -> chain_checker::Options {
        chain_checker::Options {
            database_url: self.host.site.database_url.clone(),
            nodes: vec![self.anvil.url().to_owned()],
            at_head: true,
            ..chain_checker::Options::default()
        }
    }

    pub(super) async fn done(self) {
        let Host { site, .. } = self.host;
        self.template.discard(site).await;
    }
}
