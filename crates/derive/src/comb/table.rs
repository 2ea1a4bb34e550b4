//! What the comb adds: multiples of the generator, made once.

use k256::elliptic_curve::Field as _;
use k256::elliptic_curve::point::AffineCoordinates;
use k256::{AffinePoint, ProjectivePoint, Scalar};

use super::lanes::Lanes;
use crate::Arch;
use crate::field::{Affine, Field, Pick, Work, from_bytes, run};

/// Bits of the index into a window.
const INDEX_BITS: usize = 12;
/// Points of a window.
pub(super) const ENTRIES: usize = 1 << INDEX_BITS;
/// Bits of the lowest digit, whose sign nothing is known of.
const FIRST_BITS: usize = INDEX_BITS;
/// Bits of the others: one tells the sign.
const NEXT_BITS: usize = INDEX_BITS + 1;
pub(super) const WINDOWS: usize = 1 + (256 - FIRST_BITS).div_ceil(NEXT_BITS);

/// Where the bits of a digit begin.
const fn place(window: usize) -> usize {
    match window {
        0 => 0,
        _ => FIRST_BITS + (window - 1) * NEXT_BITS,
    }
}

/// Canonical coordinates; `None` for infinity.
pub(crate) fn affine(point: &AffinePoint) -> Option<Affine> {
    if *point == AffinePoint::IDENTITY {
        return None;
    }
    Some(Affine {
        x: from_bytes(&point.x().into()),
        y: from_bytes(&point.y().into()),
    })
}

/// The point that the digits of a scalar pick at one window.
#[inline(always)]
pub(super) fn pick(scalar: &[u64; 5], window: usize) -> Pick {
    let (word, shift) = (place(window) / 64, place(window) % 64);
    let bits = scalar[word] >> shift | scalar[word + 1] << 1 << (63 - shift);
    if window == 0 {
        return Pick::new(bits as u32 % ENTRIES as u32, false);
    }
    // The digit 2v + 1 − 2¹³ of v is odd: its top bit is clear where it is negative, and then the others are
    // inverted.
    let negative = bits as u32 >> INDEX_BITS & 1 ^ 1;
    let at = (bits as u32 ^ negative.wrapping_neg()) % ENTRIES as u32;
    Pick(at << 1 | negative)
}

/// All windows, one behind the other.
///
/// Signed digits 2v + 1 − 2¹³ are never zero, so no lane ever rests; what they differ from v by is a constant,
/// which the first window's points have in them: point v of it is v·G + offset.
pub(super) fn build(arch: Arch) -> Vec<Affine> {
    struct Build;
    impl Work for Build {
        type Output = Vec<Affine>;
        #[inline(always)]
        fn run<F: Field>(self) -> Vec<Affine> {
            let bases: Vec<_> = (0..WINDOWS).map(base).collect();
            fill::<F>(&bases)
        }
    }
    run(arch, Build)
}

/// First point of a window, and the step to the next.
fn base(window: usize) -> (ProjectivePoint, ProjectivePoint) {
    let power = |bits: usize| (0..bits).fold(ProjectivePoint::GENERATOR, |point, _| point.double());
    if window == 0 {
        (
            ProjectivePoint::GENERATOR * offset(),
            ProjectivePoint::GENERATOR,
        )
    } else {
        let first = power(place(window) - 1);
        (first, first.double())
    }
}

/// Σ (2¹³ − 1)·2^(place − 1) over the windows after the first, which is a geometric series.
pub(super) fn offset() -> Scalar {
    let power = |bits: usize| (0..bits).fold(Scalar::ONE, |power, _| power.double());
    power(place(WINDOWS) - 1) - power(place(1) - 1)
}

/// Doubles the filled part of every window until all are full.
#[inline(always)]
fn fill<F: Field>(bases: &[(ProjectivePoint, ProjectivePoint)]) -> Vec<Affine> {
    let point = |point: &ProjectivePoint| affine(&point.to_affine()).expect("a small multiple");
    let mut table = vec![Affine::default(); bases.len() * ENTRIES];
    let mut steps = Vec::with_capacity(bases.len());
    for (window, (first, step)) in bases.iter().enumerate() {
        table[window * ENTRIES] = point(first);
        steps.push(*step);
    }
    let mut lanes = Lanes::<F>::with_capacity(bases.len() * ENTRIES / 2);
    let (mut picks, mut exceptional) = (Vec::new(), Vec::new());
    for level in 0..INDEX_BITS {
        let filled = 1 << level;
        let added: Vec<_> = steps.iter().map(point).collect();
        let count = bases.len() * filled;
        let block = Lanes::<F>::BLOCK;
        picks.clear();
        picks.extend(
            (0..count)
                .map(|lane| Pick::new((lane / filled * ENTRIES + lane % filled) as u32, false)),
        );
        picks.resize(count.next_multiple_of(block), Pick::default());
        lanes.start(&table, &picks);
        picks.clear();
        picks.extend((0..count).map(|lane| Pick::new((lane / filled) as u32, false)));
        picks.resize(count.next_multiple_of(block), Pick::default());
        lanes.add(&added, &picks, &mut exceptional);
        lanes.for_each(count, |lane, point| {
            table[lane / filled * ENTRIES + filled + lane % filled] = point;
        });
        steps.iter_mut().for_each(|step| *step = step.double());
    }
    assert!(exceptional.is_empty(), "the table's multiples are distinct");
    table
}

/// The logarithm of the point picked.
#[cfg(test)]
pub(super) fn multiple(pick: Pick, window: usize) -> Scalar {
    let power = |bits: usize| (0..bits).fold(Scalar::ONE, |power, _| power.double());
    let at = Scalar::from(pick.at() as u64);
    if window == 0 {
        return at + offset();
    }
    let size = (at.double() + Scalar::ONE) * power(place(window) - 1);
    if pick.is_negative() { -size } else { size }
}
