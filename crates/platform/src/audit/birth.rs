//! What of a wallet never changes, as one leaf of its record's Merkle tree.
//!
//! State, reason and version are left out, since a decision changes them: the leaf of a wallet can be computed
//! from its row at any time, and says who got which addresses, not whether they are in force. The addresses go in
//! as one digest, so that a proof can be given for a wallet whose addresses are not shown yet. The form is written
//! down in `docs/adr/0013-merkle-roots-of-births.md`; a change of it needs another tag.

use coffer_domain::wallet::Wallet;
use sha2::{Digest, Sha256};

use super::merkle::{self, Hash};

const TAG: &[u8] = b"coffer wallet birth v1";

/// SHA-256 over the payloads one after the other, in the order of the kinds.
#[must_use]
pub fn payloads_digest(wallet: &Wallet) -> [u8; 32] {
    let mut digest = Sha256::new();
    for payload in &wallet.payloads {
        digest.update(payload.bytes());
    }
    digest.finalize().into()
}

/// Each text with its length, so that no two wallets have the same bytes.
pub(crate) fn leaf(wallet: &Wallet) -> Hash {
    let mut leaf = Leaf(merkle::leaf());
    leaf.bytes(TAG)
        .bytes(wallet.id.as_bytes())
        .bytes(wallet.organization.as_bytes())
        .bytes(wallet.vault.as_bytes())
        .int(i64::from(wallet.index))
        .bytes(wallet.external_id.as_str().as_bytes())
        .optional(wallet.label.as_deref())
        .optional(wallet.metadata.as_deref())
        .int(i64::from(wallet.kinds().bits()))
        .bytes(&payloads_digest(wallet))
        .bytes(wallet.batch.as_ref().map_or(&[][..], |id| id.as_bytes()))
        .bytes(wallet.created_by.as_bytes())
        .int(wallet.created_at_ms);
    leaf.0.finalize().into()
}

struct Leaf(Sha256);

impl Leaf {
    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.update((bytes.len() as u64).to_be_bytes());
        self.0.update(bytes);
        self
    }

    fn int(&mut self, value: i64) -> &mut Self {
        self.0.update(value.to_be_bytes());
        self
    }

    fn optional(&mut self, text: Option<&str>) -> &mut Self {
        self.int(i64::from(text.is_some()))
            .bytes(text.unwrap_or_default().as_bytes())
    }
}
