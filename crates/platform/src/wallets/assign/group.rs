//! The one transaction of a group of calls: what was kept, whom they mean, what the pools give, and storing it.
//!
//! Whatever speaks against one call alone is found out before anything is written, and becomes that call's answer.
//! An error of the transaction itself fails the group, and rolls all of it back.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;

use coffer_domain::address::AddressKinds;
use coffer_domain::external_id::ExternalId;
use coffer_domain::id::{OrganizationId, VaultId, WalletId};
use coffer_domain::vault::{Vault, VaultState};
use coffer_domain::wallet::{Wallet, WalletState};
use coffer_store::pools::{self, PoolEntry};
use coffer_store::{Sealed, Tx, idempotency, wallets as rows};

use super::desk::{Call, Reply};
use super::{Assigned, NewWallet};
use crate::audit::{self, Changes, CreatedWallets, append};
use crate::events::Outgoing;
use crate::gates::state_at_birth;
use crate::seal::refused;
use crate::{Answer, Caller, Error, Platform};

/// What became of a call.
pub(super) enum Served {
    Answered(Reply),
    /// Its vault's pool lacks so many entries.
    Short(u32),
}

/// A call that is still to be answered.
struct Open<'a> {
    /// Its place in the group.
    at: usize,
    call: &'a Call,
    /// Customers of it that have a wallet, by their keys; those born now join them.
    found: HashMap<[u8; 16], Wallet>,
}

impl Open<'_> {
    /// Places of customers that have no wallet, each customer once.
    fn needs(&self) -> Vec<usize> {
        let mut seen = HashSet::new();
        let places = 0..self.call.keys.len();
        places
            .filter(|at| {
                let key = &self.call.keys[*at];
                !self.found.contains_key(key) && seen.insert(*key)
            })
            .collect()
    }
}

/// Wallets to be stored, and in which runs they belong to one vault and one caller.
#[derive(Default)]
struct Births<'a> {
    wallets: Vec<Sealed<Wallet>>,
    runs: Vec<(Vault, &'a Caller, Range<usize>)>,
}

impl Platform {
    pub(super) async fn try_group(
        &self,
        tx: &mut Tx,
        calls: &[Call],
    ) -> Result<Vec<Served>, Error> {
        let mut served = self.kept_answers(tx, calls).await?;
        let mut open = self.found_already(tx, calls, &mut served).await?;
        let mut births = Births::default();
        let mut by_vault: BTreeMap<(OrganizationId, VaultId), Vec<usize>> = BTreeMap::new();
        for (place, asked) in open.iter().enumerate() {
            if !asked.needs().is_empty() {
                let key = (asked.call.caller.organization, asked.call.vault);
                by_vault.entry(key).or_default().push(place);
            }
        }
        for ((organization, vault), mut places) in by_vault {
            match self.issuing_vault(tx, organization, vault).await? {
                Ok(vault) => {
                    // One run, and one audit record, for each caller.
                    places.sort_by_key(|place| open[*place].call.caller.key);
                    self.bear(tx, vault, (&mut open, &places), &mut births, &mut served)
                        .await?;
                }
                Err(error) => {
                    for place in places {
                        served[open[place].at] = Some(Served::Answered(Err(error.again())));
                    }
                }
            }
        }
        self.store_births(tx, &births).await?;
        self.answer(tx, &open, &births, &mut served).await?;
        Ok(served.into_iter().flatten().collect())
    }

    /// Calls whose key was used before: they are answered as they were, or refused.
    async fn kept_answers(
        &self,
        tx: &mut Tx,
        calls: &[Call],
    ) -> Result<Vec<Option<Served>>, Error> {
        let mut served: Vec<Option<Served>> = calls.iter().map(|_| None).collect();
        let scoped = |call: &Call| call.once.as_ref().map(|(scope, _)| scope.clone());
        let mut scopes: Vec<_> = calls.iter().filter_map(scoped).collect();
        scopes.sort_by_key(|scope| (scope.organization, scope.caller, scope.operation));
        for (scope, stored) in idempotency::find_many(tx, &scopes).await? {
            let of = calls.iter().position(|call| {
                let own = call.once.as_ref();
                own.is_some_and(|(own, _)| *own == scope)
            });
            if let Some(at) = of
                && let Some((_, once)) = &calls[at].once
            {
                let reply = self.replayed(&scope, once.fingerprint, stored);
                served[at] = Some(Served::Answered(reply));
            }
        }
        Ok(served)
    }

    /// The calls that are left, with their customers' wallets, verified.
    async fn found_already<'a>(
        &self,
        tx: &mut Tx,
        calls: &'a [Call],
        served: &mut [Option<Served>],
    ) -> Result<Vec<Open<'a>>, Error> {
        let mut known: HashMap<OrganizationId, Result<(), Error>> = HashMap::new();
        let mut open = Vec::with_capacity(calls.len());
        for (at, call) in calls.iter().enumerate() {
            if served[at].is_some() {
                continue;
            }
            let organization = call.caller.organization;
            if let Entry::Vacant(slot) = known.entry(organization) {
                slot.insert(alone(self.follow(tx, organization).await)?);
            }
            match &known[&organization] {
                Ok(()) => open.push(Open {
                    at,
                    call,
                    found: HashMap::new(),
                }),
                Err(error) => served[at] = Some(Served::Answered(Err(error.again()))),
            }
        }
        let existing = taken(tx, &open).await?;
        let ids: Vec<WalletId> = existing.values().copied().collect();
        let mut wallets: HashMap<WalletId, Result<Wallet, Error>> = HashMap::new();
        for found in rows::by_ids(tx, &ids).await? {
            let id = match &found {
                Ok(sealed) => sealed.value.id,
                Err((id, _)) => *id,
            };
            wallets.insert(id, alone(self.open_wallet(tx, found).await)?);
        }
        open.retain_mut(|open| {
            for key in &open.call.keys {
                match existing.get(key).and_then(|id| wallets.get(id)) {
                    Some(Ok(wallet)) => drop(open.found.insert(*key, wallet.clone())),
                    Some(Err(error)) => {
                        served[open.at] = Some(Served::Answered(Err(error.again())));
                        return false;
                    }
                    None => {}
                }
            }
            true
        });
        Ok(open)
    }

    async fn issuing_vault(
        &self,
        tx: &mut Tx,
        organization: OrganizationId,
        vault: VaultId,
    ) -> Result<Result<Vault, Error>, Error> {
        let row = alone(self.vault_row(tx, organization, vault).await)?;
        Ok(row.and_then(|row| match row.vault.state {
            VaultState::Open => Ok(row.vault),
            _ => Err(Error::VaultAwaitingDrill(vault)),
        }))
    }

    /// Takes from one vault's pool for the calls at `places`, and makes their wallets. Entries that are left because the
    /// next call needs more than there are go back.
    async fn bear<'a>(
        &self,
        tx: &mut Tx,
        vault: Vault,
        (open, places): (&mut [Open<'a>], &[usize]),
        births: &mut Births<'a>,
        served: &mut [Option<Served>],
    ) -> Result<(), Error> {
        let needs: Vec<Vec<usize>> = places.iter().map(|at| open[*at].needs()).collect();
        let wanted: usize = needs.iter().map(Vec::len).sum();
        let mut entries = self.take_entries(tx, &vault, wanted).await?.into_iter();
        let keys: Vec<[u8; 16]> = places
            .iter()
            .zip(&needs)
            .flat_map(|(at, needs)| needs.iter().map(|need| open[*at].call.keys[*need]))
            .collect();
        let allowed = self.allowed_at_birth(tx, &vault, &keys).await?;
        for (place, needs) in places.iter().zip(needs) {
            let asked = &mut open[*place];
            if entries.len() < needs.len() {
                let missing = u32::try_from(needs.len() - entries.len()).unwrap_or(u32::MAX);
                served[asked.at] = Some(Served::Short(missing));
                continue;
            }
            let begin = births.wallets.len();
            for (need, entry) in needs.into_iter().zip(&mut entries) {
                let (new, key) = (&asked.call.wallets[need], asked.call.keys[need]);
                let state = state_at_birth(vault.gate.mode, allowed.contains(&key));
                let wallet = self.newborn(&asked.call.caller, new, (entry.value, state))?;
                births.wallets.push(self.0.seals.seal(wallet.clone()));
                asked.found.insert(key, wallet);
            }
            let (caller, end) = (&asked.call.caller, births.wallets.len());
            match births.runs.last_mut() {
                Some((of, by, run)) if of.id == vault.id && by.key == caller.key => run.end = end,
                _ => births.runs.push((vault.clone(), caller, begin..end)),
            }
        }
        let left: Vec<Sealed<PoolEntry>> = entries.collect();
        Ok(pools::add(tx, &left).await?)
    }

    /// The lowest entries that were never handed out, verified.
    async fn take_entries(
        &self,
        tx: &mut Tx,
        vault: &Vault,
        count: usize,
    ) -> Result<Vec<Sealed<PoolEntry>>, Error> {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let entries = pools::take(tx, vault.id, count).await?;
        let chains = &self.0.chains;
        // What others committed a moment ago counts too.
        self.follow(tx, vault.organization).await?;
        for entry in &entries {
            let index = entry.value.index;
            // An entry that was taken before and put back would give one address to two customers.
            let taken = chains.wallet_version(vault.organization, vault.id, index) > 0;
            if taken || !self.0.seals.verifies(&entry.value, &entry.seal) {
                return Err(refused(format!("the pool entry {index} of {}", vault.id)));
            }
        }
        Ok(entries)
    }

    fn newborn(
        &self,
        caller: &Caller,
        new: &NewWallet,
        (entry, state): (PoolEntry, WalletState),
    ) -> Result<Wallet, Error> {
        let all = rows::unpack_payloads(AddressKinds::ALL, &entry.payloads)?;
        let wanted = all
            .into_iter()
            .filter(|payload| new.kinds.contains(payload.kind()));
        Ok(Wallet {
            id: WalletId::of_index(entry.vault, entry.index),
            organization: caller.organization,
            vault: entry.vault,
            index: entry.index,
            external_id: new.external_id.clone(),
            label: new.label.clone(),
            metadata: new.metadata.clone(),
            state,
            reason: None,
            payloads: wanted.collect(),
            batch: None,
            created_by: caller.key,
            created_at_ms: self.now_ms(),
            version: 1,
        })
    }

    /// The wallets, what their gates have to ask, and an audit record for each vault and caller.
    async fn store_births(&self, tx: &mut Tx, births: &Births<'_>) -> Result<(), Error> {
        if births.wallets.is_empty() {
            return Ok(());
        }
        rows::insert_many(tx, &births.wallets).await?;
        for (vault, caller, run) in &births.runs {
            let born = &births.wallets[run.clone()];
            self.queue_hooks(tx, vault, born).await?;
            self.record_births(tx, vault, caller, born).await?;
        }
        if coffer_failpoint::hit("pool.take.before_commit", "") == coffer_failpoint::Outcome::Fail {
            return Err(Error::StoreUnavailable("failpoint".to_owned()));
        }
        Ok(())
    }

    async fn record_births(
        &self,
        tx: &mut Tx,
        vault: &Vault,
        caller: &Caller,
        born: &[Sealed<Wallet>],
    ) -> Result<(), Error> {
        let active = born
            .iter()
            .filter(|sealed| sealed.value.state == WalletState::Active)
            .count();
        let (action, object, data) = match born {
            [one] => (
                "wallet.created",
                one.value.id.to_string(),
                serde_json::json!({ "state": one.value.state.name() }),
            ),
            _ => (
                "wallets.created",
                vault.id.to_string(),
                serde_json::json!({ "count": born.len(), "active": active }),
            ),
        };
        let record = audit::Entry {
            organization: caller.organization,
            at_ms: self.now_ms(),
            actor: &caller.actor(),
            action,
            object,
            changes: Changes {
                created: Some(CreatedWallets::of(vault.id, born)),
                ..Changes::default()
            },
            data,
            events: Outgoing::none().wallets_created(vault.id, None, born),
        };
        Ok(append(tx, &self.0.seals, record).await?)
    }

    /// Answers the calls that are left, and keeps what they are answered.
    async fn answer(
        &self,
        tx: &mut Tx,
        open: &[Open<'_>],
        births: &Births<'_>,
        served: &mut [Option<Served>],
    ) -> Result<(), Error> {
        let mut born: HashSet<WalletId> = births
            .wallets
            .iter()
            .map(|sealed| sealed.value.id)
            .collect();
        let mut kept = Vec::new();
        for asked in open {
            if served[asked.at].is_some() {
                continue;
            }
            let mut all = Vec::with_capacity(asked.call.keys.len());
            for key in &asked.call.keys {
                let wallet = asked.found.get(key).cloned();
                let wallet = wallet
                    .ok_or_else(|| Error::Internal("a customer was passed over".to_owned()))?;
                // Named twice, the customer has it the second time.
                let existing = !born.remove(&wallet.id);
                all.push(Assigned { wallet, existing });
            }
            if let Some((scope, once)) = &asked.call.once {
                let rendered = (once.render)(&all);
                let answer = self.answer_to_keep(scope, once.fingerprint, rendered);
                kept.push((scope.clone(), answer));
            }
            served[asked.at] = Some(Served::Answered(Ok(Answer::Executed(all))));
        }
        Ok(idempotency::insert_many(tx, &kept, self.now_ms()).await?)
    }
}

/// Those of the calls' customers who have a wallet, by their keys.
async fn taken(tx: &mut Tx, open: &[Open<'_>]) -> Result<HashMap<[u8; 16], WalletId>, Error> {
    let mut asked: HashMap<OrganizationId, HashMap<&ExternalId, [u8; 16]>> = HashMap::new();
    for call in open.iter().map(|open| open.call) {
        let names = call.wallets.iter().map(|new| &new.external_id);
        let of_owner = asked.entry(call.caller.organization).or_default();
        of_owner.extend(names.zip(call.keys.iter().copied()));
    }
    let mut taken = HashMap::new();
    for (organization, keys) in asked {
        let names: Vec<&ExternalId> = keys.keys().copied().collect();
        let keys: HashMap<&str, [u8; 16]> = keys
            .iter()
            .map(|(name, key)| (name.as_str(), *key))
            .collect();
        for (name, wallet) in rows::existing(tx, organization, &names).await? {
            if let Some(key) = keys.get(name.as_str()) {
                taken.insert(*key, wallet);
            }
        }
    }
    Ok(taken)
}

/// Parts what concerns one call from what fails the whole transaction and may be cured by waiting.
fn alone<T>(result: Result<T, Error>) -> Result<Result<T, Error>, Error> {
    match result {
        Err(error) if error.is_transient() => Err(error),
        other => Ok(other),
    }
}
