//! Storing what a book posted.

use std::collections::HashMap;

use coffer_domain::id::{LedgerTransactionId, OrganizationId};
use coffer_domain::ledger::{AccountKey, Head, LedgerError, Posted};
use coffer_store::ledger::{self as rows, Account, EntryRow, LedgerHead, TransactionRow};
use coffer_store::{Constraint, Sealed, StoreError, Tx};

use super::{LedgerMark, name_of, transaction_hash};
use crate::seal::refused;
use crate::{Error, Platform};

/// Where an account stood before a posting and stands after it.
type Moves = HashMap<AccountKey, (u64, Head)>;
/// Rows to be stored, and the ledger's end with them.
type Chained = (Vec<Sealed<TransactionRow>>, Vec<EntryRow>, LedgerHead);

impl Platform {
    /// Stores transactions, entries, heads of accounts and the end of the ledger. `posted` comes from a book that
    /// was opened in the same `tx`. A source that posted before is [`LedgerError::Repeated`].
    pub(crate) async fn store_posted(
        &self,
        tx: &mut Tx,
        organization: OrganizationId,
        posted: &[Posted],
    ) -> Result<LedgerMark, Error> {
        let end = self.lock_end(tx, organization).await?;
        if posted.is_empty() {
            return Ok(LedgerMark {
                seq: end.seq,
                hash: end.hash,
            });
        }
        let (transactions, mut entries, end) = self.chained(end, posted)?;
        entries.sort_unstable_by_key(|entry| (entry.account, entry.version));
        let stored = self.store_rows(tx, &transactions, &entries, posted).await;
        if let Err(error) = stored {
            return Err(self.why_refused(error, organization, posted).await?);
        }
        rows::set_head(tx, &self.0.seals.seal(end)).await?;
        let count = |rows: usize| u64::try_from(rows).unwrap_or(u64::MAX);
        metrics::counter!("coffer_ledger_transactions_total").increment(count(posted.len()));
        metrics::counter!("coffer_ledger_entries_total").increment(count(entries.len()));
        Ok(LedgerMark {
            seq: end.seq,
            hash: end.hash,
        })
    }

    /// Rows of the transactions, each with the hash that covers it and the one before; their entries; the new end.
    fn chained(&self, mut end: LedgerHead, posted: &[Posted]) -> Result<Chained, Error> {
        end.at_ms = end.at_ms.max(self.now_ms());
        let mut transactions = Vec::with_capacity(posted.len());
        let mut entries: Vec<EntryRow> = Vec::with_capacity(posted.len() * 2);
        for posted in posted {
            end.seq += 1;
            let first = entries.len();
            entries.extend((0..).zip(&posted.entries).map(|(leg, entry)| EntryRow {
                account: entry.account.id(),
                version: entry.version,
                organization: end.organization,
                transaction_seq: end.seq,
                leg,
                side: entry.side,
                phase: entry.phase,
                units: entry.units,
                balance: entry.balance,
                at_ms: end.at_ms,
            }));
            let of_this = &entries[first..];
            let asset = posted.entries.first().map(|entry| entry.account.asset);
            let mut row = TransactionRow {
                organization: end.organization,
                seq: end.seq,
                id: posted.id,
                source: posted.transaction.source.clone(),
                phase: posted.transaction.phase,
                asset: asset.ok_or_else(|| {
                    Error::Internal(format!("{} was posted without entries", posted.id))
                })?,
                legs: of_this
                    .iter()
                    .map(|entry| (entry.account, entry.version))
                    .collect(),
                at_ms: end.at_ms,
                hash: [0; 32],
            };
            row.hash = transaction_hash(&row, of_this, &end.hash);
            end.hash = row.hash;
            transactions.push(self.0.seals.seal(row));
        }
        Ok((transactions, entries, end))
    }

    async fn store_rows(
        &self,
        tx: &mut Tx,
        transactions: &[Sealed<TransactionRow>],
        entries: &[EntryRow],
        posted: &[Posted],
    ) -> Result<(), StoreError> {
        rows::insert_transactions(tx, transactions).await?;
        rows::insert_entries(tx, entries).await?;
        let mut accounts: Vec<(Sealed<Account>, u64)> = moves(posted)
            .into_iter()
            .map(|(key, (before, head))| (self.0.seals.seal(Account { key, head }), before))
            .collect();
        accounts.sort_by_cached_key(|(sealed, _)| sealed.value.key.id());
        let fresh = accounts.iter().filter(|(_, before)| *before == 0);
        let fresh: Vec<Sealed<Account>> = fresh.map(|(sealed, _)| sealed.clone()).collect();
        accounts.retain(|(_, before)| *before > 0);
        rows::insert_accounts(tx, &fresh).await?;
        rows::update_accounts(tx, &accounts).await
    }

    /// What a refused insert means. PostgreSQL has given the transaction up, so it is looked at in another one.
    async fn why_refused(
        &self,
        error: StoreError,
        organization: OrganizationId,
        posted: &[Posted],
    ) -> Result<Error, Error> {
        let StoreError::Conflict(constraint) = &error else {
            return Ok(error.into());
        };
        let mut tx = self.0.db.read().await?;
        match constraint {
            Constraint::LedgerTransaction => {
                let ids: Vec<LedgerTransactionId> = posted.iter().map(|posted| posted.id).collect();
                let known = rows::known_transactions(&mut tx, &ids).await?;
                if let Some(id) = known.first() {
                    return Ok(LedgerError::Repeated(*id).into());
                }
            }
            Constraint::LedgerResolution => {
                let of = |posted: &Posted| Some((posted.transaction.phase.resolves()?, posted.id));
                let wanted: HashMap<_, _> = posted.iter().filter_map(of).collect();
                let ids: Vec<LedgerTransactionId> = wanted.keys().copied().collect();
                let resolved = rows::resolved(&mut tx, &ids).await?;
                if let Some((of, _)) = resolved.first() {
                    let (transaction, of) = (wanted[of], *of);
                    return Ok(LedgerError::NotPending { transaction, of }.into());
                }
            }
            Constraint::LedgerEntry | Constraint::LedgerSequence | Constraint::LedgerAccount => {}
            _ => return Ok(error.into()),
        }
        // A head that is behind its entries: it was put back, or removed.
        Ok(refused(name_of(organization)))
    }
}

fn moves(posted: &[Posted]) -> Moves {
    let mut moves = Moves::new();
    for entry in posted.iter().flat_map(|posted| &posted.entries) {
        let head = Head {
            version: entry.version,
            balance: entry.balance,
        };
        moves
            .entry(entry.account)
            .or_insert((entry.version.saturating_sub(1), head))
            .1 = head;
    }
    moves
}
