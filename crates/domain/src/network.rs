//! A network: one chain as one organization watches it, with the nodes it asks and when it believes them.

use std::num::NonZeroU32;

use sha2::{Digest, Sha256};

use crate::block::BlockHash;
use crate::chain::ChainId;
use crate::id::{ApiKeyId, NetworkId, OrganizationId};
use crate::vault::names;

/// Whether the network is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NetworkState {
    Active,
    /// By a person's wish: no block is taken.
    Paused,
    /// A reorganization went deeper than finality: nothing is taken, credited or undone until two
    /// different people resume it.
    Frozen,
}
names!(NetworkState, "network state", "active, paused or frozen", {
    Active = "active", Paused = "paused", Frozen = "frozen",
});

/// When a block is believed to stay for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finality {
    /// So many confirmations.
    Depth(NonZeroU32),
    /// The nodes' own `finalized` tag, as far as k of them agree.
    Tag,
}

/// A node's URL as it was configured: `{secret:NAME}` stands for a file in the data folder, so that no
/// provider's key is stored in the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeUrl {
    pub rpc: String,
    /// Only a hint that a new block may be there; never believed.
    pub websocket: Option<String>,
}

/// A `{secret:NAME}` that cannot be read. The text itself may hold a key and is not repeated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "braces in a URL are for {{secret:NAME}} only, with 1 to 64 characters of a-z, 0-9, _ and - in NAME"
)]
pub struct SecretNameError;

/// Names of the secrets that a URL has places for.
pub fn secret_names(template: &str) -> Result<Vec<&str>, SecretNameError> {
    let mut names = Vec::new();
    let mut rest = template;
    while let Some(at) = rest.find(['{', '}']) {
        let place = rest[at..].strip_prefix("{secret:").ok_or(SecretNameError)?;
        let (name, after) = place.split_once('}').ok_or(SecretNameError)?;
        if !is_secret_name(name) {
            return Err(SecretNameError);
        }
        names.push(name);
        rest = after;
    }
    Ok(names)
}

/// No name leads out of the folder of secrets, or is hidden in it.
#[must_use]
pub fn is_secret_name(name: &str) -> bool {
    let plain =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte);
    (1..=64).contains(&name.len()) && name.bytes().all(plain)
}

/// What an operator chooses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkSettings {
    pub name: String,
    pub nodes: Vec<NodeUrl>,
    /// k: nodes that must say the same before it is believed. More than half of them.
    pub quorum: u32,
    /// A deposit is credited with so many confirmations; 1 is its own block.
    pub confirmations: NonZeroU32,
    pub finality: Finality,
    /// The first block that is looked at. Earlier deposits are not seen.
    pub start_height: u64,
    /// The genesis block's hash. Learned from k nodes when the network is added, if it was not given.
    pub genesis: Option<BlockHash>,
    pub poll_interval_ms: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    pub id: NetworkId,
    pub organization: OrganizationId,
    pub chain: ChainId,
    pub settings: NetworkSettings,
    pub state: NetworkState,
    /// Why it is paused or frozen.
    pub reason: Option<String>,
    /// The first of the two who resume a frozen network.
    pub resume_by: Option<ApiKeyId>,
    pub created_at_ms: i64,
    pub version: u32,
}

impl NetworkId {
    #[must_use]
    pub fn of(organization: OrganizationId, chain: &ChainId) -> Self {
        let digest = Sha256::new()
            .chain_update(b"coffer network id v1")
            .chain_update(organization.as_bytes())
            .chain_update(chain.as_str())
            .finalize();
        Self::from_digest(&digest.into())
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    #[error("give at least one node")]
    NoNodes,
    #[error("quorum must be more than half of the {nodes} nodes and at most all of them")]
    Quorum { nodes: usize },
    #[error("the same node is given twice: {0}")]
    SameNode(String),
    #[error("finality must not come before the credit: give a depth of at least {confirmations}")]
    FinalityBeforeCredit { confirmations: u32 },
    #[error("poll_interval_ms must be from 50 to 600000")]
    PollInterval,
}

impl NetworkSettings {
    /// Two nodes must never be able to agree on two answers: k is more than half.
    pub fn check(&self) -> Result<(), SettingsError> {
        let nodes = self.nodes.len();
        if nodes == 0 {
            return Err(SettingsError::NoNodes);
        }
        let quorum = self.quorum as usize;
        if quorum * 2 <= nodes || quorum > nodes {
            return Err(SettingsError::Quorum { nodes });
        }
        let twice = self
            .nodes
            .iter()
            .enumerate()
            .find(|(at, node)| self.nodes[..*at].iter().any(|other| other.rpc == node.rpc));
        if let Some((_, node)) = twice {
            return Err(SettingsError::SameNode(node.rpc.clone()));
        }
        if matches!(self.finality, Finality::Depth(depth) if depth < self.confirmations) {
            let confirmations = self.confirmations.get();
            return Err(SettingsError::FinalityBeforeCredit { confirmations });
        }
        if !(50..=600_000).contains(&self.poll_interval_ms) {
            return Err(SettingsError::PollInterval);
        }
        Ok(())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NetworkEvent {
    Pause,
    Resume { by: ApiKeyId },
    Freeze,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NetworkTransitionError {
    #[error("a network that is {0} does not take this")]
    State(NetworkState),
    #[error("the second person who resumes a frozen network must be another one than the first")]
    SamePerson,
}

impl Network {
    /// Freezing wins over everything; a frozen network takes two different people to resume.
    pub fn apply(
        mut self,
        event: NetworkEvent,
        reason: Option<String>,
    ) -> Result<Self, NetworkTransitionError> {
        match (self.state, event) {
            (NetworkState::Active | NetworkState::Paused, NetworkEvent::Freeze) => {
                self.state = NetworkState::Frozen;
                self.resume_by = None;
                self.reason = reason;
            }
            (NetworkState::Frozen, NetworkEvent::Freeze) => self.resume_by = None,
            (NetworkState::Active, NetworkEvent::Pause) => {
                self.state = NetworkState::Paused;
                self.reason = reason;
            }
            (NetworkState::Paused, NetworkEvent::Resume { .. }) => {
                self.state = NetworkState::Active;
                self.reason = None;
            }
            (NetworkState::Frozen, NetworkEvent::Resume { by }) => match self.resume_by {
                None => self.resume_by = Some(by),
                Some(first) if first == by => return Err(NetworkTransitionError::SamePerson),
                Some(_) => {
                    self.state = NetworkState::Active;
                    self.resume_by = None;
                    self.reason = None;
                }
            },
            (state, NetworkEvent::Pause | NetworkEvent::Resume { .. }) => {
                return Err(NetworkTransitionError::State(state));
            }
        }
        self.version += 1;
        Ok(self)
    }
}

#[cfg(test)]
mod tests;
