//! Remembers which external ids a file has already named.
//!
//! It keeps 128 bits of SHA-256 instead of the id, so that a row costs 21 bytes in a full table and
//! 48 in one that has just grown, however long the ids are. A false match would need a collision,
//! and would refuse a row, never merge two customers. The table is cut into shards because a hash
//! table doubles at once: sixty-four small doublings never hold an old and a new large table together.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use coffer_domain::external_id::ExternalId;
use sha2::{Digest, Sha256};

const SHARDS: usize = 64;

pub(super) struct Seen {
    shards: Vec<HashMap<[u8; 16], u32>>,
}

impl Seen {
    pub(super) fn new() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| HashMap::new()).collect(),
        }
    }

    /// The row that named this id before, or `None` after noting that `row` is the first.
    pub(super) fn first_row(&mut self, id: &ExternalId, row: u32) -> Option<u32> {
        let digest = Sha256::digest(id.as_str().as_bytes());
        let mut key = [0; 16];
        key.copy_from_slice(&digest[..16]);
        match self.shards[usize::from(digest[16]) % SHARDS].entry(key) {
            Entry::Occupied(first) => Some(*first.get()),
            Entry::Vacant(place) => {
                place.insert(row);
                None
            }
        }
    }
}
