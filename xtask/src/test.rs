//! `cargo xtask test`: all the set-up, then every test, then one table.
//!
//! Engines: SQLite needs nothing; PostgreSQL is a throw-away cluster. A test learns of them by
//! `COFFER_TEST_ENGINES` (`sqlite`, `postgres` or both, parted by a comma) and `COFFER_TEST_POSTGRES_URL` (the
//! superuser's; a test creates its own database). `COFFER_TEST_BIN_DIR` holds `coffer`, `coffer-signer`
//! and `coffer-testkit` built with failpoints, `COFFER_TEST_ANVIL` is a real Ethereum node's program,
//! `COFFER_TEST_CONTRACTS` the folder of the compiled contracts, `COFFER_TEST_BITCOIND` a real Bitcoin node's program,
//! `COFFER_TEST_NATS`, `COFFER_TEST_RABBITMQ` and `COFFER_TEST_KAFKA` are the servers of brokers. An engine that was asked
//! for and is not there is a failure, and
//! so is an ignored test: nothing is skipped in silence.
//!
//! All programs and tests are built with the same features in the same target folder, so that no
//! dependency is compiled twice.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

use crate::brokers::Brokers;
use crate::chain::Chain;
use crate::postgres::Cluster;
use crate::process;
use crate::promtool;
use crate::repo::{self, CC, GIT, NODE, NPM, PYTHON};

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
    All,
}

impl Engine {
    pub(crate) fn names(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
            Self::All => "sqlite,postgres",
        }
    }
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// The databases to test on
    #[arg(long, value_enum, default_value_t = Engine::All)]
    pub(crate) engine: Engine,
    /// Smaller samples (`COFFER_TEST_FAST=1`), and no doc tests; for the inner loop, never for CI
    #[arg(long)]
    pub(crate) fast: bool,
    /// Keep fsync on in the throw-away PostgreSQL
    #[arg(long)]
    pub(crate) durable: bool,
}

/// What one step of a run came to.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Step {
    name: &'static str,
    counts: Counts,
    took: Duration,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Counts {
    passed: u64,
    failed: u64,
}

pub(crate) fn run(root: &Path, options: &Options) -> Result<()> {
    let start = Instant::now();
    repo::need(&[GIT, CC, NODE, NPM, PYTHON])?;
    let cluster = match options.engine {
        Engine::Sqlite => None,
        Engine::Postgres | Engine::All => Some(Cluster::start(options.durable)?),
    };
    if let Some(cluster) = &cluster {
        eprintln!(
            "PostgreSQL {} for these tests, at a loopback port",
            cluster.version
        );
    }
    repo::npm_ci(&repo::oracle(root))?;
    let chain = Chain::prepare(root)?;
    let brokers = Brokers::prepare(root)?;
    let promtool = promtool::program()?;
    let programs = build_with_failpoints(root)?;
    eprintln!("Built in {} s.", start.elapsed().as_secs());
    let environment = Environment {
        root,
        options,
        programs,
        postgres_url: cluster.as_ref().map(|c| c.url.as_str()),
        chain,
        brokers,
        promtool,
    };
    let steps = run_steps(&environment)?;
    if let Some(mut cluster) = cluster {
        cluster
            .check_alive()
            .context("PostgreSQL died during the tests")?;
    }
    report(&steps, options, start.elapsed())
}

struct Environment<'a> {
    root: &'a Path,
    options: &'a Options,
    programs: PathBuf,
    postgres_url: Option<&'a str>,
    chain: Chain,
    brokers: Brokers,
    promtool: PathBuf,
}

impl Environment<'_> {
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.root);
        command
            .env("COFFER_TEST_BIN_DIR", &self.programs)
            .env("COFFER_TEST_ENGINES", self.options.engine.names());
        self.chain.tell(&mut command);
        self.brokers.tell(&mut command);
        command
            .env_remove("COFFER_TEST_POSTGRES_URL")
            .env_remove("COFFER_API_KEY")
            .env_remove("COFFER_FAILPOINT");
        if let Some(url) = self.postgres_url {
            command.env("COFFER_TEST_POSTGRES_URL", url);
        }
        if self.options.fast {
            command.env("COFFER_TEST_FAST", "1");
        }
        command
    }
}

/// Cargo's arguments for the programs under test and the one that drives them.
pub(crate) const PROGRAMS: [&str; 6] = [
    "-p",
    "coffer",
    "-p",
    "coffer-signer",
    "-p",
    "coffer-testkit",
];

const FEATURES: &str = "coffer/failpoints,coffer/kafka,coffer-signer/failpoints,coffer-testkit/kafka,coffer-brokers/kafka";

/// Builds every program with its failpoints, and copies them aside: a later plain `cargo build`
/// then cannot change what a test runs.
pub(crate) fn build_with_failpoints(root: &Path) -> Result<PathBuf> {
    process::run(
        Command::new("cargo")
            .args(["build", "--workspace", "--bins", "--features", FEATURES])
            .current_dir(root),
    )?;
    let target = target_folder(root)?;
    let aside = target.join("failpoints");
    fs::create_dir_all(&aside)?;
    for program in ["coffer", "coffer-signer", "coffer-testkit"] {
        let built = target.join("debug").join(program);
        if program == "coffer-testkit" && !built.exists() {
            continue;
        }
        // Removed first: a program that still runs may not be written to.
        let copy = aside.join(program);
        let _ = fs::remove_file(&copy);
        fs::copy(&built, &copy).with_context(|| format!("cannot copy {}", built.display()))?;
    }
    Ok(aside)
}

/// Cargo's target folder, wherever its configuration puts it.
pub(crate) fn target_folder(root: &Path) -> Result<PathBuf> {
    let mut cargo = Command::new("cargo");
    let text = process::output(
        cargo
            .args(["metadata", "--format-version", "1", "--no-deps"])
            .current_dir(root),
    )?;
    let metadata: serde_json::Value = serde_json::from_str(&text)?;
    Ok(metadata["target_directory"]
        .as_str()
        .context("cargo metadata names no target folder")?
        .into())
}

fn run_steps(environment: &Environment<'_>) -> Result<Vec<Step>> {
    let mut steps = Vec::new();
    let mut step = |name, command: &mut Command| -> Result<()> {
        let start = Instant::now();
        let mut counts = Counts::default();
        let status = process::run_and_read(command, |line| counts.add(line))?;
        steps.push(Step {
            name,
            counts: counts.judged_by(status),
            took: start.elapsed(),
        });
        Ok(())
    };
    let mut tests = environment.command("cargo");
    tests.args([
        "test",
        "--workspace",
        "--features",
        FEATURES,
        "--lib",
        "--bins",
        "--tests",
        "--no-fail-fast",
    ]);
    step("unit and integration tests", &mut tests)?;
    if !environment.options.fast {
        let mut docs = environment.command("cargo");
        docs.args([
            "test",
            "--workspace",
            "--features",
            FEATURES,
            "--doc",
            "--no-fail-fast",
        ]);
        step("doc tests", &mut docs)?;
    }
    let mut oracle = environment.command("npm");
    oracle
        .args(["test", "--silent"])
        .current_dir(repo::oracle(environment.root));
    step("second implementation", &mut oracle)?;
    let mut examples = environment.command("python3");
    examples.args(["examples/generate_customers.py", "--check"]);
    step("examples reproduce", &mut examples)?;
    let count = if environment.options.fast {
        "1000"
    } else {
        "10000"
    };
    let mut lives = Command::new(environment.programs.join("coffer-testkit"));
    lives.args(["simulate", "--count", count]);
    step("simulated lives", &mut lives)?;
    let mut alerts = environment.command("sh");
    step(
        "alert rules",
        promtool::checking(&mut alerts, &environment.promtool),
    )?;
    Ok(steps)
}

impl Counts {
    /// Takes up one line of the output of `cargo test` or of `node --test`.
    fn add(&mut self, line: &str) {
        if let Some(rest) = line.strip_prefix("test result: ") {
            let number = |what: &str| {
                let part = rest
                    .split([';', '.'])
                    .find_map(|part| part.trim().strip_suffix(what));
                part.and_then(|part| part.trim().parse::<u64>().ok())
                    .unwrap_or(0)
            };
            self.passed += number("passed");
            // An ignored test is one that nobody runs.
            self.failed += number("failed") + number("ignored");
        } else if let Some((what, number)) = line
            .strip_prefix(['#', 'ℹ'])
            .and_then(|rest| rest.trim().split_once(' '))
            && let Ok(number) = number.parse::<u64>()
        {
            match what {
                "pass" => self.passed += number,
                "fail" | "cancelled" | "skipped" | "todo" => self.failed += number,
                _ => {}
            }
        }
    }

    /// A step that fails has at least one failure (a test that does not compile prints none), and one that
    /// succeeds without counting is one test.
    fn judged_by(self, status: ExitStatus) -> Self {
        match (status.success(), self) {
            (false, Self { passed, failed: 0 }) => Self { passed, failed: 1 },
            (
                true,
                Self {
                    passed: 0,
                    failed: 0,
                },
            ) => Self {
                passed: 1,
                failed: 0,
            },
            (_, counts) => counts,
        }
    }
}

fn report(steps: &[Step], options: &Options, took: Duration) -> Result<()> {
    println!(
        "\n{:<32}{:>8}{:>8}{:>10}",
        "step", "passed", "failed", "time"
    );
    for Step { name, counts, took } in steps {
        println!(
            "{name:<32}{:>8}{:>8}{:>8} s",
            counts.passed,
            counts.failed,
            took.as_secs()
        );
    }
    println!("{:<32}{:>26} s", "all, with the set-up", took.as_secs());
    if options.engine != Engine::All || options.fast {
        println!(
            "Not everything: engine {}{}.",
            options.engine.names(),
            if options.fast {
                ", --fast (no doc tests)"
            } else {
                ""
            }
        );
    }
    let passed: u64 = steps.iter().map(|step| step.counts.passed).sum();
    let failed: u64 = steps.iter().map(|step| step.counts.failed).sum();
    println!("{passed} passed, {failed} failed");
    if failed > 0 {
        bail!("some tests failed; their messages are above");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(lines: &[&str], passed: u64, failed: u64) {
        let mut counts = Counts::default();
        lines.iter().for_each(|line| counts.add(line));
        assert_eq!(counts, Counts { passed, failed }, "{lines:?}");
    }

    #[test]
    fn results_of_cargo_and_node_are_summed() {
        let ok = "test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured; 3 filtered out; finished in 0.01s";
        let bad = "test result: FAILED. 4 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out; finished in 1.50s";
        check(&[ok, "running 5 tests", bad], 16, 3);
        check(
            &["# tests 4", "# pass 3", "# fail 1", "# duration_ms 12.5"],
            3,
            1,
        );
        check(&["ℹ pass 7", "ℹ fail 0", "ℹ skipped 1"], 7, 1);
    }

    #[test]
    fn a_failed_step_counts_even_when_it_printed_no_failure() {
        let judged = |counts: Counts, program: &str| {
            counts.judged_by(
                Command::new(program)
                    .status()
                    .expect("a program of every system"),
            )
        };
        assert_eq!(
            judged(
                Counts {
                    passed: 2,
                    failed: 0
                },
                "false"
            ),
            Counts {
                passed: 2,
                failed: 1
            }
        );
        assert_eq!(
            judged(Counts::default(), "true"),
            Counts {
                passed: 1,
                failed: 0
            }
        );
        assert_eq!(
            judged(
                Counts {
                    passed: 2,
                    failed: 3
                },
                "false"
            ),
            Counts {
                passed: 2,
                failed: 3
            }
        );
    }
}
