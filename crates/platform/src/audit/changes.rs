//! What a record says about sealed objects: their new versions, and the wallets created.

use coffer_domain::id::VaultId;
use coffer_domain::wallet::Wallet;
use coffer_store::Sealed;
use serde::{Deserialize, Serialize};

use super::{birth, merkle};

/// The part of a record's payload from which [`super::Chains`] learns versions. It is part of the hash.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Changes {
    /// Object id and its new version.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub versions: Vec<(String, u32)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<CreatedWallets>,
    /// First and last number of the events that were stored with the record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<(u64, u64)>,
}

/// Wallets born at version 1: runs of indexes as (first, count).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreatedWallets {
    pub vault: String,
    pub runs: Vec<(u32, u32)>,
    /// Root of the Merkle tree over the wallets' births in the order of their indexes, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub births_root: Option<String>,
    /// In records from before there were roots: SHA-256 over the wallets' seals in the order of their indexes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seals_sha256: Option<String>,
}

impl Changes {
    pub(crate) fn version(object: impl ToString, version: u32) -> Self {
        Self {
            versions: vec![(object.to_string(), version)],
            ..Self::default()
        }
    }

    pub(crate) fn and(mut self, object: impl ToString, version: u32) -> Self {
        self.versions.push((object.to_string(), version));
        self
    }
}

impl CreatedWallets {
    /// Of wallets of one vault, their indexes in rising order.
    pub(crate) fn of(vault: VaultId, born: &[Sealed<Wallet>]) -> Self {
        let mut runs: Vec<(u32, u32)> = Vec::new();
        for index in born.iter().map(|sealed| sealed.value.index) {
            match runs.last_mut() {
                Some((first, count)) if *first + *count == index => *count += 1,
                _ => runs.push((index, 1)),
            }
        }
        let leaves = born.iter().map(|sealed| birth::leaf(&sealed.value));
        Self {
            vault: vault.to_string(),
            runs,
            births_root: Some(hex::encode(merkle::root(leaves.collect()))),
            seals_sha256: None,
        }
    }
}
