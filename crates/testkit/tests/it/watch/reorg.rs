//! Blocks that are taken back, and where that ends.

use coffer_domain::asset::AssetKind;
use coffer_domain::deposit::DepositState::{Confirmed, Finalized, Retracted};
use coffer_domain::ledger::AccountKind::{Custody, Customer};
use coffer_domain::movement::Part;
use coffer_domain::network::NetworkState;
use coffer_platform::{Error, Followed, Scope};
use coffer_testkit::Engine;
use ruint::aliases::U256;

use super::chain::Payment;
use super::site::{Site, executed};
use crate::scene::{colleague, on_both_engines};

on_both_engines!(
    a_dropped_payment_is_taken_back_and_credited_once_when_it_returns,
    a_token_log_that_moves_inside_its_block_is_the_same_deposit,
    nodes_that_lag_take_nothing_back,
    below_finality_the_network_freezes_until_two_people_resume_it,
);

fn units(units: u64) -> U256 {
    U256::from(units)
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
}

async fn a_token_log_that_moves_inside_its_block_is_the_same_deposit(engine: Engine) {
    let site = Site::create(engine).await;
    let token = site.token("0x6b175474e89094c44da98b954eedeac495271d0f").await;
    let AssetKind::Token(_) = token.kind else {
        panic!("a token");
    };
    let (_, address) = site.wallet("c1").await;
    let log = |transaction, units| Payment {
        kind: token.kind,
        part: Part::Log(0),
        ..Payment::native(address, units, transaction)
    };
    site.chain.grow(vec![log(1, 5), log(2, 7)]);
    site.chain.grow_empty(1);
    site.follow().await;
    // In the other block the second transaction is the first, so its log has another index there.
    site.chain.reorg(2, vec![vec![log(2, 7), log(1, 5)], vec![], vec![]]);
    site.follow().await;
    let deposits = site.deposits().await;
    assert_eq!(deposits.len(), 2);
    for deposit in deposits {
        assert_eq!((deposit.state, deposit.inclusion), (Confirmed, 2));
    }
}

async fn nodes_that_lag_take_nothing_back(engine: Engine) {
    let site = Site::create(engine).await;
    let (_, address) = site.wallet("c1").await;
    site.chain.grow_empty(1);
    site.chain.grow(vec![Payment::native(address, 70, 1)]);
    site.follow().await;
    let before = site.deposits().await;
    site.chain.reorg(1, Vec::new());
    let step = site.step().await.expect("a step");
    assert!(matches!(step, Followed::Waiting(_)), "{step:?}");
    assert_eq!(site.deposits().await, before);
}

async fn below_finality_the_network_freezes_until_two_people_resume_it(engine: Engine) {
    let site = Site::create(engine).await;
    let (platform, admin) = (site.platform(), &site.installation.admin);
    let (_, address) = site.wallet("c1").await;
    site.chain.grow(vec![Payment::native(address, 70, 1)]);
    site.chain.grow_empty(5);
    site.follow().await;
    assert_eq!(site.states().await, [Finalized]);
    site.chain.reorg(6, vec![vec![]; 7]);
    assert_eq!(site.follow().await, Followed::Frozen);
    assert_eq!(site.states().await, [Finalized], "nothing was undone");
    let frozen = platform.network(admin, site.network.id).await.expect("reads");
    assert_eq!(frozen.state, NetworkState::Frozen);
    let _ = executed(platform.resume_network(admin, site.network.id, None).await.expect("asked"));
    assert_eq!(site.follow().await, Followed::Frozen, "one person is not enough");
    let again = platform.resume_network(admin, site.network.id, None).await;
    assert!(matches!(again, Err(Error::SecondPerson)), "{again:?}");
    let other = colleague(platform, admin, &[Scope::NetworksWrite]).await;
    let _ = executed(platform.resume_network(&other, site.network.id, None).await.expect("resumed"));
    assert_eq!(site.follow().await, Followed::Idle);
    assert_eq!(site.states().await, [Retracted]);
    assert_eq!(site.sums(Customer).await, (units(0), units(0)));
    let status = platform.network_status(admin, site.network.id).await.expect("reads");
    let progress = status.progress.expect("blocks");
    assert_eq!(progress.hash, Some(site.chain.head().hash));
    assert!(progress.finalized_height.is_some(), "finality goes on");
    assert!(status.coverage.expect("blocks").unbroken);
}
