//! Taking a block back: contra entries, its row among the orphaned, progress one lower.

use coffer_domain::block::BlockRef;
use coffer_domain::deposit::{Deposit, DepositState};
use coffer_domain::id::NetworkId;
use coffer_domain::network::NetworkState;
use coffer_domain::sync;
use coffer_store::blocks::{self, BlockRow};
use coffer_store::{Tx, deposits as rows};
use serde_json::json;

use super::passed;
use super::store::{Planned, Record};
use crate::seal::refused;
use crate::transaction::transact;
use crate::{Error, Platform};

impl Platform {
    /// Undoes the tip, if it still is `tip`; `false` when somebody else moved or stopped the network.
    /// `depth` is that of the whole reorganization.
    pub(super) async fn undo_block(
        &self,
        network: NetworkId,
        tip: BlockRef,
        depth: u64,
    ) -> Result<bool, Error> {
        let undone = transact!(self, tx, { self.undo_in(tx, network, tip, depth).await })?;
        if let Some(changed) = &undone {
            passed("undo.after_commit")?;
            for deposit in changed {
                metrics::counter!("coffer_deposits_total",
                    "network" => network.to_string(), "state" => deposit.state.name())
                .increment(1);
            }
        }
        Ok(undone.is_some())
    }

    async fn undo_in(
        &self,
        tx: &mut Tx,
        id: NetworkId,
        tip: BlockRef,
        depth: u64,
    ) -> Result<Option<Vec<Deposit>>, Error> {
        let progress = self.lock_progress(tx, id).await?;
        let network = self.network_in(tx, id).await?;
        if progress.tip != Some(tip) || network.state != NetworkState::Active {
            return Ok(None);
        }
        let row = self.tip_row(tx, id, tip).await?;
        let below = self.below(tx, &row).await?;
        let deposits = self.deposits_of(tx, &row).await?;
        let mut planned = Planned::over(&deposits);
        if !deposits.is_empty() {
            let accounts: Vec<_> = deposits.iter().flat_map(Deposit::accounts).collect();
            let mut book = self
                .book_of(tx, network.organization, accounts, &deposits)
                .await?;
            planned.change = sync::undo(deposits, self.now_ms(), &mut book)?;
        }
        self.undo_outputs(tx, id, tip).await?;
        blocks::orphan(tx, &row, self.now_ms()).await?;
        self.move_progress(tx, progress, below, progress.finalized)
            .await?;
        let settled = self.unsettle_unconfirmed(tx, &network, tip).await?;
        let record = Record::of("block.undone", tip).with("depth", json!(depth));
        let record = record.settling(settled);
        let changed = self.store_planned(tx, &network, planned, record).await?;
        passed("undo.before_commit")?;
        Ok(Some(changed))
    }

    async fn tip_row(
        &self,
        tx: &mut Tx,
        network: NetworkId,
        tip: BlockRef,
    ) -> Result<BlockRow, Error> {
        let row = self.block_in(tx, network, tip.height).await?;
        row.filter(|row| row.block == tip)
            .ok_or_else(|| refused(format!("block {} of {network}", tip.height)))
    }

    /// The block that becomes the tip; `None` below the first one that was taken.
    async fn below(&self, tx: &mut Tx, row: &BlockRow) -> Result<Option<BlockRef>, Error> {
        if blocks::first_height(tx, row.network).await? == Some(row.block.height) {
            return Ok(None);
        }
        let height = row.block.height.before();
        let below = match height {
            Some(height) => self.block_in(tx, row.network, height).await?,
            None => None,
        };
        below
            .map(|below| below.block)
            .filter(|below| below.hash == row.parent)
            .map(Some)
            .ok_or_else(|| refused(format!("the block below {} of {}", row.block, row.network)))
    }

    /// Every deposit that a block includes now. Their number is on record, so one that was removed or moved
    /// away is noticed before anything is undone without it.
    pub(super) async fn deposits_of(
        &self,
        tx: &mut Tx,
        row: &BlockRow,
    ) -> Result<Vec<Deposit>, Error> {
        let found = rows::at_height(tx, row.network, row.block.height).await?;
        let mut deposits = self.open_deposits(tx, found).await?;
        deposits.retain(|deposit| {
            deposit.block == row.block
                && deposit.network == row.network
                && deposit.state != DepositState::Retracted
        });
        if deposits.len() == row.movements as usize {
            return Ok(deposits);
        }
        Err(refused(format!(
            "the deposits of block {} of {}",
            row.block, row.network
        )))
    }
}
