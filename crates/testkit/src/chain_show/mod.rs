//! What `cargo xtask demo deposits` shows: money coming in on two chains, blocks being taken back, and the ledger
//! following, live in a terminal.
//!
//! [`prepare`] puts a token on each chain, before anybody watches. [`run`] then makes the chains live: a block
//! each beat, deposits of all three sorts in it, now and then a reorganization; and asks the server, over its
//! public API alone, what it has made of that. At the end everything has its confirmations, and the independent
//! checker compares.
//!
//! Nodes and server are somebody else's: they are found at their URLs, and live on.

mod ask;
mod screen;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::json;

use crate::anvil::Anvil;
use crate::chain_checker::{self, Report};
use crate::chain_proof::driver::{Driver, Payer};
use crate::crash::Chance;
use crate::serving::Api;
use ask::Answers;
use screen::Screen;

/// Between two blocks of a chain.
const BEAT: Duration = Duration::from_millis(400);
/// A reorganization every so many beats, alternating between the chains.
const REORG_EVERY: u32 = 8;
const DEPTH: u64 = 7;
/// For the server to come to where the chains are, at the end.
const PATIENCE: Duration = Duration::from_secs(120);

#[derive(Debug, Clone)]
pub struct Options {
    pub server_url: String,
    pub token: String,
    pub node_urls: Vec<String>,
    pub database_url: String,
    /// One EVM address per line.
    pub addresses: std::path::PathBuf,
    pub beats: u32,
    /// Blocks after which all deposits are final.
    pub settle: u64,
    pub seed: u64,
}

/// One chain, and what is done to it.
struct Side {
    name: String,
    anvil: Anvil,
    payer: Payer,
    driver: Driver,
    reorgs: u32,
}

/// Puts the contracts of the demo on a chain; answers what [`run`] has to be told again.
///
/// # Errors
/// When the node does not do it.
pub async fn prepare(node_url: &str) -> Result<serde_json::Value> {
    let anvil = Anvil::attach(node_url).await?;
    anvil
        .rpc()
        .call("evm_setAutomine", json!([false]))
        .await
        .context("the node makes blocks by itself")?;
    let payer = Payer::set_up(&anvil).await?;
    Ok(json!({
        "token": payer.token.address,
        "sender": payer.sender.address,
        "height": anvil.height().await?,
    }))
}

/// Plays the demo; `contracts` are what [`prepare`] answered, in the order of the nodes.
///
/// # Errors
/// When node or server fail, or the server does not come to where the chains are.
pub async fn run(options: &Options, contracts: &[serde_json::Value]) -> Result<Report> {
    let wallets = addresses(&options.addresses)?;
    let mut sides = Vec::new();
    for (url, contracts) in options.node_urls.iter().zip(contracts) {
        sides.push(Side::at(url, contracts, &wallets).await?);
    }
    let api = Api::new(&options.server_url, &options.token)?;
    let mut chance = Chance::new(options.seed);
    let mut screen = Screen::new(wallets.len());
    let mut answers = Answers::default();
    for beat in 1..=options.beats {
        let started = Instant::now();
        for (number, side) in sides.iter_mut().enumerate() {
            let is_due = beat % REORG_EVERY == (number as u32 * REORG_EVERY / 2) % REORG_EVERY;
            side.beat(&mut chance, is_due && beat > 4, &mut screen)
                .await?;
        }
        show(&mut screen, &sides, (&api, &mut answers)).await?;
        // Paced: a block each beat, as chains make them.
        tokio::time::sleep(BEAT.saturating_sub(started.elapsed())).await;
    }
    screen.say("no more deposits; blocks until the last one is final");
    settle(options, &sides, &mut screen, (&api, &mut answers)).await?;
    screen.close();
    let checking = chain_checker::Options {
        database_url: options.database_url.clone(),
        nodes: options.node_urls.clone(),
        at_head: true,
        ..chain_checker::Options::default()
    };
    chain_checker::check(&checking).await
}

async fn show(
    screen: &mut Screen,
    sides: &[Side],
    (api, answers): (&Api, &mut Answers),
) -> Result<()> {
    answers.refresh(api).await?;
    for side in sides {
        let head = side.anvil.height().await?;
        answers.node(&side.name, head, side.reorgs);
    }
    screen.draw(answers);
    Ok(())
}

/// Blocks until everything has its confirmations, and the server until it has seen them.
async fn settle(
    options: &Options,
    sides: &[Side],
    screen: &mut Screen,
    (api, answers): (&Api, &mut Answers),
) -> Result<()> {
    for side in sides {
        side.anvil.mine(options.settle).await?;
    }
    let deadline = Instant::now() + PATIENCE;
    loop {
        show(screen, sides, (api, answers)).await?;
        let mut level = true;
        for side in sides {
            let head = side.anvil.head().await?;
            level &= answers.is_level(&side.name, &head["hash"]);
        }
        if level && answers.is_reconciled() {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!(
                "the server is not where the chains are after {} s",
                PATIENCE.as_secs()
            );
        }
        // Paced: another program gives no other sign than its answers.
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn addresses(path: &Path) -> Result<Vec<String>> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    if lines.is_empty() {
        bail!("there are no addresses in {}", path.display());
    }
    Ok(lines)
}

impl Side {
    async fn at(url: &str, contracts: &serde_json::Value, wallets: &[String]) -> Result<Self> {
        let anvil = Anvil::attach(url).await?;
        let id = anvil.rpc().call("eth_chainId", json!([])).await?;
        let id = crate::anvil::number(&id)?;
        let address = |name: &str| {
            contracts[name]
                .as_str()
                .map(str::to_owned)
                .context("an address")
        };
        Ok(Self {
            name: format!("eip155:{id}"),
            payer: Payer::at(&address("token")?, &address("sender")?, wallets)?,
            anvil,
            driver: Driver::default(),
            reorgs: 0,
        })
    }

    async fn beat(&mut self, chance: &mut Chance, reorg: bool, screen: &mut Screen) -> Result<()> {
        self.driver.send_again(&self.anvil, chance).await?;
        for account in 0..chance.between(1, 6) as usize {
            let how = (&mut *chance, account + 1);
            self.driver.send(&self.anvil, &self.payer, how).await?;
        }
        self.anvil.mine(1).await?;
        if reorg {
            let depth = chance.between(1, DEPTH + 1);
            let before = self.driver.fates;
            self.driver
                .reorg(&self.anvil, &self.payer, (chance, depth), Vec::new())
                .await?;
            let after = self.driver.fates;
            self.reorgs += 1;
            screen.say(&format!(
                "{}: the last {depth} blocks were exchanged; {} transactions dropped, {} elsewhere, {} replaced",
                self.name,
                after.dropped - before.dropped,
                after.moved - before.moved,
                after.replaced - before.replaced
            ));
        }
        Ok(())
    }
}
