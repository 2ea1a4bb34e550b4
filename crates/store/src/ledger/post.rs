//! What posting writes.

use coffer_domain::ledger::Phase;

use super::rows::{int, pack_legs, sums};
use super::{Account, EntryRow, LedgerHead, TransactionRow};
use crate::{Param, Sealed, StoreError, Tx, bulk, units};

pub async fn insert_transactions(
    tx: &mut Tx,
    transactions: &[Sealed<TransactionRow>],
) -> Result<(), StoreError> {
    let packed: Vec<(Vec<u8>, Option<[u8; 16]>)> = transactions
        .iter()
        .map(|sealed| {
            let resolves = sealed.value.phase.resolves().map(|id| *id.as_bytes());
            (pack_legs(&sealed.value.legs), resolves)
        })
        .collect();
    let rows = transactions
        .iter()
        .zip(&packed)
        .map(|(sealed, (legs, resolves))| {
            let transaction = &sealed.value;
            vec![
                Param::Blob(transaction.organization.as_bytes()),
                Param::Int(int(transaction.seq)),
                Param::Blob(transaction.id.as_bytes()),
                Param::Text(transaction.source.kind.name()),
                Param::Text(&transaction.source.id),
                Param::Text(Phase::name(&transaction.phase)),
                Param::OptBlob(resolves.as_ref().map(|id| &id[..])),
                Param::Blob(transaction.asset.as_bytes()),
                Param::Blob(legs),
                Param::Int(transaction.at_ms),
                Param::Blob(&transaction.hash),
                Param::Blob(&sealed.seal),
            ]
        });
    let columns = [
        "organization_id",
        "seq",
        "id",
        "source_kind",
        "source_id",
        "phase",
        "resolves",
        "asset_id",
        "legs",
        "at",
        "hash",
        "seal",
    ];
    bulk::insert(tx, "ledger_transactions", &columns, rows).await?;
    Ok(())
}

/// Inserts entries, best in the order of account and version.
pub async fn insert_entries(tx: &mut Tx, entries: &[EntryRow]) -> Result<(), StoreError> {
    let packed: Vec<(Vec<u8>, [Vec<u8>; 4])> = entries
        .iter()
        .map(|entry| (units::to_bytes(entry.units), sums(&entry.balance)))
        .collect();
    let rows = entries.iter().zip(&packed).map(|(entry, (units, sums))| {
        vec![
            Param::Blob(entry.account.as_bytes()),
            Param::Int(int(entry.version)),
            Param::Blob(entry.organization.as_bytes()),
            Param::Int(int(entry.transaction_seq)),
            Param::Int(i64::from(entry.leg)),
            Param::Text(entry.side.name()),
            Param::Text(entry.phase.name()),
            Param::Blob(units),
            Param::Blob(&sums[0]),
            Param::Blob(&sums[1]),
            Param::Blob(&sums[2]),
            Param::Blob(&sums[3]),
            Param::Int(entry.at_ms),
        ]
    });
    let columns = [
        "account_id",
        "version",
        "organization_id",
        "transaction_seq",
        "leg",
        "side",
        "phase",
        "units",
        "posted_debits",
        "posted_credits",
        "pending_debits",
        "pending_credits",
        "at",
    ];
    bulk::insert(tx, "ledger_entries", &columns, rows).await?;
    Ok(())
}

/// Inserts accounts that had no entry before.
pub async fn insert_accounts(tx: &mut Tx, accounts: &[Sealed<Account>]) -> Result<(), StoreError> {
    let packed: Vec<_> = accounts
        .iter()
        .map(|sealed| (sealed.value.key.id(), sums(&sealed.value.head.balance)))
        .collect();
    let rows = accounts.iter().zip(&packed).map(|(sealed, (id, sums))| {
        let key = &sealed.value.key;
        vec![
            Param::Blob(id.as_bytes()),
            Param::Blob(key.organization.as_bytes()),
            Param::Blob(key.asset.as_bytes()),
            Param::Text(key.kind.name()),
            Param::OptBlob(key.wallet.as_ref().map(|wallet| &wallet.as_bytes()[..])),
            Param::Int(int(sealed.value.head.version)),
            Param::Blob(&sums[0]),
            Param::Blob(&sums[1]),
            Param::Blob(&sums[2]),
            Param::Blob(&sums[3]),
            Param::Blob(&sealed.seal),
        ]
    });
    let columns = [
        "id",
        "organization_id",
        "asset_id",
        "kind",
        "wallet_id",
        "version",
        "posted_debits",
        "posted_credits",
        "pending_debits",
        "pending_credits",
        "seal",
    ];
    bulk::insert(tx, "ledger_accounts", &columns, rows).await?;
    Ok(())
}

/// Moves heads of accounts, each from the version beside it. All of them, or the race is lost.
pub async fn update_accounts(
    tx: &mut Tx,
    accounts: &[(Sealed<Account>, u64)],
) -> Result<(), StoreError> {
    let packed: Vec<_> = accounts
        .iter()
        .map(|(sealed, _)| (sealed.value.key.id(), sums(&sealed.value.head.balance)))
        .collect();
    let rows = accounts
        .iter()
        .zip(&packed)
        .map(|((sealed, expected), (id, sums))| {
            vec![
                Param::Blob(id.as_bytes()),
                Param::Int(int(*expected)),
                Param::Int(int(sealed.value.head.version)),
                Param::Blob(&sums[0]),
                Param::Blob(&sums[1]),
                Param::Blob(&sums[2]),
                Param::Blob(&sums[3]),
                Param::Blob(&sealed.seal),
            ]
        });
    let columns = [
        "version",
        "posted_debits",
        "posted_credits",
        "pending_debits",
        "pending_credits",
        "seal",
    ];
    let changed = bulk::update(tx, "ledger_accounts", &columns, rows).await?;
    if changed == accounts.len() as u64 {
        return Ok(());
    }
    Err(StoreError::Retry(
        "a ledger account was changed meanwhile".to_owned(),
    ))
}

pub async fn set_head(tx: &mut Tx, sealed: &Sealed<LedgerHead>) -> Result<(), StoreError> {
    let head = &sealed.value;
    tx.execute(
        "INSERT INTO ledger_heads (organization_id, seq, at, hash, seal) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (organization_id) DO UPDATE \
         SET seq = excluded.seq, at = excluded.at, hash = excluded.hash, seal = excluded.seal",
        &[
            Param::Blob(head.organization.as_bytes()),
            Param::Int(int(head.seq)),
            Param::Int(head.at_ms),
            Param::Blob(&head.hash),
            Param::Blob(&sealed.seal),
        ],
    )
    .await?;
    Ok(())
}
