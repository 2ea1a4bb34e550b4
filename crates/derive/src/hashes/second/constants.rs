//! The constants of the hashes, from what defines them.

use std::sync::LazyLock;

use k256::U256;

pub(super) struct Sha2 {
    /// Of SHA-512. Those of SHA-256 are the upper halves of the first 64.
    pub(super) rounds64: [u64; 80],
    pub(super) rounds32: [u32; 64],
    /// Of SHA-256.
    pub(super) start32: [u32; 8],
}

pub(super) static SHA2: LazyLock<Sha2> = LazyLock::new(|| {
    let mut primes = (2..).filter(|n| (2..*n).all(|divisor| n % divisor != 0));
    let primes: [u64; 80] = std::array::from_fn(|_| primes.next().expect("primes have no end"));
    let rounds64 = primes.map(|prime| scaled_root::<3>(prime, 64) as u64);
    Sha2 {
        rounds64,
        rounds32: std::array::from_fn(|i| (rounds64[i] >> 32) as u32),
        start32: std::array::from_fn(|i| scaled_root::<2>(primes[i], 32) as u32),
    }
});

/// ⌊2^bits · n^(1/DEGREE)⌋ by bisection, with at most 64 bits.
pub(super) fn scaled_root<const DEGREE: u32>(n: u64, bits: u32) -> u128 {
    let target = U256::from_u64(n).wrapping_shl_vartime(bits * DEGREE);
    // The primes here are below 512, whose cube root is 8 and whose square root is below 32.
    let mut root = 0_u128;
    for bit in (0..bits + 5).rev() {
        let higher = U256::from_u128(root | 1 << bit);
        let power = (1..DEGREE).fold(higher, |power, _| power.wrapping_mul(&higher));
        if power <= target {
            root |= 1 << bit;
        }
    }
    root
}

pub(super) struct Keccak {
    pub(super) rounds: [u64; 24],
    /// By how much word x + 5y is rotated.
    pub(super) rotations: [u32; 25],
}

/// By the algorithms of [FIPS 202](https://csrc.nist.gov/pubs/fips/202/final), 3.2.2 and 3.2.5. By the compiler, so
/// that the rotations are part of the instructions.
pub(super) const KECCAK: Keccak = {
    let mut rounds = [0; 24];
    let mut register = 1_u8;
    let mut step = 0;
    while step < 24 * 7 {
        let bit = (register & 1) as u64;
        rounds[step / 7] |= bit << ((1_u32 << (step % 7)) - 1);
        // x⁸ + x⁶ + x⁵ + x⁴ + 1, the lowest power in the lowest bit.
        let carry = register >> 7;
        register = (register << 1) ^ (carry * 0x71);
        step += 1;
    }
    let mut rotations = [0; 25];
    let (mut x, mut y, mut step) = (1, 0, 0);
    while step < 24 {
        rotations[x + 5 * y] = (step + 1) * (step + 2) / 2 % 64;
        (x, y) = (y, (2 * x + 3 * y) % 5);
        step += 1;
    }
    Keccak { rounds, rotations }
};

pub(super) struct Ripemd160 {
    pub(super) left: Line,
    pub(super) right: Line,
}

/// The five rounds of one of the two lines.
pub(super) struct Line {
    /// Which word enters each step.
    pub(super) order: [[usize; 16]; 5],
    pub(super) rotations: [[u32; 16]; 5],
    pub(super) constants: [u32; 5],
}

/// By the definition of [RIPEMD-160](https://homes.esat.kuleuven.be/~bosselae/ripemd160.html): each round
/// permutes the order of the round before, and a rotation belongs to a word, not to a step.
pub(super) static RIPEMD160: LazyLock<Ripemd160> = LazyLock::new(|| {
    const PERMUTATION: [usize; 16] = [7, 4, 13, 1, 10, 6, 15, 3, 12, 0, 9, 5, 2, 14, 11, 8];
    const ROTATIONS_OF_WORDS: [[u32; 16]; 5] = [
        [11, 14, 15, 12, 5, 8, 7, 9, 11, 13, 14, 15, 6, 7, 9, 8],
        [12, 13, 11, 15, 6, 9, 9, 7, 12, 15, 11, 13, 7, 8, 7, 7],
        [13, 15, 14, 11, 7, 7, 6, 8, 13, 14, 13, 12, 5, 5, 6, 9],
        [14, 11, 12, 14, 8, 6, 5, 5, 15, 12, 15, 14, 9, 9, 8, 6],
        [15, 12, 13, 13, 9, 5, 8, 6, 14, 11, 12, 11, 8, 6, 5, 5],
    ];
    let line = |first: [usize; 16], constants| {
        let mut order = [first; 5];
        for round in 1..5 {
            order[round] = order[round - 1].map(|word: usize| PERMUTATION[word]);
        }
        let rotations =
            std::array::from_fn(|round| order[round].map(|word| ROTATIONS_OF_WORDS[round][word]));
        Line {
            order,
            rotations,
            constants,
        }
    };
    let [sqrt2, sqrt3, sqrt5, sqrt7] = [2, 3, 5, 7].map(|n| scaled_root::<2>(n, 30) as u32);
    let [cbrt2, cbrt3, cbrt5, cbrt7] = [2, 3, 5, 7].map(|n| scaled_root::<3>(n, 30) as u32);
    Ripemd160 {
        left: line(std::array::from_fn(|i| i), [0, sqrt2, sqrt3, sqrt5, sqrt7]),
        right: line(
            std::array::from_fn(|i| (9 * i + 5) % 16),
            [cbrt2, cbrt3, cbrt5, cbrt7, 0],
        ),
    }
});
