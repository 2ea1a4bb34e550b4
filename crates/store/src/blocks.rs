//! The coverage record: one row per block of the chain that is followed; and the blocks that were taken back.

use coffer_domain::block::{BlockHash, BlockHeight, BlockRef};
use coffer_domain::id::NetworkId;

use crate::{Param, Row, Sealed, StoreError, Tx};

/// A block that was taken, and what was found in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockRow {
    pub network: NetworkId,
    pub block: BlockRef,
    pub parent: BlockHash,
    pub unix_s: u64,
    pub transactions: u32,
    pub logs: u32,
    /// Deposits that it includes.
    pub movements: u32,
    pub root: [u8; 32],
    pub applied_at_ms: i64,
}

const COLUMNS: &str = "network_id, height, hash, parent, unix_s, transactions, logs, movements, root, applied_at, seal";

/// A second block at the same height breaks the primary key.
pub async fn insert(tx: &mut Tx, sealed: &Sealed<BlockRow>) -> Result<(), StoreError> {
    let row = &sealed.value;
    tx.execute(
        format!(
            "INSERT INTO blocks ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
        ),
        &[
            Param::Blob(row.network.as_bytes()),
            Param::Int(signed(row.block.height.0)?),
            Param::Blob(&row.block.hash.0),
            Param::Blob(&row.parent.0),
            Param::Int(signed(row.unix_s)?),
            Param::Int(i64::from(row.transactions)),
            Param::Int(i64::from(row.logs)),
            Param::Int(i64::from(row.movements)),
            Param::Blob(&row.root),
            Param::Int(row.applied_at_ms),
            Param::Blob(&sealed.seal),
        ],
    )
    .await?;
    Ok(())
}

/// Stores how many deposits a block includes now, after a rescan found more.
pub async fn update_movements(tx: &mut Tx, sealed: &Sealed<BlockRow>) -> Result<(), StoreError> {
    let row = &sealed.value;
    tx.execute_one(
        "UPDATE blocks SET movements = $1, seal = $2 WHERE network_id = $3 AND height = $4 AND hash = $5",
        &[
            Param::Int(i64::from(row.movements)),
            Param::Blob(&sealed.seal),
            Param::Blob(row.network.as_bytes()),
            Param::Int(signed(row.block.height.0)?),
            Param::Blob(&row.block.hash.0),
        ],
        &row.block,
    )
    .await
}

pub async fn at(
    tx: &mut Tx,
    network: NetworkId,
    height: BlockHeight,
) -> Result<Option<Sealed<BlockRow>>, StoreError> {
    Ok(page(tx, network, (height, height), 1)
        .await?
        .into_iter()
        .next())
}

/// Blocks of `first..=last` in rising order, at most `limit`.
pub async fn page(
    tx: &mut Tx,
    network: NetworkId,
    (first, last): (BlockHeight, BlockHeight),
    limit: u32,
) -> Result<Vec<Sealed<BlockRow>>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM blocks WHERE network_id = $1 AND height >= $2 AND height <= $3 ORDER BY height LIMIT $4"
    );
    let params = [
        Param::Blob(network.as_bytes()),
        Param::Int(i64::try_from(first.0).unwrap_or(i64::MAX)),
        Param::Int(i64::try_from(last.0).unwrap_or(i64::MAX)),
        Param::Int(i64::from(limit)),
    ];
    tx.fetch(sql, &params).await?.iter().map(read).collect()
}

/// The first height that is recorded.
pub async fn first_height(
    tx: &mut Tx,
    network: NetworkId,
) -> Result<Option<BlockHeight>, StoreError> {
    let row = tx
        .fetch_optional(
            "SELECT height FROM blocks WHERE network_id = $1 ORDER BY height LIMIT 1",
            &[Param::Blob(network.as_bytes())],
        )
        .await?;
    row.map(|row| row.u64(0).map(BlockHeight)).transpose()
}

/// Moves a block that a reorganization took back.
pub async fn orphan(tx: &mut Tx, row: &BlockRow, now_ms: i64) -> Result<(), StoreError> {
    let (network, height) = (
        Param::Blob(row.network.as_bytes()),
        Param::Int(signed(row.block.height.0)?),
    );
    tx.execute_one(
        "DELETE FROM blocks WHERE network_id = $1 AND height = $2 AND hash = $3",
        &[network, height, Param::Blob(&row.block.hash.0)],
        &row.block,
    )
    .await?;
    tx.execute(
        "INSERT INTO orphaned_blocks (network_id, height, hash, parent, movements, orphaned_at) \
         VALUES ($1, $2, $3, $4, $5, $6)",
        &[
            network,
            height,
            Param::Blob(&row.block.hash.0),
            Param::Blob(&row.parent.0),
            Param::Int(i64::from(row.movements)),
            Param::Int(now_ms),
        ],
    )
    .await?;
    Ok(())
}

fn signed(value: u64) -> Result<i64, StoreError> {
    i64::try_from(value).map_err(|_| StoreError::Other(format!("{value} is beyond 2^63")))
}

fn read(row: &Row) -> Result<Sealed<BlockRow>, StoreError> {
    Ok(Sealed {
        value: BlockRow {
            network: NetworkId::from_bytes(row.bytes(0)?),
            block: BlockRef {
                height: BlockHeight(row.u64(1)?),
                hash: BlockHash(row.bytes(2)?),
            },
            parent: BlockHash(row.bytes(3)?),
            unix_s: row.u64(4)?,
            transactions: row.u32(5)?,
            logs: row.u32(6)?,
            movements: row.u32(7)?,
            root: row.bytes(8)?,
            applied_at_ms: row.int(9)?,
        },
        seal: row.blob(10)?,
    })
}
