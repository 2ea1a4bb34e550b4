//! One extended public key → millions of child public keys, as address payloads.
//!
//! [`Deriver`] derives the non-hardened children of one key
//! ([BIP-32](https://github.com/bitcoin/bips/blob/master/bip-0032.mediawiki) CKDpub) in batches and hashes
//! each into the payload of a [`Scheme`]. Two checks by other code stand beside it: [`Deriver::prove`] for a
//! whole batch of points and payloads by one equation, and [`verify()`], which derives every key again with
//! libsecp256k1 and the hashes of the `bitcoin` crate. An address is handed out only after one of them agrees.
//!
//! Guarantees: a payload depends on (key, scheme, index) alone, whatever the batch around it; a call gives
//! all records of its range or none.
//!
//! Public data only: no secret key can be named here, so everything is variable-time on purpose. An extended
//! public key is confidential all the same (with one leaked child private key it gives the parent key), so
//! it has no `Debug`.
//!
//! Cost: a [`Deriver`] holds a table of 5 MiB, built once in some 20 ms; share it between threads. The
//! instructions are chosen at run time ([`Arch`]). A call works in batches of [`deriver::LANES`] keys, with
//! some 500 KiB of scratch beside the result.

mod arch;
mod children;
mod comb;
pub mod deriver;
mod error;
mod extended_key;
mod field;
mod hashes;
mod payloads;
mod proof;
pub mod verify;

pub use arch::Arch;
pub use children::Children;
pub use deriver::Deriver;
pub use error::DeriveError;
pub use extended_key::ExtendedPublicKey;
pub use payloads::{IndexRange, Payloads};
pub use verify::{VerifyError, verify};

/// What a child public key is turned into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Last 20 bytes of keccak-256 over x‖y: EVM and TRON.
    Keccak20,
    /// RIPEMD-160 of SHA-256 of the compressed key: P2WPKH (BIP-84).
    Hash160,
    /// The x coordinate of the Taproot output key without script path (BIP-86): P2TR.
    Taproot,
}

impl Scheme {
    pub const ALL: [Self; 3] = [Self::Keccak20, Self::Hash160, Self::Taproot];

    /// Bytes of one payload.
    #[must_use]
    pub fn payload_len(self) -> usize {
        match self {
            Self::Keccak20 | Self::Hash160 => 20,
            Self::Taproot => 32,
        }
    }
}
