//! Sinks as their owner sees them.

use super::cursor::LEASE_MS;
use crate::{Caller, Error, Platform};

/// How far a sink has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkState {
    pub name: String,
    /// The broker has confirmed everything up to this event,
    pub seq: u64,
    /// of so many.
    pub head: u64,
    /// How often it was set back.
    pub replays: u64,
    pub updated_at_ms: i64,
    /// Whether some process relays it now.
    pub relaying: bool,
}

impl Platform {
    /// Every sink that has ever run for the caller's organization, by name.
    pub async fn sinks(&self, caller: &Caller) -> Result<Vec<SinkState>, Error> {
        self.guard(caller.organization)?;
        let head = self.event_head(caller.organization).await?;
        let mut tx = self.0.db.read().await?;
        let found =
            coffer_store::sink_cursors::of_organization(&mut tx, caller.organization).await?;
        let now = self.now_ms();
        let mut states = Vec::new();
        for (sealed, lease) in found {
            let name = sealed.value.sink.clone();
            let cursor = self.open_cursor(caller.organization, &name, sealed)?;
            let live = lease.until_ms > now && lease.until_ms <= now + LEASE_MS;
            states.push(SinkState {
                name,
                seq: cursor.seq,
                head,
                replays: cursor.replays,
                updated_at_ms: cursor.updated_at_ms,
                relaying: lease.owner.is_some() && live,
            });
        }
        Ok(states)
    }
}
