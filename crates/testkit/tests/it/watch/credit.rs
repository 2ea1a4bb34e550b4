//! From a payment in a block to a customer's balance.

use std::sync::Arc;

use coffer_domain::address::{AddressKind, AddressKinds, AddressPayload};
use coffer_domain::deposit::DepositState::{Confirmed, Detected, Finalized, Held, Rejected};
use coffer_domain::ledger::AccountKind::{Custody, Customer, Suspense};
use coffer_domain::movement::Part;
use coffer_domain::network::Finality;
use coffer_platform::{AssetChange, DepositDecision, Error, Followed, NewWallet};
use coffer_testkit::Engine;
use futures_util::future::join_all;
use ruint::aliases::U256;

use super::chain::Payment;
use super::site::{Site, evm_address, executed, follow, settings};
use crate::scene::{assign, new_wallet, on_both_engines};

on_both_engines!(
    a_payment_is_credited_with_its_confirmations,
    too_few_nodes_stop_crediting,
    an_address_is_watched_before_it_is_issued,
    what_is_below_the_minimum_or_brings_nothing_is_rejected,
    a_held_deposit_waits_for_a_person_and_its_confirmations,
    a_held_deposit_may_be_refused,
    a_tripped_breaker_keeps_deposits_back,
    two_platforms_take_each_block_once,
    a_paused_network_takes_nothing,
    the_nodes_own_tag_makes_final_where_it_is_the_rule,
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

/// The wallet is made while the nodes are asked for the hash of the block that pays to it. Were the vaults
/// looked at before that question, the address would not be watched in the block.
async fn an_address_is_watched_before_it_is_issued(engine: Engine) {
    let site = Site::create(engine).await;
    site.wallet("early").await;
    site.follow().await;
    let (platform, admin) = (site.platform().clone(), site.installation.admin.clone());
    let (vault, chain) = (site.installation.vault, site.chain.clone());
    let made = Arc::new(tokio::sync::Mutex::new(false));
    site.chain.on_hash(Arc::new(move |height| {
        let (platform, admin, chain) = (platform.clone(), admin.clone(), chain.clone());
        let made = Arc::clone(&made);
        Box::pin(async move {
            let mut made = made.lock().await;
            if height == 1 && !*made {
                *made = true;
                let late = assign(&platform, &admin, vault, "late").await;
                let address = evm_address(&late.expect("assigned").wallet);
                chain.reorg(1, vec![vec![Payment::native(address, 3, 1)]]);
            }
        })
    }));
    site.chain.grow_empty(1);
    site.follow().await;
    assert_eq!(site.only_deposit().await.units, units(3));
}

async fn what_is_below_the_minimum_or_brings_nothing_is_rejected(engine: Engine) {
    let site = Site::create(engine).await;
    let (_, address) = site.wallet("c1").await;
    let change = AssetChange {
        deposit_units_min: Some(units(100)),
        ..AssetChange::default()
    };
    let admin = &site.installation.admin;
    let set = site.platform().set_asset(admin, site.coin.id, change);
    set.await.expect("set");
    let nothing = Payment {
        gained: 0,
        part: Part::Call(1),
        ..Payment::native(address, 5000, 2)
    };
    let small = Payment::native(address, 99, 1);
    let enough = Payment::native(address, 100, 3);
    site.chain.grow(vec![small, nothing, enough]);
    site.chain.grow_empty(5);
    site.follow().await;
    let mut states = site.states().await;
    states.sort_unstable_by_key(|state| state.name());
    assert_eq!(states, [Finalized, Rejected, Rejected]);
    assert_eq!(site.sums(Customer).await.0, units(100));
    assert_eq!(site.sums(Suspense).await.0, units(99));
}

/// A wallet without an EVM address; this is what the words of the tests give at index 0 all the same.
async fn unlisted(site: &Site) -> AddressPayload {
    let wallet = NewWallet {
        kinds: AddressKinds::default().with(AddressKind::Tron),
        ..new_wallet(site.installation.vault, "tron-only")
    };
    let admin = &site.installation.admin;
    let assigned = site.platform().assign_wallet(admin, wallet, None).await;
    assert_eq!(executed(assigned.expect("assigned")).wallet.index, 0);
    let bytes = hex::decode("9858EfFD232B4033E47d90003D41EC34EcaEda94").expect("hex");
    AddressPayload::try_new(AddressKind::Evm, &bytes).expect("twenty bytes")
}

async fn a_held_deposit_waits_for_a_person_and_its_confirmations(engine: Engine) {
    let site = Site::create(engine).await;
    let address = unlisted(&site).await;
    site.chain.grow(vec![Payment::native(address, 40, 1)]);
    site.follow().await;
    let deposit = site.only_deposit().await;
    assert_eq!(deposit.state, Held);
    assert_eq!(site.sums(Suspense).await.0, units(40));
    let (platform, admin) = (site.platform(), &site.installation.admin);
    let release = (DepositDecision::Release, "known customer");
    let early = platform
        .decide_deposit(admin, deposit.id, release, None)
        .await;
    assert!(matches!(early, Err(Error::StateConflict(_))), "{early:?}");
    site.chain.grow_empty(1);
    site.follow().await;
    let released = platform
        .decide_deposit(admin, deposit.id, release, None)
        .await;
    assert_eq!(executed(released.expect("released")).state, Confirmed);
    assert_eq!(site.sums(Customer).await.0, units(40));
    assert_eq!(site.sums(Suspense).await.0, units(0));
    let again = platform
        .decide_deposit(admin, deposit.id, release, None)
        .await;
    assert!(matches!(again, Err(Error::StateConflict(_))), "{again:?}");
    site.chain.grow_empty(3);
    site.follow().await;
    assert_eq!(site.states().await, [Finalized]);
}

async fn a_held_deposit_may_be_refused(engine: Engine) {
    let site = Site::create(engine).await;
    let address = unlisted(&site).await;
    site.chain.grow(vec![Payment::native(address, 40, 1)]);
    site.follow().await;
    let deposit = site.only_deposit().await;
    site.tamper("CREATE TABLE kept AS SELECT * FROM deposits")
        .await;
    let (platform, admin) = (site.platform(), &site.installation.admin);
    let reject = (DepositDecision::Reject, "sanctioned");
    let refused = platform
        .decide_deposit(admin, deposit.id, reject, None)
        .await;
    assert_eq!(executed(refused.expect("refused")).state, Rejected);
    assert_eq!(site.sums(Suspense).await.0, units(40));
    // The held row put back is not released.
    site.tamper("DELETE FROM deposits; INSERT INTO deposits SELECT * FROM kept")
        .await;
    site.chain.grow_empty(3);
    let release = (DepositDecision::Release, "please");
    let released = platform
        .decide_deposit(admin, deposit.id, release, None)
        .await;
    assert!(
        matches!(released, Err(Error::Integrity { .. })),
        "{released:?}"
    );
}

async fn a_tripped_breaker_keeps_deposits_back(engine: Engine) {
    let site = Site::create(engine).await;
    let (_, address) = site.wallet("c1").await;
    site.chain.grow(vec![Payment::native(address, 10, 1)]);
    site.chain.grow_empty(1);
    site.follow().await;
    // The chain in memory holds nothing anywhere, so this finds a difference.
    let (platform, admin) = (site.platform(), &site.installation.admin);
    platform
        .reconcile_now(admin, site.network.id)
        .await
        .expect("compared");
    site.chain.grow(vec![Payment::native(address, 20, 2)]);
    site.chain.grow_empty(8);
    site.follow().await;
    let mut states = site.states().await;
    states.sort_unstable_by_key(|state| state.name());
    assert_eq!(states, [Detected, Finalized]);
    assert_eq!(site.sums(Customer).await, (units(10), units(20)));
}

async fn two_platforms_take_each_block_once(engine: Engine) {
    let site = Site::create(engine).await;
    let (_, address) = site.wallet("c1").await;
    for number in 1..=30 {
        site.chain.grow(vec![Payment::native(address, 1, number)]);
    }
    let other = site.installation.reopen().await;
    let race = |platform: coffer_platform::Platform| {
        let network = &site.network;
        async move {
            for _ in 0..200 {
                let step = platform.follow_once(network.id).await;
                if matches!(step, Ok(Followed::Idle)) {
                    return;
                }
            }
        }
    };
    join_all([race(site.platform().clone()), race(other.clone())]).await;
    follow(&other, &site.network).await;
    assert_eq!(site.deposits().await.len(), 30);
    let (posted, pending) = site.sums(Customer).await;
    assert_eq!(posted + pending, units(30));
    let status = site
        .platform()
        .network_status(&site.installation.admin, site.network.id)
        .await;
    let coverage = status.expect("reads").coverage.expect("blocks");
    assert!(coverage.unbroken && coverage.blocks == 30, "{coverage:?}");
}

async fn a_paused_network_takes_nothing(engine: Engine) {
    let site = Site::create(engine).await;
    let (platform, admin) = (site.platform(), &site.installation.admin);
    let paused = platform
        .pause_network(admin, site.network.id, "upgrade", None)
        .await;
    let _ = executed(paused.expect("paused"));
    site.chain.grow_empty(1);
    let step = site.step().await.expect("a step");
    assert!(matches!(step, Followed::Waiting(_)), "{step:?}");
    let resumed = platform.resume_network(admin, site.network.id, None).await;
    let _ = executed(resumed.expect("resumed"));
    assert_eq!(site.follow().await, Followed::Idle);
}

async fn the_nodes_own_tag_makes_final_where_it_is_the_rule(engine: Engine) {
    let site = Site::with(engine, settings(2, Finality::Tag)).await;
    let (_, address) = site.wallet("c1").await;
    let block = site.chain.grow(vec![Payment::native(address, 500, 1)]);
    site.chain.grow_empty(100);
    site.follow().await;
    assert_eq!(site.states().await, [Confirmed]);
    site.chain.finalize(block.height.0 - 1);
    site.chain.grow_empty(1);
    site.follow().await;
    assert_eq!(site.states().await, [Confirmed]);
    site.chain.finalize(block.height.0);
    site.chain.grow_empty(1);
    site.follow().await;
    assert_eq!(site.states().await, [Finalized]);
}
