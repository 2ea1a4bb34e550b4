//! Storing what a round found: line, differences, breaker and audit record in one transaction.

use coffer_domain::asset::{Asset, AssetState};
use coffer_domain::block::BlockRef;
use coffer_domain::event::EventType;
use coffer_domain::id::ReconciliationId;
use coffer_domain::network::Network;
use coffer_domain::reconciliation::{Comparison, Reconciliation, ReconciliationState, digest};
use coffer_store::snapshots::{self, Snapshot};
use coffer_store::{Tx, reconciliations as rows};
use ruint::aliases::U256;

use super::addresses::Targets;
use super::round::gone;
use super::{KEEP_ALL_MS, Memory, Occasion, REPEAT_DRIFT_MS, SNAPSHOTS_EVERY_MS, THIN_EVERY_MS};
use crate::audit::{Changes, Entry, append};
use crate::events::{AssetEventV1, Outgoing, ReconciliationEventV1};
use crate::transaction::transact;
use crate::watch::passed;
use crate::{Error, Platform};

/// What was found of one asset.
pub(super) struct Found {
    pub(super) asset: Asset,
    pub(super) block: BlockRef,
    pub(super) comparison: Comparison,
    /// The chain's balances to be shown, in the order of the targets.
    pub(super) held: Vec<Option<U256>>,
}

/// What a round does beside comparing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Upkeep {
    snapshots: bool,
    thin: bool,
}

impl Memory {
    pub(super) fn upkeep(&mut self, occasion: Occasion, now_ms: i64) -> Upkeep {
        let due = |at: i64, every: i64| now_ms < at || now_ms - at >= every;
        let upkeep = Upkeep {
            snapshots: occasion == Occasion::Asked || due(self.snapshots_at_ms, SNAPSHOTS_EVERY_MS),
            thin: due(self.thinned_at_ms, THIN_EVERY_MS),
        };
        if upkeep.snapshots {
            self.snapshots_at_ms = now_ms;
        }
        if upkeep.thin {
            self.thinned_at_ms = now_ms;
        }
        upkeep
    }
}

/// What a transaction did about a difference.
struct Stored {
    tripped: bool,
    kept: bool,
}

impl Platform {
    pub(super) async fn settle(
        &self,
        network: &Network,
        targets: &Targets,
        found: Found,
        (occasion, upkeep): (Occasion, Upkeep),
    ) -> Result<Reconciliation, Error> {
        let (ms, random) = self.moment()?;
        let comparison = &found.comparison;
        let line = Reconciliation {
            id: ReconciliationId::new_v7(ms, random),
            organization: network.organization,
            network: network.id,
            asset: found.asset.id,
            block: found.block,
            addresses: comparison.addresses,
            addresses_watched: targets.watched,
            ledger_units: comparison.ledger_units,
            chain_units: comparison.chain_units,
            differing: comparison.differences.len() as u64,
            differences_sha256: digest(&comparison.differences),
            state: comparison.state(),
            finished_at_ms: self.now_ms(),
        };
        let stored = transact!(self, tx, {
            let taken = self.block_in(tx, network.id, found.block.height).await?;
            if taken.is_none_or(|taken| taken.block != found.block) {
                return Err(gone(found.block).into());
            }
            if upkeep.snapshots {
                store_snapshots(tx, targets, &found, line.finished_at_ms).await?;
            }
            if upkeep.thin {
                rows::thin(tx, line.asset, line.finished_at_ms - KEEP_ALL_MS).await?;
            }
            let stored = self.store_line(tx, &line, &found, occasion).await?;
            passed("reconcile.before_commit")?;
            Ok(stored)
        })?;
        passed("reconcile.after_commit")?;
        tell(&line, &found, &stored);
        Ok(line)
    }

    async fn store_line(
        &self,
        tx: &mut Tx,
        line: &Reconciliation,
        found: &Found,
        occasion: Occasion,
    ) -> Result<Stored, Error> {
        let differences = &found.comparison.differences;
        if line.state == ReconciliationState::Matched {
            rows::insert(tx, &self.0.seals.seal(*line), differences).await?;
            return Ok(Stored {
                tripped: false,
                kept: true,
            });
        }
        let reason = format!(
            "ledger and chain differ on {} of {} addresses at block {}; see {}",
            line.differing, line.addresses, line.block, line.id
        );
        let tripped = self.trip_breaker(tx, &found.asset, &reason).await?;
        let last = rows::latest_at(tx, line.asset, ReconciliationState::Drift).await?;
        let repeated = last.is_some_and(|at| line.finished_at_ms - at < REPEAT_DRIFT_MS);
        if tripped.is_none() && occasion == Occasion::Block && repeated {
            return Ok(Stored {
                tripped: false,
                kept: false,
            });
        }
        rows::insert(tx, &self.0.seals.seal(*line), differences).await?;
        let changes = tripped.iter().fold(Changes::default(), |changes, asset| {
            changes.and(asset.id, asset.version)
        });
        let mut events = Outgoing::one(
            EventType::ReconciliationDrifted,
            line.id,
            &ReconciliationEventV1::of(line, tripped.is_some()),
        );
        if let Some(asset) = &tripped {
            let data = AssetEventV1::from(asset);
            events = events.and(EventType::AssetBreakerTripped, asset.id, &data);
        }
        let entry = Entry {
            organization: line.organization,
            at_ms: line.finished_at_ms,
            actor: "system",
            action: "reconciliation.drift",
            object: line.id.to_string(),
            changes,
            data: serde_json::json!({
                "network": line.network.to_string(),
                "asset": line.asset.to_string(),
                "block": { "height": line.block.height.0, "hash": line.block.hash.to_string() },
                "ledger_units": line.ledger_units.to_string(),
                "chain_units": line.chain_units.to_string(),
                "differing": line.differing,
                "differences_sha256": hex::encode(line.differences_sha256),
                "tripped": tripped.is_some(),
            }),
            events,
        };
        append(tx, &self.0.seals, entry).await?;
        Ok(Stored {
            tripped: tripped.is_some(),
            kept: true,
        })
    }
}

async fn store_snapshots(
    tx: &mut Tx,
    targets: &Targets,
    found: &Found,
    now_ms: i64,
) -> Result<(), Error> {
    let mut begins = 0;
    for stretch in &targets.stretches {
        let ends = begins + stretch.count as usize;
        let shown = targets.wallets[begins..ends]
            .iter()
            .zip(&found.held[begins..ends]);
        let taken: Vec<Snapshot> = shown
            .filter_map(|(wallet, units)| {
                Some(Snapshot {
                    wallet: *wallet,
                    asset: found.asset.id,
                    units: (*units)?,
                    block: found.block,
                    taken_at_ms: now_ms,
                })
            })
            .collect();
        snapshots::replace(tx, found.asset.id, stretch.wallets(), &taken).await?;
        begins = ends;
    }
    Ok(())
}

/// Counts a round of an asset, and raises the alarm.
fn tell(line: &Reconciliation, found: &Found, stored: &Stored) {
    let asset = line.asset.to_string();
    let apart = found.comparison.differing_units();
    metrics::counter!("coffer_reconciliations_total", "network" => line.network.to_string(), "state" => line.state.name())
        .increment(1);
    metrics::gauge!("coffer_reconciliation_difference_units", "asset" => asset.clone())
        .set(f64::from(apart));
    let open = stored.tripped || found.asset.state == AssetState::Tripped;
    metrics::gauge!("coffer_breaker_tripped", "asset" => asset.clone())
        .set(f64::from(u8::from(open)));
    if line.state == ReconciliationState::Drift && stored.kept {
        tracing::error!(
            asset,
            network = %line.network,
            block = %line.block,
            reconciliation = %line.id,
            addresses = line.differing,
            units = %apart,
            tripped = stored.tripped,
            alarm = "reconciliation",
            "ledger and chain differ; see docs/runbook.md"
        );
    }
}
