//! Loading what a posting needs, verified.

use std::collections::HashMap;

use coffer_domain::id::{LedgerAccountId, LedgerTransactionId, OrganizationId};
use coffer_domain::ledger::{AccountKey, Book, Leg, Phase, Transaction};
use coffer_store::ledger::{self as rows, Account, EntryKey, EntryRow, LedgerHead, TransactionRow};
use coffer_store::{Sealed, Tx};

use super::{LedgerMark, name_of, transaction_hash};
use crate::seal::refused;
use crate::{Error, Platform};

/// Stands before the first transaction.
pub(super) const NO_HASH: [u8; 32] = [0; 32];

impl Platform {
    /// A book with the heads of `accounts` and, for `pending`, the legs of those that are still pending with the
    /// heads of their accounts. Locks the end of the organization's ledger until `tx` ends, so that posting is
    /// serial per organization.
    pub(crate) async fn open_book(
        &self,
        tx: &mut Tx,
        organization: OrganizationId,
        accounts: &[AccountKey],
        pending: &[LedgerTransactionId],
    ) -> Result<Book, Error> {
        self.lock_end(tx, organization).await?;
        let pending = self.pending_legs(tx, organization, pending).await?;
        let mut ids: Vec<LedgerAccountId> = accounts.iter().map(AccountKey::id).collect();
        let legs = pending.iter().flat_map(|(_, entries)| entries);
        ids.extend(legs.map(|entry| entry.account));
        let heads = self.verified_accounts(tx, organization, ids).await?;
        let mut book = Book::default();
        for account in heads.values() {
            book.load(account.key, account.head);
        }
        for (id, entries) in pending {
            let leg = |entry: EntryRow| {
                let account = heads
                    .get(&entry.account)
                    .ok_or_else(|| refused(entry.account.to_string()))?;
                Ok(Leg {
                    account: account.key,
                    side: entry.side,
                    units: entry.units,
                })
            };
            let legs = entries.into_iter().map(leg).collect::<Result<_, Error>>()?;
            book.load_pending(id, legs);
        }
        Ok(book)
    }

    /// Like [`Self::open_book`], with all that posting `transactions` needs; it also knows which of them posted
    /// before ([`Book::is_posted`]).
    pub(crate) async fn book_for(
        &self,
        tx: &mut Tx,
        organization: OrganizationId,
        transactions: &[Transaction],
    ) -> Result<Book, Error> {
        let legs = transactions.iter().flat_map(|t| &t.legs);
        let accounts: Vec<AccountKey> = legs.map(|leg| leg.account).collect();
        let resolved = transactions.iter().map(|t| t.phase.resolves());
        let pending: Vec<LedgerTransactionId> = resolved.flatten().collect();
        let mut book = self
            .open_book(tx, organization, &accounts, &pending)
            .await?;
        let ids: Vec<LedgerTransactionId> = transactions.iter().map(Transaction::id).collect();
        for id in rows::known_transactions(tx, &ids).await? {
            book.load_posted(id);
        }
        Ok(book)
    }

    /// The end of the ledger, locked, and not behind what the audit chain knows: a ledger that was put back as a
    /// whole has good seals.
    pub(super) async fn lock_end(
        &self,
        tx: &mut Tx,
        organization: OrganizationId,
    ) -> Result<LedgerHead, Error> {
        let head = rows::lock_head(tx, organization).await?;
        let end = self.verified_end(organization, head)?;
        if is_behind(&end, self.0.chains.ledger_mark(organization)) {
            return Err(refused(name_of(organization)));
        }
        Ok(end)
    }

    /// The end of the ledger, if its seal is right; the beginning when there is none.
    pub(super) fn verified_end(
        &self,
        organization: OrganizationId,
        head: Option<Sealed<LedgerHead>>,
    ) -> Result<LedgerHead, Error> {
        let Some(head) = head else {
            return Ok(LedgerHead {
                organization,
                seq: 0,
                at_ms: 0,
                hash: NO_HASH,
            });
        };
        self.0.seals.open(head, |_| name_of(organization))
    }

    /// Accounts whose seals verify and whose last entries say the same.
    pub(crate) async fn verified_accounts(
        &self,
        tx: &mut Tx,
        organization: OrganizationId,
        mut ids: Vec<LedgerAccountId>,
    ) -> Result<HashMap<LedgerAccountId, Account>, Error> {
        ids.sort_unstable();
        ids.dedup();
        let mut accounts = HashMap::with_capacity(ids.len());
        for (sealed, last) in rows::accounts(tx, &ids).await? {
            let account = self
                .0
                .seals
                .open(sealed, |account| account.key.id().to_string())?;
            let id = account.key.id();
            if account.key.organization != organization || last != Some(account.head.balance) {
                return Err(refused(id.to_string()));
            }
            accounts.insert(id, account);
        }
        Ok(accounts)
    }

    /// The entries of those of `ids` that are pending.
    async fn pending_legs(
        &self,
        tx: &mut Tx,
        organization: OrganizationId,
        ids: &[LedgerTransactionId],
    ) -> Result<Vec<(LedgerTransactionId, Vec<EntryRow>)>, Error> {
        let mut found = rows::transactions(tx, ids).await?;
        found.retain(|sealed| {
            sealed.value.phase == Phase::Pending && sealed.value.organization == organization
        });
        let ids: Vec<LedgerTransactionId> = found.iter().map(|sealed| sealed.value.id).collect();
        for (resolved, _) in rows::resolved(tx, &ids).await? {
            found.retain(|sealed| sealed.value.id != resolved);
        }
        let verified = self.verified_transactions(tx, organization, found).await?;
        Ok(verified
            .into_iter()
            .map(|(row, entries)| (row.id, entries))
            .collect())
    }

    /// Transactions with their entries, if hashes and seals are right.
    pub(crate) async fn verified_transactions(
        &self,
        tx: &mut Tx,
        organization: OrganizationId,
        found: Vec<Sealed<TransactionRow>>,
    ) -> Result<Vec<(TransactionRow, Vec<EntryRow>)>, Error> {
        let places: Vec<EntryKey> = found
            .iter()
            .flat_map(|sealed| sealed.value.legs.iter().copied())
            .collect();
        let mut entries: HashMap<EntryKey, EntryRow> = rows::entries_at(tx, &places)
            .await?
            .into_iter()
            .map(|entry| ((entry.account, entry.version), entry))
            .collect();
        let before = found.iter().map(|sealed| sealed.value.seq.wrapping_sub(1));
        let before = rows::hashes(tx, organization, &before.collect::<Vec<_>>()).await?;
        let mut verified = Vec::with_capacity(found.len());
        for sealed in found {
            let row = self.0.seals.open(sealed, |row| row.id.to_string())?;
            let legs = row.legs.iter().map(|place| entries.remove(place)).collect();
            let legs: Option<Vec<EntryRow>> = legs;
            let previous = match row.seq {
                1 => Some(&NO_HASH),
                seq => before.get(&(seq.wrapping_sub(1))),
            };
            match (legs, previous) {
                (Some(legs), Some(previous))
                    if belong(&row, &legs)
                        && transaction_hash(&row, &legs, previous) == row.hash =>
                {
                    verified.push((row, legs));
                }
                _ => return Err(refused(row.id.to_string())),
            }
        }
        Ok(verified)
    }
}

/// Whether the ledger ends before what the audit chain knows of it, or otherwise.
pub(super) fn is_behind(end: &LedgerHead, known: Option<LedgerMark>) -> bool {
    known.is_some_and(|mark| mark.seq > end.seq || (mark.seq == end.seq && mark.hash != end.hash))
}

/// Whether the entries name the transaction and their places in it: what the hash does not cover.
pub(super) fn belong(row: &TransactionRow, entries: &[EntryRow]) -> bool {
    entries.iter().enumerate().all(|(leg, entry)| {
        entry.organization == row.organization
            && entry.transaction_seq == row.seq
            && entry.at_ms == row.at_ms
            && entry.leg as usize == leg
    })
}
