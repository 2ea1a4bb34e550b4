//! From a public key on secp256k1 to the payload of an address, for the drill's samples.

use bitcoin::hashes::{Hash, hash160};
use bitcoin::key::TapTweak;
use bitcoin::secp256k1::{PublicKey, Secp256k1};
use coffer_domain::address::{AddressKind, AddressPayload};
use sha3::{Digest, Keccak256};

/// `None` for Solana, whose keys are on another curve.
pub(crate) fn payload(kind: AddressKind, public_key: &PublicKey) -> Option<AddressPayload> {
    match kind {
        AddressKind::Evm | AddressKind::Tron => {
            let digest = Keccak256::digest(&public_key.serialize_uncompressed()[1..]);
            AddressPayload::try_new(kind, &digest[12..])
        }
        AddressKind::BitcoinP2wpkh => {
            let hash = hash160::Hash::hash(&public_key.serialize());
            AddressPayload::try_new(kind, hash.as_byte_array())
        }
        AddressKind::BitcoinP2tr => {
            let (internal, _) = public_key.x_only_public_key();
            let (output, _) = internal.tap_tweak(&Secp256k1::verification_only(), None);
            AddressPayload::try_new(kind, &output.to_x_only_public_key().serialize())
        }
        AddressKind::Solana => None,
    }
}
