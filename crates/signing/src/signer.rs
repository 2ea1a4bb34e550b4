use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::{AccountSpec, SignedDescriptor, SignerError};

/// Who the signer is. `attestation_public_key` is an Ed25519 key derived from the vault's seed,
/// so it is the same again after a restore from the mnemonic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignerIdentity {
    pub attestation_public_key: [u8; 32],
    pub version: String,
}

/// The key under which `coffer` seals rows and encrypts account descriptors: 32 bytes derived in the
/// signer by HKDF, handed over at start, kept in memory only. It opens no money.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct SealKey([u8; 32]);

impl SealKey {
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

/// The role of whoever holds the keys. No call returns a private key or a seed.
pub trait Signer: Send + Sync {
    /// Asked of the signer each time; an answer also says that it is alive.
    fn identity(&self) -> Result<SignerIdentity, SignerError>;

    fn seal_key(&self) -> Result<SealKey, SignerError>;

    /// The descriptors of one account: EVM, TRON, P2WPKH and P2TR, in this order, each signed.
    /// The client has checked the signatures under the identity's attestation key.
    fn account_descriptors(&self, spec: AccountSpec) -> Result<Vec<SignedDescriptor>, SignerError>;

    /// Solana public keys `m/44'/501'/c'/0'` of the hardened children `first .. first + count`, in order;
    /// `count` is at most 65,536; they travel in frames of 1,024 while the next are derived. See `coffer_domain::address::solana_child` for which child serves which wallet.
    fn solana_public_keys(
        &self,
        first_child: u32,
        count: u32,
    ) -> Result<Vec<[u8; 32]>, SignerError>;
}
