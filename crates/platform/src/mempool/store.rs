//! Storing unconfirmed deposits that are new or changed, and telling other systems of them.

use std::collections::{BTreeMap, HashMap};

use coffer_domain::event::EventType;
use coffer_domain::id::WalletId;
use coffer_domain::network::Network;
use coffer_domain::unconfirmed::{Unconfirmed, UnconfirmedState};
use coffer_store::{Sealed, Tx, unconfirmed as rows};
use serde_json::{Value, json};

use super::records::digest_of;
use crate::events::{Outgoing, UnconfirmedDepositEventV1};
use crate::seal::refused;
use crate::{Error, Platform};

/// One that is to be stored, and the version that it has in the database; `None`: it is new.
pub(super) struct Changed {
    row: Unconfirmed,
    stored: Option<u32>,
}

impl Changed {
    pub(super) fn new(row: Unconfirmed) -> Self {
        Self { row, stored: None }
    }

    pub(super) fn of(row: Unconfirmed, stored: u32) -> Self {
        Self {
            row,
            stored: Some(stored),
        }
    }
}

/// As they were stored.
pub(super) struct Stored {
    pub(super) rows: Vec<Sealed<Unconfirmed>>,
}

impl Stored {
    /// What the audit record says of them.
    pub(super) fn said(&self) -> Value {
        let mut states: BTreeMap<&str, u64> = BTreeMap::new();
        for sealed in &self.rows {
            let state = sealed.value.standing.state().name();
            *states.entry(state).or_default() += 1;
        }
        json!({ "states": states, "sha256": digest_of(&self.rows) })
    }
}

impl Platform {
    pub(super) async fn store_unconfirmed(
        &self,
        tx: &mut Tx,
        network: &Network,
        changed: Vec<Changed>,
    ) -> Result<Stored, Error> {
        let mut new = Vec::new();
        let mut stored = Vec::with_capacity(changed.len());
        for Changed { row, stored: was } in changed {
            metrics::counter!("coffer_unconfirmed_total",
                "network" => network.id.to_string(), "state" => row.standing.state().name())
            .increment(1);
            let sealed = self.0.seals.seal(row);
            match was {
                Some(version) => rows::update(tx, &sealed, version).await?,
                None => new.push(sealed.clone()),
            }
            stored.push(sealed);
        }
        rows::insert_many(tx, &new).await?;
        let transactions: HashMap<_, _> = new
            .iter()
            .map(|sealed| (sealed.value.movement.transaction, &sealed.value.inputs))
            .collect();
        for (transaction, inputs) in transactions {
            rows::index_inputs(tx, network.id, transaction, inputs).await?;
        }
        Ok(Stored { rows: stored })
    }

    /// One event for each that others can see a change of; of an included one its deposit tells.
    pub(super) async fn unconfirmed_told(
        &self,
        tx: &mut Tx,
        network: &Network,
        stored: &[Sealed<Unconfirmed>],
    ) -> Result<Outgoing, Error> {
        let told = |state| match state {
            UnconfirmedState::Detected => Some(EventType::DepositUnconfirmed),
            UnconfirmedState::Included => None,
            UnconfirmedState::Replaced
            | UnconfirmedState::DoubleSpent
            | UnconfirmedState::Evicted => Some(EventType::DepositDropped),
        };
        let assets = self.asset_rows(tx, network).await?;
        let wallets: Vec<WalletId> = stored.iter().map(|sealed| sealed.value.wallet).collect();
        let customers = self.customers_of(tx, &wallets).await?;
        let mut events = Outgoing::none();
        for one in stored.iter().map(|sealed| &sealed.value) {
            let Some(kind) = told(one.standing.state()) else {
                continue;
            };
            let asset = assets
                .iter()
                .find(|asset| asset.id == one.asset)
                .ok_or_else(|| refused(one.asset.to_string()))?;
            let customer = customers.get(&one.wallet).cloned();
            let data = UnconfirmedDepositEventV1::of(one, asset, customer);
            events = events.and(kind, one.id, &data);
        }
        Ok(events)
    }
}
