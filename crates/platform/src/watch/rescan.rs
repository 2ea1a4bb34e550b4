//! Reading a range of blocks again, by the hashes on record, and comparing: the chain replayed to the ledger.
//!
//! What was missed is detected and posted now, as the same deposit that it would have been then; what the
//! chain does not show is counted, alarmed, and left alone, for a person to look into. A range that was right
//! stays as it is, however often it is read. How far a rescan has come is stored, so it goes on after a stop.
//! Value that came in the same amount, but is counted by another rule (a node with call traces where there
//! was one without), is no difference: movements are compared per address and asset before they are compared
//! one by one.

mod compare;
mod request;

use coffer_domain::asset::Asset;
use coffer_domain::block::{BlockHeight, BlockRef};
use coffer_domain::id::NetworkId;
use coffer_domain::network::{Network, NetworkState};
use coffer_nodes::Heads;
use coffer_store::blocks::{self, BlockRow};
use coffer_store::rescans::{self as rows, Rescan};
use coffer_store::{Sealed, Tx};
use serde_json::json;

use super::apply::{Ready, age_at, watched_assets};
use super::passed;
use super::store::{Planned, Record};
use crate::audit::{Changes, Entry, append};
use crate::events::Outgoing;
use crate::transaction::transact;
use crate::{Error, Platform};
use compare::{Compared, compare};

/// Blocks fetched in one go.
const STEP: u32 = 32;

/// What one block's comparison adds to the rescan.
struct Found {
    compared: Compared,
    row: BlockRow,
}

impl Platform {
    /// Takes the oldest open rescan of a network a step on; `false` when there is none or it has to wait.
    pub async fn rescan_once(&self, network: NetworkId) -> Result<bool, Error> {
        let mut tx = self.0.db.read().await?;
        let Some(mut rescan) = rows::oldest_open(&mut tx, network).await? else {
            return Ok(false);
        };
        let row = self.network_in(&mut tx, network).await?;
        self.guard(row.organization)?;
        let tip = self.progress_in(&mut tx, network).await?.tip;
        let begun = rescan.next;
        if rescan.next > rescan.last {
            return self.finish(&row, rescan).await.map(|()| true);
        }
        let reached = tip.is_some_and(|tip| tip.height >= rescan.next);
        if row.state != NetworkState::Active || !reached {
            let why = "the network is paused, frozen, or below the range";
            return self.put_rescan_off(rescan, why.to_owned()).await;
        }
        let range = (rescan.next, rescan.last);
        let stored = blocks::page(&mut tx, network, range, STEP).await?;
        drop(tx);
        let stored = self.readable(&row, &mut rescan, stored);
        let refs: Vec<BlockRef> = stored.iter().map(|row| row.block).collect();
        let fetched = self.fetch_again(&row, &refs).await;
        let (blocks, failed) = match fetched {
            Ok(fetched) => fetched,
            Err(Error::Nodes(error)) => (Vec::new(), Some(error)),
            Err(other) => return Err(other),
        };
        if blocks.is_empty() && rescan.next == begun {
            let why = failed.map_or_else(|| "no block was given".to_owned(), |e| e.to_string());
            return self.put_rescan_off(rescan, why).await;
        }
        rescan.reason = None;
        for (ready, stored) in blocks.into_iter().zip(stored) {
            if !self
                .rescan_block(&row, &mut rescan, begun, (ready, stored))
                .await?
            {
                return Ok(true);
            }
        }
        let rescan = &rescan;
        transact!(self, tx, {
            passed("rescan.before_commit")?;
            Ok(rows::update(tx, rescan, begun).await?)
        })?;
        Ok(true)
    }

    /// The rows that are as they were stored, in a row from the next height on. One that is not counts as
    /// differing and is passed over.
    fn readable(
        &self,
        network: &Network,
        rescan: &mut Rescan,
        stored: Vec<Sealed<BlockRow>>,
    ) -> Vec<BlockRow> {
        let mut rows = Vec::with_capacity(stored.len());
        for sealed in stored {
            let height = sealed.value.block.height;
            let expected = BlockHeight(rescan.next.0 + rows.len() as u64);
            let row = self.open_block(network.id, sealed);
            match row {
                Ok(row) if height == expected => rows.push(row),
                _ if rows.is_empty() => {
                    // Not there, or not what was stored.
                    rescan.blocks_differing += 1;
                    rescan.next = rescan.next.next();
                    alarm(network.id, expected, "the coverage record was changed");
                    return rows;
                }
                _ => return rows,
            }
        }
        rows
    }

    async fn fetch_again(
        &self,
        network: &Network,
        refs: &[BlockRef],
    ) -> Result<(Vec<Ready>, Option<coffer_nodes::NodeError>), Error> {
        if refs.is_empty() {
            return Ok((Vec::new(), None));
        }
        let source = self.source(network)?;
        let none = BlockHeight(0);
        let heads = Heads {
            agreed: none,
            highest: none,
            finalized: None,
        };
        let mut tx = self.0.db.read().await?;
        // Those taken off the list too: what they brought is on record.
        let assets = watched_assets(&self.asset_rows(&mut tx, network).await?);
        drop(tx);
        self.fetch_for(network, &*source, (refs, assets), heads)
            .await
    }

    /// Compares one block; `false` when the chain moved under it, so that the step has to begin again.
    async fn rescan_block(
        &self,
        network: &Network,
        rescan: &mut Rescan,
        begun: BlockHeight,
        (ready, row): (Ready, BlockRow),
    ) -> Result<bool, Error> {
        let mut tx = self.0.db.read().await?;
        let compared = self.compared(&mut tx, &ready, &row).await?;
        let unmarked = self
            .has_unmarked_spends(&mut tx, network.id, &ready.block)
            .await?;
        drop(tx);
        let Some(compared) = compared else {
            return Ok(false);
        };
        if compared.missing.is_empty() {
            // An output that an earlier block of the range was found to have made.
            if unmarked {
                transact!(self, tx, {
                    self.mark_missed(tx, network, (&ready, &row)).await
                })?;
            }
            add(network.id, rescan, &Found { compared, row });
            return Ok(true);
        }
        let before = rescan.clone();
        let outcome = transact!(self, tx, {
            let mut rescan = before.clone();
            self.post_missing(tx, &mut rescan, begun, (&ready, &row))
                .await
        })?;
        if let Some(after) = outcome {
            *rescan = after;
        }
        // The row was stored with what was found; the step begins again behind it.
        Ok(false)
    }

    /// Marks outputs that the block spends and that were found only now, if it still is on record.
    async fn mark_missed(
        &self,
        tx: &mut Tx,
        network: &Network,
        (ready, row): (&Ready, &BlockRow),
    ) -> Result<(), Error> {
        self.lock_progress(tx, network.id).await?;
        if self.block_in(tx, row.network, row.block.height).await? != Some(*row) {
            return Ok(());
        }
        let spent = self.mark_spends(tx, network.id, &ready.block).await?;
        if spent == 0 {
            return Ok(());
        }
        let record = Record::of("rescan.found", row.block).with("outputs_spent", json!(spent));
        self.follow(tx, network.organization).await?;
        self.store_planned(tx, network, Planned::over([]), record)
            .await?;
        Ok(())
    }

    /// `None` when the block on record is another one by now.
    async fn compared(
        &self,
        tx: &mut Tx,
        ready: &Ready,
        row: &BlockRow,
    ) -> Result<Option<Compared>, Error> {
        if self.block_in(tx, row.network, row.block.height).await? != Some(*row) {
            return Ok(None);
        }
        match self.deposits_of(tx, row).await {
            Ok(stored) => Ok(Some(compare(ready, row, &stored))),
            Err(Error::Integrity { .. }) => Ok(Some(Compared::refused())),
            Err(other) => Err(other),
        }
    }

    async fn post_missing(
        &self,
        tx: &mut Tx,
        rescan: &mut Rescan,
        begun: BlockHeight,
        (ready, row): (&Ready, &BlockRow),
    ) -> Result<Option<Rescan>, Error> {
        let progress = self.lock_progress(tx, row.network).await?;
        let network = self.network_in(tx, row.network).await?;
        let assets = self.asset_rows(tx, &network).await?;
        let Some(compared) = self.compared(tx, ready, row).await? else {
            return Ok(None);
        };
        let Some(tip) = progress
            .tip
            .filter(|_| network.state == NetworkState::Active)
        else {
            return Ok(None);
        };
        let mut missed = ready.clone();
        missed.block.movements = listed(&compared, &assets);
        let age = age_at(&network, tip.height, progress.finalized);
        let planned = self.plan(tx, (&network, &assets), &missed, age).await?;
        let found = planned.included;
        self.record_outputs(tx, network.id, &missed.block, (&ready.owners, &assets))
            .await?;
        let more = BlockRow {
            movements: row.movements + u32::try_from(found).unwrap_or(u32::MAX),
            ..*row
        };
        blocks::update_movements(tx, &self.0.seals.seal(more)).await?;
        rescan.deposits_found += found as u64;
        add(
            network.id,
            rescan,
            &Found {
                compared,
                row: *row,
            },
        );
        rows::update(tx, rescan, begun).await?;
        let record =
            Record::of("rescan.found", row.block).with("rescan", json!(rescan.id.to_string()));
        self.store_planned(tx, &network, planned, record).await?;
        passed("rescan.before_commit")?;
        Ok(Some(rescan.clone()))
    }

    async fn put_rescan_off(&self, mut rescan: Rescan, why: String) -> Result<bool, Error> {
        if rescan.reason.as_ref() != Some(&why) {
            rescan.reason = Some(why);
            let rescan = &rescan;
            transact!(self, tx, {
                Ok(rows::update(tx, rescan, rescan.next).await?)
            })?;
        }
        Ok(false)
    }

    async fn finish(&self, network: &Network, rescan: Rescan) -> Result<(), Error> {
        let finished = Rescan {
            finished_at_ms: Some(self.now_ms()),
            reason: None,
            ..rescan
        };
        let finished = &finished;
        transact!(self, tx, {
            rows::update(tx, finished, finished.next).await?;
            let entry = Entry {
                organization: network.organization,
                at_ms: self.now_ms(),
                actor: "system",
                action: "rescan.finished",
                object: finished.id.to_string(),
                changes: Changes::default(),
                data: json!({
                    "network": network.id.to_string(),
                    "first": finished.first.0,
                    "last": finished.last.0,
                    "blocks_compared": finished.blocks_compared(),
                    "blocks_differing": finished.blocks_differing,
                    "deposits_found": finished.deposits_found,
                    "deposits_unexplained": finished.deposits_unexplained,
                }),
                events: Outgoing::none(),
            };
            append(tx, &self.0.seals, entry).await?;
            passed("rescan.before_commit")?;
            Ok(())
        })
    }
}

/// Of what was missed, what may be credited: the assets that are on the list now.
fn listed(compared: &Compared, assets: &[Asset]) -> Vec<coffer_domain::movement::Movement> {
    let scope = super::apply::scope_of(assets);
    let on_list = |movement: &&coffer_domain::movement::Movement| {
        scope.iter().any(|asset| asset.id == movement.asset)
    };
    compared.missing.iter().filter(on_list).cloned().collect()
}

/// Counts a compared block.
fn add(network: NetworkId, rescan: &mut Rescan, found: &Found) {
    let (compared, height) = (&found.compared, found.row.block.height);
    rescan.next = height.next();
    rescan.blocks_differing += u64::from(compared.differs());
    rescan.deposits_unexplained += compared.unexplained;
    if compared.unexplained > 0 {
        metrics::counter!("coffer_rescan_unexplained_total", "network" => network.to_string())
            .increment(compared.unexplained);
        alarm(network, height, "a deposit that the chain does not show");
    } else if compared.header_differs {
        alarm(network, height, "the block is not as it was recorded");
    }
}

fn alarm(network: NetworkId, height: BlockHeight, what: &str) {
    tracing::error!(%network, %height, alarm = "rescan", "{what}");
}
