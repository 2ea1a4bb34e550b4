//! A chain whose balances can change without a movement, and whose nodes can reorganize in mid-question.

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

/// A balance that grows or shrinks; with a movement if it was `told`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Change {
    pub(super) kind: AssetKind,
    pub(super) of: AddressPayload,
    pub(super) units: i64,
    pub(super) told: bool,
}

impl Change {
    pub(super) fn deposit(kind: AssetKind, of: AddressPayload, units: i64) -> Self {
        Self {
            kind,
            of,
            units,
            told: true,
        }
    }

    /// As by a rebasing token, or by whoever else holds the key.
    pub(super) fn untold(kind: AssetKind, of: AddressPayload, units: i64) -> Self {
        Self {
            told: false,
            ..Self::deposit(kind, of, units)
        }
    }
}

#[derive(Debug, Clone)]
struct Block {
    hash: [u8; 32],
    parent: [u8; 32],
    changes: Vec<Change>,
}

type Hook = Box<dyn FnOnce(&Chain) + Send>;

#[derive(Default)]
struct State {
    blocks: Vec<Block>,
    salt: u64,
    silent: bool,
    /// Runs once, before the next balances are answered.
    hook: Option<Hook>,
    /// Answer balances of the head whatever block was asked for, as a careless node would.
    careless: bool,
    asked: u64,
}

#[derive(Clone, Default)]
pub(super) struct Chain(Arc<Mutex<State>>);

impl Chain {
    pub(super) fn new() -> Self {
        let chain = Self::default();
        chain.grow(&[]);
        chain
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn grow(&self, changes: &[Change]) -> BlockRef {
        let mut state = self.state();
        state.salt += 1;
        let parent = state.blocks.last().map_or([0; 32], |block| block.hash);
        let hash = Sha256::new()
            .chain_update(parent)
            .chain_update(state.salt.to_be_bytes())
            .finalize()
            .into();
        state.blocks.push(Block {
            hash,
            parent,
            changes: changes.to_vec(),
        });
        reference(&state, state.blocks.len() - 1)
    }

    /// Exchanges the newest block for an empty one, and puts another on it.
    pub(super) fn reorg(&self) {
        self.state().blocks.pop();
        self.grow(&[]);
        self.grow(&[]);
    }

    pub(super) fn silence(&self, silent: bool) {
        self.state().silent = silent;
    }

    pub(super) fn careless(&self, careless: bool) {
        self.state().careless = careless;
    }

    pub(super) fn before_balances(&self, hook: impl FnOnce(&Chain) + Send + 'static) {
        self.state().hook = Some(Box::new(hook));
    }

    /// How often balances were asked for.
    pub(super) fn asked(&self) -> u64 {
        self.state().asked
    }

    fn quorum(&self) -> Result<(), NodeError> {
        if !self.state().silent {
            return Ok(());
        }
        Err(NodeError::NoQuorum {
            what: "anything".to_owned(),
            agreeing: 0,
            quorum: 1,
            details: "the test silenced it".to_owned(),
        })
    }
}

fn reference(state: &State, at: usize) -> BlockRef {
    BlockRef {
        height: BlockHeight(at as u64),
        hash: BlockHash(state.blocks[at].hash),
    }
}

fn find(state: &State, block: BlockRef) -> Result<usize, NodeError> {
    let found = state.blocks.iter().position(|own| own.hash == block.hash.0);
    found.ok_or(NodeError::BlockGone {
        height: block.height,
        hash: block.hash,
    })
}

fn balances(state: &State, until: usize, kind: &AssetKind) -> HashMap<AddressPayload, i64> {
    let mut balances = HashMap::new();
    for change in state.blocks[..=until]
        .iter()
        .flat_map(|block| &block.changes)
    {
        if change.kind == *kind {
            *balances.entry(change.of).or_insert(0) += change.units;
        }
    }
    balances
}

impl SourceFactory for Chain {
    fn open(&self, _network: &Network) -> Result<Arc<dyn ChainSource>, NodeError> {
        Ok(Arc::new(self.clone()))
    }
}

impl ChainSource for Chain {
    fn connect(&self) -> BoxFuture<'_, Result<BlockHash, NodeError>> {
        Box::pin(async { Ok(BlockHash(self.state().blocks[0].hash)) })
    }

    fn heads(&self) -> BoxFuture<'_, Result<Heads, NodeError>> {
        Box::pin(async {
            self.quorum()?;
            let head = BlockHeight(self.state().blocks.len() as u64 - 1);
            Ok(Heads {
                agreed: head,
                highest: head,
                finalized: None,
            })
        })
    }

    fn agreed_hash(
        &self,
        height: BlockHeight,
    ) -> BoxFuture<'_, Result<Option<BlockHash>, NodeError>> {
        Box::pin(async move {
            self.quorum()?;
            let state = self.state();
            let block = state.blocks.get(usize::try_from(height.0).expect("small"));
            Ok(block.map(|block| BlockHash(block.hash)))
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
            let found = &state.blocks[find(&state, block)?];
            let told = found.changes.iter().filter(|change| change.told);
            let movements = (0..).zip(told).filter_map(|(part, change)| {
                let asset = scope
                    .assets
                    .iter()
                    .find(|asset| asset.kind == change.kind)?;
                let units = U256::from(change.units.unsigned_abs());
                scope.watched.contains(&change.of).then_some(Movement {
                    id: MovementId {
                        transaction: TransactionHash(found.hash),
                        part: Part::Log(part),
                    },
                    asset: asset.id,
                    from: None,
                    to: change.of,
                    face_units: units,
                    gained_units: units,
                })
            });
            Ok(ObservedBlock {
                block,
                parent: BlockHash(found.parent),
                unix_s: 1_700_000_000 + block.height.0,
                transactions: u32::try_from(found.changes.len()).expect("few"),
                logs: 0,
                root: found.hash,
                movements: movements.collect(),
                spends: Vec::new(),
            })
        })
    }

    fn balances<'a>(
        &'a self,
        at: BlockRef,
        asset: &'a AssetKind,
        addresses: &'a [AddressPayload],
    ) -> BoxFuture<'a, Result<Vec<U256>, NodeError>> {
        Box::pin(async move {
            self.quorum()?;
            let hook = self.state().hook.take();
            if let Some(hook) = hook {
                hook(self);
            }
            let mut state = self.state();
            state.asked += 1;
            let until = match state.careless {
                true => state.blocks.len() - 1,
                false => find(&state, at)?,
            };
            let balances = balances(&state, until, asset);
            let units = |address| balances.get(address).copied().unwrap_or(0);
            Ok(addresses
                .iter()
                .map(|address| U256::from(units(address).unsigned_abs()))
                .collect())
        })
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
