//! Reconciliation: does every watched address hold on the chain what the ledger says it holds?
//!
//! A round reads in one snapshot where the ledger stands (the last block taken) and what the custody accounts say
//! (posted and pending), asks k nodes for the balances at that very block, by its hash, and compares address by
//! address. One base unit of difference on one address is a drift: the line, its differences, the tripped breaker
//! and the audit record commit in one transaction, and an alarm is raised.
//! Guarantees: no drift is called on a block that was reorganized away meanwhile, nor on an answer that too few
//! nodes gave: such a round is abandoned and counted. A custody account that was edited is refused, and nothing
//! is concluded from it. Lines are sealed; those with a difference are never removed, and the audit chain names them.
//! Deliberately not here: an explanation. Value that comes without a movement (a rebasing token, a mint without an
//! event) and value that was there before the network's first block are not supported: they are found, and stop
//! the asset. Assets that are off the list are not compared, for their deposits are not looked for.
//! Cost: [`ADDRESSES_PER_ROUND`] balances per asset and round. With more addresses the rounds take turns, and a
//! difference is found when its address comes round; up to so many, within two blocks.

mod addresses;
mod read;
mod round;
mod run;
mod settle;

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use coffer_domain::block::BlockRef;
use coffer_domain::id::NetworkId;
use coffer_domain::reconciliation::Reconciliation;

use crate::seal::{Fields, Sealable};
use addresses::Derived;

pub use read::{ReconciliationFilter, ReconciliationPage};

/// Addresses compared in one round, per organization and network.
pub const ADDRESSES_PER_ROUND: u64 = 20_000;
/// Matched lines older than this are thinned to one an hour.
const KEEP_ALL_MS: i64 = 60 * 60 * 1000;
const THIN_EVERY_MS: i64 = 5 * 60 * 1000;
/// How often the balances that are only shown are written.
const SNAPSHOTS_EVERY_MS: i64 = 15_000;
/// While a breaker is open, a lasting difference is stored so often and no more.
const REPEAT_DRIFT_MS: i64 = 60 * 60 * 1000;

/// Why a round runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Occasion {
    /// A block was taken.
    Block,
    /// Somebody asked; the answer is stored whatever it is.
    Asked,
}

/// What is remembered of a network between rounds, in memory: a restart begins at the first address.
struct Memory {
    /// Where the next round begins, counted over all addresses of the organization.
    next: u64,
    /// Addresses of the last round, so that the same are not derived at every block.
    derived: Derived,
    /// The last block that was reconciled whole.
    done: Option<BlockRef>,
    /// When snapshots were written and lines thinned.
    snapshots_at_ms: i64,
    thinned_at_ms: i64,
    budget: u64,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            next: 0,
            derived: Derived::default(),
            done: None,
            snapshots_at_ms: 0,
            thinned_at_ms: 0,
            budget: ADDRESSES_PER_ROUND,
        }
    }
}

#[derive(Default)]
pub(crate) struct Reconciling(Mutex<HashMap<NetworkId, Memory>>);

impl Reconciling {
    fn with<T>(&self, network: NetworkId, work: impl FnOnce(&mut Memory) -> T) -> T {
        let mut all: MutexGuard<'_, HashMap<_, _>> =
            self.0.lock().unwrap_or_else(PoisonError::into_inner);
        work(all.entry(network).or_default())
    }
}

impl Sealable for Reconciliation {
    const TAG: &'static str = "reconciliation v1";

    fn fields(&self, fields: &mut Fields) {
        let int = |value| i64::try_from(value).unwrap_or(i64::MAX);
        fields
            .bytes(self.id.as_bytes())
            .bytes(self.organization.as_bytes())
            .bytes(self.network.as_bytes())
            .bytes(self.asset.as_bytes())
            .int(int(self.block.height.0))
            .bytes(&self.block.hash.0)
            .int(int(self.addresses))
            .int(int(self.addresses_watched))
            .bytes(&self.ledger_units.to_be_bytes::<32>())
            .bytes(&self.chain_units.to_be_bytes::<32>())
            .int(int(self.differing))
            .bytes(&self.differences_sha256)
            .text(self.state.name())
            .int(self.finished_at_ms);
    }
}
