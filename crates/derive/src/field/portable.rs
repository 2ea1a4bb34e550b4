use super::{
    Affine, FOLD, FOLD_LIMBS, Field, LIMBS, Limbs, MASK, MAX_WIDTH, Pick, TOP_MASK, multiple_of_p,
};

/// One element, in plain Rust.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Portable(pub(crate) Limbs);

/// How far above 52 bits the second limb of a weak element may reach.
const SLACK: u64 = 1 << 45;

const P2: Limbs = multiple_of_p(2);
const P6: Limbs = multiple_of_p(6);

#[inline(always)]
fn wide(a: u64, b: u64) -> u128 {
    u128::from(a) * u128::from(b)
}

#[inline(always)]
fn low(sum: u128) -> u64 {
    sum as u64 & MASK
}

/// A weak element from sums of products of equal weight, below 2¹²⁰ each. Asked for one by one, the high ones
/// first, so that few of them need a register at a time.
#[inline(always)]
fn fold_columns(column: impl Fn(usize) -> u128) -> Limbs {
    let mut high = [0; LIMBS];
    let mut carry = 0;
    for (i, limb) in high.iter_mut().enumerate().take(LIMBS - 1) {
        carry += column(i + 5);
        *limb = low(carry);
        carry >>= 52;
    }
    high[4] = carry as u64;
    let mut limbs = [0; LIMBS];
    let mut carry = 0;
    for (i, (limb, high)) in limbs.iter_mut().zip(high).enumerate() {
        carry += column(i) + wide(high, FOLD_LIMBS);
        *limb = low(carry);
        if i < 4 {
            carry >>= 52;
        }
    }
    limbs[4] = carry as u64 & TOP_MASK;
    let first = u128::from(limbs[0]) + wide((carry >> 48) as u64, FOLD);
    limbs[0] = low(first);
    limbs[1] += (first >> 52) as u64;
    limbs
}

/// Folds what lies above 2²⁵⁶ and carries, limbs below 2⁶⁰. Weak.
#[inline(always)]
fn fold(mut limbs: Limbs) -> Limbs {
    let above = limbs[4] >> 48;
    limbs[4] &= TOP_MASK;
    limbs[0] += above * FOLD;
    carry(limbs)
}

#[inline(always)]
fn carry(mut limbs: Limbs) -> Limbs {
    for i in 0..LIMBS - 1 {
        limbs[i + 1] += limbs[i] >> 52;
        limbs[i] &= MASK;
    }
    limbs
}

impl Portable {
    /// Is what its contract calls weak.
    fn is_weak(&self) -> bool {
        let [a, b, c, d, e] = self.0;
        a <= MASK && b <= MASK + SLACK && c <= MASK && d <= MASK && e <= TOP_MASK + 64
    }

    /// Can be multiplied without overflow.
    fn is_factor(&self) -> bool {
        self.0.iter().all(|limb| *limb < 1 << 56)
    }
}

impl Field for Portable {
    const WIDTH: usize = 1;

    #[inline(always)]
    fn splat(element: &Limbs) -> Self {
        Self(*element)
    }

    #[inline(always)]
    fn lane(&self, _lane: usize) -> Limbs {
        self.0
    }

    #[inline(always)]
    fn lanes(&self) -> [Limbs; MAX_WIDTH] {
        [self.0; MAX_WIDTH]
    }

    #[inline(always)]
    fn set_lane(&mut self, _lane: usize, element: &Limbs) {
        self.0 = *element;
    }

    #[inline(always)]
    fn of_lanes(lanes: &[Limbs; MAX_WIDTH]) -> Self {
        Self(lanes[0])
    }

    #[inline(always)]
    fn pick_x(table: &[Affine], picks: &[Pick]) -> Self {
        Self(unpack(&table[picks[0].at()].x))
    }

    #[inline(always)]
    fn pick_y(table: &[Affine], picks: &[Pick]) -> Self {
        let y = unpack(&table[picks[0].at()].y);
        // The sign is as good as random: a branch on it would be missed every second time.
        let flip = u64::from(picks[0].is_negative()).wrapping_neg();
        let mut limbs = y;
        for i in 0..LIMBS {
            limbs[i] ^= flip & (y[i] ^ (P2[i] - y[i]));
        }
        Self(limbs)
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        debug_assert!(self.is_factor() && other.is_factor());
        let (a, b) = (self.0, other.0);
        let product = Self(fold_columns(|k| match k {
            0 => wide(a[0], b[0]),
            1 => wide(a[0], b[1]) + wide(a[1], b[0]),
            2 => wide(a[0], b[2]) + wide(a[1], b[1]) + wide(a[2], b[0]),
            3 => wide(a[0], b[3]) + wide(a[1], b[2]) + wide(a[2], b[1]) + wide(a[3], b[0]),
            4 => {
                let outer = wide(a[0], b[4]) + wide(a[4], b[0]);
                outer + wide(a[1], b[3]) + wide(a[2], b[2]) + wide(a[3], b[1])
            }
            5 => wide(a[1], b[4]) + wide(a[2], b[3]) + wide(a[3], b[2]) + wide(a[4], b[1]),
            6 => wide(a[2], b[4]) + wide(a[3], b[3]) + wide(a[4], b[2]),
            7 => wide(a[3], b[4]) + wide(a[4], b[3]),
            _ => wide(a[4], b[4]),
        }));
        debug_assert!(product.is_weak());
        product
    }

    #[inline(always)]
    fn square(self) -> Self {
        debug_assert!(self.is_factor());
        let a = self.0;
        let (a0, a1, a3) = (2 * a[0], 2 * a[1], 2 * a[3]);
        let square = Self(fold_columns(|k| match k {
            0 => wide(a[0], a[0]),
            1 => wide(a0, a[1]),
            2 => wide(a0, a[2]) + wide(a[1], a[1]),
            3 => wide(a0, a[3]) + wide(a1, a[2]),
            4 => wide(a0, a[4]) + wide(a1, a[3]) + wide(a[2], a[2]),
            5 => wide(a1, a[4]) + wide(a[2], a3),
            6 => wide(2 * a[2], a[4]) + wide(a[3], a[3]),
            7 => wide(a3, a[4]),
            _ => wide(a[4], a[4]),
        }));
        debug_assert!(square.is_weak());
        square
    }

    #[inline(always)]
    fn difference(self, other: Self) -> Self {
        debug_assert!(other.is_weak());
        let (a, b) = (self.0, other.0);
        Self(std::array::from_fn(|i| a[i] + P2[i] - b[i]))
    }

    #[inline(always)]
    fn minus(self, other: Self) -> Self {
        debug_assert!(self.is_weak() && other.is_weak());
        Self(fold(self.difference(other).0))
    }

    #[inline(always)]
    fn minus_twice_minus(self, twice: Self, difference: Self) -> Self {
        debug_assert!(self.is_weak() && twice.is_weak());
        let (a, b, c) = (self.0, twice.0, difference.0);
        Self(fold(std::array::from_fn(|i| {
            a[i] + P6[i] - 2 * b[i] - c[i]
        })))
    }
}

/// 52-bit limbs of a canonical element.
#[inline(always)]
pub(crate) fn unpack(words: &[u64; 4]) -> Limbs {
    let [a, b, c, d] = *words;
    [
        a & MASK,
        (a >> 52 | b << 12) & MASK,
        (b >> 40 | c << 24) & MASK,
        (c >> 28 | d << 36) & MASK,
        d >> 16,
    ]
}

/// The canonical form of a weak element or a difference.
#[inline(always)]
pub(crate) fn reduce(limbs: Limbs) -> Limbs {
    // Twice, for the first carry may reach 2²⁵⁶ again.
    let limbs = fold(fold(limbs));
    let mut less_p = limbs;
    // Adding 2²⁵⁶ − p overflows 2²⁵⁶ exactly where p can be subtracted.
    less_p[0] += FOLD;
    let less_p = carry(less_p);
    if less_p[4] > TOP_MASK {
        let [a, b, c, d, e] = less_p;
        [a, b, c, d, e & TOP_MASK]
    } else {
        limbs
    }
}

/// 64-bit limbs of a canonical element.
#[inline(always)]
pub(crate) const fn pack(limbs: &Limbs) -> [u64; 4] {
    let [a, b, c, d, e] = *limbs;
    [
        a | b << 52,
        b >> 12 | c << 40,
        c >> 24 | d << 28,
        d >> 36 | e << 16,
    ]
}

/// Big-endian.
#[inline(always)]
pub(crate) fn to_bytes(words: &[u64; 4]) -> [u8; 32] {
    let mut bytes = [0; 32];
    for (bytes, word) in bytes.rchunks_exact_mut(8).zip(words) {
        bytes.copy_from_slice(&word.to_be_bytes());
    }
    bytes
}

/// Big-endian.
#[inline(always)]
pub(crate) fn from_bytes(bytes: &[u8; 32]) -> [u64; 4] {
    let mut words = [0; 4];
    for (word, bytes) in words.iter_mut().zip(bytes.rchunks_exact(8)) {
        *word = u64::from_be_bytes(bytes.try_into().expect("eight bytes"));
    }
    words
}

/// Canonical both.
pub(crate) fn negate(words: &[u64; 4]) -> [u64; 4] {
    let limbs = unpack(words);
    pack(&reduce(std::array::from_fn(|i| P2[i] - limbs[i])))
}
