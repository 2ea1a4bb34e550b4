//! Alarms: that a stored object was refused is told to other systems as an event, once an hour for each object.
//!
//! A refusal happens wherever a row is read, mostly where nothing may be written; so it is noted in memory, and a
//! loop of its own records it. What a crash forgets is found again with the next read.
//! Deliberately not here: a broken audit chain, which locks its organization and with it the outbox; that alarm is
//! the metric `coffer_audit_broken` and the log.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use coffer_domain::event::EventType;
use coffer_domain::id::{OrganizationId, WalletId};
use coffer_store::organizations;
use tokio_util::sync::CancellationToken;

use crate::audit::{Changes, Entry, append};
use crate::events::{AlarmEventV1, Outgoing};
use crate::transaction::transact;
use crate::{Error, Platform};

/// The latest refusals kept; of more the metric still counts all.
const NOTED_MAX: usize = 256;
/// Objects remembered as told.
const TOLD_MAX: usize = 4096;
const LOOK_EVERY: Duration = Duration::from_secs(1);
const AGAIN_AFTER_MS: i64 = 60 * 60 * 1000;

/// The refusals of the whole process: where a row is read, nobody knows under which platform.
struct Noted {
    /// How many there have been before the first one kept.
    dropped: u64,
    kept: VecDeque<String>,
}

static NOTED: Mutex<Noted> = Mutex::new(Noted {
    dropped: 0,
    kept: VecDeque::new(),
});

/// How far a platform has told of them, and when it told of each object last.
#[derive(Default)]
pub(crate) struct Told {
    seen: Mutex<u64>,
    at_ms: Mutex<HashMap<String, i64>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Told {
    /// What was noted since the last one told, each with the count that it makes.
    fn waiting(&self) -> Vec<(u64, String)> {
        let (seen, noted) = (*lock(&self.seen), lock(&NOTED));
        let counted = (noted.dropped + 1..).zip(&noted.kept);
        let new = counted.filter(|(count, _)| *count > seen);
        new.map(|(count, object)| (count, object.clone())).collect()
    }

    /// Whether an object was not told of within the last hour.
    fn is_due(&self, object: &str, now_ms: i64) -> bool {
        let mut told = lock(&self.at_ms);
        told.retain(|_, at| now_ms - *at < AGAIN_AFTER_MS);
        !told.contains_key(object) && told.len() < TOLD_MAX
    }

    fn tell(&self, object: &str, now_ms: i64) {
        lock(&self.at_ms).insert(object.to_owned(), now_ms);
    }
}

/// Notes that an object was refused.
pub(crate) fn note(object: &str) {
    let mut noted = lock(&NOTED);
    if noted.kept.len() == NOTED_MAX {
        noted.kept.pop_front();
        noted.dropped += 1;
    }
    noted.kept.push_back(object.to_owned());
}

impl Platform {
    /// Tells of what is refused, once a second, until `stop`.
    pub async fn run_alarms(&self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            if let Err(error) = self.tell_alarms().await {
                tracing::warn!(%error, "an alarm could not be told");
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// Records what was refused since the last call.
    pub async fn tell_alarms(&self) -> Result<(), Error> {
        let waiting = self.0.told.waiting();
        if waiting.is_empty() {
            return Ok(());
        }
        let mut tx = self.0.db.read().await?;
        let organizations = organizations::all(&mut tx).await?;
        let organizations: Vec<OrganizationId> = organizations.iter().map(|own| own.id).collect();
        drop(tx);
        for (count, object) in waiting {
            let now = self.now_ms();
            let owner = self.owner_of(&organizations, &object);
            // A locked organization's outbox is locked, too.
            let owner = owner.filter(|owner| self.guard(*owner).is_ok());
            if let Some(owner) = owner
                && self.0.told.is_due(&object, now)
            {
                self.tell_alarm(owner, &object).await?;
                self.0.told.tell(&object, now);
            }
            *lock(&self.0.told.seen) = count;
        }
        Ok(())
    }

    /// Whose an object is, by the ids in its name. One organization must not hear of another's objects, so what
    /// cannot be placed is told to an only organization alone.
    fn owner_of(&self, organizations: &[OrganizationId], object: &str) -> Option<OrganizationId> {
        let ids: Vec<&str> = object
            .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .collect();
        let owns = |organization: &&OrganizationId| {
            let chains = &self.0.chains;
            ids.iter().any(|id| {
                **id == organization.to_string()
                    || chains.object_version(**organization, id) > 0
                    || id
                        .parse::<WalletId>()
                        .is_ok_and(|wallet| chains.knows_wallet(**organization, wallet))
            })
        };
        match (organizations.iter().find(owns), organizations) {
            (Some(owner), _) => Some(*owner),
            (None, [only]) => Some(*only),
            (None, _) => None,
        }
    }

    async fn tell_alarm(&self, organization: OrganizationId, object: &str) -> Result<(), Error> {
        transact!(self, tx, {
            let entry = Entry {
                organization,
                at_ms: self.now_ms(),
                actor: "system",
                action: EventType::AlarmRaised.name(),
                object: object.to_owned(),
                changes: Changes::default(),
                data: serde_json::json!({ "alarm": "integrity" }),
                events: Outgoing::one(
                    EventType::AlarmRaised,
                    organization,
                    &AlarmEventV1::integrity(object),
                ),
            };
            append(tx, &self.0.seals, entry).await?;
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_due_once_an_hour() {
        let told = Told::default();
        assert!(told.is_due("wal_1", 0));
        told.tell("wal_1", 0);
        assert!(!told.is_due("wal_1", AGAIN_AFTER_MS - 1));
        assert!(told.is_due("wal_2", AGAIN_AFTER_MS - 1));
        assert!(told.is_due("wal_1", AGAIN_AFTER_MS));
    }
}
