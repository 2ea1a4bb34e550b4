//! One chain, three nodes in front of it, and a reader of two of three.

use std::collections::HashSet;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use coffer_chains::evm::payload;
use coffer_domain::address::AddressPayload;
use coffer_domain::asset::AssetKind;
use coffer_domain::block::{BlockHeight, BlockRef};
use coffer_domain::id::{AssetId, NetworkId, OrganizationId};
use coffer_domain::movement::{Movement, ObservedBlock};
use coffer_domain::network::{Finality, Network, NetworkSettings, NetworkState, NodeUrl};
use coffer_nodes::evm::EvmSource;
use coffer_nodes::{ChainSource, Limits, NodeError, Scope, Watched, WatchedAsset};
use coffer_testkit::anvil::{Anvil, Contract, Options};
use coffer_testkit::lying_node::LyingNode;

/// A set in memory.
#[derive(Default)]
pub(crate) struct Ours(HashSet<AddressPayload>);

impl Watched for Ours {
    fn contains(&self, address: &AddressPayload) -> bool {
        self.0.contains(address)
    }
}

/// The first of our addresses; nobody has its key.
pub(crate) const ALICE: &str = "0x00000000000000000000000000000000000A11cE";
pub(crate) const BOB: &str = "0x0000000000000000000000000000000000000b0B";

pub(crate) struct Bench {
    pub(crate) anvil: Anvil,
    pub(crate) nodes: Vec<LyingNode>,
    pub(crate) source: EvmSource,
    ours: Ours,
    assets: Vec<WatchedAsset>,
}

pub(crate) fn address(text: &str) -> AddressPayload {
    payload(text.parse().expect("an address"))
}

/// Quick to give up, so that a test of silence is quick.
pub(crate) fn limits() -> Limits {
    Limits {
        request_timeout: Duration::from_millis(1500),
        deadline: Duration::from_secs(4),
        body_bytes_max: 8 << 20,
        pause_base: Duration::from_millis(5),
        pause_max: Duration::from_millis(50),
        ..Limits::default()
    }
}

pub(crate) fn network(urls: &[String], quorum: u32, chain_id: u64) -> Network {
    let organization = OrganizationId::from_digest(&[7; 32]);
    let chain = format!("eip155:{chain_id}").parse().expect("a chain id");
    let nodes = urls.iter().map(|url| NodeUrl {
        rpc: url.clone(),
        websocket: None,
    });
    Network {
        id: NetworkId::of(organization, &chain),
        organization,
        settings: NetworkSettings {
            name: "test".to_owned(),
            nodes: nodes.collect(),
            quorum,
            confirmations: NonZeroU32::MIN,
            finality: Finality::Tag,
            start_height: 0,
            genesis: None,
            poll_interval_ms: 100,
        },
        chain,
        state: NetworkState::Active,
        reason: None,
        resume_by: None,
        created_at_ms: 0,
        version: 1,
    }
}

pub(crate) fn open(network: &Network) -> Result<EvmSource, NodeError> {
    EvmSource::open(network, limits(), Arc::new(|| u64::MAX / 2))
}

impl Bench {
    /// Alice and Bob, and the coin, are ours.
    pub(crate) async fn start() -> Result<Self> {
        let anvil = Anvil::start(&Options::default()).await?;
        let mut nodes = Vec::new();
        for _ in 0..3 {
            nodes.push(LyingNode::start(anvil.url()).await?);
        }
        let urls: Vec<String> = nodes.iter().map(LyingNode::url).collect();
        let coin = WatchedAsset {
            id: AssetId::from_digest(&[0; 32]),
            kind: AssetKind::Native,
        };
        Ok(Self {
            source: open(&network(&urls, 2, 31337))?,
            anvil,
            nodes,
            ours: Ours(HashSet::from([address(ALICE), address(BOB)])),
            assets: vec![coin],
        })
    }

    /// Another asset of ours.
    pub(crate) fn allow(&mut self, token: &Contract) {
        let number = u8::try_from(self.assets.len()).expect("few");
        self.assets.push(WatchedAsset {
            id: AssetId::from_digest(&[number; 32]),
            kind: AssetKind::Token(address(&token.address)),
        });
    }

    pub(crate) async fn block_at(&self, height: u64) -> Result<BlockRef> {
        let height = BlockHeight(height);
        let hash = self.source.agreed_hash(height).await?;
        Ok(BlockRef {
            height,
            hash: hash.context("no such block")?,
        })
    }

    pub(crate) async fn head(&self) -> Result<BlockRef> {
        self.block_at(self.anvil.height().await?).await
    }

    pub(crate) async fn read(&self, at: BlockRef) -> Result<ObservedBlock, NodeError> {
        let scope = Scope {
            assets: &self.assets,
            watched: &self.ours,
        };
        self.source.block(at, &scope).await
    }

    /// Makes a block of what is pending, and what it brought.
    pub(crate) async fn mined(&self) -> Result<Vec<Movement>> {
        self.anvil.mine(1).await?;
        Ok(self.read(self.head().await?).await?.movements)
    }
}

/// To whom, face and gain of each.
pub(crate) fn short(movements: &[Movement]) -> Vec<(String, String, u128, u128)> {
    let each = movements.iter().map(|movement| {
        let to = if movement.to == address(ALICE) {
            "alice"
        } else {
            "bob"
        };
        let units = |units: ruint::aliases::U256| units.to::<u128>();
        (
            to.to_owned(),
            movement.id.part.to_string(),
            units(movement.face_units),
            units(movement.gained_units),
        )
    });
    each.collect()
}

pub(crate) fn line(to: &str, part: &str, face: u128, gained: u128) -> (String, String, u128, u128) {
    (to.to_owned(), part.to_owned(), face, gained)
}
