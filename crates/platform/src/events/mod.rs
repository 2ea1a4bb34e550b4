//! The outbox: what other systems are told, in the transaction of each change, and how it is read back.
//!
//! Guarantees: an event is stored with the change that it tells of, by the function that appends the change's audit
//! record, or neither is; numbers have no gaps and rise in the order of commits, so a reader that keeps the last
//! one it saw misses nothing; the same event has the same id and the same bytes on every channel and each time.
//! Rows are sealed, and the audit chain knows the newest number: one that was edited, removed or cut off is refused.
//! A row may stand for a run of events (the wallets of a chunk, the transactions of a posting), which are made when
//! they are read, from rows that are verified then: a million wallets add some hundred rows here.
//! Deliberately not here: sending. Whoever sends keeps a cursor and reads [`Platform::events_of`].

mod cloud;
mod data;
mod feed;
mod outgoing;
mod read;

use coffer_domain::event::{EventPattern, EventType};
use coffer_domain::id::{EventId, OrganizationId};

pub use cloud::CloudEvent;
pub use data::{
    AlarmEventV1, AssetEventV1, BatchEventV1, DepositEventV1, LedgerEventV1, NetworkEventV1,
    PoolEventV1, ReconciliationEventV1, UnconfirmedDepositEventV1, VaultEventV1, WalletEventV1,
    schema_of,
};
pub(crate) use feed::Feed;
pub(crate) use outgoing::Outgoing;

/// Events of one page at most.
pub const EVENTS_PER_PAGE_MAX: u32 = 1000;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub id: EventId,
    pub organization: OrganizationId,
    /// From 1, without gaps, in the order of commits.
    pub seq: u64,
    pub kind: EventType,
    /// The id of the object that it is about.
    pub subject: String,
    pub at_ms: i64,
    /// A JSON object; its shape is that of [`schema_of`] the type.
    pub data: String,
}

/// Which events are wanted; all by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Any of these; none given means every type.
    pub types: Vec<EventPattern>,
    pub subject: Option<String>,
}

impl EventFilter {
    #[must_use]
    pub fn matches(&self, event: &Event) -> bool {
        self.wants(event.kind)
            && self
                .subject
                .as_ref()
                .is_none_or(|subject| *subject == event.subject)
    }

    fn wants(&self, kind: EventType) -> bool {
        self.types.is_empty() || self.types.iter().any(|pattern| pattern.matches(kind))
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventPage {
    pub items: Vec<Event>,
    /// The number of the last event that was looked at, wanted or not: where the next page begins.
    pub next: u64,
    /// Whether there were more when this was read.
    pub more: bool,
}
