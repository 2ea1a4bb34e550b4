//! Random reorganizations under a server that is killed again and again.
//!
//! A round sends deposits, makes blocks, and exchanges the last 1 to 20 of them: each transaction in them is
//! dropped, taken in elsewhere (another block, another place in it), or replaced by another of the same
//! sender and nonce. What was dropped may be sent again rounds later. Every fiftieth round goes deeper than
//! finality: the network has to freeze, and goes on when two people say so.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::scene::{CONFIRMATIONS, Ground, PATIENCE, Scene};
use crate::anvil::{Placed, keccak256};
use crate::chain_checker::Report;
use crate::crash::Chance;

/// Above the deepest ordinary reorganization, so that only the rounds that mean to go below it.
pub const FINALITY: u64 = 24;
const DEPTH: u64 = 20;
const DEEP_EVERY: u32 = 50;
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
    pub seed: u64,
}

#[derive(Debug, Default)]
pub struct Tally {
    pub rounds: u32,
    pub sent: u32,
    pub dropped: u32,
    pub moved: u32,
    pub replaced: u32,
    pub sent_again: u32,
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
            self.sent,
            self.dropped,
            self.moved,
            self.replaced,
            self.sent_again,
            self.kills,
            self.failpoints,
            self.freezes
        )?;
        write!(f, "{}", self.report)
    }
}

#[derive(Clone)]
struct Sent {
    from: String,
    nonce: u128,
    raw: String,
}

struct Run {
    scene: Scene,
    chance: Chance,
    /// By transaction hash, all that was ever signed.
    sent: HashMap<String, Sent>,
    /// Dropped by a reorganization, and not seen since.
    lost: Vec<Sent>,
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
        chance: Chance::new(options.seed),
        sent: HashMap::new(),
        lost: Vec::new(),
        tally: Tally::default(),
    };
    for round in 1..=options.rounds {
        run.round(round)
            .await
            .with_context(|| format!("round {round} of seed {}", options.seed))?;
        run.tally.rounds = round;
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
        self.send_again().await?;
        for account in 0..self.chance.between(1, 5) {
            self.send(account as usize).await?;
            if self.chance.between(0, 3) == 0 {
                self.scene.anvil.mine(1).await?;
            }
        }
        let blocks = self.chance.between(1, 6);
        self.scene.anvil.mine(blocks).await?;
        let deep = round.is_multiple_of(DEEP_EVERY);
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
        self.reorg(depth.min(height - self.base())).await?;
        self.maybe_kill().await?;
        self.scene.host.alive().await?;
        Ok(())
    }

    /// The set-up's blocks stay.
    fn base(&self) -> u64 {
        6
    }

    async fn send(&mut self, account: usize) -> Result<()> {
        let fields = self.scene.deposit(&mut self.chance)?;
        let from = self.scene.anvil.accounts[account + 1].clone();
        let sent = self.signed(&from, fields, None).await?;
        let hash = self.scene.anvil.send_raw(&sent.raw).await?;
        self.sent.insert(hash, sent);
        self.tally.sent += 1;
        Ok(())
    }

    async fn signed(&self, from: &str, mut fields: Value, nonce: Option<u128>) -> Result<Sent> {
        let anvil = &self.scene.anvil;
        let nonce = match nonce {
            Some(nonce) => nonce,
            None => anvil.nonce(from).await?,
        };
        fields["nonce"] = json!(format!("{nonce:#x}"));
        Ok(Sent {
            from: from.to_owned(),
            nonce,
            raw: anvil.sign(from, fields).await?,
        })
    }

    /// Some of what was dropped comes again, if nothing has taken its place.
    async fn send_again(&mut self) -> Result<()> {
        for sent in std::mem::take(&mut self.lost) {
            let next = self.scene.anvil.nonce(&sent.from).await?;
            if sent.nonce < next {
                continue;
            }
            if sent.nonce == next && self.chance.between(0, 3) == 0 {
                self.scene.anvil.send_raw(&sent.raw).await?;
                self.tally.sent_again += 1;
            } else if sent.nonce > next || self.chance.between(0, 2) == 0 {
                self.lost.push(sent);
            }
        }
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
        let known = armed.filter(|text| {
            let name = text.split(':').next().unwrap_or_default();
            coffer_failpoint::NAMES.contains(&name)
        });
        self.scene.host.kill(known).await;
        self.scene.host.alive().await?;
        Ok(())
    }

    /// Exchanges the last blocks.
    async fn reorg(&mut self, depth: u64) -> Result<()> {
        if depth == 0 {
            return Ok(());
        }
        let placed = self.fates(depth).await?;
        self.scene.anvil.reorg(depth, &placed).await
    }

    /// What comes into the new blocks. Of each sender a run of nonces without a gap, in order.
    async fn fates(&mut self, depth: u64) -> Result<Vec<Placed>> {
        let head = self.scene.anvil.height().await?;
        let mut senders: Vec<(String, Vec<Sent>)> = Vec::new();
        for height in head - depth + 1..=head {
            let block = self.scene.anvil.block(height).await?;
            for hash in block["transactions"].as_array().into_iter().flatten() {
                let hash = hash.as_str().unwrap_or_default();
                let Some(sent) = self.sent.get(hash) else {
                    continue;
                };
                match senders.iter_mut().find(|(from, _)| *from == sent.from) {
                    Some((_, list)) => list.push(sent.clone()),
                    None => senders.push((sent.from.clone(), vec![sent.clone()])),
                }
            }
        }
        // Another order of senders is another place in the block, and another log index.
        if self.chance.between(0, 2) == 0 {
            senders.reverse();
        }
        let mut placed = Vec::new();
        for (_, list) in senders {
            self.fate_of(list, depth, &mut placed).await?;
        }
        placed.sort_by_key(|placed: &Placed| placed.block);
        Ok(placed)
    }

    async fn fate_of(
        &mut self,
        list: Vec<Sent>,
        depth: u64,
        placed: &mut Vec<Placed>,
    ) -> Result<()> {
        let mut block = 0;
        let mut gone = false;
        for sent in list {
            let fate = self.chance.between(0, 6);
            if gone || fate == 0 {
                gone = true;
                self.tally.dropped += 1;
                self.lost.push(sent);
                continue;
            }
            block = self.chance.between(block, depth);
            let raw = if fate == 1 {
                let fields = self.scene.deposit(&mut self.chance)?;
                let other = self.signed(&sent.from, fields, Some(sent.nonce)).await?;
                let bytes = hex::decode(other.raw.trim_start_matches("0x"))?;
                let hash = format!("0x{}", hex::encode(keccak256(&bytes)));
                self.sent.insert(hash, other.clone());
                self.tally.replaced += 1;
                other.raw
            } else {
                self.tally.moved += 1;
                sent.raw
            };
            placed.push(Placed { raw, block });
        }
        Ok(())
    }

    /// Deeper than finality: frozen, until two different people have said that it goes on.
    async fn deep(&mut self) -> Result<()> {
        // Finality has to have come as far as the reorganization will go.
        self.scene.anvil.mine(FINALITY + CONFIRMATIONS).await?;
        self.scene.caught_up().await?;
        let depth = FINALITY + 1 + self.chance.between(1, 4);
        self.reorg(depth).await?;
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
