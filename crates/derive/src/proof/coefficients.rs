use bitcoin::hashes::{Hash, HashEngine, sha256};
use k256::Scalar;
use k256::elliptic_curve::Field as _;

/// How coefficients of 64 bits are cut. A coefficient v stands for r = 2v + 1 − 2^(bits·places), whose digits
/// 2d + 1 − 2^bits, d being those of v, are odd: none is zero, and the sign halves the buckets.
#[derive(Clone, Copy)]
pub(super) struct Digits {
    bits: usize,
}

impl Digits {
    /// Narrower ones leave no whole vector of buckets; wider ones more buckets than a batch has points.
    pub(super) const WIDTHS: std::ops::RangeInclusive<usize> = 4..=12;

    /// Buckets of a place, of whatever width.
    pub(super) const STARTS_MAX: usize = 1 << (*Self::WIDTHS.end() - 1);

    pub(super) fn of_bits(bits: usize) -> Self {
        assert!(Self::WIDTHS.contains(&bits), "digits of {bits} bits");
        Self { bits }
    }

    /// Wider digits are fewer additions a point and more buckets to add up.
    pub(super) fn for_points(points: usize) -> Self {
        // A bucket saves one addition, and costs two and some copying.
        let cost = |bits: &usize| {
            let digits = Self { bits: *bits };
            2 * points * digits.places() + 3 * digits.buckets()
        };
        let bits = Self::WIDTHS.min_by_key(cost);
        Self::of_bits(bits.expect("a range that is not empty"))
    }

    pub(super) fn bits(self) -> usize {
        self.bits
    }

    pub(super) fn places(self) -> usize {
        64_usize.div_ceil(self.bits)
    }

    pub(super) fn buckets_of_place(self) -> usize {
        1 << (self.bits - 1)
    }

    pub(super) fn buckets(self) -> usize {
        self.places() * self.buckets_of_place()
    }

    /// What is added to 2v: 1 − 2^(bits·places).
    pub(super) fn less(self) -> Scalar {
        let power = (0..self.bits * self.places()).fold(Scalar::ONE, |power, _| power.double());
        Scalar::ONE - power
    }

    /// The bucket of one digit, and whether the point enters it negated.
    pub(super) fn bucket(self, coefficient: u64, place: usize) -> crate::field::Pick {
        let digit = (coefficient >> (place * self.bits)) as u32;
        let negative = digit >> (self.bits - 1) & 1 == 0;
        let size = self.buckets_of_place() as u32;
        let at = if negative { !digit } else { digit } & (size - 1);
        crate::field::Pick::new(place as u32 * size + at, negative)
    }
}

/// As good as random for whoever does not know `randomness`: SHA-256 of it, `purpose` and a counter.
pub(super) fn coefficients(randomness: &[u8; 32], purpose: u8, count: usize) -> Vec<u64> {
    let mut coefficients = Vec::with_capacity(count.next_multiple_of(4));
    for block in 0..count.div_ceil(4) as u64 {
        let mut engine = sha256::Hash::engine();
        engine.input(randomness);
        engine.input(&[purpose]);
        engine.input(&block.to_be_bytes());
        let hash = sha256::Hash::from_engine(engine).to_byte_array();
        let words = hash.chunks_exact(8);
        coefficients.extend(words.map(|w| u64::from_be_bytes(w.try_into().expect("eight bytes"))));
    }
    coefficients.truncate(count);
    coefficients
}
