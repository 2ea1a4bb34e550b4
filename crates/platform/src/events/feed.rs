//! News: telling readers that there may be more events, without each of them asking the database.

use std::collections::HashMap;
use std::time::Duration;

use coffer_domain::id::OrganizationId;
use coffer_store::events;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::{Error, Platform};

/// How soon readers hear of what another process committed.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Commits of this process that come closer together are told of at once.
const GATHER: Duration = Duration::from_millis(5);

/// The newest number of each organization, as last seen.
pub(crate) struct Feed {
    heads: watch::Sender<HashMap<OrganizationId, u64>>,
    committed: Notify,
}

impl Default for Feed {
    fn default() -> Self {
        Self {
            heads: watch::Sender::new(HashMap::new()),
            committed: Notify::new(),
        }
    }
}

impl Feed {
    /// A transaction of this process was committed; it may have told something.
    pub(crate) fn committed(&self) {
        self.committed.notify_one();
    }
}

impl Platform {
    /// Watches for new events until `stop`: every process that serves readers or sends runs this once.
    pub async fn run_event_feed(&self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            if let Err(error) = self.look_for_events().await {
                tracing::warn!(%error, "the outbox could not be looked at");
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.0.feed.committed.notified() => tokio::time::sleep(GATHER).await,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    async fn look_for_events(&self) -> Result<(), Error> {
        let heads = events::heads(&mut self.0.db.read().await?).await?;
        self.0.feed.heads.send_if_modified(|known| {
            let mut moved = false;
            for (organization, head) in heads {
                moved |= known.insert(organization, head) != Some(head);
            }
            moved
        });
        Ok(())
    }

    /// Returns when an event with a number above `after` may exist. Never, where [`Self::run_event_feed`] does not run.
    pub async fn event_news(&self, organization: OrganizationId, after: u64) {
        let mut heads = self.0.feed.heads.subscribe();
        let newer = |heads: &HashMap<OrganizationId, u64>| {
            heads.get(&organization).is_some_and(|head| *head > after)
        };
        // The sender lives as long as the platform.
        let _ = heads.wait_for(newer).await;
    }
}
