//! The platform as a whole, on both engines, with a real signer.

mod batches;
mod scene;
mod smoke;
