//! Private derivation on secp256k1 by [BIP-32](https://github.com/bitcoin/bips/blob/master/bip-0032.mediawiki),
//! on libsecp256k1 and buffers that are wiped.

use std::sync::OnceLock;

use bitcoin::hashes::{Hash, hash160};
use bitcoin::secp256k1::{All, PublicKey, Scalar, Secp256k1, SecretKey};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha512;
use zeroize::Zeroizing;

/// Added to a child number for hardened derivation.
pub(crate) const HARDENED: u32 = 1 << 31;

/// The public side of one account, as an account descriptor says it.
#[derive(Clone, PartialEq, Eq)]
pub struct AccountPublicKey {
    /// Compressed, SEC 1.
    pub public_key: [u8; 33],
    pub chain_code: [u8; 32],
    /// First four bytes of HASH160 of the master public key.
    pub master_fingerprint: [u8; 4],
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DerivationError {
    /// Happens by chance less than once in 2¹²⁷ children; BIP-32 says to go on with the next number.
    #[error("child {0} has no valid key: use the next one")]
    NoSuchChild(u32),
    #[error("account or index {0} is out of range: use a number below 2147483648")]
    OutOfRange(u32),
    #[error("Solana keys are derived in bulk and have no account key")]
    NoAccountKey,
    /// A fault in the processor or in one of the libraries.
    #[error("two implementations derived different keys: stop and check this machine")]
    Disagreement,
}

/// One node of the tree: a private key and its chain code.
pub(crate) struct ExtendedPrivateKey {
    key: Zeroizing<[u8; 32]>,
    chain_code: Zeroizing<[u8; 32]>,
}

fn secp() -> &'static Secp256k1<All> {
    static CONTEXT: OnceLock<Secp256k1<All>> = OnceLock::new();
    CONTEXT.get_or_init(Secp256k1::new)
}

impl ExtendedPrivateKey {
    pub(crate) fn master(seed: &[u8]) -> Result<Self, DerivationError> {
        let node = Self::from_hmac(&hmac_sha512(b"Bitcoin seed", &[seed]));
        let mut key = node.secret_key(0)?;
        key.non_secure_erase();
        Ok(node)
    }

    /// `number` carries the hardening bit.
    pub(crate) fn child(&self, number: u32) -> Result<Self, DerivationError> {
        let output = if number & HARDENED == 0 {
            let public_key = self.public_key()?.serialize();
            hmac_sha512(&*self.chain_code, &[&public_key, &number.to_be_bytes()])
        } else {
            hmac_sha512(
                &*self.chain_code,
                &[&[0], &*self.key, &number.to_be_bytes()],
            )
        };
        let mut child = Self::from_hmac(&output);
        let none = |_| DerivationError::NoSuchChild(number);
        let tweak =
            Scalar::from_be_bytes(*child.key).map_err(|_| DerivationError::NoSuchChild(number))?;
        let mut parent = self.secret_key(number)?;
        let mut sum = parent.add_tweak(&tweak).map_err(none)?;
        *child.key = sum.secret_bytes();
        parent.non_secure_erase();
        sum.non_secure_erase();
        Ok(child)
    }

    pub(crate) fn derive(&self, path: &[u32]) -> Result<Self, DerivationError> {
        let start = Self {
            key: self.key.clone(),
            chain_code: self.chain_code.clone(),
        };
        path.iter()
            .try_fold(start, |node, number| node.child(*number))
    }

    pub(crate) fn public_key(&self) -> Result<PublicKey, DerivationError> {
        let mut key = self.secret_key(0)?;
        let public_key = PublicKey::from_secret_key(secp(), &key);
        key.non_secure_erase();
        Ok(public_key)
    }

    pub(crate) fn fingerprint(&self) -> Result<[u8; 4], DerivationError> {
        let hash = hash160::Hash::hash(&self.public_key()?.serialize()).to_byte_array();
        Ok([hash[0], hash[1], hash[2], hash[3]])
    }

    pub(crate) fn chain_code(&self) -> &[u8; 32] {
        &self.chain_code
    }

    #[cfg(test)]
    pub(crate) fn key(&self) -> &[u8; 32] {
        &self.key
    }

    fn secret_key(&self, number: u32) -> Result<SecretKey, DerivationError> {
        SecretKey::from_slice(&*self.key).map_err(|_| DerivationError::NoSuchChild(number))
    }

    fn from_hmac(output: &[u8; 64]) -> Self {
        let mut node = Self {
            key: Zeroizing::new([0; 32]),
            chain_code: Zeroizing::new([0; 32]),
        };
        node.key.copy_from_slice(&output[..32]);
        node.chain_code.copy_from_slice(&output[32..]);
        node
    }
}

/// The same derivation by the `bitcoin` crate, for comparison; `None` when it fails.
pub(crate) fn second_opinion(seed: &[u8], path: &[u32]) -> Option<(PublicKey, [u8; 32])> {
    use bitcoin::bip32::{ChildNumber, Xpriv, Xpub};
    let path: Vec<ChildNumber> = path
        .iter()
        .map(|number| ChildNumber::from(*number))
        .collect();
    let mut master = Xpriv::new_master(bitcoin::NetworkKind::Main, seed).ok()?;
    let mut node = master.derive_priv(secp(), &path).ok()?;
    master.private_key.non_secure_erase();
    let public = Xpub::from_priv(secp(), &node);
    node.private_key.non_secure_erase();
    Some((public.public_key, *public.chain_code.as_bytes()))
}

pub(crate) fn hmac_sha512(key: &[u8], parts: &[&[u8]]) -> Zeroizing<[u8; 64]> {
    let mut mac = Hmac::<Sha512>::new_from_slice(key).expect("HMAC takes keys of any length");
    for part in parts {
        mac.update(part);
    }
    let mut output = Zeroizing::new([0; 64]);
    output.copy_from_slice(&mac.finalize().into_bytes());
    output
}
