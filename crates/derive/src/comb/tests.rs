use k256::elliptic_curve::Field as _;
use k256::elliptic_curve::ops::Reduce;
use proptest::prelude::*;

use super::*;

fn scalar_bytes(scalar: Scalar) -> [u8; 32] {
    scalar.to_bytes().into()
}

fn point(scalar: Scalar) -> Point {
    Point::from_affine(&(ProjectivePoint::GENERATOR * scalar).to_affine()).expect("not zero")
}

/// Adds by the comb and compares every lane with `k256`'s own arithmetic.
fn check(comb: &Comb, work: &[(Scalar, Scalar)]) {
    let mut lanes = Lanes::of(
        work.iter().map(|(start, _)| point(*start)).collect(),
        work.iter()
            .map(|(_, scalar)| scalar_bytes(*scalar))
            .collect(),
    );
    assert_eq!(comb.add_multiples(&mut lanes), Ok(()));
    for ((start, scalar), found) in work.iter().zip(&lanes.points) {
        assert!(point(*start + *scalar).to_projective() == found.to_projective());
    }
}

#[test]
fn sums_are_those_of_plain_arithmetic_also_where_points_meet() {
    let comb = Comb::new();
    let small = |n: u64| Scalar::from(n);
    check(
        &comb,
        &[
            (small(5), small(5)),
            (small(5), small(6)),
            (small(7), Scalar::ZERO),
            (small(1), -small(2)),
            (small(1), small(512)),
            (small(512), small(512)),
            (small(513), small(513)),
            (small(3), small(1023)),
            (small(3), small(1024) * small(1 << 50)),
            (-small(1), -small(1)),
            (-small(5), small(5) + small(1024)),
            (small(1), -small(3)),
        ],
    );
}

#[test]
fn a_sum_at_infinity_is_an_error_and_names_its_lane() {
    let comb = Comb::new();
    let five = Scalar::from(5_u64);
    let mut lanes = Lanes::of(
        vec![point(five); 3],
        vec![
            scalar_bytes(five),
            scalar_bytes(-five),
            scalar_bytes(Scalar::ONE),
        ],
    );
    assert_eq!(comb.add_multiples(&mut lanes), Err(1));
}

#[test]
fn digits_add_up_to_the_scalar() {
    let check = |scalar: Scalar| {
        let radix = Scalar::from(1_u64 << WINDOW_BITS);
        let digits = signed_digits(&scalar_bytes(scalar));
        assert!(
            digits
                .iter()
                .all(|digit| usize::from(digit.unsigned_abs()) <= HALF)
        );
        let sum = digits.iter().rev().fold(Scalar::ZERO, |sum, digit| {
            let size = Scalar::from(u64::from(digit.unsigned_abs()));
            sum * radix + if *digit < 0 { -size } else { size }
        });
        assert_eq!(sum, scalar);
    };
    check(Scalar::ZERO);
    check(Scalar::ONE);
    check(-Scalar::ONE);
    for bit in 0..256 {
        check(Scalar::from(2_u64).pow_vartime([bit]));
        check(-Scalar::from(2_u64).pow_vartime([bit]));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn sums_of_random_points(work in prop::collection::vec(any::<([u8; 32], [u8; 32])>(), 1..40)) {
        let comb = COMB.get_or_init(Comb::new);
        let scalar = |bytes: &[u8; 32]| <Scalar as Reduce<k256::FieldBytes>>::reduce(&(*bytes).into());
        let work: Vec<_> = work.iter().map(|(a, b)| (scalar(a), scalar(b))).collect();
        check(comb, &work);
    }
}

static COMB: std::sync::OnceLock<Comb> = std::sync::OnceLock::new();
