//! The encrypted key file: JSON that names its own parameters, around one sealed seed.
//!
//! Argon2id ([RFC 9106](https://www.rfc-editor.org/rfc/rfc9106), second recommended option) makes the
//! key from the passphrase; XChaCha20-Poly1305 seals the 64 bytes of the seed. The header (format,
//! version, parameters, salt, attestation public key) is the associated data, so none of it
//! can be changed or taken from another file. Floor and ceiling of the parameters are checked
//! before any work: a weakened file is refused, and one that asks for all memory, too.
//! A wrong passphrase and a damaged file give one and the same error.

mod envelope;
mod passphrase;

use argon2::{Algorithm, Argon2, Block, Params, Version};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use zeroize::{Zeroize, Zeroizing};

use crate::{Entropy, EntropyError, MasterSeed};
use envelope::{Envelope, Kdf, KdfRange};
pub use passphrase::{PASSPHRASE_CHARACTERS_MIN, Passphrase, PassphraseError};

/// A key file takes some 600 bytes; a longer one is not read.
pub const KEY_FILE_LIMIT_BYTES: u16 = u16::MAX;

const RANGE: KdfRange = KdfRange {
    floor: Kdf::new(64 << 10, 3, 1),
    ceiling: Kdf::new(1 << 20, 16, 16),
};
const DEFAULT: Kdf = Kdf::new(64 << 10, 3, 4);

#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// Deliberately one answer for all of it: which one it was helps nobody but a guesser.
    #[error("wrong passphrase, or the key file is damaged")]
    CannotOpen,
    #[error("key file of version {0}: this program reads version 1")]
    UnknownVersion(u64),
    #[error(
        "the key file's Argon2id parameters are outside {0}: it was weakened, or made to exhaust memory; restore it from a backup"
    )]
    KdfOutOfRange(String),
    #[error("not enough memory for Argon2id: {0} KiB are needed")]
    OutOfMemory(u32),
    #[error(transparent)]
    Entropy(#[from] EntropyError),
}

/// The text of a new key file for `seed`.
pub fn seal_key_file(
    seed: &MasterSeed,
    passphrase: &Passphrase,
    entropy: &mut impl Entropy,
) -> Result<String, KeyFileError> {
    seal_with(seed, passphrase, DEFAULT, entropy)
}

/// Opens the text of a key file.
pub fn open_key_file(text: &[u8], passphrase: &Passphrase) -> Result<MasterSeed, KeyFileError> {
    open_within(text, passphrase, &RANGE)
}

fn seal_with(
    seed: &MasterSeed,
    passphrase: &Passphrase,
    kdf: Kdf,
    entropy: &mut impl Entropy,
) -> Result<String, KeyFileError> {
    entropy.self_check()?;
    let mut envelope = Envelope {
        kdf,
        salt: [0; 16],
        attestation_public_key: seed.attestation_key().public_key(),
        nonce: [0; 24],
        ciphertext: Vec::new(),
    };
    entropy.fill(&mut envelope.salt)?;
    entropy.fill(&mut envelope.nonce)?;
    let cipher = cipher(&envelope, passphrase)?;
    let sealed = Payload {
        msg: seed.bytes(),
        aad: &envelope.associated_data(),
    };
    envelope.ciphertext = cipher
        .encrypt(&XNonce::from(envelope.nonce), sealed)
        .map_err(|_| KeyFileError::CannotOpen)?;
    Ok(envelope.to_json())
}

fn open_within(
    text: &[u8],
    passphrase: &Passphrase,
    range: &KdfRange,
) -> Result<MasterSeed, KeyFileError> {
    if text.len() > usize::from(KEY_FILE_LIMIT_BYTES) {
        return Err(KeyFileError::CannotOpen);
    }
    let envelope = Envelope::from_json(text)?;
    if !range.contains(envelope.kdf) {
        return Err(KeyFileError::KdfOutOfRange(range.to_string()));
    }
    let cipher = cipher(&envelope, passphrase)?;
    let sealed = Payload {
        msg: &envelope.ciphertext,
        aad: &envelope.associated_data(),
    };
    let opened = cipher
        .decrypt(&XNonce::from(envelope.nonce), sealed)
        .map(Zeroizing::new)
        .map_err(|_| KeyFileError::CannotOpen)?;
    let bytes: &[u8; 64] = opened
        .as_slice()
        .try_into()
        .map_err(|_| KeyFileError::CannotOpen)?;
    let seed = MasterSeed::from_bytes(bytes);
    if seed.attestation_key().public_key() != envelope.attestation_public_key {
        return Err(KeyFileError::CannotOpen);
    }
    Ok(seed)
}

fn cipher(envelope: &Envelope, passphrase: &Passphrase) -> Result<XChaCha20Poly1305, KeyFileError> {
    let Kdf { m_kib, t, p } = envelope.kdf;
    let params = Params::new(m_kib, t, p, Some(32)).map_err(|_| KeyFileError::CannotOpen)?;
    let mut blocks = Vec::new();
    blocks
        .try_reserve_exact(params.block_count())
        .map_err(|_| KeyFileError::OutOfMemory(m_kib))?;
    blocks.resize(params.block_count(), Block::default());
    let mut key = Zeroizing::new([0; 32]);
    let derived = Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into_with_memory(
            passphrase.expose().as_bytes(),
            &envelope.salt,
            &mut *key,
            &mut blocks,
        );
    blocks.zeroize();
    derived.map_err(|_| KeyFileError::CannotOpen)?;
    Ok(XChaCha20Poly1305::new((&*key).into()))
}

#[cfg(test)]
mod tests;
