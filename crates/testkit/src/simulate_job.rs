//! `coffer-testkit simulate`: lives of a network over the pure cores, by their seeds.

use std::ops::Range;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use coffer_testkit::simulate::{self, Failure, Family, Options};

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
    /// Lives on chains of this family only; seeds take turns without it.
    #[arg(long, value_enum)]
    family: Option<Families>,
    /// So many seeds from 0.
    #[arg(long, default_value_t = 10_000)]
    count: u64,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Families {
    Evm,
    Bitcoin,
}

impl From<Families> for Family {
    fn from(family: Families) -> Self {
        match family {
            Families::Evm => Self::Evm,
            Families::Bitcoin => Self::Bitcoin,
        }
    }
}

fn range(text: &str) -> Result<Range<u64>> {
    let (first, end) = text.split_once("..").context("write a range as 0..500")?;
    Ok(first.parse()?..end.parse()?)
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let options = Options {
        family: args.family.map(Family::from),
        told: args.trace,
        ..Options::default()
    };
    if let Some(seed) = args.seed {
        return one(seed, options);
    }
    let seeds = args.seeds.clone().unwrap_or(0..args.count);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let start = Instant::now();
    let summary = simulate::run_all(seeds, options, threads);
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
    println!(
        "{:.0} seeds/s; {} outputs of ours on record at the ends, {} of them spent, {} spends given back by undone blocks",
        summary.seeds as f64 / start.elapsed().as_secs_f64(),
        total.outputs,
        total.spent_outputs,
        total.restored
    );
    println!("trace {:016x}", total.trace_hash);
    match summary.failure {
        Some(failure) => failed(&failure, options),
        None => Ok(()),
    }
}

fn one(seed: u64, options: Options) -> Result<()> {
    let (report, story) = simulate::tell(seed, options);
    for line in story {
        println!("{line}");
    }
    match report {
        Ok(report) => {
            println!("seed {seed}: {report:?}");
            Ok(())
        }
        Err(failure) => failed(&failure, options),
    }
}

fn failed(failure: &Failure, options: Options) -> Result<()> {
    for line in &failure.story {
        println!("{line}");
    }
    let family = match options.family {
        None => "",
        Some(Family::Evm) => " --family evm",
        Some(Family::Bitcoin) => " --family bitcoin",
    };
    bail!(
        "seed {}, after {} commits: {}\nAgain: cargo xtask simulate --seed {}{family} --trace",
        failure.seed,
        failure.step,
        failure.what,
        failure.seed
    )
}
