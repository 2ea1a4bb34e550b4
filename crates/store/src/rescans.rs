//! Ranges of blocks that are read again, and how far that has come. Not sealed: what a rescan found is in the
//! audit chain, and a row that was edited makes it read other blocks, never believe other ones.

use coffer_domain::block::BlockHeight;
use coffer_domain::id::{ApiKeyId, NetworkId, RescanId};

use crate::{Param, Row, StoreError, Tx};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rescan {
    pub id: RescanId,
    pub network: NetworkId,
    pub first: BlockHeight,
    pub last: BlockHeight,
    /// The first height that was not compared yet.
    pub next: BlockHeight,
    pub blocks_differing: u64,
    pub deposits_found: u64,
    pub deposits_unexplained: u64,
    /// What it waits for.
    pub reason: Option<String>,
    pub requested_by: ApiKeyId,
    pub created_at_ms: i64,
    pub finished_at_ms: Option<i64>,
}

impl Rescan {
    #[must_use]
    pub fn state(&self) -> &'static str {
        match (self.finished_at_ms, &self.reason) {
            (Some(_), _) => "finished",
            (None, Some(_)) => "waiting",
            (None, None) => "running",
        }
    }

    #[must_use]
    pub fn blocks_compared(&self) -> u64 {
        self.next.0.saturating_sub(self.first.0)
    }
}

const COLUMNS: &str = "id, network_id, first_height, last_height, next_height, state, blocks_differing, \
    deposits_found, deposits_unexplained, reason, requested_by, created_at, finished_at";

pub async fn insert(tx: &mut Tx, rescan: &Rescan) -> Result<(), StoreError> {
    tx.execute(
        format!(
            "INSERT INTO rescans ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)"
        ),
        &[
            Param::Blob(rescan.id.as_bytes()),
            Param::Blob(rescan.network.as_bytes()),
            Param::Int(signed(rescan.first.0)),
            Param::Int(signed(rescan.last.0)),
            Param::Int(signed(rescan.next.0)),
            Param::Text(rescan.state()),
            Param::Int(signed(rescan.blocks_differing)),
            Param::Int(signed(rescan.deposits_found)),
            Param::Int(signed(rescan.deposits_unexplained)),
            Param::OptText(rescan.reason.as_deref()),
            Param::Blob(rescan.requested_by.as_bytes()),
            Param::Int(rescan.created_at_ms),
            Param::OptInt(rescan.finished_at_ms),
        ],
    )
    .await?;
    Ok(())
}

/// Stores how far it has come, if it still stands at `expected_next`.
pub async fn update(
    tx: &mut Tx,
    rescan: &Rescan,
    expected_next: BlockHeight,
) -> Result<(), StoreError> {
    tx.execute_one(
        "UPDATE rescans SET next_height = $1, state = $2, blocks_differing = $3, deposits_found = $4, \
         deposits_unexplained = $5, reason = $6, finished_at = $7 WHERE id = $8 AND next_height = $9 AND finished_at IS NULL",
        &[
            Param::Int(signed(rescan.next.0)),
            Param::Text(rescan.state()),
            Param::Int(signed(rescan.blocks_differing)),
            Param::Int(signed(rescan.deposits_found)),
            Param::Int(signed(rescan.deposits_unexplained)),
            Param::OptText(rescan.reason.as_deref()),
            Param::OptInt(rescan.finished_at_ms),
            Param::Blob(rescan.id.as_bytes()),
            Param::Int(signed(expected_next.0)),
        ],
        &rescan.id,
    )
    .await
}

/// The oldest unfinished one of a network.
pub async fn oldest_open(tx: &mut Tx, network: NetworkId) -> Result<Option<Rescan>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM rescans WHERE network_id = $1 AND finished_at IS NULL ORDER BY created_at, id LIMIT 1"
    );
    let row = tx
        .fetch_optional(sql, &[Param::Blob(network.as_bytes())])
        .await?;
    row.as_ref().map(read).transpose()
}

/// A network's rescans, the latest first.
pub async fn of_network(
    tx: &mut Tx,
    network: NetworkId,
    limit: u32,
) -> Result<Vec<Rescan>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM rescans WHERE network_id = $1 ORDER BY created_at DESC, id DESC LIMIT $2"
    );
    let params = [
        Param::Blob(network.as_bytes()),
        Param::Int(i64::from(limit)),
    ];
    tx.fetch(sql, &params).await?.iter().map(read).collect()
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn read(row: &Row) -> Result<Rescan, StoreError> {
    Ok(Rescan {
        id: RescanId::from_bytes(row.bytes(0)?),
        network: NetworkId::from_bytes(row.bytes(1)?),
        first: BlockHeight(row.u64(2)?),
        last: BlockHeight(row.u64(3)?),
        next: BlockHeight(row.u64(4)?),
        blocks_differing: row.u64(6)?,
        deposits_found: row.u64(7)?,
        deposits_unexplained: row.u64(8)?,
        reason: row.opt_text(9)?,
        requested_by: ApiKeyId::from_bytes(row.bytes(10)?),
        created_at_ms: row.int(11)?,
        finished_at_ms: row.opt_int(12)?,
    })
}
