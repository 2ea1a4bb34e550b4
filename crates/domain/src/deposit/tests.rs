use ruint::aliases::U256;

use super::*;
use crate::address::AddressKind;
use crate::block::{BlockHash, BlockHeight, TransactionHash};
use crate::movement::{Movement, Part};

pub(super) fn deposit(state: DepositState) -> Deposit {
    let network = NetworkId::from_bytes([1; 16]);
    let address = AddressPayload::try_new(AddressKind::Evm, &[7; 20]).expect("20 bytes");
    let movement = MovementId {
        transaction: TransactionHash([9; 32]),
        part: Part::Log(0),
    };
    Deposit {
        id: DepositId::of(network, &movement, &address),
        organization: OrganizationId::from_bytes([2; 16]),
        network,
        asset: AssetId::from_bytes([3; 16]),
        wallet: WalletId::from_bytes([4; 16]),
        address,
        from: None,
        movement,
        face_units: U256::from(10),
        units: U256::from(10),
        block: BlockRef {
            height: BlockHeight(5),
            hash: BlockHash([5; 32]),
        },
        inclusion: 1,
        state,
        reason: None,
        detected_at_ms: 1,
        changed_at_ms: 1,
        version: 1,
    }
}

fn movement(units: u64) -> Movement {
    let deposit = deposit(DepositState::Detected);
    Movement {
        id: deposit.movement,
        asset: deposit.asset,
        from: None,
        to: deposit.address,
        face_units: U256::from(units),
        gained_units: U256::from(units),
    }
}

#[test]
fn every_state_and_event() {
    use DepositState as S;
    let funds = Funds::default();
    let state = |result: Result<Outcome, TransitionError>| result.ok().map(|o| o.deposit.state);
    let block = deposit(S::Detected).block;
    let movement = movement(10);
    let check = |event: &str, got: [Option<S>; 6], expected: [Option<S>; 6]| {
        assert_eq!(got, expected, "{event}");
    };
    let each = |work: &dyn Fn(Deposit) -> Result<Outcome, TransitionError>| {
        S::ALL.map(|from| state(work(deposit(from))))
    };
    // In the order of `DepositState::ALL`: detected, confirmed, finalized, retracted, rejected, held.
    let only = |at: usize, to: S| {
        let mut row = [None; 6];
        row[at] = Some(to);
        row
    };
    check(
        "confirm",
        each(&|d| d.confirm(funds, 2)),
        only(0, S::Confirmed),
    );
    check("finalize", each(&|d| d.finalize(2)), only(1, S::Finalized));
    check(
        "reinclude",
        each(&|d| d.reinclude(block, &movement, Verdict::Credit, 2)),
        only(3, S::Detected),
    );
    check(
        "release",
        each(&|d| d.release(funds, 2)),
        only(5, S::Confirmed),
    );
    check(
        "reject",
        each(&|d| d.reject("no".to_owned(), 2)),
        only(5, S::Rejected),
    );
    let mut retracted = [Some(S::Retracted); 6];
    retracted[3] = None;
    check("retract", each(&|d| d.retract(funds, 2)), retracted);
}

/// What a transition posts: rule names and units.
fn posted(outcome: &Outcome) -> Vec<(String, Option<U256>)> {
    let name = |id: &str| id.rsplit('/').next().map(str::to_owned);
    outcome
        .postings
        .iter()
        .map(|transaction| {
            let units = transaction.legs.first().map(|leg| leg.units);
            (name(&transaction.source.id).expect("a step"), units)
        })
        .collect()
}

fn funds(available: u64, reversal_due: u64) -> Funds {
    Funds {
        available: U256::from(available),
        reversal_due: U256::from(reversal_due),
    }
}

#[track_caller]
fn check(outcome: Result<Outcome, TransitionError>, expected: &[(&str, Option<u64>)]) {
    let outcome = outcome.expect("allowed");
    let expected: Vec<_> = expected
        .iter()
        .map(|(name, units)| ((*name).to_owned(), units.map(U256::from)))
        .collect();
    assert_eq!(posted(&outcome), expected);
}

#[test]
fn every_step_forward_posts_what_its_rule_says() {
    use DepositState as S;
    let block = deposit(S::Detected).block;
    let at = |state| deposit(state);
    check(
        Ok(at(S::Detected).detect(Verdict::Credit)),
        &[("detected", Some(10))],
    );
    check(
        Ok(at(S::Detected).detect(Verdict::Hold("?".to_owned()))),
        &[("shelved", Some(10))],
    );
    check(
        Ok(at(S::Detected).detect(Verdict::Reject("?".to_owned()))),
        &[("shelved", Some(10))],
    );
    check(
        at(S::Retracted).reinclude(block, &movement(4), Verdict::Credit, 2),
        &[("detected", Some(4))],
    );
    check(
        at(S::Retracted).reinclude(block, &movement(0), Verdict::Credit, 2),
        &[],
    );
    check(
        at(S::Detected).confirm(funds(0, 0), 2),
        &[("confirmed", None)],
    );
    // A debt is paid first: by the credit, and by what came free before it.
    check(
        at(S::Detected).confirm(funds(0, 4), 2),
        &[("confirmed", None), ("recovered", Some(4))],
    );
    check(
        at(S::Detected).confirm(funds(0, 40), 2),
        &[("confirmed", None), ("recovered", Some(10))],
    );
    check(
        at(S::Detected).confirm(funds(7, 40), 2),
        &[("confirmed", None), ("recovered", Some(17))],
    );
    check(
        at(S::Held).release(funds(0, 4), 2),
        &[("released", Some(10)), ("recovered", Some(4))],
    );
    check(at(S::Held).reject("no".to_owned(), 2), &[]);
    check(at(S::Confirmed).finalize(2), &[]);
}

#[test]
fn every_retraction_posts_its_contra_entries() {
    use DepositState as S;
    let at = |state| deposit(state);
    check(at(S::Detected).retract(funds(0, 0), 2), &[("voided", None)]);
    check(
        at(S::Held).retract(funds(0, 0), 2),
        &[("unshelved", Some(10))],
    );
    check(
        at(S::Rejected).retract(funds(0, 0), 2),
        &[("unshelved", Some(10))],
    );
    for state in [S::Confirmed, S::Finalized] {
        check(
            at(state).retract(funds(10, 0), 2),
            &[("reversed", Some(10))],
        );
        check(
            at(state).retract(funds(99, 0), 2),
            &[("reversed", Some(10))],
        );
        check(
            at(state).retract(funds(3, 5), 2),
            &[("reversed", Some(3)), ("reversed_spent", Some(7))],
        );
        check(
            at(state).retract(funds(0, 5), 2),
            &[("reversed_spent", Some(10))],
        );
    }
    let mut nothing = at(S::Rejected);
    nothing.units = U256::ZERO;
    check(nothing.retract(funds(5, 5), 2), &[]);
}

#[test]
fn a_rejected_or_held_one_that_comes_again_is_judged_again() {
    let block = deposit(DepositState::Detected).block;
    let retracted = deposit(DepositState::Held)
        .retract(Funds::default(), 2)
        .expect("retracts")
        .deposit;
    assert_eq!(
        retracted.reason.as_deref(),
        Some("its block was reorganized away")
    );
    let again = retracted
        .reinclude(block, &movement(10), Verdict::Hold("still".to_owned()), 3)
        .expect("comes again");
    assert_eq!(again.deposit.state, DepositState::Held);
    assert_eq!((again.deposit.inclusion, again.deposit.version), (2, 3));
    assert_eq!(
        posted(&again),
        [("shelved".to_owned(), Some(U256::from(10)))]
    );
    // Another inclusion, another source: the first one's postings stay what they were.
    assert!(again.postings[0].source.id.contains("/2/"));
}

#[test]
fn what_a_transaction_does_in_another_block_may_be_another_asset() {
    let mut other = movement(10);
    other.asset = AssetId::from_bytes([8; 16]);
    other.from = Some(other.to);
    let block = deposit(DepositState::Detected).block;
    let again = deposit(DepositState::Retracted)
        .reinclude(block, &other, Verdict::Credit, 2)
        .expect("comes again");
    assert_eq!(
        (again.deposit.asset, again.deposit.from),
        (other.asset, other.from)
    );
    assert!(
        again.postings[0]
            .legs
            .iter()
            .all(|leg| leg.account.asset == other.asset)
    );
}
