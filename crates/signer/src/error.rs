use std::io;
use std::path::PathBuf;

use coffer_keys::{
    DerivationError, EntropyError, KeyFileError, MnemonicError, PassphraseError, SecretFileError,
    SolanaError,
};
use coffer_signing::DrillFormatError;
use coffer_signing::wire::WireError;

/// Why a command ends without success. Each message says what to do next.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(
        "{0}; check --key-file and the passphrase, or make the key file anew with `coffer-signer init --import-mnemonic`"
    )]
    KeyFile(#[from] KeyFileError),
    #[error(transparent)]
    SecretFile(#[from] SecretFileError),
    #[error("{0}; put the right one in the file named by --passphrase-file")]
    Passphrase(#[from] PassphraseError),
    #[error("the two passphrases differ: start again")]
    PassphrasesDiffer,
    #[error("{0}; type the words in the order of the backup, on one line")]
    Mnemonic(#[from] MnemonicError),
    #[error("{0}: make sure that getrandom(2) works here; no key is made or used without it")]
    Entropy(#[from] EntropyError),
    #[error("no terminal to ask on ({source}): give {option}")]
    NoTerminal {
        option: &'static str,
        source: io::Error,
    },
    #[error(
        "standard input is not a connected Unix stream socket: `coffer serve` starts this command and hands it one"
    )]
    NoChannel,
    #[error("{what} failed: {why}; the signer does not run without it")]
    Unsafe { what: &'static str, why: String },
    #[error(
        "the challenge on standard input cannot be read: {0}; get it with `coffer vault drill`"
    )]
    Challenge(#[from] DrillFormatError),
    #[error(
        "this backup is not that of vault {asked}: its account {account} is vault {found}; find the words of the right vault"
    )]
    OtherVault {
        asked: String,
        found: String,
        account: u32,
    },
    #[error(transparent)]
    Derivation(#[from] DerivationError),
    #[error(transparent)]
    Solana(#[from] SolanaError),
    #[error("the new key file {} does not open again: remove it and start anew on another disk", .0.display())]
    DoesNotReopen(PathBuf),
    #[error("the channel to coffer broke: {0}")]
    Channel(#[from] WireError),
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl Failure {
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::KeyFile(KeyFileError::Entropy(_))
            | Self::SecretFile(SecretFileError::Entropy(_))
            | Self::Entropy(_)
            | Self::NoTerminal { .. }
            | Self::NoChannel
            | Self::Unsafe { .. } => 4,
            Self::KeyFile(_)
            | Self::SecretFile(_)
            | Self::Passphrase(_)
            | Self::PassphrasesDiffer
            | Self::Mnemonic(_) => 3,
            Self::OtherVault { .. } => 5,
            Self::Channel(_) => 6,
            Self::Challenge(_)
            | Self::Derivation(_)
            | Self::Solana(_)
            | Self::DoesNotReopen(_)
            | Self::Io(_) => 1,
        }
    }
}
