//! The ledger proved anew, from its first transaction on: what it says must follow from what it says.

use std::collections::HashMap;

use coffer_domain::id::{AssetId, LedgerAccountId, OrganizationId};
use coffer_domain::ledger::{AccountKey, Book, Entry, Leg, Phase, Transaction};
use coffer_store::ledger::{self as rows, Account, EntryKey, EntryRow, TransactionRow};
use coffer_store::{Sealed, StoreError, Tx, audit};

use super::load::{NO_HASH, belong};
use super::{LedgerMark, Totals, transaction_hash};
use crate::{Caller, Error, Platform};

/// Transactions, accounts or audit records read at once.
const PAGE: u32 = 1000;

/// Sums of one asset over all accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AssetSums {
    pub asset: AssetId,
    pub totals: Totals,
}

/// What verifying found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerReport {
    pub transactions: u64,
    pub entries: u64,
    pub accounts: u64,
    /// Ends of the ledger that audit records name, all of them compared.
    pub marks: u64,
    /// Where the chain of transactions was found to end.
    pub end: LedgerMark,
    pub assets: Vec<AssetSums>,
    /// What is wrong first, in words; `None` when the ledger is sound.
    pub broken: Option<String>,
}

/// A verification under way.
struct Walk {
    organization: OrganizationId,
    accounts: HashMap<LedgerAccountId, Account>,
    /// The ledger posted once more, from nothing.
    book: Book,
    /// Hashes that audit records name, by place.
    marks: Vec<LedgerMark>,
    next_mark: usize,
    end: LedgerMark,
    at_ms: i64,
    entries: u64,
}

/// An error of the machinery, or what is wrong with the ledger.
enum Stop {
    Error(Error),
    Broken(String),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Corrupt(what) => Self::Broken(format!("the database holds {what}")),
            other => Self::Error(other.into()),
        }
    }
}

impl Platform {
    /// Reads the whole ledger in one snapshot and posts every transaction once more in memory. Checks hashes and their
    /// order, seals, entries and their balances, heads against last entries, debits against credits per asset, that
    /// there is nothing beside, and every end of the ledger that the audit chain names.
    pub async fn verify_ledger(&self, caller: &Caller) -> Result<LedgerReport, Error> {
        let organization = caller.organization;
        self.guard(organization)?;
        let mut tx = self.0.db.read().await?;
        self.follow(&mut tx, organization).await?;
        let mut walk = Walk {
            organization,
            accounts: HashMap::new(),
            book: Book::default(),
            marks: Vec::new(),
            next_mark: 0,
            end: LedgerMark {
                seq: 0,
                hash: NO_HASH,
            },
            at_ms: 0,
            entries: 0,
        };
        let broken = match self.walk(&mut tx, &mut walk).await {
            Ok(()) => None,
            Err(Stop::Broken(reason)) => Some(reason),
            Err(Stop::Error(error)) => return Err(error),
        };
        if let Some(reason) = &broken {
            metrics::counter!("coffer_ledger_breaks_total").increment(1);
            tracing::error!(%organization, reason, alarm = "ledger", "the ledger is not sound");
        }
        Ok(walk.report(broken))
    }

    async fn walk(&self, tx: &mut Tx, walk: &mut Walk) -> Result<(), Stop> {
        walk.read_marks(tx).await?;
        self.read_accounts(tx, walk).await?;
        loop {
            let page = rows::transactions_after(tx, walk.organization, walk.end.seq, PAGE).await?;
            let full = page.len() == PAGE as usize;
            let places: Vec<EntryKey> = page
                .iter()
                .flat_map(|sealed| sealed.value.legs.iter().copied())
                .collect();
            let found = rows::entries_at(tx, &places).await?;
            let mut entries: HashMap<EntryKey, EntryRow> = found
                .into_iter()
                .map(|entry| ((entry.account, entry.version), entry))
                .collect();
            for sealed in page {
                self.take(walk, sealed, &mut entries)
                    .map_err(Stop::Broken)?;
            }
            if !full {
                break;
            }
        }
        self.conclude(tx, walk).await
    }

    /// All accounts, each seal checked.
    async fn read_accounts(&self, tx: &mut Tx, walk: &mut Walk) -> Result<(), Stop> {
        let mut after = None;
        loop {
            let filter = rows::Filter::default();
            let ids = rows::account_ids(tx, walk.organization, &filter, after, PAGE).await?;
            for (sealed, _) in rows::accounts(tx, &ids).await? {
                let id = sealed.value.key.id();
                if !self.0.seals.verifies(&sealed.value, &sealed.seal) {
                    return Err(Stop::Broken(format!("the head of {id} was edited")));
                }
                walk.accounts.insert(id, sealed.value);
            }
            after = ids.last().copied();
            if ids.len() < PAGE as usize {
                return Ok(());
            }
        }
    }

    /// Checks one transaction against all before it.
    fn take(
        &self,
        walk: &mut Walk,
        sealed: Sealed<TransactionRow>,
        entries: &mut HashMap<EntryKey, EntryRow>,
    ) -> Result<(), String> {
        let row = &sealed.value;
        let seq = walk.end.seq + 1;
        if row.seq != seq {
            return Err(format!("transaction {seq} is missing"));
        }
        if row.at_ms < walk.at_ms {
            return Err(format!(
                "transaction {seq} is earlier than the one before it"
            ));
        }
        let legs = row.legs.iter().map(|place| {
            entries.remove(place).ok_or_else(|| {
                format!(
                    "entry {} of {} (transaction {seq}) is missing",
                    place.1, place.0
                )
            })
        });
        let legs: Vec<EntryRow> = legs.collect::<Result<_, _>>()?;
        if !belong(row, &legs) || transaction_hash(row, &legs, &walk.end.hash) != row.hash {
            return Err(format!(
                "transaction {seq} ({}) or an entry of it was edited",
                row.id
            ));
        }
        if !self.0.seals.verifies(row, &sealed.seal) {
            return Err(format!(
                "transaction {seq} was not written by this installation"
            ));
        }
        walk.post(row, &legs)?;
        walk.end = LedgerMark {
            seq,
            hash: row.hash,
        };
        walk.at_ms = row.at_ms;
        walk.entries += legs.len() as u64;
        walk.compare_marks()
    }

    /// What can be said only once all was read.
    async fn conclude(&self, tx: &mut Tx, walk: &mut Walk) -> Result<(), Stop> {
        let broken = |reason: String| Err(Stop::Broken(reason));
        if let Some(mark) = walk.marks.get(walk.next_mark) {
            return broken(format!(
                "the audit chain knows transaction {}, the ledger ends at {}: its tail was cut",
                mark.seq, walk.end.seq
            ));
        }
        let head = rows::head(tx, walk.organization).await?;
        let named = match head {
            Some(sealed) if self.0.seals.verifies(&sealed.value, &sealed.seal) => LedgerMark {
                seq: sealed.value.seq,
                hash: sealed.value.hash,
            },
            Some(_) => return broken("the ledger's end was edited".to_owned()),
            None => LedgerMark {
                seq: 0,
                hash: NO_HASH,
            },
        };
        if named != walk.end {
            return broken(format!(
                "the ledger's end names transaction {}, the transactions end at {}",
                named.seq, walk.end.seq
            ));
        }
        let (named, owned) = rows::count_entries(tx, walk.organization).await?;
        if named != walk.entries || owned != walk.entries {
            return broken(format!(
                "the transactions have {} entries, {} are there and {owned} on the organization's accounts",
                walk.entries, named
            ));
        }
        walk.compare_heads().map_err(Stop::Broken)
    }
}

impl Walk {
    async fn read_marks(&mut self, tx: &mut Tx) -> Result<(), Stop> {
        let mut after = 0;
        loop {
            let page = audit::page(tx, self.organization, after, PAGE).await?;
            let marks = page.iter();
            self.marks
                .extend(marks.filter_map(|record| LedgerMark::of_payload(&record.payload)));
            match page.last() {
                Some(last) if page.len() == PAGE as usize => after = last.seq,
                _ => break,
            }
        }
        self.marks.retain(|mark| mark.seq > 0);
        self.marks.sort_by_key(|mark| mark.seq);
        Ok(())
    }

    /// Posts it once more; the entries must come out as they are stored.
    fn post(&mut self, row: &TransactionRow, stored: &[EntryRow]) -> Result<(), String> {
        let legs = stored.iter().map(|entry| {
            let account = self.accounts.get(&entry.account);
            let missing = || format!("the head of {} is missing", entry.account);
            Ok(Leg {
                account: account.ok_or_else(missing)?.key,
                side: entry.side,
                units: entry.units,
            })
        });
        let legs = legs.collect::<Result<Vec<_>, String>>()?;
        let transaction = Transaction {
            organization: self.organization,
            source: row.source.clone(),
            phase: row.phase,
            legs: match row.phase {
                Phase::Posted | Phase::Pending => legs,
                Phase::Post { .. } | Phase::Void { .. } => Vec::new(),
            },
        };
        let posted = self
            .book
            .post(transaction)
            .map_err(|error| format!("transaction {} cannot have been posted: {error}", row.seq))?;
        let same = |(made, stored): (&Entry, &EntryRow)| {
            made.account.id() == stored.account
                && made.version == stored.version
                && made.side == stored.side
                && made.phase == stored.phase
                && made.units == stored.units
                && made.balance == stored.balance
        };
        let asset = posted.entries.first().map(|entry| entry.account.asset);
        let good = posted.id == row.id
            && asset == Some(row.asset)
            && posted.entries.len() == stored.len()
            && posted.entries.iter().zip(stored).all(same);
        if good {
            return Ok(());
        }
        Err(format!(
            "the entries of transaction {} do not follow from those before",
            row.seq
        ))
    }

    fn compare_marks(&mut self) -> Result<(), String> {
        while let Some(mark) = self.marks.get(self.next_mark) {
            if mark.seq > self.end.seq {
                break;
            }
            if mark.seq < self.end.seq || mark.hash != self.end.hash {
                return Err(format!(
                    "transaction {} is not the one the audit chain names",
                    mark.seq
                ));
            }
            self.next_mark += 1;
        }
        Ok(())
    }

    fn compare_heads(&self) -> Result<(), String> {
        for (id, account) in &self.accounts {
            if self.book.head(&account.key) != account.head {
                return Err(format!("the head of {id} is not its last entry"));
            }
        }
        for of in self.sums() {
            if !of.totals.is_balanced() {
                return Err(format!("debits and credits of {} differ", of.asset));
            }
        }
        Ok(())
    }

    fn sums(&self) -> Vec<AssetSums> {
        let mut sums: HashMap<AssetId, Totals> = HashMap::new();
        for (key, head) in self.book.heads() {
            let key: &AccountKey = key;
            sums.entry(key.asset).or_default().add(&head.balance);
        }
        let mut sums: Vec<AssetSums> = sums
            .into_iter()
            .map(|(asset, totals)| AssetSums { asset, totals })
            .collect();
        sums.sort_by_key(|of| of.asset);
        sums
    }

    fn report(self, broken: Option<String>) -> LedgerReport {
        LedgerReport {
            transactions: self.end.seq,
            entries: self.entries,
            accounts: self.accounts.len() as u64,
            marks: self.next_mark as u64,
            end: self.end,
            assets: self.sums(),
            broken,
        }
    }
}
