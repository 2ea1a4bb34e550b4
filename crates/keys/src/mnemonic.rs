//! BIP-39 mnemonics, English word list.

use bip39::Language;
use zeroize::Zeroizing;

use crate::{Entropy, EntropyError, MasterSeed};

/// The words that are the backup of a vault.
pub struct Mnemonic(bip39::Mnemonic);

/// Why a text is no mnemonic. Positions only: a word in a message would be a leak.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MnemonicError {
    #[error("{0} words: a mnemonic has 12, 15, 18, 21 or 24")]
    WordCount(usize),
    #[error("word {0} is not in the English word list of BIP-39")]
    UnknownWord(usize),
    #[error("the checksum is wrong: a word is mistyped or two are swapped")]
    Checksum,
}

impl Mnemonic {
    /// 24 new words. Checks the source first, because nothing later can tell that a key was weak.
    pub fn create(entropy: &mut impl Entropy) -> Result<Self, EntropyError> {
        entropy.self_check()?;
        let mut bytes = Zeroizing::new([0; 32]);
        entropy.fill(&mut *bytes)?;
        let words = bip39::Mnemonic::from_entropy_in(Language::English, &*bytes)
            .expect("32 bytes are one of BIP-39's lengths");
        Ok(Self(words))
    }

    /// Takes any spacing and letter case; checks words and checksum.
    pub fn parse(text: &str) -> Result<Self, MnemonicError> {
        let text = Zeroizing::new(text.trim_start_matches('\u{feff}').to_lowercase());
        let mut normalized = std::borrow::Cow::Borrowed(text.as_str());
        bip39::Mnemonic::normalize_utf8_cow(&mut normalized);
        let normalized = Zeroizing::new(normalized.into_owned());
        bip39::Mnemonic::parse_in_normalized(Language::English, &normalized)
            .map(Self)
            .map_err(|error| match error {
                bip39::Error::BadWordCount(count) => MnemonicError::WordCount(count),
                bip39::Error::UnknownWord(index) => MnemonicError::UnknownWord(index + 1),
                _ => MnemonicError::Checksum,
            })
    }

    /// The words on one line, for the recovery file.
    #[must_use]
    pub fn phrase(&self) -> Zeroizing<String> {
        // 24 words of at most 8 letters fit, so the string never grows and leaves no copy.
        let mut phrase = Zeroizing::new(String::with_capacity(256));
        for word in self.0.words() {
            if !phrase.is_empty() {
                phrase.push(' ');
            }
            phrase.push_str(word);
        }
        phrase
    }

    /// PBKDF2 with the empty passphrase.
    #[must_use]
    pub fn seed(&self) -> MasterSeed {
        MasterSeed::from_bytes(&Zeroizing::new(self.0.to_seed_normalized("")))
    }

    #[cfg(test)]
    pub(crate) fn seed_with(&self, passphrase: &str) -> [u8; 64] {
        self.0.to_seed_normalized(passphrase)
    }

    #[cfg(test)]
    pub(crate) fn from_entropy(entropy: &[u8]) -> Self {
        Self(bip39::Mnemonic::from_entropy_in(Language::English, entropy).expect("a vector"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::OsEntropy;

    const ABANDON: &str = "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about";

    #[test]
    fn spacing_and_case_do_not_matter() {
        let text = ABANDON.to_uppercase().replace(' ', " \n\t");
        let parsed = Mnemonic::parse(&format!("\u{feff}{text}\r\n")).expect("the same words");
        assert_eq!(parsed.phrase().as_str(), ABANDON);
    }

    #[test]
    fn refusals_name_the_place_and_never_the_word() {
        let check = |text: &str, expected| assert_eq!(Mnemonic::parse(text).err(), Some(expected));
        check("", MnemonicError::WordCount(0));
        check("abandon about", MnemonicError::WordCount(2));
        check(&"abandon ".repeat(27), MnemonicError::WordCount(27));
        check(
            &ABANDON.replace("about", "abuot"),
            MnemonicError::UnknownWord(12),
        );
        check(&"abandon ".repeat(12), MnemonicError::Checksum);
    }

    #[test]
    fn created_words_parse_again_and_differ() {
        let first = Mnemonic::create(&mut OsEntropy).expect("the system has entropy");
        let second = Mnemonic::create(&mut OsEntropy).expect("the system has entropy");
        assert_eq!(first.phrase().split(' ').count(), 24);
        assert!(*first.phrase() != *second.phrase());
        assert!(Mnemonic::parse(&first.phrase()).is_ok());
    }
}
