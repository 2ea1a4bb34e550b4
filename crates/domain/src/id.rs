//! Ids: 128 bits with a typed prefix, `wal_018f…`.
//!
//! Objects made at a moment carry a UUIDv7 (RFC 9562), so they sort by time. Vault and wallet ids
//! are UUIDv8: computed from the key and from (vault, index). The same mnemonic and the same file
//! therefore give the same ids again, after a crash as after a restore.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};
use uuid::Uuid;

/// A text that is not an id of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not an id of the form {prefix}_<32 hexadecimal digits>")]
pub struct IdError {
    pub prefix: &'static str,
    pub text: String,
}

/// UUIDv7 from a Unix time in milliseconds and ten random bytes.
fn uuid_v7(unix_ms: u64, random: [u8; 10]) -> Uuid {
    uuid::Builder::from_unix_timestamp_millis(unix_ms, &random).into_uuid()
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Uuid);

        impl $name {
            pub const PREFIX: &'static str = $prefix;

            #[must_use]
            pub fn new_v7(unix_ms: u64, random: [u8; 10]) -> Self {
                Self(uuid_v7(unix_ms, random))
            }

            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }

            /// A computed id (UUIDv8): the first half of a SHA-256 digest.
            #[must_use]
            pub fn from_digest(digest: &[u8; 32]) -> Self {
                let mut bytes = [0; 16];
                bytes.copy_from_slice(&digest[..16]);
                Self(uuid::Builder::from_custom_bytes(bytes).into_uuid())
            }

            /// The form that the database stores.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}_{}", $prefix, self.0.simple())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let refused = || IdError { prefix: $prefix, text: text.chars().take(64).collect() };
                let hex = text
                    .strip_prefix($prefix)
                    .and_then(|rest| rest.strip_prefix('_'))
                    .ok_or_else(refused)?;
                let canonical = hex.len() == 32
                    && hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
                if !canonical {
                    return Err(refused());
                }
                Uuid::try_parse(hex).map(Self).map_err(|_| refused())
            }
        }
    )*};
}

ids! {
    /// One customer of this installation; sees only its own objects.
    OrganizationId = "org",
    /// A key tree and its policy.
    VaultId = "vlt",
    /// One customer's container of accounts.
    WalletId = "wal",
    BatchId = "bat",
    ApiKeyId = "key",
    /// Computed from organization and sequence number, so that an event told twice has one id.
    EventId = "evt",
    DrillId = "drl",
    /// A chain as one organization watches it: computed from organization and CAIP-2 name.
    NetworkId = "net",
    /// An asset of the allow-list: computed from organization and CAIP-19 name.
    AssetId = "ast",
    /// Computed from network and movement, so that a block read twice names the same deposit.
    DepositId = "dep",
    /// Computed from organization, asset, kind and owner.
    LedgerAccountId = "lac",
    /// Computed from organization and source, so that one source posts once.
    LedgerTransactionId = "ltx",
    ReconciliationId = "rec",
    RescanId = "rsc",
    /// Computed from source, subject and body, so that a message parked twice is one.
    ParkedMessageId = "prk",
    WebhookId = "whk",
    /// Computed from webhook and number.
    DeliveryId = "dlv",
    RedeliveryId = "rdl",
}

impl EventId {
    #[must_use]
    pub fn of(organization: OrganizationId, seq: u64) -> Self {
        let digest = Sha256::new()
            .chain_update(b"coffer event id v1")
            .chain_update(organization.as_bytes())
            .chain_update(seq.to_be_bytes())
            .finalize();
        Self::from_digest(&digest.into())
    }
}

impl VaultId {
    /// Computed from the vault's attestation public key and account number, so that a vault restored
    /// from its mnemonic is the same vault.
    #[must_use]
    pub fn of_key(attestation_public_key: &[u8; 32], account: u32) -> Self {
        let digest = Sha256::new()
            .chain_update(b"coffer vault id v1")
            .chain_update(attestation_public_key)
            .chain_update(account.to_be_bytes())
            .finalize();
        Self::from_digest(&digest.into())
    }
}

impl WalletId {
    /// 48 bits of the vault, then the index, then a check: ids of one vault sort by index, which keeps
    /// the wallets' table append-only in key order.
    #[must_use]
    pub fn of_index(vault: VaultId, index: u32) -> Self {
        let tag = Sha256::digest(vault.as_bytes());
        let check = Sha256::new()
            .chain_update(b"coffer wallet id v1")
            .chain_update(vault.as_bytes())
            .chain_update(index.to_be_bytes())
            .finalize();
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&tag[..8]);
        bytes[9..13].copy_from_slice(&index.to_be_bytes());
        bytes[13..].copy_from_slice(&check[..3]);
        Self(uuid::Builder::from_custom_bytes(bytes).into_uuid())
    }

    /// The index this id was computed from, if it is a wallet id of `vault`.
    #[must_use]
    pub fn index_in(&self, vault: VaultId) -> Option<u32> {
        let bytes = self.as_bytes();
        let index = u32::from_be_bytes([bytes[9], bytes[10], bytes[11], bytes[12]]);
        (Self::of_index(vault, index) == *self).then_some(index)
    }
}

impl DeliveryId {
    /// 48 bits of the webhook, then the number, of which 56 bits count.
    #[must_use]
    pub fn of_number(webhook: WebhookId, number: u64) -> Self {
        let tag = Sha256::new()
            .chain_update(b"coffer delivery id v1")
            .chain_update(webhook.as_bytes())
            .finalize();
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&tag[..8]);
        bytes[9..].copy_from_slice(&number.to_be_bytes()[1..]);
        Self(uuid::Builder::from_custom_bytes(bytes).into_uuid())
    }

    /// The number this id was computed from, if it is a delivery of `webhook`.
    #[must_use]
    pub fn number_in(&self, webhook: WebhookId) -> Option<u64> {
        let mut number = [0; 8];
        number[1..].copy_from_slice(&self.as_bytes()[9..]);
        let number = u64::from_be_bytes(number);
        (Self::of_number(webhook, number) == *self).then_some(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delivery_ids_tell_their_number() {
        let (one, other) = (
            WebhookId::from_bytes([1; 16]),
            WebhookId::from_bytes([2; 16]),
        );
        for number in [0, 1, 255, 1 << 40] {
            let id = DeliveryId::of_number(one, number);
            assert_eq!(id.number_in(one), Some(number));
            assert_eq!(id.number_in(other), None);
        }
    }

    #[test]
    fn text_form_round_trips_and_other_texts_are_refused() {
        let id = BatchId::new_v7(1_700_000_000_000, [7; 10]);
        assert_eq!(id.to_string().parse::<BatchId>(), Ok(id));
        for text in [
            "",
            "bat_",
            "wal_018bcfe568007707870707070707070a",
            "bat_018BCFE568007707870707070707070A",
            "bat_018bcfe5-6800-7707-8707-070707070707",
        ] {
            assert!(text.parse::<BatchId>().is_err(), "{text}");
        }
    }

    #[test]
    fn wallet_ids_sort_by_index_and_tell_it() {
        let vault = VaultId::of_key(&[1; 32], 0);
        let other = VaultId::of_key(&[1; 32], 1);
        let ids: Vec<_> = [0, 1, 255, 256, 65_535, 65_536, 0x7fff_ffff]
            .map(|i| WalletId::of_index(vault, i))
            .to_vec();
        assert!(ids.is_sorted());
        assert_eq!(ids[3].index_in(vault), Some(256));
        assert_eq!(ids[3].index_in(other), None);
    }

    #[test]
    fn ids_of_a_moment_sort_by_time() {
        assert!(BatchId::new_v7(1, [255; 10]) < BatchId::new_v7(2, [0; 10]));
    }
}
