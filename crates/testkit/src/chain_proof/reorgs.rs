//! Random reorganizations under a server that is killed again and again.
//!
//! A round sends deposits, makes blocks, and exchanges the last 1 to 20 of them: each transaction in them is
//! dropped, taken in elsewhere (another block, another place in it), or replaced by another of the same
//! sender and nonce, or one that spends the same output. What was dropped may be sent again rounds later. Now and then a round goes deeper than
//! finality: the network has to freeze, and goes on when two people say so. On Bitcoin the other chain is also made
//! by a node that was apart, and customers' outputs are spent past Coffer in blocks that are then taken back: while
//! such a block stands, the breaker has to trip, and the record of outputs has to say so.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::bitcoin::Bitcoin;
use super::evm::Evm;
use super::scene::{CONFIRMATIONS, Ground, PATIENCE, Scene};
use super::stage::{Exchange, Family, Fates, Stage};
use crate::chain_checker::{self, Report};
use crate::crash::Chance;

/// Above the deepest ordinary reorganization, so that only the rounds that mean to go below it.
pub const FINALITY: u64 = 24;
const DEPTH: u64 = 20;
/// Rounds in between which the checker has its say.
const JUDGE_EVERY: u32 = 15;
const FAILPOINTS: [&str; 8] = [
    "block.fetched",
    "block.before_commit",
    "block.after_commit",
    "undo.before_commit",
    "undo.after_commit",
    "reconcile.before_commit",
    "reconcile.after_commit",
    "audit.anchor.before_rename",
];

#[derive(Debug, Clone)]
pub struct Options {
    pub ground: Ground,
    pub rounds: u32,
    /// Each such round goes deeper than finality.
    pub deep_every: u32,
    pub seed: u64,
}

#[derive(Debug, Default)]
pub struct Tally {
    pub rounds: u32,
    pub fates: Fates,
    pub kills: u32,
    pub failpoints: u32,
    pub freezes: u32,
    /// Breakers that tripped over spends past Coffer, and were closed again.
    pub tripped: u32,
    /// Verdicts in between, each without a problem.
    pub judged: u32,
    /// Spent outputs on record that were judged.
    pub judged_spends: usize,
    pub took: Duration,
    pub report: Report,
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(
            f,
            "{} rounds in {:.0} s: {}; {} kills, {} deaths at failpoints, {} freezes, {} breakers tripped; judged well {} times \
             before the end, with {} spent outputs",
            self.rounds,
            self.took.as_secs_f64(),
            self.fates,
            self.kills,
            self.failpoints,
            self.freezes,
            self.tripped,
            self.judged,
            self.judged_spends
        )?;
        write!(f, "{}", self.report)
    }
}

struct Run<S> {
    scene: Scene<S>,
    deep_every: u32,
    chance: Chance,
    tally: Tally,
}

/// `tell` hears of each round as it ends.
///
/// # Errors
/// When a part fails, or the installation does not come to where the chain is.
pub async fn run(options: &Options, tell: &(impl Fn(u32, &Tally) + Sync)) -> Result<Tally> {
    match options.ground.family {
        Family::Evm => run_on::<Evm>(options, tell).await,
        Family::Bitcoin => run_on::<Bitcoin>(options, tell).await,
    }
}

async fn run_on<S: Stage>(
    options: &Options,
    tell: &(impl Fn(u32, &Tally) + Sync),
) -> Result<Tally> {
    let started = Instant::now();
    let mut run = Run {
        scene: Scene::<S>::set(&options.ground).await?,
        deep_every: options.deep_every,
        chance: Chance::new(options.seed),
        tally: Tally::default(),
    };
    for round in 1..=options.rounds {
        run.round(round)
            .await
            .with_context(|| format!("round {round} of seed {}", options.seed))?;
        run.tally.rounds = round;
        run.tally.fates = run.scene.stage.fates();
        tell(round, &run.tally);
    }
    // Where nothing was spent past Coffer, a breaker that tripped is a fault, and the checker must not excuse it.
    if run.tally.fates.spent_outside > 0 {
        run.close_breakers().await?;
    }
    run.tally.report = run.scene.judged().await?;
    run.tally.kills = run.scene.host.kills;
    run.tally.failpoints = run.scene.host.failpoints;
    run.tally.took = started.elapsed();
    run.scene.done().await;
    Ok(run.tally)
}

impl<S: Stage> Run<S> {
    async fn round(&mut self, round: u32) -> Result<()> {
        self.scene.stage.play(&mut self.chance).await?;
        let deep = round.is_multiple_of(self.deep_every);
        // Every other time the server has seen what will be taken back; else they race.
        if deep || self.chance.between(0, 2) == 0 {
            self.scene.caught_up().await?;
        }
        self.maybe_kill().await?;
        if deep {
            return self.deep().await;
        }
        let judge = round.is_multiple_of(JUDGE_EVERY);
        self.scene.stage.split(&mut self.chance).await?;
        let disturbed = (judge || self.chance.between(0, 3) == 0)
            && self.scene.stage.disturb(&mut self.chance).await?;
        if judge {
            self.judge(disturbed).await?;
        } else if self.chance.between(0, 2) == 0 {
            self.scene.caught_up().await?;
        }
        let depth = 1 + self
            .chance
            .between(0, DEPTH)
            .min(self.chance.between(0, DEPTH));
        let (height, _) = self.scene.stage.head().await?;
        let exchange = Exchange {
            depth: depth.min(height - self.scene.base),
            is_deep: false,
        };
        self.scene.stage.reorg(&mut self.chance, exchange).await?;
        self.maybe_kill().await?;
        self.scene.host.alive().await?;
        if disturbed {
            self.close_breakers().await?;
        }
        Ok(())
    }

    /// In the middle of it, with what the chain has at this moment.
    async fn judge(&mut self, disturbed: bool) -> Result<()> {
        self.scene.caught_up().await?;
        if disturbed {
            self.scene.tripped().await?;
        }
        let checking = chain_checker::Options {
            tripped_may_differ: disturbed,
            ..self.scene.checking()
        };
        let report = self.scene.at_rest(&checking).await?;
        ensure!(report.is_good(), "in the middle: {report}");
        self.tally.judged += 1;
        self.tally.judged_spends += report.spent;
        self.scene.host.alive().await?;
        Ok(())
    }

    /// Once what tripped them is gone.
    async fn close_breakers(&mut self) -> Result<()> {
        self.scene.caught_up().await?;
        self.tally.tripped += self.scene.close_breakers().await?;
        Ok(())
    }

    async fn maybe_kill(&mut self) -> Result<()> {
        if self.chance.between(0, 4) != 0 {
            return Ok(());
        }
        let wait = self.chance.between(0, 120);
        // Paced: the kill is to strike somewhere in the server's work.
        tokio::time::sleep(Duration::from_millis(wait)).await;
        let armed = (self.chance.between(0, 2) == 0).then(|| {
            let name = FAILPOINTS[self.chance.between(0, FAILPOINTS.len() as u64) as usize];
            format!("{name}:{}:kill", self.chance.between(1, 6))
        });
        self.scene.host.kill(armed).await;
        self.scene.host.alive().await?;
        Ok(())
    }

    /// Deeper than finality: frozen, until two different people have said that it goes on.
    async fn deep(&mut self) -> Result<()> {
        // Finality has to have come as far as the reorganization will go.
        self.scene.stage.mine(FINALITY + CONFIRMATIONS).await?;
        self.scene.caught_up().await?;
        let exchange = Exchange {
            depth: FINALITY + 1 + self.chance.between(1, 4),
            is_deep: true,
        };
        self.scene.stage.reorg(&mut self.chance, exchange).await?;
        let path = self.scene.network.clone();
        let frozen = self
            .scene
            .host
            .wait(&path, PATIENCE, |network| network["state"] == "frozen")
            .await?;
        ensure!(
            frozen["reason"].is_string(),
            "frozen without a reason: {frozen}"
        );
        self.tally.freezes += 1;
        let resume = format!("{path}/resume");
        let reason = json!({ "reason": "looked at the chain" });
        let key = |who: &str| format!("resume-{who}-{}", self.tally.freezes);
        let (first, second) = (key("first"), key("second"));
        let half = self
            .scene
            .host
            .post(&resume, &reason, (&first, None))
            .await?;
        ensure!(
            half["state"] == "frozen",
            "one person resumed a frozen network"
        );
        let token = self.scene.second.clone();
        let whole = self
            .scene
            .host
            .post(&resume, &reason, (&second, Some(&token)))
            .await?;
        ensure!(
            whole["state"] == "active",
            "two people did not resume: {whole}"
        );
        self.scene.caught_up().await?;
        Ok(())
    }
}
