//! The coverage record: that no block between the first and the tip was passed over.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use coffer_domain::block::{BlockHash, BlockHeight, BlockRef};
use coffer_domain::id::NetworkId;
use coffer_store::Tx;
use coffer_store::blocks::{self, BlockRow};

use crate::networks::{Coverage, Progress};
use crate::{Caller, Error, Platform};

/// Rows read in one query.
const PAGE: u32 = 1000;

/// Verifying begins again this far below the tip, so that a reorganization does not make it begin at the first.
const KEPT_BELOW_TIP: u64 = 256;

/// One line of the coverage record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CoveredBlock {
    pub block: BlockRef,
    pub parent: BlockHash,
    pub unix_s: u64,
    pub transactions: u32,
    pub logs: u32,
    pub movements: u32,
    pub root: [u8; 32],
    pub applied_at_ms: i64,
}

/// How far each network's record was verified by this process; from there on it is verified when asked. A row
/// that was edited since is found by a rescan, which reads them all, or after a restart.
#[derive(Default)]
pub(crate) struct Verified(Mutex<HashMap<NetworkId, (BlockHeight, BlockRef)>>);

impl From<BlockRow> for CoveredBlock {
    fn from(row: BlockRow) -> Self {
        Self {
            block: row.block,
            parent: row.parent,
            unix_s: row.unix_s,
            transactions: row.transactions,
            logs: row.logs,
            movements: row.movements,
            root: row.root,
            applied_at_ms: row.applied_at_ms,
        }
    }
}

impl Platform {
    /// Proves the record from its first block to the tip: every row is as it was stored, each names the one
    /// before it as its parent, none is missing, and the last is the tip. `None` before the first block.
    pub(crate) async fn coverage(&self, network: NetworkId) -> Result<Option<Coverage>, Error> {
        let mut tx = self.0.db.read().await?;
        let tip = self.progress_in(&mut tx, network).await?.tip;
        let first = blocks::first_height(&mut tx, network).await?;
        let (Some(tip), Some(first)) = (tip, first) else {
            return Ok(None);
        };
        let unbroken = match self.linked(&mut tx, network, first, tip).await {
            Ok(linked) => linked,
            Err(Error::Integrity { .. }) => false,
            Err(other) => return Err(other),
        };
        Ok(Some(Coverage {
            first,
            last: tip.height,
            blocks: (tip.height.0 + 1).saturating_sub(first.0),
            unbroken,
        }))
    }

    async fn linked(
        &self,
        tx: &mut Tx,
        network: NetworkId,
        first: BlockHeight,
        tip: BlockRef,
    ) -> Result<bool, Error> {
        let known = self.verified(tx, network, first).await?;
        let mut last: Option<BlockRef> = known;
        let mut kept = known;
        loop {
            let from = last.map_or(first, |last| last.height.next());
            let rows = blocks::page(tx, network, (from, tip.height), PAGE).await?;
            let count = rows.len();
            for sealed in rows {
                let row = self.open_block(network, sealed)?;
                let follows = last.is_none_or(|last| {
                    row.parent == last.hash && row.block.height == last.height.next()
                });
                if !follows {
                    return Ok(false);
                }
                last = Some(row.block);
                if row.block.height.0.saturating_add(KEPT_BELOW_TIP) <= tip.height.0 {
                    kept = last;
                }
            }
            if count < PAGE as usize {
                break;
            }
        }
        let whole = last == Some(tip);
        if let Some(kept) = kept.filter(|_| whole) {
            self.verified_lock().insert(network, (first, kept));
        }
        Ok(whole)
    }

    /// Where verifying may begin: the block up to which it was done, if that one is still in its place.
    async fn verified(
        &self,
        tx: &mut Tx,
        network: NetworkId,
        first: BlockHeight,
    ) -> Result<Option<BlockRef>, Error> {
        let known = self.verified_lock().get(&network).copied();
        let Some((_, known)) = known.filter(|(began, _)| *began == first) else {
            return Ok(None);
        };
        let row = self.block_in(tx, network, known.height).await?;
        Ok(row.map(|row| row.block).filter(|block| *block == known))
    }

    fn verified_lock(
        &self,
    ) -> std::sync::MutexGuard<'_, HashMap<NetworkId, (BlockHeight, BlockRef)>> {
        self.0
            .verified
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Lines of the record from a height on.
    pub async fn covered_blocks(
        &self,
        caller: &Caller,
        network: NetworkId,
        from: BlockHeight,
        limit: u32,
    ) -> Result<Vec<CoveredBlock>, Error> {
        self.network(caller, network).await?;
        let mut tx = self.0.db.read().await?;
        let range = (from, BlockHeight(u64::MAX));
        let rows = blocks::page(&mut tx, network, range, limit).await?;
        rows.into_iter()
            .map(|sealed| self.open_block(network, sealed).map(CoveredBlock::from))
            .collect()
    }

    /// How far a network was followed; `None` before its first block.
    pub(crate) async fn progress(&self, network: NetworkId) -> Result<Option<Progress>, Error> {
        let mut tx = self.0.db.read().await?;
        let progress = self.progress_in(&mut tx, network).await?;
        Ok((progress.version > 0).then_some(Progress {
            height: progress.tip.map(|tip| tip.height),
            hash: progress.tip.map(|tip| tip.hash),
            finalized_height: progress.finalized,
            updated_at_ms: progress.updated_at_ms,
        }))
    }
}
