//! Σ rᵢ·Kᵢ of many points by buckets, on the lanes of the comb.
//!
//! A coefficient is digits of some bits, each of which sends its point into a bucket of its place: one affine
//! addition a digit. Every bucket is a lane, and begins with the first point that it gets; buckets that get more
//! points come first, so that a round adds to a prefix of the lanes. Some places at a time are filled, as many as
//! the second-level cache holds. Then the buckets of all places are added up with their weights by halving, in
//! vectors as long as there are whole ones.
//!
//! The affine formula fails where two points share x, which honest points do for one in 2²⁴⁰ batches. Nothing is
//! concluded from a sum in which it did: all is added again by `k256`'s complete formulas.

mod plan;

use bitcoin::secp256k1::PublicKey;
use k256::elliptic_curve::point::AffineCoordinates;
use k256::elliptic_curve::sec1::ToSec1Point;
use k256::{AffinePoint, ProjectivePoint, Scalar};

use super::coefficients::Digits;
use crate::comb::{Comb, Lanes, add_pairs, vectors_of};
use crate::field::{Affine, Field, Limbs, Pick, Work, pack, reduce, run, to_bytes};
use plan::Plan;

/// How many buckets are filled at a time: some 500 KiB with their differences and products.
const FILLED_AT_ONCE: usize = 3072;

/// `None` for infinity. The points must be on the curve, and `coefficients` as many.
pub(super) fn weighted_sum(
    comb: &Comb,
    mut points: Vec<Affine>,
    coefficients: &[u64],
    digits: Digits,
) -> Option<PublicKey> {
    let count = points.len();
    let (starts, offset) = comb.distinct_points();
    points.extend(&starts[..digits.buckets_of_place()]);
    let fill = Fill {
        points: &points,
        coefficients,
        digits,
    };
    let sum = match run(comb.arch(), fill) {
        Some(filled) => {
            let sum = combine(&filled, digits)?;
            if filled.empty.is_empty() {
                sum
            } else {
                let weight = weight_of_starts(&filled.empty, digits, offset);
                sum - ProjectivePoint::GENERATOR * weight
            }
        }
        None => plainly(&points[..count], coefficients, digits)?,
    };
    PublicKey::from_slice(sum.to_affine().to_sec1_point(false).as_bytes()).ok()
}

struct Fill<'a> {
    /// Behind those to be added one for each bucket of a place, to start it with where it gets none.
    points: &'a [Affine],
    coefficients: &'a [u64],
    digits: Digits,
}

struct Filled {
    rows: Rows,
    /// Row by row.
    points: Vec<Affine>,
    /// Buckets that got no point.
    empty: Vec<u32>,
}

impl Work for Fill<'_> {
    type Output = Option<Filled>;

    /// `None` where the affine formula failed.
    #[inline(always)]
    fn run<F: Field>(self) -> Self::Output {
        let (digits, size) = (self.digits, self.digits.buckets_of_place());
        let at_once = (FILLED_AT_ONCE / size).clamp(1, digits.places());
        let mut lanes = Lanes::<F>::with_capacity(at_once * size);
        let mut buckets = vec![[[0; 5]; 2]; digits.buckets()];
        let (mut empty, mut exceptional) = (Vec::new(), Vec::new());
        for first in (0..digits.places()).step_by(at_once) {
            let places = first..digits.places().min(first + at_once);
            let plan = Plan::new(self.coefficients, digits, places);
            self.fill(&plan, &mut lanes, &mut exceptional);
            let of_places = &mut buckets[first * size..];
            lanes.for_each_weak(plan.order.len(), |lane, point| {
                of_places[plan.order[lane] as usize] = point;
            });
            let first = (first * size) as u32;
            empty.extend(plan.empty().map(|bucket| first + bucket));
        }
        let rows = Rows::new::<F>(digits);
        let points = rows.halve::<F>(&buckets, &mut lanes, &mut exceptional);
        let filled = Filled {
            rows,
            points,
            empty,
        };
        exceptional.is_empty().then_some(filled)
    }
}

impl Fill<'_> {
    #[inline(always)]
    fn fill<F: Field>(&self, plan: &Plan, lanes: &mut Lanes<F>, exceptional: &mut Vec<usize>) {
        let mut picks = Vec::with_capacity(plan.order.len() + Lanes::<F>::BLOCK);
        for round in 0..plan.rounds().max(1) {
            picks.clear();
            picks.extend_from_slice(plan.picks(round));
            if round == 0 {
                let size = self.digits.buckets_of_place();
                let first_start = self.coefficients.len();
                picks.extend(plan.empty().map(|bucket| {
                    let at = first_start + bucket as usize % size;
                    Pick::new(at as u32, false)
                }));
                let whole = picks.len().next_multiple_of(Lanes::<F>::BLOCK);
                picks.resize(whole, Pick::default());
                lanes.start(self.points, &picks);
            } else {
                lanes.add_to_first(self.points, &mut picks, exceptional);
            }
        }
    }
}

/// What is left of the buckets when whole vectors have been added up: of each place the sum of its vectors, and
/// for each bit of a vector's number the sum of those whose number has it. A row is a vector's lanes.
///
/// Buckets of a place have the weights 2b + 1. The upper half is added to the lower, again and again, which leaves
/// at 0 the sum of all, and at 2ᵏ.. 2ᵏ⁺¹ what has bit k in its b; those are then summed to 2ᵏ.
struct Rows {
    places: usize,
    /// Vectors of a place, a power of two.
    vectors: usize,
    width: usize,
}

impl Rows {
    fn new<F: Field>(digits: Digits) -> Self {
        Self {
            places: digits.places(),
            vectors: digits.buckets_of_place() / F::WIDTH,
            width: F::WIDTH,
        }
    }

    fn of_place(&self) -> usize {
        1 + self.vectors.ilog2() as usize
    }

    /// Where in a place the sum with the weight 2 to the power of `bit` is.
    fn place_of(&self, bit: usize) -> usize {
        match bit.checked_sub(self.width.ilog2() as usize) {
            None | Some(0) => 1 << bit >> 1,
            Some(row) => row * self.width,
        }
    }

    /// For each place its rows; the first lane of each has the sum, but in the first row the lanes at powers of two
    /// have those of the bits of a lane's number.
    #[inline(always)]
    fn halve<F: Field>(
        &self,
        buckets: &[[Limbs; 2]],
        lanes: &mut Lanes<F>,
        exceptional: &mut Vec<usize>,
    ) -> Vec<Affine> {
        let mut vectors = vectors_of::<F>(buckets);
        for pairs in halvings(self.places, self.vectors, 1) {
            lanes.add_vectors(&mut vectors, &pairs, exceptional);
        }
        let mut rows = Vec::with_capacity(self.places * self.of_place() * self.width);
        for place in 0..self.places {
            let bits = (0..self.vectors.ilog2()).map(|bit| 1 << bit);
            for vector in std::iter::once(0).chain(bits) {
                let (x, y) = &vectors[place * self.vectors + vector];
                let points = x.lanes().into_iter().zip(y.lanes()).take(self.width);
                rows.extend(points.map(|(x, y)| Affine {
                    x: pack(&reduce(x)),
                    y: pack(&reduce(y)),
                }));
            }
        }
        for pairs in halvings(self.places, self.width, self.of_place()) {
            add_pairs(&mut rows, &pairs, lanes, exceptional);
        }
        rows
    }
}

/// Rounds of additions `[a] += [b]` that halve `places` stretches of `rows` rows of `size`. Rows behind the first of
/// a stretch are only summed.
fn halvings(places: usize, size: usize, rows: usize) -> Vec<Vec<(u32, u32)>> {
    let (levels, size) = (size.ilog2(), size as u32);
    let starts = |rows| {
        (0..places as u32).flat_map(move |place| {
            (0..rows as u32).map(move |row| (place * rows as u32 + row) * size)
        })
    };
    let pair = |begin: u32, half: u32| (0..half).map(move |i| (begin + i, begin + half + i));
    let mut rounds = Vec::new();
    for bit in (0..levels).rev() {
        rounds.push(starts(rows).flat_map(|row| pair(row, 1 << bit)).collect());
    }
    // A stretch of 2ᵏ has k halvings to do; all go together.
    for done in 0..levels.saturating_sub(1) {
        let firsts = starts(rows).step_by(rows);
        let stretches = firsts.flat_map(|row| (done + 1..levels).map(move |bit| (row, bit)));
        let pairs = stretches.flat_map(|(row, bit)| pair(row + (1 << bit), 1 << (bit - done - 1)));
        rounds.push(pairs.collect());
    }
    rounds
}

/// Σ over places j of 2^(cj)·(T + Σₖ 2ᵏ⁺¹·Uₖ), from the highest bit down.
fn combine(filled: &Filled, digits: Digits) -> Option<ProjectivePoint> {
    let of_place = filled.rows.of_place() * filled.rows.width;
    let mut sum = ProjectivePoint::IDENTITY;
    for place in filled.points.chunks_exact(of_place).rev() {
        for bit in (0..digits.bits()).rev() {
            sum = sum.double() + point(&place[filled.rows.place_of(bit)])?;
        }
    }
    Some(sum)
}

/// `None` where there is none on the curve.
fn point(of: &Affine) -> Option<AffinePoint> {
    let (x, y) = (to_bytes(&of.x).into(), to_bytes(&of.y).into());
    AffinePoint::from_coordinates(&x, &y).into()
}

/// Bucket b of a place, if it is empty, started at (b + offset)·G.
fn weight_of_starts(empty: &[u32], digits: Digits, offset: Scalar) -> Scalar {
    let size = digits.buckets_of_place() as u64;
    let radix = Scalar::from(1_u64 << digits.bits());
    let mut sum = Scalar::ZERO;
    for place in (0..digits.places() as u64).rev() {
        sum *= radix;
        let buckets = empty.iter().map(|bucket| u64::from(*bucket));
        for bucket in buckets.filter(|bucket| bucket / size == place) {
            let b = bucket % size;
            sum += Scalar::from(2 * b + 1) * (Scalar::from(b) + offset);
        }
    }
    sum
}

/// The same sum by formulas that hold for all points.
fn plainly(points: &[Affine], coefficients: &[u64], digits: Digits) -> Option<ProjectivePoint> {
    let size = digits.buckets_of_place();
    let mut sum = ProjectivePoint::IDENTITY;
    for place in (0..digits.places()).rev() {
        sum = (0..digits.bits()).fold(sum, |sum, _| sum.double());
        let mut buckets = vec![ProjectivePoint::IDENTITY; size];
        for (affine, coefficient) in points.iter().zip(coefficients) {
            let bucket = digits.bucket(*coefficient, place);
            let point = point(affine)?;
            let point = if bucket.is_negative() { -point } else { point };
            buckets[bucket.at() % size] += point;
        }
        // Σ (2b + 1)·S: what is above a bucket counts twice for each step.
        let mut above = ProjectivePoint::IDENTITY;
        for bucket in buckets.iter().rev() {
            sum += above.double() + bucket;
            above += bucket;
        }
    }
    Some(sum)
}

#[cfg(test)]
mod tests;
