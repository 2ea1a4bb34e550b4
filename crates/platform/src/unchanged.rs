//! What was verified a moment ago and is as good as read now, because nothing was committed to the database since.
//!
//! One look at the database's mark (see [`coffer_store::Mark`]) takes the place of reading and verifying again.
//! Whatever is committed, by whichever process or by the database's owner by hand, changes the mark and empties
//! this memory: a row that was edited is read again, and refused. Requests that wait at the same moment share a
//! look that begins after the last of them came, so nobody is answered from before its request.
//! A commit of this process's own that gave no object a new version changed nothing of what is kept here, and leaves
//! it, where the engine tells that it was the only one.
//! Cost: a small query for each look; what is kept is bounded, and a full memory keeps no more.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use coffer_domain::id::{OrganizationId, VaultId};
use coffer_domain::vault::Vault;
use coffer_store::Mark;
use coffer_store::audit::AuditRow;
use coffer_store::vaults::VaultRow;
use tokio::sync::oneshot;

use crate::{Caller, Error, Platform};

const MAX_CALLERS: usize = 10_000;
const MAX_VAULTS: usize = 1_000;
/// Lists of vaults, and vaults in one.
const MAX_LISTS: usize = 100;
const MAX_LISTED: usize = 100;

/// A caller whose key was verified, and when that key expires.
#[derive(Clone)]
pub(crate) struct Known {
    pub(crate) caller: Arc<Caller>,
    pub(crate) expires_at_ms: Option<i64>,
}

#[derive(Default)]
struct Kept {
    /// The state of the database for which the rest holds.
    mark: Option<Mark>,
    /// By the SHA-256 of their tokens.
    callers: HashMap<[u8; 32], Known>,
    vaults: HashMap<VaultId, VaultRow>,
    /// All vaults of an organization, in their order.
    lists: HashMap<OrganizationId, Vec<Vault>>,
    /// Organizations whose chains were followed to their ends.
    followed: HashSet<OrganizationId>,
}

impl Kept {
    /// Only what was read at `mark` or after it may be asked for and put in; something newer stays untouched.
    fn at(&mut self, mark: &Mark) -> &mut Self {
        if self.mark.as_ref() != Some(mark) {
            *self = Self {
                mark: Some(mark.clone()),
                ..Self::default()
            };
        }
        self
    }
}

#[derive(Default)]
struct Looks {
    waiting: Vec<oneshot::Sender<Option<Mark>>>,
    /// A task looks.
    looking: bool,
}

#[derive(Default)]
pub(crate) struct Unchanged {
    kept: Mutex<Kept>,
    looks: Mutex<Looks>,
}

impl Unchanged {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, mark: &Mark, work: impl FnOnce(&mut Kept) -> T) -> T {
        work(self.kept().at(mark))
    }

    fn looks<T>(&self, work: impl FnOnce(&mut Looks) -> T) -> T {
        work(&mut self.looks.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn caller(&self, mark: &Mark, token: &[u8; 32]) -> Option<Known> {
        self.with(mark, |kept| kept.callers.get(token).cloned())
    }

    pub(crate) fn keep_caller(&self, mark: &Mark, token: [u8; 32], known: Known) {
        self.with(mark, |kept| {
            if kept.callers.len() < MAX_CALLERS {
                kept.callers.insert(token, known);
            }
        });
    }
}

impl Platform {
    /// Where the database stands at some moment after this call began; `None` when it cannot be asked, and whoever
    /// reads then finds out why.
    pub(crate) async fn mark(&self) -> Option<Mark> {
        if let Some(mark) = self.0.db.mark_at_once() {
            return Some(mark);
        }
        let (tell, told) = oneshot::channel();
        let begin = self.0.unchanged.looks(|looks| {
            looks.waiting.push(tell);
            !std::mem::replace(&mut looks.looking, true)
        });
        if begin {
            // A task of its own: a caller that goes away does not take the look along that others wait for.
            tokio::spawn(self.clone().look());
        }
        told.await.ok().flatten()
    }

    async fn look(self) {
        loop {
            let waiting = self.0.unchanged.looks(|looks| {
                looks.looking = !looks.waiting.is_empty();
                std::mem::take(&mut looks.waiting)
            });
            if waiting.is_empty() {
                return;
            }
            let mark = self.0.db.mark().await;
            if let Err(error) = &mark {
                tracing::warn!(%error, "the database's mark cannot be read");
            }
            let mark = mark.ok();
            for tell in waiting {
                let _ = tell.send(mark.clone());
            }
        }
    }

    /// After a commit that began on `begun_at`, appended these records and changed no object's version: keys and vaults
    /// are what they were if nobody else has committed since.
    pub(crate) fn keep_through_commit(&self, begun_at: &Mark, appended: &[AuditRow]) {
        let Some(now) = self.0.db.mark_at_once() else {
            return;
        };
        if !now.is_next_after(begun_at) {
            return;
        }
        let mut kept = self.0.unchanged.kept();
        if kept.mark.as_ref() != Some(begun_at) {
            return;
        }
        kept.mark = Some(now);
        for record in appended {
            // Not taken: records of others before it are still to be read.
            if self.0.chains.head(record.organization).seq < record.seq {
                kept.followed.remove(&record.organization);
            }
        }
    }

    /// The organization's chain as it was at `mark`, or later.
    pub(crate) async fn follow_to(
        &self,
        mark: &Mark,
        organization: OrganizationId,
    ) -> Result<(), Error> {
        let known = |kept: &mut Kept| kept.followed.contains(&organization);
        if self.0.unchanged.with(mark, known) {
            return self.guard(organization);
        }
        let head = coffer_store::audit::look_head(&self.0.db, organization).await?;
        if self.0.chains.is_behind(organization, head) {
            let mut tx = self.0.db.read().await?;
            self.follow(&mut tx, organization).await?;
        }
        self.guard(organization)?;
        let keep = |kept: &mut Kept| kept.followed.insert(organization);
        self.0.unchanged.with(mark, keep);
        Ok(())
    }

    /// A vault's row, verified, as it was at `mark` or later.
    pub(crate) async fn vault_at(
        &self,
        mark: &Mark,
        id: VaultId,
    ) -> Result<Option<VaultRow>, Error> {
        let known = |kept: &mut Kept| kept.vaults.get(&id).cloned();
        if let Some(row) = self.0.unchanged.with(mark, known) {
            self.guard(row.vault.organization)?;
            return Ok(Some(row));
        }
        let row = self.read_vault(id).await?;
        if let Some(row) = &row {
            self.0.unchanged.with(mark, |kept| {
                if kept.vaults.len() < MAX_VAULTS {
                    kept.vaults.insert(id, row.clone());
                }
            });
        }
        Ok(row)
    }

    /// All vaults of the caller's organization as they were at `mark` or later.
    pub async fn vaults_at(
        &self,
        mark: Option<&Mark>,
        caller: &Caller,
    ) -> Result<Vec<Vault>, Error> {
        let Some(mark) = mark else {
            return self.vaults(caller).await;
        };
        let of = caller.organization;
        let known = |kept: &mut Kept| kept.lists.get(&of).cloned();
        if let Some(vaults) = self.0.unchanged.with(mark, known) {
            self.guard(of)?;
            return Ok(vaults);
        }
        let vaults = self.vaults(caller).await?;
        self.0.unchanged.with(mark, |kept| {
            if kept.lists.len() < MAX_LISTS && vaults.len() <= MAX_LISTED {
                kept.lists.insert(of, vaults.clone());
            }
        });
        Ok(vaults)
    }
}
