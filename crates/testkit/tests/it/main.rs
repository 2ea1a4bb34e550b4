//! The platform as a whole, on both engines, with a real signer.

mod smoke;
mod tamper;
