//! RIPEMD-160 of one block ([Dobbertin, Bosselaers, Preneel](https://homes.esat.kuleuven.be/~bosselae/ripemd160.html)),
//! one message in each lane.

use super::words::{Isa, Words, unrolled};

const INITIAL: [u32; 5] = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0];

/// One of the two lines: which word enters each step, by how much it is rotated, what is added in a round.
struct Line {
    order: [[usize; 16]; 5],
    rotations: [[u32; 16]; 5],
    constants: [u32; 5],
}

const LEFT: Line = Line {
    order: [
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
        [7, 4, 13, 1, 10, 6, 15, 3, 12, 0, 9, 5, 2, 14, 11, 8],
        [3, 10, 14, 4, 9, 15, 8, 1, 2, 7, 0, 6, 13, 11, 5, 12],
        [1, 9, 11, 10, 0, 8, 12, 4, 13, 3, 7, 15, 14, 5, 6, 2],
        [4, 0, 5, 9, 7, 12, 2, 10, 14, 1, 3, 8, 11, 6, 15, 13],
    ],
    rotations: [
        [11, 14, 15, 12, 5, 8, 7, 9, 11, 13, 14, 15, 6, 7, 9, 8],
        [7, 6, 8, 13, 11, 9, 7, 15, 7, 12, 15, 9, 11, 7, 13, 12],
        [11, 13, 6, 7, 14, 9, 13, 15, 14, 8, 13, 6, 5, 12, 7, 5],
        [11, 12, 14, 15, 14, 15, 9, 8, 9, 14, 5, 6, 8, 6, 5, 12],
        [9, 15, 5, 11, 6, 8, 13, 12, 5, 12, 13, 14, 11, 8, 5, 6],
    ],
    constants: [0, 0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xa953fd4e],
};

const RIGHT: Line = Line {
    order: [
        [5, 14, 7, 0, 9, 2, 11, 4, 13, 6, 15, 8, 1, 10, 3, 12],
        [6, 11, 3, 7, 0, 13, 5, 10, 14, 15, 8, 12, 4, 9, 1, 2],
        [15, 5, 1, 3, 7, 14, 6, 9, 11, 8, 12, 2, 10, 0, 4, 13],
        [8, 6, 4, 1, 3, 11, 15, 0, 5, 12, 2, 13, 9, 7, 10, 14],
        [12, 15, 10, 4, 1, 5, 8, 7, 6, 2, 13, 14, 0, 3, 9, 11],
    ],
    rotations: [
        [8, 9, 9, 11, 13, 15, 15, 5, 7, 7, 8, 11, 14, 14, 12, 6],
        [9, 13, 15, 7, 12, 8, 9, 11, 7, 7, 12, 7, 6, 15, 13, 11],
        [9, 7, 15, 11, 8, 6, 6, 14, 12, 13, 5, 14, 13, 13, 7, 5],
        [15, 5, 8, 11, 14, 14, 6, 14, 6, 9, 12, 9, 12, 5, 15, 8],
        [8, 5, 12, 9, 12, 5, 14, 6, 8, 13, 6, 5, 15, 13, 11, 11],
    ],
    constants: [0x50a28be6, 0x5c4dd124, 0x6d703ef3, 0x7a6d76e9, 0],
};

/// The hash, of little-endian words, of messages whose padded form is this one block.
#[inline(always)]
pub(super) fn hash<I: Isa>(isa: I, words: &[I::U32; 16]) -> [I::U32; 5] {
    let start = INITIAL.map(|word| isa.splat32(word));
    let (mut left, mut right) = (start, start);
    // Both lines side by side: each alone is one long chain of dependent steps.
    both_lines::<I, 0>(isa, words, &mut left, &mut right);
    both_lines::<I, 1>(isa, words, &mut left, &mut right);
    both_lines::<I, 2>(isa, words, &mut left, &mut right);
    both_lines::<I, 3>(isa, words, &mut left, &mut right);
    both_lines::<I, 4>(isa, words, &mut left, &mut right);
    std::array::from_fn(|i| {
        start[(i + 1) % 5]
            .add(left[(i + 2) % 5])
            .add(right[(i + 3) % 5])
    })
}

#[inline(always)]
fn both_lines<I: Isa, const ROUND: usize>(
    isa: I,
    words: &[I::U32; 16],
    left: &mut [I::U32; 5],
    right: &mut [I::U32; 5],
) {
    let constants = [LEFT, RIGHT].map(|line| isa.splat32(line.constants[ROUND]));
    unrolled!(T in 0..16 {
        let word = words[const { LEFT.order[ROUND][T] }].add(constants[0]);
        *left = step(*left, mix(ROUND, *left), word, const { LEFT.rotations[ROUND][T] });
        let word = words[const { RIGHT.order[ROUND][T] }].add(constants[1]);
        *right = step(*right, mix(4 - ROUND, *right), word, const { RIGHT.rotations[ROUND][T] });
    });
}

#[inline(always)]
fn step<W: Words>([a, b, c, d, e]: [W; 5], mixed: W, word: W, rotation: u32) -> [W; 5] {
    let sum = a.add(word).add(mixed).rotate_left(rotation).add(e);
    [e, sum, b, c.rotate_left(10), d]
}

/// The function of b, c and d in one round of the left line; the right line has them in reverse.
#[inline(always)]
fn mix<W: Words>(round: usize, [_, b, c, d, _]: [W; 5]) -> W {
    match round {
        0 => b.xor3(c, d),
        1 => b.choose(c, d),
        2 => d.xor_or_not(b, c),
        3 => d.choose(b, c),
        _ => b.xor_or_not(c, d),
    }
}
