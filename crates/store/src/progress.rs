//! How far each network was followed: one row per network, changed by compare-and-set on its version.

use coffer_domain::block::{BlockHash, BlockHeight, BlockRef};
use coffer_domain::id::NetworkId;

use crate::{Param, Row, Sealed, StoreError, Tx};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    pub network: NetworkId,
    /// The last block that was taken; `None` before the first and after all were undone.
    pub tip: Option<BlockRef>,
    /// The highest height that stays; `None` when none does, or two people lifted it.
    pub finalized: Option<BlockHeight>,
    pub updated_at_ms: i64,
    pub version: u64,
}

const COLUMNS: &str =
    "network_id, tip_height, tip_hash, finalized_height, updated_at, version, seal";

pub async fn by_network(
    tx: &mut Tx,
    network: NetworkId,
) -> Result<Option<Sealed<Progress>>, StoreError> {
    one(tx, network, "").await
}

/// Like [`by_network`], and nobody else moves the network until this transaction ends.
pub async fn lock(tx: &mut Tx, network: NetworkId) -> Result<Option<Sealed<Progress>>, StoreError> {
    let lock = tx.engine().for_update();
    one(tx, network, lock).await
}

async fn one(
    tx: &mut Tx,
    network: NetworkId,
    lock: &str,
) -> Result<Option<Sealed<Progress>>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM network_progress WHERE network_id = $1{lock}");
    let row = tx
        .fetch_optional(sql, &[Param::Blob(network.as_bytes())])
        .await?;
    row.as_ref().map(read).transpose()
}

/// Stores the first progress of a network. Two that do so at once: the later one breaks the primary key.
pub async fn insert(tx: &mut Tx, sealed: &Sealed<Progress>) -> Result<(), StoreError> {
    let progress = &sealed.value;
    tx.execute(
        format!("INSERT INTO network_progress ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7)"),
        &[
            Param::Blob(progress.network.as_bytes()),
            Param::OptInt(height(progress)),
            Param::OptBlob(progress.tip.as_ref().map(|tip| &tip.hash.0[..])),
            Param::OptInt(finalized(progress)),
            Param::Int(progress.updated_at_ms),
            Param::Int(version(progress)?),
            Param::Blob(&sealed.seal),
        ],
    )
    .await?;
    Ok(())
}

/// Stores the next progress, if its version still follows the stored one.
pub async fn update(tx: &mut Tx, sealed: &Sealed<Progress>) -> Result<(), StoreError> {
    let progress = &sealed.value;
    tx.execute_one(
        "UPDATE network_progress SET tip_height = $1, tip_hash = $2, finalized_height = $3, updated_at = $4, \
         version = $5, seal = $6 WHERE network_id = $7 AND version = $8",
        &[
            Param::OptInt(height(progress)),
            Param::OptBlob(progress.tip.as_ref().map(|tip| &tip.hash.0[..])),
            Param::OptInt(finalized(progress)),
            Param::Int(progress.updated_at_ms),
            Param::Int(version(progress)?),
            Param::Blob(&sealed.seal),
            Param::Blob(progress.network.as_bytes()),
            Param::Int(version(progress)? - 1),
        ],
        &progress.network,
    )
    .await
}

fn height(progress: &Progress) -> Option<i64> {
    progress
        .tip
        .and_then(|tip| i64::try_from(tip.height.0).ok())
}

fn finalized(progress: &Progress) -> Option<i64> {
    progress
        .finalized
        .and_then(|height| i64::try_from(height.0).ok())
}

fn version(progress: &Progress) -> Result<i64, StoreError> {
    i64::try_from(progress.version)
        .map_err(|_| StoreError::Corrupt("a version beyond 2^63".to_owned()))
}

fn read(row: &Row) -> Result<Sealed<Progress>, StoreError> {
    let tip = match (row.opt_int(1)?, row.opt_bytes(2)?) {
        (Some(_), Some(hash)) => Some(BlockRef {
            height: BlockHeight(row.u64(1)?),
            hash: BlockHash(hash),
        }),
        (None, None) => None,
        _ => return Err(StoreError::Corrupt("half a tip".to_owned())),
    };
    let finalized = row.opt_int(3)?.map(|_| row.u64(3)).transpose()?;
    Ok(Sealed {
        value: Progress {
            network: NetworkId::from_bytes(row.bytes(0)?),
            tip,
            finalized: finalized.map(BlockHeight),
            updated_at_ms: row.int(4)?,
            version: row.u64(5)?,
        },
        seal: row.blob(6)?,
    })
}
