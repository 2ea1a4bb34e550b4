//! Bitcoin's stage: three nodes of regtest that know each other, one behind each proxy.
//!
//! The first node makes the blocks. A reorganization is its `invalidateblock` and a longer chain, which the other
//! two follow by themselves; or the first was apart, and comes back with more work. Blocks hold exactly what is
//! planned, whatever lies in the nodes' pools.

mod coins;
mod driver;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use bitcoin::Transaction;
use serde_json::json;

use super::corruption::{Corruption, OF_BITCOIN};
use super::evm::of_the_wire;
use super::scene::Wallet;
use super::stage::{Exchange, Fates, Listed, Stage};
use crate::bitcoind::{Bitcoind, COIN, Options};
use crate::crash::Chance;
use crate::lying_node::{BitcoinLie, Fault, Lie};
use coins::{Coin, Keys};
use driver::{Driver, Plan};

/// Codes of a node's errors.
const NO_SUCH_BLOCK: i64 = -8;
const WARMING_UP: i64 = -28;
/// Rewards of 50 coins that the purses are filled from.
const REWARDS: u64 = 20;
const PURSES: u32 = 8;
const PURSE_COINS: u64 = 100;
/// Blocks that a parted side makes before it loses, at most.
const SPLIT_MAX: u64 = 8;
/// Branches that a node is led away from before it stands where it should.
const BRANCHES_MAX: u32 = 100;
const TOGETHER_WITHIN: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(5);

pub(super) struct Bitcoin {
    nodes: [Bitcoind; 3],
    driver: Driver,
    /// The height at which the first node went apart.
    split_at: Option<u64>,
}

impl Bitcoin {
    async fn purses(node: &Bitcoind, keys: &mut Keys) -> Result<Vec<Coin>> {
        let mut outputs = Vec::new();
        let mut scripts = Vec::new();
        for number in 0..PURSES {
            let script = keys.purse(number)?;
            let address = bitcoin::Address::from_script(&script, bitcoin::Network::Regtest)?;
            outputs.push((address.to_string(), PURSE_COINS * COIN));
            scripts.push(script);
        }
        let txid = node.send_many(&outputs).await?;
        node.mine(1).await?;
        let raw = node
            .rpc()
            .call("getrawtransaction", json!([txid, 0, node.head().await?.1]));
        let raw = raw.await?;
        let raw = hex::decode(raw.as_str().context("a raw transaction")?)?;
        let transaction: Transaction = bitcoin::consensus::deserialize(&raw)?;
        let mut purses = Vec::new();
        for (number, output) in transaction.output.iter().enumerate() {
            if scripts.contains(&output.script_pubkey) {
                purses.push(Coin::of(&transaction, number));
            }
        }
        ensure!(purses.len() == scripts.len(), "a purse is missing");
        Ok(purses)
    }

    /// The node that makes the next block: the majority's while they are apart.
    fn maker(&self) -> &Bitcoind {
        &self.nodes[usize::from(self.split_at.is_some())]
    }

    /// One block with exactly what is planned.
    async fn make(&mut self, plan: Plan) -> Result<()> {
        let node = self.maker();
        node.mine_only_to(plan.reward.as_deref(), &plan.transactions())
            .await?;
        let (height, _) = node.head().await?;
        self.driver.made(height, plan);
        Ok(())
    }

    /// Takes the first node back to where the others' chain was at that height. Without its last blocks it may take
    /// up another branch that it knows, such as one that lost before; that one goes, too.
    async fn back_to(&self, fork: u64) -> Result<()> {
        let [one, two, _] = &self.nodes;
        let wanted = two.hash_at(fork).await?;
        for _ in 0..BRANCHES_MAX {
            let (height, hash) = one.head().await?;
            if hash == wanted {
                return Ok(());
            }
            let mut shared = fork.min(height);
            while one.hash_at(shared).await? != two.hash_at(shared).await? {
                shared -= 1;
            }
            ensure!(shared < height, "the first node has lost block {height}");
            one.invalidate(&one.hash_at(shared + 1).await?).await?;
        }
        bail!("the first node knows branches without end")
    }

    /// Until the nodes from `first` on have the same chain.
    async fn together(&self, first: usize) -> Result<()> {
        let deadline = Instant::now() + TOGETHER_WITHIN;
        loop {
            let mut heads = Vec::new();
            for node in &self.nodes[first..] {
                heads.push(node.head().await?);
            }
            if heads.windows(2).all(|pair| pair[0] == pair[1]) {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "the nodes stay apart: {heads:?}");
            // Paced: nodes tell nobody that they have heard of a block.
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Deposits of some purses, each in the pool first, every other time.
    async fn deposits(&mut self, chance: &mut Chance) -> Result<()> {
        for purse in 0..self.driver.purses() {
            if chance.between(0, 3) != 0 {
                continue;
            }
            let raw = self.driver.send(chance, purse)?;
            if chance.between(0, 2) == 0 {
                // Refused where something that was dropped spends the same coin; blocks do not ask the pool.
                let _ = self.maker().send_raw(&raw).await;
            }
        }
        Ok(())
    }

    async fn blocks(&mut self, chance: &mut Chance, count: u64) -> Result<()> {
        for _ in 0..count {
            if chance.between(0, 2) == 0 {
                self.deposits(chance).await?;
            }
            let mut plan = self.driver.next();
            if chance.between(0, 5) == 0 {
                plan.reward = Some(self.driver.rewarded(chance)?);
            }
            self.make(plan).await?;
        }
        Ok(())
    }
}

impl Stage for Bitcoin {
    const KINDS: &'static str = "bitcoin,bitcoin-taproot";
    const COLUMNS: &'static [&'static str] = &["bitcoin", "bitcoin_taproot"];
    const CHAIN: &'static str = "bip122:0f9188f13cb7b2c71f2a335e3a4fc328";
    const CORRUPTIONS: &'static [Corruption] = OF_BITCOIN;

    async fn start() -> Result<Self> {
        let options = Options::default();
        let (one, two, three) = tokio::try_join!(
            Bitcoind::start(&options),
            Bitcoind::start(&options),
            Bitcoind::start(&options)
        )?;
        one.fund(REWARDS).await?;
        let mut keys = Keys::new();
        let purses = Self::purses(&one, &mut keys).await?;
        one.join(&two).await?;
        one.join(&three).await?;
        two.join(&three).await?;
        Ok(Self {
            nodes: [one, two, three],
            driver: Driver::new(keys, purses),
            split_at: None,
        })
    }

    fn node_urls(&self) -> [String; 3] {
        [0, 1, 2].map(|place: usize| self.nodes[place].url_with_credentials())
    }

    /// One of the majority.
    fn truth(&self) -> String {
        self.nodes[1].url_with_credentials()
    }

    fn assets(&self) -> Vec<Listed> {
        vec![("slip44:0".to_owned(), "BTC", 8)]
    }

    fn set_wallets(&mut self, wallets: &[Wallet]) -> Result<()> {
        self.driver.set_wallets(wallets)
    }

    async fn head(&self) -> Result<(u64, String)> {
        self.nodes[1].head().await
    }

    async fn mine(&mut self, blocks: u64) -> Result<()> {
        for _ in 0..blocks {
            let plan = self.driver.next();
            self.make(plan).await?;
        }
        self.together(usize::from(self.split_at.is_some())).await
    }

    async fn pay(&mut self, chance: &mut Chance) -> Result<()> {
        let purse = usize::try_from(chance.between(0, self.driver.purses() as u64))?;
        self.driver.send(chance, purse)?;
        Ok(())
    }

    fn fates(&self) -> Fates {
        self.driver.fates
    }

    async fn play(&mut self, chance: &mut Chance) -> Result<()> {
        self.driver.send_again(chance);
        self.deposits(chance).await?;
        let blocks = chance.between(1, 7);
        self.blocks(chance, blocks).await?;
        self.together(0).await
    }

    async fn disturb(&mut self, chance: &mut Chance) -> Result<bool> {
        if !self.driver.spend_outside(chance)? {
            return Ok(false);
        }
        let mut plan = self.driver.next();
        // A reward that is far from being spendable, too.
        plan.reward = Some(self.driver.rewarded(chance)?);
        self.make(plan).await?;
        self.together(usize::from(self.split_at.is_some())).await?;
        Ok(true)
    }

    async fn split(&mut self, chance: &mut Chance) -> Result<()> {
        if chance.between(0, 6) != 0 {
            return Ok(());
        }
        let (height, _) = self.head().await?;
        self.nodes[0].part().await?;
        self.split_at = Some(height);
        let blocks = chance.between(1, SPLIT_MAX + 1);
        self.blocks(chance, blocks).await?;
        self.together(1).await
    }

    async fn reorg(&mut self, chance: &mut Chance, exchange: Exchange) -> Result<()> {
        let (height, _) = self.head().await?;
        let split_at = self.split_at.take();
        let fork = split_at.unwrap_or(height - exchange.depth);
        if split_at.is_none() {
            self.back_to(fork).await?;
        }
        // One more than there was: work is what convinces the other nodes.
        let blocks = usize::try_from(height - fork + 1)?;
        let mut plans = self.driver.exchange(chance, (fork, blocks))?;
        // Without a reward of its own an empty block made again within a second would be the very same.
        plans[0].reward = Some(self.nodes[0].new_address().await?);
        for plan in plans {
            self.make(plan).await?;
        }
        let (reached, _) = self.nodes[0].head().await?;
        ensure!(
            reached == height + 1,
            "the first node stands at {reached} instead of {}",
            height + 1
        );
        if let Some(fork) = split_at {
            self.driver.fates.partitions += 1;
            let [one, two, three] = &self.nodes;
            let lost = two.hash_at(fork + 1).await?;
            one.join(two).await?;
            one.join(three).await?;
            // Else it would fetch the blocks of the branch that lost as soon as it stands lower itself. Where it never
            // heard of that branch, there is nothing to refuse.
            let _ = one.invalidate(&lost).await;
        }
        self.together(0).await
    }

    fn lies(&self, next: u64) -> Vec<Lie> {
        let script = self.driver.first().to_hex_string();
        let own = BitcoinLie::all(next, &script).into_iter();
        let faults = [
            Fault::Unknown,
            Fault::Lag(10),
            Fault::Backwards(5),
            Fault::Ahead(1_000),
            Fault::ChainId(1),
            Fault::Genesis,
            Fault::Error(NO_SUCH_BLOCK),
            Fault::Error(WARMING_UP),
        ];
        own.map(Fault::Bitcoin)
            .chain(faults)
            .chain(of_the_wire())
            .map(Lie::from)
            .collect()
    }
}
