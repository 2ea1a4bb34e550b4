//! `coffer-testkit`: the crash runner and the benchmarks, as `cargo xtask crash` and `cargo xtask bench` start them,
//! and the lying node as a program.

mod chain_jobs;
mod simulate_job;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand, ValueEnum};
use coffer_testkit::crash::{self, Line};
use coffer_testkit::serving::Programs;
use coffer_testkit::{Engine, bench, lying_node};

#[derive(Parser)]
#[command(
    name = "coffer-testkit",
    version,
    about = "Crash runs, benchmarks and a lying node for the tests of Coffer."
)]
struct Cli {
    /// The folder of the programs under test [default: COFFER_TEST_BIN_DIR, else this program's own].
    #[arg(long, global = true, value_name = "DIR")]
    bin_dir: Option<PathBuf>,
    #[command(subcommand)]
    job: Job,
}

#[derive(Subcommand)]
enum Job {
    /// Kill the programs at every failpoint and at random moments; compare with an undisturbed run.
    Crash(CrashArgs),
    /// A batch, from the HTTP request to the last durable commit, beside two baselines.
    BenchBatch(BenchArgs),
    /// Live through seeded lives of a network over the pure cores, and judge after every commit.
    Simulate(simulate_job::Args),
    /// Transfers posted to the ledger, beside bare inserts of the same rows.
    BenchLedger(LedgerArgs),
    /// Single calls: a wallet from the pool, an address, beside a server that does nothing.
    BenchApi(ApiArgs),
    /// Events delivered to a receiver on this host, beside a bare HTTP client.
    BenchWebhooks(WebhookArgs),
    /// The set of watched addresses: memory, time per question, build rate, beside a `HashSet`.
    BenchWatched(WatchedArgs),
    /// A backlog of events drained to NATS, beside the bare client.
    BenchRelay(RelayArgs),
    /// Bitcoin blocks scanned for watched scripts, beside the node that hands them out.
    BenchBitcoin(BitcoinArgs),
    /// A proxy in front of an Ethereum node that lies as told; tells what it said when asked `told`.
    LyingNode(lying_node::Args),
    /// A real Ethereum node that makes blocks when it is told to; ends when this does.
    Node(chain_jobs::NodeArgs),
    /// A real Bitcoin node (regtest) with coins to send; ends when this does.
    BitcoinNode(chain_jobs::BitcoinNodeArgs),
    /// Prove, from a database and a node alone, that the ledger is what the chain is.
    CheckChain(chain_jobs::CheckArgs),
    /// Random reorganizations under a server that is killed again and again, on a real node.
    Reorgs(chain_jobs::ReorgArgs),
    /// One of three nodes lies in every way while deposits arrive; then two go down.
    Lies(chain_jobs::LiesArgs),
    /// Put the contracts of the demo on its chains.
    ShowPrepare(chain_jobs::PrepareArgs),
    /// Play the demo of deposits against a server, and show it live.
    Show(chain_jobs::ShowArgs),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Engines {
    Sqlite,
    Postgres,
    All,
}

#[derive(clap::Args)]
struct CrashArgs {
    #[arg(long, default_value_t = 20_000)]
    rows: u32,
    /// [default: sqlite, and postgres where a server is named]
    #[arg(long)]
    engine: Option<Engines>,
    /// A PostgreSQL server to make databases on [default: COFFER_TEST_POSTGRES_URL].
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
    #[arg(long, default_value_t = 30)]
    random_kills: u32,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// all, none, or names parted by commas.
    #[arg(long, default_value = "all", value_delimiter = ',')]
    failpoints: Vec<String>,
}

#[derive(clap::Args)]
struct LedgerArgs {
    /// [default: sqlite, and postgres where COFFER_TEST_POSTGRES_URL names a server]
    #[arg(long)]
    engine: Option<Engines>,
    #[arg(long, default_value_t = 200_000)]
    transfers: u32,
    /// Transfers of one commit.
    #[arg(long, default_value_t = 10_000)]
    batch: u32,
    /// Verify the whole ledger afterwards, too.
    #[arg(long)]
    verify: bool,
    /// Print the figures as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
struct RelayArgs {
    #[arg(long, default_value_t = 200_000)]
    events: u32,
    /// A PostgreSQL server to make a database on; SQLite without it.
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
    /// Print the figures as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
struct BenchArgs {
    #[arg(long, default_value_t = 100_000)]
    rows: u32,
    #[arg(long, default_value = crash::CHAINS)]
    chains: String,
    /// A PostgreSQL server to make a database on; SQLite without it.
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
    /// Only the batch itself.
    #[arg(long)]
    no_baselines: bool,
    /// External ids as random as UUIDs, instead of numbered ones.
    #[arg(long)]
    random_ids: bool,
    /// Instead of measuring: the batch once undisturbed and once with SIGKILLs in its middle, results compared.
    #[arg(long)]
    kill: bool,
    /// Print the figures as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
struct ApiArgs {
    /// Wallets a second of the steady part.
    #[arg(long, default_value_t = 500)]
    rate: u32,
    #[arg(long, default_value_t = 10)]
    seconds: u32,
    /// A PostgreSQL server to make a database on; SQLite without it.
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
    /// Print the figures as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
struct WebhookArgs {
    #[arg(long, default_value_t = 100_000)]
    events: u32,
    /// A PostgreSQL server to make a database on; SQLite without it.
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
    /// Print the figures as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
struct BitcoinArgs {
    #[arg(long, default_value_t = 10_000)]
    blocks: u32,
    /// Watched scripts
    #[arg(long, default_value_t = 10_000_000)]
    addresses: u32,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
struct WatchedArgs {
    #[arg(long, default_value_t = 10_000_000)]
    addresses: u32,
    /// Print the figures as JSON.
    #[arg(long)]
    json: bool,
}

/// What a benchmark measured, for programs or for people.
fn print_figures((json, text): (serde_json::Value, String), as_json: bool) {
    if as_json {
        println!("{json}");
    } else {
        print!("{text}");
    }
}

fn bench_watched(args: &WatchedArgs) -> Result<()> {
    print_figures(bench::watched(args.addresses)?, args.json);
    Ok(())
}

async fn bench_bitcoin(args: &BitcoinArgs) -> Result<()> {
    let options = bench::BitcoinOptions {
        blocks: args.blocks,
        addresses: args.addresses,
    };
    print_figures(bench::bitcoin(options).await?, args.json);
    Ok(())
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match cli.job {
        Job::Crash(args) => crash(cli.bin_dir, args).await,
        Job::BenchBatch(args) => bench_batch(cli.bin_dir, args).await,
        Job::Simulate(args) => simulate_job::run(&args),
        Job::BenchLedger(args) => bench_ledger(args).await,
        Job::BenchApi(args) => bench_api(cli.bin_dir, args).await,
        Job::BenchRelay(args) => bench_relay(cli.bin_dir, args).await,
        Job::BenchWebhooks(args) => bench_webhooks(cli.bin_dir, args).await,
        Job::BenchWatched(args) => bench_watched(&args),
        Job::BenchBitcoin(args) => bench_bitcoin(&args).await,
        Job::LyingNode(args) => lying_node::run(args).await,
        Job::Node(args) => chain_jobs::node(args).await,
        Job::BitcoinNode(args) => chain_jobs::bitcoin_node(args).await,
        Job::CheckChain(args) => chain_jobs::check(args).await,
        Job::Reorgs(args) => chain_jobs::reorgs(cli.bin_dir, args).await,
        Job::Lies(args) => chain_jobs::lies(cli.bin_dir, args).await,
        Job::ShowPrepare(args) => chain_jobs::prepare(args).await,
        Job::Show(args) => chain_jobs::show(args).await,
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the environment is read here, once"
)]
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn programs(bin_dir: Option<PathBuf>) -> Result<Programs> {
    let own = || {
        std::env::current_exe()
            .ok()
            .and_then(|program| program.parent().map(PathBuf::from))
    };
    let folder = bin_dir
        .or_else(|| environment("COFFER_TEST_BIN_DIR").map(PathBuf::from))
        .or_else(own);
    Programs::in_folder(&folder.context("name the programs' folder with --bin-dir")?)
}

fn named(names: &[String]) -> Result<Vec<&'static str>> {
    let all = coffer_failpoint::NAMES;
    match names {
        [one] if one == "all" => Ok(all.to_vec()),
        [one] if one == "none" => Ok(Vec::new()),
        names => names
            .iter()
            .map(|name| {
                all.iter()
                    .copied()
                    .find(|known| known == name)
                    .with_context(|| format!("there is no failpoint {name}"))
            })
            .collect(),
    }
}

async fn crash(bin_dir: Option<PathBuf>, args: CrashArgs) -> Result<()> {
    let server_url = args
        .database_url
        .or_else(|| environment("COFFER_TEST_POSTGRES_URL"));
    let engines = engines(args.engine, server_url.is_some())?;
    let mut options = crash::Options {
        programs: programs(bin_dir)?,
        engine: Engine::Sqlite,
        server_url,
        rows: args.rows,
        random_kills: args.random_kills,
        seed: args.seed,
        failpoints: named(&args.failpoints)?,
        one_passing_each: false,
        takeover: true,
    };
    println!(
        "{} rows; seed {}\n{}",
        args.rows,
        args.seed,
        Line::heading()
    );
    let mut lines = Vec::new();
    for engine in engines {
        options.engine = engine;
        lines.extend(crash::run(&options, &|line: &Line| println!("{}", line.text())).await?);
    }
    let bad = lines.iter().filter(|line| !line.is_good()).count();
    println!("{} runs, {bad} of them with a difference", lines.len());
    if bad > 0 {
        bail!("a crash left something behind");
    }
    Ok(())
}

/// Those asked for, else those that `COFFER_TEST_ENGINES` names, else those that are there.
fn engines(asked: Option<Engines>, with_server: bool) -> Result<Vec<Engine>> {
    let named = environment("COFFER_TEST_ENGINES").unwrap_or_default();
    let has = |name: &str| named.split(',').any(|engine| engine == name);
    let (sqlite, postgres) = match asked {
        Some(asked) => (asked != Engines::Postgres, asked != Engines::Sqlite),
        None if named.is_empty() => (true, with_server),
        None => (has("sqlite"), has("postgres")),
    };
    if postgres && !with_server {
        bail!("name a PostgreSQL server with --database-url");
    }
    let wanted = |engine: &Engine| match engine {
        Engine::Sqlite => sqlite,
        Engine::Postgres => postgres,
    };
    Ok(Engine::ALL.into_iter().filter(wanted).collect())
}

async fn bench_ledger(args: LedgerArgs) -> Result<()> {
    let with_server = environment("COFFER_TEST_POSTGRES_URL").is_some();
    for engine in engines(args.engine, with_server)? {
        let options = bench::LedgerOptions {
            engine,
            transfers: args.transfers,
            batch: args.batch,
            verify: args.verify,
        };
        let (json, text) = bench::ledger(&options).await?;
        print_figures((json, text + "\n"), args.json);
    }
    Ok(())
}

async fn bench_api(bin_dir: Option<PathBuf>, args: ApiArgs) -> Result<()> {
    let options = bench::ApiOptions {
        programs: programs(bin_dir)?,
        rate: args.rate,
        seconds: args.seconds,
        server_url: args.database_url,
    };
    print_figures(bench::api(&options).await?, args.json);
    Ok(())
}

async fn bench_relay(bin_dir: Option<PathBuf>, args: RelayArgs) -> Result<()> {
    let options = bench::RelayOptions {
        programs: programs(bin_dir)?,
        events: args.events,
        server_url: args.database_url,
    };
    print_figures(bench::relay(&options).await?, args.json);
    Ok(())
}

async fn bench_webhooks(bin_dir: Option<PathBuf>, args: WebhookArgs) -> Result<()> {
    let options = bench::WebhookOptions {
        programs: programs(bin_dir)?,
        events: args.events,
        server_url: args.database_url,
    };
    print_figures(bench::webhooks(&options).await?, args.json);
    Ok(())
}

async fn bench_batch(bin_dir: Option<PathBuf>, args: BenchArgs) -> Result<()> {
    let options = bench::Options {
        programs: programs(bin_dir)?,
        rows: args.rows,
        chains: args.chains,
        server_url: args.database_url,
        baselines: !args.no_baselines,
        ids: if args.random_ids {
            bench::Ids::Random
        } else {
            bench::Ids::InOrder
        },
    };
    let figures = if args.kill {
        bench::killed(&options).await?
    } else {
        bench::batch(&options).await?
    };
    print_figures(figures, args.json);
    Ok(())
}
