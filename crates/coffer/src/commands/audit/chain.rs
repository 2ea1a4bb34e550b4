//! The audit chain's arithmetic: each record's hash covers its content and the hash before it.
//!
//! SHA-256 over `coffer audit v1`, the organization's 16 bytes, the sequence number (u64, big-endian), the
//! time (i64, big-endian), then actor, action, object and payload, each after its length (u32,
//! big-endian), and the hash before. The first record follows 32 zero bytes. Nothing is read or written here.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// As `GET /v1/audit` gives it. `payload` is text exactly as it was hashed, not JSON to be parsed.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub(crate) struct Record {
    pub seq: u64,
    pub at: i64,
    pub actor: String,
    pub action: String,
    pub object: String,
    pub payload: String,
    pub prev_hash: String,
    pub hash: String,
}

/// Where the chain is broken first, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Break {
    pub seq: u64,
    pub reason: Reason,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// Another number stands where this one belongs.
    OutOfOrder { found: u64 },
    /// What it says came before it is not what came before it.
    NotLinked,
    /// Its content does not give its hash.
    Edited,
    /// The chain ends before the head, or before an anchor.
    CutTail,
    /// The head's hash is not that of the record with its number.
    OtherHead,
    /// An anchor, kept apart, saw another record here.
    OtherThanAnchored,
}

impl Reason {
    /// For scripts; stable.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::OutOfOrder { .. } => "out_of_order",
            Self::NotLinked => "not_linked",
            Self::Edited => "edited",
            Self::CutTail => "cut_tail",
            Self::OtherHead => "other_head",
            Self::OtherThanAnchored => "other_than_anchored",
        }
    }
}

impl fmt::Display for Break {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seq = self.seq;
        match self.reason {
            Reason::OutOfOrder { found } => write!(
                f,
                "record {seq} is not where it belongs (record {found} is there): one was removed or moved"
            ),
            Reason::NotLinked => write!(
                f,
                "record {seq} does not follow the one before it: one was removed, put in or exchanged"
            ),
            Reason::Edited => write!(
                f,
                "record {seq} was edited: its content does not give its hash"
            ),
            Reason::CutTail => write!(f, "record {seq} is gone: the end of the chain was cut off"),
            Reason::OtherHead => {
                write!(f, "record {seq} is not the one that the chain's head names")
            }
            Reason::OtherThanAnchored => write!(
                f,
                "record {seq} is not the one that was anchored: the chain was written anew"
            ),
        }
    }
}

/// How far the chain is proven.
#[derive(Debug, Clone)]
pub(crate) struct Chain {
    organization: [u8; 16],
    pub seq: u64,
    pub hash: [u8; 32],
}

impl Chain {
    pub(crate) fn new(organization: [u8; 16]) -> Self {
        Self {
            organization,
            seq: 0,
            hash: [0; 32],
        }
    }

    /// Begins in front of `record`, taking its word for what came before it.
    pub(crate) fn before(organization: [u8; 16], record: &Record) -> Option<Self> {
        Some(Self {
            organization,
            seq: record.seq.checked_sub(1)?,
            hash: parse_hash(&record.prev_hash)?,
        })
    }

    pub(crate) fn take(&mut self, record: &Record) -> Result<(), Break> {
        let seq = self.seq + 1;
        let broken = |reason| Err(Break { seq, reason });
        if record.seq != seq {
            return broken(Reason::OutOfOrder { found: record.seq });
        }
        if parse_hash(&record.prev_hash) != Some(self.hash) {
            return broken(Reason::NotLinked);
        }
        let hash = self.hash_of(record);
        if parse_hash(&record.hash) != Some(hash) {
            return broken(Reason::Edited);
        }
        self.seq = seq;
        self.hash = hash;
        Ok(())
    }

    fn hash_of(&self, record: &Record) -> [u8; 32] {
        let mut hasher = Sha256::new()
            .chain_update(b"coffer audit v1")
            .chain_update(self.organization)
            .chain_update(record.seq.to_be_bytes())
            .chain_update(record.at.to_be_bytes());
        for text in [
            &record.actor,
            &record.action,
            &record.object,
            &record.payload,
        ] {
            // A text of 4 GiB cannot have come through the client's limit.
            let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
            hasher.update(length.to_be_bytes());
            hasher.update(text.as_bytes());
        }
        hasher.chain_update(self.hash).finalize().into()
    }
}

pub(crate) fn parse_hash(text: &str) -> Option<[u8; 32]> {
    let mut hash = [0; 32];
    hex::decode_to_slice(text, &mut hash).ok()?;
    Some(hash)
}

/// The 16 bytes of an `org_` id.
pub(crate) fn parse_organization(id: &str) -> Option<[u8; 16]> {
    let mut bytes = [0; 16];
    hex::decode_to_slice(id.strip_prefix("org_")?, &mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
#[path = "chain_tests.rs"]
mod tests;
