use coffer_derive::{
    DeriveError, ExtendedPublicKey, IndexRange, Payloads, Scheme, VerifyError, verify,
};

use crate::{deriver, key, payloads};

const XPUB: &str = "xpub6H1LXWLaKsWFhvm6RVpEL9P4KfRZSW7abD2ttkWP3SSQvnyA8FSVqNTEcYFgJS2UaFcxupHiYkro49S8yGasTvXEYBVPamhGW6cFJodrTHy";

#[test]
fn ranges_end_below_the_hardened_indexes() {
    let last = (1 << 31) - 1;
    assert!(IndexRange::try_new(last, 1).is_ok());
    assert!(IndexRange::try_new(1 << 31, 0).is_ok());
    assert!(IndexRange::try_new(0, 1 << 31).is_ok());
    for (first, count) in [
        (last, 2),
        (1 << 31, 1),
        (u32::MAX, u32::MAX),
        (0, (1 << 31) + 1),
    ] {
        assert_eq!(
            IndexRange::try_new(first, count),
            Err(DeriveError::IndexOutOfRange { first, count })
        );
    }
    assert!(matches!(
        key(XPUB).child(1 << 31),
        Err(DeriveError::IndexOutOfRange { .. })
    ));
    let found = payloads(&key(XPUB), Scheme::Keccak20, last - 1, 2);
    assert_eq!(
        verify(&key(XPUB), Scheme::Keccak20, last - 1, &found),
        Ok(())
    );
    assert_eq!(
        verify(&key(XPUB), Scheme::Keccak20, last, &found),
        Err(VerifyError::Mismatch { index: last })
    );
}

#[test]
fn the_second_implementation_refuses_hardened_indexes() {
    let found = payloads(&key(XPUB), Scheme::Keccak20, 0, 1);
    let index = 1 << 31;
    assert_eq!(
        verify(&key(XPUB), Scheme::Keccak20, index, &found),
        Err(VerifyError::Refused { index })
    );
}

#[test]
fn parents_that_are_no_points_are_refused() {
    let with = |public_key| ExtendedPublicKey {
        public_key,
        chain_code: [1; 32],
    };
    let x_without_y = {
        let mut k = [0; 33];
        k[0] = 2;
        k[32] = 5;
        k
    };
    let x_beyond_the_field = {
        let mut k = [0xff; 33];
        k[0] = 2;
        k
    };
    let wrong_tag = {
        let mut k = key(XPUB).public_key;
        k[0] = 4;
        k
    };
    for bytes in [[0; 33], x_without_y, x_beyond_the_field, wrong_tag] {
        let mut out = payloads(&key(XPUB), Scheme::Taproot, 0, 1);
        let range = IndexRange::try_new(0, 3).expect("a range");
        let result = deriver().payloads(&with(bytes), Scheme::Keccak20, range, &mut out);
        assert_eq!(result, Err(DeriveError::NotAPublicKey));
        assert!(out.is_empty());
        assert_eq!(with(bytes).child(0).err(), Some(DeriveError::NotAPublicKey));
        let one = payloads(&key(XPUB), Scheme::Keccak20, 0, 1);
        assert_eq!(
            verify(&with(bytes), Scheme::Keccak20, 7, &one),
            Err(VerifyError::Refused { index: 7 })
        );
    }
}

/// Among thousands of children some keys, coordinates and payloads begin with a zero byte, one in 256 each.
#[test]
fn leading_zeros_are_kept() {
    let parent = ExtendedPublicKey {
        chain_code: [0; 32],
        ..key(XPUB)
    };
    let found = payloads(&parent, Scheme::Taproot, 0, 6000);
    assert!(found.iter().any(|output_key| output_key[0] == 0));
    for scheme in Scheme::ALL {
        let count = if scheme == Scheme::Taproot {
            2000
        } else {
            6000
        };
        let found = payloads(&parent, scheme, 0, count);
        assert!(found.iter().any(|payload| payload[0] == 0));
        assert_eq!(verify(&parent, scheme, 0, &found), Ok(()));
    }
}

#[test]
fn the_generator_as_parent_and_its_negative() {
    // The smallest multiples of the generator are in the comb's table, where the affine formula can fail.
    for tag in [2, 3] {
        let mut public_key = [0; 33];
        public_key[0] = tag;
        hex::decode_to_slice(
            "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798",
            &mut public_key[1..],
        )
        .expect("hex");
        let parent = ExtendedPublicKey {
            public_key,
            chain_code: [7; 32],
        };
        for scheme in Scheme::ALL {
            let found = payloads(&parent, scheme, 0, 600);
            assert_eq!(verify(&parent, scheme, 0, &found), Ok(()));
        }
    }
}

#[test]
fn empty_ranges_and_buffers() {
    let mut out = payloads(&key(XPUB), Scheme::Keccak20, 0, 5);
    let empty = IndexRange::try_new(9, 0).expect("a range");
    assert_eq!(
        deriver().payloads(&key(XPUB), Scheme::Taproot, empty, &mut out),
        Ok(())
    );
    assert_eq!(
        (out.len(), out.record_len(), out.is_empty(), out.get(0)),
        (0, 32, true, None)
    );
    assert_eq!(
        verify(&key(XPUB), Scheme::Keccak20, 0, &Payloads::new()),
        Ok(())
    );
    assert_eq!(Payloads::new().len(), 0);
    assert!(Payloads::from_bytes(20, vec![0; 21]).is_none());
    assert!(Payloads::from_bytes(0, vec![]).is_none());
}
