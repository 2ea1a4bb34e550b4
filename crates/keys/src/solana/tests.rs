use curve25519_dalek::constants::ED25519_BASEPOINT_COMPRESSED;
use curve25519_dalek::edwards::CompressedEdwardsY;
use curve25519_dalek::scalar::Scalar;
use proptest::prelude::*;

use super::point::CURVE;
use super::*;

fn parents() -> Parents {
    Parents {
        first: Node::master(&[7; 64]).child(44).child(501),
        second: SecondNode::master(&[7; 64]).child(44).child(501),
    }
}

fn has_lanes() -> bool {
    parents().in_bulk(0, BULK_MIN).is_some()
}

fn one_by_one(first: u32, count: usize) -> Vec<[u8; 32]> {
    let parents = parents();
    (first..)
        .take(count)
        .map(|child| parents.checked_key(child).expect("they agree"))
        .collect()
}

#[test]
fn the_base_point_is_the_standard_one() {
    assert!(CURVE.base.is_on_curve(CURVE.d));
    assert_eq!(
        CURVE.base.encoded(),
        *ED25519_BASEPOINT_COMPRESSED.as_bytes()
    );
}

#[test]
fn every_entry_of_the_table_is_its_multiple() {
    let mut base = Scalar::ONE;
    let two = Field::small(2);
    for window in table::table() {
        let mut multiple = Scalar::ZERO;
        let entry = |entry: usize| {
            [0, 5, 10].map(|at| Field(std::array::from_fn(|limb| window[at + limb][entry])))
        };
        for [plus, less, product] in (0..table::ENTRIES).map(entry) {
            multiple += base;
            let half = two.inverted();
            let point = Affine {
                x: plus.minus(less).times(half),
                y: plus.plus(less).times(half),
            };
            let expected = curve25519_dalek::EdwardsPoint::mul_base(&multiple);
            assert_eq!(point.encoded(), expected.compress().to_bytes());
            assert!(product.is(two.times(CURVE.d).times(point.x).times(point.y)));
        }
        base *= Scalar::from(32_u32);
    }
}

#[test]
fn bytes_at_and_above_the_modulus_are_not_canonical() {
    let mut modulus = [0xff; 32];
    (modulus[0], modulus[31]) = (0xed, 0x7f);
    for (low, canonical) in [(0xec, true), (0xed, false), (0xee, false), (0xff, false)] {
        modulus[0] = low;
        let value = Field::from_canonical(&modulus);
        assert_eq!(value.is_some(), canonical, "{low:x}");
        assert!(value.is_none_or(|value| value.to_bytes() == modulus));
    }
    assert!(
        Field([
            (1 << 51) - 19,
            (1 << 51) - 1,
            (1 << 51) - 1,
            (1 << 51) - 1,
            (1 << 51) - 1
        ])
        .is(Field::ZERO)
    );
}

fn threads(count: usize) -> NonZeroUsize {
    NonZeroUsize::new(count).expect("not zero")
}

fn streamed(first: u32, count: u32, on: usize) -> Vec<SolanaPiece> {
    let mut pieces = vec![];
    let answer = parents().stream((first, count), threads(on), |piece| {
        pieces.push(piece);
        Ok::<_, SolanaError>(())
    });
    assert_eq!(answer, Ok(()));
    pieces
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn bulk_equals_one_by_one(first in 0_u32..(1 << 31) - 3000, count in 0_u32..3000, on in 1_usize..5) {
        let pieces = streamed(first, count, on);
        let mut next = first;
        for piece in &pieces {
            prop_assert_eq!(piece.first_child, next);
            prop_assert!(!piece.proof_failed && piece.keys.len() <= PIECE as usize);
            next += piece.keys.len() as u32;
        }
        prop_assert_eq!(next, first + count);
        let keys: Vec<_> = pieces.into_iter().flat_map(|piece| piece.keys).collect();
        prop_assert!(keys == one_by_one(first, count as usize));
    }
}

#[test]
fn the_last_children_are_derived_in_bulk_too() {
    let first = (1 << 31) - 50;
    assert!(parents().piece(first, 50).map(|p| p.keys) == Ok(one_by_one(first, 50)));
}

#[test]
fn an_error_of_the_receiver_ends_the_derivation() {
    for on in [1, 2, 3] {
        let mut received = 0;
        let answer = parents().stream((0, 40 * PIECE), threads(on), |_| {
            received += 1;
            Err(SolanaError::NoRandomness)
        });
        assert_eq!((answer, received), (Err(SolanaError::NoRandomness), 1));
    }
}

/// A wrong key never leaves, whatever was wrong with it: the piece is right and says that its proof failed.
fn assert_caught(count: usize, fault: &mut dyn FnMut(&mut [Child])) {
    let piece = parents().piece_with(9, count, fault).expect("they agree");
    assert!(piece.proof_failed, "a fault went unnoticed");
    assert!(piece.keys == one_by_one(9, count));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_flipped_bit_of_a_key_is_caught(at in 0_usize..30, byte in 0_usize..32, bit in 0_u32..8) {
        if has_lanes() {
            assert_caught(30, &mut |children| children[at].key[byte] ^= 1_u8 << bit);
        }
    }

    #[test]
    fn a_flipped_bit_of_a_hint_is_caught(at in 0_usize..30, step in 0_usize..4, limb in 0_usize..5, bit in 0_u32..64) {
        if has_lanes() {
            // The y of the whole is a text's, so its hint is never read.
            assert_caught(30, &mut |children| children[at].steps[step].x.0[limb] ^= 1_u64 << bit);
            if step < 3 {
                assert_caught(30, &mut |children| children[at].steps[step].y.0[limb] ^= 1_u64 << bit);
            }
        }
    }
}

/// Derives in bulk with one fault on the way; whether the keys came out right, and whether the proof held.
#[cfg(target_arch = "x86_64")]
fn struck(passed_over: usize, bit: usize) -> (bool, bool) {
    const COUNT: usize = 40;
    lanes::FAULT.set(Some((passed_over, bit)));
    let children = parents().in_bulk(9, COUNT).expect("there are lanes");
    assert_eq!(lanes::FAULT.replace(None), None, "the fault did not happen");
    let right = keys_of(&children) == one_by_one(9, COUNT);
    (right, parents().prove(9, &children).expect("randomness"))
}

#[cfg(target_arch = "x86_64")]
#[test]
fn a_flipped_bit_on_the_way_is_caught() {
    if !has_lanes() {
        return;
    }
    // Numbers without order from a generator; a failure names the fault.
    let mut state = 1_u64;
    let mut random = |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let mut wrong = 0;
    for _ in 0..600 {
        // Five groups, each with 3 + 2·51 + 8 places, and 1 + 20 for all.
        let (passed_over, bit) = (random(5 * 113 + 21), random(1 << 12));
        let (right, held) = struck(passed_over, bit);
        assert!(right || !held, "fault {passed_over}, bit {bit}");
        wrong += u32::from(!right);
    }
    assert!(wrong > 400, "only {wrong} of the faults made keys wrong");
}

#[cfg(target_arch = "x86_64")]
#[test]
fn a_flipped_bit_of_the_table_is_caught() {
    if !has_lanes() {
        return;
    }
    let parents = parents();
    let (mut wrong, right) = (0, one_by_one(9, 40));
    for place in 0..300 {
        let mut table = table::table().to_vec();
        table[place % table::WINDOWS][place % 15][place % table::ENTRIES] ^= 1 << (place % 51);
        let mut children = [NO_CHILD; 40];
        lanes::derive(parents.first.parts(), 9, &table, &mut children).expect("there are lanes");
        for child in &mut children {
            child.key = child.steps[3].encoded();
        }
        let keys_right = keys_of(&children) == right;
        let held = parents.prove(9, &children).expect("randomness");
        assert!(keys_right || !held, "place {place}");
        wrong += u32::from(!keys_right);
    }
    assert!(wrong > 200, "only {wrong} of the faults made keys wrong");
}

/// Another child's key is a perfectly good key; so is the negative of one, or one with a part of small order.
#[test]
fn keys_that_are_only_somebody_elses_are_caught() {
    if !has_lanes() {
        return;
    }
    assert_caught(30, &mut |children| children.swap(3, 4));
    assert_caught(30, &mut |children| children[5] = children[6]);
    assert_caught(30, &mut |children| {
        for step in &mut children[7].steps {
            step.x = step.x.negated();
        }
        children[7].key[31] ^= 0x80;
    });
    // Two of them with the point of order two added: half of all weights cancel it without step 2.
    for _ in 0..20 {
        assert_caught(30, &mut |children| {
            for child in &mut children[8..10] {
                let whole = &mut child.steps[3];
                (whole.x, whole.y) = (whole.x.negated(), whole.y.negated());
                child.key = whole.encoded();
                let point = CompressedEdwardsY(child.key).decompress();
                assert!(point.is_some_and(|point| !point.is_torsion_free()));
            }
        });
    }
}

#[test]
fn another_parent_or_another_range_is_caught() {
    if !has_lanes() {
        return;
    }
    let children = parents().in_bulk(9, 30).expect("there are lanes");
    assert_eq!(parents().prove(9, &children), Ok(true));
    assert_eq!(parents().prove(10, &children), Ok(false));
    let mut other = parents();
    other.second = SecondNode::master(&[8; 64]).child(44).child(501);
    assert_eq!(other.prove(9, &children), Ok(false));
    // With the other implementation at odds, the slow way has no key either.
    assert_eq!(other.piece(9, 30), Err(SolanaError::Disagreement));
    assert!(!proof::holds(
        &parents().second,
        9,
        &children,
        &[[1; 16]; 29]
    ));
}
