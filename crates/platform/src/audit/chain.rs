//! The verified chain in memory: its head, whether it is broken, and every object's latest version.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use coffer_domain::id::{OrganizationId, VaultId, WalletId};
use coffer_store::Tx;
use coffer_store::audit::{self as rows, AuditRow};
use serde::Deserialize;

use super::{Anchor, AuditHead, Changes, ZERO_HASH, record_hash};
use crate::Error;
use crate::ledger::LedgerMark;
use crate::seal::SealKeys;

/// Records read in one query while catching up.
const PAGE: u32 = 500;

/// Latest versions of one vault's wallets, by index: a byte each, 0 for "never created".
#[derive(Default)]
struct WalletVersions {
    dense: Vec<u8>,
    /// Versions that a byte cannot hold; `dense` says 255 for them.
    high: HashMap<u32, u32>,
    /// Which record created which indexes, in the order of the indexes.
    births: Vec<Births>,
}

/// A run of wallets that one record created.
struct Births {
    first: u32,
    count: u32,
    seq: u64,
}

impl WalletVersions {
    fn get(&self, index: u32) -> u32 {
        match self.dense.get(index as usize).copied().unwrap_or(0) {
            u8::MAX => self.high.get(&index).copied().unwrap_or(u32::from(u8::MAX)),
            version => u32::from(version),
        }
    }

    fn set(&mut self, index: u32, version: u32) {
        let at = index as usize;
        if self.dense.len() <= at {
            self.dense.resize(at + 1, 0);
        }
        self.dense[at] = u8::try_from(version).unwrap_or(u8::MAX);
        if self.dense[at] == u8::MAX {
            self.high.insert(index, version);
        }
    }

    /// Chunks are done in about the order of their indexes, so the place is at the end or close to it.
    fn born(&mut self, (first, count): (u32, u32), seq: u64) {
        (first..first.saturating_add(count)).for_each(|index| self.set(index, 1));
        let at = self.births.partition_point(|run| run.first < first);
        self.births.insert(at, Births { first, count, seq });
    }

    fn born_in(&self, index: u32) -> Option<u64> {
        let behind = self.births.partition_point(|run| run.first <= index);
        let run = self.births.get(behind.checked_sub(1)?)?;
        (index - run.first < run.count).then_some(run.seq)
    }
}

struct Chain {
    seq: u64,
    hash: [u8; 32],
    broken: Option<String>,
    wallets: HashMap<VaultId, WalletVersions>,
    objects: HashMap<String, u32>,
    /// The last end of the ledger that a record names.
    ledger: Option<LedgerMark>,
    /// The number of the newest event.
    events: u64,
    /// What the anchor outside the database says this chain must contain.
    anchor: Option<Anchor>,
}

impl Chain {
    fn new(anchor: Option<Anchor>) -> Self {
        Self {
            seq: 0,
            hash: ZERO_HASH,
            broken: None,
            wallets: HashMap::new(),
            objects: HashMap::new(),
            ledger: None,
            events: 0,
            anchor,
        }
    }

    /// Checks one record against all before it, then learns from it.
    fn take(&mut self, row: &AuditRow, seals: &SealKeys) -> Result<(), String> {
        let seq = self.seq + 1;
        if row.seq != seq {
            return Err(format!("record {seq} is missing"));
        }
        if row.prev_hash != self.hash {
            return Err(format!("record {seq} does not follow record {}", self.seq));
        }
        let texts = [row.actor.as_str(), &row.action, &row.object, &row.payload];
        if record_hash(row.organization, row.seq, row.at_ms, texts, &row.prev_hash) != row.hash {
            return Err(format!("record {seq} was edited"));
        }
        if !seals.audit_verifies(&row.hash, &row.mac) {
            return Err(format!("record {seq} was not written by this installation"));
        }
        if self
            .anchor
            .as_ref()
            .is_some_and(|anchor| anchor.seq == seq && anchor.hash != row.hash)
        {
            return Err(format!("record {seq} is not the one the anchor names"));
        }
        self.learn(seq, &row.payload)
            .map_err(|error| format!("record {seq} cannot be read: {error}"))?;
        self.seq = seq;
        self.hash = row.hash;
        Ok(())
    }

    fn learn(&mut self, seq: u64, payload: &str) -> Result<(), String> {
        #[derive(Deserialize)]
        struct Payload {
            changes: Changes,
        }
        let changes = serde_json::from_str::<Payload>(payload)
            .map_err(|error| error.to_string())?
            .changes;
        self.ledger = LedgerMark::of_payload(payload).or(self.ledger);
        if let Some((first, last)) = changes.events {
            if first != self.events + 1 || last < first {
                return Err(format!("its events do not follow event {}", self.events));
            }
            self.events = last;
        }
        if let Some(created) = changes.created {
            let vault = created
                .vault
                .parse()
                .map_err(|_| "a vault id that is none".to_owned())?;
            let versions = self.wallets.entry(vault).or_default();
            for run in created.runs {
                versions.born(run, seq);
            }
        }
        for (object, version) in changes.versions {
            match object.parse::<WalletId>() {
                Ok(wallet) => self.learn_wallet(wallet, version),
                Err(_) => drop(self.objects.insert(object, version)),
            }
        }
        Ok(())
    }
}

impl Chain {
    /// Compares with a head that the database names; one behind this chain says nothing here.
    fn judge(&mut self, organization: OrganizationId, seq: u64, hash: [u8; 32]) {
        if self.broken.is_some() || seq < self.seq {
            return;
        }
        let anchored = self.anchor.as_ref().map_or(0, |anchor| anchor.seq);
        let end = self.seq;
        if seq > end || hash != self.hash {
            let reason = format!("the head says record {seq}, the records end at {end}");
            announce(organization, self, reason);
        } else if anchored > end {
            let reason = format!(
                "the anchor outside the database knows record {anchored}, the records end at {end}: the tail was cut or an older backup restored"
            );
            announce(organization, self, reason);
        }
    }

    /// A wallet's id tells its index in its vault.
    fn learn_wallet(&mut self, wallet: WalletId, version: u32) {
        for (vault, versions) in &mut self.wallets {
            if let Some(index) = wallet.index_in(*vault) {
                versions.set(index, version);
            }
        }
    }
}

/// The chains of all organizations that this process serves.
#[derive(Default)]
pub struct Chains {
    chains: Mutex<HashMap<OrganizationId, Chain>>,
    /// One catch-up at a time; it awaits the database, so it cannot hold the lock above.
    catching_up: tokio::sync::Mutex<()>,
}

impl Chains {
    fn with<T>(&self, organization: OrganizationId, work: impl FnOnce(&mut Chain) -> T) -> T {
        let mut chains = self.chains.lock().unwrap_or_else(PoisonError::into_inner);
        work(
            chains
                .entry(organization)
                .or_insert_with(|| Chain::new(None)),
        )
    }

    /// Tells what the chain must contain; before the first [`Self::verify`].
    pub(crate) fn expect(&self, anchor: Anchor) {
        self.with(anchor.organization, |chain| chain.anchor = Some(anchor));
    }

    /// Reads and verifies the records that others appended since, as far as `tx` sees them. Its snapshot
    /// may be older than what is known already, so what it does not see is no proof of a cut; that is
    /// [`Self::verify`]'s to find. Never call it after [`super::append`] in the same transaction: it would
    /// learn a record that may yet be rolled back.
    /// A break is remembered: from then on [`Self::check`] refuses.
    pub(crate) async fn catch_up(
        &self,
        tx: &mut Tx,
        seals: &SealKeys,
        organization: OrganizationId,
    ) -> Result<(), Error> {
        let _one = self.catching_up.lock().await;
        let (seq, hash) = head(tx, organization).await?;
        // Without a snapshot (READ COMMITTED) a later statement sees records that the head did not name yet.
        self.take_to(tx, seals, organization, seq).await?;
        self.with(organization, |chain| chain.judge(organization, seq, hash));
        self.check(organization)
    }

    /// Catches up if the chain grew since. Costs one look at the head. Without it, an older row that is put
    /// back just after a change would be served until something else makes this process read the chain.
    pub(crate) async fn follow(
        &self,
        tx: &mut Tx,
        seals: &SealKeys,
        organization: OrganizationId,
    ) -> Result<(), Error> {
        if tx.has_followed(organization) {
            return self.check(organization);
        }
        let head = rows::head(tx, organization).await?;
        if self.is_behind(organization, head) {
            self.catch_up(tx, seals, organization).await?;
        }
        tx.note_followed(organization);
        self.check(organization)
    }

    /// Whether the database's head is one that is still to be read or judged.
    pub(crate) fn is_behind(&self, organization: OrganizationId, head: Option<rows::Head>) -> bool {
        let known = self.head(organization);
        head.is_some_and(|head| {
            head.seq > known.seq || (head.seq == known.seq && head.hash != known.hash)
        })
    }

    /// Takes records that this process has committed, so that they need not be read. Whatever came between is read with them
    /// by the next who follows.
    pub(crate) fn take_own(&self, records: &[AuditRow], seals: &SealKeys) {
        for record in records {
            self.with(record.organization, |chain| {
                if chain.broken.is_none()
                    && chain.seq + 1 == record.seq
                    && let Err(reason) = chain.take(record, seals)
                {
                    announce(record.organization, chain, reason);
                }
            });
        }
    }

    /// Like [`Self::catch_up`], and finds a cut tail too. `tx` must be a snapshot that has read nothing
    /// yet: it then begins after all that is known was committed.
    pub(crate) async fn verify(
        &self,
        tx: &mut Tx,
        seals: &SealKeys,
        organization: OrganizationId,
    ) -> Result<(), Error> {
        let _one = self.catching_up.lock().await;
        // Before the snapshot begins: what this process commits from here on may be missing in it.
        let known = self.head(organization).seq;
        let (seq, hash) = head(tx, organization).await?;
        let seen = self.take_to(tx, seals, organization, u64::MAX).await?;
        self.with(organization, |chain| {
            if chain.broken.is_none() && seq < known.max(seen) {
                let reason = format!("the records after {seq} were removed");
                announce(organization, chain, reason);
            }
            chain.judge(organization, seq, hash);
        });
        self.check(organization)
    }

    /// Takes the records up to `end`, until there are no more or one does not verify. Answers the number of the last that
    /// it saw.
    async fn take_to(
        &self,
        tx: &mut Tx,
        seals: &SealKeys,
        organization: OrganizationId,
        end: u64,
    ) -> Result<u64, Error> {
        let mut seen = 0;
        loop {
            let known = self.with(organization, |chain| {
                (chain.broken.is_none() && chain.seq < end).then_some(chain.seq)
            });
            let Some(known) = known else { return Ok(seen) };
            let page = rows::page(tx, organization, known, PAGE).await?;
            let last = page.len() < PAGE as usize;
            seen = page.last().map_or(seen, |row| row.seq);
            self.with(organization, |chain| {
                // Some may have been taken by those who committed them meanwhile.
                let mut wanted = page.iter().filter(|row| row.seq <= end);
                let verified = wanted.try_for_each(|row| match row.seq > chain.seq {
                    true => chain.take(row, seals),
                    false => Ok(()),
                });
                if let Err(reason) = verified {
                    announce(organization, chain, reason);
                }
            });
            if last {
                return Ok(seen);
            }
        }
    }

    /// Verifies records that were read again; one that does not verify breaks the chain.
    pub(crate) fn inspect(
        &self,
        organization: OrganizationId,
        rows: &[AuditRow],
        seals: &SealKeys,
    ) {
        let edited = rows.iter().find(|row| {
            let texts = [row.actor.as_str(), &row.action, &row.object, &row.payload];
            let hash = record_hash(row.organization, row.seq, row.at_ms, texts, &row.prev_hash);
            hash != row.hash || !seals.audit_verifies(&row.hash, &row.mac)
        });
        let unlinked = rows
            .windows(2)
            .find(|pair| pair[1].seq != pair[0].seq + 1 || pair[1].prev_hash != pair[0].hash);
        if let Some(row) = edited.or(unlinked.map(|pair| &pair[1])) {
            self.with(organization, |chain| {
                if chain.broken.is_none() {
                    let reason = format!("record {} was edited since it was verified", row.seq);
                    announce(organization, chain, reason);
                }
            });
        }
    }

    /// Refuses when the organization's chain is broken.
    pub(crate) fn check(&self, organization: OrganizationId) -> Result<(), Error> {
        match self.with(organization, |chain| chain.broken.clone()) {
            None => Ok(()),
            Some(reason) => Err(Error::AuditBroken {
                organization,
                reason,
            }),
        }
    }

    /// The latest version of a wallet; 0 when none was ever created at this index.
    pub(crate) fn wallet_version(
        &self,
        organization: OrganizationId,
        vault: VaultId,
        index: u32,
    ) -> u32 {
        self.with(organization, |chain| {
            chain
                .wallets
                .get(&vault)
                .map_or(0, |versions| versions.get(index))
        })
    }

    /// Whether the audit knows a wallet of this id, in whichever vault of the organization.
    pub(crate) fn knows_wallet(&self, organization: OrganizationId, wallet: WalletId) -> bool {
        self.with(organization, |chain| {
            chain.wallets.iter().any(|(vault, versions)| {
                wallet
                    .index_in(*vault)
                    .is_some_and(|index| versions.get(index) > 0)
            })
        })
    }

    /// The number of the record that created a wallet.
    pub(crate) fn born_in(
        &self,
        organization: OrganizationId,
        vault: VaultId,
        index: u32,
    ) -> Option<u64> {
        self.with(organization, |chain| {
            chain.wallets.get(&vault)?.born_in(index)
        })
    }

    /// The latest version of any other sealed object; 0 when it is unknown.
    pub(crate) fn object_version(&self, organization: OrganizationId, id: &str) -> u32 {
        self.with(organization, |chain| {
            chain.objects.get(id).copied().unwrap_or(0)
        })
    }

    /// The last end of the organization's ledger that its audit chain names.
    pub(crate) fn ledger_mark(&self, organization: OrganizationId) -> Option<LedgerMark> {
        self.with(organization, |chain| chain.ledger)
    }

    /// The verified head's number, and that of the newest event with it.
    pub(crate) fn events(&self, organization: OrganizationId) -> (u64, u64) {
        self.with(organization, |chain| (chain.seq, chain.events))
    }

    /// The objects known whose ids begin with `prefix`.
    pub(crate) fn known(&self, organization: OrganizationId, prefix: &str) -> Vec<String> {
        self.with(organization, |chain| {
            let known = chain.objects.keys().filter(|id| id.starts_with(prefix));
            known.cloned().collect()
        })
    }

    /// Whether a wallet was ever created at one of these indexes.
    pub(crate) fn any_created(
        &self,
        organization: OrganizationId,
        vault: VaultId,
        (first, count): (u32, u32),
    ) -> bool {
        self.with(organization, |chain| {
            let versions = chain.wallets.get(&vault);
            versions.is_some_and(|versions| {
                (first..first.saturating_add(count)).any(|index| versions.get(index) > 0)
            })
        })
    }

    /// The verified head.
    pub(crate) fn head(&self, organization: OrganizationId) -> AuditHead {
        self.with(organization, |chain| AuditHead {
            organization,
            seq: chain.seq,
            hash: chain.hash,
        })
    }
}

async fn head(tx: &mut Tx, organization: OrganizationId) -> Result<(u64, [u8; 32]), Error> {
    let head = rows::head(tx, organization).await?;
    Ok(head.map_or((0, ZERO_HASH), |head| (head.seq, head.hash)))
}

fn announce(organization: OrganizationId, chain: &mut Chain, reason: String) {
    metrics::counter!("coffer_audit_breaks_total").increment(1);
    tracing::error!(%organization, reason, alarm = "audit", "the audit chain is broken; the organization is locked");
    chain.broken = Some(reason);
}
