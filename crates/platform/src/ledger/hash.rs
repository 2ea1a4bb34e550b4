//! The hash of a transaction: what it covers, byte by byte.

use coffer_domain::ledger::Side;
use coffer_store::ledger::{EntryRow, TransactionRow};
use sha2::{Digest, Sha256};

/// SHA-256 over, one after the other:
///
/// - the 28 bytes `coffer ledger transaction v1`, without a terminator, and the hash before it (32; zeros before
///   the first);
/// - organization (16), sequence number (8), transaction id (16), asset id (16), time in Unix milliseconds (8);
/// - source kind, source id and phase (`posted`, `pending`, `post`, `void`), each a length (4) and its UTF-8;
/// - the id of the pending transaction that it resolves (16), zeros for none;
/// - the number of entries (4), and for each in the order of the legs: account id (16), the account's version with it
///   (8), side (1: `0` debit, `1` credit), phase, as above with its length, and five amounts (32 each): units, then
///   the balance with it: posted debits, posted credits, pending debits, pending credits.
///
/// Numbers are big-endian. `row.hash` and `row.legs` are not read: the entries say the same as the legs.
#[must_use]
pub fn transaction_hash(
    row: &TransactionRow,
    entries: &[EntryRow],
    previous: &[u8; 32],
) -> [u8; 32] {
    let mut bytes = Vec::with_capacity(256 + entries.len() * 208);
    bytes.extend_from_slice(b"coffer ledger transaction v1");
    bytes.extend_from_slice(previous);
    bytes.extend_from_slice(row.organization.as_bytes());
    bytes.extend_from_slice(&row.seq.to_be_bytes());
    bytes.extend_from_slice(row.id.as_bytes());
    bytes.extend_from_slice(row.asset.as_bytes());
    bytes.extend_from_slice(&row.at_ms.to_be_bytes());
    text(&mut bytes, row.source.kind.name());
    text(&mut bytes, &row.source.id);
    text(&mut bytes, row.phase.name());
    let resolves = row.phase.resolves().map_or([0; 16], |id| *id.as_bytes());
    bytes.extend_from_slice(&resolves);
    bytes.extend_from_slice(&length(entries.len()));
    for entry in entries {
        bytes.extend_from_slice(entry.account.as_bytes());
        bytes.extend_from_slice(&entry.version.to_be_bytes());
        bytes.push(match entry.side {
            Side::Debit => 0,
            Side::Credit => 1,
        });
        text(&mut bytes, entry.phase.name());
        let balance = &entry.balance;
        for amount in [
            entry.units,
            balance.posted_debits,
            balance.posted_credits,
            balance.pending_debits,
            balance.pending_credits,
        ] {
            bytes.extend_from_slice(&amount.to_be_bytes::<32>());
        }
    }
    Sha256::digest(&bytes).into()
}

fn length(count: usize) -> [u8; 4] {
    u32::try_from(count).unwrap_or(u32::MAX).to_be_bytes()
}

fn text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend_from_slice(&length(text.len()));
    bytes.extend_from_slice(text.as_bytes());
}
