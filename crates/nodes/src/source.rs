//! What the platform asks of a network, whatever its family.

use std::collections::VecDeque;
use std::ops::RangeInclusive;

use coffer_domain::address::AddressPayload;
use coffer_domain::asset::AssetKind;
use coffer_domain::block::{BlockHash, BlockHeight, BlockRef, TransactionHash};
use coffer_domain::id::AssetId;
use coffer_domain::movement::{Movement, ObservedBlock};
use coffer_domain::output::OutputId;
use coffer_domain::unconfirmed::Sight;
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesOrdered;
use ruint::aliases::U256;

use crate::NodeError;

/// The addresses that belong to us. Asked millions of times a second; must not block.
pub trait Watched: Send + Sync {
    /// May say yes for a stranger's address once in a billion, never no for one of ours.
    fn contains(&self, address: &AddressPayload) -> bool;
}

/// An asset to look for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WatchedAsset {
    pub id: AssetId,
    pub kind: AssetKind,
}

/// What to look for in a block.
pub struct Scope<'a> {
    pub assets: &'a [WatchedAsset],
    pub watched: &'a dyn Watched,
}

/// How far the chain has come, as k nodes see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heads {
    /// The highest height that k nodes have reached.
    pub agreed: BlockHeight,
    /// The highest that any node claims.
    pub highest: BlockHeight,
    /// The highest height that k nodes call final; `None` where the family has no such thing.
    pub finalized: Option<BlockHeight>,
}

/// A node as this process sees it. Nodes are named by their number from 1; a URL may hold a secret.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeStatus {
    pub number: u32,
    /// Scheme, host and port; never the path or the query.
    pub host: String,
    pub head: Option<BlockHeight>,
    /// From 0 (every answer bad) to 1.
    pub health: f64,
    pub latency_ms: Option<f64>,
    pub last_error: Option<String>,
}

/// What a token contract says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenFacts {
    pub decimals: u8,
    pub symbol: Option<String>,
}

/// A transaction in the mempools of k nodes that pays watched addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pooled {
    pub transaction: TransactionHash,
    /// The outputs that it spends.
    pub inputs: Vec<OutputId>,
    pub movements: Vec<Movement>,
}

/// A transaction that was seen in mempools, and what is asked of it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tracked {
    pub transaction: TransactionHash,
    pub inputs: Vec<OutputId>,
}

/// What the mempools of k nodes hold beside one tip.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mempool {
    /// All that pay watched addresses, each time anew.
    pub found: Vec<Pooled>,
    /// In the order in which they were asked for.
    pub sights: Vec<Sight>,
    /// Transactions that were not read yet; they come with the next looks.
    pub unread: usize,
}

/// A network's nodes, asked together. Every method believes only what k of them say or what verifies.
pub trait ChainSource: Send + Sync {
    /// Checks chain id and genesis of every node; nodes on another chain count as down until they are back.
    /// Done by itself at every connect; answers the genesis hash that k nodes gave.
    fn connect(&self) -> BoxFuture<'_, Result<BlockHash, NodeError>>;

    fn heads(&self) -> BoxFuture<'_, Result<Heads, NodeError>>;

    /// The hash that k nodes give for a height; `None` when k nodes say that they have no such block yet.
    fn agreed_hash(
        &self,
        height: BlockHeight,
    ) -> BoxFuture<'_, Result<Option<BlockHash>, NodeError>>;

    /// The hashes of heights in a row, up to the first that k nodes do not agree on, and why not. A family that can
    /// ask for many at once does.
    fn agreed_hashes(
        &self,
        heights: RangeInclusive<u64>,
    ) -> BoxFuture<'_, (Vec<BlockRef>, Option<NodeError>)> {
        Box::pin(one_by_one(self, heights))
    }

    /// The block, verified, with what it brought to watched addresses.
    fn block<'a>(
        &'a self,
        block: BlockRef,
        scope: &'a Scope<'a>,
    ) -> BoxFuture<'a, Result<ObservedBlock, NodeError>>;

    /// Balances at the end of a block, in the order of `addresses`, each as k nodes give it.
    fn balances<'a>(
        &'a self,
        at: BlockRef,
        asset: &'a AssetKind,
        addresses: &'a [AddressPayload],
    ) -> BoxFuture<'a, Result<Vec<U256>, NodeError>>;

    /// What k nodes say that a token contract says of itself, at the agreed head.
    fn token_facts<'a>(
        &'a self,
        contract: &'a AddressPayload,
    ) -> BoxFuture<'a, Result<TokenFacts, NodeError>>;

    /// What nodes whose tip is `tip` hold for the blocks to come: what of it pays watched addresses, and what
    /// became of the `tracked` transactions. A node at another tip has no say, and fewer than k at this one are
    /// [`NodeError::Elsewhere`]. `None`: the family's nodes offer no such view.
    fn mempool<'a>(
        &'a self,
        _tip: BlockRef,
        _scope: &'a Scope<'a>,
        _tracked: &'a [Tracked],
    ) -> BoxFuture<'a, Result<Option<Mempool>, NodeError>> {
        Box::pin(async { Ok(None) })
    }

    /// Returns when a node hinted that a block may be new; never, where no node gives hints.
    fn hint(&self) -> BoxFuture<'_, ()>;

    fn status(&self) -> Vec<NodeStatus>;
}

/// Questions for hashes under way at once.
const AT_ONCE: usize = 8;

async fn one_by_one<S: ChainSource + ?Sized>(
    source: &S,
    heights: RangeInclusive<u64>,
) -> (Vec<BlockRef>, Option<NodeError>) {
    let mut heights = heights.map(BlockHeight);
    let mut asked = FuturesOrdered::new();
    let mut order = VecDeque::new();
    let mut refs = Vec::new();
    loop {
        while asked.len() < AT_ONCE
            && let Some(height) = heights.next()
        {
            order.push_back(height);
            asked.push_back(source.agreed_hash(height));
        }
        let (Some(said), Some(height)) = (asked.next().await, order.pop_front()) else {
            break;
        };
        match said {
            Ok(Some(hash)) => refs.push(BlockRef { height, hash }),
            Ok(None) => return (refs, None),
            Err(error) => return (refs, Some(error)),
        }
    }
    (refs, None)
}
