//! Account descriptors: what the signer says about one account's public side, and its signature.

use coffer_domain::address::{AddressKind, BitcoinNetwork};
use ed25519_dalek::{Signature, VerifyingKey};
use sha2::{Digest, Sha256};

/// Which account is asked for: the hardened account number and the vault's Bitcoin network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountSpec {
    pub account: u32,
    pub bitcoin_network: BitcoinNetwork,
}

/// The extended public key of one account, e.g. of `m/44'/60'/0'` (BIP-32).
///
/// Confidential: with one leaked child private key it gives the parent key. No `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct AccountDescriptor {
    pub kind: AddressKind,
    pub spec: AccountSpec,
    /// Compressed, SEC 1.
    pub public_key: [u8; 33],
    pub chain_code: [u8; 32],
    /// First four bytes of HASH160 of the master public key (BIP-32).
    pub master_fingerprint: [u8; 4],
}

#[derive(Clone, PartialEq, Eq)]
pub struct SignedDescriptor {
    pub descriptor: AccountDescriptor,
    /// Ed25519 by the attestation key over [`AccountDescriptor::message`].
    pub signature: [u8; 64],
}

/// A descriptor that is not what its signer said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DescriptorError {
    #[error("the account descriptor's signature does not verify under the pinned attestation key")]
    BadSignature,
    #[error("the attestation key is not an Ed25519 public key")]
    BadAttestationKey,
}

impl AccountDescriptor {
    /// The bytes that are signed and digested: a domain tag, then every field at fixed length.
    #[must_use]
    pub fn message(&self) -> Vec<u8> {
        let mut message = b"coffer account descriptor v1".to_vec();
        message.push(self.kind.code());
        message.extend_from_slice(&self.spec.account.to_be_bytes());
        message.push(match self.spec.bitcoin_network {
            BitcoinNetwork::Mainnet => 0,
            BitcoinNetwork::Testnet => 1,
            BitcoinNetwork::Signet => 2,
            BitcoinNetwork::Regtest => 3,
        });
        message.extend_from_slice(&self.public_key);
        message.extend_from_slice(&self.chain_code);
        message.extend_from_slice(&self.master_fingerprint);
        message
    }
}

impl SignedDescriptor {
    pub fn verify(&self, attestation_public_key: &[u8; 32]) -> Result<(), DescriptorError> {
        let key = VerifyingKey::from_bytes(attestation_public_key)
            .map_err(|_| DescriptorError::BadAttestationKey)?;
        key.verify_strict(
            &self.descriptor.message(),
            &Signature::from_bytes(&self.signature),
        )
        .map_err(|_| DescriptorError::BadSignature)
    }
}

/// One digest over an account's descriptors in their order; a drill compares it.
#[must_use]
pub fn descriptors_digest<'a>(
    descriptors: impl IntoIterator<Item = &'a AccountDescriptor>,
) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for descriptor in descriptors {
        hasher.update(descriptor.message());
    }
    hasher.finalize().into()
}
