//! Keeping the watched set level with what the vaults have given away, and confirming its hits.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use coffer_domain::address::{AddressKind, AddressKinds, AddressPayload};
use coffer_domain::chain::ChainFamily;
use coffer_domain::id::{OrganizationId, VaultId, WalletId};
use coffer_domain::movement::Movement;
use coffer_nodes::Watched;
use coffer_store::vaults::{self, VaultRow};

use super::{Place, WatchedSet};
use crate::freshness::check_complete;
use crate::vaults::AccountKeys;
use crate::{Error, Platform, blocking, clock};

/// Indexes derived in one go by one thread.
const STEP: u32 = 8192;

/// One organization's addresses of one kind.
pub(crate) struct WatchedAddresses {
    pub(super) set: WatchedSet,
    /// Per vault, the first index that is not watched yet. Held while adding, so that one adds at a time.
    taken: tokio::sync::Mutex<HashMap<VaultId, u32>>,
}

/// All that a chain can pay: one set per kind of address.
pub(crate) struct Watching(Vec<Arc<WatchedAddresses>>);

impl Watched for Watching {
    fn contains(&self, address: &AddressPayload) -> bool {
        self.0.iter().any(|watched| watched.set.contains(address))
    }
}

#[derive(Default)]
pub(crate) struct WatchedSets(Mutex<HashMap<(OrganizationId, AddressKind), Arc<WatchedAddresses>>>);

/// A stretch of indexes to be derived.
struct Stretch {
    account: Arc<AccountKeys>,
    first: u32,
    count: u32,
}

impl Platform {
    fn watched_of(
        &self,
        organization: OrganizationId,
        kind: AddressKind,
    ) -> Result<Arc<WatchedAddresses>, Error> {
        let mut sets = self
            .0
            .watched
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = sets.get(&(organization, kind)) {
            return Ok(Arc::clone(known));
        }
        let made = Arc::new(WatchedAddresses {
            set: WatchedSet::new(kind, clock::random(self.0.entropy.as_ref())?),
            taken: tokio::sync::Mutex::default(),
        });
        sets.insert((organization, kind), Arc::clone(&made));
        Ok(made)
    }

    /// The sets of every kind that a family's chains pay to, each extended.
    pub(crate) async fn extend_watching(
        &self,
        organization: OrganizationId,
        family: ChainFamily,
    ) -> Result<Watching, Error> {
        let mut sets = Vec::new();
        for kind in family.address_kinds().iter() {
            sets.push(self.extend_watched(organization, kind).await?);
        }
        Ok(Watching(sets))
    }

    /// Adds every index that a vault has given away since. Call it when the hashes of the blocks to be
    /// searched are known, and not before: an address issued before a block was made is then watched in it.
    async fn extend_watched(
        &self,
        organization: OrganizationId,
        kind: AddressKind,
    ) -> Result<Arc<WatchedAddresses>, Error> {
        let watched = self.watched_of(organization, kind)?;
        let mut taken = watched.taken.lock().await;
        let mut stretches = Vec::new();
        let mut wanted: u32 = 0;
        let rows = self.vaults_of(organization).await?;
        for row in &rows {
            let (id, end) = (row.vault.id, row.vault.next_index);
            let first = taken.get(&id).copied().unwrap_or(0);
            if first < end {
                let account = self.account_keys(row)?;
                wanted = wanted.saturating_add(end - first);
                stretches.extend(steps(&account, (first, end)));
            }
        }
        if stretches.is_empty() {
            drop(taken);
            return Ok(watched);
        }
        if taken.is_empty() {
            watched.set.reserve(wanted);
        }
        let (platform, set) = (self.clone(), Arc::clone(&watched));
        blocking(move || platform.add_all(&set.set, kind, &stretches)).await??;
        taken.extend(rows.iter().map(|row| (row.vault.id, row.vault.next_index)));
        #[expect(
            clippy::cast_precision_loss,
            reason = "a gauge is a float; numbers of addresses stay below 2^53"
        )]
        metrics::gauge!("coffer_watched_addresses", "kind" => kind.name())
            .set(u64::from(watched.set.len()) as f64);
        drop(taken);
        Ok(watched)
    }

    /// Derives by one implementation alone: whatever an address that is not ours may hit, it is not credited
    /// before [`Self::owners`] has derived it by both.
    fn add_all(
        &self,
        set: &WatchedSet,
        kind: AddressKind,
        stretches: &[Stretch],
    ) -> Result<(), Error> {
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let next = std::sync::atomic::AtomicUsize::new(0);
        let work = || {
            loop {
                let at = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                let Some(stretch) = stretches.get(at) else {
                    return Ok(());
                };
                let range = (stretch.first, stretch.count);
                let payloads = self
                    .0
                    .derivation
                    .derive_once(&stretch.account, kind, range)?;
                set.add(stretch.account.vault, stretch.first, payloads.as_bytes())
                    .map_err(|full| Error::Internal(full.to_string()))?;
            }
        };
        std::thread::scope(|scope| {
            let others: Vec<_> = (1..threads.min(stretches.len()))
                .map(|_| scope.spawn(work))
                .collect();
            let own = work();
            others.into_iter().fold(own, |result, thread| {
                let joined = thread.join().unwrap_or_else(|_| {
                    Err(Error::Internal("deriving addresses panicked".to_owned()))
                });
                result.and(joined)
            })
        })
    }

    /// Every vault of an organization, each verified. One that the audit knows and that is not there would
    /// leave its addresses unwatched, so its absence is refused.
    pub(crate) async fn vaults_of(
        &self,
        organization: OrganizationId,
    ) -> Result<Vec<VaultRow>, Error> {
        let known = self.0.chains.known(organization, VaultId::PREFIX);
        let mut tx = self.0.db.read().await?;
        let listed = vaults::of_organization(&mut tx, organization).await?;
        drop(tx);
        let mut rows = Vec::with_capacity(listed.len());
        for sealed in listed {
            rows.extend(self.read_vault(sealed.value.vault.id).await?);
        }
        rows.retain(|row| row.vault.organization == organization);
        let found: Vec<String> = rows.iter().map(|row| row.vault.id.to_string()).collect();
        check_complete(known, &found)?;
        Ok(rows)
    }

    /// Whose the address of each movement is, by deriving the address of the index that the set names, with both
    /// implementations, and comparing the whole. Strangers' addresses are left out. The table of addresses is
    /// not asked: whoever owns the database could have written there.
    pub(crate) async fn owners(
        &self,
        watching: &Watching,
        movements: &[Movement],
    ) -> Result<HashMap<AddressPayload, WalletId>, Error> {
        let mut claims = Vec::new();
        for address in movements.iter().map(|movement| movement.to) {
            let sets = watching.0.iter();
            for place in sets.flat_map(|watched| watched.set.places(&address)) {
                let row = self.read_vault(place.vault).await?;
                let row = row.ok_or_else(|| Error::not_found("vault", place.vault))?;
                claims.push((address, place, self.account_keys(&row)?));
            }
        }
        if claims.is_empty() {
            return Ok(HashMap::new());
        }
        let platform = self.clone();
        blocking(move || {
            let mut owners = HashMap::new();
            for (address, place, account) in claims {
                if platform.derives(&account, place, &address)? {
                    owners.insert(address, WalletId::of_index(place.vault, place.index));
                }
            }
            Ok(owners)
        })
        .await?
    }

    fn derives(
        &self,
        account: &AccountKeys,
        place: Place,
        address: &AddressPayload,
    ) -> Result<bool, Error> {
        let kinds = AddressKinds::default().with(address.kind());
        let signer = self.0.signer.as_ref();
        let derived = self
            .0
            .derivation
            .derive(signer, account, kinds, (place.index, 1))?;
        let payloads = derived.of(place.index, kinds).unwrap_or_default();
        Ok(payloads.first() == Some(address))
    }
}

fn steps(account: &Arc<AccountKeys>, (first, end): (u32, u32)) -> impl Iterator<Item = Stretch> {
    (first..end)
        .step_by(STEP as usize)
        .map(move |from| Stretch {
            account: Arc::clone(account),
            first: from,
            count: STEP.min(end - from),
        })
}
