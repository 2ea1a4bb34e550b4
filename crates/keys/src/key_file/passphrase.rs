use zeroize::Zeroizing;

/// NIST SP 800-63B's least length. A file that can be guessed at offline deserves five random words.
pub const PASSPHRASE_CHARACTERS_MIN: usize = 8;

/// What a key file is opened with, normalized (NFKD), so that it is the same from every keyboard.
pub struct Passphrase(Zeroizing<String>);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PassphraseError {
    #[error(
        "the passphrase has {0} characters: use at least {PASSPHRASE_CHARACTERS_MIN}, better five random words"
    )]
    TooShort(usize),
    #[error("the passphrase is not UTF-8 text")]
    NotText,
    #[error("the passphrase is empty")]
    Empty,
}

impl Passphrase {
    /// For a new key file.
    pub fn try_new(text: &str) -> Result<Self, PassphraseError> {
        let characters = text.chars().count();
        if characters < PASSPHRASE_CHARACTERS_MIN {
            return Err(PassphraseError::TooShort(characters));
        }
        Ok(Self::normalized(text))
    }

    /// For an existing key file, which may be older than the least length.
    pub fn existing(text: &str) -> Result<Self, PassphraseError> {
        if text.is_empty() {
            return Err(PassphraseError::Empty);
        }
        Ok(Self::normalized(text))
    }

    /// What a passphrase file says: its text without the line end.
    pub fn text_of_file(content: &[u8]) -> Result<&str, PassphraseError> {
        let text = std::str::from_utf8(content).map_err(|_| PassphraseError::NotText)?;
        Ok(text.trim_end_matches(['\r', '\n']))
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    fn normalized(text: &str) -> Self {
        let mut normalized = std::borrow::Cow::Borrowed(text);
        bip39::Mnemonic::normalize_utf8_cow(&mut normalized);
        Self(Zeroizing::new(normalized.into_owned()))
    }
}
