//! The families of chains, and what the proof asks of each.

use anyhow::Result;
use ruint::aliases::U256;

use super::bitcoin::Bitcoin;
use super::chain::{Chain, Header, Tip};
use super::evm::Evm;
use super::rpc::Rpc;
use super::tables::{Address, NetworkRow, Tables};

pub(super) enum Node {
    Evm(Evm),
    Bitcoin(Bitcoin),
}

impl Node {
    /// Finds out which family it is, and answers the name of its chain as networks have it.
    pub(super) async fn open(url: &str) -> Result<(Self, String)> {
        let rpc = Rpc::new(url)?;
        if let Some(name) = Bitcoin::name(&rpc).await? {
            return Ok((Self::Bitcoin(Bitcoin::new(rpc)), name));
        }
        let node = Evm::new(rpc);
        let name = format!("eip155:{}", node.chain_id().await?);
        Ok((Self::Evm(node), name))
    }

    pub(super) async fn height(&self) -> Result<u64> {
        match self {
            Self::Evm(node) => node.height().await,
            Self::Bitcoin(node) => node.height().await,
        }
    }

    /// Of the canonical chain; `None` beyond the head.
    pub(super) async fn headers(&self, heights: &[u64]) -> Result<Vec<Option<Header>>> {
        match self {
            Self::Evm(node) => node.headers(heights).await,
            Self::Bitcoin(node) => node.headers(heights).await,
        }
    }

    /// Reads from the first block to the tip.
    pub(super) async fn read(
        &self,
        tables: &Tables,
        network: &NetworkRow,
        tip: Tip,
    ) -> Result<Chain> {
        match self {
            Self::Evm(node) => node.read(tables, network, tip).await,
            Self::Bitcoin(node) => node.read(tables, tip).await,
        }
    }

    /// Whether an address of that kind can hold something on this chain.
    pub(super) fn has(&self, address: &Address) -> bool {
        match self {
            Self::Evm(_) => Evm::KINDS.contains(&address.kind),
            Self::Bitcoin(_) => Bitcoin::KINDS.contains(&address.kind),
        }
    }

    /// Whether an asset can be held at all; the chain's own coin can.
    pub(super) async fn knows(&self, token: Option<&[u8; 20]>, tip: &Tip) -> Result<bool> {
        match (self, token) {
            (_, None) => Ok(true),
            (Self::Evm(node), Some(token)) => node.has_code(token, &tip.hash).await,
            (Self::Bitcoin(_), Some(_)) => Ok(false),
        }
    }

    /// What addresses hold at the chain's tip, in their order.
    pub(super) async fn holdings(
        &self,
        chain: &Chain,
        token: Option<[u8; 20]>,
        addresses: &[&Address],
    ) -> Result<Vec<U256>> {
        match self {
            Self::Evm(node) => node.holdings(&chain.tip, token, addresses).await,
            Self::Bitcoin(node) => node.holdings(chain, addresses).await,
        }
    }
}
