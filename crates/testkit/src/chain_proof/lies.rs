//! One of three nodes lies in every way there is, while deposits arrive.
//!
//! No block is ever reorganized here, so nothing may ever be taken back: a deposit that was retracted would have been
//! believed without having been there. What a liar hides, the two others show. At the end two of the three
//! go down: the installation has to stop and say so, and to go on when one is back.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::bitcoin::Bitcoin;
use super::evm::Evm;
use super::scene::{Ground, PATIENCE, Scene};
use super::stage::{Family, Stage};
use crate::chain_checker::Report;
use crate::crash::Chance;
use crate::lying_node::Fault;

/// For each outage: long enough for many attempts.
const OUTAGE: Duration = Duration::from_secs(3);

/// How often is looked whether a lie was told, and after how many looks there is another block.
const LOOKS: u32 = 60;
const LOOKS_EACH_BLOCK: u32 = 6;
const LOOK_EVERY: Duration = Duration::from_millis(50);

#[derive(Debug, Clone)]
pub struct Options {
    pub ground: Ground,
    /// Lies that must have been told in the end.
    pub count: u64,
    pub seed: u64,
}

#[derive(Debug, Default)]
pub struct Tally {
    /// Lies that made a difference, by kind.
    pub told: BTreeMap<String, u64>,
    pub rounds: u32,
    pub sent: u32,
    pub outages: u32,
    /// Breakers that tripped, and were closed again.
    pub tripped: u32,
    pub took: Duration,
    pub report: Report,
}

impl Tally {
    #[must_use]
    pub fn lies(&self) -> u64 {
        self.told.values().sum()
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kinds: Vec<String> = self
            .told
            .iter()
            .map(|(kind, count)| format!("{count} {kind}"))
            .collect();
        writeln!(
            f,
            "{} lies of {} kinds told in {:.0} s, {} deposits sent, {} outages of two nodes, {} breakers tripped: {}",
            self.lies(),
            self.told.len(),
            self.took.as_secs_f64(),
            self.sent,
            self.outages,
            self.tripped,
            kinds.join(", ")
        )?;
        write!(f, "{}", self.report)
    }
}

struct Run<S> {
    scene: Scene<S>,
    chance: Chance,
    tally: Tally,
}

/// `tell` hears of each round as it ends.
///
/// # Errors
/// When a part fails, or the installation does not come to where the chain is.
pub async fn run(options: &Options, tell: &(impl Fn(&Tally) + Sync)) -> Result<Tally> {
    match options.ground.family {
        Family::Evm => run_on::<Evm>(options, tell).await,
        Family::Bitcoin => run_on::<Bitcoin>(options, tell).await,
    }
}

async fn run_on<S: Stage>(options: &Options, tell: &(impl Fn(&Tally) + Sync)) -> Result<Tally> {
    let started = Instant::now();
    let mut run = Run {
        scene: Scene::<S>::set(&options.ground).await?,
        chance: Chance::new(options.seed),
        tally: Tally::default(),
    };
    let kinds = run.scene.stage.lies(0).len();
    // Every kind twice at least, however many lies the first ones told.
    let least = u32::try_from(kinds * 2)?;
    while run.tally.lies() < options.count || run.tally.rounds < least {
        let round = run.tally.rounds;
        run.round(round as usize, kinds)
            .await
            .with_context(|| format!("round {round} of seed {}", options.seed))?;
        tell(&run.tally);
        ensure!(
            round < 10_000,
            "the liar is never asked: {:?}",
            run.tally.told
        );
    }
    run.outage().await?;
    run.scene.caught_up().await?;
    // Behind three proxies stands one anvil, which now and then answers for a block's hash with the state of the block
    // that it is just making. Two nodes then agree on it, and reconciliation must trip. What it saw is gone with the
    // next comparison, so the breaker can be closed, and everything has to be credited. On Bitcoin there are three
    // nodes: two that tell the truth never trip one, and what it held back would be missed below.
    if options.ground.family == Family::Evm {
        run.tally.tripped = run.scene.close_breakers().await?;
    }
    run.tally.report = run.scene.judged().await?;
    let report = &mut run.tally.report;
    let believed = report.deposits.get("retracted").copied().unwrap_or(0);
    if believed > 0 || report.orphaned > 0 {
        ensure!(
            false,
            "{believed} deposits and {} blocks were believed that never were",
            report.orphaned
        );
    }
    // The checker excuses what a breaker holds back.
    let waiting = report.deposits.get("detected").copied().unwrap_or(0);
    ensure!(waiting == 0, "{waiting} true deposits were never credited");
    run.tally.took = started.elapsed();
    run.scene.done().await;
    Ok(run.tally)
}

impl<S: Stage> Run<S> {
    async fn round(&mut self, round: usize, kinds: usize) -> Result<()> {
        // Every other time the liar is the one whom a server that has just started asks first; after that, whom it
        // has caught is asked last.
        let is_first = (round / kinds) % 2 == 1;
        let liar = if is_first {
            0
        } else {
            self.chance.between(0, 3) as usize
        };
        let (head, _) = self.scene.stage.head().await?;
        let mut lie = self.scene.stage.lies(head + 1).swap_remove(round % kinds);
        let fault = lie.fault.clone();
        if !is_first && self.chance.between(0, 3) == 0 {
            lie = lie.sometimes(500);
        }
        self.scene.nodes[liar].set(lie);
        if is_first {
            self.scene.host.kill(None).await;
            self.scene.host.alive().await?;
        }
        for _ in 0..self.chance.between(1, 4) {
            self.deposits().await?;
            self.scene.stage.mine(1).await?;
        }
        // With two honest nodes the third can only delay.
        self.scene.caught_up().await?;
        if is_first {
            self.until_told(&fault).await?;
        }
        self.scene.nodes[liar].be_honest();
        self.tally.rounds += 1;
        self.tally.told = told(&self.scene);
        Ok(())
    }

    /// More blocks, until the liar was asked for what it lies about: a block is asked of one node only, and not every
    /// block has what some lies are about. Some are never asked for.
    async fn until_told(&mut self, fault: &Fault) -> Result<()> {
        let before = self.tally.told.get(fault.name()).copied();
        for look in 1..=LOOKS {
            if told(&self.scene).get(fault.name()).copied() > before {
                break;
            }
            // Paced: balances are asked for a moment after the block.
            tokio::time::sleep(LOOK_EVERY).await;
            if look % LOOKS_EACH_BLOCK == 0 {
                self.deposits().await?;
                // Several, so that they are asked for together.
                self.scene.stage.mine(3).await?;
                self.scene.caught_up().await?;
            }
        }
        Ok(())
    }

    async fn deposits(&mut self) -> Result<()> {
        for _ in 0..self.chance.between(1, 4) {
            self.scene.stage.pay(&mut self.chance).await?;
            self.tally.sent += 1;
        }
        Ok(())
    }

    /// Two of three down: nothing is believed any more, the truth of the third included.
    async fn outage(&mut self) -> Result<()> {
        for fault in [Fault::Gone, Fault::Unavailable] {
            self.scene.caught_up().await?;
            for node in &self.scene.nodes[1..] {
                node.set(fault.clone());
            }
            self.deposits().await?;
            self.scene.stage.mine(3).await?;
            let path = self.scene.network.clone();
            let before = self.scene.host.get(&path).await?;
            let short = |network: &Value| {
                network["quorum"]["healthy"].as_u64() < network["quorum"]["needed"].as_u64()
            };
            self.scene.host.wait(&path, PATIENCE, short).await?;
            // Paced: that nothing happens shows in no other way than by waiting.
            tokio::time::sleep(OUTAGE).await;
            let after = self.scene.host.get(&path).await?;
            ensure!(
                after["progress"]["height"] == before["progress"]["height"],
                "one node of three was believed: {after}"
            );
            self.scene.nodes[1].be_honest();
            self.scene.caught_up().await?;
            self.scene.nodes[2].be_honest();
            self.tally.outages += 1;
        }
        self.tally.told = told(&self.scene);
        Ok(())
    }
}

fn told<S>(scene: &Scene<S>) -> BTreeMap<String, u64> {
    let mut sum = BTreeMap::new();
    for node in &scene.nodes {
        for (kind, count) in node.told() {
            *sum.entry(kind.to_owned()).or_default() += count;
        }
    }
    sum
}
