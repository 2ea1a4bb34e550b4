//! Arithmetic modulo 2²⁵⁵ − 19 for public values only: the table and the proof. Not in constant time.

/// Five limbs of 51 bits, each below 2⁵²; the value may be anything congruent.
#[derive(Clone, Copy)]
pub(super) struct Field(pub(super) [u64; 5]);

const MASK: u64 = (1 << 51) - 1;
/// Four times the modulus, so that a difference of limbs never falls below zero.
const FOUR_P: [u64; 5] = [
    (1 << 53) - 76,
    (1 << 53) - 4,
    (1 << 53) - 4,
    (1 << 53) - 4,
    (1 << 53) - 4,
];

impl Field {
    pub(super) const ZERO: Self = Self([0; 5]);
    pub(super) const ONE: Self = Self([1, 0, 0, 0, 0]);

    pub(super) const fn small(value: u32) -> Self {
        Self([value as u64, 0, 0, 0, 0])
    }

    /// `None` for 2²⁵⁵ − 19 and more: one value has one text. The highest bit is not looked at.
    pub(super) fn from_canonical(bytes: &[u8; 32]) -> Option<Self> {
        let (words, _) = bytes.as_chunks::<8>();
        let word = |i: usize| u64::from_le_bytes(words[i]);
        let value = Self([
            word(0) & MASK,
            (word(0) >> 51 | word(1) << 13) & MASK,
            (word(1) >> 38 | word(2) << 26) & MASK,
            (word(2) >> 25 | word(3) << 39) & MASK,
            (word(3) >> 12) & MASK,
        ]);
        let mut again = value.to_bytes();
        again[31] |= bytes[31] & 0x80;
        (again == *bytes).then_some(value)
    }

    /// Below the modulus, little-endian.
    pub(super) fn to_bytes(self) -> [u8; 32] {
        let limbs = self.carried().carried().0;
        // One if the value, now below 2²⁵⁵ + 2¹⁰, is at least the modulus.
        let over = limbs.iter().fold(19, |carry, limb| (limb + carry) >> 51);
        let mut carry = 19 * over;
        let limbs = limbs.map(|limb| {
            let sum = limb + carry;
            carry = sum >> 51;
            sum & MASK
        });
        let words = [
            limbs[0] | limbs[1] << 51,
            limbs[1] >> 13 | limbs[2] << 38,
            limbs[2] >> 26 | limbs[3] << 25,
            limbs[3] >> 39 | limbs[4] << 12,
        ];
        let mut bytes = [0; 32];
        for (bytes, word) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(words) {
            *bytes = word.to_le_bytes();
        }
        bytes
    }

    /// Whether the limbs are as small as everything here expects them to be.
    pub(super) fn is_small(self) -> bool {
        self.0.iter().all(|limb| *limb < 1 << 52)
    }

    #[inline]
    fn carried(self) -> Self {
        let [a, b, c, d, e] = self.0;
        Self([
            (a & MASK) + 19 * (e >> 51),
            (b & MASK) + (a >> 51),
            (c & MASK) + (b >> 51),
            (d & MASK) + (c >> 51),
            (e & MASK) + (d >> 51),
        ])
    }

    #[inline]
    pub(super) fn plus(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] + other.0[i])).carried()
    }

    #[inline]
    pub(super) fn minus(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] + FOUR_P[i] - other.0[i])).carried()
    }

    #[inline]
    pub(super) fn negated(self) -> Self {
        Self::ZERO.minus(self)
    }

    #[inline]
    pub(super) fn times(self, other: Self) -> Self {
        let (a, b) = (self.0, other.0);
        let m = |x: u64, y: u64| u128::from(x) * u128::from(y);
        let b19 = b.map(|limb| limb * 19);
        reduced([
            m(a[0], b[0]) + m(a[1], b19[4]) + m(a[2], b19[3]) + m(a[3], b19[2]) + m(a[4], b19[1]),
            m(a[0], b[1]) + m(a[1], b[0]) + m(a[2], b19[4]) + m(a[3], b19[3]) + m(a[4], b19[2]),
            m(a[0], b[2]) + m(a[1], b[1]) + m(a[2], b[0]) + m(a[3], b19[4]) + m(a[4], b19[3]),
            m(a[0], b[3]) + m(a[1], b[2]) + m(a[2], b[1]) + m(a[3], b[0]) + m(a[4], b19[4]),
            m(a[0], b[4]) + m(a[1], b[3]) + m(a[2], b[2]) + m(a[3], b[1]) + m(a[4], b[0]),
        ])
    }

    #[inline]
    pub(super) fn squared(self) -> Self {
        let a = self.0;
        let m = |x: u64, y: u64| u128::from(x) * u128::from(y);
        let (a0, a1) = (2 * a[0], 2 * a[1]);
        let (a3, a4) = (19 * a[3], 19 * a[4]);
        reduced([
            m(a[0], a[0]) + 2 * (m(a[1], a4) + m(a[2], a3)),
            m(a0, a[1]) + 2 * m(a[2], a4) + m(a[3], a3),
            m(a0, a[2]) + m(a[1], a[1]) + 2 * m(a[3], a4),
            m(a0, a[3]) + m(a1, a[2]) + m(a[4], a4),
            m(a0, a[4]) + m(a1, a[3]) + m(a[2], a[2]),
        ])
    }

    fn squared_times(self, count: u32) -> Self {
        (0..count).fold(self, |value, _| value.squared())
    }

    /// The power p − 2 (Fermat); zero for zero.
    pub(super) fn inverted(self) -> Self {
        let two = self.squared();
        let nine = two.squared_times(2).times(self);
        let eleven = nine.times(two);
        let ones_5 = eleven.squared().times(nine);
        let ones_10 = ones_5.squared_times(5).times(ones_5);
        let ones_20 = ones_10.squared_times(10).times(ones_10);
        let ones_40 = ones_20.squared_times(20).times(ones_20);
        let ones_50 = ones_40.squared_times(10).times(ones_10);
        let ones_100 = ones_50.squared_times(50).times(ones_50);
        let ones_200 = ones_100.squared_times(100).times(ones_100);
        let ones_250 = ones_200.squared_times(50).times(ones_50);
        ones_250.squared_times(5).times(eleven)
    }

    pub(super) fn is(self, other: Self) -> bool {
        self.minus(other).to_bytes() == [0; 32]
    }
}

#[inline]
fn reduced(wide: [u128; 5]) -> Field {
    let mut limbs = [0; 5];
    let mut carry = 0;
    for (limb, wide) in limbs.iter_mut().zip(wide) {
        let sum = wide + carry;
        *limb = (sum as u64) & MASK;
        carry = sum >> 51;
    }
    // Below 2⁶⁰: each sum of products is below 2¹¹⁵.
    let first = u128::from(limbs[0]) + 19 * carry;
    limbs[0] = (first as u64) & MASK;
    limbs[1] += (first >> 51) as u64;
    Field(limbs)
}
