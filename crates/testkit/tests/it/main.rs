//! The platform as a whole, on both engines, with a real signer.

mod batches;
mod drills;
mod idempotency;
mod keys;
mod pool;
mod scene;
mod smoke;
mod tamper;
