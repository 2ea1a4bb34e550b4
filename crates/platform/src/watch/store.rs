//! Storing what a step did: deposits, ledger, audit record; and the book that a step posts to.

use std::collections::{HashMap, HashSet};

use coffer_domain::block::BlockRef;
use coffer_domain::deposit::{Deposit, DepositState};
use coffer_domain::id::{DepositId, NetworkId, OrganizationId};
use coffer_domain::ledger::{AccountKey, Book};
use coffer_domain::movement::ObservedBlock;
use coffer_domain::network::Network;
use coffer_domain::sync::Change;
use coffer_store::{Sealed, Tx, deposits as rows};
use serde_json::{Map, Value, json};

use super::records::digest_of;
use crate::audit::{Changes, Entry, append};
use crate::events::Outgoing;
use crate::mempool::Settled;
use crate::{Error, Platform};

/// What a step is going to store.
pub(crate) struct Planned {
    pub(crate) change: Change,
    /// Deposits that the block includes.
    pub(crate) included: usize,
    /// The version that each deposit has in the database; the others are new.
    stored: HashMap<DepositId, u32>,
}

/// What the audit chain is told of a step.
pub(crate) struct Record {
    action: &'static str,
    block: BlockRef,
    /// What else is to be said; a step that says it is recorded even if it changed nothing.
    more: Map<String, Value>,
    actor: String,
    /// What others are told of beside the deposits.
    events: Outgoing,
}

impl Record {
    pub(crate) fn of(action: &'static str, block: BlockRef) -> Self {
        Self {
            action,
            block,
            more: Map::new(),
            actor: "system".to_owned(),
            events: Outgoing::none(),
        }
    }

    pub(crate) fn with(mut self, name: &str, value: Value) -> Self {
        self.more.insert(name.to_owned(), value);
        self
    }

    /// With what the block did to unconfirmed deposits.
    pub(crate) fn settling(self, settled: Settled) -> Self {
        let record = Self {
            events: settled.events,
            ..self
        };
        match settled.said {
            Some(said) => record.with("unconfirmed", said),
            None => record,
        }
    }
}

impl Planned {
    /// Over deposits as they are stored.
    pub(crate) fn over<'a>(deposits: impl IntoIterator<Item = &'a Deposit>) -> Self {
        let stored = deposits
            .into_iter()
            .map(|deposit| (deposit.id, deposit.version));
        Self {
            change: Change::default(),
            included: 0,
            stored: stored.collect(),
        }
    }

    /// Each deposit as it is in the end, in the order of the first change.
    fn last_of_each(deposits: Vec<Deposit>) -> Vec<Deposit> {
        let mut order = Vec::new();
        let mut last = HashMap::new();
        for deposit in deposits {
            let id = deposit.id;
            if last.insert(id, deposit).is_none() {
                order.push(id);
            }
        }
        order.iter().filter_map(|id| last.remove(id)).collect()
    }
}

impl Platform {
    /// The book with these accounts, and the announced credits of `deposits`.
    pub(crate) async fn book_of(
        &self,
        tx: &mut Tx,
        organization: OrganizationId,
        accounts: Vec<AccountKey>,
        deposits: &[Deposit],
    ) -> Result<Book, Error> {
        let accounts: HashSet<AccountKey> = accounts.into_iter().collect();
        let mut accounts: Vec<_> = accounts.into_iter().collect();
        accounts.sort_unstable_by_key(|account| account.id());
        let pending: Vec<_> = deposits
            .iter()
            .filter(|deposit| deposit.state == DepositState::Detected && !deposit.units.is_zero())
            .map(Deposit::pending_id)
            .collect();
        self.open_book(tx, organization, &accounts, &pending).await
    }

    /// Stores deposits and postings, and the audit record last. Answers the deposits that changed.
    pub(crate) async fn store_planned(
        &self,
        tx: &mut Tx,
        network: &Network,
        planned: Planned,
        record: Record,
    ) -> Result<Vec<Deposit>, Error> {
        let Planned { change, stored, .. } = planned;
        let sealed: Vec<Sealed<Deposit>> = Planned::last_of_each(change.deposits)
            .into_iter()
            .map(|deposit| self.0.seals.seal(deposit))
            .collect();
        let (known, new): (Vec<_>, Vec<_>) = sealed
            .iter()
            .cloned()
            .partition(|sealed| stored.contains_key(&sealed.value.id));
        if !new.is_empty() {
            rows::insert_many(tx, &new).await?;
        }
        for sealed in &known {
            rows::update(tx, sealed, stored[&sealed.value.id]).await?;
        }
        if !sealed.is_empty() || !record.more.is_empty() {
            let mark = self
                .store_posted(tx, network.organization, &change.posted)
                .await?;
            let changed: Vec<&Deposit> = sealed.iter().map(|sealed| &sealed.value).collect();
            let events = self
                .deposits_told(tx, network, &changed)
                .await?
                .ledger_posted(network.organization, mark.seq, change.posted.len())
                .then(record.events);
            let data = json!({
                "block": { "height": record.block.height.0, "hash": record.block.hash.to_string() },
                "deposits": sealed.len(),
                "deposits_sha256": digest_of(&sealed),
                "ledger_seq": mark.seq,
                "ledger_hash": hex::encode(mark.hash),
                "more": (!record.more.is_empty()).then_some(record.more),
            });
            let entry = Entry {
                organization: network.organization,
                at_ms: self.now_ms(),
                actor: &record.actor,
                action: record.action,
                object: network.id.to_string(),
                changes: Changes::default(),
                data,
                events,
            };
            append(tx, &self.0.seals, entry).await?;
        }
        Ok(sealed.into_iter().map(|sealed| sealed.value).collect())
    }

    /// Counts what was committed.
    pub(crate) fn count_changes(
        &self,
        network: NetworkId,
        block: &ObservedBlock,
        changed: &[Deposit],
    ) {
        let now = self.now_ms();
        for deposit in changed {
            let state = deposit.state.name();
            metrics::counter!("coffer_deposits_total", "network" => network.to_string(), "state" => state)
                .increment(1);
            let made_ms = i64::try_from(block.unix_s)
                .unwrap_or(0)
                .saturating_mul(1000);
            let since = |from: i64| (now - from).max(0) as f64 / 1000.0;
            if deposit.block == block.block {
                metrics::histogram!("coffer_deposit_latency_seconds", "stage" => "detected")
                    .record(since(made_ms));
            }
            if deposit.state == DepositState::Confirmed {
                // Of an older block the time of its making is not at hand; it was seen soon after.
                let from = made_ms.min(deposit.detected_at_ms);
                metrics::histogram!("coffer_deposit_latency_seconds", "stage" => "confirmed")
                    .record(since(from));
            }
        }
    }
}
