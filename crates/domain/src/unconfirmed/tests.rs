use super::Standing::{Detected, DoubleSpent, Evicted, Included, Replaced};
use super::*;
use crate::address::AddressKind;
use crate::block::{BlockHash, BlockHeight};
use crate::movement::Part;

const OWN: TransactionHash = TransactionHash([1; 32]);
const OTHER: TransactionHash = TransactionHash([2; 32]);
const THIRD: TransactionHash = TransactionHash([3; 32]);

fn block(height: u8) -> BlockRef {
    BlockRef {
        height: BlockHeight(u64::from(height)),
        hash: BlockHash([height; 32]),
    }
}

fn input(number: u32) -> OutputId {
    OutputId {
        transaction: TransactionHash([9; 32]),
        number,
    }
}

fn movement() -> Movement {
    Movement {
        id: MovementId {
            transaction: OWN,
            part: Part::Output(1),
        },
        asset: AssetId::from_bytes([4; 16]),
        from: None,
        to: AddressPayload::try_new(AddressKind::BitcoinP2tr, &[6; 32]).expect("32 bytes"),
        face_units: U256::from(700),
        gained_units: U256::from(700),
    }
}

fn standing(standing: Standing) -> Unconfirmed {
    let of = Sighting {
        organization: OrganizationId::from_bytes([1; 16]),
        network: NetworkId::from_bytes([2; 16]),
        wallet: WalletId::from_bytes([3; 16]),
        now_ms: 10,
    };
    let mut seen = Unconfirmed::first_seen(of, &movement(), vec![input(0), input(1)]);
    seen.standing = standing;
    seen
}

fn everywhere() -> [Standing; 5] {
    [
        Detected,
        Included(block(7)),
        Replaced { by: OTHER },
        DoubleSpent {
            by: OTHER,
            block: block(7),
        },
        Evicted,
    ]
}

#[test]
fn it_has_the_id_of_the_deposit_that_follows() {
    let seen = standing(Detected);
    let deposit = DepositId::of(seen.network, &movement().id, &movement().to);
    assert_eq!((seen.id, seen.version), (deposit, 1));
}

#[test]
fn what_mempools_say_of_each_standing() {
    let (other, third) = (Replaced { by: OTHER }, Replaced { by: THIRD });
    // One row per sight, one column per standing; `None`: nothing changes.
    let table = [
        (Sight::Unknown, [None, None, None, None, None]),
        (
            Sight::Pooled,
            [None, None, Some(Detected), None, Some(Detected)],
        ),
        (
            Sight::Replaced(OTHER),
            [Some(other), None, None, None, Some(other)],
        ),
        (
            Sight::Replaced(THIRD),
            [Some(third), None, Some(third), None, Some(third)],
        ),
        (Sight::Gone, [Some(Evicted), None, None, None, None]),
    ];
    for (sight, expected) in table {
        for (from, expected) in everywhere().into_iter().zip(expected) {
            let found = standing(from).seen(sight, 20);
            let now = found.as_ref().map(|found| found.standing);
            assert_eq!(now, expected, "{from:?}, {sight:?}");
            if let Some(found) = found {
                assert_eq!((found.version, found.changed_at_ms), (2, 20));
                assert_eq!(found.detected_at_ms, 10);
            }
        }
    }
}

#[test]
fn a_block_settles_every_standing() {
    let spends = |pairs: &'static [(u32, TransactionHash)]| {
        move |output: &OutputId| {
            let of = pairs.iter().find(|(number, _)| input(*number) == *output);
            of.map(|(_, by)| *by)
        }
    };
    let double = |by| DoubleSpent {
        by,
        block: block(8),
    };
    for from in everywhere() {
        let settled = |pairs| standing(from).settled(block(8), &spends(pairs), 30);
        let now = |pairs| settled(pairs).map(|found: Unconfirmed| found.standing);
        assert_eq!(now(&[]), None, "{from:?}");
        assert_eq!(now(&[(2, OTHER)]), None, "{from:?}: another's input");
        let own: &[_] = &[(0, OWN), (1, OWN)];
        assert_eq!(now(own), Some(Included(block(8))), "{from:?}");
        assert_eq!(now(&[(1, OTHER)]), Some(double(OTHER)), "{from:?}");
        assert_eq!(
            now(&[(0, THIRD), (1, OTHER)]),
            Some(double(THIRD)),
            "{from:?}"
        );
    }
    let again = standing(Included(block(8)));
    let own = spends(&[(0, OWN), (1, OWN)]);
    assert_eq!(again.settled(block(8), &own, 30), None, "the same block");
}

#[test]
fn taking_back_its_own_block_alone_unsettles() {
    for from in everywhere() {
        let now = |height| standing(from).unsettled(block(height), 40);
        let expected = from.settled_in().map(|_| Evicted);
        assert_eq!(now(7).map(|found| found.standing), expected, "{from:?}");
        assert_eq!(now(8), None, "{from:?}: another block");
    }
}

#[test]
fn each_standing_says_what_took_its_place_and_why() {
    for standing in everywhere() {
        let state = standing.state();
        assert_eq!(state.name().parse(), Ok(state));
        let taken = matches!(
            state,
            UnconfirmedState::Replaced | UnconfirmedState::DoubleSpent
        );
        assert_eq!(standing.replaced_by(), taken.then_some(OTHER));
        let ended = taken || state == UnconfirmedState::Evicted;
        assert_eq!(standing.reason().is_some(), ended);
    }
    assert!("gone".parse::<UnconfirmedState>().is_err());
}
