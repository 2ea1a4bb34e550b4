//! Changing a network's settings.

use coffer_domain::event::EventType;
use coffer_domain::id::NetworkId;
use coffer_domain::network::{Network, NetworkSettings};
use coffer_store::Tx;
use coffer_store::networks as rows;

use super::settings::{check, to_json};
use crate::audit::{Changes, Entry, append};
use crate::events::{NetworkEventV1, Outgoing};
use crate::transaction::transact;
use crate::{Caller, Error, Platform};

impl Platform {
    /// Replaces the settings. Chain and genesis stay for ever, `start_height` once a block was taken; other
    /// nodes are asked for their genesis before they are believed anything.
    pub async fn set_network(
        &self,
        caller: &Caller,
        id: NetworkId,
        settings: NetworkSettings,
    ) -> Result<Network, Error> {
        self.guard(caller.organization)?;
        check(&settings)?;
        let mut wanted = self.network(caller, id).await?;
        let pinned = wanted.settings.genesis;
        if settings.genesis.is_some() && settings.genesis != pinned {
            let text = "a network keeps its genesis block; another chain is another network";
            return Err(Error::validation("genesis", text));
        }
        let settings = NetworkSettings {
            genesis: pinned,
            ..settings
        };
        if settings.nodes != wanted.settings.nodes || settings.quorum != wanted.settings.quorum {
            wanted.settings = settings.clone();
            self.ask_genesis(&wanted).await?;
        }
        let network = transact!(self, tx, {
            self.change_settings(tx, caller, id, &settings).await
        })?;
        self.0.work.notify_waiters();
        Ok(network)
    }

    async fn change_settings(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        id: NetworkId,
        settings: &NetworkSettings,
    ) -> Result<Network, Error> {
        let mut network = self.lock_network(tx, caller.organization, id).await?;
        if network.settings == *settings {
            return Ok(network);
        }
        let moved = network.settings.start_height != settings.start_height;
        if moved && rows::has_blocks(tx, id).await? {
            let text = format!(
                "blocks from {} on were taken; rescan earlier ones instead",
                network.settings.start_height
            );
            return Err(Error::validation("start_height", text));
        }
        let before = std::mem::replace(&mut network.settings, settings.clone());
        // Whoever agreed to resume a frozen network did so under other settings.
        network.resume_by = None;
        network.version += 1;
        self.store_network(tx, &network).await?;
        let weaker = weakened(&before, settings);
        if !weaker.is_empty() {
            tracing::warn!(network = %id, weakened = weaker.join(", "), actor = %caller.key, "a network believes more easily now");
        }
        let entry = Entry {
            organization: network.organization,
            at_ms: self.now_ms(),
            actor: &caller.actor(),
            action: if weaker.is_empty() {
                "network.set"
            } else {
                "network.weakened"
            },
            object: id.to_string(),
            changes: Changes::version(id, network.version),
            data: serde_json::json!({
                "before": to_json(&before)?, "after": to_json(settings)?, "weakened": weaker,
            }),
            events: Outgoing::one(
                EventType::NetworkChanged,
                id,
                &NetworkEventV1::of(&network, weaker.clone()),
            ),
        };
        append(tx, &self.0.seals, entry).await?;
        Ok(network)
    }
}

/// Which settings believe more easily than before; recorded under a name of its own.
fn weakened(before: &NetworkSettings, after: &NetworkSettings) -> Vec<&'static str> {
    use coffer_domain::network::Finality;
    let mut weaker = Vec::new();
    if after.quorum < before.quorum {
        weaker.push("quorum");
    }
    if after.confirmations < before.confirmations {
        weaker.push("confirmations");
    }
    let finality = match (before.finality, after.finality) {
        (Finality::Depth(before), Finality::Depth(after)) => after < before,
        (before, after) => before != after,
    };
    if finality {
        weaker.push("finality");
    }
    weaker
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use coffer_domain::network::{Finality, NodeUrl};

    use super::*;

    #[test]
    fn what_believes_more_easily_is_named() {
        let number = |n| NonZeroU32::new(n).expect("not zero");
        let settings = NetworkSettings {
            name: "a".to_owned(),
            nodes: vec![NodeUrl {
                rpc: "http://a".to_owned(),
                websocket: None,
            }],
            quorum: 2,
            confirmations: number(5),
            finality: Finality::Depth(number(64)),
            start_height: 0,
            genesis: None,
            poll_interval_ms: 1000,
        };
        let check = |change: &dyn Fn(&mut NetworkSettings), expected: &[&str]| {
            let mut after = settings.clone();
            change(&mut after);
            assert_eq!(weakened(&settings, &after), expected);
        };
        check(&|s| s.name = "b".to_owned(), &[]);
        check(&|s| s.quorum = 3, &[]);
        check(&|s| s.quorum = 1, &["quorum"]);
        check(&|s| s.confirmations = number(4), &["confirmations"]);
        check(&|s| s.finality = Finality::Depth(number(63)), &["finality"]);
        check(&|s| s.finality = Finality::Depth(number(65)), &[]);
        check(&|s| s.finality = Finality::Tag, &["finality"]);
    }
}
