//! One record: its hash, and appending it.

use coffer_domain::id::OrganizationId;
use coffer_store::audit::{AuditRow, lock_head};
use coffer_store::{StoreError, Tx};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::Changes;
use crate::events::Outgoing;
use crate::seal::SealKeys;

/// What stands before the first record.
pub const ZERO_HASH: [u8; 32] = [0; 32];

/// A record as callers see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRecord {
    pub seq: u64,
    pub at_ms: i64,
    pub actor: String,
    pub action: String,
    pub object: String,
    /// JSON, exactly as hashed.
    pub payload: String,
    pub prev_hash: [u8; 32],
    pub hash: [u8; 32],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditHead {
    pub organization: OrganizationId,
    pub seq: u64,
    pub hash: [u8; 32],
}

/// What is to be recorded, and what other systems are told of it. `actor` is an API key's id, or `system`.
pub(crate) struct Entry<'a, T: Serialize> {
    pub organization: OrganizationId,
    pub at_ms: i64,
    pub actor: &'a str,
    pub action: &'static str,
    pub object: String,
    pub changes: Changes,
    pub data: T,
    pub events: Outgoing,
}

#[derive(Serialize)]
struct Payload<'a, T: Serialize> {
    changes: &'a Changes,
    data: &'a T,
}

/// SHA-256 over the tag, owner, sequence number, time, the four texts with their lengths, and the hash before.
#[must_use]
pub fn record_hash(
    organization: OrganizationId,
    seq: u64,
    at_ms: i64,
    texts: [&str; 4],
    prev_hash: &[u8; 32],
) -> [u8; 32] {
    let mut hasher = Sha256::new()
        .chain_update(b"coffer audit v1")
        .chain_update(organization.as_bytes())
        .chain_update(seq.to_be_bytes())
        .chain_update(at_ms.to_be_bytes());
    for text in texts {
        let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
        hasher.update(length.to_be_bytes());
        hasher.update(text.as_bytes());
    }
    hasher.chain_update(prev_hash).finalize().into()
}

/// Appends a record and its events in the caller's transaction. Call it last: it locks the head until the commit.
pub(crate) async fn append<T: Serialize>(
    tx: &mut Tx,
    seals: &SealKeys,
    mut entry: Entry<'_, T>,
) -> Result<(), StoreError> {
    if !entry.changes.versions.is_empty() {
        tx.note_changed_versions();
    }
    let head = lock_head(tx, entry.organization).await?;
    let (seq, prev_hash) = head.map_or((1, ZERO_HASH), |head| (head.seq + 1, head.hash));
    let told = head.map_or(0, |head| head.events);
    let of_now = (entry.organization, entry.at_ms);
    let (events, last) = entry.events.into_rows(seals, of_now, told);
    entry.changes.events = (last > told).then_some((told + 1, last));
    coffer_store::events::insert_many(tx, &events).await?;
    let payload = serde_json::to_string(&Payload {
        changes: &entry.changes,
        data: &entry.data,
    })
    .map_err(|error| StoreError::Other(format!("an audit record has no JSON form: {error}")))?;
    let texts = [entry.actor, entry.action, &entry.object, &payload];
    let hash = record_hash(entry.organization, seq, entry.at_ms, texts, &prev_hash);
    let row = AuditRow {
        organization: entry.organization,
        seq,
        at_ms: entry.at_ms,
        actor: entry.actor.to_owned(),
        action: entry.action.to_owned(),
        object: entry.object,
        payload,
        prev_hash,
        hash,
        mac: seals.audit_mac(&hash),
    };
    coffer_store::audit::append(tx, &row, last).await
}
