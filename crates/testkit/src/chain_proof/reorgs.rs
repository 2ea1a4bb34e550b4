//! Random reorganizations under a server that is killed again and again.
//!
//! A round sends deposits, makes blocks, and exchanges the last 1 to 20 of them: each transaction in them is
//! dropped, taken in elsewhere (another block, another place in it), or replaced by another of the same
//! sender and nonce. What was dropped may be sent again rounds later. Now and then a round goes deeper than
//! finality: the network has to freeze, and goes on when two people say so.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::driver::{Driver, Fates};
use super::scene::{CONFIRMATIONS, Ground, PATIENCE, Scene};
use crate::anvil::Placed;
use crate::chain_checker::Report;
use crate::crash::Chance;

/// Above the deepest ordinary reorganization, so that only the rounds that mean to go below it.
pub const FINALITY: u64 = 24;
const DEPTH: u64 = 20;
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
    pub took: Duration,
    pub report: Report,
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(
            f,
            "{} rounds in {:.0} s: {} deposits sent; by reorganizations {} dropped, {} taken in elsewhere, {} replaced; {} sent \
             again; {} kills, {} deaths at failpoints, {} freezes",
            self.rounds,
            self.took.as_secs_f64(),
            self.fates.sent,
            self.fates.dropped,
            self.fates.moved,
            self.fates.replaced,
            self.fates.sent_again,
            self.kills,
            self.failpoints,
            self.freezes
        )?;
        write!(f, "{}", self.report)
    }
}

struct Run {
    scene: Scene,
    deep_every: u32,
    chance: Chance,
    driver: Driver,
    tally: Tally,
}

/// `tell` hears of each round as it ends.
///
/// # Errors
/// When a part fails, or the installation does not come to where the chain is.
pub async fn run(options: &Options, tell: &(impl Fn(u32, &Tally) + Sync)) -> Result<Tally> {
    let started = Instant::now();
    let scene = Scene::set(&options.ground).await?;
    let mut run = Run {
        scene,
        deep_every: options.deep_every,
        chance: Chance::new(options.seed),
        driver: Driver::default(),
        tally: Tally::default(),
    };
    for round in 1..=options.rounds {
        run.round(round)
            .await
            .with_context(|| format!("round {round} of seed {}", options.seed))?;
        run.tally.rounds = round;
        run.tally.fates = run.driver.fates;
        tell(round, &run.tally);
    }
    run.tally.report = run.scene.judged().await?;
    run.tally.kills = run.scene.host.kills;
    run.tally.failpoints = run.scene.host.failpoints;
    run.tally.took = started.elapsed();
    run.scene.done().await;
    Ok(run.tally)
}

impl Run {
    async fn round(&mut self, round: u32) -> Result<()> {
        let anvil = &self.scene.anvil;
        self.driver.send_again(anvil, &mut self.chance).await?;
        for account in 0..self.chance.between(1, 5) {
            let (scene, chance) = (&self.scene, &mut self.chance);
            self.driver
                .send(&scene.anvil, &scene.payer, (chance, account as usize + 1))
                .await?;
            if self.chance.between(0, 3) == 0 {
                self.scene.anvil.mine(1).await?;
            }
        }
        let blocks = self.chance.between(1, 6);
        self.scene.anvil.mine(blocks).await?;
        let deep = round.is_multiple_of(self.deep_every);
        // Every other time the server has seen what will be taken back; else they race.
        if deep || self.chance.between(0, 2) == 0 {
            self.scene.caught_up().await?;
        }
        self.maybe_kill().await?;
        if deep {
            return self.deep().await;
        }
        let depth = 1 + self
            .chance
            .between(0, DEPTH)
            .min(self.chance.between(0, DEPTH));
        let height = self.scene.anvil.height().await?;
        let above = height - self.scene.base;
        self.reorg(depth.min(above), Vec::new()).await?;
        self.maybe_kill().await?;
        self.scene.host.alive().await?;
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

    /// Exchanges the last blocks.
    async fn reorg(&mut self, depth: u64, placed: Vec<Placed>) -> Result<()> {
        if depth == 0 {
            return Ok(());
        }
        let (scene, chance) = (&self.scene, &mut self.chance);
        self.driver
            .reorg(&scene.anvil, &scene.payer, (chance, depth), placed)
            .await
    }

    /// Deeper than finality: frozen, until two different people have said that it goes on.
    async fn deep(&mut self) -> Result<()> {
        // Finality has to have come as far as the reorganization will go.
        self.scene.anvil.mine(FINALITY + CONFIRMATIONS).await?;
        self.scene.caught_up().await?;
        let depth = FINALITY + 1 + self.chance.between(1, 4);
        let (scene, chance) = (&self.scene, &mut self.chance);
        // An account of its own, which no ordinary round uses.
        let how = (chance, 9);
        let fresh = self.driver.fresh(&scene.anvil, &scene.payer, how).await?;
        self.reorg(depth, vec![fresh]).await?;
        self.scene.anvil.mine(1).await?;
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
