//! The two implementations agree on everything, and the second notices every change.

use bitcoin::secp256k1::{Secp256k1, SecretKey};
use coffer_derive::{ExtendedPublicKey, Payloads, Scheme, VerifyError, verify};
use proptest::prelude::*;

use crate::payloads;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    // The parent is made from its parts here, for proptest prints what fails and keys have no `Debug`.
    #[test]
    fn random_parents_and_ranges(first in 0..(1_u32 << 31) - 700, count in 1..700_u32, seed in any::<[u8; 32]>(), chain_code in any::<[u8; 32]>()) {
        let Ok(secret) = SecretKey::from_slice(&seed) else { return Ok(()) };
        let parent = ExtendedPublicKey { public_key: secret.public_key(&Secp256k1::signing_only()).serialize(), chain_code };
        for scheme in Scheme::ALL {
            let found = payloads(&parent, scheme, first, count);
            prop_assert_eq!(found.len(), count as usize);
            prop_assert_eq!(verify(&parent, scheme, first, &found), Ok(()));
        }
    }
}

#[test]
fn a_payload_does_not_depend_on_the_batch_around_it() {
    const LANES: u32 = coffer_derive::deriver::LANES as u32;
    let parent = sample_parent();
    for scheme in Scheme::ALL {
        let whole = payloads(&parent, scheme, 0, 2 * LANES + 90);
        for (first, count) in [
            (0, 1),
            (LANES - 1, 2),
            (LANES, LANES),
            (2 * LANES + 89, 1),
            (100, 2 * LANES - 50),
        ] {
            let part = payloads(&parent, scheme, first, count);
            let bytes = first as usize * scheme.payload_len()
                ..(first + count) as usize * scheme.payload_len();
            assert_eq!(part.as_bytes(), &whole.as_bytes()[bytes]);
        }
    }
}

/// 10,000 single-bit changes, each in a record of its own choice; every one is found and its index named.
#[test]
fn every_flipped_bit_is_caught() {
    const FIRST: u32 = 1_000_000;
    let parent = sample_parent();
    let mut flips = 0;
    for scheme in Scheme::ALL {
        let len = scheme.payload_len();
        let count = 3334_usize.div_ceil(len * 8);
        let right = payloads(&parent, scheme, FIRST, count as u32);
        for bit in 0..count * len * 8 {
            let record = bit / (len * 8);
            let mut changed = right.get(record).expect("a record").to_vec();
            changed[bit / 8 % len] ^= 1 << (bit % 8);
            let changed = Payloads::from_bytes(len, changed).expect("one record");
            let index = FIRST + record as u32;
            assert_eq!(
                verify(&parent, scheme, index, &changed),
                Err(VerifyError::Mismatch { index }),
                "{scheme:?} bit {bit}"
            );
            flips += 1;
        }
        assert_eq!(verify(&parent, scheme, FIRST, &right), Ok(()));
    }
    assert!(flips >= 10_000, "{flips}");
}

#[test]
fn a_mismatch_names_the_first_index_that_differs() {
    let parent = sample_parent();
    let right = payloads(&parent, Scheme::Keccak20, 40, 10);
    let mut bytes = right.as_bytes().to_vec();
    bytes[7 * 20 + 3] ^= 0x10;
    bytes[9 * 20] ^= 1;
    let changed = Payloads::from_bytes(20, bytes).expect("whole records");
    assert_eq!(
        verify(&parent, Scheme::Keccak20, 40, &changed),
        Err(VerifyError::Mismatch { index: 47 })
    );
    // Right payloads at the wrong place are as wrong.
    assert_eq!(
        verify(&parent, Scheme::Keccak20, 41, &right),
        Err(VerifyError::Mismatch { index: 41 })
    );
    assert_eq!(
        verify(&parent, Scheme::Hash160, 40, &right),
        Err(VerifyError::Mismatch { index: 40 })
    );
    let taproot = verify(&parent, Scheme::Taproot, 40, &right);
    assert_eq!(
        taproot,
        Err(VerifyError::RecordLength {
            expected: 32,
            found: 20
        })
    );
}

fn sample_parent() -> ExtendedPublicKey {
    crate::key(
        "xpub6BgBgsespWvERF3LHQu6CnqdvfEvtMcQjYrcRzx53QJjSxarj2afYWcLteoGVky7D3UKDP9QyrLprQ3VCECoY49yfdDEHGCtMMj92pReUsQ",
    )
}
