//! The compression function of SHA-256 ([FIPS 180-4](https://csrc.nist.gov/pubs/fips/180-4/upd1/final)),
//! one message in each lane.

use super::words::{Isa, Words, unrolled};

pub(super) const INITIAL: [u32; 8] = [
    0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
];

const ROUND_CONSTANTS: [u32; 64] = [
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
];

/// State after one block. Words of the block that are constants are folded into the code.
#[inline(always)]
pub(super) fn compress<I: Isa>(isa: I, start: [I::U32; 8], mut words: [I::U32; 16]) -> [I::U32; 8] {
    let mut state = start;
    // The first schedule stands alone, for the constants among its words.
    unrolled!(T in 0..16 {
        state = round(state, words[T].add(isa.splat32(ROUND_CONSTANTS[T])));
    });
    unrolled!(T in 0..16 {
        words[T] = expand::<I, T>(&words);
        state = round(state, words[T].add(isa.splat32(ROUND_CONSTANTS[16 + T])));
    });
    for constants in ROUND_CONSTANTS[32..].as_chunks::<16>().0 {
        unrolled!(T in 0..16 {
            words[T] = expand::<I, T>(&words);
            state = round(state, words[T].add(isa.splat32(constants[T])));
        });
    }
    std::array::from_fn(|i| state[i].add(start[i]))
}

/// Word `T` of the next sixteen, those before it being expanded already.
#[inline(always)]
fn expand<I: Isa, const T: usize>(words: &[I::U32; 16]) -> I::U32 {
    let (w2, w15) = (words[(T + 14) % 16], words[(T + 1) % 16]);
    let low = w15
        .rotate_right(7)
        .xor3(w15.rotate_right(18), w15.shift_right(3));
    let high = w2
        .rotate_right(17)
        .xor3(w2.rotate_right(19), w2.shift_right(10));
    words[T].add(low).add(words[(T + 9) % 16].add(high))
}

#[inline(always)]
fn round<W: Words>([a, b, c, d, e, f, g, h]: [W; 8], word_and_constant: W) -> [W; 8] {
    let sum1 = e
        .rotate_right(6)
        .xor3(e.rotate_right(11), e.rotate_right(25));
    let sum0 = a
        .rotate_right(2)
        .xor3(a.rotate_right(13), a.rotate_right(22));
    let t1 = h.add(word_and_constant).add(e.choose(f, g)).add(sum1);
    let t2 = sum0.add(a.majority(b, c));
    [t1.add(t2), a, b, c, d.add(t1), e, f, g]
}
