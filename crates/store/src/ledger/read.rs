//! What posting reads before it writes.

use std::collections::HashMap;

use coffer_domain::id::{LedgerAccountId, LedgerTransactionId, OrganizationId};
use coffer_domain::ledger::Balance;

use super::rows::{self, ACCOUNT, ENTRY, TRANSACTION, int};
use super::{Account, EntryKey, EntryRow, LedgerHead, TransactionRow};
use crate::{Param, Row, Sealed, StoreError, Tx, bulk};

/// A pending transaction and the one that resolved it.
pub type Resolved = (LedgerTransactionId, LedgerTransactionId);

pub async fn head(
    tx: &mut Tx,
    organization: OrganizationId,
) -> Result<Option<Sealed<LedgerHead>>, StoreError> {
    read_head(tx, organization, "").await
}

/// The end of the chain, locked until the transaction ends: posting is serial per organization. Before the
/// first posting there is nothing to lock but the organization itself.
pub async fn lock_head(
    tx: &mut Tx,
    organization: OrganizationId,
) -> Result<Option<Sealed<LedgerHead>>, StoreError> {
    let lock = tx.engine().for_update();
    let head = read_head(tx, organization, lock).await?;
    if head.is_some() || lock.is_empty() {
        return Ok(head);
    }
    let sql = format!("SELECT created_at FROM organizations WHERE id = $1{lock}");
    tx.fetch_optional(sql, &[Param::Blob(organization.as_bytes())])
        .await?;
    read_head(tx, organization, lock).await
}

async fn read_head(
    tx: &mut Tx,
    organization: OrganizationId,
    lock: &str,
) -> Result<Option<Sealed<LedgerHead>>, StoreError> {
    let sql =
        format!("SELECT seq, at, hash, seal FROM ledger_heads WHERE organization_id = $1{lock}");
    let row = tx
        .fetch_optional(sql, &[Param::Blob(organization.as_bytes())])
        .await?;
    row.map(|row| {
        let value = LedgerHead {
            organization,
            seq: rows::count(row.int(0)?)?,
            at_ms: row.int(1)?,
            hash: row.bytes(2)?,
        };
        Ok(Sealed {
            value,
            seal: row.blob(3)?,
        })
    })
    .transpose()
}

fn keys<'a>(ids: impl Iterator<Item = &'a [u8; 16]>) -> Vec<&'a [u8]> {
    ids.map(|id| &id[..]).collect()
}

/// Accounts of these ids, each with the balance that its last entry says; in no order.
pub async fn accounts(
    tx: &mut Tx,
    ids: &[LedgerAccountId],
) -> Result<Vec<(Sealed<Account>, Option<Balance>)>, StoreError> {
    let select = format!(
        "SELECT {ACCOUNT}, e.version, e.posted_debits, e.posted_credits, e.pending_debits, e.pending_credits \
         FROM ledger_accounts a LEFT JOIN ledger_entries e ON e.account_id = a.id AND e.version = a.version WHERE a.id"
    );
    let read = |row: &Row| {
        let account = rows::account(row)?;
        let last = match row.opt_int(11)? {
            Some(_) => Some(rows::balance(row, 12)?),
            None => None,
        };
        Ok((account, last))
    };
    let ids = keys(ids.iter().map(LedgerAccountId::as_bytes));
    let found = bulk::fetch_in(tx, &select, &ids).await?;
    found.iter().map(read).collect()
}

/// Transactions of these ids; in no order.
pub async fn transactions(
    tx: &mut Tx,
    ids: &[LedgerTransactionId],
) -> Result<Vec<Sealed<TransactionRow>>, StoreError> {
    let select = format!("SELECT {TRANSACTION} FROM ledger_transactions t WHERE t.id");
    let ids = keys(ids.iter().map(LedgerTransactionId::as_bytes));
    let found = bulk::fetch_in(tx, &select, &ids).await?;
    found.iter().map(rows::transaction).collect()
}

/// Which of these sources posted already.
pub async fn known_transactions(
    tx: &mut Tx,
    ids: &[LedgerTransactionId],
) -> Result<Vec<LedgerTransactionId>, StoreError> {
    let ids = keys(ids.iter().map(LedgerTransactionId::as_bytes));
    let select = "SELECT id FROM ledger_transactions WHERE id";
    let found = bulk::fetch_in(tx, select, &ids).await?;
    let id = |row: &Row| Ok(LedgerTransactionId::from_bytes(row.bytes(0)?));
    found.iter().map(id).collect()
}

/// Which of these pending transactions were resolved, and by which.
pub async fn resolved(
    tx: &mut Tx,
    ids: &[LedgerTransactionId],
) -> Result<Vec<Resolved>, StoreError> {
    let ids = keys(ids.iter().map(LedgerTransactionId::as_bytes));
    let select = "SELECT resolves, id FROM ledger_transactions WHERE resolves";
    let found = bulk::fetch_in(tx, select, &ids).await?;
    let pair = |row: &Row| {
        Ok((
            LedgerTransactionId::from_bytes(row.bytes(0)?),
            LedgerTransactionId::from_bytes(row.bytes(1)?),
        ))
    };
    found.iter().map(pair).collect()
}

/// Entries at these places; in no order.
pub async fn entries_at(tx: &mut Tx, places: &[EntryKey]) -> Result<Vec<EntryRow>, StoreError> {
    let keys = places
        .iter()
        .map(|(account, version)| vec![Param::Blob(account.as_bytes()), Param::Int(int(*version))]);
    let select = format!(
        "SELECT {ENTRY} FROM {} JOIN ledger_entries e ON e.account_id = k.column1 AND e.version = k.column2",
        bulk::KEYS
    );
    let found = bulk::fetch_joined(tx, &select, keys.collect()).await?;
    found.iter().map(rows::entry).collect()
}

/// The hashes at these places of an organization's chain.
pub async fn hashes(
    tx: &mut Tx,
    organization: OrganizationId,
    seqs: &[u64],
) -> Result<HashMap<u64, [u8; 32]>, StoreError> {
    let key = |seq: &u64| vec![Param::Blob(organization.as_bytes()), Param::Int(int(*seq))];
    let select = format!(
        "SELECT t.seq, t.hash FROM {} JOIN ledger_transactions t ON t.organization_id = k.column1 AND t.seq = k.column2",
        bulk::KEYS
    );
    let found = bulk::fetch_joined(tx, &select, seqs.iter().map(key).collect()).await?;
    let pair = |row: &Row| Ok((rows::count(row.int(0)?)?, row.bytes(1)?));
    found.iter().map(pair).collect()
}
