//! Webhooks: events sent to the URLs that an organization names, signed by the Standard Webhooks specification.
//!
//! Guarantees: each wanted event reaches the receiver at least once, or is parked after three days and can be asked for
//! again; of one object they come in order; a receiver that is slow or down delays no other one and costs no rows; a
//! webhook is delivered by one process at a time, under a lease with a fencing token; what was sent and how far it is
//! told commit together. Secrets are encrypted under a key that the database does not hold, and shown once.
//! A webhook is sealed and versioned like every object. How far it was told is sealed, too, but moves too often for
//! the audit chain: a copy put back makes events come twice, and none be left out.
//! Deliberately not here: which addresses may be called ([`crate::outbound`]), and what an event says
//! ([`crate::events`]).
//! Cost: up to [`queue::WINDOW`] events in memory for each webhook, fewer when there are many.

mod change;
mod check;
mod create;
mod deliver;
mod notifier;
mod queue;
mod read;
mod record;
mod redeliver;
mod rotate;
mod rows;
mod send;
mod throttle;

pub use change::WebhookChange;
pub use check::CheckResult;
pub use create::{CreatedWebhook, NewWebhook};
pub use read::{DeliveryFilter, DeliveryPage, DeliveryView, WebhookProgress, WebhookView};
pub use redeliver::{AskedRedelivery, RedeliveryRange};
pub use rotate::{OVERLAP_HOURS_DEFAULT, OVERLAP_HOURS_MAX, RotatedSecret};
