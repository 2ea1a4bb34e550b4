//! From a payment in a block to a customer's balance, and back.

use coffer_domain::deposit::DepositState::{Confirmed, Detected, Finalized, Held, Rejected, Retracted};
use coffer_domain::ledger::AccountKind::{Custody, Customer, Suspense};
use coffer_platform::Followed;
use coffer_testkit::Engine;
use ruint::aliases::U256;

use super::chain::Payment;
use super::site::Site;
use crate::scene::on_both_engines;

on_both_engines!(
    a_payment_is_credited_with_its_confirmations,
    a_dropped_payment_is_taken_back_and_credited_once_when_it_returns,
    too_few_nodes_stop_crediting,
);

fn units(units: u64) -> U256 {
    U256::from(units)
}

async fn a_payment_is_credited_with_its_confirmations(engine: Engine) {
    let site = Site::create(engine).await;
    let (wallet, address) = site.wallet("c1").await;
    assert_eq!(site.follow().await, Followed::Idle);
    let block = site.chain.grow(vec![Payment::native(address, 500, 1)]);
    assert_eq!(site.step().await.expect("a step"), Followed::Took(block));
    let deposit = site.only_deposit().await;
    assert_eq!(
        (deposit.state, deposit.wallet, deposit.units, deposit.block),
        (Detected, wallet.id, units(500), block)
    );
    assert_eq!(site.sums(Customer).await, (units(0), units(500)));
    site.chain.grow_empty(1);
    site.follow().await;
    assert_eq!(site.states().await, [Confirmed]);
    assert_eq!(site.sums(Customer).await, (units(500), units(0)));
    assert_eq!(site.sums(Custody).await, (units(500), units(0)));
    site.chain.grow_empty(2);
    assert_eq!(site.follow().await, Followed::Idle);
    assert_eq!(site.states().await, [Finalized]);
}

async fn a_dropped_payment_is_taken_back_and_credited_once_when_it_returns(engine: Engine) {
    let site = Site::create(engine).await;
    let (_, address) = site.wallet("c1").await;
    let payment = Payment::native(address, 70, 1);
    site.chain.grow(vec![payment]);
    site.chain.grow_empty(1);
    site.follow().await;
    assert_eq!(site.states().await, [Confirmed]);
    site.chain.reorg(2, vec![vec![], vec![], vec![]]);
    site.follow().await;
    assert_eq!(site.states().await, [Retracted]);
    assert_eq!(site.sums(Customer).await, (units(0), units(0)));
    assert_eq!(site.sums(Custody).await, (units(0), units(0)));
    site.chain.grow(vec![payment]);
    site.chain.grow_empty(1);
    site.follow().await;
    let deposit = site.only_deposit().await;
    assert_eq!((deposit.state, deposit.inclusion), (Confirmed, 2));
    assert_eq!(site.sums(Customer).await, (units(70), units(0)));
    let _ = (Held, Rejected, Suspense);
}

async fn too_few_nodes_stop_crediting(engine: Engine) {
    let site = Site::create(engine).await;
    let (_, address) = site.wallet("c1").await;
    site.chain.grow(vec![Payment::native(address, 9, 1)]);
    site.chain.silence(true);
    let step = site.step().await.expect("a step");
    assert!(matches!(step, Followed::Waiting(_)), "{step:?}");
    assert!(site.deposits().await.is_empty());
    site.chain.silence(false);
    site.follow().await;
    assert_eq!(site.states().await, [Detected]);
}
