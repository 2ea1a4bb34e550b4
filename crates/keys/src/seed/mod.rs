//! The master seed and everything that is derived from it.
//!
//! Guarantees: account keys and Solana keys come out only when two implementations agree on them;
//! the attestation key and the seal key have labels of their own (HKDF) and say nothing about each
//! other or about the tree of BIP-32. Deliberately not here: a private key as a result.
//! Cost: bulk Solana keys use as many threads as they are given, and nothing is kept between calls.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};

use coffer_domain::address::{AddressKind, AddressPayload, BitcoinNetwork, solana_child};
use ed25519_dalek::{Signer, SigningKey};
use hkdf::Hkdf;
use sha2::Sha512;
use zeroize::{ZeroizeOnDrop, Zeroizing};

use crate::bip32::{ExtendedPrivateKey, HARDENED, second_opinion};
use crate::payload::payload;
use crate::slip10::{Node, SecondNode};
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
            let key =
                checked_key(&self.solana_parents(), child).ok_or(DerivationError::Disagreement)?;
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
    /// threads. Every key was derived by two implementations that agree.
    pub fn solana_public_keys(
        &self,
        first: u32,
        count: u32,
        threads: NonZeroUsize,
    ) -> Result<Vec<[u8; 32]>, SolanaError> {
        let out_of_range = SolanaError::OutOfRange { first, count };
        if first.checked_add(count).is_none_or(|end| end > HARDENED) {
            return Err(out_of_range);
        }
        let mut keys = vec![[0; 32]; count as usize];
        if keys.is_empty() {
            return Ok(keys);
        }
        let parents = self.solana_parents();
        let disagreed = AtomicBool::new(false);
        let share = keys.len().div_ceil(threads.get());
        std::thread::scope(|scope| {
            let mut children = first..;
            let mut shares = keys.chunks_mut(share).map(|keys| {
                let start = children.start;
                children.start += u32::try_from(keys.len()).unwrap_or(u32::MAX - start);
                (start, keys)
            });
            let here = shares.next();
            for (start, keys) in shares {
                let (parents, disagreed) = (&parents, &disagreed);
                scope.spawn(move || fill(parents, start, keys, disagreed));
            }
            // This thread takes a share, too: one thread needs no spawning at all.
            if let Some((start, keys)) = here {
                fill(&parents, start, keys, &disagreed);
            }
        });
        if disagreed.load(Ordering::Relaxed) {
            return Err(SolanaError::Disagreement);
        }
        Ok(keys)
    }

    /// `m/44'/501'` by both implementations.
    fn solana_parents(&self) -> (Node, SecondNode) {
        let first = Node::master(&**self.0);
        let second = SecondNode::master(&**self.0);
        SOLANA
            .iter()
            .fold((first, second), |(first, second), step| {
                (first.child(*step), second.child(*step))
            })
    }
}

/// `None` when the implementations disagree.
fn checked_key((first, second): &(Node, SecondNode), child: u32) -> Option<[u8; 32]> {
    let key = first.child(child).child(0).public_key();
    (second.child(child).child(0).public_key() == Some(key)).then_some(key)
}

fn fill(parents: &(Node, SecondNode), start: u32, keys: &mut [[u8; 32]], disagreed: &AtomicBool) {
    for (key, child) in keys.iter_mut().zip(start..) {
        match checked_key(parents, child) {
            Some(checked) => *key = checked,
            None => return disagreed.store(true, Ordering::Relaxed),
        }
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
