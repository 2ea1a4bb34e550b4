//! What the chain said that wallets hold, for showing. Not sealed, because nothing is decided by it.

use coffer_domain::block::{BlockHash, BlockHeight, BlockRef};
use coffer_domain::id::{AssetId, WalletId};
use ruint::aliases::U256;

use crate::{Param, StoreError, Tx, bulk, units};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Snapshot {
    pub wallet: WalletId,
    pub asset: AssetId,
    pub units: U256,
    pub block: BlockRef,
    pub taken_at_ms: i64,
}

/// Replaces what is kept of an asset for the wallets `first..=last`. Ids of one vault sort by index.
pub async fn replace(
    tx: &mut Tx,
    asset: AssetId,
    (first, last): (WalletId, WalletId),
    snapshots: &[Snapshot],
) -> Result<(), StoreError> {
    tx.execute(
        "DELETE FROM balance_snapshots WHERE wallet_id >= $1 AND wallet_id <= $2 AND asset_id = $3",
        &[
            Param::Blob(first.as_bytes()),
            Param::Blob(last.as_bytes()),
            Param::Blob(asset.as_bytes()),
        ],
    )
    .await?;
    let bytes: Vec<_> = snapshots
        .iter()
        .map(|one| units::to_bytes(one.units))
        .collect();
    let rows = snapshots.iter().zip(&bytes).map(|(one, units)| {
        vec![
            Param::Blob(one.wallet.as_bytes()),
            Param::Blob(one.asset.as_bytes()),
            Param::Blob(units),
            Param::Int(i64::try_from(one.block.height.0).unwrap_or(i64::MAX)),
            Param::Blob(&one.block.hash.0),
            Param::Int(one.taken_at_ms),
        ]
    });
    let columns = [
        "wallet_id",
        "asset_id",
        "units",
        "block_height",
        "block_hash",
        "taken_at",
    ];
    bulk::insert(tx, "balance_snapshots", &columns, rows).await?;
    Ok(())
}

/// All that is kept of a wallet.
pub async fn of_wallet(tx: &mut Tx, wallet: WalletId) -> Result<Vec<Snapshot>, StoreError> {
    let rows = tx
        .fetch(
            "SELECT asset_id, units, block_height, block_hash, taken_at FROM balance_snapshots WHERE wallet_id = $1",
            &[Param::Blob(wallet.as_bytes())],
        )
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Snapshot {
                wallet,
                asset: AssetId::from_bytes(row.bytes(0)?),
                units: units::from_bytes(&row.blob(1)?)?,
                block: BlockRef {
                    height: BlockHeight(row.u64(2)?),
                    hash: BlockHash(row.bytes(3)?),
                },
                taken_at_ms: row.int(4)?,
            })
        })
        .collect()
}
