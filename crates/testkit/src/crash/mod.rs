//! The crash runner: every disturbance of the list against one undisturbed run, byte by byte.
//!
//! For each engine `coffer init` is run once and its data folder copied for every run, so ids, indexes and
//! addresses must come out equal. A run kills `coffer serve` or `coffer-signer` with SIGKILL at a named
//! failpoint or at a moment drawn from the seed, starts it again, lets the client repeat its call
//! under the same `Idempotency-Key`, and compares the results file with that of the undisturbed run.
//! After each run [`crate::checker`] reads the database by itself.
//!
//! Not covered: the loss of what was written but not synced (a power cut); a process's death loses no
//! page cache.

mod dead_wire;
mod input;
mod life;
mod plan;
mod takeover;
mod work;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

pub use input::{Chance, Input};
pub use work::CHAINS;

use crate::checker::{self, Expected};
use crate::serving::{Api, Programs, Server, Site, Template};
use crate::{Engine, checker::Report};
use life::{Deaths, Fate, Kill, Lives, Victim};
use plan::{Armed, Script, Sizes, armed};
use work::{BatchWork, WalletsWork};

/// Random kills of one run.
const KILLS_PER_RUN: u32 = 3;
const STORM: u32 = 10;

#[derive(Debug, Clone)]
pub struct Options {
    pub programs: Programs,
    pub engine: Engine,
    /// The server to make databases on; for PostgreSQL.
    pub server_url: Option<String>,
    pub rows: u32,
    pub random_kills: u32,
    pub seed: u64,
    pub failpoints: Vec<&'static str>,
    /// Only the last of each failpoint's passings, for a shorter run.
    pub one_passing_each: bool,
    /// A stop of longer than a lease, on PostgreSQL; takes a minute.
    pub takeover: bool,
}

/// One line of the table.
#[derive(Debug)]
pub struct Line {
    pub engine: Engine,
    pub scenario: String,
    pub deaths: (u32, u32),
    pub took: Duration,
    pub report: Report,
    pub error: Option<String>,
}

impl Line {
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.error.is_none() && self.report.problems.is_empty()
    }

    #[must_use]
    pub fn text(&self) -> String {
        let verdict = match (&self.error, self.report.problems.as_slice()) {
            (None, []) => "equal, checked".to_owned(),
            (Some(error), _) => format!("FAILED: {error}"),
            (None, problems) => format!(
                "WRONG: {} problems: {}",
                problems.len(),
                problems[..problems.len().min(3)].join("; ")
            ),
        };
        let engine = format!("{:?}", self.engine).to_lowercase();
        let (coffer, signer) = self.deaths;
        let (seconds, wallets) = (self.took.as_secs_f64(), self.report.wallets);
        let records = self.report.audit_records;
        format!(
            "{engine:8}  {:45}  {coffer:>2} + {signer:<2}  {seconds:>6.1} s  {wallets:>6}  {records:>5}  {verdict}",
            self.scenario
        )
    }

    #[must_use]
    pub fn heading() -> String {
        format!(
            "{:8}  {:45}  {}  {:>8}  {:>6}  {:>5}  result",
            "engine", "disturbance", "deaths ", "took", "wallets", "audit"
        )
    }
}

/// All runs on one engine; `tell` hears of each as it ends.
///
/// # Errors
/// When the undisturbed run fails: then there is nothing to compare with.
pub async fn run(options: &Options, tell: &(impl Fn(&Line) + Sync)) -> Result<Vec<Line>> {
    let input = Input::of(options.rows);
    let template = Template::make(
        &options.programs,
        options.engine,
        options.server_url.as_deref(),
    )
    .await?;
    let mut runner = Runner {
        options,
        input: &input,
        template: &template,
        lines: Vec::new(),
        tell,
    };
    let reference = runner
        .undisturbed()
        .await
        .context("the undisturbed run failed")?;
    runner.failpoints(&reference).await?;
    runner.random_kills(&reference).await?;
    runner.storm(&reference).await?;
    if options.takeover && options.engine == Engine::Postgres {
        let started = Instant::now();
        let site = template.copy().await?;
        let ran = takeover::run(&options.programs, &site, &input).await;
        let compared = ran.and_then(|results| same(&reference.results, &results));
        runner
            .judge(
                "stopped for longer than a lease, taken over",
                started,
                site,
                compared.map(|()| Deaths::default()),
                true,
            )
            .await;
    }
    Ok(runner.lines)
}

/// What the disturbed runs are compared with.
struct Reference {
    results: Vec<u8>,
    wallets: Vec<u8>,
    sizes: Sizes,
    took: Duration,
}

struct Runner<'a, T> {
    options: &'a Options,
    input: &'a Input,
    template: &'a Template,
    lines: Vec<Line>,
    tell: &'a T,
}

impl<T: Fn(&Line)> Runner<'_, T> {
    async fn undisturbed(&mut self) -> Result<Reference> {
        let started = Instant::now();
        let site = self.template.copy().await?;
        let mut work = BatchWork::new(self.input);
        let deaths = Lives::new(&self.options.programs, &site, Fate::default())
            .run(&mut work)
            .await?;
        let took = started.elapsed();
        let batch = work.batch.take().context("there is a batch")?;
        let chunks = batch["chunks_total"]
            .as_u64()
            .context("a batch has chunks")?;
        self.judge("none", started, site, Ok(deaths), true).await;
        let site = self.template.copy().await?;
        let started = Instant::now();
        let (ran, wallets) = self.wallets_run(&site, Fate::default()).await?;
        self.judge(
            "none (pool, single wallets, gate)",
            started,
            site,
            ran,
            false,
        )
        .await;
        ensure!(
            self.lines.iter().all(Line::is_good),
            "{}",
            self.lines
                .iter()
                .map(Line::text)
                .collect::<Vec<_>>()
                .join("\n")
        );
        let sizes = Sizes {
            rows: u64::from(self.options.rows),
            chunks,
        };
        Ok(Reference {
            results: work.results.context("there are results")?,
            wallets,
            sizes,
            took,
        })
    }

    async fn failpoints(&mut self, reference: &Reference) -> Result<()> {
        for name in &self.options.failpoints {
            let mut all = armed(name, reference.sizes)?;
            if all.is_empty() {
                continue;
            }
            if self.options.one_passing_each {
                all.drain(..all.len() - 1);
            }
            for armed in all {
                let scenario = armed.text.clone();
                self.disturbed(
                    &scenario,
                    reference,
                    Fate {
                        failpoint: Some(armed),
                        kills: Vec::new(),
                    },
                )
                .await?;
            }
        }
        Ok(())
    }

    async fn random_kills(&mut self, reference: &Reference) -> Result<()> {
        let mut chance = Chance::new(self.options.seed);
        let mut left = self.options.random_kills;
        let mut done = 0;
        while left > 0 {
            let count = left.min(KILLS_PER_RUN);
            left -= count;
            let longest = u64::try_from(reference.took.as_millis()).unwrap_or(u64::MAX);
            let kill = |_| Kill {
                victim: if chance.draw().is_multiple_of(3) {
                    Victim::Signer
                } else {
                    Victim::Coffer
                },
                after: Duration::from_millis(chance.between(1, longest * 2 / 3)),
            };
            let kills: Vec<Kill> = (0..count).map(kill).collect();
            let told: Vec<String> = kills
                .iter()
                .map(|kill| format!("{:?}+{}ms", kill.victim, kill.after.as_millis()))
                .collect();
            let scenario = format!(
                "kills {}-{}: {}",
                done + 1,
                done + count,
                told.join(" ").to_lowercase()
            );
            done += count;
            self.disturbed(
                &scenario,
                reference,
                Fate {
                    failpoint: None,
                    kills,
                },
            )
            .await?;
        }
        Ok(())
    }

    async fn storm(&mut self, reference: &Reference) -> Result<()> {
        let mut chance = Chance::new(self.options.seed ^ 0x5704);
        let kills = (0..STORM)
            .map(|_| Kill {
                victim: Victim::Coffer,
                after: Duration::from_millis(chance.between(20, 400)),
            })
            .collect();
        self.disturbed(
            &format!("{STORM} restarts in a row"),
            reference,
            Fate {
                failpoint: None,
                kills,
            },
        )
        .await
    }

    async fn disturbed(&mut self, scenario: &str, reference: &Reference, fate: Fate) -> Result<()> {
        let started = Instant::now();
        let site = self.template.copy().await?;
        let script = fate
            .failpoint
            .as_ref()
            .map_or(Script::Batch, |armed: &Armed| armed.script);
        let (ran, with_batch) = match script {
            Script::Batch => {
                let mut work = BatchWork::new(self.input);
                let ran = Lives::new(&self.options.programs, &site, fate)
                    .run(&mut work)
                    .await;
                let ran = ran.and_then(|deaths| {
                    same(
                        &reference.results,
                        work.results.as_deref().unwrap_or_default(),
                    )?;
                    Ok(deaths)
                });
                (ran, true)
            }
            Script::Wallets => {
                let (ran, outcome) = self.wallets_run(&site, fate).await?;
                let ran =
                    ran.and_then(|deaths| same(&reference.wallets, &outcome).map(|()| deaths));
                (ran, false)
            }
        };
        self.judge(scenario, started, site, ran, with_batch).await;
        Ok(())
    }

    async fn wallets_run(&self, site: &Site, fate: Fate) -> Result<(Result<Deaths>, Vec<u8>)> {
        let second = second_key(&self.options.programs, site).await?;
        let mut work = WalletsWork::new(&site.vault, &second);
        let ran = Lives::new(&self.options.programs, site, fate)
            .run(&mut work)
            .await;
        Ok((ran, work.outcome()))
    }

    async fn judge(
        &mut self,
        scenario: &str,
        started: Instant,
        site: Site,
        ran: Result<Deaths>,
        with_batch: bool,
    ) {
        let took = started.elapsed();
        let expected = Expected {
            rows: with_batch.then_some(self.input.rows.as_slice()),
        };
        let checked = checker::check(&site.database_url, expected).await;
        let (report, unread) = match checked {
            Ok(report) => (report, None),
            Err(error) => (Report::default(), Some(format!("{error:#}"))),
        };
        let (deaths, failed) = match ran {
            Ok(deaths) => ((deaths.coffer, deaths.signer), None),
            Err(error) => ((0, 0), Some(format!("{error:#}"))),
        };
        let line = Line {
            engine: self.options.engine,
            scenario: scenario.to_owned(),
            deaths,
            took,
            report,
            error: failed.or(unread),
        };
        (self.tell)(&line);
        self.lines.push(line);
        self.template.discard(site).await;
    }
}

/// Whoever created a wallet may not activate it, so another key is needed.
async fn second_key(programs: &Programs, site: &Site) -> Result<String> {
    let server = Server::start(programs, site, None).await?;
    let api = Api::new(&server.url, &site.token)?;
    let made = api.create_key("second", &["admin"]).await?;
    server.stop().await?;
    Ok(made)
}

fn same(reference: &[u8], found: &[u8]) -> Result<()> {
    if reference == found {
        return Ok(());
    }
    let lines = |bytes: &[u8]| {
        bytes
            .split(|byte| *byte == b'\n')
            .map(<[u8]>::to_vec)
            .collect::<Vec<_>>()
    };
    let (reference, found) = (lines(reference), lines(found));
    let at = reference
        .iter()
        .zip(&found)
        .position(|(one, other)| one != other)
        .unwrap_or(reference.len().min(found.len()));
    let show = |lines: &[Vec<u8>]| {
        lines
            .get(at)
            .map(|line| String::from_utf8_lossy(line).into_owned())
    };
    bail!(
        "the results differ from line {} on: {:?} instead of {:?}",
        at + 1,
        show(&found),
        show(&reference)
    )
}
