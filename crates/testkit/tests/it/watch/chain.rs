//! A chain in memory: what k honest nodes would say, with the lies and silences that a test asks for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use coffer_domain::address::AddressPayload;
use coffer_domain::asset::AssetKind;
use coffer_domain::block::{BlockHash, BlockHeight, BlockRef, TransactionHash};
use coffer_domain::movement::{Movement, MovementId, ObservedBlock, Part};
use coffer_domain::network::Network;
use coffer_nodes::{ChainSource, Heads, NodeError, NodeStatus, Scope, TokenFacts};
use coffer_platform::SourceFactory;
use futures_util::future::BoxFuture;
use ruint::aliases::U256;
use sha2::{Digest, Sha256};

/// Asked with a height when the nodes are asked for its hash.
type Hook = Arc<dyn Fn(u64) -> BoxFuture<'static, ()> + Send + Sync>;

/// A payment of an asset, told by what it is on the chain.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Payment {
    pub(super) kind: AssetKind,
    pub(super) to: AddressPayload,
    pub(super) face: u64,
    pub(super) gained: u64,
    pub(super) transaction: [u8; 32],
    pub(super) part: Part,
}

impl Payment {
    pub(super) fn native(to: AddressPayload, units: u64, number: u8) -> Self {
        Self {
            kind: AssetKind::Native,
            to,
            face: units,
            gained: units,
            transaction: [number; 32],
            part: Part::Call(0),
        }
    }
}

#[derive(Debug, Clone)]
struct Block {
    hash: [u8; 32],
    parent: [u8; 32],
    payments: Vec<Payment>,
}

#[derive(Default)]
struct State {
    blocks: Vec<Block>,
    /// Blocks that a reorganization left behind stay fetchable by hash, as on real nodes.
    all: HashMap<[u8; 32], Block>,
    salt: u64,
    silent: bool,
    finalized: Option<u64>,
    /// Payments left out of every answer: what a block is said to hold when the nodes are wrong about it.
    hidden: Vec<[u8; 32]>,
    hook: Option<Hook>,
}

#[derive(Clone, Default)]
pub(super) struct FakeChain(Arc<Mutex<State>>);

impl FakeChain {
    /// A chain that has its genesis block alone.
    pub(super) fn new() -> Self {
        let chain = Self::default();
        chain.grow(Vec::new());
        chain
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a block on the head.
    pub(super) fn grow(&self, payments: Vec<Payment>) -> BlockRef {
        let mut state = self.state();
        state.salt += 1;
        let parent = state.blocks.last().map_or([0; 32], |block| block.hash);
        let digest = Sha256::new()
            .chain_update(parent)
            .chain_update(state.salt.to_be_bytes())
            .finalize();
        let block = Block {
            hash: digest.into(),
            parent,
            payments,
        };
        state.all.insert(block.hash, block.clone());
        state.blocks.push(block);
        let height = state.blocks.len() as u64 - 1;
        drop(state);
        self.at(height)
    }

    pub(super) fn grow_empty(&self, count: u64) {
        for _ in 0..count {
            self.grow(Vec::new());
        }
    }

    /// Takes `depth` blocks off the head and puts these in their place.
    pub(super) fn reorg(&self, depth: usize, blocks: Vec<Vec<Payment>>) {
        {
            let mut state = self.state();
            let left = state.blocks.len() - depth;
            state.blocks.truncate(left);
        }
        for payments in blocks {
            self.grow(payments);
        }
    }

    pub(super) fn at(&self, height: u64) -> BlockRef {
        let hash = self.state().blocks[usize::try_from(height).expect("small")].hash;
        BlockRef {
            height: BlockHeight(height),
            hash: BlockHash(hash),
        }
    }

    pub(super) fn head(&self) -> BlockRef {
        let height = self.state().blocks.len() as u64 - 1;
        self.at(height)
    }

    pub(super) fn silence(&self, silent: bool) {
        self.state().silent = silent;
    }

    pub(super) fn finalize(&self, height: u64) {
        self.state().finalized = Some(height);
    }

    pub(super) fn hide(&self, transaction: [u8; 32]) {
        self.state().hidden.push(transaction);
    }

    pub(super) fn show_all(&self) {
        self.state().hidden.clear();
    }

    pub(super) fn on_hash(&self, hook: Hook) {
        self.state().hook = Some(hook);
    }

    fn quorum(&self) -> Result<(), NodeError> {
        if !self.state().silent {
            return Ok(());
        }
        Err(NodeError::NoQuorum {
            what: "anything".to_owned(),
            agreeing: 1,
            quorum: 2,
            details: "the test silenced them".to_owned(),
        })
    }
}

impl SourceFactory for FakeChain {
    fn open(&self, _network: &Network) -> Result<Arc<dyn ChainSource>, NodeError> {
        Ok(Arc::new(self.clone()))
    }
}

impl ChainSource for FakeChain {
    fn connect(&self) -> BoxFuture<'_, Result<BlockHash, NodeError>> {
        Box::pin(async { Ok(self.at(0).hash) })
    }

    fn heads(&self) -> BoxFuture<'_, Result<Heads, NodeError>> {
        Box::pin(async {
            self.quorum()?;
            let head = self.head().height;
            Ok(Heads {
                agreed: head,
                highest: head,
                finalized: self.state().finalized.map(BlockHeight),
            })
        })
    }

    fn agreed_hash(
        &self,
        height: BlockHeight,
    ) -> BoxFuture<'_, Result<Option<BlockHash>, NodeError>> {
        Box::pin(async move {
            self.quorum()?;
            let hook = self.state().hook.clone();
            if let Some(hook) = hook {
                hook(height.0).await;
            }
            let state = self.state();
            let at = usize::try_from(height.0).expect("small");
            Ok(state.blocks.get(at).map(|block| BlockHash(block.hash)))
        })
    }

    fn block<'a>(
        &'a self,
        block: BlockRef,
        scope: &'a Scope<'a>,
    ) -> BoxFuture<'a, Result<ObservedBlock, NodeError>> {
        Box::pin(async move {
            self.quorum()?;
            let state = self.state();
            let gone = NodeError::BlockGone {
                height: block.height,
                hash: block.hash,
            };
            let found = state.all.get(&block.hash.0).ok_or(gone)?;
            let asset = |kind| scope.assets.iter().find(|asset| asset.kind == kind);
            let movements = found
                .payments
                .iter()
                .filter(|payment| !state.hidden.contains(&payment.transaction))
                .filter(|payment| scope.watched.contains(&payment.to))
                .filter_map(|payment| {
                    Some(Movement {
                        id: MovementId {
                            transaction: TransactionHash(payment.transaction),
                            part: payment.part,
                        },
                        asset: asset(payment.kind)?.id,
                        from: None,
                        to: payment.to,
                        face_units: U256::from(payment.face),
                        gained_units: U256::from(payment.gained),
                    })
                });
            Ok(ObservedBlock {
                block,
                parent: BlockHash(found.parent),
                unix_s: 1_700_000_000 + block.height.0,
                transactions: u32::try_from(found.payments.len()).expect("few"),
                logs: 0,
                root: found.hash,
                movements: movements.collect(),
                spends: Vec::new(),
            })
        })
    }

    fn balances<'a>(
        &'a self,
        _at: BlockRef,
        _asset: &'a AssetKind,
        addresses: &'a [AddressPayload],
    ) -> BoxFuture<'a, Result<Vec<U256>, NodeError>> {
        Box::pin(async move { Ok(vec![U256::ZERO; addresses.len()]) })
    }

    fn token_facts<'a>(
        &'a self,
        _contract: &'a AddressPayload,
    ) -> BoxFuture<'a, Result<TokenFacts, NodeError>> {
        Box::pin(async {
            Ok(TokenFacts {
                decimals: 6,
                symbol: Some("TOK".to_owned()),
            })
        })
    }

    fn hint(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::pending())
    }

    fn status(&self) -> Vec<NodeStatus> {
        Vec::new()
    }
}
