//! The open connections to networks' nodes, one per network, kept until its settings change.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use coffer_domain::id::NetworkId;
use coffer_domain::network::{Network, NetworkSettings};
use coffer_nodes::{ChainSource, NodeError};

use crate::{Error, Platform};

/// Makes the connection to a network's nodes. It alone knows what `{secret:NAME}` stands for.
pub trait SourceFactory: Send + Sync {
    fn open(&self, network: &Network) -> Result<Arc<dyn ChainSource>, NodeError>;
}

/// For installations and tests that watch no chain.
pub struct NoSources;

impl SourceFactory for NoSources {
    fn open(&self, network: &Network) -> Result<Arc<dyn ChainSource>, NodeError> {
        Err(NodeError::Configuration(format!(
            "this installation talks to no nodes, so it cannot follow {}",
            network.chain
        )))
    }
}

struct Open {
    settings: NetworkSettings,
    source: Arc<dyn ChainSource>,
}

pub(crate) struct Sources {
    factory: Arc<dyn SourceFactory>,
    open: Mutex<HashMap<NetworkId, Open>>,
}

impl Sources {
    pub(crate) fn new(factory: Arc<dyn SourceFactory>) -> Self {
        Self {
            factory,
            open: Mutex::default(),
        }
    }

    /// A connection that nobody else uses, for a network that is not stored yet.
    pub(crate) fn try_out(&self, network: &Network) -> Result<Arc<dyn ChainSource>, Error> {
        Ok(self.factory.open(network)?)
    }

    fn get(&self, network: &Network) -> Result<Arc<dyn ChainSource>, Error> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = open.get(&network.id)
            && known.settings == network.settings
        {
            return Ok(Arc::clone(&known.source));
        }
        let source = self.factory.open(network)?;
        let known = Open {
            settings: network.settings.clone(),
            source: Arc::clone(&source),
        };
        open.insert(network.id, known);
        Ok(source)
    }
}

impl Platform {
    /// The network's nodes. A changed version with the same settings (a pause) keeps the connection.
    pub(crate) fn source(&self, network: &Network) -> Result<Arc<dyn ChainSource>, Error> {
        self.0.sources.get(network)
    }
}
