use super::*;

use k256::AffinePoint;

/// No index is known whose I_L reaches the group order (BIP-32), so the scalar is put in by hand.
#[test]
fn a_scalar_that_reaches_the_group_order_is_refused_and_names_its_lane() {
    let deriver = Deriver::new();
    let generator = affine(&AffinePoint::GENERATOR).expect("not infinity");
    let mut out = Points::default();
    let mut below = ORDER;
    below[31] -= 2;
    for refused in [ORDER, [0xff; 32]] {
        let scalars = [below, [1; 32], refused];
        let result = deriver.add_scalars(Start::Same(generator), &scalars, &mut out);
        assert_eq!(result, Err(2));
    }
    let result = deriver.add_scalars(Start::Same(generator), &[below], &mut out);
    assert_eq!(result, Ok(()));
    // G + (n − 2)G = −G, whose x is that of G.
    assert_eq!(from_bytes(&out.xs[0]), generator.x);
}

#[test]
fn one_deriver_serves_all_threads() {
    fn shareable<T: Send + Sync>() {}
    shareable::<Deriver>();
}

mod flips;
