//! Address pools: per vault, addresses derived and verified ahead of need, between two watermarks.
//!
//! A pool is filled from its first use on, or once its watermarks are set. A vault that only ever sees batches
//! spends no index on a pool, so a batch's indexes depend on the requests before it and not on timing.

use coffer_domain::address::AddressKinds;
use coffer_domain::event::EventType;
use coffer_domain::id::VaultId;
use coffer_domain::vault::VaultState;
use coffer_store::pools::{self as rows, PoolEntry, Watermarks};
use coffer_store::wallets::pack_payloads;
use coffer_store::{Sealed, Tx, vaults};

use crate::audit::{Changes, Entry, append};
use crate::events::{Outgoing, PoolEventV1};
use crate::transaction::transact;
use crate::vaults::Derived;
use crate::{Caller, Error, Platform, blocking};

/// Entries added in one transaction for calls that wait for them.
const STEP: u32 = 500;
/// The same ahead of need: calls that find the pool filled wait behind such a transaction for about as long as behind
/// each other.
const STEP_AHEAD: u32 = 64;
const MAX_HIGH: u32 = 1_000_000;
const DEFAULT: Watermarks = Watermarks {
    low: 100,
    high: 500,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pool {
    pub vault: VaultId,
    pub low: u32,
    pub high: u32,
    /// Entries that wait to be taken.
    pub level: u32,
}

impl Platform {
    pub async fn pool(&self, caller: &Caller, vault: VaultId) -> Result<Pool, Error> {
        self.vault(caller, vault).await?;
        let mut tx = self.0.db.read().await?;
        let marks = rows::watermarks(&mut tx, vault).await?.unwrap_or(DEFAULT);
        let level = rows::level_up_to(&mut tx, vault, MAX_HIGH).await?;
        Ok(Pool {
            vault,
            low: marks.low,
            high: marks.high,
            level,
        })
    }

    /// Sets the watermarks: below `low` the pool is filled up to `high`, in the background.
    pub async fn set_pool(
        &self,
        caller: &Caller,
        vault: VaultId,
        low: u32,
        high: u32,
    ) -> Result<Pool, Error> {
        self.guard(caller.organization)?;
        if low > high || high > MAX_HIGH {
            return Err(Error::validation(
                "high",
                format!("give low <= high <= {MAX_HIGH}"),
            ));
        }
        transact!(self, tx, {
            self.vault_row(tx, caller.organization, vault).await?;
            rows::set_watermarks(tx, vault, Watermarks { low, high }).await?;
            let entry = Entry {
                organization: caller.organization,
                at_ms: self.now_ms(),
                actor: &caller.actor(),
                action: "pool.set",
                object: vault.to_string(),
                changes: Changes::default(),
                data: serde_json::json!({ "low": low, "high": high }),
                events: Outgoing::one(
                    EventType::PoolChanged,
                    vault,
                    &PoolEventV1::changed(vault, low, high),
                ),
            };
            append(tx, &self.0.seals, entry).await?;
            Ok(())
        })?;
        self.0.work.notify_one();
        self.pool(caller, vault).await
    }

    /// Fills every pool that is below its low mark; answers how many entries were added.
    pub(crate) async fn fill_pools(&self) -> Result<u32, Error> {
        let mut tx = self.0.db.read().await?;
        let mut wanted = Vec::new();
        for (vault, marks) in self.pools_in_use(&mut tx).await? {
            let level = rows::level_up_to(&mut tx, vault, marks.low).await?;
            if level < marks.low {
                let high = marks.high.min(MAX_HIGH);
                // The watermarks are not sealed: whatever they say, a pool stays below its largest size.
                if high > level {
                    wanted.push((vault, high - level));
                }
            }
        }
        drop(tx);
        let mut added = 0;
        for (vault, count) in wanted {
            self.fill_in_steps(vault, count, STEP_AHEAD).await?;
            added += count;
        }
        Ok(added)
    }

    /// Measures how full the pools are. It counts every entry, so it is not for each look.
    pub(crate) async fn gauge_pools(&self) -> Result<(), Error> {
        let mut tx = self.0.db.read().await?;
        for (vault, _) in self.pools_in_use(&mut tx).await? {
            let level = rows::level_up_to(&mut tx, vault, MAX_HIGH).await?;
            metrics::gauge!("coffer_pool_level", "vault" => vault.to_string())
                .set(f64::from(level));
        }
        Ok(())
    }

    async fn pools_in_use(&self, tx: &mut Tx) -> Result<Vec<(VaultId, Watermarks)>, Error> {
        let mut pools = Vec::new();
        for sealed in vaults::all(tx).await? {
            let vault = sealed.value.vault;
            if vault.state == VaultState::Open
                && self.guard(vault.organization).is_ok()
                && let Some(marks) = rows::watermarks(tx, vault.id).await?
            {
                pools.push((vault.id, marks));
            }
        }
        Ok(pools)
    }

    /// Begins a pool with the default watermarks, if it was never used, and adds entries that are needed now.
    pub(crate) async fn begin_pool(&self, vault: VaultId, needed: u32) -> Result<(), Error> {
        transact!(self, tx, { Ok(rows::begin(tx, vault, DEFAULT).await?) })?;
        self.fill_in_steps(vault, needed, STEP).await
    }

    async fn fill_in_steps(&self, vault: VaultId, count: u32, most: u32) -> Result<(), Error> {
        let mut left = count;
        while left > 0 {
            let step = left.min(most);
            self.fill_pool(vault, step).await?;
            left -= step;
        }
        Ok(())
    }

    /// Adds `count` entries. Indexes are allocated in the transaction that adds their entries, so none is lost.
    pub(crate) async fn fill_pool(&self, vault: VaultId, count: u32) -> Result<(), Error> {
        loop {
            let row = self.read_vault(vault).await?;
            let row = row.ok_or_else(|| Error::not_found("vault", vault))?;
            let first = row.vault.next_index;
            let account = self.account_keys(&row)?;
            let platform = self.clone();
            let derived = blocking(move || {
                let signer = platform.0.signer.as_ref();
                platform
                    .0
                    .derivation
                    .derive(signer, &account, AddressKinds::ALL, (first, count))
            })
            .await??;
            let entries = self.pool_entries(vault, (first, count), &derived)?;
            if self.add_entries(vault, (first, count), &entries).await? {
                return Ok(());
            }
        }
    }

    fn pool_entries(
        &self,
        vault: VaultId,
        (first, count): (u32, u32),
        derived: &Derived,
    ) -> Result<Vec<Sealed<PoolEntry>>, Error> {
        (first..first + count)
            .map(|index| {
                let payloads = derived.of(index, AddressKinds::ALL);
                let payloads = payloads
                    .ok_or_else(|| Error::Internal(format!("index {index} was not derived")))?;
                Ok(self.0.seals.seal(PoolEntry {
                    vault,
                    index,
                    payloads: pack_payloads(&payloads),
                }))
            })
            .collect()
    }

    /// `false` when somebody else allocated the same indexes meanwhile.
    async fn add_entries(
        &self,
        vault: VaultId,
        (first, count): (u32, u32),
        entries: &[Sealed<PoolEntry>],
    ) -> Result<bool, Error> {
        transact!(self, tx, {
            let sealed = vaults::lock(tx, vault)
                .await?
                .ok_or_else(|| Error::not_found("vault", vault))?;
            let mut row = self.open_vault(tx, sealed).await?;
            if row.vault.next_index != first {
                return Ok(false);
            }
            row.vault.allocate(count)?;
            rows::add(tx, entries).await?;
            let vault = self.store_vault(tx, row).await?;
            let entry = Entry {
                organization: vault.organization,
                at_ms: self.now_ms(),
                actor: "system",
                action: "pool.filled",
                object: vault.id.to_string(),
                changes: Changes::version(vault.id, vault.version),
                data: serde_json::json!({ "first_index": first, "count": count }),
                events: Outgoing::one(
                    EventType::PoolFilled,
                    vault.id,
                    &PoolEventV1::filled(vault.id, count),
                ),
            };
            append(tx, &self.0.seals, entry).await?;
            if coffer_failpoint::hit("pool.fill.before_commit", "")
                == coffer_failpoint::Outcome::Fail
            {
                return Err(Error::StoreUnavailable("failpoint".to_owned()));
            }
            Ok(true)
        })
    }
}

impl From<coffer_domain::vault::AllocationError> for Error {
    fn from(error: coffer_domain::vault::AllocationError) -> Self {
        use coffer_domain::vault::AllocationError;
        match error {
            AllocationError::AwaitingDrill(vault) => Self::VaultAwaitingDrill(vault),
            exhausted @ AllocationError::Exhausted { .. } => {
                Self::IndexExhausted(exhausted.to_string())
            }
        }
    }
}
