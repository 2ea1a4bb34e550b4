use k256::elliptic_curve::Field as _;
use k256::elliptic_curve::ops::Reduce;
use proptest::prelude::*;
use std::sync::OnceLock;

use super::*;
use crate::Arch;
use crate::comb::affine;

fn combs() -> &'static [Comb] {
    static COMBS: OnceLock<Vec<Comb>> = OnceLock::new();
    let new = |arch: &Arch| Comb::new(*arch);
    COMBS.get_or_init(|| Arch::available().iter().map(new).collect())
}

/// Compares with `k256`'s own arithmetic, by the points' logarithms.
fn check(work: &[(Scalar, u64)], digits: Digits) {
    let weight = |v: u64| Scalar::from(v).double() + digits.less();
    let expected: Scalar = work.iter().map(|(log, v)| *log * weight(*v)).sum();
    let expected = (ProjectivePoint::GENERATOR * expected).to_affine();
    let expected = PublicKey::from_slice(expected.to_sec1_point(false).as_bytes()).ok();
    let points: Vec<_> = (work.iter())
        .map(|(log, _)| affine(&(ProjectivePoint::GENERATOR * log).to_affine()).expect("a point"))
        .collect();
    let coefficients: Vec<_> = work.iter().map(|(_, v)| *v).collect();
    for comb in combs() {
        let found = weighted_sum(comb, points.clone(), &coefficients, digits);
        assert_eq!(found, expected, "{} points, {:?}", work.len(), comb.arch());
        let plain = plainly(&points, &coefficients, digits).expect("points of the curve");
        let plain = PublicKey::from_slice(plain.to_affine().to_sec1_point(false).as_bytes()).ok();
        assert_eq!(plain, expected, "{} points, plainly", work.len());
    }
}

/// As good as random.
fn logarithms() -> impl Iterator<Item = Scalar> {
    let factor = Scalar::from(0x9e37_79b9_7f4a_7c15_u64).square();
    std::iter::successors(Some(factor), move |log| Some(*log * factor))
}

fn coefficients() -> impl Iterator<Item = u64> {
    (1_u64..).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23))
}

#[test]
fn every_width_of_digits_gives_the_same_sum() {
    let work: Vec<_> = logarithms().zip(coefficients()).take(300).collect();
    for bits in Digits::WIDTHS {
        check(&work, Digits::of_bits(bits));
    }
}

#[test]
fn coefficients_at_the_ends_of_digits() {
    let ends = [
        0,
        1,
        u64::MAX,
        u64::MAX - 1,
        1 << 63,
        (1 << 63) - 1,
        1 << 11,
        (1 << 22) - 1,
    ];
    let work: Vec<_> = logarithms().zip(ends).collect();
    for bits in [4, 8, 11] {
        check(&work, Digits::of_bits(bits));
    }
}

/// Whatever meets in a bucket, or on the way from buckets to the sum: the same point twice, a point and its
/// negative, and the points that empty buckets start with.
#[test]
fn points_that_are_equal_or_opposite_are_added_all_the_same() {
    let log = logarithms().next().expect("endless");
    let same = |v: u64| (log, v);
    let opposite = |v: u64| (-log, v);
    let digits = Digits::of_bits(6);
    check(&[same(77); 40], digits);
    check(&[same(77), same(77)], digits);
    check(&[same(77), same(!77)], digits);
    check(&[same(77), opposite(78), same(99)], digits);
    // The sum is infinity.
    check(&[same(77), opposite(77)], digits);
    check(&[same(5), opposite(5), same(6), opposite(6)], digits);
    let (_, offset) = combs()[0].distinct_points();
    let starts = (0..64_u64).map(|at| {
        (
            offset + Scalar::from(at),
            at.wrapping_mul(0x1234_5678_9abc_def0),
        )
    });
    let starts: Vec<_> = starts.collect();
    check(&starts, digits);
    let negated: Vec<_> = starts.iter().map(|(log, v)| (-*log, *v)).collect();
    check(&negated, digits);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn sums_of_random_points(work in prop::collection::vec(any::<([u8; 32], u64)>(), 1..200)) {
        let scalar = |bytes: &[u8; 32]| <Scalar as Reduce<k256::FieldBytes>>::reduce(&(*bytes).into());
        let work: Vec<_> = work.iter().map(|(log, v)| (scalar(log), *v)).collect();
        check(&work, Digits::for_points(work.len()));
    }
}
