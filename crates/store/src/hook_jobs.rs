//! Calls to the customers' KYC service that are still to be made, one per pending wallet.

use coffer_domain::id::{VaultId, WalletId};

use crate::{Param, StoreError, Tx, bulk};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookJob {
    pub wallet: WalletId,
    pub vault: VaultId,
    pub attempts: u32,
    pub fence: i64,
}

pub async fn add(
    tx: &mut Tx,
    vault: VaultId,
    wallets: &[WalletId],
    now_ms: i64,
) -> Result<(), StoreError> {
    let rows = wallets.iter().map(|wallet| {
        vec![
            Param::Blob(wallet.as_bytes()),
            Param::Blob(vault.as_bytes()),
            Param::Int(0),
            Param::Int(now_ms),
            Param::Int(0),
        ]
    });
    bulk::insert(
        tx,
        "hook_jobs",
        &["wallet_id", "vault_id", "attempts", "not_before", "fence"],
        rows,
    )
    .await?;
    Ok(())
}

/// Takes up to `limit` due jobs; each is due again at `again_at_ms` unless it is finished before.
pub async fn claim(
    tx: &mut Tx,
    now_ms: i64,
    again_at_ms: i64,
    limit: u32,
) -> Result<Vec<HookJob>, StoreError> {
    let sql = format!(
        "UPDATE hook_jobs SET not_before = $1, fence = fence + 1, attempts = attempts + 1 WHERE wallet_id IN \
         (SELECT j.wallet_id FROM hook_jobs j WHERE j.parked_at IS NULL AND j.not_before <= $2 \
         ORDER BY j.not_before LIMIT $3{}) RETURNING wallet_id, vault_id, attempts, fence",
        tx.engine().skip_locked("j")
    );
    let rows = tx
        .fetch(
            sql,
            &[
                Param::Int(again_at_ms),
                Param::Int(now_ms),
                Param::Int(i64::from(limit)),
            ],
        )
        .await?;
    rows.iter()
        .map(|row| {
            Ok(HookJob {
                wallet: WalletId::from_bytes(row.bytes(0)?),
                vault: VaultId::from_bytes(row.bytes(1)?),
                attempts: row.u32(2)?,
                fence: row.int(3)?,
            })
        })
        .collect()
}

pub async fn remove(tx: &mut Tx, wallet: WalletId) -> Result<(), StoreError> {
    tx.execute(
        "DELETE FROM hook_jobs WHERE wallet_id = $1",
        &[Param::Blob(wallet.as_bytes())],
    )
    .await?;
    Ok(())
}

/// Puts a job off to `not_before_ms`, or parks it for good when `parked_at_ms` is given.
pub async fn put_off(
    tx: &mut Tx,
    job: &HookJob,
    not_before_ms: i64,
    parked_at_ms: Option<i64>,
    error: &str,
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE hook_jobs SET not_before = $1, parked_at = $2, last_error = $3 WHERE wallet_id = $4 AND fence = $5",
        &[
            Param::Int(not_before_ms),
            Param::OptInt(parked_at_ms),
            Param::Text(error),
            Param::Blob(job.wallet.as_bytes()),
            Param::Int(job.fence),
        ],
    )
    .await?;
    Ok(())
}
