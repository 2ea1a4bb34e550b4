use bitcoin::hashes::{Hash, hash160 as by_crate};

use super::constants::SHA2;
use super::sha2::sha256::compress;
use super::{Column, Columns, LANES, ripemd160, run};
use crate::Arch;

/// RIPEMD-160 of SHA-256 of each compressed key, 20 bytes each, one behind the other in `out`.
pub(crate) fn hash160(arch: Arch, xs: &[[u8; 32]], y_odd: &[bool], out: &mut [u8]) {
    assert_eq!(xs.len(), y_odd.len());
    assert_eq!(20 * xs.len(), out.len());
    run(arch, Payloads { xs, y_odd, out });
}

struct Payloads<'a> {
    xs: &'a [[u8; 32]],
    y_odd: &'a [bool],
    out: &'a mut [u8],
}

fn compressed(x: &[u8; 32], y_odd: bool) -> [u8; 33] {
    let mut key = [if y_odd { 3 } else { 2 }; 33];
    key[1..].copy_from_slice(x);
    key
}

impl Columns for Payloads<'_> {
    #[inline(always)]
    fn run(self) {
        let keys = self.xs.chunks(LANES).zip(self.y_odd.chunks(LANES));
        for ((xs, y_odd), out) in keys.zip(self.out.chunks_mut(20 * LANES)) {
            let mut block = [Column([0; LANES]); 9];
            for (lane, (x, y_odd)) in (0..LANES).rev().zip(xs.iter().zip(y_odd)) {
                let mut bytes = [0; 36];
                bytes[..33].copy_from_slice(&compressed(x, *y_odd));
                bytes[33] = 0x80;
                for (column, bytes) in block.iter_mut().zip(bytes.as_chunks::<4>().0) {
                    column.0[lane] = u32::from_be_bytes(*bytes);
                }
            }
            let mut sha = SHA2.start32.map(|word| Column([word; LANES]));
            compress(&SHA2.rounds32, &mut sha, |word, lane| match word {
                0..9 => block[word].0[lane],
                15 => 8 * 33,
                _ => 0,
            });

            let mut block = [Column([0; LANES]); 16];
            for lane in 0..LANES {
                for (word, sha) in block.iter_mut().zip(&sha) {
                    word.0[lane] = sha.0[lane].swap_bytes();
                }
            }
            block[8] = Column([0x80; LANES]);
            block[14] = Column([8 * 32; LANES]);
            let hash = ripemd160::hash(&block);
            for (lane, payload) in (0..LANES).rev().zip(out.chunks_exact_mut(20)) {
                for (bytes, column) in payload.chunks_exact_mut(4).zip(&hash) {
                    bytes.copy_from_slice(&column.0[lane].to_le_bytes());
                }
            }
        }
    }

    fn one_by_one(self) {
        let keys = self.xs.iter().zip(self.y_odd);
        for ((x, y_odd), payload) in keys.zip(self.out.chunks_exact_mut(20)) {
            let hash = by_crate::Hash::hash(&compressed(x, *y_odd));
            payload.copy_from_slice(hash.as_byte_array());
        }
    }
}
