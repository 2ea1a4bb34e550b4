//! EIP-55 text ↔ 20 bytes.

use sha3::{Digest, Keccak256};

use crate::error::{AddressError, refused};

const FAMILY: &str = "evm";
const DIGITS: usize = 40;
const HEX: &[u8; 16] = b"0123456789abcdef";

#[must_use]
pub fn encode(payload: &[u8; 20]) -> String {
    let mut text = String::with_capacity(2 + DIGITS);
    text.push_str("0x");
    text.extend(checksummed(payload).map(char::from));
    text
}

/// Accepts the checksummed form and forms all in one case, which carry no checksum.
pub fn parse(text: &str) -> Result<[u8; 20], AddressError> {
    let digits = text
        .strip_prefix("0x")
        .ok_or_else(|| AddressError::Malformed {
            family: FAMILY,
            text: refused(text),
            reason: "it does not start with 0x".into(),
        })?;
    if let Some(character) = digits.chars().find(|c| !c.is_ascii_hexdigit()) {
        return Err(AddressError::Character {
            family: FAMILY,
            text: refused(text),
            character,
        });
    }
    let digits: &[u8; DIGITS] = digits
        .as_bytes()
        .try_into()
        .map_err(|_| AddressError::Length {
            family: FAMILY,
            text: refused(text),
            unit: "hexadecimal digits",
            expected: "40",
            found: digits.len(),
        })?;
    let mut payload = [0; 20];
    for (byte, pair) in payload.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = nibble(pair[0]) << 4 | nibble(pair[1]);
    }
    let mixed =
        digits.iter().any(u8::is_ascii_uppercase) && digits.iter().any(u8::is_ascii_lowercase);
    if mixed && checksummed(&payload) != *digits {
        return Err(AddressError::Checksum {
            family: FAMILY,
            text: refused(text),
        });
    }
    Ok(payload)
}

/// The 40 digits, a letter in capitals where the hash of the small-letter form has its digit ≥ 8.
fn checksummed(payload: &[u8; 20]) -> [u8; DIGITS] {
    let mut digits = [0; DIGITS];
    for (pair, byte) in digits.chunks_exact_mut(2).zip(payload) {
        pair[0] = HEX[usize::from(byte >> 4)];
        pair[1] = HEX[usize::from(byte & 15)];
    }
    let hash = Keccak256::digest(digits);
    for (pair, byte) in digits.chunks_exact_mut(2).zip(hash) {
        if byte & 0x80 != 0 {
            pair[0] = pair[0].to_ascii_uppercase();
        }
        if byte & 0x08 != 0 {
            pair[1] = pair[1].to_ascii_uppercase();
        }
    }
    digits
}

/// Of a byte that is known to be a hexadecimal digit.
fn nibble(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}
