//! `coffer-testkit simulate`: lives of a network over the pure cores, by their seeds.

use std::ops::Range;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use coffer_testkit::simulate::{self, Failure};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// One life; exits with its failure if it has one.
    #[arg(long, conflicts_with_all = ["seeds", "count"])]
    seed: Option<u64>,
    /// Tell the story of that one life, and judge after every commit.
    #[arg(long, requires = "seed")]
    trace: bool,
    /// A range of seeds, such as 0..500.
    #[arg(long, value_name = "A..B", value_parser = range, conflicts_with = "count")]
    seeds: Option<Range<u64>>,
    /// So many seeds from 0.
    #[arg(long, default_value_t = 10_000)]
    count: u64,
}

fn range(text: &str) -> Result<Range<u64>> {
    let (first, end) = text.split_once("..").context("write a range as 0..500")?;
    Ok(first.parse()?..end.parse()?)
}

pub(crate) fn run(args: &Args) -> Result<()> {
    if let Some(seed) = args.seed {
        return one(seed, args.trace);
    }
    let seeds = args.seeds.clone().unwrap_or(0..args.count);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let start = Instant::now();
    let summary = simulate::run_all(seeds, None, threads);
    let total = &summary.total;
    println!(
        "{} seeds in {:.1} s: {} commits, {} blocks undone (reorganizations to depth {}), {} crashes, {} freezes, \
         {} deposits, {} ledger transactions",
        summary.seeds,
        start.elapsed().as_secs_f64(),
        total.commits,
        total.undone,
        total.deepest,
        total.crashes,
        total.frozen,
        total.deposits,
        total.ledger_transactions
    );
    println!("trace {:016x}", total.trace_hash);
    match summary.failure {
        Some(failure) => failed(&failure),
        None => Ok(()),
    }
}

fn one(seed: u64, told: bool) -> Result<()> {
    let (report, story) = simulate::tell(seed, told);
    for line in story {
        println!("{line}");
    }
    match report {
        Ok(report) => {
            println!("seed {seed}: {report:?}");
            Ok(())
        }
        Err(failure) => failed(&failure),
    }
}

fn failed(failure: &Failure) -> Result<()> {
    for line in &failure.story {
        println!("{line}");
    }
    bail!(
        "seed {}, after {} commits: {}\nAgain: cargo xtask simulate --seed {} --trace",
        failure.seed,
        failure.step,
        failure.what,
        failure.seed
    )
}
