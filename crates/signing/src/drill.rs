//! The restore drill: a challenge made by `coffer`, answered by whoever holds the backup.
//!
//! `coffer-signer drill` reads a challenge and the mnemonic, derives everything anew and signs the
//! proof with the attestation key that the mnemonic itself gives. No secret passes through `coffer`.

use coffer_domain::address::{AddressKind, AddressPayload};
use coffer_domain::id::{DrillId, VaultId};

use crate::{AccountSpec, DescriptorError};

/// One address that must come out of the backup again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DrillSample {
    pub kind: AddressKind,
    pub index: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DrillChallenge {
    pub drill_id: DrillId,
    pub vault_id: VaultId,
    /// Makes an old proof useless.
    pub nonce: [u8; 32],
    pub spec: AccountSpec,
    /// At most 10,000.
    pub samples: Vec<DrillSample>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DrillProof {
    pub attestation_public_key: [u8; 32],
    /// [`crate::descriptors_digest`] of the account's descriptors as the backup gives them.
    pub descriptors_digest: [u8; 32],
    /// One per sample, in the challenge's order, derived by the private path.
    pub payloads: Vec<AddressPayload>,
    /// Ed25519 by the attestation key over [`DrillProof::message`].
    pub signature: [u8; 64],
}

impl DrillProof {
    /// The bytes that are signed: tag, drill, vault, nonce, digest, then each sample with its payload.
    #[must_use]
    pub fn message(
        challenge: &DrillChallenge,
        descriptors_digest: &[u8; 32],
        payloads: &[AddressPayload],
    ) -> Vec<u8> {
        let mut message = b"coffer restore drill v1".to_vec();
        message.extend_from_slice(challenge.drill_id.as_bytes());
        message.extend_from_slice(challenge.vault_id.as_bytes());
        message.extend_from_slice(&challenge.nonce);
        message.extend_from_slice(descriptors_digest);
        for (sample, payload) in challenge.samples.iter().zip(payloads) {
            message.push(sample.kind.code());
            message.extend_from_slice(&sample.index.to_be_bytes());
            message.extend_from_slice(payload.bytes());
        }
        message
    }

    /// Says only that the holder of `pinned` signed this answer to this challenge; whether digest and
    /// payloads are the right ones is the caller's comparison.
    pub fn verify(
        &self,
        challenge: &DrillChallenge,
        pinned: &[u8; 32],
    ) -> Result<(), DescriptorError> {
        let key = ed25519_dalek::VerifyingKey::from_bytes(pinned)
            .map_err(|_| DescriptorError::BadAttestationKey)?;
        let message = Self::message(challenge, &self.descriptors_digest, &self.payloads);
        let complete = self.payloads.len() == challenge.samples.len()
            && self.attestation_public_key == *pinned;
        key.verify_strict(
            &message,
            &ed25519_dalek::Signature::from_bytes(&self.signature),
        )
        .ok()
        .filter(|()| complete)
        .ok_or(DescriptorError::BadSignature)
    }
}
