//! Pausing and resuming a network by a person, freezing it by the system.

use coffer_domain::event::EventType;
use coffer_domain::id::NetworkId;
use coffer_domain::network::{Network, NetworkEvent, NetworkState, NetworkTransitionError};
use coffer_store::Tx;
use coffer_store::networks as rows;

use crate::audit::{Changes, Entry, append};
use crate::events::{NetworkEventV1, Outgoing};
use crate::transaction::transact;
use crate::{Answer, Caller, Error, Once, Platform};

const REASON_BYTES_MAX: usize = 1000;

impl Platform {
    /// No block is taken until the network is resumed.
    pub async fn pause_network(
        &self,
        caller: &Caller,
        id: NetworkId,
        reason: &str,
        once: Option<Once<'_, Network>>,
    ) -> Result<Answer<Network>, Error> {
        let reason = checked_reason(reason)?;
        self.control_network(caller, id, NetworkEvent::Pause, Some(reason), once)
            .await
    }

    /// Resumes a paused network. A frozen one is resumed by the second call, which another API key makes.
    pub async fn resume_network(
        &self,
        caller: &Caller,
        id: NetworkId,
        once: Option<Once<'_, Network>>,
    ) -> Result<Answer<Network>, Error> {
        let event = NetworkEvent::Resume { by: caller.key };
        self.control_network(caller, id, event, None, once).await
    }

    async fn control_network(
        &self,
        caller: &Caller,
        id: NetworkId,
        event: NetworkEvent,
        reason: Option<&str>,
        once: Option<Once<'_, Network>>,
    ) -> Result<Answer<Network>, Error> {
        self.guard(caller.organization)?;
        let operation = match event {
            NetworkEvent::Pause => "networks.pause",
            NetworkEvent::Resume { .. } => "networks.resume",
            NetworkEvent::Freeze => "networks.freeze",
        };
        let answer = transact!(self, tx, {
            if let Some(answer) = self.replay(tx, caller, operation, once.as_ref()).await? {
                return Ok(answer);
            }
            let network = self.lock_network(tx, caller.organization, id).await?;
            let reason = reason.map(str::to_owned);
            let network = self
                .change_state(tx, network, event, reason, &caller.actor())
                .await?;
            self.keep(tx, caller, operation, once.as_ref(), &network)
                .await?;
            Ok(Answer::Executed(network))
        })?;
        self.0.work.notify_waiters();
        Ok(answer)
    }

    /// Stops a network whose chain was reorganized below finality. A frozen one stays as it is, but what one
    /// person said towards resuming it no longer counts.
    pub async fn freeze_network(&self, id: NetworkId, reason: &str) -> Result<(), Error> {
        transact!(self, tx, {
            let sealed = rows::lock(tx, id).await?;
            let sealed = sealed.ok_or_else(|| Error::not_found("network", id))?;
            let network = self.open_network(tx, sealed).await?;
            if network.state == NetworkState::Frozen && network.resume_by.is_none() {
                return Ok(());
            }
            let event = NetworkEvent::Freeze;
            self.change_state(tx, network, event, Some(reason.to_owned()), "system")
                .await?;
            tracing::error!(network = %id, reason, alarm = "reorganization", "a network is frozen");
            Ok(())
        })
    }

    /// The transition, its effect on finality and its audit record, in the caller's transaction.
    async fn change_state(
        &self,
        tx: &mut Tx,
        network: Network,
        event: NetworkEvent,
        reason: Option<String>,
        actor: &str,
    ) -> Result<Network, Error> {
        let before = network.state;
        let network = network.apply(event, reason).map_err(refusal)?;
        self.store_network(tx, &network).await?;
        let lifted = before == NetworkState::Frozen && network.state == NetworkState::Active;
        if lifted {
            self.lift_finality(tx, &network).await?;
        }
        let told = match (event, network.state) {
            (NetworkEvent::Pause, _) => EventType::NetworkPaused,
            (NetworkEvent::Freeze, _) => EventType::NetworkFrozen,
            (NetworkEvent::Resume { .. }, NetworkState::Frozen) => EventType::NetworkResumeAsked,
            (NetworkEvent::Resume { .. }, _) => EventType::NetworkResumed,
        };
        let entry = Entry {
            organization: network.organization,
            at_ms: self.now_ms(),
            actor,
            action: told.name(),
            object: network.id.to_string(),
            changes: Changes::version(network.id, network.version),
            data: serde_json::json!({ "reason": network.reason, "finality_lifted": lifted }),
            events: Outgoing::one(told, network.id, &NetworkEventV1::of(&network, Vec::new())),
        };
        append(tx, &self.0.seals, entry).await?;
        Ok(network)
    }

    /// Two people decided to follow the nodes below what was final.
    async fn lift_finality(&self, tx: &mut Tx, network: &Network) -> Result<(), Error> {
        let progress = self.lock_progress(tx, network.id).await?;
        if progress.version > 0 {
            self.move_progress(tx, progress, progress.tip, None).await?;
        }
        Ok(())
    }
}

pub(crate) fn checked_reason(reason: &str) -> Result<&str, Error> {
    let reason = reason.trim();
    if reason.is_empty() {
        return Err(Error::validation("reason", "say why"));
    }
    if reason.len() > REASON_BYTES_MAX {
        let text = format!("at most {REASON_BYTES_MAX} bytes");
        return Err(Error::validation("reason", text));
    }
    Ok(reason)
}

fn refusal(error: NetworkTransitionError) -> Error {
    match error {
        NetworkTransitionError::SamePerson => Error::SecondPerson,
        error @ NetworkTransitionError::State(_) => Error::StateConflict(error.to_string()),
    }
}
