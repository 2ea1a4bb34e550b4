//! Ranges that are read again.

use coffer_domain::block::BlockHeight;
use coffer_domain::deposit::DepositState::{Confirmed, Finalized};
use coffer_domain::ledger::AccountKind::Customer;
use coffer_platform::{Error, Rescan};
use coffer_testkit::Engine;
use ruint::aliases::U256;

use super::chain::Payment;
use super::site::{Site, executed};
use crate::scene::on_both_engines;

on_both_engines!(
    a_range_that_was_right_stays_as_it_is,
    what_was_missed_is_posted_once,
    what_the_chain_does_not_show_is_counted_and_left_alone,
    a_range_that_was_not_followed_is_refused,
);

async fn rescan(site: &Site, first: u64, last: u64) -> Rescan {
    let (platform, admin) = (site.platform(), &site.installation.admin);
    let range = (BlockHeight(first), BlockHeight(last));
    let asked = platform.request_rescan(admin, site.network.id, range, None).await;
    let id = executed(asked.expect("asked")).id;
    for _ in 0..100 {
        if !platform.rescan_once(site.network.id).await.expect("a step") {
            break;
        }
    }
    let rescans = platform.rescans(admin, site.network.id).await.expect("reads");
    let done = rescans.into_iter().find(|rescan| rescan.id == id).expect("listed");
    assert!(done.finished_at_ms.is_some(), "{done:?}");
    assert_eq!(done.blocks_compared(), last - first + 1);
    done
}

fn findings(rescan: &Rescan) -> (u64, u64, u64) {
    (
        rescan.blocks_differing,
        rescan.deposits_found,
        rescan.deposits_unexplained,
    )
}

/// Forty blocks with a payment in every fourth.
async fn followed(site: &Site) {
    let (_, address) = site.wallet("c1").await;
    for number in 0..40 {
        let paid = number % 4 == 0;
        let payments = paid.then(|| Payment::native(address, 10, number + 1));
        site.chain.grow(payments.into_iter().collect());
    }
    site.follow().await;
}

async fn a_range_that_was_right_stays_as_it_is(engine: Engine) {
    let site = Site::create(engine).await;
    followed(&site).await;
    let before = (site.deposits().await, site.sums(Customer).await);
    for _ in 0..2 {
        assert_eq!(findings(&rescan(&site, 1, 40).await), (0, 0, 0));
        assert_eq!((site.deposits().await, site.sums(Customer).await), before);
    }
}

async fn what_was_missed_is_posted_once(engine: Engine) {
    let site = Site::create(engine).await;
    site.chain.hide([5; 32]);
    site.chain.hide([9; 32]);
    followed(&site).await;
    assert_eq!(site.deposits().await.len(), 8);
    site.chain.show_all();
    assert_eq!(findings(&rescan(&site, 1, 40).await), (2, 2, 0));
    let deposits = site.deposits().await;
    assert_eq!(deposits.len(), 10);
    let credited = deposits
        .iter()
        .all(|deposit| matches!(deposit.state, Confirmed | Finalized));
    assert!(credited, "{deposits:?}");
    assert_eq!(site.sums(Customer).await.0, U256::from(100));
    assert_eq!(findings(&rescan(&site, 1, 40).await), (0, 0, 0));
    assert_eq!(site.deposits().await.len(), 10);
    // A block whose deposits were found later is undone with them.
    site.chain.reorg(1, vec![vec![], vec![]]);
    site.follow().await;
}

async fn what_the_chain_does_not_show_is_counted_and_left_alone(engine: Engine) {
    let site = Site::create(engine).await;
    followed(&site).await;
    let before = (site.deposits().await, site.sums(Customer).await);
    site.chain.hide([5; 32]);
    assert_eq!(findings(&rescan(&site, 1, 40).await), (1, 0, 1));
    assert_eq!((site.deposits().await, site.sums(Customer).await), before);
}

async fn a_range_that_was_not_followed_is_refused(engine: Engine) {
    let site = Site::create(engine).await;
    followed(&site).await;
    let (platform, admin) = (site.platform(), &site.installation.admin);
    for (first, last) in [(0, 3), (3, 2), (1, 41)] {
        let range = (BlockHeight(first), BlockHeight(last));
        let asked = platform.request_rescan(admin, site.network.id, range, None).await;
        assert!(matches!(asked, Err(Error::Validation { .. })), "{first} {last}");
    }
}
