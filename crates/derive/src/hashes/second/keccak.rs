use tiny_keccak::{Hasher, Keccak};

use super::constants::KECCAK;
use super::{Column, Columns, LANES, run};
use crate::Arch;

/// Last 20 bytes of keccak-256 over each x‖y, one behind the other in `out`.
pub(crate) fn keccak20(arch: Arch, xs: &[[u8; 32]], ys: &[[u8; 32]], out: &mut [u8]) {
    assert_eq!(xs.len(), ys.len());
    assert_eq!(20 * xs.len(), out.len());
    run(arch, Payloads { xs, ys, out });
}

struct Payloads<'a> {
    xs: &'a [[u8; 32]],
    ys: &'a [[u8; 32]],
    out: &'a mut [u8],
}

impl Columns for Payloads<'_> {
    #[inline(always)]
    fn run(self) {
        let keys = self.xs.chunks(LANES).zip(self.ys.chunks(LANES));
        for ((xs, ys), out) in keys.zip(self.out.chunks_mut(20 * LANES)) {
            let mut state = [Column([0; LANES]); 25];
            for (lane, (x, y)) in (0..LANES).rev().zip(xs.iter().zip(ys)) {
                for (column, bytes) in state.iter_mut().zip(x.chunks(8).chain(y.chunks(8))) {
                    column.0[lane] = u64::from_le_bytes(bytes.try_into().expect("eight bytes"));
                }
            }
            // Padding of the block of 136 bytes.
            state[8] = Column([0x01; LANES]);
            state[16] = Column([0x80 << 56; LANES]);
            for constants in KECCAK.rounds.as_chunks::<3>().0 {
                three_rounds(&mut state, constants);
            }
            for (lane, payload) in (0..LANES).rev().zip(out.chunks_exact_mut(20)) {
                let hash: [[u8; 8]; 3] =
                    std::array::from_fn(|i| state[i + 1].0[lane].to_le_bytes());
                payload.copy_from_slice(&hash.as_flattened()[4..]);
            }
        }
    }

    fn one_by_one(self) {
        let keys = self.xs.iter().zip(self.ys);
        for ((x, y), payload) in keys.zip(self.out.chunks_exact_mut(20)) {
            let mut hash = [0; 32];
            let mut keccak = Keccak::v256();
            keccak.update(x);
            keccak.update(y);
            keccak.finalize(&mut hash);
            payload.copy_from_slice(&hash[12..]);
        }
    }
}

/// Three at a time: columns are loaded and stored that much less often.
#[inline(always)]
fn three_rounds(state: &mut [Column<u64>; 25], constants: &[u64; 3]) {
    for lane in 0..LANES {
        let mut words = [0; 25];
        for (word, column) in words.iter_mut().zip(&*state) {
            *word = column.0[lane];
        }
        let words = round(words, constants[0]);
        let words = round(words, constants[1]);
        let words = round(words, constants[2]);
        for (word, column) in words.iter().zip(&mut *state) {
            column.0[lane] = *word;
        }
    }
}

/// Word x + 5y of the state is at x + 5y.
#[inline(always)]
fn round(state: [u64; 25], constant: u64) -> [u64; 25] {
    let mut sums = [0; 5];
    for (i, word) in state.iter().enumerate() {
        sums[i % 5] ^= word;
    }
    let mut moved = [0; 25];
    for y in 0..5 {
        for x in 0..5 {
            let word = state[x + 5 * y] ^ sums[(x + 4) % 5] ^ sums[(x + 1) % 5].rotate_left(1);
            moved[y + 5 * ((2 * x + 3 * y) % 5)] = word.rotate_left(KECCAK.rotations[x + 5 * y]);
        }
    }
    let mut next = [0; 25];
    for y in 0..5 {
        for x in 0..5 {
            let row = 5 * y;
            next[x + row] = moved[x + row] ^ !moved[(x + 1) % 5 + row] & moved[(x + 2) % 5 + row];
        }
    }
    next[0] ^= constant;
    next
}
