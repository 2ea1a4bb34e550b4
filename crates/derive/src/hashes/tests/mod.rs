//! Known answers, and every set of instructions against the crates on all lengths of a tail.

mod known_answers;

use std::array::from_fn;

use bitcoin::hashes::{Hash, sha256, sha512};
use bitcoin::hashes::{HashEngine, Hmac, HmacEngine};
use tiny_keccak::{Hasher, Keccak};

use super::*;
use crate::{Arch, ExtendedPublicKey};

/// Bytes without a pattern: splitmix64.
struct Bytes(u64);

impl Bytes {
    fn array<const N: usize>(&mut self) -> [u8; N] {
        from_fn(|_| {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            (mixed ^ mixed >> 27)
                .wrapping_mul(0x94d0_49bb_1331_11eb)
                .to_be_bytes()[0]
        })
    }

    fn rows(&mut self, count: usize) -> Vec<[u8; 32]> {
        (0..count).map(|_| self.array()).collect()
    }
}

fn key(bytes: &mut Bytes) -> ExtendedPublicKey {
    ExtendedPublicKey {
        public_key: bytes.array(),
        chain_code: bytes.array(),
    }
}

/// Runs for each set of instructions and each length around the widths of all vectors.
fn for_all_lengths(check: impl Fn(Arch, usize)) {
    for &arch in Arch::available() {
        for len in (0..=33).chain([63, 64, 65, 200]) {
            check(arch, len);
        }
    }
}

#[test]
fn tweaks_are_those_of_the_crates() {
    let parent = key(&mut Bytes(1));
    for_all_lengths(|arch, len| {
        for first in [0, 1, 0x00ff_fff0, (1 << 31) - 200] {
            let mut found = vec![[0; 32]; len];
            ChildHmac::new(&parent).tweaks(arch, first, &mut found);
            let mut again = vec![[0; 32]; len];
            second::ChildHmac::new(&parent).tweaks(arch, first, &mut again);
            assert_eq!(found, again, "{arch:?} {len} {first}");
            for (index, found) in (first..).zip(found) {
                let mut engine = HmacEngine::<sha512::Hash>::new(&parent.chain_code);
                engine.input(&parent.public_key);
                engine.input(&index.to_be_bytes());
                let expected = Hmac::from_engine(engine).to_byte_array();
                assert_eq!(found, expected[..32], "{arch:?} {len} {index}");
            }
        }
    });
}

#[test]
fn keccak20_is_that_of_the_crates() {
    for_all_lengths(|arch, len| {
        let (xs, ys) = (Bytes(2).rows(len), Bytes(3).rows(len));
        let mut found = vec![0; 20 * len];
        keccak20(arch, &xs, &ys, &mut found);
        let mut again = vec![0; 20 * len];
        second::keccak20(arch, &xs, &ys, &mut again);
        assert_eq!(found, again, "{arch:?} {len}");
        for ((x, y), found) in xs.iter().zip(&ys).zip(found.chunks(20)) {
            let mut hash = [0; 32];
            let mut keccak = Keccak::v256();
            keccak.update(x);
            keccak.update(y);
            keccak.finalize(&mut hash);
            assert_eq!(found, &hash[12..], "{arch:?} {len}");
        }
    });
}

#[test]
fn hash160_is_that_of_the_crates() {
    for_all_lengths(|arch, len| {
        let xs = Bytes(4).rows(len);
        let odd: Vec<bool> = xs.iter().map(|x| x[7] & 1 == 1).collect();
        let mut found = vec![0; 20 * len];
        hash160(arch, &xs, &odd, &mut found);
        let mut again = vec![0; 20 * len];
        second::hash160(arch, &xs, &odd, &mut again);
        assert_eq!(found, again, "{arch:?} {len}");
        for ((x, odd), found) in xs.iter().zip(odd).zip(found.chunks(20)) {
            let mut key = [2 + u8::from(odd); 33];
            key[1..].copy_from_slice(x);
            let expected = bitcoin::hashes::hash160::Hash::hash(&key).to_byte_array();
            assert_eq!(found, expected, "{arch:?} {len}");
        }
    });
}

#[test]
fn tap_tweaks_are_those_of_the_crates() {
    for_all_lengths(|arch, len| {
        let xs = Bytes(5).rows(len);
        let mut found = vec![[0; 32]; len];
        TapTweak::new().of(arch, &xs, &mut found);
        let mut again = vec![[0; 32]; len];
        second::TapTweak::new().of(arch, &xs, &mut again);
        assert_eq!(found, again, "{arch:?} {len}");
        for (x, found) in xs.iter().zip(found) {
            let tag = sha256::Hash::hash(b"TapTweak").to_byte_array();
            let message = [tag, tag, *x].concat();
            let expected = sha256::Hash::hash(&message).to_byte_array();
            assert_eq!(found, expected, "{arch:?} {len}");
        }
    });
}
