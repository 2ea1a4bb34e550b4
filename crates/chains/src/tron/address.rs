//! Base58check text ↔ 20 bytes, as in
//! [TRON's account documentation](https://developers.tron.network/docs/account).

use sha2::{Digest, Sha256};

use crate::error::{AddressError, refused};

const FAMILY: &str = "tron";
/// The version byte of the main network, which the public test networks share.
const VERSION: u8 = 0x41;
/// Version byte, payload, checksum.
pub(crate) const BYTES: usize = 25;

#[must_use]
pub fn encode(payload: &[u8; 20]) -> String {
    let mut bytes = [0; BYTES];
    bytes[0] = VERSION;
    bytes[1..21].copy_from_slice(payload);
    let checksum = checksum(&bytes[..21]);
    bytes[21..].copy_from_slice(&checksum);
    bs58::encode(bytes).into_string()
}

pub fn parse(text: &str) -> Result<[u8; 20], AddressError> {
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
    let bytes: [u8; BYTES] = bytes
        .try_into()
        .map_err(|bytes: Vec<u8>| AddressError::Length {
            family: FAMILY,
            text: refused(text),
            unit: "bytes",
            expected: "25",
            found: bytes.len(),
        })?;
    if checksum(&bytes[..21]) != bytes[21..] {
        return Err(AddressError::Checksum {
            family: FAMILY,
            text: refused(text),
        });
    }
    if bytes[0] != VERSION {
        let reason = format!("its version byte is 0x{:02x}, not 0x41", bytes[0]);
        return Err(AddressError::Unsupported {
            family: FAMILY,
            text: refused(text),
            reason,
        });
    }
    let mut payload = [0; 20];
    payload.copy_from_slice(&bytes[1..21]);
    Ok(payload)
}

fn checksum(bytes: &[u8]) -> [u8; 4] {
    let hash = Sha256::digest(Sha256::digest(bytes));
    [hash[0], hash[1], hash[2], hash[3]]
}
