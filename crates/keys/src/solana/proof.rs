//! The proof that every key of a chunk is the right one, at a fraction of deriving it again.
//!
//! Given the encoded keys, hints by whoever derived them, and the scalars a′ᵢ by the second
//! implementation (`ring`), it establishes for every i that the text is the one encoding of aᵢ·B:
//!
//! 1. The text's y is canonical, and the hint's x has the sign that the text says: text and point Pᵢ are
//!    one-to-one.
//! 2. The hints' first point Gᵢ satisfies the curve's equation, and Gᵢ → 2Gᵢ → 4Gᵢ → 8Gᵢ = Pᵢ are doublings.
//!    So Pᵢ is a point of the curve and, as a multiple of eight, of the subgroup of prime order l: a wrong key
//!    cannot hide in the cofactor.
//! 3. Σ rᵢ·Pᵢ = (Σ rᵢ·a′ᵢ)·B with fresh rᵢ of 128 bits from the operating system. In a group of prime order a
//!    single wrong Pᵢ leaves at most one of the 2¹²⁸ values of its rᵢ that hides it.
//!
//! The left side is computed by the portable arithmetic of this module, the right one and the scalars by
//! `ring` and `curve25519-dalek` in constant time; neither shares code with the lanes that made the keys.
//! Deliberately not here: a verdict on which key is wrong; the slow way tells that.
//! Cost: some 20 point additions and 19 multiplications of the field a key.

use curve25519_dalek::EdwardsPoint;
use curve25519_dalek::scalar::{Scalar, clamp_integer};
use zeroize::{Zeroize, Zeroizing};

use super::Child;
use super::field::Field;
use super::point::{Affine, CURVE, Curve, Extended, Prepared};
use crate::slip10::SecondNode;

/// A random weight: sixteen signed digits to the base 256. All 2¹²⁸ of them are different numbers, and
/// smaller than the group's order, so no two are the same weight.
pub(super) type Weight = [u8; 16];

/// Whether each of `children` is the child of its number, `first` on, of `parent`.
pub(super) fn holds(
    parent: &SecondNode,
    first: u32,
    children: &[Child],
    weights: &[Weight],
) -> bool {
    let curve = &*CURVE;
    if weights.len() != children.len() {
        return false;
    }
    let points: Option<Vec<Prepared>> = children
        .iter()
        .map(|child| checked_point(child, curve).map(|point| point.prepared(curve)))
        .collect();
    let Some(points) = points else {
        return false;
    };
    let sum = weighted_sum(&points, weights, curve);
    sum.to_affine().encoded() == expected_sum(parent, first, weights)
}

/// Steps 1 and 2 above.
fn checked_point(child: &Child, curve: &Curve) -> Option<Affine> {
    let [eighth, quarter, half, whole] = child.steps;
    let coordinates = child.steps.iter().flat_map(|step| [step.x, step.y]);
    if !coordinates.into_iter().all(Field::is_small) {
        return None;
    }
    let point = Affine {
        x: whole.x,
        y: Field::from_canonical(&child.key)?,
    };
    let sign = point.x.to_bytes()[0] & 1;
    let is_right = sign == child.key[31] >> 7
        && eighth.is_on_curve(curve.d)
        && eighth.doubles_to(quarter)
        && quarter.doubles_to(half)
        && half.doubles_to(point);
    is_right.then_some(point)
}

/// By buckets, one digit of all weights after the other. Variable time, on public values.
fn weighted_sum(points: &[Prepared], weights: &[Weight], curve: &Curve) -> Extended {
    let mut sum = Extended::IDENTITY;
    let mut buckets = [Extended::IDENTITY; 129];
    for digit in (0..16).rev() {
        for _ in 0..8 {
            sum = sum.doubled(curve);
        }
        buckets.fill(Extended::IDENTITY);
        for (point, weight) in points.iter().zip(weights) {
            let value = weight[digit].cast_signed();
            if value == 0 {
                continue;
            }
            let bucket = &mut buckets[usize::from(value.unsigned_abs())];
            *bucket = if value > 0 {
                bucket.plus_prepared(point)
            } else {
                bucket.plus_prepared(&point.negated())
            };
        }
        let mut from_top = Extended::IDENTITY;
        let mut of_digit = Extended::IDENTITY;
        for bucket in buckets[1..].iter().rev() {
            from_top = from_top.plus(bucket, curve);
            of_digit = of_digit.plus(&from_top, curve);
        }
        sum = sum.plus(&of_digit, curve);
    }
    sum
}

/// The right side, encoded.
fn expected_sum(parent: &SecondNode, first: u32, weights: &[Weight]) -> [u8; 32] {
    let mut sum = Zeroizing::new(Scalar::ZERO);
    for (number, weight) in (first..).zip(weights) {
        let half = parent.child(number).child(0).digest_half();
        let scalar = Zeroizing::new(Scalar::from_bytes_mod_order(clamp_integer(*half)));
        let mut product = *scalar * scalar_of(weight);
        *sum += product;
        product.zeroize();
    }
    EdwardsPoint::mul_base(&sum).compress().to_bytes()
}

/// The number whose signed digits these are: read as unsigned ones, less 256 at the next for each negative one.
fn scalar_of(weight: &Weight) -> Scalar {
    let signs = weight.map(|digit| digit >> 7);
    Scalar::from(u128::from_le_bytes(*weight))
        - Scalar::from(u128::from_le_bytes(signs)) * Scalar::from(256_u32)
}
