use k256::Secp256k1;
use k256::elliptic_curve::hazmat::FieldArithmetic;
use proptest::prelude::*;

use super::*;
use crate::Arch;

type Element = <Secp256k1 as FieldArithmetic>::FieldElement;

/// What `k256` makes of an element in whatever form.
fn element(limbs: &Limbs) -> Element {
    let radix = Element::from_u64(1 << 52);
    limbs.iter().rev().fold(Element::ZERO, |sum, limb| {
        let limb = Element::from_u64(*limb);
        (sum * radix + limb).normalize()
    })
}

fn limbs(element: Element) -> Limbs {
    unpack(&from_bytes(&element.normalize().to_bytes().into()))
}

/// Two vectors' worth of operands through every operation, compared lane by lane.
struct Operations<'a>(&'a [(Limbs, Limbs)]);

impl Work for Operations<'_> {
    type Output = ();

    #[inline(always)]
    fn run<F: Field>(self) {
        // By how much a weak limb may exceed its bits.
        let slack = match F::WIDTH {
            8 => 0,
            4 => 1 << 48,
            _ => 1 << 45,
        };
        for operands in self.0.chunks(F::WIDTH) {
            let (mut a, mut b) = (F::splat(&operands[0].0), F::splat(&operands[0].1));
            for (lane, (left, right)) in operands.iter().enumerate() {
                a.set_lane(lane, left);
                b.set_lane(lane, right);
            }
            let difference = a.difference(b);
            let wide = b.difference(a).mul(difference);
            let results = [
                a.mul(b),
                a.square(),
                a.minus(b),
                a.minus_twice_minus(b, difference),
                difference.square(),
                wide,
                wide.minus(wide).mul(a),
            ];
            for (lane, (left, right)) in operands.iter().enumerate() {
                let (x, y) = (element(left), element(right));
                let d = (x + y.negate(1)).normalize();
                let expected = [
                    x * y,
                    x.square(),
                    d,
                    d + (y + d).negate(2),
                    d.square(),
                    d.square().negate(1),
                    Element::ZERO,
                ];
                assert_eq!(reduce(difference.lane(lane)), limbs(d), "difference");
                for (which, (found, expected)) in results.iter().zip(expected).enumerate() {
                    let found = found.lane(lane);
                    assert_eq!(
                        reduce(found),
                        limbs(expected),
                        "operation {which} of {left:x?} and {right:x?}"
                    );
                    assert!(
                        found.iter().all(|limb| *limb <= MASK + slack),
                        "operation {which} leaves a limb that a multiplier would cut"
                    );
                }
            }
        }
    }
}

fn check(operands: &[(Limbs, Limbs)]) {
    for arch in Arch::available() {
        run(*arch, Operations(operands));
    }
}

/// Weak elements where carries run furthest: around 0, p and 2²⁵⁶, and with all bits of single limbs set.
fn edges() -> Vec<Limbs> {
    let mut edges = vec![[0; 5], [1, 0, 0, 0, 0], [FOLD, 0, 0, 0, 0], P];
    let [a, b, c, d, e] = P;
    edges.extend([[a - 1, b, c, d, e], [a + 1, b, c, d, e]]);
    edges.extend([
        [MASK, b, c, d, e],
        [MASK, b, c, d, e + 1],
        [0, 0, 0, 0, e + 1],
        [MASK, b, c, d, e + 8],
    ]);
    for limb in 0..4 {
        let mut only = [0; 5];
        only[limb] = MASK;
        let mut but = P;
        but[limb] = 0;
        edges.extend([only, but]);
    }
    edges
}

#[test]
fn edges_agree_with_plain_arithmetic() {
    let edges = edges();
    let pairs: Vec<_> = (edges.iter())
        .flat_map(|a| edges.iter().map(|b| (*a, *b)))
        .collect();
    check(&pairs);
}

#[test]
fn the_canonical_form_is_below_p() {
    for edge in edges() {
        assert_eq!(reduce(edge), limbs(element(&edge)), "{edge:x?}");
        let words = pack(&reduce(edge));
        assert_eq!(unpack(&words), reduce(edge));
        assert_eq!(from_bytes(&to_bytes(&words)), words);
        assert_eq!(unpack(&negate(&words)), limbs(element(&edge).negate(1)));
    }
    // A value that reaches 2²⁵⁶ only by the carry out of its lower limbs.
    assert_eq!(
        reduce([MASK + FOLD, MASK, MASK, MASK, TOP_MASK]),
        limbs(element(&[MASK + FOLD, MASK, MASK, MASK, TOP_MASK]))
    );
}

#[test]
fn inverses_and_none_of_zero() {
    for edge in edges() {
        match invert(edge) {
            None => assert_eq!(reduce(edge), [0; 5]),
            Some(inverse) => {
                let one = Portable(inverse).mul(Portable(edge));
                assert_eq!(reduce(one.0), [1, 0, 0, 0, 0]);
            }
        }
    }
}

#[test]
fn picked_points_come_in_the_order_of_their_picks() {
    struct Picks<'a>(&'a [Affine], &'a [Pick]);
    impl Work for Picks<'_> {
        type Output = ();
        #[inline(always)]
        fn run<F: Field>(self) {
            for picks in self.1.chunks_exact(F::WIDTH) {
                let (x, y) = (F::pick_x(self.0, picks), F::pick_y(self.0, picks));
                for (lane, pick) in picks.iter().enumerate() {
                    let point = self.0[pick.at()];
                    assert_eq!(pack(&x.lane(lane)), point.x);
                    let y = pack(&reduce(y.lane(lane)));
                    assert_eq!(
                        y,
                        if pick.is_negative() {
                            negate(&point.y)
                        } else {
                            point.y
                        }
                    );
                }
            }
        }
    }
    let word = |i: u64| i.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let table: Vec<_> = (0..50)
        .map(|i| Affine {
            x: std::array::from_fn(|j| word(i * 8 + j as u64)),
            y: std::array::from_fn(|j| word(i * 8 + 4 + j as u64)),
        })
        .collect();
    let picks: Vec<_> = (0..64)
        .map(|i| Pick::new(i * 37 % 50, i % 3 == 0))
        .collect();
    for arch in Arch::available() {
        run(*arch, Picks(&table, &picks));
    }
}

prop_compose! {
    fn weak()(limbs in [0..=MASK, 0..=MASK, 0..=MASK, 0..=MASK, 0..=TOP_MASK + 8]) -> Limbs { limbs }
}

proptest! {
    #[test]
    fn random_elements_agree_with_plain_arithmetic(operands in prop::collection::vec((weak(), weak()), 8..24)) {
        check(&operands);
    }
}
