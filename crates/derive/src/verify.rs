//! The second implementation: one key at a time with libsecp256k1, through the `bitcoin` crate.
//!
//! Shares no code with the first beyond the types at its face: BIP-32, curve, SHA, RIPEMD and Taproot
//! tweak are the `bitcoin` crate's, keccak is `tiny-keccak`. Some 20 µs a key, twice that for Taproot: for a
//! batch there is [`crate::Deriver::prove`], and this where a proof has failed.

use bitcoin::NetworkKind;
use bitcoin::bip32::{ChainCode, ChildNumber, Fingerprint, Xpub};
use bitcoin::hashes::{Hash, hash160};
use bitcoin::key::TapTweak;
use bitcoin::secp256k1::{PublicKey, Secp256k1, VerifyOnly};
use tiny_keccak::{Hasher, Keccak};

use crate::{ExtendedPublicKey, Payloads, Scheme};

/// Payloads that the second implementation does not agree with, or cannot check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    #[error("two implementations derive different payloads for index {index}")]
    Mismatch { index: u32 },
    /// Which key is wrong, a proof over many cannot say.
    #[error("the derived keys do not satisfy the equation of their proof")]
    Unproven,
    #[error("the second implementation refuses the parent or index {index}")]
    Refused { index: u32 },
    #[error("records have {found} bytes, those of this scheme {expected}")]
    RecordLength { expected: usize, found: usize },
}

/// Derives every payload anew from `first_index` on and compares. Stops at the first that differs.
pub fn verify(
    parent: &ExtendedPublicKey,
    scheme: Scheme,
    first_index: u32,
    payloads: &Payloads,
) -> Result<(), VerifyError> {
    if payloads.is_empty() {
        return Ok(());
    }
    let (expected, found) = (scheme.payload_len(), payloads.record_len());
    if found != expected {
        return Err(VerifyError::RecordLength { expected, found });
    }
    let context = Secp256k1::verification_only();
    let parent = xpub(parent).ok_or(VerifyError::Refused { index: first_index })?;
    for (position, payload) in payloads.iter().enumerate() {
        let index = u32::try_from(position)
            .ok()
            .and_then(|position| first_index.checked_add(position));
        let index = index.ok_or(VerifyError::Refused { index: u32::MAX })?;
        let child = ChildNumber::from_normal_idx(index)
            .ok()
            .and_then(|n| parent.ckd_pub(&context, n).ok());
        let child = child.ok_or(VerifyError::Refused { index })?;
        if !agrees(&context, &child, scheme, payload) {
            return Err(VerifyError::Mismatch { index });
        }
    }
    Ok(())
}

fn xpub(key: &ExtendedPublicKey) -> Option<Xpub> {
    Some(Xpub {
        network: NetworkKind::Main,
        depth: 4,
        parent_fingerprint: Fingerprint::default(),
        child_number: ChildNumber::Normal { index: 0 },
        public_key: PublicKey::from_slice(&key.public_key).ok()?,
        chain_code: ChainCode::from(key.chain_code),
    })
}

fn agrees(context: &Secp256k1<VerifyOnly>, child: &Xpub, scheme: Scheme, payload: &[u8]) -> bool {
    match scheme {
        Scheme::Keccak20 => {
            let mut keccak = Keccak::v256();
            keccak.update(&child.public_key.serialize_uncompressed()[1..]);
            let mut hash = [0; 32];
            keccak.finalize(&mut hash);
            hash[12..] == *payload
        }
        Scheme::Hash160 => {
            hash160::Hash::hash(&child.public_key.serialize()).as_byte_array() == payload
        }
        Scheme::Taproot => {
            let (internal_key, _) = child.public_key.x_only_public_key();
            let (output_key, _) = internal_key.tap_tweak(context, None);
            output_key.to_x_only_public_key().serialize() == *payload
        }
    }
}
