//! The restore drill: a challenge made by `coffer`, answered by whoever holds the backup.
//!
//! `coffer-signer drill` reads a challenge and the mnemonic, derives everything anew and signs the
//! proof with the attestation key that the mnemonic itself gives. No secret passes through `coffer`.
//!
//! Both have one JSON form (`to_json`, `from_json`), for the command line and for the HTTP API.
//! Samples and lengths are limited; a proof holds for one challenge, because it signs its nonce.

use coffer_domain::address::{AddressKind, AddressPayload, BitcoinNetwork};
use coffer_domain::id::{DrillId, VaultId};

use serde::{Deserialize, Serialize};

use crate::encoding::{hex_bytes, name};
use crate::{AccountSpec, DescriptorError};

/// The most samples in one challenge.
pub const DRILL_SAMPLES_MAX: usize = 10_000;
/// The longest challenge or proof that is parsed, bytes of JSON.
pub const DRILL_JSON_LIMIT_BYTES: usize = 2 << 20;

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
    /// At most [`DRILL_SAMPLES_MAX`].
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
        let kinds = self.payloads.iter().map(AddressPayload::kind);
        let complete = kinds.eq(challenge.samples.iter().map(|sample| sample.kind))
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

/// A text that is no challenge or no proof.
#[derive(Debug, thiserror::Error)]
pub enum DrillFormatError {
    #[error("{0} bytes of JSON: at most {DRILL_JSON_LIMIT_BYTES} are read")]
    TooLong(usize),
    #[error("not of the form of a drill's challenge or proof: {0}")]
    Form(#[from] serde_json::Error),
    #[error("{0} samples: at most {DRILL_SAMPLES_MAX} are answered")]
    TooManySamples(usize),
    #[error("payload {position} has not the length of a payload of {kind}")]
    PayloadLength { position: usize, kind: AddressKind },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ChallengeJson {
    #[serde(with = "name")]
    drill_id: DrillId,
    #[serde(with = "name")]
    vault_id: VaultId,
    #[serde(with = "hex_bytes")]
    nonce: [u8; 32],
    account: u32,
    #[serde(with = "name")]
    bitcoin_network: BitcoinNetwork,
    samples: Vec<SampleJson>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SampleJson {
    #[serde(with = "name")]
    kind: AddressKind,
    index: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProofJson {
    #[serde(with = "hex_bytes")]
    attestation_public_key: [u8; 32],
    #[serde(with = "hex_bytes")]
    descriptors_digest: [u8; 32],
    payloads: Vec<PayloadJson>,
    #[serde(with = "hex_bytes")]
    signature: [u8; 64],
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PayloadJson {
    #[serde(with = "name")]
    kind: AddressKind,
    /// Hexadecimal.
    payload: String,
}

fn parse<'a, T: Deserialize<'a>>(json: &'a str) -> Result<T, DrillFormatError> {
    if json.len() > DRILL_JSON_LIMIT_BYTES {
        return Err(DrillFormatError::TooLong(json.len()));
    }
    Ok(serde_json::from_str(json)?)
}

fn print(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("structs of strings and numbers have a JSON form")
}

impl DrillChallenge {
    /// One line of JSON, as `coffer-signer drill` reads it.
    #[must_use]
    pub fn to_json(&self) -> String {
        let sample = |sample: &DrillSample| SampleJson {
            kind: sample.kind,
            index: sample.index,
        };
        print(&ChallengeJson {
            drill_id: self.drill_id,
            vault_id: self.vault_id,
            nonce: self.nonce,
            account: self.spec.account,
            bitcoin_network: self.spec.bitcoin_network,
            samples: self.samples.iter().map(sample).collect(),
        })
    }

    pub fn from_json(json: &str) -> Result<Self, DrillFormatError> {
        let read: ChallengeJson = parse(json)?;
        if read.samples.len() > DRILL_SAMPLES_MAX {
            return Err(DrillFormatError::TooManySamples(read.samples.len()));
        }
        let sample = |sample: SampleJson| DrillSample {
            kind: sample.kind,
            index: sample.index,
        };
        Ok(Self {
            drill_id: read.drill_id,
            vault_id: read.vault_id,
            nonce: read.nonce,
            spec: AccountSpec {
                account: read.account,
                bitcoin_network: read.bitcoin_network,
            },
            samples: read.samples.into_iter().map(sample).collect(),
        })
    }
}

impl DrillProof {
    /// One line of JSON, as `coffer-signer drill` writes it.
    #[must_use]
    pub fn to_json(&self) -> String {
        let payload = |payload: &AddressPayload| PayloadJson {
            kind: payload.kind(),
            payload: hex::encode(payload.bytes()),
        };
        print(&ProofJson {
            attestation_public_key: self.attestation_public_key,
            descriptors_digest: self.descriptors_digest,
            payloads: self.payloads.iter().map(payload).collect(),
            signature: self.signature,
        })
    }

    pub fn from_json(json: &str) -> Result<Self, DrillFormatError> {
        let read: ProofJson = parse(json)?;
        if read.payloads.len() > DRILL_SAMPLES_MAX {
            return Err(DrillFormatError::TooManySamples(read.payloads.len()));
        }
        let payload = |(position, json): (usize, &PayloadJson)| {
            hex::decode(&json.payload)
                .ok()
                .and_then(|bytes| AddressPayload::try_new(json.kind, &bytes))
                .ok_or(DrillFormatError::PayloadLength {
                    position,
                    kind: json.kind,
                })
        };
        Ok(Self {
            attestation_public_key: read.attestation_public_key,
            descriptors_digest: read.descriptors_digest,
            payloads: read
                .payloads
                .iter()
                .enumerate()
                .map(payload)
                .collect::<Result<_, _>>()?,
            signature: read.signature,
        })
    }
}

#[cfg(test)]
mod tests;
