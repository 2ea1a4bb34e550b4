use sha3::{Digest, Keccak256};

use super::words::{Isa, Kernel, Words, run};
use crate::Arch;

const ROUND_CONSTANTS: [u64; 24] = [
    0x0000000000000001,
    0x0000000000008082,
    0x800000000000808a,
    0x8000000080008000,
    0x000000000000808b,
    0x0000000080000001,
    0x8000000080008081,
    0x8000000000008009,
    0x000000000000008a,
    0x0000000000000088,
    0x0000000080008009,
    0x000000008000000a,
    0x000000008000808b,
    0x800000000000008b,
    0x8000000000008089,
    0x8000000000008003,
    0x8000000000008002,
    0x8000000000000080,
    0x000000000000800a,
    0x800000008000000a,
    0x8000000080008081,
    0x8000000000008080,
    0x0000000080000001,
    0x8000000080008008,
];

/// Words of a block; the padding's first bit is in the word behind the message, its last at the block's end.
const RATE: usize = 17;
const MESSAGE: usize = 8;

/// Last 20 bytes of keccak-256 over each x‖y, one behind the other in `out`.
pub(crate) fn keccak20(arch: Arch, xs: &[[u8; 32]], ys: &[[u8; 32]], out: &mut [u8]) {
    assert!(xs.len() == ys.len() && out.len() == 20 * xs.len());
    run(arch, Keccak20 { xs, ys, out });
}

struct Keccak20<'a> {
    xs: &'a [[u8; 32]],
    ys: &'a [[u8; 32]],
    out: &'a mut [u8],
}

impl Kernel for Keccak20<'_> {
    #[inline(always)]
    fn vectors<I: Isa>(self, isa: I) {
        let lanes = I::U64::LANES;
        let xs = self.xs.chunks(lanes);
        let ys = self.ys.chunks(lanes);
        for ((xs, ys), out) in xs.zip(ys).zip(self.out.chunks_mut(20 * lanes)) {
            let mut state = [isa.splat64(0); 25];
            state[..4].copy_from_slice(&isa.load64_columns(xs));
            state[4..MESSAGE].copy_from_slice(&isa.load64_columns(ys));
            state[MESSAGE] = isa.splat64(1);
            state[RATE - 1] = isa.splat64(1 << 63);
            let state = permute(isa, state);
            let mut words = [[0; 8]; 3];
            for (words, vector) in words.iter_mut().zip(&state[1..4]) {
                vector.store(words);
            }
            for (lane, payload) in out.as_chunks_mut::<20>().0.iter_mut().enumerate() {
                payload[..4].copy_from_slice(&words[0][lane].to_le_bytes()[4..]);
                payload[4..12].copy_from_slice(&words[1][lane].to_le_bytes());
                payload[12..].copy_from_slice(&words[2][lane].to_le_bytes());
            }
        }
    }

    fn portable(self) {
        let payloads = self.out.as_chunks_mut::<20>().0;
        for ((x, y), payload) in self.xs.iter().zip(self.ys).zip(payloads) {
            let hash = Keccak256::new().chain_update(x).chain_update(y).finalize();
            payload.copy_from_slice(&hash[12..]);
        }
    }
}

/// Keccak-f\[1600\] ([FIPS 202](https://csrc.nist.gov/pubs/fips/202/final), 3.2), word x + 5y in place x + 5y.
#[inline(always)]
fn permute<I: Isa>(isa: I, state: [I::U64; 25]) -> [I::U64; 25] {
    // The first and last rounds stand alone, for the zeros that enter and the words that nobody reads.
    let [first, middle @ .., last] = &ROUND_CONSTANTS;
    let mut state = round(state, isa.splat64(*first));
    for constant in middle {
        state = round(state, isa.splat64(*constant));
    }
    round(state, isa.splat64(*last))
}

// Functions and not closures, here and in the other hashes: a closure that is not inlined is compiled without
// the vector instructions, and `#[inline(always)]` is for functions only.
#[inline(always)]
fn round<W: Words>(a: [W; 25], constant: W) -> [W; 25] {
    let c = [
        parity::<W, 0>(&a),
        parity::<W, 1>(&a),
        parity::<W, 2>(&a),
        parity::<W, 3>(&a),
        parity::<W, 4>(&a),
    ];
    let state = &(a, c);
    // Rows after the steps theta, rho and pi, then chi of each.
    let [e0, e1, e2, e3, e4] = chi([
        theta::<W, 0, 0>(state),
        theta::<W, 1, 1>(state).rotate_left(44),
        theta::<W, 2, 2>(state).rotate_left(43),
        theta::<W, 3, 3>(state).rotate_left(21),
        theta::<W, 4, 4>(state).rotate_left(14),
    ]);
    let [e5, e6, e7, e8, e9] = chi([
        theta::<W, 3, 0>(state).rotate_left(28),
        theta::<W, 4, 1>(state).rotate_left(20),
        theta::<W, 0, 2>(state).rotate_left(3),
        theta::<W, 1, 3>(state).rotate_left(45),
        theta::<W, 2, 4>(state).rotate_left(61),
    ]);
    let [e10, e11, e12, e13, e14] = chi([
        theta::<W, 1, 0>(state).rotate_left(1),
        theta::<W, 2, 1>(state).rotate_left(6),
        theta::<W, 3, 2>(state).rotate_left(25),
        theta::<W, 4, 3>(state).rotate_left(8),
        theta::<W, 0, 4>(state).rotate_left(18),
    ]);
    let [e15, e16, e17, e18, e19] = chi([
        theta::<W, 4, 0>(state).rotate_left(27),
        theta::<W, 0, 1>(state).rotate_left(36),
        theta::<W, 1, 2>(state).rotate_left(10),
        theta::<W, 2, 3>(state).rotate_left(15),
        theta::<W, 3, 4>(state).rotate_left(56),
    ]);
    let [e20, e21, e22, e23, e24] = chi([
        theta::<W, 2, 0>(state).rotate_left(62),
        theta::<W, 3, 1>(state).rotate_left(55),
        theta::<W, 4, 2>(state).rotate_left(39),
        theta::<W, 0, 3>(state).rotate_left(41),
        theta::<W, 1, 4>(state).rotate_left(2),
    ]);
    let e0 = e0.xor(constant);
    [
        e0, e1, e2, e3, e4, e5, e6, e7, e8, e9, e10, e11, e12, e13, e14, e15, e16, e17, e18, e19,
        e20, e21, e22, e23, e24,
    ]
}

#[inline(always)]
fn parity<W: Words, const X: usize>(a: &[W; 25]) -> W {
    a[X].xor3(a[X + 5], a[X + 10]).xor3(a[X + 15], a[X + 20])
}

/// One word after theta; `c` holds the parities of the columns.
#[inline(always)]
fn theta<W: Words, const X: usize, const Y: usize>((a, c): &([W; 25], [W; 5])) -> W {
    a[X + 5 * Y].xor3(c[(X + 4) % 5], c[(X + 1) % 5].rotate_left(1))
}

#[inline(always)]
fn chi<W: Words>([b0, b1, b2, b3, b4]: [W; 5]) -> [W; 5] {
    [
        b0.xor_and_not(b1, b2),
        b1.xor_and_not(b2, b3),
        b2.xor_and_not(b3, b4),
        b3.xor_and_not(b4, b0),
        b4.xor_and_not(b0, b1),
    ]
}
