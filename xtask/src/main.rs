//! `cargo xtask`: everything a person or a CI machine does with this repository.
//!
//! `demo` shows the main job, `test` sets up and runs every test, `check` is what CI runs, `tidy`
//! enforces the house style, `bench`, `crash`, `reorgs` and `lies` hand over to `coffer-testkit`.
//!
//! It depends on nothing of the product and on a handful of small crates, so that it builds in
//! seconds on a fresh machine; whatever is heavy is done by running other programs. What it starts
//! it also stops, however it ends itself: see `process::Guarded`.

mod bitcoin;
mod brokers;
mod chain;
mod check;
mod debian;
mod demo;
mod postgres;
mod process;
mod promtool;
mod rabbitmq;
mod repo;
mod test;
mod testkit;
mod tidy;
mod wheel;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use testkit::Runner;

#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    about = "Demo, tests and checks of Coffer",
    version
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Set up everything, create 10,000 wallets from a file, check a sample, say what to try next
    Demo(demo::Options),
    /// Set up everything and run every test, on SQLite and on a PostgreSQL started for it
    Test(test::Options),
    /// What CI runs: format, lints, tidy, every test, and cargo deny where it is installed
    Check(test::Options),
    /// Check the rules of the house style that a machine can check
    Tidy,
    /// Check the alert rules and run their unit tests
    Alerts,
    /// Unpack the Bitcoin node of the tests, unless it is there, and print where its program is
    BitcoinNode,
    /// Start a throw-away PostgreSQL and run a command with `COFFER_TEST_POSTGRES_URL` set
    Postgres(postgres::Options),
    /// Measure a job of `coffer` against its baselines (release build)
    Bench(testkit::BenchOptions),
    /// Kill the programs at named failpoints and at random moments, and compare the results
    Crash(testkit::RunnerOptions),
    /// 300 rounds of reorganizations on real nodes under a server that is killed again and again; `-- --chain bitcoin`
    Reorgs(testkit::RunnerOptions),
    /// 2,000 lies of one of three nodes while deposits arrive; then two of them go down; `-- --chain bitcoin`
    Lies(testkit::RunnerOptions),
    /// Live through seeded lives of a network over the pure cores: chains, reorganizations, lies, crashes
    Simulate(testkit::SimulateOptions),
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    let root = repo::root()?;
    match command {
        Command::Demo(options) => demo::run(&root, &options),
        Command::Test(options) => test::run(&root, &options),
        Command::Check(options) => check::run(&root, &options),
        Command::Tidy => tidy::run(&root),
        Command::Alerts => promtool::run(&root),
        Command::BitcoinNode => bitcoin::run(&root),
        Command::Postgres(options) => postgres::run(&root, &options),
        Command::Bench(options) => testkit::bench(&root, &options),
        Command::Crash(options) => testkit::run(&root, Runner::Crash, &options),
        Command::Reorgs(options) => testkit::run(&root, Runner::Reorgs, &options),
        Command::Lies(options) => testkit::run(&root, Runner::Lies, &options),
        Command::Simulate(options) => testkit::simulate(&root, &options),
    }
}
