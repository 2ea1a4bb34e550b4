//! What the database's owner does to rows of the watcher, and that it is noticed before it is believed.

use coffer_domain::ledger::AccountKind::Customer;
use coffer_platform::{DepositFilter, Error};
use coffer_testkit::Engine;
use ruint::aliases::U256;

use super::chain::Payment;
use super::site::Site;
use crate::scene::on_both_engines;

on_both_engines!(
    an_edited_deposit_is_refused,
    an_edited_or_removed_progress_is_refused,
    an_edited_block_is_not_undone,
    a_removed_deposit_is_noticed_before_its_block_is_undone,
    an_old_deposit_put_back_is_not_credited_again,
    everything_put_back_is_not_credited_again,
);

/// One deposit, detected, in block 2 of 2.
async fn detected(engine: Engine) -> Site {
    let site = Site::create(engine).await;
    let (_, address) = site.wallet("c1").await;
    site.chain.grow_empty(1);
    site.chain.grow(vec![Payment::native(address, 70, 1)]);
    site.follow().await;
    site
}

async fn refused_step(site: &Site) {
    let step = site.step().await;
    assert!(matches!(step, Err(Error::Integrity { .. })), "{step:?}");
}

async fn an_edited_deposit_is_refused(engine: Engine) {
    let site = detected(engine).await;
    let id = site.only_deposit().await.id;
    for change in ["state = 'confirmed'", "inclusion = 2", "block_height = 1"] {
        site.tamper("CREATE TABLE kept AS SELECT * FROM deposits").await;
        site.tamper(&format!("UPDATE deposits SET {change}")).await;
        let (platform, admin) = (site.platform(), &site.installation.admin);
        let shown = platform.deposit(admin, id).await;
        assert!(matches!(shown, Err(Error::Integrity { .. })), "{change}");
        let page = platform.deposits(admin, &DepositFilter::default(), None, 10).await;
        let page = page.expect("reads");
        assert_eq!((page.items.len(), page.refused), (0, vec![id]), "{change}");
        site.tamper("DELETE FROM deposits; INSERT INTO deposits SELECT * FROM kept; DROP TABLE kept")
            .await;
    }
    site.tamper("UPDATE deposits SET units = face_units || face_units").await;
    site.chain.grow_empty(1);
    refused_step(&site).await;
    assert_eq!(site.sums(Customer).await.0, U256::ZERO);
}

async fn an_edited_or_removed_progress_is_refused(engine: Engine) {
    let site = detected(engine).await;
    site.chain.grow_empty(1);
    site.tamper("UPDATE network_progress SET finalized_height = NULL, tip_height = 1").await;
    refused_step(&site).await;
    site.tamper("DELETE FROM network_progress").await;
    refused_step(&site).await;
}

async fn an_edited_block_is_not_undone(engine: Engine) {
    let site = detected(engine).await;
    site.chain.reorg(1, vec![vec![], vec![]]);
    site.tamper("UPDATE blocks SET movements = 0").await;
    refused_step(&site).await;
    let (platform, admin) = (site.platform(), &site.installation.admin);
    let status = platform.network_status(admin, site.network.id).await.expect("reads");
    assert!(!status.coverage.expect("blocks").unbroken);
}

async fn a_removed_deposit_is_noticed_before_its_block_is_undone(engine: Engine) {
    let site = detected(engine).await;
    site.chain.reorg(1, vec![vec![], vec![]]);
    site.tamper("DELETE FROM deposits").await;
    refused_step(&site).await;
    assert_eq!(site.sums(Customer).await.1, U256::from(70));
}

/// The row of before the credit has a good seal. The ledger knows better.
async fn an_old_deposit_put_back_is_not_credited_again(engine: Engine) {
    let site = detected(engine).await;
    let id = site.only_deposit().await.id;
    site.tamper("CREATE TABLE kept AS SELECT * FROM deposits").await;
    site.chain.grow_empty(1);
    site.follow().await;
    assert_eq!(site.sums(Customer).await, (U256::from(70), U256::ZERO));
    site.tamper("DELETE FROM deposits; INSERT INTO deposits SELECT * FROM kept").await;
    let shown = site.platform().deposit(&site.installation.admin, id).await;
    assert!(matches!(shown, Err(Error::Integrity { .. })), "{shown:?}");
    site.chain.grow_empty(1);
    refused_step(&site).await;
    assert_eq!(site.sums(Customer).await, (U256::from(70), U256::ZERO));
}

/// Progress, blocks and deposits of before the payment: the block is taken again, and its source posts once.
async fn everything_put_back_is_not_credited_again(engine: Engine) {
    let site = Site::create(engine).await;
    let (_, address) = site.wallet("c1").await;
    site.chain.grow_empty(1);
    site.follow().await;
    site.tamper("CREATE TABLE kept AS SELECT * FROM network_progress").await;
    site.chain.grow(vec![Payment::native(address, 70, 1)]);
    site.chain.grow_empty(1);
    site.follow().await;
    assert_eq!(site.sums(Customer).await, (U256::from(70), U256::ZERO));
    site.tamper(
        "DELETE FROM network_progress; INSERT INTO network_progress SELECT * FROM kept; \
         DELETE FROM blocks WHERE height > 1; DELETE FROM deposits",
    )
    .await;
    let step = site.step().await;
    assert!(step.is_err(), "{step:?}");
    assert_eq!(site.sums(Customer).await, (U256::from(70), U256::ZERO));
}
