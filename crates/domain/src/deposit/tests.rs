use ruint::aliases::U256;

use super::*;
use crate::address::AddressKind;
use crate::block::{BlockHash, BlockHeight, TransactionHash};
use crate::movement::Part;

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

#[test]
fn every_state_and_event() {
    use DepositState as S;
    let funds = Funds::default();
    let state = |result: Result<Outcome, TransitionError>| result.ok().map(|o| o.deposit.state);
    let block = deposit(S::Detected).block;
    let gained = (U256::from(10), U256::from(10));
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
        each(&|d| d.reinclude(block, gained, Verdict::Credit, 2)),
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
