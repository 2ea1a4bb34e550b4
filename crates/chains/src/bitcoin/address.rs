//! SegWit text ↔ witness program.

use bech32::primitives::decode::{CharError, SegwitHrpstringError, UncheckedHrpstringError};
use bech32::{Fe32, Hrp, segwit};
use coffer_domain::address::{AddressKind, AddressPayload, BitcoinNetwork};

use crate::ParsedAddress;
use crate::error::{AddressError, refused};

const FAMILY: &str = "bitcoin";

/// The human-readable part of a SegWit address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prefix {
    /// `bc`
    Mainnet,
    /// `tb`: testnet and signet.
    Testnet,
    /// `bcrt`
    Regtest,
}

impl Prefix {
    const ALL: [Self; 3] = [Self::Mainnet, Self::Testnet, Self::Regtest];

    #[must_use]
    pub fn of(network: BitcoinNetwork) -> Self {
        match network {
            BitcoinNetwork::Mainnet => Self::Mainnet,
            BitcoinNetwork::Testnet | BitcoinNetwork::Signet => Self::Testnet,
            BitcoinNetwork::Regtest => Self::Regtest,
        }
    }

    fn hrp(self) -> Hrp {
        match self {
            Self::Mainnet => bech32::hrp::BC,
            Self::Testnet => bech32::hrp::TB,
            Self::Regtest => bech32::hrp::BCRT,
        }
    }
}

#[must_use]
pub fn encode_p2wpkh(key_hash: &[u8; 20], network: BitcoinNetwork) -> String {
    encode(segwit::VERSION_0, key_hash, network)
}

#[must_use]
pub fn encode_p2tr(output_key: &[u8; 32], network: BitcoinNetwork) -> String {
    encode(segwit::VERSION_1, output_key, network)
}

fn encode(version: Fe32, program: &[u8], network: BitcoinNetwork) -> String {
    let mut text = String::with_capacity(64);
    segwit::encode_lower_to_fmt_unchecked(&mut text, Prefix::of(network).hrp(), version, program)
        .expect("a string takes every write");
    text
}

pub fn parse(text: &str) -> Result<ParsedAddress, AddressError> {
    let (hrp, version, program) = segwit::decode(text).map_err(|error| explain(text, error.0))?;
    let unsupported = |reason: String| AddressError::Unsupported {
        family: FAMILY,
        text: refused(text),
        reason,
    };
    let prefix = Prefix::ALL
        .into_iter()
        .find(|prefix| prefix.hrp() == hrp)
        .ok_or_else(|| {
            unsupported(format!(
                "the prefix {hrp:?} is none of bc, tb and bcrt",
                hrp = hrp.to_string()
            ))
        })?;
    let kind = match (version.to_u8(), program.len()) {
        (0, 20) => AddressKind::BitcoinP2wpkh,
        (1, 32) => AddressKind::BitcoinP2tr,
        (version, len) => {
            return Err(unsupported(format!(
                "witness version {version} with a program of {len} bytes is neither a key hash (BIP-84) nor a taproot key (BIP-86)"
            )));
        }
    };
    let payload = AddressPayload::try_new(kind, &program).expect("the length was matched above");
    Ok(ParsedAddress {
        payload,
        bitcoin_prefix: Some(prefix),
    })
}

/// Whether a text is to be read as SegWit and nothing else. A base58 text can begin with `bc1` too, but
/// one of 32 bytes has at least 43 characters, and fewer than one such text in 10⁹ has no capital.
pub(crate) fn has_form(text: &str) -> bool {
    let mixed = text.bytes().any(|b| b.is_ascii_uppercase())
        && text.bytes().any(|b| b.is_ascii_lowercase());
    !mixed && has_prefix(text)
}

pub(crate) fn has_prefix(text: &str) -> bool {
    let starts = |prefix: &str| {
        text.get(..prefix.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    };
    ["bc1", "tb1", "bcrt1"].into_iter().any(starts)
}

fn explain(text: &str, error: SegwitHrpstringError) -> AddressError {
    let (family, text) = (FAMILY, refused(text));
    match error {
        SegwitHrpstringError::Unchecked(UncheckedHrpstringError::Char(CharError::MixedCase)) => {
            AddressError::MixedCase { family, text }
        }
        SegwitHrpstringError::Unchecked(UncheckedHrpstringError::Char(CharError::InvalidChar(
            character,
        ))) => AddressError::Character {
            family,
            text,
            character,
        },
        SegwitHrpstringError::Checksum(_) => AddressError::Checksum { family, text },
        SegwitHrpstringError::WitnessLength(_) => AddressError::Malformed {
            family,
            text,
            reason: "the witness program has a length that its version does not allow".into(),
        },
        SegwitHrpstringError::InvalidWitnessVersion(version) => AddressError::Malformed {
            family,
            text,
            reason: format!("witness version {} is above 16", version.to_u8()),
        },
        SegwitHrpstringError::Padding(_) => AddressError::Malformed {
            family,
            text,
            reason: "its last character carries bits that belong to no byte".into(),
        },
        other => AddressError::Malformed {
            family,
            text,
            reason: other.to_string(),
        },
    }
}
