//! Remembers which external ids a file has already named.
//!
//! It keeps 102 bits of SHA-256 instead of the id: 96 in a slot, six in the choice of the table. A false match
//! among ten million ids has a chance of one in 10¹⁷, and would refuse a row, never merge two customers.
//!
//! A slot takes 16 bytes and tables are at least 68 % full once they have grown, so a row costs 19 to 24 bytes: some 230 MB at ten million.
//! There are sixty-four tables because one must be held twice while it grows, and each grows by a quarter
//! because doubling would leave half of it empty.

use coffer_domain::external_id::ExternalId;
use sha2::{Digest, Sha256};

const TABLES: usize = 64;
const SMALLEST: usize = 64;
/// Slots taken of a hundred before a table grows.
const FULL_PERCENT: usize = 85;

#[derive(Clone, Copy)]
struct Slot {
    /// Its upper half, scaled, is where the slot should be.
    fingerprint: [u32; 3],
    /// Rows count from 1; 0 is a free slot.
    row: u32,
}

const FREE: Slot = Slot {
    fingerprint: [0; 3],
    row: 0,
};

#[derive(Default)]
struct Table {
    slots: Vec<Slot>,
    taken: usize,
}

impl Table {
    /// Where this fingerprint is, or the free slot where it belongs; looks on from its place to the next free one.
    fn place(&self, fingerprint: [u32; 3]) -> usize {
        let length = self.slots.len() as u64;
        let mut at = ((u64::from(fingerprint[0]) * length) >> 32) as usize;
        while self.slots[at].row != 0 && self.slots[at].fingerprint != fingerprint {
            at = if at + 1 == self.slots.len() {
                0
            } else {
                at + 1
            };
        }
        at
    }

    fn first_row(&mut self, fingerprint: [u32; 3], row: u32) -> Option<u32> {
        if self.taken * 100 >= self.slots.len() * FULL_PERCENT {
            self.grow();
        }
        let at = self.place(fingerprint);
        let found = self.slots[at].row;
        if found != 0 {
            return Some(found);
        }
        self.slots[at] = Slot { fingerprint, row };
        self.taken += 1;
        None
    }

    fn grow(&mut self) {
        let length = (self.slots.len() * 5 / 4).max(SMALLEST);
        let old = std::mem::replace(&mut self.slots, vec![FREE; length]);
        for slot in old.into_iter().filter(|slot| slot.row != 0) {
            let at = self.place(slot.fingerprint);
            self.slots[at] = slot;
        }
    }
}

pub(super) struct Seen {
    tables: Vec<Table>,
}

impl Seen {
    pub(super) fn new() -> Self {
        Self {
            tables: (0..TABLES).map(|_| Table::default()).collect(),
        }
    }

    /// The row that named this id before, or `None` after noting that `row` is the first.
    pub(super) fn first_row(&mut self, id: &ExternalId, row: u32) -> Option<u32> {
        let digest = Sha256::digest(id.as_str().as_bytes());
        let word = |at: usize| {
            u32::from_be_bytes([digest[at], digest[at + 1], digest[at + 2], digest[at + 3]])
        };
        let table = usize::from(digest[12]) % TABLES;
        self.tables[table].first_row([word(0), word(4), word(8)], row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u32) -> ExternalId {
        ExternalId::try_new(&format!("customer-{number}")).expect("valid")
    }

    #[test]
    fn every_repeat_names_its_first_row_and_nothing_else_is_one() {
        let mut seen = Seen::new();
        for number in 1..=200_000 {
            assert_eq!(seen.first_row(&id(number), number), None);
        }
        for number in (1..=200_000).rev() {
            assert_eq!(seen.first_row(&id(number), 900_000), Some(number));
        }
        assert_eq!(seen.first_row(&id(200_001), 200_001), None);
    }

    #[test]
    fn a_row_costs_at_most_twenty_four_bytes() {
        let mut seen = Seen::new();
        for number in 1..=400_000_usize {
            seen.first_row(&id(u32::try_from(number).expect("small")), 1);
            if number >= 50_000 && number.is_multiple_of(1000) {
                let slots: usize = seen.tables.iter().map(|table| table.slots.capacity()).sum();
                let bytes = slots * size_of::<Slot>();
                assert!(bytes <= 24 * number, "{bytes} bytes for {number} rows");
            }
        }
    }

    #[test]
    fn fingerprints_that_want_one_place_are_told_apart() {
        let mut table = Table::default();
        let all: Vec<[u32; 3]> = (0..1000).map(|low| [u32::MAX, 7, low]).collect();
        for (row, fingerprint) in (1..).zip(&all) {
            assert_eq!(table.first_row(*fingerprint, row), None);
        }
        for (row, fingerprint) in (1..).zip(&all) {
            assert_eq!(table.first_row(*fingerprint, 5000), Some(row));
        }
    }
}
