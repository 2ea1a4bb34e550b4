//! The proofs about chains as commands: `node`, `bitcoin-node`, `check-chain`, `reorgs`, `lies`; and the demo of deposits.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use coffer_testkit::anvil::{self, Anvil};
use coffer_testkit::bitcoind::{self, Bitcoind};
use coffer_testkit::chain_checker;
use coffer_testkit::chain_proof::reorgs::FINALITY;
use coffer_testkit::chain_proof::{Family, Ground, lies, reorgs};
use coffer_testkit::chain_show;

use super::{Engines, engines, environment, programs};

#[derive(clap::Args)]
pub(super) struct NodeArgs {
    #[arg(long, default_value_t = 31337)]
    chain_id: u64,
    /// On the loopback; any that is free for 0.
    #[arg(long, default_value_t = 0)]
    port: u16,
}

pub(super) async fn node(args: NodeArgs) -> Result<()> {
    let options = anvil::Options {
        chain_id: args.chain_id,
        port: args.port,
        ..anvil::Options::default()
    };
    let anvil = Anvil::start(&options).await?;
    println!("Listening on {}", anvil.url());
    std::future::pending::<()>().await;
    drop(anvil);
    Ok(())
}

#[derive(clap::Args)]
pub(super) struct BitcoinNodeArgs {
    /// On the loopback; any that is free for 0.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Rewards that its wallet can spend.
    #[arg(long, default_value_t = 20)]
    rewards: u64,
    /// Where `user:password` is written to, once the node can be used.
    #[arg(long, value_name = "FILE")]
    login: PathBuf,
}

pub(super) async fn bitcoin_node(args: BitcoinNodeArgs) -> Result<()> {
    let options = bitcoind::Options {
        rpc_port: args.port,
        ..bitcoind::Options::default()
    };
    let node = Bitcoind::start(&options).await?;
    node.mine(args.rewards).await?;
    // Until they may be spent; no reward of these blocks is the wallet's.
    node.mine_to(100, &chain_show::reward_address(0)).await?;
    write_login(&args.login, node.credentials())?;
    println!("Listening on {}", node.url());
    std::future::pending::<()>().await;
    drop(node);
    Ok(())
}

/// Whole from its first moment on, since somebody waits for it; for its owner's eyes.
fn write_login(path: &Path, login: &str) -> Result<()> {
    let begun = path.with_extension("begun");
    let mut file = std::fs::OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(&begun)
        .with_context(|| format!("cannot write {}", begun.display()))?;
    writeln!(file, "{login}")?;
    std::fs::rename(&begun, path)?;
    Ok(())
}

#[derive(clap::Args)]
pub(super) struct CheckArgs {
    /// `sqlite:PATH` or `postgres://…`; nothing may be writing to it.
    #[arg(long, value_name = "URL")]
    database_url: String,
    /// A node that tells the truth; one for each network. A login stands in the URL, or in the file that its
    /// fragment names: `http://127.0.0.1:18443#/folder/.cookie`.
    #[arg(long = "node", value_name = "URL")]
    nodes: Vec<String>,
    /// The first height that must be covered [default: the network's start height]
    #[arg(long, value_name = "HEIGHT")]
    from: Option<u64>,
    /// The tip must be the node's head.
    #[arg(long)]
    at_head: bool,
    /// Let ledger and chain differ in assets whose breaker has tripped.
    #[arg(long)]
    tripped_may_differ: bool,
}

pub(super) async fn check(args: CheckArgs) -> Result<()> {
    let options = chain_checker::Options {
        database_url: args.database_url,
        nodes: args.nodes,
        from: args.from,
        at_head: args.at_head,
        tripped_may_differ: args.tripped_may_differ,
    };
    let report = chain_checker::check(&options).await?;
    println!("{report}");
    if !report.is_good() {
        bail!("the ledger is not the chain");
    }
    Ok(())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Families {
    Evm,
    Bitcoin,
}

#[derive(clap::Args)]
pub(super) struct GroundArgs {
    /// The family of chains to prove it on.
    #[arg(long, value_enum, default_value_t = Families::Evm)]
    chain: Families,
    /// [default: sqlite, and postgres where a server is named]
    #[arg(long)]
    engine: Option<Engines>,
    /// A PostgreSQL server to make databases on [default: COFFER_TEST_POSTGRES_URL].
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
    #[arg(long, default_value_t = 50)]
    wallets: u32,
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

impl GroundArgs {
    fn grounds(self, bin_dir: Option<PathBuf>) -> Result<Vec<Ground>> {
        let server_url = self
            .database_url
            .or_else(|| environment("COFFER_TEST_POSTGRES_URL"));
        let programs = programs(bin_dir)?;
        let engines = engines(self.engine, server_url.is_some())?;
        let family = match self.chain {
            Families::Evm => Family::Evm,
            Families::Bitcoin => Family::Bitcoin,
        };
        let ground = |engine| Ground {
            family,
            programs: programs.clone(),
            engine,
            server_url: server_url.clone(),
            wallets: self.wallets,
            finality: FINALITY,
        };
        Ok(engines.into_iter().map(ground).collect())
    }
}

#[derive(clap::Args)]
pub(super) struct ReorgArgs {
    #[arg(long, default_value_t = 300)]
    rounds: u32,
    /// Each such round goes deeper than finality, and freezes the network.
    #[arg(long, default_value_t = 50)]
    deep_every: u32,
    #[command(flatten)]
    ground: GroundArgs,
}

/// Rounds on one chain. Beyond some hundreds of blocks anvil keeps older states on disk, and a deep reorganization
/// that goes back to one of them loses the contracts: the chain itself is then wrong.
const CHAPTER: u32 = 100;

pub(super) async fn reorgs(bin_dir: Option<PathBuf>, args: ReorgArgs) -> Result<()> {
    let mut bad = 0;
    let first_seed = args.ground.seed;
    let chapters = args.rounds.div_ceil(CHAPTER);
    for ground in args.ground.grounds(bin_dir)? {
        for chapter in 0..chapters {
            let seed = first_seed + u64::from(chapter);
            let rounds = CHAPTER.min(args.rounds - chapter * CHAPTER);
            println!(
                "{rounds} rounds of {:?} on {:?}, seed {seed}",
                ground.family, ground.engine
            );
            let options = reorgs::Options {
                ground: ground.clone(),
                rounds,
                deep_every: args.deep_every,
                seed,
            };
            let tell = |round: u32, tally: &reorgs::Tally| {
                if round.is_multiple_of(25) {
                    println!("round {round}: {}", tally.fates);
                }
            };
            let tally = reorgs::run(&options, &tell).await?;
            println!("{tally}");
            bad += tally.report.problems.len();
        }
    }
    if bad > 0 {
        bail!("{bad} differences between ledger and chain");
    }
    Ok(())
}

#[derive(clap::Args)]
pub(super) struct LiesArgs {
    /// Lies that must have been told.
    #[arg(long, default_value_t = 2000)]
    count: u64,
    #[command(flatten)]
    ground: GroundArgs,
}

pub(super) async fn lies(bin_dir: Option<PathBuf>, args: LiesArgs) -> Result<()> {
    let (seed, mut bad) = (args.ground.seed, 0);
    for ground in args.ground.grounds(bin_dir)? {
        println!(
            "{} lies of {:?} on {:?}, seed {seed}",
            args.count, ground.family, ground.engine
        );
        let options = lies::Options {
            ground,
            count: args.count,
            seed,
        };
        let tell = |tally: &lies::Tally| {
            if tally.rounds.is_multiple_of(32) {
                println!(
                    "round {}: {} lies told, {} deposits sent",
                    tally.rounds,
                    tally.lies(),
                    tally.sent
                );
            }
        };
        let tally = lies::run(&options, &tell).await?;
        println!("{tally}");
        bad += tally.report.problems.len();
    }
    if bad > 0 {
        bail!("{bad} differences between ledger and chain");
    }
    Ok(())
}

#[derive(clap::Args)]
pub(super) struct PrepareArgs {
    /// As often as there are chains.
    #[arg(long = "node", value_name = "URL")]
    nodes: Vec<String>,
}

/// Prints what [`show`] has to be told by `--contracts`: a JSON list.
pub(super) async fn prepare(args: PrepareArgs) -> Result<()> {
    let mut contracts = Vec::new();
    for url in &args.nodes {
        contracts.push(chain_show::prepare(url).await?);
    }
    println!("{}", serde_json::Value::from(contracts));
    Ok(())
}

#[derive(clap::Args)]
pub(super) struct ShowArgs {
    #[arg(long, value_name = "URL")]
    server: String,
    #[arg(long = "node", value_name = "URL")]
    nodes: Vec<String>,
    #[arg(long, value_name = "URL")]
    database_url: String,
    /// A file with one EVM address per line.
    #[arg(long, value_name = "FILE")]
    addresses: PathBuf,
    /// A regtest node that has coins.
    #[arg(long, value_name = "URL", requires_all = ["bitcoin_login", "bitcoin_addresses"])]
    bitcoin_node: Option<String>,
    /// A file with its `user:password`.
    #[arg(long, value_name = "FILE")]
    bitcoin_login: Option<PathBuf>,
    /// A file with one Bitcoin address per line.
    #[arg(long, value_name = "FILE")]
    bitcoin_addresses: Option<PathBuf>,
    /// What `show-prepare` printed.
    #[arg(long, value_name = "JSON")]
    contracts: String,
    /// Blocks on each chain.
    #[arg(long, default_value_t = 80)]
    beats: u32,
    /// Blocks at the end, until every deposit is final.
    #[arg(long, default_value_t = 16)]
    settle: u64,
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// The API key comes by `COFFER_API_KEY`.
pub(super) async fn show(args: ShowArgs) -> Result<()> {
    let contracts: Vec<serde_json::Value> =
        serde_json::from_str(&args.contracts).context("--contracts is a JSON list")?;
    let bitcoin = match (
        args.bitcoin_node,
        args.bitcoin_login,
        args.bitcoin_addresses,
    ) {
        (Some(node_url), Some(login), Some(addresses)) => Some(chain_show::BitcoinOptions {
            node_url,
            login,
            addresses,
        }),
        _ => None,
    };
    let options = chain_show::Options {
        server_url: args.server,
        token: environment("COFFER_API_KEY").context("COFFER_API_KEY is not set")?,
        node_urls: args.nodes,
        database_url: args.database_url,
        addresses: args.addresses,
        bitcoin,
        beats: args.beats,
        settle: args.settle,
        seed: args.seed,
    };
    let report = chain_show::run(&options, &contracts).await?;
    println!("\n{report}");
    if !report.is_good() {
        bail!("the ledger is not the chain");
    }
    Ok(())
}
