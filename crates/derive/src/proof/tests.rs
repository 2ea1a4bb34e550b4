use std::sync::OnceLock;

use proptest::prelude::*;

use super::*;
use crate::{Arch, Deriver};

const FIRST: u32 = 77;

fn derivers() -> &'static [Deriver] {
    static DERIVERS: OnceLock<Vec<Deriver>> = OnceLock::new();
    let new = |arch: &Arch| Deriver::with_arch(*arch);
    DERIVERS.get_or_init(|| Arch::available().iter().map(new).collect())
}

fn parent() -> ExtendedPublicKey {
    let mut public_key = [2; 33];
    public_key[1..].copy_from_slice(&crate::field::to_bytes(&[
        0x59f2_815b_16f8_1798,
        0x029b_fcdb_2dce_28d9,
        0x55a0_6295_ce87_0b07,
        0x79be_667e_f9dc_bbac,
    ]));
    let root = ExtendedPublicKey {
        public_key,
        chain_code: [9; 32],
    };
    root.child(3).expect("a child")
}

/// A batch as it was derived, to be damaged.
struct Batch {
    indexes: IndexRange,
    children: Children,
    payloads: Vec<(Scheme, Payloads)>,
}

impl Batch {
    fn new(deriver: &Deriver, count: u32) -> Self {
        let indexes = IndexRange::try_new(FIRST, count).expect("a range");
        let mut children = Children::new();
        let parent = parent();
        deriver
            .children(&parent, indexes, &mut children)
            .expect("children");
        let payloads = Scheme::ALL.map(|scheme| {
            let mut payloads = Payloads::new();
            deriver
                .payloads_of(&mut children, scheme, &mut payloads)
                .expect("payloads");
            (scheme, payloads)
        });
        Self {
            indexes,
            children,
            payloads: payloads.into(),
        }
    }

    fn prove(&self, deriver: &Deriver, seed: u64) -> Result<(), VerifyError> {
        let payloads: Vec<_> = self.payloads.iter().map(|(s, p)| (*s, p)).collect();
        let mut randomness = [5; 32];
        randomness[..8].copy_from_slice(&seed.to_be_bytes());
        deriver.prove(
            &parent(),
            self.indexes,
            &self.children,
            &payloads,
            &randomness,
        )
    }
}

#[test]
fn batches_of_every_size_are_proven_on_every_path() {
    for deriver in derivers() {
        for count in [0, 1, 2, 31, 32, 33, 100, 1000, 5000] {
            let batch = Batch::new(deriver, count);
            assert_eq!(batch.prove(deriver, u64::from(count)), Ok(()), "{count}");
        }
    }
}

#[test]
fn another_parent_or_range_or_number_is_not_proven() {
    for deriver in derivers() {
        let batch = Batch::new(deriver, 40);
        let prove = |parent: &ExtendedPublicKey, first, count| {
            let indexes = IndexRange::try_new(first, count).expect("a range");
            deriver.prove(parent, indexes, &batch.children, &[], &[1; 32])
        };
        let unproven = Err(VerifyError::Unproven);
        assert_eq!(prove(&parent(), FIRST, 40), Ok(()));
        assert_eq!(prove(&parent(), FIRST + 1, 40), unproven);
        assert_eq!(prove(&parent(), FIRST, 39), unproven);
        assert_eq!(
            prove(&parent().child(0).expect("a child"), FIRST, 40),
            unproven
        );
        let mut other = parent();
        other.chain_code[0] ^= 1;
        assert_eq!(prove(&other, FIRST, 40), unproven);
    }
}

/// Two keys in each other's place are each right, and the batch is not.
#[test]
fn swapped_keys_are_not_proven() {
    for deriver in derivers() {
        let mut batch = Batch::new(deriver, 10);
        batch.payloads.clear();
        batch.children.keys.xs.swap(3, 8);
        batch.children.keys.ys.swap(3, 8);
        assert_eq!(batch.prove(deriver, 1), Err(VerifyError::Unproven));
    }
}

/// The negated key has the same x and lies on the curve: only the equation knows.
#[test]
fn a_key_of_the_other_sign_is_not_proven() {
    for deriver in derivers() {
        let mut batch = Batch::new(deriver, 10);
        batch.payloads.clear();
        let y = &mut batch.children.keys.ys[4];
        *y = crate::field::to_bytes(&crate::field::negate(&from_bytes(y)));
        assert_eq!(batch.prove(deriver, 1), Err(VerifyError::Unproven));
    }
}

#[test]
fn a_point_off_the_curve_is_named() {
    for deriver in derivers() {
        let mut batch = Batch::new(deriver, 10);
        batch.children.keys.ys[4][31] ^= 1;
        let index = FIRST + 4;
        assert_eq!(
            batch.prove(deriver, 1),
            Err(VerifyError::Mismatch { index })
        );
        let mut batch = Batch::new(deriver, 10);
        batch.children.outputs.xs[9] = [0xff; 32];
        let index = FIRST + 9;
        assert_eq!(
            batch.prove(deriver, 1),
            Err(VerifyError::Mismatch { index })
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]
    #[test]
    fn random_batches_are_proven(count in 1..300_u32, seed in any::<u64>()) {
        for deriver in derivers() {
            prop_assert_eq!(Batch::new(deriver, count).prove(deriver, seed), Ok(()));
        }
    }
}
