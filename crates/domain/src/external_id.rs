//! The caller's own name for a customer.
//!
//! Two ids are the same when they are equal after NFC normalization (UAX #15) and trimming; case
//! and look-alike letters make a difference. Characters that are invisible or that turn the text's
//! direction are refused, because two ids that look alike on an operator's screen must not be two customers.

use std::fmt;

use sha2::{Digest, Sha256};
use unicode_normalization::UnicodeNormalization;

use crate::id::OrganizationId;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExternalIdError {
    #[error("external_id is empty")]
    Empty,
    #[error("external_id is {0} bytes long; at most {max} are allowed", max = ExternalId::MAX_BYTES)]
    TooLong(usize),
    #[error(
        "external_id contains U+{code:04X} at character {position}, which is invisible or a control character"
    )]
    RefusedCharacter { code: u32, position: usize },
}

#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExternalId(String);

impl ExternalId {
    pub const MAX_BYTES: usize = 256;

    pub fn try_new(text: &str) -> Result<Self, ExternalIdError> {
        // Normalization can lengthen a text threefold; refuse the absurd before paying for it.
        if text.len() > 16 * Self::MAX_BYTES {
            return Err(ExternalIdError::TooLong(text.len()));
        }
        let text = text.trim();
        // ASCII is its own normal form, and most ids are ASCII.
        let normal: String = if text.is_ascii() {
            text.to_owned()
        } else {
            text.nfc().collect()
        };
        if normal.is_empty() {
            return Err(ExternalIdError::Empty);
        }
        if normal.len() > Self::MAX_BYTES {
            return Err(ExternalIdError::TooLong(normal.len()));
        }
        match normal.chars().enumerate().find(|(_, c)| is_refused(*c)) {
            Some((position, c)) => Err(ExternalIdError::RefusedCharacter {
                code: u32::from(c),
                position: position + 1,
            }),
            None => Ok(Self(normal)),
        }
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The fixed-length key under which the database finds an organization's external id: 128 bits of
    /// SHA-256, so that the unique index stays small however long the ids are.
    #[must_use]
    pub fn key(&self, organization: OrganizationId) -> [u8; 16] {
        let digest = Sha256::new()
            .chain_update(organization.as_bytes())
            .chain_update(self.0.as_bytes())
            .finalize();
        let mut key = [0; 16];
        key.copy_from_slice(&digest[..16]);
        key
    }
}

/// Control, zero-width, direction-turning and private or unassigned-by-design characters.
fn is_refused(c: char) -> bool {
    c.is_control()
        || matches!(u32::from(c),
            0x00AD | 0x034F | 0x061C | 0x115F | 0x1160 | 0x17B4 | 0x17B5 | 0x180E
            | 0x200B..=0x200F | 0x2028..=0x202E | 0x2060..=0x206F | 0x3164 | 0xFEFF | 0xFFA0
            | 0xFFF0..=0xFFFF | 0xE0000..=0xE0FFF)
}

impl fmt::Display for ExternalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ExternalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<&str, ExternalIdError>) {
        assert_eq!(
            ExternalId::try_new(text).map(|id| id.0),
            expected.map(str::to_owned),
            "{text:?}"
        );
    }

    #[test]
    fn ids_are_trimmed_and_composed() {
        check(" user-1\t", Ok("user-1"));
        check("Jose\u{301}", Ok("José"));
        check("顾客-001", Ok("顾客-001"));
        check("'; DROP TABLE wallets;--", Ok("'; DROP TABLE wallets;--"));
        check("Case", Ok("Case"));
    }

    #[test]
    fn invisible_and_oversized_ids_are_refused() {
        check("  ", Err(ExternalIdError::Empty));
        check(
            "a\u{0}b",
            Err(ExternalIdError::RefusedCharacter {
                code: 0,
                position: 2,
            }),
        );
        check(
            "a\u{200b}b",
            Err(ExternalIdError::RefusedCharacter {
                code: 0x200b,
                position: 2,
            }),
        );
        check(
            "\u{202e}abc",
            Err(ExternalIdError::RefusedCharacter {
                code: 0x202e,
                position: 1,
            }),
        );
        check(&"x".repeat(257), Err(ExternalIdError::TooLong(257)));
        check(&"x".repeat(10_000), Err(ExternalIdError::TooLong(10_000)));
    }

    #[test]
    fn each_organization_has_its_own_keys() {
        let id = ExternalId::try_new("u").expect("valid");
        let one = OrganizationId::new_v7(1, [1; 10]);
        let two = OrganizationId::new_v7(1, [2; 10]);
        assert_ne!(id.key(one), id.key(two));
    }
}
