//! A double of a network's nodes for tests of use cases: it says its genesis hash and what contracts say of
//! themselves, and counts whom it was asked for. It has no blocks; whoever asks for one has found a defect.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use coffer_domain::address::AddressPayload;
use coffer_domain::asset::AssetKind;
use coffer_domain::block::{BlockHash, BlockHeight, BlockRef};
use coffer_domain::movement::ObservedBlock;
use coffer_domain::network::Network;
use coffer_nodes::{ChainSource, Heads, NodeError, NodeStatus, Scope, TokenFacts};
use coffer_platform::SourceFactory;
use futures_util::future::BoxFuture;
use ruint::aliases::U256;

#[derive(Default)]
struct Said {
    genesis: Option<BlockHash>,
    contracts: HashMap<AddressPayload, TokenFacts>,
    opened: Vec<Network>,
}

/// Cheap to clone; clones say the same.
#[derive(Clone, Default)]
pub struct DoubleSource(Arc<Mutex<Said>>);

impl DoubleSource {
    #[must_use]
    pub fn new(genesis: BlockHash) -> Self {
        let double = Self::default();
        double.said().genesis = Some(genesis);
        double
    }

    fn said(&self) -> MutexGuard<'_, Said> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on too few nodes agree, or (with a hash) they are on this chain.
    pub fn set_genesis(&self, genesis: Option<BlockHash>) {
        self.said().genesis = genesis;
    }

    pub fn set_contract(&self, contract: AddressPayload, decimals: u8, symbol: Option<&str>) {
        let symbol = symbol.map(str::to_owned);
        let facts = TokenFacts { decimals, symbol };
        self.said().contracts.insert(contract, facts);
    }

    /// The networks that connections were asked for, in order.
    #[must_use]
    pub fn opened(&self) -> Vec<Network> {
        self.said().opened.clone()
    }

    fn no_quorum(what: &str) -> NodeError {
        NodeError::NoQuorum {
            what: what.to_owned(),
            agreeing: 0,
            quorum: 1,
            details: "the double was told nothing of it".to_owned(),
        }
    }
}

impl SourceFactory for DoubleSource {
    fn open(&self, network: &Network) -> Result<Arc<dyn ChainSource>, NodeError> {
        self.said().opened.push(network.clone());
        Ok(Arc::new(self.clone()))
    }
}

impl ChainSource for DoubleSource {
    fn connect(&self) -> BoxFuture<'_, Result<BlockHash, NodeError>> {
        Box::pin(async {
            let genesis = self.said().genesis;
            genesis.ok_or_else(|| Self::no_quorum("the genesis block"))
        })
    }

    fn heads(&self) -> BoxFuture<'_, Result<Heads, NodeError>> {
        Box::pin(async { Err(Self::no_quorum("the head")) })
    }

    fn agreed_hash(
        &self,
        height: BlockHeight,
    ) -> BoxFuture<'_, Result<Option<BlockHash>, NodeError>> {
        panic!("the double has no blocks, and was asked for the hash at {height}")
    }

    fn block<'a>(
        &'a self,
        block: BlockRef,
        _scope: &'a Scope<'a>,
    ) -> BoxFuture<'a, Result<ObservedBlock, NodeError>> {
        panic!("the double has no blocks, and was asked for {block}")
    }

    fn balances<'a>(
        &'a self,
        at: BlockRef,
        _asset: &'a AssetKind,
        _addresses: &'a [AddressPayload],
    ) -> BoxFuture<'a, Result<Vec<U256>, NodeError>> {
        panic!("the double has no blocks, and was asked for balances at {at}")
    }

    fn token_facts<'a>(
        &'a self,
        contract: &'a AddressPayload,
    ) -> BoxFuture<'a, Result<TokenFacts, NodeError>> {
        let facts = self.said().contracts.get(contract).cloned();
        Box::pin(async move { facts.ok_or_else(|| Self::no_quorum("a contract's decimals")) })
    }

    fn hint(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::pending())
    }

    fn status(&self) -> Vec<NodeStatus> {
        Vec::new()
    }
}
