//! What a block, or taking one back, does to unconfirmed deposits: in the block's own transaction.

use std::collections::HashMap;

use coffer_domain::block::{BlockRef, TransactionHash};
use coffer_domain::movement::ObservedBlock;
use coffer_domain::network::Network;
use coffer_domain::output::OutputId;
use coffer_store::{Tx, unconfirmed as rows};
use serde_json::Value;

use super::store::Changed;
use crate::events::Outgoing;
use crate::{Error, Platform};

/// What changed, for the block's audit record.
pub(crate) struct Settled {
    /// `None`: nothing did.
    pub(crate) said: Option<Value>,
    pub(crate) events: Outgoing,
}

impl Settled {
    fn nothing() -> Self {
        Self {
            said: None,
            events: Outgoing::none(),
        }
    }
}

impl Platform {
    /// Marks what the block includes, and what it spends the inputs of by another transaction.
    pub(crate) async fn settle_unconfirmed(
        &self,
        tx: &mut Tx,
        network: &Network,
        block: &ObservedBlock,
    ) -> Result<Settled, Error> {
        if block.spends.is_empty() || !rows::any(tx, network.id).await? {
            return Ok(Settled::nothing());
        }
        let spends = block.spends.iter();
        let spends: HashMap<OutputId, TransactionHash> =
            spends.map(|spend| (spend.output, spend.by)).collect();
        let mut outputs_of: Vec<TransactionHash> =
            spends.keys().map(|output| output.transaction).collect();
        outputs_of.sort_unstable();
        outputs_of.dedup();
        let found = rows::spending(tx, &outputs_of).await?;
        let spender = |output: &OutputId| spends.get(output).copied();
        let now_ms = self.now_ms();
        let mut changed = Vec::new();
        for one in self.good_unconfirmed(found) {
            let (of, version) = (one.network, one.version);
            let settled = one.settled(block.block, &spender, now_ms);
            if let Some(settled) = settled.filter(|_| of == network.id) {
                changed.push(Changed::of(settled, version));
            }
        }
        if changed.is_empty() {
            return Ok(Settled::nothing());
        }
        let stored = self.store_unconfirmed(tx, network, changed).await?;
        Ok(Settled {
            said: Some(stored.said()),
            events: self.unconfirmed_told(tx, network, &stored.rows).await?,
        })
    }

    /// Gives back what the block settled. Nobody is told: of a deposit its own event tells, and what mempools have
    /// of it the next look.
    pub(crate) async fn unsettle_unconfirmed(
        &self,
        tx: &mut Tx,
        network: &Network,
        block: BlockRef,
    ) -> Result<Settled, Error> {
        let found = rows::settled_at(tx, network.id, block.height).await?;
        let now_ms = self.now_ms();
        let mut changed = Vec::new();
        for one in self.good_unconfirmed(found) {
            let version = one.version;
            let unsettled = one.unsettled(block, now_ms);
            changed.extend(unsettled.map(|unsettled| Changed::of(unsettled, version)));
        }
        if changed.is_empty() {
            return Ok(Settled::nothing());
        }
        let stored = self.store_unconfirmed(tx, network, changed).await?;
        Ok(Settled {
            said: Some(stored.said()),
            events: Outgoing::none(),
        })
    }
}
