//! What `cargo xtask demo deposits` shows: money coming in on EVM chains and on Bitcoin, blocks being taken back, and
//! the ledger following, live in a terminal.
//!
//! [`prepare`] puts a token on each EVM chain, before anybody watches. [`run`] then makes the chains live: a block
//! each beat, deposits of all sorts in it, now and then a reorganization; and asks the server, over its
//! public API alone, what it has made of that. At the end everything has its confirmations, the independent
//! checker compares.
//!
//! Nodes and server are somebody else's: they are found at their URLs, and live on.

mod ask;
mod bitcoin;
mod evm;
mod screen;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::json;

use crate::anvil::Anvil;
use crate::chain_checker::{self, Report};
use crate::chain_proof::driver::Payer;
use crate::crash::Chance;
use crate::serving::Api;
use ask::Answers;
use evm::Evm;
use screen::Screen;

use self::bitcoin::Bitcoin;
pub use self::bitcoin::reward_address;

/// Between two blocks of a chain.
const BEAT: Duration = Duration::from_millis(400);
/// A reorganization on each chain every so many beats, on one after the other.
const REORG_EVERY: u32 = 8;
/// For the server to come to where the chains are, at the end.
const PATIENCE: Duration = Duration::from_secs(120);

#[derive(Debug, Clone)]
pub struct Options {
    pub server_url: String,
    pub token: String,
    pub node_urls: Vec<String>,
    pub database_url: String,
    /// One EVM address per line.
    pub addresses: PathBuf,
    pub bitcoin: Option<BitcoinOptions>,
    pub beats: u32,
    /// Blocks after which all deposits are final.
    pub settle: u64,
    pub seed: u64,
}

/// A regtest node with a wallet that can pay.
#[derive(Debug, Clone)]
pub struct BitcoinOptions {
    pub node_url: String,
    /// A file with `user:password`.
    pub login: PathBuf,
    /// One address per line, of any of its kinds.
    pub addresses: PathBuf,
}

/// One chain, and what is done to it.
enum Side {
    Evm(Box<Evm>),
    Bitcoin(Bitcoin),
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
        let side = Evm::at(url, contracts, &wallets).await?;
        sides.push(Side::Evm(Box::new(side)));
    }
    if let Some(bitcoin) = &options.bitcoin {
        let side = Bitcoin::at(bitcoin, addresses(&bitcoin.addresses)?).await?;
        sides.push(Side::Bitcoin(side));
    }
    let api = Api::new(&options.server_url, &options.token)?;
    let mut screen = Screen::new(wallets.len());
    let mut answers = Answers::default();
    live(options, &mut sides, (&mut screen, &api, &mut answers)).await?;
    screen.say("no more deposits; blocks until the last one is final");
    settle(options, &sides, &mut screen, (&api, &mut answers)).await?;
    screen.close();
    let bitcoin = options.bitcoin.iter();
    let bitcoin = bitcoin.map(|node| format!("{}#{}", node.node_url, node.login.display()));
    let checking = chain_checker::Options {
        database_url: options.database_url.clone(),
        nodes: options.node_urls.iter().cloned().chain(bitcoin).collect(),
        at_head: true,
        ..chain_checker::Options::default()
    };
    chain_checker::check(&checking).await
}

/// A block on each chain at each beat, and reorganizations in their turn.
async fn live(
    options: &Options,
    sides: &mut [Side],
    (screen, api, answers): (&mut Screen, &Api, &mut Answers),
) -> Result<()> {
    let mut chance = Chance::new(options.seed);
    let count = u32::try_from(sides.len()).context("so many chains")?;
    for beat in 1..=options.beats {
        let started = Instant::now();
        for (number, side) in sides.iter_mut().enumerate() {
            let turn = number as u32 * REORG_EVERY / count;
            let is_due = beat % REORG_EVERY == turn && beat > 4;
            side.beat(&mut chance, is_due, screen).await?;
        }
        show(screen, sides, (api, answers)).await?;
        // Paced: a block each beat, as chains make them.
        tokio::time::sleep(BEAT.saturating_sub(started.elapsed())).await;
    }
    Ok(())
}

async fn show(
    screen: &mut Screen,
    sides: &[Side],
    (api, answers): (&Api, &mut Answers),
) -> Result<()> {
    answers.refresh(api).await?;
    for side in sides {
        let head = side.height().await?;
        answers.node(side.name(), head, side.reorgs());
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
        side.mine(options.settle).await?;
    }
    let deadline = Instant::now() + PATIENCE;
    loop {
        show(screen, sides, (api, answers)).await?;
        let mut level = true;
        for side in sides {
            level &= answers.is_level(side.name(), &side.head_hash().await?);
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
    fn name(&self) -> &str {
        match self {
            Self::Evm(side) => side.name(),
            Self::Bitcoin(side) => side.name(),
        }
    }

    fn reorgs(&self) -> u32 {
        match self {
            Self::Evm(side) => side.reorgs(),
            Self::Bitcoin(side) => side.reorgs(),
        }
    }

    async fn height(&self) -> Result<u64> {
        match self {
            Self::Evm(side) => side.height().await,
            Self::Bitcoin(side) => side.height().await,
        }
    }

    /// As the server's API writes it.
    async fn head_hash(&self) -> Result<String> {
        match self {
            Self::Evm(side) => side.head_hash().await,
            Self::Bitcoin(side) => side.head_hash().await,
        }
    }

    async fn mine(&self, blocks: u64) -> Result<()> {
        match self {
            Self::Evm(side) => side.mine(blocks).await,
            Self::Bitcoin(side) => side.mine(blocks).await,
        }
    }

    async fn beat(&mut self, chance: &mut Chance, reorg: bool, screen: &mut Screen) -> Result<()> {
        match self {
            Self::Evm(side) => side.beat(chance, reorg, screen).await,
            Self::Bitcoin(side) => side.beat(chance, reorg, screen).await,
        }
    }
}
