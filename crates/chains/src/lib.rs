//! One room per chain family; today each holds its address codec, sans-I/O.
//!
//! [`encode`] gives the one text form that Coffer issues for a payload. [`parse`] finds out of which
//! kind a text is and gives the payload back, or says why it is no address of ours. For every text
//! that parses, encoding the payload gives the same text again, but for letter case where the
//! standard leaves it free (EVM in one case, Bitcoin in capitals).
//!
//! A text never parses as two kinds. EVM has `0x`; Bitcoin has a human-readable part and one letter
//! case; base58 texts are told apart by the number of bytes they decode to (TRON 25, Solana 32).
//!
//! Legacy Bitcoin (base58), P2WSH, future witness versions and Solana's off-curve program addresses
//! are outside: nothing here issues them. Whether 32 bytes are a point of the curve is not checked.
//!
//! Cost: encoding takes one hash at most (EIP-55, base58check), a few microseconds at worst.

pub mod bitcoin;
mod error;
pub mod evm;
pub mod solana;
pub mod tron;

use coffer_domain::address::{AddressKind, AddressPayload, BitcoinNetwork};

pub use error::AddressError;

use crate::bitcoin::address::Prefix;
use crate::error::refused;

/// What [`parse`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParsedAddress {
    pub payload: AddressPayload,
    /// `None` where the text form does not depend on the network.
    pub bitcoin_prefix: Option<Prefix>,
}

impl ParsedAddress {
    /// Whether a vault of this Bitcoin network can have issued the text. `tb1…` serves testnet and signet alike.
    #[must_use]
    pub fn serves(&self, network: BitcoinNetwork) -> bool {
        self.bitcoin_prefix
            .is_none_or(|prefix| prefix == Prefix::of(network))
    }
}

/// The text form of a payload; `network` matters to the Bitcoin kinds only.
#[must_use]
pub fn encode(payload: &AddressPayload, network: BitcoinNetwork) -> String {
    let bytes = payload.bytes();
    match payload.kind() {
        AddressKind::Evm => evm::address::encode(&fixed(bytes)),
        AddressKind::Tron => tron::address::encode(&fixed(bytes)),
        AddressKind::BitcoinP2wpkh => bitcoin::address::encode_p2wpkh(&fixed(bytes), network),
        AddressKind::BitcoinP2tr => bitcoin::address::encode_p2tr(&fixed(bytes), network),
        AddressKind::Solana => solana::address::encode(&fixed(bytes)),
    }
}

/// Finds the kind of an address text and its payload.
pub fn parse(text: &str) -> Result<ParsedAddress, AddressError> {
    if text.len() > MAX_TEXT_BYTES || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(AddressError::UnknownForm {
            text: refused(text),
        });
    }
    if text.starts_with("0x") || text.starts_with("0X") {
        return evm::address::parse(text).map(|bytes| parsed(AddressKind::Evm, &bytes));
    }
    if bitcoin::address::has_form(text) {
        return bitcoin::address::parse(text);
    }
    match base58_len(text) {
        Some(solana::address::BYTES) => {
            solana::address::parse(text).map(|bytes| parsed(AddressKind::Solana, &bytes))
        }
        Some(tron::address::BYTES) => {
            tron::address::parse(text).map(|bytes| parsed(AddressKind::Tron, &bytes))
        }
        // A Bitcoin text in mixed case could have been base58 of 32 bytes; it was not.
        _ if bitcoin::address::has_prefix(text) => bitcoin::address::parse(text),
        _ if text.starts_with('T') => {
            tron::address::parse(text).map(|bytes| parsed(AddressKind::Tron, &bytes))
        }
        Some(_) | None => Err(AddressError::UnknownForm {
            text: refused(text),
        }),
    }
}

/// The longest address text of the kinds here has 64 characters (`bcrt1p…`).
const MAX_TEXT_BYTES: usize = 90;

/// Number of bytes that a base58 text stands for, `None` when it is not base58.
fn base58_len(text: &str) -> Option<usize> {
    let mut buffer = [0; MAX_TEXT_BYTES];
    bs58::decode(text).onto(&mut buffer[..]).ok()
}

fn parsed(kind: AddressKind, bytes: &[u8]) -> ParsedAddress {
    let payload = AddressPayload::try_new(kind, bytes)
        .expect("each room parses payloads of its kind's length");
    ParsedAddress {
        payload,
        bitcoin_prefix: None,
    }
}

fn fixed<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes
        .try_into()
        .expect("a payload has the length of its kind")
}

#[cfg(test)]
mod tests;
