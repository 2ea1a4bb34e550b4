//! A network as an operator looks at it: how far it came, what its nodes say, what was read without a gap.

use coffer_domain::block::{BlockHash, BlockHeight};
use coffer_domain::id::NetworkId;
use coffer_domain::network::Network;
use coffer_nodes::{Heads, NodeStatus};

use crate::{Caller, Error, Platform};

/// How far the network was followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    pub height: Option<BlockHeight>,
    pub hash: Option<BlockHash>,
    pub finalized_height: Option<BlockHeight>,
    pub updated_at_ms: i64,
}

/// The blocks of which there is a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Coverage {
    pub first: BlockHeight,
    pub last: BlockHeight,
    pub blocks: u64,
    /// As many blocks as heights, each naming its parent.
    pub unbroken: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub struct NetworkStatus {
    pub network: Network,
    pub progress: Option<Progress>,
    /// `None` while fewer than k nodes answer.
    pub heads: Option<Heads>,
    pub nodes: Vec<NodeStatus>,
    pub coverage: Option<Coverage>,
}

impl Platform {
    /// Asks the nodes for their heads; that they do not answer is part of the answer.
    pub async fn network_status(
        &self,
        caller: &Caller,
        id: NetworkId,
    ) -> Result<NetworkStatus, Error> {
        let network = self.network(caller, id).await?;
        let (heads, nodes) = match self.source(&network) {
            Ok(source) => (source.heads().await.ok(), source.status()),
            Err(_) => (None, Vec::new()),
        };
        Ok(NetworkStatus {
            network,
            progress: self.progress(id).await?,
            heads,
            nodes,
            coverage: self.coverage(id).await?,
        })
    }
}
