//! Sinks: every event of an organization, in order, to a message broker.
//!
//! A relay per sink and organization reads the outbox behind its cursor, publishes page by page, and moves the cursor
//! only after the broker has confirmed. One process at a time relays, by a lease; the cursor is stored by compare-and-set on
//! its version and the lease's fence, so one that was overtaken cannot move it.
//! Guarantees: nothing is left out, whatever becomes of the broker, of its data, or of this process; the first time that
//! each event of an object is seen, they are in order; what comes twice has the same id. Memory: two pages.
//! Deliberately not here: the brokers' clients (`brokers`), and any memory of what a broker still holds: one that lost its
//! data is filled again by setting the cursor back ([`Platform::rewind_sink`]).

mod cursor;
mod lag;
mod read;
mod relay;
mod rewind;

use std::sync::Arc;

use coffer_brokers::SinkConnector;
use coffer_domain::id::OrganizationId;

pub use read::SinkState;

use crate::EventFilter;

/// One sink of the configuration.
#[derive(Clone)]
pub struct SinkSettings {
    /// Unique; the cursor is found by it.
    pub name: String,
    /// `None`: every organization, each with a cursor of its own.
    pub organization: Option<OrganizationId>,
    pub filter: EventFilter,
    pub connector: Arc<dyn SinkConnector>,
}
