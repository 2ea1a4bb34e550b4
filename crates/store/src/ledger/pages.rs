//! Pages of the ledger, and its past.

use coffer_domain::id::{AssetId, LedgerAccountId, OrganizationId, WalletId};
use coffer_domain::ledger::AccountKind;

use super::rows::{self, ENTRY, TRANSACTION, int};
use super::{EntryKey, EntryRow, TransactionRow};
use crate::{Param, Row, Sealed, StoreError, Tx, bulk};

#[derive(Debug, Clone, Copy, Default)]
pub struct Filter {
    pub asset: Option<AssetId>,
    pub kind: Option<AccountKind>,
    pub wallet: Option<WalletId>,
}

/// The ids of an organization's accounts, in their order, after `after`.
pub async fn account_ids(
    tx: &mut Tx,
    organization: OrganizationId,
    filter: &Filter,
    after: Option<LedgerAccountId>,
    limit: u32,
) -> Result<Vec<LedgerAccountId>, StoreError> {
    let after = after.map_or([0; 16], |id| *id.as_bytes());
    let mut sql =
        "SELECT id FROM ledger_accounts WHERE id > $1 AND organization_id = $2 AND $3 > 0"
            .to_owned();
    let mut params = vec![
        Param::Blob(&after),
        Param::Blob(organization.as_bytes()),
        Param::Int(i64::from(limit)),
    ];
    let mut only = |column: &str, param| {
        params.push(param);
        sql.push_str(&format!(" AND {column} = ${}", params.len()));
    };
    if let Some(asset) = &filter.asset {
        only("asset_id", Param::Blob(asset.as_bytes()));
    }
    if let Some(kind) = filter.kind {
        only("kind", Param::Text(kind.name()));
    }
    if let Some(wallet) = &filter.wallet {
        only("wallet_id", Param::Blob(wallet.as_bytes()));
    }
    sql.push_str(" ORDER BY id LIMIT $3");
    let found = tx.fetch(sql, &params).await?;
    let id = |row: &Row| Ok(LedgerAccountId::from_bytes(row.bytes(0)?));
    found.iter().map(id).collect()
}

/// Transactions after `after`, in the order of the chain.
pub async fn transactions_after(
    tx: &mut Tx,
    organization: OrganizationId,
    after: u64,
    limit: u32,
) -> Result<Vec<Sealed<TransactionRow>>, StoreError> {
    let sql = format!(
        "SELECT {TRANSACTION} FROM ledger_transactions t WHERE t.organization_id = $1 AND t.seq > $2 \
         ORDER BY t.seq LIMIT $3"
    );
    let params = [
        Param::Blob(organization.as_bytes()),
        Param::Int(int(after)),
        Param::Int(i64::from(limit)),
    ];
    let found = tx.fetch(sql, &params).await?;
    found.iter().map(rows::transaction).collect()
}

/// Transactions at these places of an organization's chain; in no order.
pub async fn transactions_at(
    tx: &mut Tx,
    organization: OrganizationId,
    seqs: &[u64],
) -> Result<Vec<Sealed<TransactionRow>>, StoreError> {
    let key = |seq: &u64| vec![Param::Blob(organization.as_bytes()), Param::Int(int(*seq))];
    let sql = format!(
        "SELECT {TRANSACTION} FROM {} JOIN ledger_transactions t \
         ON t.organization_id = k.column1 AND t.seq = k.column2",
        bulk::KEYS
    );
    let found = bulk::fetch_joined(tx, &sql, seqs.iter().map(key).collect()).await?;
    found.iter().map(rows::transaction).collect()
}

/// Entries of an account with versions above `after` and up to `last`, in their order.
pub async fn entries_after(
    tx: &mut Tx,
    account: LedgerAccountId,
    (after, last): (u64, u64),
    limit: u32,
) -> Result<Vec<EntryRow>, StoreError> {
    let sql = format!(
        "SELECT {ENTRY} FROM ledger_entries e WHERE e.account_id = $1 AND e.version > $2 AND e.version <= $3 \
         ORDER BY e.version LIMIT $4"
    );
    let params = [
        Param::Blob(account.as_bytes()),
        Param::Int(int(after)),
        Param::Int(int(last)),
        Param::Int(i64::from(limit)),
    ];
    let found = tx.fetch(sql, &params).await?;
    found.iter().map(rows::entry).collect()
}

/// The versions that accounts had at a moment, 0 before their first entry; in no order. An account's entries are
/// in the order of time, so each takes as many look-ups as its number of entries has bits.
pub async fn versions_at(
    tx: &mut Tx,
    accounts: &[LedgerAccountId],
    at_ms: i64,
) -> Result<Vec<EntryKey>, StoreError> {
    let middle = "(s.low + s.high + 1) / 2";
    let reached = format!(
        "(SELECT e.at FROM ledger_entries e WHERE e.account_id = s.id AND e.version = {middle}) <= s.at"
    );
    let sql = format!(
        "WITH RECURSIVE s(id, low, high, at) AS ( \
         SELECT a.id, a.version - a.version, a.version, k.column2 FROM {} JOIN ledger_accounts a ON a.id = k.column1 \
         UNION ALL SELECT s.id, CASE WHEN {reached} THEN {middle} ELSE s.low END, \
         CASE WHEN {reached} THEN s.high ELSE {middle} - 1 END, s.at FROM s WHERE s.low < s.high) \
         SELECT s.id, s.low FROM s WHERE s.low = s.high",
        bulk::KEYS
    );
    let keys = accounts
        .iter()
        .map(|id| vec![Param::Blob(id.as_bytes()), Param::Int(at_ms)]);
    let found = bulk::fetch_joined(tx, &sql, keys.collect()).await?;
    let place = |row: &Row| {
        let id = LedgerAccountId::from_bytes(row.bytes(0)?);
        Ok((id, rows::count(row.int(1)?)?))
    };
    found.iter().map(place).collect()
}

/// How many entries there are in the organization's name, and how many on its accounts.
pub async fn count_entries(
    tx: &mut Tx,
    organization: OrganizationId,
) -> Result<(u64, u64), StoreError> {
    let named = "SELECT count(*) FROM ledger_entries WHERE organization_id = $1";
    let owned = "SELECT count(*) FROM ledger_entries e JOIN ledger_accounts a ON a.id = e.account_id \
         WHERE a.organization_id = $1";
    let mut counts = [0; 2];
    for (count, sql) in counts.iter_mut().zip([named, owned]) {
        let row = tx
            .fetch_optional(sql, &[Param::Blob(organization.as_bytes())])
            .await?;
        *count = row.map_or(Ok(0), |row| rows::count(row.int(0)?))?;
    }
    Ok(counts.into())
}
