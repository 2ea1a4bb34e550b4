//! What a proof file says, and whether it holds: arithmetic alone, by code of its own.
//!
//! The wallet's birth gives a leaf; leaf and path give a root (RFC 6962 and RFC 9162, section 2.1.3.2); the
//! record's payload must name this root, this vault and this index at this place; the record must give its hash; and
//! the records behind it must lead to an anchor that the reader kept. Nothing in the file is believed but what
//! hashes into that anchor.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::chain::{Chain, Record, parse_hash, parse_organization};

pub(super) const FORMAT: &str = "coffer wallet proof v1";

#[derive(Deserialize, Serialize)]
pub(super) struct ProofFile {
    pub(super) format: String,
    pub(super) proof: Proof,
    /// What was recorded behind the proof's record, without a gap.
    pub(super) later_records: Vec<Record>,
}

/// As `GET /v1/wallets/{id}/proof` gives it.
#[derive(Deserialize, Serialize)]
pub(super) struct Proof {
    pub(super) birth: Birth,
    pub(super) addresses: Vec<Address>,
    leaf_hash: String,
    leaf_index: u64,
    tree_size: u64,
    path: Vec<String>,
    pub(super) record: Record,
}

#[derive(Deserialize, Serialize)]
pub(super) struct Birth {
    pub(super) wallet_id: String,
    pub(super) organization_id: String,
    vault_id: String,
    index: u32,
    pub(super) external_id: String,
    label: Option<String>,
    metadata: Option<String>,
    kinds: u8,
    payloads_sha256: String,
    batch_id: Option<String>,
    created_by: String,
    pub(super) created_at: i64,
}

#[derive(Deserialize, Serialize)]
pub(super) struct Address {
    pub(super) chain: String,
    pub(super) address: String,
    payload: String,
}

/// What of a proof does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    #[error("it is of a form that this program does not know")]
    Format,
    #[error("the wallet's data do not give the leaf")]
    Leaf,
    #[error("the addresses are not those that were recorded")]
    Addresses,
    #[error("the record does not say that it created this wallet")]
    OtherRecord,
    #[error("the leaf and its path do not lead to the root in the record")]
    Root,
    #[error("the record's content does not give its hash")]
    RecordHash,
    #[error("the records behind it do not follow each other")]
    Unlinked,
    #[error("an anchor saw another record")]
    OtherThanAnchored,
    #[error("every anchor is older than the wallet")]
    AnchorTooOld,
    #[error("the proof's records end before the next anchor")]
    EndsBeforeAnchor,
}

#[derive(Deserialize)]
struct Payload {
    changes: Changes,
}

#[derive(Deserialize)]
struct Changes {
    created: Option<Created>,
}

#[derive(Deserialize)]
struct Created {
    vault: String,
    runs: Vec<(u32, u32)>,
    births_root: Option<String>,
}

impl ProofFile {
    /// Everything but the anchor: the chain up to the proof's record, and whether the file holds together.
    pub(super) fn holds_together(&self) -> Result<Chain, Fault> {
        if self.format != FORMAT {
            return Err(Fault::Format);
        }
        let proof = &self.proof;
        let leaf = proof.birth.leaf().ok_or(Fault::Leaf)?;
        if parse_hash(&proof.leaf_hash) != Some(leaf) {
            return Err(Fault::Leaf);
        }
        proof.check_addresses()?;
        let root = proof.recorded_root()?;
        if proof.climb(leaf) != Some(root) {
            return Err(Fault::Root);
        }
        let organization = parse_organization(&proof.birth.organization_id);
        let chain = organization.and_then(|id| Chain::before(id, &proof.record));
        let mut chain = chain.ok_or(Fault::RecordHash)?;
        chain.take(&proof.record).map_err(|_| Fault::RecordHash)?;
        Ok(chain)
    }

    /// Whether it leads to an anchor; answers the number of the last anchored record that it contains. Points are
    /// in the order of their numbers.
    pub(super) fn leads_to(&self, points: &[(u64, [u8; 32])]) -> Result<u64, Fault> {
        let mut chain = self.holds_together()?;
        let own = chain.seq;
        let mut left = points.iter().filter(|(seq, _)| *seq >= own).peekable();
        if left.peek().is_none() {
            return Err(Fault::AnchorTooOld);
        }
        let mut later = self.later_records.iter();
        let mut found = None;
        loop {
            while let Some((seq, hash)) = left.next_if(|(seq, _)| *seq == chain.seq) {
                if *hash != chain.hash {
                    return Err(Fault::OtherThanAnchored);
                }
                found = Some(*seq);
            }
            match later.next() {
                Some(record) => chain.take(record).map_err(|_| Fault::Unlinked)?,
                None => return found.ok_or(Fault::EndsBeforeAnchor),
            }
        }
    }
}

impl Proof {
    /// No addresses are shown of a wallet that is not active; those that are must be the recorded ones.
    fn check_addresses(&self) -> Result<(), Fault> {
        let mut payloads = Sha256::new();
        for address in &self.addresses {
            let payload = hex::decode(&address.payload).map_err(|_| Fault::Addresses)?;
            if coffer_server::address_payload(&address.address).as_ref() != Some(&payload) {
                return Err(Fault::Addresses);
            }
            payloads.update(payload);
        }
        let shown: [u8; 32] = payloads.finalize().into();
        let recorded = parse_hash(&self.birth.payloads_sha256);
        if self.addresses.is_empty() || recorded == Some(shown) {
            Ok(())
        } else {
            Err(Fault::Addresses)
        }
    }

    /// The root in the record, if the record tells of this wallet at this place.
    fn recorded_root(&self) -> Result<[u8; 32], Fault> {
        let payload = serde_json::from_str::<Payload>(&self.record.payload).ok();
        let created = payload.and_then(|payload| payload.changes.created);
        let created = created.ok_or(Fault::OtherRecord)?;
        let (mut before, mut place) = (0, None);
        for (first, count) in &created.runs {
            let within = self.birth.index.checked_sub(*first);
            if let Some(within) = within.filter(|within| within < count) {
                place = Some(before + u64::from(within));
            }
            before += u64::from(*count);
        }
        let same = created.vault == self.birth.vault_id
            && place == Some(self.leaf_index)
            && before == self.tree_size;
        let root = created.births_root.as_deref().and_then(parse_hash);
        root.filter(|_| same).ok_or(Fault::OtherRecord)
    }

    fn climb(&self, leaf: [u8; 32]) -> Option<[u8; 32]> {
        let mut at = self.leaf_index;
        let mut last = self.tree_size.checked_sub(1)?;
        let mut hash = leaf;
        for beside in &self.path {
            let beside = parse_hash(beside)?;
            if last == 0 {
                return None;
            }
            if at % 2 == 1 || at == last {
                hash = node(&beside, &hash);
                while at.is_multiple_of(2) && at != 0 {
                    (at, last) = (at / 2, last / 2);
                }
            } else {
                hash = node(&hash, &beside);
            }
            (at, last) = (at / 2, last / 2);
        }
        (last == 0).then_some(hash)
    }
}

fn node(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    Sha256::new_with_prefix([1])
        .chain_update(left)
        .chain_update(right)
        .finalize()
        .into()
}

impl Birth {
    fn leaf(&self) -> Option<[u8; 32]> {
        let number = |value: i64| value.to_be_bytes().to_vec();
        let bytes = |bytes: &[u8]| [&(bytes.len() as u64).to_be_bytes(), bytes].concat();
        let optional = |text: &Option<String>| {
            let text = text.as_deref();
            let bytes = bytes(text.unwrap_or_default().as_bytes());
            [number(i64::from(text.is_some())), bytes].concat()
        };
        let batch = match &self.batch_id {
            Some(id) => id_bytes(id, "bat_")?.to_vec(),
            None => Vec::new(),
        };
        let leaf = [
            vec![0],
            bytes(b"coffer wallet birth v1"),
            bytes(&id_bytes(&self.wallet_id, "wal_")?),
            bytes(&id_bytes(&self.organization_id, "org_")?),
            bytes(&id_bytes(&self.vault_id, "vlt_")?),
            number(i64::from(self.index)),
            bytes(self.external_id.as_bytes()),
            optional(&self.label),
            optional(&self.metadata),
            number(i64::from(self.kinds)),
            bytes(&parse_hash(&self.payloads_sha256)?),
            bytes(&batch),
            bytes(&id_bytes(&self.created_by, "key_")?),
            number(self.created_at),
        ];
        Some(Sha256::digest(leaf.concat()).into())
    }
}

fn id_bytes(id: &str, prefix: &str) -> Option<[u8; 16]> {
    let mut bytes = [0; 16];
    hex::decode_to_slice(id.strip_prefix(prefix)?, &mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
#[path = "proof_tests.rs"]
mod tests;
