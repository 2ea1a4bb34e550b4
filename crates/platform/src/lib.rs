//! Use cases and workers: batches of wallets, the address pool, gates, restore drills, the audit chain.
//!
//! Guarantees: a change, its audit record and the answer kept under its idempotency key commit in one
//! transaction, or none of them does; a stored object is used only after its seal verified and the audit
//! chain named its version the latest; no address leaves before two implementations derived the same one.
//! Deliberately not here: HTTP, configuration, processes (`server`), SQL (`store`), secret keys (nobody
//! on this side of the signer).
//! Entry points: [`Platform`] for use cases, [`Platform::run_workers`] for the background.

mod alarms;
mod api_keys;
mod assets;
pub mod audit;
mod balances;
pub mod batches;
pub mod bootstrap;
mod caller;
mod clock;
mod deposits;
mod doctor;
mod error;
mod events;
mod freshness;
mod gates;
mod idempotency;
pub mod ledger;
mod mempool;
mod networks;
pub mod outbound;
mod parked;
mod pools;
mod reconciliation;
mod seal;
mod sinks;
mod transaction;
mod unchanged;
mod vaults;
mod wallets;
mod watch;
pub mod webhooks;
mod workers;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use coffer_domain::id::{BatchId, OrganizationId, VaultId};
use coffer_signing::Signer;
use coffer_store::idempotency::IdempotencyScope;
use coffer_store::{Db, organizations};

pub use api_keys::{ApiKey, IssuedApiKey, NewApiKey};
pub use assets::{AddedAsset, AssetChange, AssetFilter, NewAsset};
pub use balances::{OnChain, WalletBalance};
pub use caller::{Caller, Scope};
pub use clock::{Clock, Entropy, OsEntropy, SystemClock};
pub use coffer_store::Mark;
pub use deposits::{
    DepositCursor, DepositDecision, DepositFilter, DepositPage, DepositView, Followable,
};
pub use doctor::{Finding, Level};
pub use error::Error;
pub use events::{
    AlarmEventV1, AssetEventV1, BatchEventV1, CloudEvent, DepositEventV1, EVENTS_PER_PAGE_MAX,
    Event, EventFilter, EventPage, LedgerEventV1, NetworkEventV1, PoolEventV1,
    ReconciliationEventV1, UnconfirmedDepositEventV1, VaultEventV1, WalletEventV1, schema_of,
};
pub use gates::{AllowListChange, GateSet};
pub use idempotency::{Answer, Once, OwnedOnce, Render};
pub use mempool::{Looked, UnconfirmedFilter, UnconfirmedPage, UnconfirmedView};
pub use networks::{Coverage, NetworkStatus, NewNetwork, NoSources, Progress, SourceFactory};
pub use outbound::Outbound;
pub use parked::{ParkedMessage, ParkedPage, Parking};
pub use pools::Pool;
pub use reconciliation::{ADDRESSES_PER_ROUND, ReconciliationFilter, ReconciliationPage};
pub use sinks::{SinkSettings, SinkState};
pub use vaults::{Drilled, NewVault};
pub use wallets::{Assigned, MAX_AT_ONCE, NewWallet, Page, Refused, WalletFilter};
pub use watch::{CoveredBlock, Followed, Full, Place, Rescan, WatchedSet, WatcherSettings};
pub use workers::WorkerSettings;

use audit::{AnchorFile, Chains};
use networks::Sources;
use seal::SealKeys;
use vaults::{AccountKeys, Derivation};

/// What the platform works with, handed in.
pub struct Parts {
    pub db: Db,
    pub signer: Arc<dyn Signer>,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    /// Where the heads of the audit chains are kept outside the database.
    pub anchor: AnchorFile,
    /// The same across restarts of this installation; leases of an earlier run are voided by it.
    pub instance: [u8; 16],
    /// Opens the connections to chain nodes.
    pub sources: Arc<dyn SourceFactory>,
    /// What may be called of the URLs that callers name.
    pub outbound: Outbound,
}

struct Inner {
    db: Db,
    signer: Arc<dyn Signer>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    anchor: AnchorFile,
    instance: [u8; 16],
    seals: SealKeys,
    chains: Chains,
    sources: Sources,
    hook_client: outbound::GuardedClient,
    webhook_client: outbound::GuardedClient,
    /// Where reconciliation stands, by network.
    reconciling: reconciliation::Reconciling,
    derivation: Derivation,
    /// Decrypted account keys, by vault.
    accounts: Mutex<HashMap<VaultId, Arc<AccountKeys>>>,
    /// Uploads under way, by idempotency key.
    uploads: Mutex<HashMap<IdempotencyScope, BatchId>>,
    /// The addresses watched, by organization and kind.
    watched: watch::WatchedSets,
    /// How far the coverage records were verified.
    verified: watch::Verified,
    /// Refused objects that other systems were told of.
    told: alarms::Told,
    /// Tells readers of the outbox that there is more.
    feed: events::Feed,
    /// What was verified since the database changed last.
    unchanged: unchanged::Unchanged,
    /// Calls that wait for a wallet from a pool.
    desk: wallets::Desk,
    /// Told when a webhook was made or changed.
    webhooks_changed: tokio::sync::Notify,
    /// Told when a chunk may have become due, so that workers need not poll for it.
    work: tokio::sync::Notify,
}

/// The use cases. Cheap to clone.
#[derive(Clone)]
pub struct Platform(Arc<Inner>);

impl Platform {
    /// Takes the seal key from the signer and verifies every audit chain. A chain that is broken does not
    /// keep the platform from starting: its organization is locked, and the audit can be read.
    pub async fn start(parts: Parts) -> Result<Self, Error> {
        let signer = Arc::clone(&parts.signer);
        let seal_key = blocking(move || signer.seal_key()).await??;
        let platform = Self(Arc::new(Inner {
            seals: SealKeys::derive(&seal_key),
            db: parts.db,
            signer: parts.signer,
            clock: parts.clock,
            derivation: Derivation::new(Arc::clone(&parts.entropy)),
            entropy: parts.entropy,
            anchor: parts.anchor,
            instance: parts.instance,
            chains: Chains::default(),
            sources: Sources::new(parts.sources),
            hook_client: parts.outbound.gate_hook(),
            webhook_client: parts.outbound.webhooks(),
            reconciling: reconciliation::Reconciling::default(),
            accounts: Mutex::default(),
            uploads: Mutex::default(),
            watched: watch::WatchedSets::default(),
            verified: watch::Verified::default(),
            told: alarms::Told::default(),
            feed: events::Feed::default(),
            unchanged: unchanged::Unchanged::default(),
            desk: wallets::Desk::default(),
            webhooks_changed: tokio::sync::Notify::new(),
            work: tokio::sync::Notify::new(),
        }));
        let anchors = platform.0.anchor.read();
        for anchor in anchors
            .map_err(|error| Error::Internal(format!("the audit anchor cannot be read: {error}")))?
        {
            platform.0.chains.expect(anchor);
        }
        platform.verify_chains().await?;
        Ok(platform)
    }

    async fn verify_chains(&self) -> Result<(), Error> {
        let organizations = organizations::all(&mut self.0.db.read().await?).await?;
        for organization in organizations {
            let mut tx = self.0.db.read().await?;
            match self
                .0
                .chains
                .verify(&mut tx, &self.0.seals, organization.id)
                .await
            {
                Ok(()) | Err(Error::AuditBroken { .. }) => {}
                Err(other) => return Err(other),
            }
        }
        Ok(())
    }

    pub(crate) fn now_ms(&self) -> i64 {
        self.0.clock.now_ms()
    }

    /// A new UUIDv7's parts.
    pub(crate) fn moment(&self) -> Result<(u64, [u8; 10]), Error> {
        let now = u64::try_from(self.now_ms()).unwrap_or(0);
        Ok((now, clock::random(self.0.entropy.as_ref())?))
    }

    /// Refuses everything of an organization whose audit chain is broken.
    pub(crate) fn guard(&self, organization: OrganizationId) -> Result<(), Error> {
        self.0.chains.check(organization)
    }

    /// Refuses when the audit chain of the caller's organization is broken; for what is answered without a use case.
    pub fn check_organization(&self, caller: &Caller) -> Result<(), Error> {
        self.guard(caller.organization)
    }

    /// Learns what the chain says now, as `tx` sees it. Before wallets are read in `tx`.
    pub(crate) async fn follow(
        &self,
        tx: &mut coffer_store::Tx,
        organization: OrganizationId,
    ) -> Result<(), Error> {
        self.0.chains.follow(tx, &self.0.seals, organization).await
    }

    #[must_use]
    pub fn db(&self) -> &Db {
        &self.0.db
    }
}

/// Runs blocking work (derivation, the signer) off the async threads.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Error::Internal(format!("a computation ended early: {error}")))
}
