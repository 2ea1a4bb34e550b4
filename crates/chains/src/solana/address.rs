//! Base58 text ↔ 32 bytes.

use crate::error::{AddressError, refused};

const FAMILY: &str = "solana";
pub(crate) const BYTES: usize = 32;

#[must_use]
pub fn encode(payload: &[u8; BYTES]) -> String {
    bs58::encode(payload).into_string()
}

pub fn parse(text: &str) -> Result<[u8; BYTES], AddressError> {
    let bytes = bs58::decode(text).into_vec().map_err(|error| match error {
        bs58::decode::Error::InvalidCharacter { character, .. } => AddressError::Character {
            family: FAMILY,
            text: refused(text),
            character,
        },
        other => AddressError::Malformed {
            family: FAMILY,
            text: refused(text),
            reason: other.to_string(),
        },
    })?;
    bytes
        .try_into()
        .map_err(|bytes: Vec<u8>| AddressError::Length {
            family: FAMILY,
            text: refused(text),
            unit: "bytes",
            expected: "32",
            found: bytes.len(),
        })
}
