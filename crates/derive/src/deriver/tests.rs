use k256::AffinePoint;

use super::*;

/// No index is known whose I_L reaches the group order (BIP-32), so the scalar is put in by hand.
#[test]
fn a_scalar_that_reaches_the_group_order_is_refused_and_names_its_lane() {
    let deriver = Deriver::new();
    let generator = Point::from_affine(&AffinePoint::GENERATOR).expect("not infinity");
    let mut below = ORDER;
    below[31] -= 2;
    for refused in [ORDER, [0xff; 32]] {
        let mut lanes = Lanes::of(vec![generator; 3], vec![below, [1; 32], refused]);
        assert_eq!(deriver.add_scalars(&mut lanes), Err(2));
    }
    let mut lanes = Lanes::of(vec![generator], vec![below]);
    assert_eq!(deriver.add_scalars(&mut lanes), Ok(()));
    // G + (n − 2)G = −G, whose x is that of G.
    assert_eq!(lanes.points[0].x.to_bytes(), generator.x.to_bytes());
}

#[test]
fn one_deriver_serves_all_threads() {
    fn shareable<T: Send + Sync>() {}
    shareable::<Deriver>();
}
