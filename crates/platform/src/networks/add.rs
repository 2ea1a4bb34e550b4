//! Adding a network: its nodes are asked who they are before anything is stored.

use coffer_domain::block::BlockHash;
use coffer_domain::chain::ChainId;
use coffer_domain::event::EventType;
use coffer_domain::id::NetworkId;
use coffer_domain::network::{Network, NetworkSettings, NetworkState};
use coffer_nodes::NodeError;
use coffer_store::Tx;
use coffer_store::networks as rows;

use super::rows::row_of;
use super::settings::check;
use crate::audit::{Changes, Entry, append};
use crate::events::{NetworkEventV1, Outgoing};
use crate::freshness::Versioned;
use crate::transaction::transact;
use crate::{Answer, Caller, Error, Once, Platform};

const OPERATION: &str = "networks.add";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewNetwork {
    pub chain: ChainId,
    pub settings: NetworkSettings,
}

impl Platform {
    /// Adds a network once k of its nodes gave the chain that was asked for; their genesis hash is kept and
    /// compared ever after. One network per chain and organization.
    pub async fn add_network(
        &self,
        caller: &Caller,
        new: NewNetwork,
        once: Option<Once<'_, Network>>,
    ) -> Result<Answer<Network>, Error> {
        self.guard(caller.organization)?;
        if let Some(answer) = self.replay_now(caller, OPERATION, once.as_ref()).await? {
            return Ok(answer);
        }
        let network = self.learn(caller, new).await?;
        transact!(self, tx, {
            if let Some(answer) = self.replay(tx, caller, OPERATION, once.as_ref()).await? {
                return Ok(answer);
            }
            self.insert_network(tx, &network, &caller.actor()).await?;
            self.keep(tx, caller, OPERATION, once.as_ref(), &network)
                .await?;
            Ok(Answer::Executed(network.clone()))
        })
    }

    /// Checks what was given, then asks the nodes for chain and genesis.
    async fn learn(&self, caller: &Caller, new: NewNetwork) -> Result<Network, Error> {
        if new.chain.family().is_none() {
            let text = format!(
                "{} is of a family that is not served; use eip155:… or one of Bitcoin's bip122:…",
                new.chain
            );
            return Err(Error::validation("chain", text));
        }
        check(&new.settings)?;
        let mut network = Network {
            id: NetworkId::of(caller.organization, &new.chain),
            organization: caller.organization,
            chain: new.chain,
            settings: new.settings,
            state: NetworkState::Active,
            reason: None,
            resume_by: None,
            created_at_ms: self.now_ms(),
            version: 1,
        };
        network.settings.genesis = Some(self.ask_genesis(&network).await?);
        Ok(network)
    }

    /// The genesis hash that k nodes give, which must be the configured one if there is one.
    pub(super) async fn ask_genesis(&self, network: &Network) -> Result<BlockHash, Error> {
        let source = self.0.sources.try_out(network).map_err(unusable)?;
        let found = source
            .connect()
            .await
            .map_err(|error| unusable(error.into()))?;
        match network.settings.genesis {
            Some(given) if given != found => Err(Error::validation(
                "genesis",
                format!("the nodes' genesis block is {found}, and {given} was given"),
            )),
            _ => Ok(found),
        }
    }

    async fn insert_network(
        &self,
        tx: &mut Tx,
        network: &Network,
        actor: &str,
    ) -> Result<(), Error> {
        if rows::lock(tx, network.id).await?.is_some() {
            let text = format!("{} is {} already", network.chain, network.id);
            return Err(Error::StateConflict(text));
        }
        self.never_added(tx, network.organization, Versioned::Network(network.id))
            .await?;
        let row = row_of(network)?;
        let settings = row.settings.clone();
        rows::insert(tx, &self.0.seals.seal(row)).await?;
        let entry = Entry {
            organization: network.organization,
            at_ms: network.created_at_ms,
            actor,
            action: "network.added",
            object: network.id.to_string(),
            changes: Changes::version(network.id, 1),
            data: serde_json::json!({ "chain": network.chain.as_str(), "settings": settings }),
            events: Outgoing::one(
                EventType::NetworkAdded,
                network.id,
                &NetworkEventV1::of(network, Vec::new()),
            ),
        };
        append(tx, &self.0.seals, entry).await?;
        Ok(())
    }
}

/// What the caller can cure by other nodes or another chain is the caller's to correct.
fn unusable(error: Error) -> Error {
    match error {
        Error::Nodes(NodeError::WrongChain(text)) => Error::validation("chain", text),
        Error::Nodes(NodeError::Configuration(text)) => Error::validation("nodes", text),
        other => other,
    }
}
