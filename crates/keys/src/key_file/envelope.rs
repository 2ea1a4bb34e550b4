//! The key file's JSON form, and the bytes that its header is authenticated by.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::KeyFileError;

const FORMAT: &str = "coffer-key-file";
const VERSION: u64 = 1;
const ALGORITHM: &str = "argon2id";
const AEAD: &str = "xchacha20poly1305";

/// Argon2id's cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kdf {
    pub(super) m_kib: u32,
    pub(super) t: u32,
    pub(super) p: u32,
}

#[derive(Debug)]
pub(super) struct KdfRange {
    pub(super) floor: Kdf,
    pub(super) ceiling: Kdf,
}

impl Kdf {
    pub(super) const fn new(m_kib: u32, t: u32, p: u32) -> Self {
        Self { m_kib, t, p }
    }
}

impl KdfRange {
    pub(super) fn contains(&self, kdf: Kdf) -> bool {
        (self.floor.m_kib..=self.ceiling.m_kib).contains(&kdf.m_kib)
            && (self.floor.t..=self.ceiling.t).contains(&kdf.t)
            && (self.floor.p..=self.ceiling.p).contains(&kdf.p)
    }
}

impl fmt::Display for KdfRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (floor, ceiling) = (self.floor, self.ceiling);
        write!(
            f,
            "m {} to {} KiB, t {} to {}, p {} to {}",
            floor.m_kib, ceiling.m_kib, floor.t, ceiling.t, floor.p, ceiling.p
        )
    }
}

pub(super) struct Envelope {
    pub(super) kdf: Kdf,
    pub(super) salt: [u8; 16],
    pub(super) attestation_public_key: [u8; 32],
    pub(super) nonce: [u8; 24],
    pub(super) ciphertext: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EnvelopeJson {
    format: String,
    version: u64,
    attestation_public_key: String,
    kdf: KdfJson,
    aead: String,
    nonce: String,
    ciphertext: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KdfJson {
    algorithm: String,
    m_kib: u32,
    t: u32,
    p: u32,
    salt: String,
}

impl Envelope {
    /// Tag, then every field of the header at fixed length. The nonce is bound by the cipher itself.
    pub(super) fn associated_data(&self) -> Vec<u8> {
        let mut data = format!("{FORMAT} v{VERSION} {ALGORITHM} {AEAD}").into_bytes();
        for number in [self.kdf.m_kib, self.kdf.t, self.kdf.p] {
            data.extend_from_slice(&number.to_be_bytes());
        }
        data.extend_from_slice(&self.salt);
        data.extend_from_slice(&self.attestation_public_key);
        data
    }

    pub(super) fn to_json(&self) -> String {
        let json = EnvelopeJson {
            format: FORMAT.into(),
            version: VERSION,
            attestation_public_key: hex::encode(self.attestation_public_key),
            kdf: KdfJson {
                algorithm: ALGORITHM.into(),
                m_kib: self.kdf.m_kib,
                t: self.kdf.t,
                p: self.kdf.p,
                salt: hex::encode(self.salt),
            },
            aead: AEAD.into(),
            nonce: hex::encode(self.nonce),
            ciphertext: hex::encode(&self.ciphertext),
        };
        let mut text = serde_json::to_string(&json).expect("strings and numbers have a JSON form");
        text.push('\n');
        text
    }

    pub(super) fn from_json(text: &[u8]) -> Result<Self, KeyFileError> {
        let json: EnvelopeJson =
            serde_json::from_slice(text).map_err(|_| KeyFileError::CannotOpen)?;
        let ours = json.format == FORMAT && json.kdf.algorithm == ALGORITHM && json.aead == AEAD;
        if !ours {
            return Err(KeyFileError::CannotOpen);
        }
        if json.version != VERSION {
            return Err(KeyFileError::UnknownVersion(json.version));
        }
        Ok(Self {
            kdf: Kdf::new(json.kdf.m_kib, json.kdf.t, json.kdf.p),
            salt: fixed(&json.kdf.salt)?,
            attestation_public_key: fixed(&json.attestation_public_key)?,
            nonce: fixed(&json.nonce)?,
            ciphertext: lower_hex(&json.ciphertext)?,
        })
    }
}

fn fixed<const N: usize>(text: &str) -> Result<[u8; N], KeyFileError> {
    lower_hex(text)?
        .try_into()
        .map_err(|_| KeyFileError::CannotOpen)
}

/// One spelling only, so that no byte of a file can be changed unnoticed.
fn lower_hex(text: &str) -> Result<Vec<u8>, KeyFileError> {
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(KeyFileError::CannotOpen);
    }
    hex::decode(text).map_err(|_| KeyFileError::CannotOpen)
}
