//! Reading the ledger, now and at any moment before. What does not verify is refused, never shown.

use std::collections::HashMap;

use coffer_domain::id::{AssetId, LedgerAccountId, LedgerTransactionId, OrganizationId, WalletId};
use coffer_domain::ledger::{AccountKey, AccountKind, Balance, EntryPhase, Phase, Side, Source};
use coffer_store::Tx;
use coffer_store::ledger::{self as rows, Account, EntryKey, EntryRow, Filter, TransactionRow};
use ruint::aliases::{U256, U512};

use super::load::is_behind;
use super::name_of;
use crate::seal::refused;
use crate::{Caller, Error, Platform};

/// Accounts read at once while summing up.
const STEP: u32 = 1000;
/// Entries of a statement read at once.
const STATEMENT_STEP: u32 = 500;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerAccount {
    pub id: LedgerAccountId,
    pub key: AccountKey,
    /// Entries so far.
    pub version: u64,
    pub balance: Balance,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerTransaction {
    pub id: LedgerTransactionId,
    /// Its place in the organization's chain, from 1.
    pub seq: u64,
    pub source: Source,
    pub phase: Phase,
    pub asset: AssetId,
    pub at_ms: i64,
    pub hash: [u8; 32],
    pub entries: Vec<LedgerEntry>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerEntry {
    pub account: LedgerAccountId,
    pub version: u64,
    pub transaction: LedgerTransactionId,
    pub source: Source,
    pub side: Side,
    pub phase: EntryPhase,
    pub units: U256,
    /// The account's balance with the entry.
    pub balance: Balance,
    pub at_ms: i64,
}

#[derive(Debug, Clone)]
pub struct LedgerPage<T, C> {
    pub items: Vec<T>,
    /// Where the next page begins.
    pub next: Option<C>,
}

#[derive(Debug, Clone, Copy, Default)]
pub struct AccountFilter {
    pub asset: Option<AssetId>,
    pub kind: Option<AccountKind>,
    pub wallet: Option<WalletId>,
}

/// Sums over accounts; wider than one account's, so that they always fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    pub accounts: u64,
    pub posted_debits: U512,
    pub posted_credits: U512,
    pub pending_debits: U512,
    pub pending_credits: U512,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KindTotals {
    pub kind: AccountKind,
    pub totals: Totals,
}

/// The trial balance of one asset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssetTotals {
    pub asset: AssetId,
    pub kinds: Vec<KindTotals>,
    pub totals: Totals,
}

impl Totals {
    pub(super) fn add(&mut self, balance: &Balance) {
        self.accounts += 1;
        self.posted_debits += U512::from(balance.posted_debits);
        self.posted_credits += U512::from(balance.posted_credits);
        self.pending_debits += U512::from(balance.pending_debits);
        self.pending_credits += U512::from(balance.pending_credits);
    }

    /// Whether debits equal credits, posted and pending. True of all accounts of an asset together.
    #[must_use]
    pub fn is_balanced(&self) -> bool {
        self.posted_debits == self.posted_credits && self.pending_debits == self.pending_credits
    }
}

impl From<Account> for LedgerAccount {
    fn from(account: Account) -> Self {
        Self {
            id: account.key.id(),
            key: account.key,
            version: account.head.version,
            balance: account.head.balance,
        }
    }
}

impl LedgerTransaction {
    fn of((row, entries): (TransactionRow, Vec<EntryRow>)) -> Self {
        let entry = |entry: EntryRow| LedgerEntry {
            account: entry.account,
            version: entry.version,
            transaction: row.id,
            source: row.source.clone(),
            side: entry.side,
            phase: entry.phase,
            units: entry.units,
            balance: entry.balance,
            at_ms: entry.at_ms,
        };
        Self {
            entries: entries.into_iter().map(entry).collect(),
            id: row.id,
            seq: row.seq,
            source: row.source,
            phase: row.phase,
            asset: row.asset,
            at_ms: row.at_ms,
            hash: row.hash,
        }
    }
}

impl Platform {
    /// Accounts in the order of their ids.
    pub async fn ledger_accounts(
        &self,
        caller: &Caller,
        filter: &AccountFilter,
        after: Option<LedgerAccountId>,
        limit: u32,
    ) -> Result<LedgerPage<LedgerAccount, LedgerAccountId>, Error> {
        let mut tx = self.ledger_tx(caller).await?;
        let filter = filter.rows();
        let ids = rows::account_ids(&mut tx, caller.organization, &filter, after, limit).await?;
        let accounts = self
            .current_accounts(&mut tx, caller.organization, &ids)
            .await?;
        Ok(LedgerPage {
            next: ids.last().copied().filter(|_| ids.len() == limit as usize),
            items: accounts.into_iter().map(LedgerAccount::from).collect(),
        })
    }

    pub async fn ledger_account(
        &self,
        caller: &Caller,
        id: LedgerAccountId,
    ) -> Result<LedgerAccount, Error> {
        let mut tx = self.ledger_tx(caller).await?;
        let found = rows::accounts(&mut tx, &[id]).await?;
        if !found
            .iter()
            .any(|(sealed, _)| sealed.value.key.organization == caller.organization)
        {
            // A head that was removed leaves its entries behind.
            let entries = rows::entries_after(&mut tx, id, (0, u64::MAX), 1).await?;
            return Err(match entries.first() {
                Some(entry) if entry.organization == caller.organization => refused(id.to_string()),
                _ => Error::not_found("ledger account", id),
            });
        }
        let accounts = self
            .current_accounts(&mut tx, caller.organization, &[id])
            .await?;
        let account = accounts.into_iter().next();
        account
            .map(LedgerAccount::from)
            .ok_or_else(|| refused(id.to_string()))
    }

    /// Transactions after the place `after`, in the order of the chain.
    pub async fn ledger_transactions(
        &self,
        caller: &Caller,
        after: u64,
        limit: u32,
    ) -> Result<LedgerPage<LedgerTransaction, u64>, Error> {
        let mut tx = self.ledger_tx(caller).await?;
        let found = rows::transactions_after(&mut tx, caller.organization, after, limit).await?;
        let full = found.len() == limit as usize;
        let mut places = (after + 1..).zip(&found);
        if let Some((missing, _)) = places.find(|(seq, found)| *seq != found.value.seq) {
            return Err(refused(format!("ledger transaction {missing}")));
        }
        let found = self
            .verified_transactions(&mut tx, caller.organization, found)
            .await?;
        let items: Vec<_> = found.into_iter().map(LedgerTransaction::of).collect();
        Ok(LedgerPage {
            next: items.last().map(|last| last.seq).filter(|_| full),
            items,
        })
    }

    pub async fn ledger_transaction(
        &self,
        caller: &Caller,
        id: LedgerTransactionId,
    ) -> Result<LedgerTransaction, Error> {
        let mut tx = self.ledger_tx(caller).await?;
        let mut found = rows::transactions(&mut tx, &[id]).await?;
        found.retain(|sealed| sealed.value.organization == caller.organization);
        let found = self
            .verified_transactions(&mut tx, caller.organization, found)
            .await?;
        let found = found.into_iter().next();
        found
            .map(LedgerTransaction::of)
            .ok_or_else(|| Error::not_found("ledger transaction", id))
    }

    /// Entries of an account with versions above `after`, in their order.
    pub async fn ledger_entries(
        &self,
        caller: &Caller,
        account: LedgerAccountId,
        after: u64,
        limit: u32,
    ) -> Result<LedgerPage<LedgerEntry, u64>, Error> {
        let end = self.ledger_account(caller, account).await?.version;
        let items = self
            .entries_between(caller.organization, account, (after, end), limit)
            .await?;
        let full = items.len() == limit as usize;
        Ok(LedgerPage {
            next: items.last().map(|last| last.version).filter(|_| full),
            items,
        })
    }

    /// Sums per asset and kind of account, now or at the end of a millisecond before.
    pub async fn ledger_balances(
        &self,
        caller: &Caller,
        filter: &AccountFilter,
        at_ms: Option<i64>,
    ) -> Result<Vec<AssetTotals>, Error> {
        let organization = caller.organization;
        let mut tx = self.ledger_tx(caller).await?;
        let rows_filter = filter.rows();
        let (mut after, mut sums) = (None, HashMap::new());
        loop {
            let ids = rows::account_ids(&mut tx, organization, &rows_filter, after, STEP).await?;
            let mut accounts = self.current_accounts(&mut tx, organization, &ids).await?;
            if let Some(at_ms) = at_ms {
                let then = self.balances_at(&mut tx, organization, &ids, at_ms).await?;
                accounts.retain(|account| then.contains_key(&account.key.id()));
                for account in &mut accounts {
                    account.head.balance = then[&account.key.id()];
                }
            }
            for account in accounts {
                let of_asset: &mut HashMap<AccountKind, Totals> =
                    sums.entry(account.key.asset).or_default();
                of_asset
                    .entry(account.key.kind)
                    .or_default()
                    .add(&account.head.balance);
            }
            after = ids.last().copied();
            if ids.len() < STEP as usize {
                return Ok(trial(sums));
            }
        }
    }

    /// An account's entries in a span of time, with the balances before and after. Read piece by piece.
    pub async fn statement(
        &self,
        caller: &Caller,
        account: LedgerAccountId,
        from_ms: i64,
        to_ms: i64,
    ) -> Result<Statement, Error> {
        let found = self.ledger_account(caller, account).await?;
        let mut tx = self.ledger_tx(caller).await?;
        let ids = [account];
        let version = |places: Vec<EntryKey>| places.first().map_or(0, |(_, version)| *version);
        let before = from_ms.saturating_sub(1);
        let first = version(rows::versions_at(&mut tx, &ids, before).await?);
        let last = version(rows::versions_at(&mut tx, &ids, to_ms).await?);
        let organization = caller.organization;
        let opening = self
            .balances_at(&mut tx, organization, &ids, before)
            .await?;
        let closing = self.balances_at(&mut tx, organization, &ids, to_ms).await?;
        let of = |balances: HashMap<_, Balance>| balances.get(&account).copied();
        Ok(Statement {
            platform: self.clone(),
            account: found,
            opening: of(opening).unwrap_or_default(),
            closing: of(closing).unwrap_or_default(),
            from_ms,
            to_ms,
            after: first,
            last,
        })
    }

    async fn ledger_tx(&self, caller: &Caller) -> Result<Tx, Error> {
        let organization = caller.organization;
        self.guard(organization)?;
        // What is known before the snapshot is taken must be in it.
        let known = self.0.chains.ledger_mark(organization);
        let mut tx = self.0.db.read().await?;
        self.follow(&mut tx, organization).await?;
        let head = rows::head(&mut tx, organization).await?;
        let end = self.verified_end(organization, head)?;
        if is_behind(&end, known) {
            return Err(refused(name_of(organization)));
        }
        Ok(tx)
    }

    /// Accounts in the order of `ids`, verified, and with no entry beyond their heads: a head that was put back to an
    /// earlier one has a good seal.
    async fn current_accounts(
        &self,
        tx: &mut Tx,
        organization: OrganizationId,
        ids: &[LedgerAccountId],
    ) -> Result<Vec<Account>, Error> {
        let accounts = self
            .verified_accounts(tx, organization, ids.to_vec())
            .await?;
        let beyond: Vec<EntryKey> = accounts
            .iter()
            .map(|(id, account)| (*id, account.head.version + 1))
            .collect();
        if let Some(entry) = rows::entries_at(tx, &beyond).await?.first() {
            return Err(refused(entry.account.to_string()));
        }
        let in_order = ids.iter().map(|id| {
            let account = accounts.get(id).copied();
            account.ok_or_else(|| refused(id.to_string()))
        });
        in_order.collect()
    }

    /// The balances of those accounts that had an entry by then, each from an entry whose transaction verifies.
    async fn balances_at(
        &self,
        tx: &mut Tx,
        organization: OrganizationId,
        ids: &[LedgerAccountId],
        at_ms: i64,
    ) -> Result<HashMap<LedgerAccountId, Balance>, Error> {
        let mut places = rows::versions_at(tx, ids, at_ms).await?;
        places.retain(|(_, version)| *version > 0);
        let wanted = places.len();
        let found = rows::entries_at(tx, &places).await?;
        let found = self.verified_entries(tx, organization, found).await?;
        if found.len() != wanted {
            return Err(refused("a ledger entry".to_owned()));
        }
        let balance = |entry: LedgerEntry| (entry.account, entry.balance);
        Ok(found.into_iter().map(balance).collect())
    }

    /// The same entries, from transactions that verify; in their order.
    async fn verified_entries(
        &self,
        tx: &mut Tx,
        organization: OrganizationId,
        found: Vec<EntryRow>,
    ) -> Result<Vec<LedgerEntry>, Error> {
        let mut seqs: Vec<u64> = found.iter().map(|entry| entry.transaction_seq).collect();
        seqs.sort_unstable();
        seqs.dedup();
        let rows = rows::transactions_at(tx, organization, &seqs).await?;
        let verified = self.verified_transactions(tx, organization, rows).await?;
        let mut by_place: HashMap<EntryKey, LedgerEntry> = HashMap::with_capacity(found.len());
        for transaction in verified.into_iter().map(LedgerTransaction::of) {
            let entries = transaction.entries.into_iter();
            by_place.extend(entries.map(|entry| ((entry.account, entry.version), entry)));
        }
        let in_order = found.iter().map(|entry| {
            let verified = by_place.remove(&(entry.account, entry.version));
            verified.ok_or_else(|| refused(format!("entry {} of {}", entry.version, entry.account)))
        });
        in_order.collect()
    }

    async fn entries_between(
        &self,
        organization: OrganizationId,
        account: LedgerAccountId,
        (after, last): (u64, u64),
        limit: u32,
    ) -> Result<Vec<LedgerEntry>, Error> {
        let mut tx = self.0.db.read().await?;
        let found = rows::entries_after(&mut tx, account, (after, last), limit).await?;
        let mut places = (after + 1..).zip(&found);
        let missing = places.find(|(version, entry)| *version != entry.version);
        let short = found.len() < limit as usize
            && found.last().map_or(after, |entry| entry.version) < last;
        if missing.is_some() || short {
            return Err(refused(format!("an entry of {account}")));
        }
        self.verified_entries(&mut tx, organization, found).await
    }
}

impl AccountFilter {
    fn rows(&self) -> Filter {
        Filter {
            asset: self.asset,
            kind: self.kind,
            wallet: self.wallet,
        }
    }
}

fn trial(sums: HashMap<AssetId, HashMap<AccountKind, Totals>>) -> Vec<AssetTotals> {
    let mut assets: Vec<AssetTotals> = Vec::with_capacity(sums.len());
    for (asset, kinds) in sums {
        let mut kinds: Vec<KindTotals> = kinds
            .into_iter()
            .map(|(kind, totals)| KindTotals { kind, totals })
            .collect();
        kinds.sort_by_key(|of| of.kind);
        let mut totals = Totals::default();
        for of in kinds.iter().map(|of| &of.totals) {
            totals.accounts += of.accounts;
            totals.posted_debits += of.posted_debits;
            totals.posted_credits += of.posted_credits;
            totals.pending_debits += of.pending_debits;
            totals.pending_credits += of.pending_credits;
        }
        assets.push(AssetTotals {
            asset,
            kinds,
            totals,
        });
    }
    assets.sort_by_key(|of| of.asset);
    assets
}

/// An account's statement. Entries are never changed, so its pieces fit together however long reading takes.
pub struct Statement {
    platform: Platform,
    pub account: LedgerAccount,
    pub opening: Balance,
    pub closing: Balance,
    pub from_ms: i64,
    pub to_ms: i64,
    after: u64,
    last: u64,
}

impl Statement {
    /// How many entries it has in all.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.last.saturating_sub(self.after)
    }

    /// The next entries; `None` after the last.
    pub async fn next(&mut self) -> Result<Option<Vec<LedgerEntry>>, Error> {
        if self.after >= self.last {
            return Ok(None);
        }
        let organization = self.account.key.organization;
        let span = (self.after, self.last);
        let entries = self
            .platform
            .entries_between(organization, self.account.id, span, STATEMENT_STEP)
            .await?;
        self.after = entries.last().map_or(self.last, |entry| entry.version);
        Ok(Some(entries))
    }
}
