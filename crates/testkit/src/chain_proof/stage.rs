//! What a proof needs of a family of chains: a real chain behind three nodes, deposits, reorganizations, lies.

use anyhow::Result;

use super::corruption::Corruption;
use super::scene::Wallet;
use crate::crash::Chance;
use crate::lying_node::Lie;

/// The family of chains that a proof runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Family {
    #[default]
    Evm,
    Bitcoin,
}

/// An asset to list: its name behind the chain's, symbol, decimals.
pub(super) type Listed = (String, &'static str, u8);

/// What became of the transactions that were sent.
#[derive(Debug, Default, Clone, Copy)]
pub struct Fates {
    pub sent: u32,
    pub dropped: u32,
    /// Taken in by another block, or at another place.
    pub moved: u32,
    /// By another of the same nonce, or one that spends the same output.
    pub replaced: u32,
    pub sent_again: u32,
    /// Blocks whose reward went to an address of ours.
    pub rewards: u32,
    /// Transactions that spent outputs of ours past Coffer, and were taken back.
    pub spent_outside: u32,
    /// Reorganizations by nodes that were apart and met again.
    pub partitions: u32,
}

impl std::fmt::Display for Fates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} deposits sent; by reorganizations {} dropped, {} taken in elsewhere, {} replaced; {} sent again",
            self.sent, self.dropped, self.moved, self.replaced, self.sent_again
        )?;
        if self.rewards > 0 {
            write!(
                f,
                "; {} rewards to wallets, {} spends past Coffer, {} partitions healed",
                self.rewards, self.spent_outside, self.partitions
            )?;
        }
        Ok(())
    }
}

/// How far and how a reorganization goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Exchange {
    /// Blocks that are exchanged.
    pub(super) depth: u64,
    /// Deeper than finality.
    pub(super) is_deep: bool,
}

/// A family's chain, from its start to its end. All calls drive the chain alone; what the installation makes of
/// it is the scene's.
pub(super) trait Stage: Sized {
    /// Names of the address kinds that wallets get, parted by commas; those of the results' columns.
    const KINDS: &'static str;
    const COLUMNS: &'static [&'static str];
    /// CAIP-2.
    const CHAIN: &'static str;
    /// What the checker has to notice on this family alone, after [`Self::disturb`].
    const CORRUPTIONS: &'static [Corruption];

    async fn start() -> Result<Self>;

    /// The real nodes, one behind each of the three that the installation is told of.
    fn node_urls(&self) -> [String; 3];

    /// The node that the checker believes.
    fn truth(&self) -> String;

    fn assets(&self) -> Vec<Listed>;

    /// Whom deposits go to.
    fn set_wallets(&mut self, wallets: &[Wallet]) -> Result<()>;

    /// Height and hash, without `0x`, of the chain that two of the three nodes have.
    async fn head(&self) -> Result<(u64, String)>;

    /// Makes blocks with what waits for one; every node has them when it comes back.
    async fn mine(&mut self, blocks: u64) -> Result<()>;

    /// A deposit that waits for a block.
    async fn pay(&mut self, chance: &mut Chance) -> Result<()>;

    fn fates(&self) -> Fates;

    /// The deposits and blocks of one round.
    async fn play(&mut self, chance: &mut Chance) -> Result<()>;

    /// Something in a block that the next reorganization must take back; whether the family has such a thing.
    async fn disturb(&mut self, chance: &mut Chance) -> Result<bool>;

    /// Parts the nodes, now and then, and makes the blocks that will lose.
    async fn split(&mut self, chance: &mut Chance) -> Result<()>;

    /// Exchanges the last blocks, or heals what was split.
    async fn reorg(&mut self, chance: &mut Chance, exchange: Exchange) -> Result<()>;

    /// Every kind of lie there is, around the height of the next block.
    fn lies(&self, next: u64) -> Vec<Lie>;
}
