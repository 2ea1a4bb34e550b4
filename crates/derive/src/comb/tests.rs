use k256::elliptic_curve::Field as _;
use k256::elliptic_curve::ops::Reduce;
use proptest::prelude::*;
use std::sync::OnceLock;

use super::*;

fn combs() -> &'static [Comb] {
    static COMBS: OnceLock<Vec<Comb>> = OnceLock::new();
    COMBS.get_or_init(|| {
        Arch::available()
            .iter()
            .map(|arch| Comb::new(*arch))
            .collect()
    })
}

fn scalar_bytes(scalar: Scalar) -> [u8; 32] {
    scalar.to_bytes().into()
}

fn point(scalar: Scalar) -> Affine {
    affine(&(ProjectivePoint::GENERATOR * scalar).to_affine()).expect("not zero")
}

/// Adds by the comb, with each lane's own start and in small batches; coordinates of the sums.
fn sums(comb: &Comb, work: &[(Scalar, Scalar)]) -> Result<Vec<Affine>, usize> {
    let starts: Vec<_> = work.iter().map(|(start, _)| point(*start)).collect();
    let scalars: Vec<_> = (work.iter())
        .map(|(_, scalar)| scalar_bytes(*scalar))
        .collect();
    let (mut xs, mut ys) = (vec![[0; 32]; work.len()], vec![[0; 32]; work.len()]);
    let sums = Sums {
        start: Start::Each(&starts),
        scalars: &scalars,
        xs: &mut xs,
        ys: &mut ys,
    };
    comb.add_multiples(sums, 50)?;
    let (x, y) = (xs.iter().map(from_bytes), ys.iter().map(from_bytes));
    Ok(x.zip(y).map(|(x, y)| Affine { x, y }).collect())
}

/// Compares every lane with `k256`'s own arithmetic.
fn check(work: &[(Scalar, Scalar)]) {
    let expected: Vec<_> = (work.iter())
        .map(|(start, scalar)| point(*start + *scalar))
        .collect();
    for comb in combs() {
        let found = sums(comb, work).expect("no sum is infinity");
        let wrong = found.iter().zip(&expected).position(|(a, b)| a != b);
        assert_eq!(wrong, None, "lane of {} with {:?}", work.len(), comb.arch);
    }
}

fn small(n: u64) -> Scalar {
    Scalar::from(n)
}

#[test]
fn the_table_holds_the_same_on_every_path() {
    for comb in combs() {
        assert!(comb.table == combs()[0].table, "{:?}", comb.arch);
    }
}

#[test]
fn sums_are_those_of_plain_arithmetic_also_at_the_ends_of_digits() {
    let mut work = vec![
        (small(5), small(5)),
        (small(7), Scalar::ZERO),
        (small(1), -small(2)),
        (small(1), -small(3)),
        (-small(1), -small(1)),
        (-small(5), small(5) + small(8192)),
    ];
    for bit in 0..256 {
        let power = small(2).pow_vartime([bit]);
        work.extend([
            (small(3), power),
            (small(3), power - small(1)),
            (power, -power - small(1)),
        ]);
    }
    check(&work);
}

/// The points a lane passes are its start plus a table's point: with a start that is the same point or its
/// negative, or becomes it after a window, the affine formula fails.
#[test]
fn lanes_that_meet_a_point_of_the_table_are_computed_all_the_same() {
    let scalar = small(0x0123_4567_89ab_cdef) * small(u64::MAX) * small(0xfedc_ba98_7654_3210);
    let words = words(&scalar_bytes(scalar));
    let mut work = vec![(small(2), small(3)); 70];
    let (mut passed, mut place) = (Scalar::ZERO, 0);
    for window in 0..WINDOWS {
        let added = table::multiple(table::pick(&words, window), window);
        // start + passed = ± added
        work[place] = (added - passed, scalar);
        if window + 1 < WINDOWS {
            work[place + 1] = (-added - passed, scalar);
        }
        passed += added;
        place += 3;
    }
    assert_eq!(passed, scalar);
    check(&work);
}

#[test]
fn a_sum_at_infinity_is_an_error_and_names_its_lane() {
    let five = small(5);
    let work = [(five, five), (five, -five), (five, Scalar::ONE)];
    for comb in combs() {
        assert_eq!(sums(comb, &work), Err(1));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn sums_of_random_points(work in prop::collection::vec(any::<([u8; 32], [u8; 32])>(), 1..120)) {
        let scalar = |bytes: &[u8; 32]| <Scalar as Reduce<k256::FieldBytes>>::reduce(&(*bytes).into());
        let work: Vec<_> = work.iter().map(|(a, b)| (scalar(a), scalar(b))).collect();
        check(&work);
    }
}
