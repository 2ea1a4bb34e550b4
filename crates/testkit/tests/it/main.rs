//! The platform as a whole, on both engines, with a real signer.

mod batches;
mod births;
mod bitcoin;
mod drills;
mod events;
mod gates;
mod idempotency;
mod keys;
mod ledger;
mod ledger_tamper;
mod networks;
mod organizations;
mod parked;
mod pool;
mod reconcile;
mod scene;
mod sinks;
mod smoke;
mod store;
mod tamper;
mod watch;
