//! The set of watched addresses: ten bytes and a half for each, and a hit says whose it may be.
//!
//! Open addressing with linear probing. A slot holds four bytes of a keyed hash of the address (SipHash-1-3
//! under a random key, so that nobody can look for addresses that collide) and the number of the entry; the
//! entry's vault and index follow from ranges. The address itself is not kept: a hit is a claim, which
//! whoever credits confirms by deriving the address of that index again.
//! Reading takes no lock. Memory comes in segments: the first is as large as what there is at the start, each
//! later one a quarter of all before it; a restart makes one of them. A miss costs one probe per segment.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{OnceLock, PoisonError, RwLock};

use coffer_domain::address::{AddressKind, AddressPayload};
use coffer_domain::id::VaultId;
use coffer_nodes::Watched;

use super::siphash::SipKey;

const FIRST_SEGMENT_MIN: u32 = 4096;
const LATER_SEGMENT_MIN: u32 = 65_536;
/// Sizes grow by a quarter, so these are more than 32-bit numbers of entries can fill.
const SEGMENTS: usize = 96;
/// Entries per four slots.
const FILLED_OF_FOUR: u64 = 3;

/// There are more addresses than 32 bits can number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the set of watched addresses is full: it numbers them with 32 bits")]
pub struct Full;

/// An entry's place: which index of which vault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub vault: VaultId,
    pub index: u32,
}

struct Segment {
    /// The first entry that belongs here.
    base: u32,
    entries: u32,
    slots: Vec<AtomicU64>,
}

/// Entries in a row that are indexes in a row of one vault.
struct Range {
    first_entry: u32,
    vault: VaultId,
    first_index: u32,
    count: u32,
}

pub struct WatchedSet {
    kind: AddressKind,
    key: SipKey,
    segments: [OnceLock<Segment>; SEGMENTS],
    ranges: RwLock<Vec<Range>>,
}

impl Segment {
    fn new(base: u32, entries: u32) -> Self {
        let slots = u64::from(entries) * 4 / FILLED_OF_FOUR + 1;
        let slots = usize::try_from(slots).expect("a segment's slots are addressable");
        Self {
            base,
            entries,
            slots: std::iter::repeat_with(AtomicU64::default)
                .take(slots)
                .collect(),
        }
    }

    fn end(&self) -> u64 {
        u64::from(self.base) + u64::from(self.entries)
    }

    /// The upper half of the hash, scaled to the slots; the fingerprint is the lower half.
    fn home(&self, hash: u64) -> usize {
        let scaled = u128::from(hash >> 32) * (self.slots.len() as u128);
        usize::try_from(scaled >> 32).expect("below the number of slots")
    }

    fn insert(&self, hash: u64, entry: u32) {
        let value = (hash << 32) | (u64::from(entry) + 1);
        let mut at = self.home(hash);
        // There are more slots than entries, so an empty one comes.
        loop {
            let free =
                self.slots[at].compare_exchange(0, value, Ordering::Release, Ordering::Relaxed);
            if free.is_ok() {
                return;
            }
            at = if at + 1 == self.slots.len() {
                0
            } else {
                at + 1
            };
        }
    }

    /// Passes the entries whose fingerprint is that of `hash` until `found` says that it has enough.
    fn probe(&self, hash: u64, mut found: impl FnMut(u32) -> bool) -> bool {
        let mut at = self.home(hash);
        loop {
            let value = self.slots[at].load(Ordering::Acquire);
            if value == 0 {
                return false;
            }
            #[expect(
                clippy::cast_possible_truncation,
                reason = "the halves of a slot are what is meant"
            )]
            if (value >> 32) as u32 == hash as u32 && found(value as u32 - 1) {
                return true;
            }
            at = if at + 1 == self.slots.len() {
                0
            } else {
                at + 1
            };
        }
    }
}

impl WatchedSet {
    /// An empty set of addresses of one kind, under a random key.
    #[must_use]
    pub fn new(kind: AddressKind, key: [u8; 16]) -> Self {
        Self {
            kind,
            key: SipKey::new(key),
            segments: [const { OnceLock::new() }; SEGMENTS],
            ranges: RwLock::default(),
        }
    }

    /// Makes room for so many addresses at once; before the first are added.
    pub fn reserve(&self, addresses: u32) {
        let _held = self.ranges.write().unwrap_or_else(PoisonError::into_inner);
        let size = addresses.max(FIRST_SEGMENT_MIN);
        // A set that has begun keeps what it has.
        let _ = self.segments[0].set(Segment::new(0, size));
    }

    /// Adds the addresses of indexes in a row: `payloads` are their bytes, one behind the other. Several
    /// threads may add at once; an address is watched once the call has ended.
    pub fn add(&self, vault: VaultId, first_index: u32, payloads: &[u8]) -> Result<(), Full> {
        let length = self.kind.payload_len();
        let count = u32::try_from(payloads.len() / length).map_err(|_| Full)?;
        let first = self.number(vault, first_index, count)?;
        for (entry, payload) in (first..).zip(payloads.chunks_exact(length)) {
            let segment = self.segment_of(entry);
            segment.insert(self.key.hash(payload), entry);
        }
        Ok(())
    }

    /// Numbers new entries and makes room for them.
    fn number(&self, vault: VaultId, first_index: u32, count: u32) -> Result<u32, Full> {
        let mut ranges = self.ranges.write().unwrap_or_else(PoisonError::into_inner);
        let first = ranges
            .last()
            .map_or(0, |last| last.first_entry + last.count);
        // The largest number stays free: a slot holds the number plus one.
        let end = first
            .checked_add(count)
            .filter(|end| *end < u32::MAX)
            .ok_or(Full)?;
        self.grow(u64::from(end))?;
        match ranges.last_mut() {
            Some(last) if last.vault == vault && last.first_index + last.count == first_index => {
                last.count += count;
            }
            _ => ranges.push(Range {
                first_entry: first,
                vault,
                first_index,
                count,
            }),
        }
        Ok(first)
    }

    fn grow(&self, end: u64) -> Result<(), Full> {
        let mut base = 0;
        for segment in &self.segments {
            if segment.get().is_none() {
                let least = if base == 0 {
                    FIRST_SEGMENT_MIN
                } else {
                    LATER_SEGMENT_MIN
                };
                let missing = u32::try_from(end - u64::from(base)).map_err(|_| Full)?;
                let size = least.max(base / 4).max(missing).min(u32::MAX - base);
                let _ = segment.set(Segment::new(base, size));
            }
            let reached = segment.get().map_or(0, Segment::end);
            if reached >= end {
                return Ok(());
            }
            base = u32::try_from(reached).map_err(|_| Full)?;
        }
        Err(Full)
    }

    fn in_use(&self) -> impl Iterator<Item = &Segment> {
        self.segments.iter().map_while(OnceLock::get)
    }

    fn segment_of(&self, entry: u32) -> &Segment {
        self.in_use()
            .find(|segment| u64::from(entry) < segment.end())
            .expect("room was made for every entry that has a number")
    }

    /// Where an address may belong: one place for an address of ours, none for nearly every other.
    #[must_use]
    pub fn places(&self, address: &AddressPayload) -> Vec<Place> {
        let mut entries = Vec::new();
        if address.kind() == self.kind {
            let hash = self.key.hash(address.bytes());
            for segment in self.in_use() {
                segment.probe(hash, |entry| {
                    entries.push(entry);
                    false
                });
            }
        }
        let ranges = self.ranges.read().unwrap_or_else(PoisonError::into_inner);
        let place = |entry: u32| {
            let at = ranges.partition_point(|range| range.first_entry <= entry);
            let range = &ranges[at.checked_sub(1)?];
            Some(Place {
                vault: range.vault,
                index: range.first_index + (entry - range.first_entry),
            })
        };
        entries.into_iter().filter_map(place).collect()
    }

    #[must_use]
    pub fn len(&self) -> u32 {
        let ranges = self.ranges.read().unwrap_or_else(PoisonError::into_inner);
        ranges
            .last()
            .map_or(0, |last| last.first_entry + last.count)
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of memory that the slots take.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let slots: usize = self.in_use().map(|segment| segment.slots.len()).sum();
        slots * size_of::<AtomicU64>()
    }
}

impl Watched for WatchedSet {
    fn contains(&self, address: &AddressPayload) -> bool {
        if address.kind() != self.kind {
            return false;
        }
        let hash = self.key.hash(address.bytes());
        self.in_use().any(|segment| segment.probe(hash, |_| true))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(number: u32) -> AddressPayload {
        let mut bytes = [0; 20];
        bytes[3..7].copy_from_slice(&number.to_be_bytes());
        AddressPayload::try_new(AddressKind::Evm, &bytes).expect("twenty bytes")
    }

    fn bytes(numbers: std::ops::Range<u32>) -> Vec<u8> {
        numbers
            .flat_map(|number| payload(number).bytes().to_vec())
            .collect()
    }

    fn set() -> WatchedSet {
        WatchedSet::new(AddressKind::Evm, [7; 16])
    }

    #[test]
    fn every_address_is_found_at_its_place_across_segments() {
        let set = set();
        let (one, two) = (VaultId::of_key(&[1; 32], 0), VaultId::of_key(&[2; 32], 0));
        set.reserve(100);
        set.add(one, 0, &bytes(0..5000)).expect("room");
        set.add(two, 10, &bytes(5000..6000)).expect("room");
        set.add(one, 5000, &bytes(6000..200_000)).expect("room");
        assert_eq!(set.len(), 200_000);
        assert!(set.in_use().count() > 2);
        for (number, vault, index) in [
            (0, one, 0),
            (4999, one, 4999),
            (5000, two, 10),
            (5999, two, 1009),
            (6000, one, 5000),
            (199_999, one, 198_999),
        ] {
            assert!(set.contains(&payload(number)));
            let places = set.places(&payload(number));
            assert!(
                places.contains(&Place { vault, index }),
                "{number}: {places:?}"
            );
        }
        assert!((0..200_000).all(|number| set.contains(&payload(number))));
    }

    #[test]
    fn strangers_are_hardly_ever_hits() {
        let set = set();
        let vault = VaultId::of_key(&[1; 32], 0);
        set.add(vault, 0, &bytes(0..100_000)).expect("room");
        let hits = (1_000_000..2_000_000)
            .filter(|number| set.contains(&payload(*number)))
            .count();
        assert!(hits <= 1, "{hits} of a million");
        let other = AddressPayload::try_new(AddressKind::Tron, payload(1).bytes());
        assert!(!set.contains(&other.expect("twenty bytes")), "another kind");
        assert!(set.bytes() < 100_000 * 12 + 65_536 * 12);
    }

    #[test]
    fn threads_may_add_at_once() {
        let set = set();
        let vault = VaultId::of_key(&[1; 32], 0);
        std::thread::scope(|scope| {
            for part in 0..4 {
                let set = &set;
                scope.spawn(move || {
                    for step in 0..10 {
                        let first = part * 100_000 + step * 1000;
                        let added = set.add(vault, first, &bytes(first..first + 1000));
                        added.expect("room");
                    }
                });
            }
        });
        for number in (0..4).flat_map(|part| part * 100_000..part * 100_000 + 10_000) {
            let places = set.places(&payload(number));
            assert!(places.iter().any(|place| place.index == number), "{number}");
        }
    }
}
