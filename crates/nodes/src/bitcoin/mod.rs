//! Bitcoin, through any node that speaks the JSON-RPC of Bitcoin Core 28 or newer, Knots included.
//!
//! Guarantees: a block is one that k nodes name, and every byte of it hashes into that name, with the work that the
//! network's limit asks for; what an address gained is what the block's outputs say. A node on another chain is not
//! asked until it is back. What addresses hold is what k nodes found in their sets of unspent outputs at that block.
//! Not seen: outputs of other kinds than P2WPKH and P2TR, and balances of a block that is no more the nodes' tip
//! (`scantxoutset` knows no other). There is no finality but depth, no token, and no hint: nodes are polled.
//! What waits for a block is what k nodes have in their mempools while they are at the same tip; a transaction's bytes
//! hash into its id, so that one node suffices to read it.
//! Cost per block: a hash from each node and the raw block from one. A balance question makes k nodes read their
//! whole set of unspent outputs, which takes minutes on the main network, whoever asks and for however many. A look at the mempools costs a list of 67 bytes per transaction from each node (20 MB for
//! 300,000; there is no way to ask for what changed), each new transaction once, and one question for those that vanished;
//! 32 bytes of memory stay for each transaction that is in the mempools of k nodes.

mod connect;
mod fetch;
mod heads;
mod holdings;
mod mempool;
mod observe;
mod pools;

use std::ops::RangeInclusive;
use std::time::Duration;

use coffer_domain::address::{AddressPayload, BitcoinNetwork};
use coffer_domain::asset::AssetKind;
use coffer_domain::block::{BlockHash, BlockHeight, BlockRef};
use coffer_domain::chain::ChainFamily;
use coffer_domain::movement::ObservedBlock;
use coffer_domain::network::{Finality, Network};
use futures_util::future::BoxFuture;
use ruint::aliases::U256;

use crate::json_rpc::{Limits, Random};
use crate::quorum::Chain;
use crate::{ChainSource, Heads, Mempool, NodeError, NodeStatus, Scope, TokenFacts, Tracked};

use self::connect::ByName;
use self::mempool::Read;

/// How long a node may read its set of unspent outputs.
const SCAN_WITHIN: Duration = Duration::from_secs(600);

/// A network's nodes.
pub struct BitcoinSource {
    chain: Chain,
    /// The same nodes, asked with more patience.
    scanners: Chain,
    network: BitcoinNetwork,
    /// Held for the whole of a look.
    read: tokio::sync::Mutex<Read>,
}

impl BitcoinSource {
    /// Asks nobody yet. The nodes' URLs must have their secrets filled in.
    pub fn open(network: &Network, limits: Limits, random: &Random) -> Result<Self, NodeError> {
        let Some(ChainFamily::Bitcoin(kind)) = network.chain.family() else {
            let text = format!("{} is not a Bitcoin chain", network.chain);
            return Err(NodeError::Configuration(text));
        };
        if network.settings.finality == Finality::Tag {
            let text = "Bitcoin nodes call no block final; give finality as a depth";
            return Err(NodeError::Configuration(text.to_owned()));
        }
        let by_name = || {
            Box::new(ByName {
                network: kind,
                genesis: network.chain.reference().to_owned(),
            })
        };
        let patient = Limits {
            request_timeout: SCAN_WITHIN,
            deadline: SCAN_WITHIN,
            attempts_max: 1,
            ..limits
        };
        Ok(Self {
            chain: Chain::open(network, limits, random, by_name())?,
            scanners: Chain::open(network, patient, random, by_name())?,
            network: kind,
            read: tokio::sync::Mutex::default(),
        })
    }
}

impl ChainSource for BitcoinSource {
    fn connect(&self) -> BoxFuture<'_, Result<BlockHash, NodeError>> {
        Box::pin(self.chain.ground_all())
    }

    fn heads(&self) -> BoxFuture<'_, Result<Heads, NodeError>> {
        Box::pin(self.ask_heads())
    }

    fn agreed_hash(
        &self,
        height: BlockHeight,
    ) -> BoxFuture<'_, Result<Option<BlockHash>, NodeError>> {
        Box::pin(self.ask_hash(height))
    }

    fn agreed_hashes(
        &self,
        heights: RangeInclusive<u64>,
    ) -> BoxFuture<'_, (Vec<BlockRef>, Option<NodeError>)> {
        Box::pin(self.ask_hashes(heights))
    }

    fn block<'a>(
        &'a self,
        block: BlockRef,
        scope: &'a Scope<'a>,
    ) -> BoxFuture<'a, Result<ObservedBlock, NodeError>> {
        Box::pin(self.observe(block, scope))
    }

    fn balances<'a>(
        &'a self,
        at: BlockRef,
        asset: &'a AssetKind,
        addresses: &'a [AddressPayload],
    ) -> BoxFuture<'a, Result<Vec<U256>, NodeError>> {
        Box::pin(async move {
            match asset {
                AssetKind::Native => self.holdings_at(at, addresses).await,
                AssetKind::Token(_) => Err(no_tokens()),
            }
        })
    }

    fn token_facts<'a>(
        &'a self,
        _contract: &'a AddressPayload,
    ) -> BoxFuture<'a, Result<TokenFacts, NodeError>> {
        Box::pin(async { Err(no_tokens()) })
    }

    fn mempool<'a>(
        &'a self,
        tip: BlockRef,
        scope: &'a Scope<'a>,
        tracked: &'a [Tracked],
    ) -> BoxFuture<'a, Result<Option<Mempool>, NodeError>> {
        Box::pin(async move { self.look(tip, scope, tracked).await.map(Some) })
    }

    fn hint(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::pending())
    }

    fn status(&self) -> Vec<NodeStatus> {
        let nodes = &self.chain.panel.nodes;
        nodes.iter().map(|node| node.status()).collect()
    }
}

fn no_tokens() -> NodeError {
    NodeError::Configuration("there are no tokens on Bitcoin".to_owned())
}
