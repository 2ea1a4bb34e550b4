//! `cargo xtask bench` and `cargo xtask crash`: build, then hand over to `coffer-testkit`.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::postgres::Cluster;
use crate::test::Engine;
use crate::{process, test};

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
        /// More for `coffer-testkit bench-batch`, after `--`
        #[arg(last = true)]
        more: Vec<String>,
    },
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
}

#[derive(Debug, clap::Args)]
pub(crate) struct CrashOptions {
    /// The databases to crash on
    #[arg(long, value_enum, default_value_t = Engine::All)]
    engine: Engine,
    /// For `coffer-testkit crash`, after `--`
    #[arg(last = true)]
    more: Vec<String>,
}

pub(crate) fn bench(root: &Path, options: &BenchOptions) -> Result<()> {
    let packages = [
        "-p",
        "coffer",
        "-p",
        "coffer-signer",
        "-p",
        "coffer-testkit",
    ];
    eprintln!(
        "A release build: some minutes the first time, since every dependency is compiled for it."
    );
    process::run(
        Command::new("cargo")
            .args(["build", "--release", "--bins"])
            .args(packages)
            .current_dir(root),
    )?;
    let programs = test::target_folder(root)?.join("release");
    let mut command = Command::new(programs.join("coffer-testkit"));
    command
        .env("COFFER_TEST_BIN_DIR", &programs)
        .current_dir(root);
    match &options.job {
        Job::Batch {
            rows,
            chains,
            database_url,
            more,
        } => {
            let rows = rows.to_string();
            command.args(["bench-batch", "--rows", &rows, "--chains", chains]);
            if let Some(url) = database_url {
                command.args(["--database-url", url]);
            }
            process::run(command.args(more))
        }
        Job::Ledger {
            engine,
            transfers,
            more,
        } => {
            // Its fsync stays on: a commit that is not durable measures nothing.
            let cluster = (*engine != Engine::Sqlite)
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
    }
}

/// The runner learns of programs and engines by the same environment as a test.
pub(crate) fn crash(root: &Path, options: &CrashOptions) -> Result<()> {
    let programs = test::build_with_failpoints(root)?;
    let cluster = (options.engine != Engine::Sqlite)
        .then(|| Cluster::start(false))
        .transpose()?;
    let mut command = Command::new(programs.join("coffer-testkit"));
    command.arg("crash").args(&options.more).current_dir(root);
    command
        .env("COFFER_TEST_BIN_DIR", &programs)
        .env("COFFER_TEST_ENGINES", options.engine.names());
    if let Some(cluster) = &cluster {
        command.env("COFFER_TEST_POSTGRES_URL", &cluster.url);
    }
    process::run(&mut command).context("the crash runner found a difference, or could not run")
}
