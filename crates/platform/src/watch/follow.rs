//! One network's loop, step by step: heads, walk, then undo or fetch and take.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use coffer_domain::block::{BlockHeight, BlockRef};
use coffer_domain::chain::ChainFamily;
use coffer_domain::id::NetworkId;
use coffer_domain::network::{Network, NetworkState};
use coffer_domain::sync::{Agreement, Step, Walk};
use coffer_nodes::{ChainSource, Heads, NodeError, Scope, WatchedAsset};
use coffer_store::blocks;
use coffer_store::progress::Progress;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesOrdered;

use super::apply::{Applied, Ready, scope_of};
use super::{Followed, passed};
use crate::{Error, Platform};

/// Blocks of one network asked for at once.
const AT_ONCE: usize = 8;
/// Until the network's own setting is known.
const POLL: Duration = Duration::from_millis(500);

/// What was found out about the chain on the way to the next block.
enum Ahead {
    /// The tip is the chain's: these heights may be fetched.
    Extend {
        first: BlockHeight,
        heads: Heads,
    },
    Undo {
        tip: BlockRef,
        ancestor: Option<BlockHeight>,
        depth: u64,
    },
    Freeze(u64),
    Waiting(String),
}

/// Follows one network. What it keeps between steps may be lost at any time.
pub(super) struct Follower {
    network: NetworkId,
    blocks_ahead: usize,
    ready: VecDeque<Ready>,
    /// Blocks above this height are being undone; `None`: no reorganization is under way.
    undoing: Option<(Option<BlockHeight>, u64)>,
    poll: Duration,
    source: Option<Arc<dyn ChainSource>>,
}

impl Follower {
    pub(super) fn new(network: NetworkId, blocks_ahead: usize) -> Self {
        Self {
            network,
            blocks_ahead,
            ready: VecDeque::new(),
            undoing: None,
            poll: POLL,
            source: None,
        }
    }

    pub(super) fn start_over(&mut self) {
        self.ready.clear();
        self.undoing = None;
    }

    pub(super) fn poll_interval(&self) -> Duration {
        self.poll
    }

    /// Returns when a node hinted that there may be a new block.
    pub(super) async fn hint(&self) {
        match &self.source {
            Some(source) => source.hint().await,
            None => std::future::pending().await,
        }
    }

    pub(super) async fn step(&mut self, platform: &Platform) -> Result<Followed, Error> {
        let (network, progress) = platform.stand_of(self.network).await?;
        self.poll = Duration::from_millis(u64::from(network.settings.poll_interval_ms));
        platform.guard(network.organization)?;
        let frozen = network.state == NetworkState::Frozen;
        metrics::gauge!("coffer_network_frozen", "network" => self.network.to_string())
            .set(if frozen { 1.0 } else { 0.0 });
        match network.state {
            NetworkState::Active => {}
            NetworkState::Frozen => {
                self.start_over();
                return Ok(Followed::Frozen);
            }
            NetworkState::Paused => {
                self.start_over();
                return Ok(Followed::Waiting("the network is paused".to_owned()));
            }
        }
        if let Some(tip) = progress.tip
            && let Some((ancestor, depth)) = self.undoing
            && ancestor < Some(tip.height)
        {
            return self.undo(platform, tip, depth).await;
        }
        self.undoing = None;
        if self.ready.is_empty() {
            let source = platform.source(&network)?;
            self.source = Some(Arc::clone(&source));
            match platform.look_ahead(&network, &progress, &*source).await? {
                Ahead::Waiting(why) => return Ok(Followed::Waiting(why)),
                Ahead::Freeze(depth) => return self.freeze(platform, depth).await,
                Ahead::Undo {
                    tip,
                    ancestor,
                    depth,
                } => {
                    metrics::counter!("coffer_reorgs_total", "network" => self.network.to_string())
                        .increment(1);
                    #[expect(clippy::cast_precision_loss, reason = "a depth stays below 2^53")]
                    metrics::histogram!("coffer_reorg_depth").record(depth as f64);
                    tracing::warn!(network = %self.network, depth, "the chain was reorganized");
                    self.undoing = Some((ancestor, depth));
                    return self.undo(platform, tip, depth).await;
                }
                Ahead::Extend { first, heads } => {
                    let fetched = self.fetch(platform, &network, (first, heads)).await?;
                    if let Some(other) = fetched {
                        return Ok(other);
                    }
                }
            }
        }
        self.take(platform).await
    }

    async fn take(&mut self, platform: &Platform) -> Result<Followed, Error> {
        let Some(ready) = self.ready.pop_front() else {
            return Ok(Followed::Idle);
        };
        match platform.apply_block(self.network, &ready).await? {
            Applied::Took => Ok(Followed::Took(ready.block.block)),
            Applied::Stale(why) => {
                self.start_over();
                Ok(Followed::Waiting(why.to_owned()))
            }
        }
    }

    async fn undo(
        &mut self,
        platform: &Platform,
        tip: BlockRef,
        depth: u64,
    ) -> Result<Followed, Error> {
        self.ready.clear();
        if platform.undo_block(self.network, tip, depth).await? {
            return Ok(Followed::Undid(tip));
        }
        self.start_over();
        let why = "another process moved the network on, or stopped it";
        Ok(Followed::Waiting(why.to_owned()))
    }

    async fn freeze(&mut self, platform: &Platform, depth: u64) -> Result<Followed, Error> {
        self.start_over();
        let reason = format!(
            "the nodes agree on another chain {depth} blocks deep, below what was final; nothing was undone"
        );
        tracing::error!(network = %self.network, depth, alarm = "reorganization", "{reason}");
        platform.freeze_network(self.network, &reason).await?;
        metrics::gauge!("coffer_network_frozen", "network" => self.network.to_string()).set(1.0);
        Ok(Followed::Frozen)
    }

    /// Fetches the next blocks. Answers what to say instead, when there is none to take.
    async fn fetch(
        &mut self,
        platform: &Platform,
        network: &Network,
        (first, heads): (BlockHeight, Heads),
    ) -> Result<Option<Followed>, Error> {
        if first > heads.agreed {
            return Ok(Some(Followed::Idle));
        }
        let source = platform.source(network)?;
        let ahead = u64::try_from(self.blocks_ahead).unwrap_or(1);
        let last = first.0.saturating_add(ahead - 1).min(heads.agreed.0);
        let (refs, failed) = source.agreed_hashes(first.0..=last).await;
        if refs.is_empty() {
            let why = failed.map_or_else(
                || "the nodes have no such block yet".to_owned(),
                |error| platform.waits(self.network, &error),
            );
            return Ok(Some(Followed::Waiting(why)));
        }
        // Only now: what is issued from here on cannot be paid to in a block whose hash is known.
        let (blocks, failed) = platform.fetch(network, &*source, &refs, heads).await?;
        if blocks.is_empty() {
            let why = failed.map_or_else(
                || "no block was given".to_owned(),
                |error| platform.waits(self.network, &error),
            );
            return Ok(Some(Followed::Waiting(why)));
        }
        self.ready = linked(blocks);
        Ok(None)
    }
}

/// The blocks up to the first that does not name the one before it: there the chain moved meanwhile.
fn linked(blocks: Vec<Ready>) -> VecDeque<Ready> {
    let mut ready: VecDeque<Ready> = VecDeque::with_capacity(blocks.len());
    for block in blocks {
        let follows = ready
            .back()
            .is_none_or(|last| last.block.block.hash == block.block.parent);
        if !follows {
            break;
        }
        ready.push_back(block);
    }
    ready
}

impl Platform {
    /// The network and how far it was followed, in one snapshot.
    async fn stand_of(&self, network: NetworkId) -> Result<(Network, Progress), Error> {
        let mut tx = self.0.db.read().await?;
        let row = self.network_in(&mut tx, network).await?;
        let progress = self.progress_in(&mut tx, network).await?;
        Ok((row, progress))
    }

    /// Says why a network waits for its nodes, and counts it.
    fn waits(&self, network: NetworkId, error: &NodeError) -> String {
        if matches!(error, NodeError::NoQuorum { .. }) {
            metrics::counter!("coffer_quorum_failures_total", "network" => network.to_string())
                .increment(1);
        }
        error.to_string()
    }

    /// Compares the nodes' chain with ours, from the tip downwards.
    async fn look_ahead(
        &self,
        network: &Network,
        progress: &Progress,
        source: &dyn ChainSource,
    ) -> Result<Ahead, Error> {
        let heads = match source.heads().await {
            Ok(heads) => heads,
            Err(error) => return Ok(Ahead::Waiting(self.waits(network.id, &error))),
        };
        let reached = progress
            .tip
            .map_or(network.settings.start_height, |tip| tip.height.0);
        #[expect(clippy::cast_precision_loss, reason = "a lag stays below 2^53")]
        metrics::gauge!("coffer_head_lag_blocks", "network" => network.id.to_string())
            .set(heads.agreed.0.saturating_sub(reached) as f64);
        let Some(tip) = progress.tip else {
            let first = BlockHeight(network.settings.start_height);
            return Ok(Ahead::Extend { first, heads });
        };
        let mut tx = self.0.db.read().await?;
        let start = blocks::first_height(&mut tx, network.id).await?;
        drop(tx);
        let start = start.unwrap_or(tip.height);
        let mut step = Walk::begin(tip.height, start, progress.finalized, heads.agreed);
        loop {
            step = match step {
                Step::Ask(walk) => match self.ask(network.id, walk, tip, source).await? {
                    Ok(agreement) => walk.answer(agreement),
                    Err(error) => return Ok(Ahead::Waiting(self.waits(network.id, &error))),
                },
                Step::Extend => {
                    let first = tip.height.next();
                    return Ok(Ahead::Extend { first, heads });
                }
                Step::Wait => {
                    let why = format!("the nodes are behind block {}", tip.height);
                    return Ok(Ahead::Waiting(why));
                }
                Step::Undo { ancestor, depth } => {
                    return Ok(Ahead::Undo {
                        tip,
                        ancestor,
                        depth,
                    });
                }
                Step::Freeze { depth } => return Ok(Ahead::Freeze(depth)),
            };
        }
    }

    /// What k nodes say of a height, compared with the block that was taken there.
    async fn ask(
        &self,
        network: NetworkId,
        walk: Walk,
        tip: BlockRef,
        source: &dyn ChainSource,
    ) -> Result<Result<Agreement, NodeError>, Error> {
        let height = walk.height();
        let ours = if height == tip.height {
            tip.hash
        } else {
            let mut tx = self.0.db.read().await?;
            let row = self.block_in(&mut tx, network, height).await?;
            let missing = || crate::seal::refused(format!("block {height} of {network}"));
            row.ok_or_else(missing)?.block.hash
        };
        Ok(source.agreed_hash(height).await.map(|said| match said {
            Some(hash) if hash == ours => Agreement::Same,
            Some(_) => Agreement::Other,
            None => Agreement::Unknown,
        }))
    }

    /// Fetches and searches blocks whose hashes are known, up to the first that cannot be had.
    async fn fetch(
        &self,
        network: &Network,
        source: &dyn ChainSource,
        refs: &[BlockRef],
        heads: Heads,
    ) -> Result<(Vec<Ready>, Option<NodeError>), Error> {
        let mut tx = self.0.db.read().await?;
        let assets = scope_of(&self.asset_rows(&mut tx, network).await?);
        drop(tx);
        self.fetch_for(network, source, (refs, assets), heads).await
    }

    /// Like [`Self::fetch`], for the assets that the caller names.
    pub(super) async fn fetch_for(
        &self,
        network: &Network,
        source: &dyn ChainSource,
        (refs, assets): (&[BlockRef], Vec<WatchedAsset>),
        heads: Heads,
    ) -> Result<(Vec<Ready>, Option<NodeError>), Error> {
        let family = network.chain.family().unwrap_or(ChainFamily::Evm);
        let watched = self.extend_watching(network.organization, family).await?;
        let assets = Arc::new(assets);
        let scope = Scope {
            assets: &assets,
            watched: &watched,
        };
        let mut waiting = refs.iter().copied();
        let mut fetching = FuturesOrdered::new();
        let mut ready = Vec::with_capacity(refs.len());
        loop {
            while fetching.len() < AT_ONCE
                && let Some(block) = waiting.next()
            {
                fetching.push_back(source.block(block, &scope));
            }
            let block = match fetching.next().await {
                None => break,
                Some(Ok(block)) => block,
                Some(Err(error)) => return Ok((ready, Some(error))),
            };
            passed("block.fetched")?;
            let owners = self.owners(&watched, &block.movements).await?;
            ready.push(Ready {
                block,
                assets: Arc::clone(&assets),
                owners,
                finalized: heads.finalized,
            });
        }
        Ok((ready, None))
    }
}
