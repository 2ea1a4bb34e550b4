//! EVM chains, through any node that speaks the Ethereum JSON-RPC API.
//!
//! Guarantees: header, transactions, withdrawals and receipts are those that the block's hash stands for; what an
//! address gained is the difference of balances that k nodes agree on at the block's and its parent's hash, never
//! what an event or a trace claims; a node on another chain id or genesis is not asked until it is back.
//! Where nodes offer call traces, those of at least k of them (of all, if fewer offer any) say where to look for
//! value that moved inside contracts. Where none does, such value is found only at addresses that a transaction
//! or a token event of the block names.
//! Not seen: what an address with delegated code (EIP-7702) sent from inside a call, the price of blobs and the
//! data fee of rollups; each makes the gain smaller than it was, never larger, and reconciliation shows it.
//! Cost per block: three requests to one node, and for blocks that touched a watched address a few to each.

mod balances;
mod connect;
mod facts;
mod fetch;
mod heads;
mod hint;
mod native;
mod observe;
mod token;
mod traces;

use alloy_primitives::Address;
use coffer_chains::evm::address_of;
use coffer_domain::address::AddressPayload;
use coffer_domain::asset::AssetKind;
use coffer_domain::block::{BlockHash, BlockHeight, BlockRef};
use coffer_domain::chain::ChainFamily;
use coffer_domain::movement::ObservedBlock;
use coffer_domain::network::{Finality, Network};
use futures_util::future::BoxFuture;
use ruint::aliases::U256;

use crate::json_rpc::{Limits, Random};
use crate::quorum::Chain;
use crate::{ChainSource, Heads, NodeError, NodeStatus, Scope, TokenFacts};

use self::connect::ById;
use self::hint::Hints;

/// A network's nodes.
pub struct EvmSource {
    chain: Chain,
    chain_id: u64,
    finality: Finality,
    hints: Hints,
}

impl EvmSource {
    /// Asks nobody yet. The nodes' URLs must have their secrets filled in.
    pub fn open(network: &Network, limits: Limits, random: Random) -> Result<Self, NodeError> {
        let chain_id = match network.chain.family() {
            Some(ChainFamily::Evm) => network.chain.reference().parse().ok(),
            _ => None,
        };
        let chain_id: u64 = chain_id.ok_or_else(|| {
            NodeError::Configuration(format!("{} is not an EVM chain", network.chain))
        })?;
        let chain = Chain::open(network, limits, &random, Box::new(ById(chain_id)))?;
        let settings = &network.settings;
        let websockets = settings
            .nodes
            .iter()
            .filter_map(|node| node.websocket.clone());
        Ok(Self {
            chain,
            chain_id,
            finality: settings.finality,
            hints: Hints::new(websockets.collect(), random),
        })
    }
}

impl ChainSource for EvmSource {
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
            let token = match asset {
                AssetKind::Native => None,
                AssetKind::Token(contract) => Some(evm_address(contract)?),
            };
            let addresses: Vec<Address> = addresses
                .iter()
                .map(evm_address)
                .collect::<Result<_, _>>()?;
            self.balances_at(at, token, &addresses).await
        })
    }

    fn token_facts<'a>(
        &'a self,
        contract: &'a AddressPayload,
    ) -> BoxFuture<'a, Result<TokenFacts, NodeError>> {
        Box::pin(async move { self.ask_facts(evm_address(contract)?).await })
    }

    fn hint(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.hints.next())
    }

    fn status(&self) -> Vec<NodeStatus> {
        self.chain
            .panel
            .nodes
            .iter()
            .map(|node| node.status())
            .collect()
    }
}

fn evm_address(payload: &AddressPayload) -> Result<Address, NodeError> {
    address_of(payload).ok_or_else(|| {
        NodeError::Configuration(format!(
            "an address of {:?} is on no EVM chain",
            payload.kind()
        ))
    })
}
