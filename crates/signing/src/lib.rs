//! What crosses the boundary between `coffer` and `coffer-signer`: the [`Signer`] role, its messages
//! and its client. Public data only, with one exception that is named: the [`SealKey`].
//!
//! Guarantees: no message can carry a private key or a seed; every descriptor is signed by the
//! signer's attestation key, which `coffer` pins; every frame has a size limit.
//! Deliberately not here: keys (`keys`), the process (`signer`), any policy.
//! Calls block; callers run them where blocking is allowed.

mod client;
mod descriptor;
mod drill;
mod encoding;
mod error;
mod signer;
pub mod wire;

pub use client::{ANSWER_TIME_OUT, DESCRIPTOR_KINDS, SignerClient};
pub use descriptor::{
    AccountDescriptor, AccountSpec, DescriptorError, SignedDescriptor, descriptors_digest,
};
pub use drill::{
    DRILL_JSON_LIMIT_BYTES, DRILL_SAMPLES_MAX, DrillChallenge, DrillFormatError, DrillProof,
    DrillSample,
};
pub use error::SignerError;
pub use signer::{SealKey, Signer, SignerIdentity};

#[cfg(test)]
mod tests;
