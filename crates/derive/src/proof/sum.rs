//! Σ rᵢ·Kᵢ of many points by buckets, on the lanes of the comb.
//!
//! A coefficient is digits of some bits, each of which sends its point into a bucket of its place: one affine
//! addition a digit. Every bucket is a lane; those that get more points come first, so that a round adds to a
//! prefix of the lanes. Then the buckets are added up with their weights by halving.

use bitcoin::secp256k1::PublicKey;
use k256::elliptic_curve::point::AffineCoordinates;
use k256::elliptic_curve::sec1::ToSec1Point;
use k256::{AffinePoint, ProjectivePoint, Scalar};

use super::coefficients::Digits;
use crate::comb::{Comb, Lanes, add_pairs};
use crate::field::{Affine, Field, Pick, Work, run, to_bytes};

/// `None` where the affine formula fails, which it does for no honest points, and for infinity.
pub(super) fn weighted_sum(
    comb: &Comb,
    points: &[Affine],
    coefficients: &[u64],
    digits: Digits,
) -> Option<PublicKey> {
    let (starts, offset) = comb.distinct_points();
    let buckets = run(
        comb.arch(),
        Fill {
            starts,
            points,
            coefficients,
            digits,
        },
    )?;
    let sum = combine(&buckets, digits)?;
    let sum = sum - ProjectivePoint::GENERATOR * weight_of_starts(digits, offset);
    PublicKey::from_slice(sum.to_affine().to_sec1_point(false).as_bytes()).ok()
}

struct Fill<'a> {
    starts: &'a [Affine],
    points: &'a [Affine],
    coefficients: &'a [u64],
    digits: Digits,
}

impl Work for Fill<'_> {
    type Output = Option<Vec<Affine>>;

    /// The buckets, those of the lowest digit first, after their halving; see [`combine`].
    #[inline(always)]
    fn run<F: Field>(self) -> Self::Output {
        let Self {
            starts,
            points,
            coefficients,
            digits,
        } = self;
        let plan = Plan::new(coefficients, digits);
        let mut lanes = Lanes::<F>::with_capacity(digits.buckets());
        let mut picks: Vec<_> = (plan.order.iter())
            .map(|bucket| Pick::new(*bucket, false))
            .collect();
        picks.resize(
            picks.len().next_multiple_of(Lanes::<F>::BLOCK),
            Pick::default(),
        );
        lanes.start(starts, &picks);
        let mut exceptional = Vec::new();
        for round in 0.. {
            picks.clear();
            picks.extend(
                plan.order
                    .iter()
                    .map_while(|bucket| plan.pick(*bucket, round)),
            );
            if picks.is_empty() {
                break;
            }
            lanes.add_to_first(points, &mut picks, &mut exceptional);
        }
        let mut buckets = vec![Affine::default(); digits.buckets()];
        lanes.for_each(buckets.len(), |lane, point| {
            buckets[plan.order[lane] as usize] = point;
        });
        halve::<F>(&mut buckets, digits, &mut lanes, &mut exceptional);
        exceptional.is_empty().then_some(buckets)
    }
}

/// Which points go into which bucket.
struct Plan {
    /// Bucket by bucket.
    picks: Vec<Pick>,
    /// Where the picks of each bucket begin, and one more for the end.
    begins: Vec<u32>,
    /// The buckets, the fullest first.
    order: Vec<u32>,
}

impl Plan {
    fn new(coefficients: &[u64], digits: Digits) -> Self {
        let mut begins = vec![0_u32; digits.buckets() + 1];
        for coefficient in coefficients {
            for place in 0..digits.places() {
                begins[digits.bucket(*coefficient, place).at() + 1] += 1;
            }
        }
        for bucket in 1..begins.len() {
            begins[bucket] += begins[bucket - 1];
        }
        let mut next = begins.clone();
        let mut picks = vec![Pick::default(); coefficients.len() * digits.places()];
        for (point, coefficient) in coefficients.iter().enumerate() {
            for place in 0..digits.places() {
                let bucket = digits.bucket(*coefficient, place);
                let next = &mut next[bucket.at()];
                picks[*next as usize] = Pick::new(point as u32, bucket.is_negative());
                *next += 1;
            }
        }
        let mut order: Vec<_> = (0..digits.buckets() as u32).collect();
        order.sort_by_key(|bucket| {
            let at = *bucket as usize;
            std::cmp::Reverse(begins[at + 1] - begins[at])
        });
        Self {
            picks,
            begins,
            order,
        }
    }

    #[inline(always)]
    fn pick(&self, bucket: u32, round: u32) -> Option<Pick> {
        let [begin, end] = [0, 1].map(|i| self.begins[bucket as usize + i]);
        (begin + round < end).then(|| self.picks[(begin + round) as usize])
    }
}

/// In the buckets of one place, whose weights are 2b + 1: the upper half is added to the lower, again and again,
/// which leaves at 0 the sum of all, and at 2ᵏ.. 2ᵏ⁺¹ what has bit k in its b; those are then summed to 2ᵏ.
#[inline(always)]
fn halve<F: Field>(
    buckets: &mut [Affine],
    digits: Digits,
    lanes: &mut Lanes<F>,
    exceptional: &mut Vec<usize>,
) {
    let size = digits.buckets_of_place() as u32;
    let bases = || (0..digits.places() as u32).map(|place| place * size);
    let mut pairs = Vec::new();
    for bit in (0..size.ilog2()).rev() {
        let half = 1 << bit;
        pairs.clear();
        pairs.extend(bases().flat_map(|base| (0..half).map(move |i| (base + i, base + half + i))));
        add_pairs(buckets, &pairs, lanes, exceptional);
    }
    // A stretch of 2ᵏ has k halvings to do; all stretches go together.
    for done in 0..size.ilog2() {
        pairs.clear();
        for base in bases() {
            for bit in done + 1..size.ilog2() {
                let (begin, half) = (base + (1 << bit), 1 << (bit - done - 1));
                pairs.extend((0..half).map(|i| (begin + i, begin + half + i)));
            }
        }
        if !pairs.is_empty() {
            add_pairs(buckets, &pairs, lanes, exceptional);
        }
    }
}

/// Σ over places j of 2^(cj)·(T + Σₖ 2ᵏ⁺¹·Uₖ), from the highest bit down.
fn combine(buckets: &[Affine], digits: Digits) -> Option<ProjectivePoint> {
    let (size, bits) = (digits.buckets_of_place(), digits.bits());
    let mut sum = ProjectivePoint::IDENTITY;
    for place in (0..digits.places()).rev() {
        for bit in (0..bits).rev() {
            let at = if bit == 0 { 0 } else { 1 << (bit - 1) };
            let Affine { x, y } = &buckets[place * size + at];
            let (x, y) = (to_bytes(x).into(), to_bytes(y).into());
            let point = AffinePoint::from_coordinates(&x, &y);
            sum = sum.double() + Option::<AffinePoint>::from(point)?;
        }
    }
    Some(sum)
}

/// Bucket k started at (k + offset)·G.
fn weight_of_starts(digits: Digits, offset: Scalar) -> Scalar {
    let (size, radix) = (digits.buckets_of_place() as u64, 1_u64 << digits.bits());
    let mut sum = Scalar::ZERO;
    for place in (0..digits.places() as u64).rev() {
        let of_place: u64 = (0..size).map(|b| (2 * b + 1) * (place * size + b)).sum();
        sum =
            sum * Scalar::from(radix) + Scalar::from(of_place) + offset * Scalar::from(size * size);
    }
    sum
}
