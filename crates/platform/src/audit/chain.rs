//! The verified chain in memory: its head, whether it is broken, and every object's latest version.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use coffer_domain::id::{OrganizationId, VaultId, WalletId};
use coffer_store::Tx;
use coffer_store::audit::{self as rows, AuditRow};
use serde::Deserialize;

use super::{Anchor, AuditHead, Changes, ZERO_HASH, record_hash};
use crate::Error;
use crate::seal::SealKeys;

/// Records read in one query while catching up.
const PAGE: u32 = 500;

/// Latest versions of one vault's wallets, by index: a byte each, 0 for "never created".
#[derive(Default)]
struct WalletVersions {
    dense: Vec<u8>,
    /// Versions that a byte cannot hold; `dense` says 255 for them.
    high: HashMap<u32, u32>,
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
}

struct Chain {
    seq: u64,
    hash: [u8; 32],
    broken: Option<String>,
    wallets: HashMap<VaultId, WalletVersions>,
    objects: HashMap<String, u32>,
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
        self.learn(&row.payload)
            .map_err(|error| format!("record {seq} cannot be read: {error}"))?;
        self.seq = seq;
        self.hash = row.hash;
        Ok(())
    }

    fn learn(&mut self, payload: &str) -> Result<(), String> {
        #[derive(Deserialize)]
        struct Payload {
            changes: Changes,
        }
        let changes = serde_json::from_str::<Payload>(payload)
            .map_err(|error| error.to_string())?
            .changes;
        if let Some(created) = changes.created {
            let vault = created
                .vault
                .parse()
                .map_err(|_| "a vault id that is none".to_owned())?;
            let versions = self.wallets.entry(vault).or_default();
            for (first, count) in created.runs {
                (first..first.saturating_add(count)).for_each(|index| versions.set(index, 1));
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

    /// Tells what the chain must contain; before the first [`Self::catch_up`].
    pub(crate) fn expect(&self, anchor: Anchor) {
        self.with(anchor.organization, |chain| chain.anchor = Some(anchor));
    }

    /// Reads and verifies the records that others appended since; `tx` decides the moment.
    /// A break is remembered: from then on [`Self::check`] refuses.
    pub(crate) async fn catch_up(
        &self,
        tx: &mut Tx,
        seals: &SealKeys,
        organization: OrganizationId,
    ) -> Result<(), Error> {
        self.verify_from(tx, seals, organization, 0).await
    }

    /// Catches up if the chain grew since. Costs one look at the head. Without it, an older row that is put
    /// back just after a change would be served until something else makes this process read the chain.
    pub(crate) async fn follow(
        &self,
        tx: &mut Tx,
        seals: &SealKeys,
        organization: OrganizationId,
    ) -> Result<(), Error> {
        let head = rows::head(tx, organization).await?;
        let known = self.head(organization);
        let moved = head.is_some_and(|head| {
            head.seq > known.seq || (head.seq == known.seq && head.hash != known.hash)
        });
        if moved {
            return self.catch_up(tx, seals, organization).await;
        }
        self.check(organization)
    }

    /// Like [`Self::catch_up`]; the chain must still have its first `floor` records. `floor` must have been
    /// known before `tx` saw anything: an older snapshot has fewer records and is no break.
    pub(crate) async fn verify_from(
        &self,
        tx: &mut Tx,
        seals: &SealKeys,
        organization: OrganizationId,
        floor: u64,
    ) -> Result<(), Error> {
        let _one = self.catching_up.lock().await;
        let mut head = rows::head(tx, organization).await?;
        let mut read_to = 0;
        loop {
            let known = self.with(organization, |chain| {
                chain.broken.is_none().then_some(chain.seq)
            });
            let Some(known) = known else { break };
            let page = rows::page(tx, organization, known, PAGE).await?;
            read_to = page.last().map_or(read_to, |row| row.seq);
            let last = page.len() < PAGE as usize;
            self.with(organization, |chain| {
                let verified = page.iter().try_for_each(|row| chain.take(row, seals));
                if let Err(reason) = verified {
                    announce(organization, chain, reason);
                }
            });
            if last {
                break;
            }
        }
        // On PostgreSQL a write transaction sees what others commit between its statements.
        if head.is_some_and(|head| head.seq < read_to) {
            head = rows::head(tx, organization).await?;
        }
        let floor = floor.max(read_to);
        self.with(organization, |chain| {
            let (seq, hash) = head.map_or((0, ZERO_HASH), |head| (head.seq, head.hash));
            let cut_to_anchor = chain.anchor.as_ref().filter(|anchor| anchor.seq > chain.seq).map(|anchor| anchor.seq);
            if chain.broken.is_some() {
            } else if seq < floor {
                announce(organization, chain, format!("the records after {seq} were removed"));
            } else if seq > chain.seq || (seq == chain.seq && hash != chain.hash) {
                announce(organization, chain, format!("the head says record {seq}, the records end at {}", chain.seq));
            } else if let Some(anchored) = cut_to_anchor {
                let reason = format!(
                    "the anchor outside the database knows record {anchored}, the records end at {}: the tail was cut or an older backup restored",
                    chain.seq
                );
                announce(organization, chain, reason);
            }
        });
        self.check(organization)
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

    /// The latest version of any other sealed object; 0 when it is unknown.
    pub(crate) fn object_version(&self, organization: OrganizationId, id: &str) -> u32 {
        self.with(organization, |chain| {
            chain.objects.get(id).copied().unwrap_or(0)
        })
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

fn announce(organization: OrganizationId, chain: &mut Chain, reason: String) {
    metrics::counter!("coffer_audit_breaks_total").increment(1);
    tracing::error!(%organization, reason, alarm = "audit", "the audit chain is broken; the organization is locked");
    chain.broken = Some(reason);
}
