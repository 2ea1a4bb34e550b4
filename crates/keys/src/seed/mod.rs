//! The master seed and everything that is derived from it.
//!
//! Guarantees: account keys and Solana keys come out only when two implementations agree on them;
//! the attestation key and the seal key have labels of their own (HKDF) and say nothing about each
//! other or about the tree of BIP-32. Deliberately not here: a private key as a result.
//! Cost: bulk Solana keys use as many threads as they are given, and nothing is kept between calls.

use std::num::NonZeroUsize;

use coffer_domain::address::{AddressKind, AddressPayload, BitcoinNetwork, solana_child};
use ed25519_dalek::{Signer, SigningKey};
use hkdf::Hkdf;
use sha2::Sha512;
use zeroize::{ZeroizeOnDrop, Zeroizing};

use crate::bip32::{ExtendedPrivateKey, HARDENED, second_opinion};
use crate::payload::payload;
use crate::slip10::{Node, SecondNode};
use crate::solana::{Parents, SolanaPiece};
use crate::{AccountPublicKey, DerivationError};

/// Solana's coin type (SLIP-44).
const SOLANA: [u32; 2] = [44, 501];

/// The 64 bytes that BIP-39 makes of a mnemonic. On the heap, so that moving it leaves no copy behind.
pub struct MasterSeed(Box<Zeroizing<[u8; 64]>>);

/// Signs account descriptors and drill proofs. It is derived from the seed, so a restored vault has
/// the same one; it opens no money.
#[derive(ZeroizeOnDrop)]
pub struct AttestationKey(SigningKey);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SolanaError {
    #[error("children from {first} on, {count} of them: all must be below 2147483648")]
    OutOfRange { first: u32, count: u32 },
    /// A fault in the processor or in one of the libraries.
    #[error("two implementations derived different Solana keys: stop and check this machine")]
    Disagreement,
    #[error("the operating system gives no random bytes, so nothing can be proven")]
    NoRandomness,
    /// A thread ended without an answer.
    #[error("the derivation of Solana keys broke off")]
    BrokeOff,
}

impl AttestationKey {
    #[must_use]
    pub fn public_key(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }

    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

impl MasterSeed {
    pub(crate) fn from_bytes(bytes: &[u8; 64]) -> Self {
        let mut seed = Box::new(Zeroizing::new([0; 64]));
        seed.copy_from_slice(bytes);
        Self(seed)
    }

    /// For sealing into a key file only.
    pub(crate) fn bytes(&self) -> &[u8; 64] {
        &self.0
    }

    #[must_use]
    pub fn attestation_key(&self) -> AttestationKey {
        AttestationKey(SigningKey::from_bytes(&self.expand(b"attestation key")))
    }

    /// Seals rows and encrypts descriptors in `coffer`; independent of every other key.
    #[must_use]
    pub fn seal_key(&self) -> Zeroizing<[u8; 32]> {
        self.expand(b"seal key")
    }

    /// HKDF (RFC 5869) with one label per use.
    fn expand(&self, label: &[u8]) -> Zeroizing<[u8; 32]> {
        let mut key = Zeroizing::new([0; 32]);
        Hkdf::<Sha512>::new(Some(b"coffer master seed v1"), &**self.0)
            .expand(label, &mut *key)
            .expect("32 bytes are within HKDF's reach");
        key
    }

    /// The account's extended public key, derived by two implementations.
    pub fn account_public_key(
        &self,
        kind: AddressKind,
        network: BitcoinNetwork,
        account: u32,
    ) -> Result<AccountPublicKey, DerivationError> {
        let path = account_path(kind, network, account)?;
        let master = ExtendedPrivateKey::master(&**self.0)?;
        let node = master.derive(&path)?;
        let public_key = node.public_key()?;
        if second_opinion(&**self.0, &path) != Some((public_key, *node.chain_code())) {
            return Err(DerivationError::Disagreement);
        }
        Ok(AccountPublicKey {
            public_key: public_key.serialize(),
            chain_code: *node.chain_code(),
            master_fingerprint: master.fingerprint()?,
        })
    }

    /// The payload of one address by the private path, without the account's public key: what a drill
    /// compares with addresses that were derived from the descriptor.
    pub fn address_payload(
        &self,
        kind: AddressKind,
        network: BitcoinNetwork,
        account: u32,
        index: u32,
    ) -> Result<AddressPayload, DerivationError> {
        if kind == AddressKind::Solana {
            let child = solana_child(account, index).ok_or(DerivationError::OutOfRange(index))?;
            let key = self
                .solana_parents()
                .checked_key(child)
                .ok_or(DerivationError::Disagreement)?;
            return AddressPayload::try_new(kind, &key).ok_or(DerivationError::NoAccountKey);
        }
        if index >= HARDENED {
            return Err(DerivationError::OutOfRange(index));
        }
        let mut path = account_path(kind, network, account)?.to_vec();
        path.extend([0, index]);
        let node = ExtendedPrivateKey::master(&**self.0)?.derive(&path)?;
        payload(kind, &node.public_key()?).ok_or(DerivationError::NoAccountKey)
    }

    /// Public keys `m/44'/501'/c'/0'` of the children `first .. first + count`, in order, on `threads`
    /// threads. Every key was proven right by a second implementation.
    pub fn solana_public_keys(
        &self,
        first: u32,
        count: u32,
        threads: NonZeroUsize,
    ) -> Result<Vec<[u8; 32]>, SolanaError> {
        let mut keys = Vec::new();
        self.stream_solana_public_keys(first, count, threads, |piece| {
            keys.extend(piece.keys);
            Ok::<_, SolanaError>(())
        })?;
        Ok(keys)
    }

    /// The same, piece by piece: `receive` sets the pace, and its first error ends the derivation.
    pub fn stream_solana_public_keys<E: From<SolanaError>>(
        &self,
        first: u32,
        count: u32,
        threads: NonZeroUsize,
        receive: impl FnMut(SolanaPiece) -> Result<(), E>,
    ) -> Result<(), E> {
        if first.checked_add(count).is_none_or(|end| end > HARDENED) {
            return Err(SolanaError::OutOfRange { first, count }.into());
        }
        if count == 0 {
            return Ok(());
        }
        self.solana_parents()
            .stream((first, count), threads, receive)
    }

    /// `m/44'/501'` by both implementations.
    fn solana_parents(&self) -> Parents {
        let first = Node::master(&**self.0);
        let second = SecondNode::master(&**self.0);
        let (first, second) = SOLANA
            .iter()
            .fold((first, second), |(first, second), step| {
                (first.child(*step), second.child(*step))
            });
        Parents { first, second }
    }
}

fn account_path(
    kind: AddressKind,
    network: BitcoinNetwork,
    account: u32,
) -> Result<[u32; 3], DerivationError> {
    if account >= HARDENED {
        return Err(DerivationError::OutOfRange(account));
    }
    kind.account_path(network, account)
        .map(|steps| steps.map(|step| step | HARDENED))
        .ok_or(DerivationError::NoAccountKey)
}

#[cfg(test)]
mod tests;
