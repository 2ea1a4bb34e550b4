//! Reading the outbox: verified rows in order, runs made into single events.

use std::collections::HashMap;

use coffer_domain::event::EventForm;
use coffer_domain::id::{EventId, OrganizationId, VaultId, WalletId};
use coffer_domain::wallet::WalletState;
use coffer_store::events::{self as rows, EventRow};
use coffer_store::ledger::transactions_after;
use coffer_store::{Tx, audit, wallets};

use super::data::{LedgerEventV1, WalletEventV1};
use super::outgoing::{LedgerRun, WalletRuns};
use super::{EVENTS_PER_PAGE_MAX, Event, EventFilter, EventPage};
use crate::seal::refused;
use crate::transaction::reread;
use crate::{Caller, Error, Platform};

/// Rows read in one query, and looked at for one page at most: a filter that wants nothing of what there is gets
/// an empty page and where to go on.
const ROWS_PER_QUERY: u32 = 500;
const ROWS_PER_PAGE_MAX: u32 = 10_000;

impl Platform {
    /// Events with a number above `after`, in order.
    pub async fn events(
        &self,
        caller: &Caller,
        filter: &EventFilter,
        after: u64,
        limit: u32,
    ) -> Result<EventPage, Error> {
        self.events_of(caller.organization, filter, after, limit)
            .await
    }

    /// The same for whoever sends them on.
    pub(crate) async fn events_of(
        &self,
        organization: OrganizationId,
        filter: &EventFilter,
        after: u64,
        limit: u32,
    ) -> Result<EventPage, Error> {
        self.guard(organization)?;
        let limit = limit.clamp(1, EVENTS_PER_PAGE_MAX) as usize;
        reread!(self.try_events(organization, filter, after, limit))
    }

    /// The number of the newest event.
    pub async fn event_head(&self, organization: OrganizationId) -> Result<u64, Error> {
        self.guard(organization)?;
        let mut tx = self.0.db.read().await?;
        self.event_end(&mut tx, organization).await
    }

    /// The newest number as `tx` sees it. What the audit chain says is believed; the head's column is asked only
    /// where this process's chain is ahead of the snapshot.
    async fn event_end(&self, tx: &mut Tx, organization: OrganizationId) -> Result<u64, Error> {
        self.follow(tx, organization).await?;
        let head = audit::head(tx, organization).await?;
        let (seq, told) = head.map_or((0, 0), |head| (head.seq, head.events));
        let (known_seq, known) = self.0.chains.events(organization);
        match seq {
            seq if seq == known_seq => Ok(known),
            _ => Ok(told.min(known)),
        }
    }

    async fn try_events(
        &self,
        organization: OrganizationId,
        filter: &EventFilter,
        after: u64,
        limit: usize,
    ) -> Result<EventPage, Error> {
        let mut tx = self.0.db.read().await?;
        let end = self.event_end(&mut tx, organization).await?;
        if after > end {
            let text = format!("the newest event is {end}; was an older backup restored?");
            return Err(Error::validation("cursor", text));
        }
        let mut page = EventPage {
            items: Vec::new(),
            next: after,
            more: false,
        };
        let mut looked_at = 0;
        while page.next < end && page.items.len() < limit && looked_at < ROWS_PER_PAGE_MAX {
            let found = rows::after(&mut tx, organization, page.next, ROWS_PER_QUERY).await?;
            looked_at += ROWS_PER_QUERY;
            if found.is_empty() {
                return Err(missing(organization, page.next + 1));
            }
            for sealed in found {
                let name = |row: &EventRow| format!("event {} of {organization}", row.last);
                let row = self.0.seals.open(sealed, name)?;
                if row.last > end || page.items.len() >= limit {
                    break;
                }
                if row.organization != organization || row.first() > page.next + 1 {
                    return Err(missing(organization, page.next + 1));
                }
                self.take_row(&mut tx, filter, &row, (&mut page, limit))
                    .await?;
            }
        }
        page.more = page.next < end;
        Ok(page)
    }

    /// Adds a row's events to the page, as many as it still takes.
    async fn take_row(
        &self,
        tx: &mut Tx,
        filter: &EventFilter,
        row: &EventRow,
        (page, limit): (&mut EventPage, usize),
    ) -> Result<(), Error> {
        if !filter.wants(row.kind) {
            page.next = row.last;
            return Ok(());
        }
        let room = (limit - page.items.len()) as u64;
        let first = page.next + 1;
        let last = row.last.min(page.next + room);
        for event in self.expand(tx, row, (first, last)).await? {
            if filter.matches(&event) {
                page.items.push(event);
            }
        }
        page.next = last;
        Ok(())
    }

    /// The events with these numbers of those that a row stands for.
    async fn expand(
        &self,
        tx: &mut Tx,
        row: &EventRow,
        (first, last): (u64, u64),
    ) -> Result<Vec<Event>, Error> {
        let skip = first - row.first();
        let count = (last + 1 - first) as usize;
        let told: Vec<(String, String)> = match row.form {
            EventForm::One => vec![(row.subject.clone(), row.data.clone())],
            EventForm::Wallets => self.wallets_told(tx, row, skip, count).await?,
            EventForm::Ledger => self.ledger_told(tx, row, skip, count).await?,
        };
        let event = |(seq, (subject, data))| Event {
            id: EventId::of(row.organization, seq),
            organization: row.organization,
            seq,
            kind: row.kind,
            subject,
            at_ms: row.at_ms,
            data,
        };
        Ok((first..).zip(told).map(event).collect())
    }

    async fn wallets_told(
        &self,
        tx: &mut Tx,
        row: &EventRow,
        skip: u64,
        count: usize,
    ) -> Result<Vec<(String, String)>, Error> {
        let born = born(row, skip, count).ok_or_else(|| refused(name_of(row)))?;
        let vault = self
            .vault_row(tx, row.organization, born.vault)
            .await?
            .vault;
        let ids: Vec<WalletId> = born.wallets.iter().map(|(id, _)| *id).collect();
        let mut found = HashMap::with_capacity(ids.len());
        // Whatever version the row has by now: what an event tells of a wallet's birth never changes.
        for stored in wallets::by_ids(tx, &ids).await? {
            let sealed = stored.map_err(|(id, _)| refused(id.to_string()))?;
            let wallet = self.0.seals.open(sealed, |wallet| wallet.id.to_string())?;
            if wallet.id != WalletId::of_index(vault.id, wallet.index) {
                return Err(refused(wallet.id.to_string()));
            }
            found.insert(wallet.id, wallet);
        }
        born.wallets
            .iter()
            .map(|(id, state)| {
                let wallet = found.get(id).ok_or_else(|| refused(id.to_string()))?;
                let data = WalletEventV1::of(wallet, (*state, None), vault.bitcoin_network);
                Ok((id.to_string(), text(&data)?))
            })
            .collect()
    }

    async fn ledger_told(
        &self,
        tx: &mut Tx,
        row: &EventRow,
        skip: u64,
        count: usize,
    ) -> Result<Vec<(String, String)>, Error> {
        let run: LedgerRun = serde_json::from_str(&row.data).map_err(|_| refused(name_of(row)))?;
        let before = (run.first + skip).saturating_sub(1);
        let limit = u32::try_from(count).unwrap_or(u32::MAX);
        let found = transactions_after(tx, row.organization, before, limit).await?;
        let verified = self
            .verified_transactions(tx, row.organization, found)
            .await?;
        let placed = (run.first + skip..)
            .zip(&verified)
            .all(|(seq, (transaction, _))| transaction.seq == seq);
        if verified.len() != count || !placed {
            return Err(refused(name_of(row)));
        }
        verified
            .iter()
            .map(|(transaction, entries)| {
                let data = LedgerEventV1::of(transaction, entries);
                Ok((transaction.id.to_string(), text(&data)?))
            })
            .collect()
    }
}

/// Some wallets of a row, with the states that they were born in.
struct Born {
    vault: VaultId,
    wallets: Vec<(WalletId, WalletState)>,
}

fn born(row: &EventRow, skip: u64, count: usize) -> Option<Born> {
    let data: WalletRuns = serde_json::from_str(&row.data).ok()?;
    let vault: VaultId = data.vault.parse().ok()?;
    let mut skip = u32::try_from(skip).ok()?;
    let mut wallets = Vec::with_capacity(count);
    for (first, length, state) in data.runs {
        let state: WalletState = state.parse().ok()?;
        let passed = skip.min(length);
        skip -= passed;
        let left = u32::try_from(count - wallets.len()).ok()?;
        let taken = left.min(length - passed);
        let from = first + passed;
        wallets.extend((from..from + taken).map(|index| (WalletId::of_index(vault, index), state)));
    }
    (wallets.len() == count).then_some(Born { vault, wallets })
}

fn name_of(row: &EventRow) -> String {
    format!("event {} of {}", row.last, row.organization)
}

fn missing(organization: OrganizationId, seq: u64) -> Error {
    refused(format!("event {seq} of {organization} (it is missing)"))
}

fn text(data: &impl serde::Serialize) -> Result<String, Error> {
    serde_json::to_string(data).map_err(|error| Error::Internal(error.to_string()))
}
