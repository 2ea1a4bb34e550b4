/// Why a text is not an address. Each variant holds the text, cut to 64 characters.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    #[error(
        "{text:?} has the form of no known address: expected 0x… (evm), T… (tron), bc1…, tb1… or bcrt1… (bitcoin), or base58 of 32 bytes (solana)"
    )]
    UnknownForm { text: String },
    #[error("{text:?} is not a {family} address: {found} {unit}, expected {expected}")]
    Length {
        family: &'static str,
        text: String,
        unit: &'static str,
        expected: &'static str,
        found: usize,
    },
    #[error("{text:?} is not a {family} address: character {character:?} is not allowed")]
    Character {
        family: &'static str,
        text: String,
        character: char,
    },
    #[error(
        "{text:?} is not a {family} address: its checksum is wrong, so at least one character is"
    )]
    Checksum { family: &'static str, text: String },
    #[error("{text:?} is not a {family} address: capitals and small letters are mixed")]
    MixedCase { family: &'static str, text: String },
    /// Well formed, but of a type that Coffer does not issue.
    #[error("{text:?} is not a {family} address that is issued here: {reason}")]
    Unsupported {
        family: &'static str,
        text: String,
        reason: String,
    },
    #[error("{text:?} is not a {family} address: {reason}")]
    Malformed {
        family: &'static str,
        text: String,
        reason: String,
    },
}

/// The part of a refused text that an error shows.
pub(crate) fn refused(text: &str) -> String {
    text.chars().take(64).collect()
}
