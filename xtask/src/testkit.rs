//! `cargo xtask bench`, `crash`, `reorgs`, `lies` and `simulate`: build, then hand over to `coffer-testkit`.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::brokers::Brokers;
use crate::chain::Chain;
use crate::postgres::Cluster;
use crate::test::Engine;
use crate::{bitcoin, process, test};

#[derive(Debug, clap::Args)]
pub(crate) struct BenchOptions {
    #[command(subcommand)]
    job: Job,
}

#[derive(Debug, clap::Subcommand)]
enum Job {
    /// A batch, from the HTTP request to the last durable commit
    Batch {
        /// Rows of the file
        #[arg(long, default_value_t = 100_000)]
        rows: u64,
        /// Address kinds, parted by commas
        #[arg(long, default_value = "evm,tron,bitcoin,bitcoin-taproot,solana")]
        chains: String,
        /// A PostgreSQL to measure; SQLite when left out
        #[arg(long)]
        database_url: Option<String>,
        /// Instead of measuring: once undisturbed, once with SIGKILLs in its middle, results compared
        #[arg(long)]
        kill: bool,
        /// More for `coffer-testkit bench-batch`, after `--`
        #[arg(last = true)]
        more: Vec<String>,
    },
    /// Addresses from an extended public key on one core, beside the `bitcoin` crate
    Derive {
        #[arg(long, default_value_t = 50_000)]
        keys: u32,
    },
    /// Solana keys in the signer's own code, beside `ed25519-dalek` one by one
    Solana,
    /// Transfers posted to the ledger, beside bare inserts of the same rows
    Ledger {
        /// The databases to measure
        #[arg(long, value_enum, default_value_t = Engine::All)]
        engine: Engine,
        #[arg(long, default_value_t = 200_000)]
        transfers: u64,
        /// More for `coffer-testkit bench-ledger`, after `--`
        #[arg(last = true)]
        more: Vec<String>,
    },
    /// Single calls over HTTP: a wallet from the pool, an address, beside a server that does nothing
    Api {
        /// Wallets a second of the steady part
        #[arg(long, default_value_t = 500)]
        rate: u32,
        /// A PostgreSQL to measure; SQLite when left out
        #[arg(long)]
        database_url: Option<String>,
        /// More for `coffer-testkit bench-api`, after `--`
        #[arg(last = true)]
        more: Vec<String>,
    },
    /// Events published to a real RabbitMQ and a broker of Kafka's protocol, beside their bare clients
    Brokers {
        #[arg(long, default_value_t = 20_000)]
        events: u32,
    },
    /// A backlog of events drained to NATS by a server, with its memory, beside the bare client
    Relay {
        #[arg(long, default_value_t = 200_000)]
        events: u32,
        /// More for `coffer-testkit bench-relay`, after `--`
        #[arg(last = true)]
        more: Vec<String>,
    },
    /// Events delivered to a receiver on this host, beside a bare HTTP client with the same bodies
    Webhooks {
        /// A million to see that memory stays flat
        #[arg(long, default_value_t = 100_000)]
        events: u32,
        /// A PostgreSQL to measure; SQLite when left out
        #[arg(long)]
        database_url: Option<String>,
        /// More for `coffer-testkit bench-webhooks`, after `--`
        #[arg(last = true)]
        more: Vec<String>,
    },
    /// Bitcoin blocks scanned for watched scripts, beside the node that hands them out
    Bitcoin {
        #[arg(long, default_value_t = 10_000)]
        blocks: u32,
        /// Watched scripts
        #[arg(long, default_value_t = 10_000_000)]
        addresses: u32,
        /// More for `coffer-testkit bench-bitcoin`, after `--`
        #[arg(last = true)]
        more: Vec<String>,
    },
    /// The set of watched addresses, beside a `HashSet`
    Watched {
        #[arg(long, default_value_t = 10_000_000)]
        addresses: u32,
        /// More for `coffer-testkit bench-watched`, after `--`
        #[arg(last = true)]
        more: Vec<String>,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct RunnerOptions {
    /// The databases to run on
    #[arg(long, value_enum, default_value_t = Engine::All)]
    engine: Engine,
    /// For `coffer-testkit`, after `--`: rows, rounds, a seed
    #[arg(last = true)]
    more: Vec<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct SimulateOptions {
    /// One life; exits with its failure if it has one
    #[arg(long, conflicts_with_all = ["seeds", "count"])]
    seed: Option<u64>,
    /// Tell the story of that one life, and judge after every commit
    #[arg(long, requires = "seed")]
    trace: bool,
    /// A range of seeds, such as 0..500
    #[arg(long, value_name = "A..B", conflicts_with = "count")]
    seeds: Option<String>,
    /// Lives on chains of this family only, evm or bitcoin; seeds take turns without it
    #[arg(long)]
    family: Option<String>,
    /// So many seeds from 0 [default: 10000]
    #[arg(long)]
    count: Option<u64>,
}

/// In the development profile, as the tests run it: the simulator and the cores need no other.
pub(crate) fn simulate(root: &Path, options: &SimulateOptions) -> Result<()> {
    let build = ["build", "-p", "coffer-testkit", "--bin", "coffer-testkit"];
    process::run(Command::new("cargo").args(build).current_dir(root))?;
    let mut command = Command::new(
        test::target_folder(root)?
            .join("debug")
            .join("coffer-testkit"),
    );
    command.arg("simulate").current_dir(root);
    if let Some(seed) = options.seed {
        command.args(["--seed", &seed.to_string()]);
    }
    if options.trace {
        command.arg("--trace");
    }
    if let Some(family) = &options.family {
        command.args(["--family", family]);
    }
    if let Some(seeds) = &options.seeds {
        command.args(["--seeds", seeds]);
    }
    if let Some(count) = options.count {
        command.args(["--count", &count.to_string()]);
    }
    process::run(&mut command)
}

pub(crate) fn bench(root: &Path, options: &BenchOptions) -> Result<()> {
    // What needs no installation is an example of its room.
    let mut command = match &options.job {
        Job::Derive { .. } | Job::Solana | Job::Brokers { .. } => Command::new("cargo"),
        _ => released_testkit(root)?,
    };
    command.current_dir(root);
    let example = ["run", "--release", "-q", "--example"];
    match &options.job {
        Job::Derive { keys } => {
            let of = ["rate", "-p", "coffer-derive", "--"];
            process::run(command.args(example).args(of).arg(keys.to_string()))
        }
        Job::Solana => process::run(command.args(example).args(["solana", "-p", "coffer-keys"])),
        Job::Brokers { events } => bench_brokers(root, *events),
        Job::Batch {
            rows,
            chains,
            database_url,
            kill,
            more,
        } => {
            let rows = rows.to_string();
            command.args(["bench-batch", "--rows", &rows, "--chains", chains]);
            on_database(&mut command, database_url.as_ref());
            if *kill {
                command.arg("--kill");
            }
            process::run(command.args(more))
        }
        Job::Ledger {
            engine,
            transfers,
            more,
        } => bench_ledger(&mut command, *engine, *transfers, more),
        Job::Api {
            rate,
            database_url,
            more,
        } => {
            command.args(["bench-api", "--rate", &rate.to_string()]);
            process::run(on_database(&mut command, database_url.as_ref()).args(more))
        }
        Job::Relay { events, more } => {
            command.args(["bench-relay", "--events", &events.to_string()]);
            process::run(Brokers::prepare(root)?.tell(&mut command).args(more))
        }
        Job::Webhooks {
            events,
            database_url,
            more,
        } => {
            command.args(["bench-webhooks", "--events", &events.to_string()]);
            process::run(on_database(&mut command, database_url.as_ref()).args(more))
        }
        Job::Bitcoin {
            blocks,
            addresses,
            more,
        } => {
            let node = bitcoin::node(&test::target_folder(root)?)?;
            command
                .args(["bench-bitcoin", "--blocks", &blocks.to_string()])
                .args(["--addresses", &addresses.to_string()])
                .env("COFFER_TEST_BITCOIND", node);
            process::run(command.args(more))
        }
        Job::Watched { addresses, more } => {
            command.args(["bench-watched", "--addresses", &addresses.to_string()]);
            process::run(command.args(more))
        }
    }
}

fn bench_brokers(root: &Path, events: u32) -> Result<()> {
    let brokers = Brokers::prepare(root)?;
    for broker in ["rabbitmq", "kafka"] {
        let mut cargo = Command::new("cargo");
        cargo
            .current_dir(root)
            .args(["run", "--release", "-q", "--example", "publish_rate"])
            .args(["-p", "coffer-brokers", "--features", "kafka", "--"])
            .args([broker, &events.to_string()]);
        process::run(brokers.tell(&mut cargo))?;
    }
    Ok(())
}

fn bench_ledger(
    command: &mut Command,
    engine: Engine,
    transfers: u64,
    more: &[String],
) -> Result<()> {
    // Its fsync stays on: a commit that is not durable measures nothing.
    let cluster = (engine != Engine::Sqlite)
        .then(|| Cluster::start(true))
        .transpose()?;
    if let Some(cluster) = &cluster {
        command.env("COFFER_TEST_POSTGRES_URL", &cluster.url);
    }
    command
        .args(["bench-ledger", "--transfers", &transfers.to_string()])
        .env("COFFER_TEST_ENGINES", engine.names());
    process::run(command.args(more))
}

/// Arguments for a job that may run on a PostgreSQL.
fn on_database<'a>(command: &'a mut Command, url: Option<&String>) -> &'a mut Command {
    if let Some(url) = url {
        command.args(["--database-url", url]);
    }
    command
}

/// `coffer-testkit` beside the programs that it measures, all built for release.
fn released_testkit(root: &Path) -> Result<Command> {
    eprintln!(
        "A release build: some minutes the first time, since every dependency is compiled for it."
    );
    process::run(
        Command::new("cargo")
            .args(["build", "--release", "--bins"])
            .args(test::PROGRAMS)
            .current_dir(root),
    )?;
    let programs = test::target_folder(root)?.join("release");
    let mut command = Command::new(programs.join("coffer-testkit"));
    command.env("COFFER_TEST_BIN_DIR", &programs);
    Ok(command)
}

/// A job of `coffer-testkit` that runs the programs under test on the engines asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Runner {
    Crash,
    Reorgs,
    Lies,
}

impl Runner {
    fn job(self) -> &'static str {
        match self {
            Self::Crash => "crash",
            Self::Reorgs => "reorgs",
            Self::Lies => "lies",
        }
    }
}

/// The runner learns of programs and engines by the same environment as a test.
pub(crate) fn run(root: &Path, runner: Runner, options: &RunnerOptions) -> Result<()> {
    let programs = test::build_with_failpoints(root)?;
    let chain = (runner != Runner::Crash)
        .then(|| Chain::prepare(root))
        .transpose()?;
    let cluster = (options.engine != Engine::Sqlite)
        .then(|| Cluster::start(false))
        .transpose()?;
    let mut command = Command::new(programs.join("coffer-testkit"));
    command
        .arg(runner.job())
        .args(&options.more)
        .current_dir(root);
    command
        .env("COFFER_TEST_BIN_DIR", &programs)
        .env("COFFER_TEST_ENGINES", options.engine.names());
    if let Some(chain) = &chain {
        chain.tell(&mut command);
    }
    if let Some(cluster) = &cluster {
        command.env("COFFER_TEST_POSTGRES_URL", &cluster.url);
    }
    process::run(&mut command).with_context(|| {
        let job = runner.job();
        format!("the runner of `{job}` found a difference, or could not run")
    })
}
