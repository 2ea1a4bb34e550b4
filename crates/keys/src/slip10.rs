//! Ed25519 derivation by [SLIP-10](https://github.com/satoshilabs/slips/blob/master/slip-0010.md):
//! hardened children only, done once with `hmac` and `ed25519-dalek` and once with `ring`.

use ed25519_dalek::SigningKey;
use ring::signature::KeyPair;
use zeroize::Zeroizing;

use crate::bip32::{HARDENED, hmac_sha512};

/// One node: a private key and its chain code.
pub(crate) struct Node {
    key: Zeroizing<[u8; 32]>,
    chain_code: Zeroizing<[u8; 32]>,
}

const CURVE: &[u8] = b"ed25519 seed";

impl Node {
    pub(crate) fn master(seed: &[u8]) -> Self {
        Self::split(&hmac_sha512(CURVE, &[seed]))
    }

    /// `number` without the hardening bit, which is always set.
    pub(crate) fn child(&self, number: u32) -> Self {
        let number = (number | HARDENED).to_be_bytes();
        Self::split(&hmac_sha512(
            &*self.chain_code,
            &[&[0], &*self.key, &number],
        ))
    }

    pub(crate) fn public_key(&self) -> [u8; 32] {
        SigningKey::from_bytes(&self.key).verifying_key().to_bytes()
    }

    fn split(output: &[u8; 64]) -> Self {
        let mut node = Self {
            key: Zeroizing::new([0; 32]),
            chain_code: Zeroizing::new([0; 32]),
        };
        node.key.copy_from_slice(&output[..32]);
        node.chain_code.copy_from_slice(&output[32..]);
        node
    }

    /// The private key and the chain code, for the lanes.
    pub(crate) fn parts(&self) -> (&[u8; 32], &[u8; 32]) {
        (&self.key, &self.chain_code)
    }

    #[cfg(test)]
    pub(crate) fn key(&self) -> &[u8; 32] {
        &self.key
    }

    #[cfg(test)]
    pub(crate) fn chain_code(&self) -> &[u8; 32] {
        &self.chain_code
    }
}

/// The second implementation: `ring`'s HMAC and Ed25519 (BoringSSL's), sharing no code with the first.
pub(crate) struct SecondNode {
    key: Zeroizing<[u8; 32]>,
    chain_code: ring::hmac::Key,
}

impl SecondNode {
    pub(crate) fn master(seed: &[u8]) -> Self {
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA512, CURVE);
        Self::split(&ring::hmac::sign(&key, seed))
    }

    pub(crate) fn child(&self, number: u32) -> Self {
        let mut data = Zeroizing::new([0; 37]);
        data[1..33].copy_from_slice(&*self.key);
        data[33..].copy_from_slice(&(number | HARDENED).to_be_bytes());
        Self::split(&ring::hmac::sign(&self.chain_code, &*data))
    }

    pub(crate) fn public_key(&self) -> Option<[u8; 32]> {
        let pair = ring::signature::Ed25519KeyPair::from_seed_unchecked(&*self.key).ok()?;
        pair.public_key().as_ref().try_into().ok()
    }

    /// The half of the key's digest that becomes the scalar (RFC 8032, section 5.1.5), not yet clamped.
    pub(crate) fn digest_half(&self) -> Zeroizing<[u8; 32]> {
        let digest = ring::digest::digest(&ring::digest::SHA512, &*self.key);
        let mut half = Zeroizing::new([0; 32]);
        half.copy_from_slice(&digest.as_ref()[..32]);
        half
    }

    fn split(output: &ring::hmac::Tag) -> Self {
        let (key, chain_code) = output.as_ref().split_at(32);
        let mut node = Self {
            key: Zeroizing::new([0; 32]),
            chain_code: ring::hmac::Key::new(ring::hmac::HMAC_SHA512, chain_code),
        };
        node.key.copy_from_slice(key);
        node
    }
}
