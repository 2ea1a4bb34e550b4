//! The platform as a whole, on both engines, with a real signer.

mod batches;
mod bitcoin;
mod drills;
mod gates;
mod idempotency;
mod keys;
mod ledger;
mod ledger_tamper;
mod networks;
mod organizations;
mod pool;
mod reconcile;
mod scene;
mod smoke;
mod store;
mod tamper;
mod watch;
