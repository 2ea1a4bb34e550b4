//! RIPEMD-160 of one block over columns: a round of one line at a time, on all keys.

use super::constants::{Line, RIPEMD160};
use super::{Column, LANES, sixteen_times};

const START: [u32; 5] = [
    u32::from_le_bytes([0x01, 0x23, 0x45, 0x67]),
    u32::from_le_bytes([0x89, 0xab, 0xcd, 0xef]),
    u32::from_le_bytes([0xfe, 0xdc, 0xba, 0x98]),
    u32::from_le_bytes([0x76, 0x54, 0x32, 0x10]),
    u32::from_le_bytes([0xf0, 0xe1, 0xd2, 0xc3]),
];

/// The hash, of little-endian words, of messages whose padded form is this one block.
#[inline(always)]
pub(super) fn hash(words: &[Column<u32>; 16]) -> [Column<u32>; 5] {
    let (left, right) = (&RIPEMD160.left, &RIPEMD160.right);
    let mut lines = [START.map(|word| Column([word; LANES])); 2];
    let [one, two] = &mut lines;
    round::<0>(left, 0, words, one);
    round::<1>(left, 1, words, one);
    round::<2>(left, 2, words, one);
    round::<3>(left, 3, words, one);
    round::<4>(left, 4, words, one);
    round::<4>(right, 0, words, two);
    round::<3>(right, 1, words, two);
    round::<2>(right, 2, words, two);
    round::<1>(right, 3, words, two);
    round::<0>(right, 4, words, two);
    let mut sums = [Column([0; LANES]); 5];
    for lane in 0..LANES {
        for i in 0..5 {
            let start = START[(i + 1) % 5];
            sums[i].0[lane] = start
                .wrapping_add(one[(i + 2) % 5].0[lane])
                .wrapping_add(two[(i + 3) % 5].0[lane]);
        }
    }
    sums
}

/// With one of the five functions; the right line takes them from the last to the first.
#[inline(always)]
fn round<const FUNCTION: usize>(
    line: &Line,
    number: usize,
    words: &[Column<u32>; 16],
    state: &mut [Column<u32>; 5],
) {
    // A copy in the order of the steps: the compiler makes no vectors of words at places it does not know.
    let words = line.order[number].map(|word| words[word]);
    let rotations = &line.rotations[number];
    let constant = line.constants[number];
    for lane in 0..LANES {
        let [mut a, mut b, mut c, mut d, mut e] = [0, 1, 2, 3, 4].map(|i: usize| state[i].0[lane]);
        sixteen_times!(T {
            let mixed = match FUNCTION {
                0 => b ^ c ^ d,
                1 => d ^ b & (c ^ d),
                2 => (b | !c) ^ d,
                3 => c ^ d & (b ^ c),
                _ => b ^ (c | !d),
            };
            let sum = a
                .wrapping_add(mixed)
                .wrapping_add(words[T].0[lane])
                .wrapping_add(constant)
                .rotate_left(rotations[T])
                .wrapping_add(e);
            (a, b, c, d, e) = (e, sum, b, c.rotate_left(10), d);
        });
        for (i, word) in [a, b, c, d, e].into_iter().enumerate() {
            state[i].0[lane] = word;
        }
    }
}
